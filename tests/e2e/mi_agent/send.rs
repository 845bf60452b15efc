//! `mi-agent send`, as scripts use it.

mod failures;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use integration_tests::programs::eventually;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;

/// One run of `mi-agent send`, in a folder of its own.
struct SendProgram {
    program: Program,
    folder: TempDir,
}

impl SendProgram {
    /// Sends from laura@bb.com, registered at `node`.
    fn start(node: impl Into<SocketAddr>, arguments: &[&str]) -> Self {
        Self::start_with_stdin(node, arguments, Stdio::piped())
    }

    fn start_with_stdin(node: impl Into<SocketAddr>, arguments: &[&str], stdin: impl Into<Stdio>) -> Self {
        let node = node.into().to_string();
        let all = [&["send", "--from", "laura@bb.com", "--node", &node], arguments].concat();
        Self::start_as_it_is(&all, stdin)
    }

    fn start_as_it_is(arguments: &[&str], stdin: impl Into<Stdio>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program::start_with_stdin(&mut command(folder.path(), arguments), stdin);
        Self { program, folder }
    }

    /// Waits for its end, and returns its exit code and its messages on stderr.
    fn end(mut self) -> (i32, Vec<String>) {
        let code = self.program.wait_exit();
        (code, self.program.stderr())
    }

    fn assert_silent_success(mut self) {
        assert_eq!(self.program.wait_exit(), 0, "{:?}", self.program.stderr());
        assert_eq!((self.program.stdout(), self.program.stderr()), (Vec::new(), Vec::new()));
    }
}

/// The agent's program at home in `folder`.
pub(super) fn command(folder: &Path, arguments: &[&str]) -> process::Command {
    let mut command = process::Command::new(executable(AGENT));
    at_home(&mut command, folder).args(arguments);
    command
}

