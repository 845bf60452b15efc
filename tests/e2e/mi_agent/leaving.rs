//! The ways in which line mode, `listen` and the full screen leave, in cases that scripts and people rely on.

use integration_tests::programs::{AgentTerminal, Key, eventually};

use super::ending::{SilentNode, called_by_joan};
use super::send::command;

use super::*;

const SIZE: (u16, u16) = (24, 90);

/// A node that answers nothing but registrations.
fn node_that_registers(node: &SilentNode) {
    let (message, at) = node.receive();
    assert_eq!(message, "PRlaura@bb.com");
    node.send("RR0", at);
}

/// Receives until the agent deregisters.
fn wait_for_deregistration(node: &SilentNode) -> SocketAddr {
    let mut received = std::iter::repeat_with(|| node.receive());
    let (message, at) = received.find(|(message, _)| message.starts_with("PD")).expect("PD");
    assert_eq!(message, "PDlaura@bb.com");
    at
}

/// Laura's `mi-agent listen`.
fn listener(folder: &Path, node: SocketAddr, arguments: &[&str]) -> Program {
    let at = node.to_string();
    let arguments = [&["listen", "--from", "laura@bb.com", "--node", &at], arguments].concat();
    Program::start_command(&mut command(folder, &arguments))
}

#[test]
fn a_listener_that_is_interrupted_while_it_registers_says_so() {
    for (arguments, told) in [
        (&[][..], "! cannot register laura@bb.com: interrupted"),
        (&["--json"], r#""event":"not-registered","address":"laura@bb.com","reason":"interrupted"}"#),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let node = SilentNode::start();
        let mut laura = listener(folder.path(), node.address(), arguments);
        node.receive();
        laura.signal(Signal::Interrupt);
        let at = wait_for_deregistration(&node);
        node.send("RD0", at);
        assert_eq!(laura.wait_exit(), 1);
        let [line] = &*laura.stdout() else { panic!("{:?}", laura.stdout()) };
        assert!(line.ends_with(told), "{line}");
    }
}

/// A second Ctrl-C leaves at once, without waiting for a silent node.
#[test]
fn a_second_interrupt_leaves_at_once() {
    for (program, told) in [
        (&["laura@bb.com"][..], "! left without being deregistered"),
        (&["listen", "--from", "laura@bb.com"], "! cannot deregister laura@bb.com: interrupted"),
        (
            &["listen", "--from", "laura@bb.com", "--json"],
            r#""event":"not-deregistered","address":"laura@bb.com","reason":"interrupted"}"#,
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        // The second one has to come within 600 ms. A very busy machine may take longer.
        let left_at_once = (0..10).any(|_| {
            let node = SilentNode::start();
            let at = node.address().to_string();
            let arguments = [program, &["--node", &at]].concat();
            let mut laura = Program::start_command(&mut command(folder.path(), &arguments));
            node_that_registers(&node);
            laura.wait_for(|line| line.contains("listening"));
            laura.signal(Signal::Interrupt);
            wait_for_deregistration(&node);
            // This does not end it sooner.
            laura.signal(Signal::Terminate);
            laura.signal(Signal::Interrupt);
            let code = laura.wait_exit();
            let last = laura.stdout().last().cloned().unwrap_or_default();
            assert!(code != 1 || last.ends_with(told), "{last}");
            code == 1
        });
        assert!(left_at_once, "{told}");
    }
}

#[test]
fn a_second_ctrl_c_leaves_the_full_screen_at_once() {
    let left_at_once = (0..10).any(|_| {
        let node = SilentNode::start();
        let laura = AgentTerminal::start("laura@bb.com", node.address(), &[], SIZE);
        node_that_registers(&node);
        laura.expect_text("listening for conversations");
        laura.press(Key::Ctrl('c'));
        wait_for_deregistration(&node);
        laura.press(Key::Ctrl('c'));
        let code = laura.wait_exit();
        assert_eq!(laura.left_behind(), [""; 0]);
        let silent = format!("! cannot deregister laura@bb.com: node {} does not answer", node.address());
        let told = if code == 1 { "! left without being deregistered" } else { &silent };
        assert_eq!(laura.screen().rows()[0], told);
        code == 1
    });
    assert!(left_at_once);
}

#[test]
fn a_full_screen_that_is_left_while_it_registers_deregisters() {
    for key in ['c', 'd'] {
        let node = SilentNode::start();
        let laura = AgentTerminal::start("laura@bb.com", node.address(), &[], SIZE);
        node.receive();
        laura.expect_text("registering laura@bb.com");
        laura.press(Key::Ctrl(key));
        let at = wait_for_deregistration(&node);
        node.send("RD0", at);
        assert_eq!(laura.wait_exit(), 1);
        assert_eq!(laura.screen().rows()[0], "! cannot register laura@bb.com: interrupted");
        assert_eq!(laura.left_behind(), [""; 0]);
    }
}

#[test]
fn a_full_screen_says_why_it_could_not_deregister() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &[]);
    let laura = AgentTerminal::start("laura@bb.com", node.address(), &[], SIZE);
    laura.expect_text("listening for conversations");
    node.type_line("exit");
    assert_eq!(node.wait_exit(), 0);
    laura.press(Key::Ctrl('c'));
    assert_eq!(laura.wait_exit(), 6);
    let silent = format!("! cannot deregister laura@bb.com: node {} does not answer", node.address());
    assert_eq!(laura.screen().rows()[0], silent);
}

