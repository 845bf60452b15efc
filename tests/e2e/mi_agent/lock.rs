//! Programs that use one address at the same time, with the same data.

use std::collections::BTreeSet;
use std::process::Stdio;

use integration_tests::programs::Terminal;
use tempfile::TempDir;

use super::send::command;
use super::*;

/// A user with programs that share a folder, and the node of bb.com, which also has pere.
struct Home {
    node: NodeProgram,
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let node = NodeProgram::start("bb.com", &["laura", "pere", "joan"], &[]);
        Self { node, folder: tempfile::tempdir().expect("a folder") }
    }

    /// Starts an agent of laura without a message log.
    fn start(&self, arguments: &[&str]) -> Program {
        let at = self.node.address().to_string();
        let arguments = [arguments, &["--node", &at, "--log", "off"]].concat();
        Program::start_with_stdin(&mut command(self.folder.path(), &arguments), Stdio::piped())
    }

    fn chat(&self) -> Program {
        self.start(&["laura@bb.com", "--refresh", "off"])
    }

    fn listen(&self) -> Program {
        self.start(&["listen", "--from", "laura@bb.com", "--refresh", "off"])
    }

    fn send(&self, to: &[&str]) -> Program {
        self.start(&[&["send", "--from", "laura@bb.com"], to].concat())
    }

    fn agent(&self, address: &str) -> AgentProgram {
        let mut agent = AgentProgram::start(address, self.node.address(), &[]);
        agent.expect_line("* listening");
        agent
    }

    /// Returns the lines of the node's log for what it received with this `start`.
    fn received(&self, start: &str) -> Vec<String> {
        let is_it = |line: &String| {
            line.starts_with("R: ")
                && line.split(", ").nth(1).is_some_and(|message| message.starts_with(start))
        };
        self.node.log().into_iter().filter(is_it).collect()
    }

    /// Returns the last registration of laura, in which the address of her agent is.
    fn registration(&self) -> String {
        self.received("PRlaura").pop().expect("she has registered")
    }
}

/// Has `caller` call laura's program `callee`.
fn assert_called(caller: &mut AgentProgram, callee: &mut Program) {
    caller.type_line("/call laura@bb.com");
    caller.expect_line("* in conversation with laura");
    callee.expect_line("* in conversation with ");
    caller.type_line("/bye");
    callee.expect_line("* conversation with ");
    caller.expect_line("* conversation with laura ended");
}

/// Asserts that `program` ends because `holder` runs.
fn assert_refused(mut program: Program, holder: &Program) {
    assert_eq!(program.wait_exit(), 1);
    let told =
        format!("mi-agent: another agent of laura@bb.com runs here (pid {})", holder.pid().as_raw_nonzero());
    assert_eq!((program.stdout(), program.stderr()), (vec![], vec![told]));
}

/// The lock is gone with its process, however that ends.
#[test]
fn a_second_chat_says_who_runs_and_ends() {
    let home = Home::new();
    for is_killed in [false, true] {
        let mut laura = home.chat();
        laura.expect_line("* listening");
        assert_refused(home.chat(), &laura);
        assert_refused(home.listen(), &laura);
        if is_killed {
            laura.kill();
        } else {
            laura.close_stdin();
            assert_eq!(laura.wait_exit(), 0);
        }
        let mut laura = home.listen();
        laura.expect_line("* listening");
        assert_refused(home.chat(), &laura);
        laura.signal(Signal::Terminate);
        assert_eq!(laura.wait_exit(), 0);
    }
    let starts: BTreeSet<_> = home.received("PRlaura").into_iter().collect();
    assert_eq!(starts.len(), 4, "who is refused asks no node");
}

#[test]
fn a_second_full_screen_says_who_runs_and_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    let mut laura = home.chat();
    laura.expect_line("* listening");
    let at = home.node.address().to_string();
    let arguments = ["laura@bb.com", "--node", &at, "--log", "off"];
    let second = Terminal::start(AGENT, home.folder.path(), &arguments, (24, 80));
    assert_eq!(second.wait_exit(), 1);
    second.expect_text(&format!(
        "mi-agent: another agent of laura@bb.com runs here (pid {})",
        laura.pid().as_raw_nonzero()
    ));
    assert!(!second.raw_output().contains("\x1b[?1049h"));
}

/// Users are other addresses, and data elsewhere are another user's.
#[test]
fn other_addresses_have_other_locks() {
    let home = Home::new();
    let mut laura = home.chat();
    laura.expect_line("* listening");
    for address in ["pere@bb.com", "joan@bb.com"] {
        let mut other = home.start(&["listen", "--from", address]);
        other.expect_line("* listening");
        other.signal(Signal::Terminate);
        assert_eq!(other.wait_exit(), 0);
    }
    let mut elsewhere = home.agent("laura@bb.com");
    elsewhere.close_stdin();
    assert_eq!(elsewhere.wait_exit(), 0);
}