/// A node of bb.com with laura, pere and joan, and pere's agent.
fn node_and_pere() -> (NodeProgram, AgentProgram) {
    let node = NodeProgram::start("bb.com", &["laura", "pere", "joan"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    (node, pere)
}

/// Returns the lines that pere's agent has heard from laura, once that conversation has ended.
fn heard(pere: &mut AgentProgram) -> Vec<String> {
    pere.expect_line("* conversation with laura ended");
    let said = |line: String| line.strip_prefix("<laura> ").map(str::to_owned);
    pere.stdout().into_iter().filter_map(said).collect()
}

#[test]
fn a_text_is_said_and_the_user_gone() {
    let (mut node, mut pere) = node_and_pere();
    let arguments = ["--log", "laura.log", "pere@bb.com", "la còpia està feta"];
    let mut laura = SendProgram::start(node.address(), &arguments);
    assert_eq!(laura.program.wait_exit(), 0);
    let log = fs::read_to_string(laura.folder.path().join("laura.log")).expect("a log");
    laura.assert_silent_success();
    assert_eq!(heard(&mut pere), ["la còpia està feta"]);
    let messages: Vec<_> = log.lines().map(|line| line.split(", ").nth(1).expect("a message")).collect();
    let answer = format!("RL0laura@bb.com:pere@bb.com:{}:T", pere.stdout()[1].rsplit(' ').next().unwrap());
    let expected = ["PRlaura@bb.com", "RR0", "PLlaura@bb.com:pere@bb.com", &answer, "PDlaura@bb.com", "RD0"];
    assert_eq!(messages, expected);
    assert!(!node.is_online("laura"));
}

#[test]
fn a_text_of_several_lines_is_said_line_by_line_and_a_long_one_whole() {
    let (node, mut pere) = node_and_pere();
    let long = "això és llarg, ".repeat(20);
    let text = format!("/bye\n\nuna ratlla\r\n{long}\n");
    SendProgram::start(node.address(), &["--nick", "laura", "pere@bb.com", &text]).assert_silent_success();
    let heard = heard(&mut pere);
    assert_eq!(heard[..3], ["/bye", "", "una ratlla"]);
    assert_eq!(heard[3..].concat(), long);
    assert_eq!(heard.len(), 3 + long.len().div_ceil(99));
}

#[test]
fn stdin_is_said_as_it_comes_and_answers_are_printed() {
    let (node, mut pere) = node_and_pere();
    for arguments in [&["pere@bb.com"][..], &["pere@bb.com", "-"]] {
        let mut laura = SendProgram::start(node.address(), arguments);
        laura.program.type_line("primera");
        assert_eq!(pere.expect_line("<"), "<laura> primera");
        pere.type_line("ja \x1b[2J ho veig");
        assert_eq!(laura.program.expect_line("<"), r"<pere> ja \x1b[2J ho veig");
        laura.program.type_line("segona");
        assert_eq!(pere.expect_line("<"), "<laura> segona");
        laura.program.close_stdin();
        assert_eq!(laura.program.wait_exit(), 0);
        assert_eq!(laura.program.stdout().len(), 1);
        assert_eq!(laura.program.stderr(), [""; 0]);
        pere.expect_line("* conversation with laura ended");
    }
}

/// Two hundred lines take four seconds. All piped lines are sent before the end.
#[test]
fn what_was_piped_is_said_to_its_end() {
    let (node, mut pere) = node_and_pere();
    let mut laura = SendProgram::start(node.address(), &["pere@bb.com"]);
    for n in 0..200 {
        laura.program.type_line(&format!("line {n}"));
    }
    laura.program.close_stdin();
    laura.assert_silent_success();
    assert_eq!(heard(&mut pere), (0..200).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

/// A check without output calls nobody.
#[test]
fn without_anything_to_say_nobody_is_called() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    SendProgram::start(node.address(), &["nobody@bb.com", ""]).assert_silent_success();
    SendProgram::start_with_stdin(node.address(), &["nobody@bb.com"], Stdio::null()).assert_silent_success();
    assert_eq!(node.log(), [""; 0], "nobody was registered");
}

/// A caller is answered that the user is busy, and `send` goes on.
#[test]
fn who_calls_meanwhile_is_told_that_the_user_is_busy() {
    let (node, mut pere) = node_and_pere();
    let mut joan = AgentProgram::start("joan@bb.com", node.address(), &[]);
    joan.expect_line("* listening");
    let mut laura = SendProgram::start(node.address(), &["pere@bb.com"]);
    laura.program.type_line("hola");
    pere.expect_line("<laura> hola");
    joan.type_line("/call laura@bb.com");
    assert_eq!(joan.expect_line("!"), "! cannot reach laura@bb.com: user is busy");
    laura.program.type_line("adéu");
    laura.program.close_stdin();
    laura.assert_silent_success();
    assert_eq!(heard(&mut pere), ["hola", "adéu"]);
}

/// A user that is busy for a moment is called again.
#[test]
fn who_waits_is_heard_as_soon_as_may_be() {
    let (node, mut pere) = node_and_pere();
    let mut joan = AgentProgram::start("joan@bb.com", node.address(), &[]);
    joan.type_line("/call pere@bb.com");
    pere.expect_line("* in conversation with joan");
    let start = Instant::now();
    let laura = SendProgram::start(node.address(), &["--wait", "2m", "pere@bb.com", "hola"]);
    let asked = |line: &String| line.contains("PLlaura@bb.com:pere@bb.com");
    eventually("laura has asked", || node.log().iter().any(asked));
    joan.type_line("/bye");
    pere.expect_line("* in conversation with laura");
    laura.assert_silent_success();
    assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
    pere.expect_line("<laura> hola");
}

/// The wait has an end, with the last reason, and a user that nobody has is not waited for.
#[test]
fn who_waits_in_vain_is_told_why() {
    let (node, _pere) = node_and_pere();
    // One after the other: both are agents of laura, each with a folder of its own.
    let nobody = SendProgram::start(node.address(), &["--wait", "2h", "nobody@bb.com", "hola"]);
    let (code, told) = nobody.end();
    assert_eq!((code, &*told[0]), (3, "! cannot reach nobody@bb.com: no such user or domain"));
    let start = Instant::now();
    let waiting = SendProgram::start(node.address(), &["--wait", "1s", "joan@bb.com", "hola"]);
    assert_eq!(waiting.end(), (4, vec!["! cannot reach joan@bb.com: user is offline".to_owned()]));
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    let asked = |line: &&String| line.contains("PLlaura@bb.com:joan@bb.com") && line.starts_with('R');
    assert_eq!(node.log().iter().filter(asked).count(), 2, "the last time at the end");
    let wrong = SendProgram::start(node.address(), &["--wait", "10", "joan@bb.com", "hola"]);
    let (code, told) = wrong.end();
    assert!(code == 2 && told.iter().any(|line| line.contains("such as 90s, 10m or 2h")), "{told:?}");
}

#[test]
fn a_long_input_is_not_held_in_memory() {
    let (mut node, mut pere) = node_and_pere();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input");
    // These are 100,000 lines, 50 MB.
    let line = "x".repeat(499) + "\n";
    fs::write(&path, line.repeat(100_000)).expect("written");
    let input = File::open(&path).expect("it was written");
    let mut laura = SendProgram::start_with_stdin(node.address(), &["pere@bb.com"], input);
    for _ in 0..100 {
        pere.expect_line("<laura> xxx");
    }
    let memory = laura.program.memory();
    assert!(memory < 30_000_000, "{memory} bytes");
    laura.program.signal(Signal::Terminate);
    assert_eq!(laura.program.wait_exit(), 1);
    assert_eq!(laura.program.stderr(), ["! sending to pere@bb.com failed: interrupted"]);
    assert!(!node.is_online("laura"));
}

/// Nobody reads the peer's lines on stdout. Lines are still sent, and a signal still ends the program.
#[test]
fn a_held_stdout_holds_neither_the_sending_nor_its_end() {
    let (mut node, _) = node_and_pere();
    let folder = tempfile::tempdir().expect("a folder");
    let at = node.address().to_string();
    let arguments = ["send", "--from", "laura@bb.com", "--node", &at, "joan@bb.com"];
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let joan = RawAgent::register("joan@bb.com", node.address());
    let mut laura = Program::start_unread(&mut command(folder.path(), &arguments));
    laura.type_line("primera");
    joan.answer_one_question(&listener.local_addr().expect("bound").to_string());
    let (mut talk, _) = listener.accept().expect("a call");
    talk.set_read_timeout(Some(DEADLINE)).expect("set");
    talk.write_all(b"N04joan").expect("written");
    let mut begin = [0; 18];
    talk.read_exact(&mut begin).expect("a nickname and a line");
    assert_eq!(&begin, b"N05lauraL07primera");
    // Write as much as the pipe, the program and TCP take.
    talk.set_nonblocking(true).expect("set");
    let frame = [b"L99".as_slice(), &[b'x'; 99]].concat();
    let (mut held, mut sent) = (0, 0);
    while held < 50 {
        match talk.write(&frame) {
            Ok(length) => (held, sent) = (0, sent + length),
            Err(_) => {
                held += 1;
                // The program may only be slow, so it gets the time of one more answer.
                assert_eq!(joan.ask("PLjoan@bb.com:laura@bb.com"), "RL1joan@bb.com:laura@bb.com");
            }
        }
    }
    assert!(sent > 64 * 1024, "{sent} bytes are held");
    talk.set_nonblocking(false).expect("set");
    laura.type_line("segona");
    let mut line = [0; 9];
    talk.read_exact(&mut line).expect("a line");
    assert_eq!(&line, b"L06segona");
    laura.signal(Signal::Terminate);
    let mut rest = Vec::new();
    talk.read_to_end(&mut rest).expect("FIN");
    drop(talk);
    laura.wait_exit();
    assert!(!node.is_online("laura"));
}