/// Nobody reads the rest of the output, as in `mi-agent … | head`.
#[test]
fn a_closed_stdout_deregisters_and_ends_conversations() {
    for program in [
        &["laura@bb.com"][..],
        &["listen", "--from", "laura@bb.com"],
        &["listen", "--from", "laura@bb.com", "--json"],
    ] {
        let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let at = node.address().to_string();
        let arguments = [program, &["--node", &at]].concat();
        let mut laura = Program::start_unread(&mut command(folder.path(), &arguments));
        eventually("laura is registered", || node.is_online("laura"));
        let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
        pere.expect_line("* listening");
        laura.close_stdout();
        pere.type_line("/call laura@bb.com");
        // A process that another test starts may have the pipe open a little longer, so the first line may
        // not fail.
        eventually("laura ends the conversation", || {
            pere.type_line("hola");
            pere.stdout().contains(&"* conversation with laura ended by laura".to_owned())
        });
        assert_eq!(laura.wait_exit(), 1);
        assert_eq!(laura.stderr(), ["mi-agent: cannot write to stdout: Broken pipe (os error 32)"]);
        assert!(!node.is_online("laura"));
    }
}

/// The terminal closes: it takes nothing more, and the kernel sends SIGHUP.
#[test]
fn a_closed_terminal_deregisters_and_ends_conversations() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let (line, program_side) = pty_process::blocking::open().expect("there are terminals");
    line.resize(pty_process::Size::new(24, 90)).expect("it is a terminal");
    let mut command = process::Command::new(executable(AGENT));
    at_home(&mut command, folder.path()).env("TERM", "xterm-256color");
    command.args(["laura@bb.com", "--node", &node.address().to_string()]);
    let mut laura = pty_process::blocking::Command::from(command).spawn(program_side).expect("it starts");
    eventually("laura is registered", || node.is_online("laura"));
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.type_line("/call laura@bb.com");
    pere.expect_line("* in conversation with laura");
    drop(line);
    pere.expect_line("* conversation with laura ended");
    eventually("it is gone", || laura.try_wait().expect("it is a child").is_some());
    // A node with a busy disk may answer after that.
    eventually("laura is deregistered", || !node.is_online("laura"));
}

/// Line mode takes the next line when the call has been answered or has failed, and not before.
#[test]
fn what_is_typed_waits_for_a_call() {
    let node = NodeProgram::start("bb.com", &["laura", "joan"], &[]);
    let joan = RawAgent::register("joan@bb.com", node.address());
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.type_line("/call joan@bb.com");
    laura.type_line("hola");
    laura.type_line("/quit");
    let dead = TcpListener::bind("127.0.0.1:0").and_then(|dead| dead.local_addr()).expect("a socket");
    joan.answer_one_question(&dead.to_string());
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(
        laura.stdout()[2..],
        [
            "* calling joan@bb.com",
            "! cannot reach joan@bb.com: joan@bb.com does not accept the connection",
            "! you are in no conversation, so nobody hears that; /call ADDRESS starts one",
            "* deregistered laura@bb.com",
        ]
    );
}

/// Leaving the full screen gives up a pending call.
#[test]
fn a_call_does_not_hold_whoever_leaves_the_full_screen() {
    let node = NodeProgram::start("bb.com", &["laura", "joan"], &[]);
    let joan = RawAgent::register("joan@bb.com", node.address());
    let laura = AgentTerminal::start("laura@bb.com", node.address(), &[], SIZE);
    laura.expect_text("listening for conversations");
    laura.type_line("/call joan@bb.com");
    joan.hear_question();
    laura.expect_text("calling joan@bb.com");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(laura.screen().rows()[0], "* deregistered laura@bb.com");
}

/// A peer that neither reads nor ends its side holds nobody.
#[test]
fn who_quits_does_not_wait_for_a_peer_that_is_stuck() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let (mut laura, _joan) = called_by_joan(&node);
    laura.type_line("bon dia");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(laura.stdout()[5..], ["* conversation with joan ended by you", "* deregistered laura@bb.com"]);
}

/// Lines that were handed over before still go out.
///
/// Lines typed until the end is reported are lost with it, and the end is reported once.
#[test]
fn a_peer_that_hangs_up_while_lines_wait_is_heard_out() {
    let node = NodeProgram::start("bb.com", &["laura", "joan"], &[]);
    let joan = RawAgent::register("joan@bb.com", node.address());
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.type_line("/call joan@bb.com");
    // These are 200 frames, which take 4 s. No more than 64 of them are handed over.
    laura.type_line(&"x".repeat(19_800));
    laura.type_line("and this");
    let joans = TcpListener::bind("127.0.0.1:0").expect("a socket");
    joan.answer_one_question(&joans.local_addr().expect("its address").to_string());
    let (mut talk, from) = joans.accept().expect("a call");
    assert!(from.ip().is_loopback());
    talk.write_all(b"N04joan").expect("written");
    let mut first = [0; 8 + 102];
    talk.read_exact(&mut first).expect("a nickname and a line");
    talk.write_all(b"L05adeu!").expect("written");
    talk.shutdown(Shutdown::Write).expect("shut down");
    let mut rest = Vec::new();
    talk.read_to_end(&mut rest).expect("FIN");
    assert!((1..100).contains(&(rest.len() / 102)), "{} frames were sent", rest.len() / 102);
    assert_eq!(rest.len() % 102, 0, "they are whole");
    laura.expect_line("* conversation");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(
        laura.stdout()[5..],
        ["<joan> adeu!", "* conversation with joan ended by joan", "* deregistered laura@bb.com"]
    );
}