/// It takes the name over to ask for its callee, and the holder has it again as soon as the `send` is over.
#[test]
fn a_send_beside_a_chat_warns_and_gives_the_name_back() {
    let home = Home::new();
    let mut pere = home.agent("pere@bb.com");
    for start in [Home::listen, Home::chat] {
        let mut laura = start(&home);
        laura.expect_line("* listening");
        let (registration, deregistrations) = (home.registration(), home.received("PDlaura"));
        let mut send = home.send(&["pere@bb.com", "hola"]);
        assert_eq!(send.wait_exit(), 0, "{:?}", send.stderr());
        let [warning] = &send.stderr()[..] else { panic!("{:?}", send.stderr()) };
        let told = format!(
            "another agent of laura@bb.com runs here (pid {}); it cannot be called until this is sent",
            laura.pid().as_raw_nonzero()
        );
        assert!(warning.contains("WARN") && warning.ends_with(&told), "{warning}");
        assert_eq!(send.stdout(), [""; 0]);
        pere.expect_line("<laura> hola");
        pere.expect_line("* conversation with laura ended");
        eventually("the chat has registered again", || home.registration() == registration);
        assert_eq!(home.received("PDlaura"), deregistrations);
        assert_called(&mut pere, &mut laura);
        laura.signal(Signal::Terminate);
        assert_eq!(laura.wait_exit(), 0);
    }
}

#[test]
fn a_send_that_is_killed_or_interrupted_gives_the_name_back() {
    let home = Home::new();
    let mut pere = home.agent("pere@bb.com");
    let mut laura = home.listen();
    laura.expect_line("* listening");
    let registration = home.registration();
    // A program that is killed does not say that it ends, and somebody on the way could have cut it off.
    let ways = [
        (
            Program::kill as fn(&mut Program),
            "! conversation with laura: connection lost: it was cut off before the peer ended it",
        ),
        (interrupt, "* conversation with laura ended"),
    ];
    for (ends, end) in ways {
        let mut send = home.send(&["pere@bb.com"]);
        send.type_line("hola");
        pere.expect_line("<laura> hola");
        assert_ne!(home.registration(), registration);
        ends(&mut send);
        pere.expect_line(end);
        eventually("the holder has registered again", || home.registration() == registration);
        assert_eq!(home.received("PDlaura"), [""; 0]);
        assert_called(&mut pere, &mut laura);
    }
}

fn interrupt(send: &mut Program) {
    send.signal(Signal::Interrupt);
    assert_eq!(send.wait_exit(), 1);
    assert_eq!(send.stderr().last().expect("a line"), "! sending to pere@bb.com failed: interrupted");
}

/// The `send` is the last agent of the user then, and deregisters.
#[test]
fn a_send_that_outlives_the_chat_deregisters() {
    let mut home = Home::new();
    let mut pere = home.agent("pere@bb.com");
    let mut laura = home.chat();
    laura.expect_line("* listening");
    let mut send = home.send(&["pere@bb.com"]);
    send.type_line("hola");
    pere.expect_line("<laura> hola");
    laura.close_stdin();
    assert_eq!(laura.wait_exit(), 0, "the user is registered by somebody it knows");
    assert_eq!(laura.stdout().last().expect("a line"), "* deregistered laura@bb.com");
    assert!(home.node.is_online("laura"));
    send.type_line("adeu");
    send.close_stdin();
    assert_eq!(send.wait_exit(), 0, "{:?}", send.stderr());
    pere.expect_line("<laura> adeu");
    assert!(!home.node.is_online("laura"));
}

/// The chat that begins meanwhile is not deregistered by the `send`.
#[test]
fn a_chat_that_begins_during_a_send_stays_registered() {
    let home = Home::new();
    let mut pere = home.agent("pere@bb.com");
    let mut send = home.send(&["pere@bb.com"]);
    send.type_line("hola");
    pere.expect_line("<laura> hola");
    let mut laura = home.chat();
    laura.expect_line("* listening");
    send.close_stdin();
    assert_eq!((send.wait_exit(), send.stderr()), (0, vec![]));
    pere.expect_line("* conversation with laura ended");
    assert_eq!(home.received("PDlaura"), [""; 0]);
    assert_called(&mut pere, &mut laura);
}

/// The order in which they end and register does not matter.
#[test]
fn two_sends_at_once_both_end_well() {
    let mut home = Home::new();
    let mut pere = home.agent("pere@bb.com");
    let mut joan = home.agent("joan@bb.com");
    for first_ends_first in [true, false] {
        let mut sends = [home.send(&["pere@bb.com"]), home.send(&["joan@bb.com"])];
        for (send, peer) in sends.iter_mut().zip([&mut pere, &mut joan]) {
            send.type_line("hola");
            peer.expect_line("<laura> hola");
        }
        if !first_ends_first {
            sends.reverse();
        }
        for send in &mut sends {
            send.close_stdin();
            assert_eq!((send.wait_exit(), send.stdout(), send.stderr()), (0, vec![], vec![]));
        }
        assert!(!home.node.is_online("laura"));
    }
    assert!(home.node.log().iter().any(|line| line.contains(", RD1, ")), "one was registered elsewhere");
}

/// Nobody waits for a holder that is stopped. It registers again when it goes on.
#[test]
fn a_holder_that_is_stopped_holds_up_nobody() {
    let home = Home::new();
    let mut pere = home.agent("pere@bb.com");
    let mut laura = home.listen();
    laura.expect_line("* listening");
    let registration = home.registration();
    laura.signal(Signal::Stop);
    eventually("it is stopped", || laura.is_stopped());
    let mut send = home.send(&["pere@bb.com", "hola"]);
    assert_eq!(send.wait_exit(), 0, "{:?}", send.stderr());
    pere.expect_line("<laura> hola");
    pere.expect_line("* conversation with laura ended");
    assert_ne!(home.registration(), registration);
    laura.signal(Signal::Continue);
    eventually("it is registered again", || home.registration() == registration);
    assert_called(&mut pere, &mut laura);
}