#[test]
fn a_caller_who_is_told_busy_is_told_of_once() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    let at = listening(&mut laura);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.type_line("/call laura@bb.com");
    laura.expect_line("* in conversation");
    let mut stranger = TcpStream::connect(at).expect("a connection");
    stranger.write_all(b"N04j\x1b[m").expect("written");
    let told = laura.expect_line("* j");
    let remote = stranger.local_addr().expect("its address");
    assert_eq!(told, format!(r"* j\x1b[m at {remote} called, and was told that you are busy"));
    let mut heard = Vec::new();
    stranger.shutdown(Shutdown::Write).expect("shut down");
    stranger.read_to_end(&mut heard).expect("FIN");
    assert_eq!(heard, b"N05lauraL54busy: in another conversation, please call again later");
}

/// Line ends of all kinds, more lines than may wait in a conversation, and one that cannot be sent among
/// them.
#[test]
fn more_lines_than_may_wait_are_piped_in_order() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.type_line("/call pere@bb.com");
    for n in 0..300 {
        laura.type_line(&format!("line {n}"));
    }
    laura.type_line("a\0b");
    laura.type_line("the end");
    laura.close_stdin();
    assert_eq!(laura.wait_exit(), 0);
    pere.expect_line("* conversation with laura ended");
    let said: Vec<_> = pere.stdout().into_iter().filter(|line| line.starts_with('<')).collect();
    let lines = (0..300).map(|n| format!("<laura> line {n}"));
    assert_eq!(said, lines.chain(["<laura> the end".into()]).collect::<Vec<_>>());
    assert_eq!(
        laura.stdout()[5..],
        [
            r"! not sent: the line has '\0' at byte 2, which may not stand there",
            "* conversation with pere ended by you",
            "* deregistered laura@bb.com",
        ]
    );
}

/// A user who quits is gone soon, whoever has not read yet, and is told what that costs.
#[test]
fn who_quits_while_much_is_to_be_sent_is_told_how_many_lines_were_not() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let laura = AgentTerminal::start("laura@bb.com", node.address(), &[], SIZE);
    let screen = laura.expect_text("listening for conversations on ");
    laura.wait_for(integration_tests::programs::Screen::reports_focus);
    let text = screen.text();
    let (_, listens) = text.split_once("listening for conversations on ").expect("it is there");
    let listens = listens.split_whitespace().next().expect("an address").to_owned();
    // It takes plain text, 20 ms for each of the frames, and a line of these is eleven.
    let mut joan = TcpStream::connect(listens).expect("laura listens");
    joan.write_all(b"N04joanL04hola").expect("written");
    laura.expect_text("hola");
    laura.paste(&format!("{}\n", "word ".repeat(200)).repeat(40));
    laura.expect_text("40 lines were pasted");
    laura.press(Key::Enter);
    laura.press(Key::Ctrl('d'));
    assert_eq!(laura.wait_exit(), 0);
    let screen = laura.expect_text("* deregistered laura@bb.com");
    let text = screen.text();
    let told = text.lines().find(|line| line.starts_with("! conversation with joan: ")).expect("a line");
    let lines = told["! conversation with joan: ".len()..].strip_suffix(" lines were not sent");
    let lines: usize = lines.and_then(|lines| lines.parse().ok()).unwrap_or_else(|| panic!("{told}"));
    assert!((1..=40).contains(&lines), "{told}");
}

/// Lines that were pasted before the full screen is left are still sent.
#[test]
fn what_was_said_on_the_full_screen_is_sent_before_it_is_left() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let laura = AgentTerminal::start("laura@bb.com", node.address(), &[], SIZE);
    laura.expect_text("listening for conversations");
    laura.wait_for(integration_tests::programs::Screen::reports_focus);
    laura.type_line("/call pere@bb.com");
    laura.expect_text("in conversation with pere");
    laura.paste(&(0..50).map(|n| format!("line {n}\n")).collect::<String>());
    laura.expect_text("50 lines were pasted");
    laura.press(Key::Enter);
    laura.press(Key::Ctrl('d'));
    assert_eq!(laura.wait_exit(), 0);
    pere.expect_line("* conversation with laura ended");
    let said: Vec<_> = pere.stdout().into_iter().filter(|line| line.starts_with('<')).collect();
    assert_eq!(said, (0..50).map(|n| format!("<laura> line {n}")).collect::<Vec<_>>());
}
