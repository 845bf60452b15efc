//! The end of the program: a normal one, one by a signal, and one that something holds up.

use integration_tests::raw_user::uninterrupted;
use std::time::Duration;

use integration_tests::programs::AgentTerminal;

use super::secure::Home;

use super::*;

#[test]
fn signals_deregister() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
        laura.type_line("/call pere@bb.com");
        pere.expect_line("* in conversation");
        laura.expect_line("* in conversation");
        laura.signal(signal);
        assert_eq!(laura.wait_exit(), 0);
        assert_eq!(
            laura.stdout()[5..],
            ["* conversation with pere ended by you", "* deregistered laura@bb.com"],
            "{signal:?}"
        );
        pere.expect_line("* conversation with laura ended");
        node.type_line("list");
        assert!(node.expect_line("laura").contains("offline"));
    }
}

/// Starts an agent of Laura's, and a conversation with a bare connection that has said "hola".
pub(super) fn called_by_joan(node: &NodeProgram) -> (AgentProgram, TcpStream) {
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    let listens = listening(&mut laura);
    let mut joan = TcpStream::connect(listens).expect("laura listens");
    joan.write_all(b"N04joanL04hola").expect("written");
    laura.expect_line("<joan> hola");
    (laura, joan)
}

/// A peer that goes on talking after `/bye`, and never ends its side, is not waited for. The limit of its
/// last words is tested where the clock is held.
#[test]
fn a_conversation_that_was_ended_here_is_over_at_once() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let (mut laura, mut joan) = called_by_joan(&node);
    laura.type_line("/bye");
    let mut came = Vec::new();
    joan.read_to_end(&mut came).expect("FIN");
    assert_eq!(came, b"N05lauraL00");
    joan.write_all(b"L06espera").expect("it is read");
    laura.expect_line("* conversation with joan ended by you");
    // There is room for the next one.
    laura.type_line("/call pere@bb.com");
    laura.expect_line("* in conversation with pere");
    pere.type_line("EXIT");
    laura.expect_line("* conversation with pere ended by pere");
}

#[test]
fn a_connection_that_breaks_is_lost_and_nobody_ended_it() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let (mut laura, mut joan) = called_by_joan(&node);
    // Bytes that nobody read make the kernel answer with an RST, as after kill -9.
    laura.type_line("bon dia");
    joan.read_exact(&mut [0; 8 + 3]).expect("it comes");
    drop(joan);
    laura.expect_line("! conversation with joan: connection lost: Connection reset by peer");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
    assert!(!laura.stdout().iter().any(|line| line.contains("ended by")), "{:?}", laura.stdout());
}

/// A peer that hangs up, one that leaves, and one whose program is killed: the user is told which of them it
/// was.
#[test]
fn each_end_by_the_other_side_has_its_words() {
    let node = NodeProgram::start("bb.com", &["laura", "pere", "joan"], &[]);
    let home = Home::of("pere@bb.com");
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.expect_line("* listening");
    let joan = AgentTerminal::start("joan@bb.com", node.address(), &[], (30, 110));
    joan.expect_text("listening for conversations");
    let lost = "connection lost: it was cut off before the peer ended it";
    for (command, words) in [(Some("/bye"), "ended by pere"), (Some("/quit"), "ended by pere"), (None, lost)]
    {
        for on_screen in [false, true] {
            let mut pere = home.chat(&node, &[]);
            match on_screen {
                true => joan.type_line("/call pere@bb.com"),
                false => laura.type_line("/call pere@bb.com"),
            }
            pere.expect_line("* in conversation with ");
            match command {
                Some(command) => pere.type_line(command),
                None => pere.kill(),
            }
            let is_end = |text: &str| text.contains("conversation with pere") && text.contains(words);
            if on_screen {
                joan.wait_for(|screen| screen.text().lines().any(is_end));
                joan.type_line("/close");
                joan.wait_for(|screen| !screen.text().contains(words));
            } else {
                laura.wait_for(is_end);
            }
        }
    }
    let told: Vec<_> =
        laura.stdout().into_iter().filter(|line| line.contains("conversation with pere")).collect();
    let ended = told.iter().filter(|line| !line.starts_with("* in ")).map(String::as_str);
    let by_pere = "* conversation with pere ended by pere";
    assert_eq!(ended.collect::<Vec<_>>(), [by_pere, by_pere, &format!("! conversation with pere: {lost}")]);
}

/// A terminal that closes sends SIGHUP, perhaps twice, and takes nothing any more.
#[test]
fn a_terminal_that_closes_deregisters() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.type_line("/call pere@bb.com");
    pere.expect_line("* in conversation");
    laura.expect_line("* in conversation");
    laura.signal(Signal::HangUp);
    laura.signal(Signal::HangUp);
    laura.wait_exit();
    pere.expect_line("* conversation with laura ended");
    node.type_line("list");
    assert!(node.expect_line("laura").contains("offline"));
}

/// A signal ends the program, even while lines wait to be sent. Its node does not wait either.
#[test]
fn a_signal_does_not_wait_for_what_is_being_sent() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &["--security", "off"]);
    laura.type_line("/call pere@bb.com");
    // These are 600 frames and more, which take 12 s in plain text.
    laura.type_line(&"x".repeat(60_000));
    pere.expect_line("<laura>");
    laura.signal(Signal::Terminate);
    assert_eq!(laura.wait_exit(), 0);
    pere.expect_line("* conversation with laura ended");
    let heard = pere.stdout().iter().filter(|line| line.starts_with('<')).count();
    assert!(heard < 300, "{heard} frames were sent");
}

/// A silent node gets two deregistrations. The agent then stops waiting for it.
#[test]
fn a_silent_node_does_not_hold_the_agent() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let node = SilentNode::start();
        let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
        let (message, at) = node.receive();
        assert_eq!(message, "PRlaura@bb.com");
        node.send("RR0", at);
        laura.expect_line("* listening");
        laura.signal(signal);
        assert_eq!(laura.wait_exit(), 6);
        assert_eq!(node.rest(), ["PDlaura@bb.com"; 2]);
        let silent = format!("! cannot deregister laura@bb.com: node {} does not answer", node.address());
        assert_eq!(laura.stdout()[2], silent);
    }
}

/// The node may have received the registration, so the user has to be deregistered.
#[test]
fn an_interrupted_registration_leaves_nobody_online() {
    for answers in [false, true] {
        let node = SilentNode::start();
        let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
        let (_, at) = node.receive();
        laura.signal(Signal::Interrupt);
        let (message, _) = std::iter::repeat_with(|| node.receive())
            .find(|(message, _)| message.starts_with("PD"))
            .expect("PD");
        assert_eq!(message, "PDlaura@bb.com");
        if answers {
            node.send("RD0", at);
        }
        assert_eq!(laura.wait_exit(), 1);
        assert_eq!(laura.stdout(), ["! cannot register laura@bb.com: interrupted"]);
        let rest: &[&str] = if answers { &[] } else { &["PDlaura@bb.com"] };
        assert_eq!(node.rest(), rest);
    }
}

/// There is no node to deregister from while the domain is looked up.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_look_up() {
    let dns = DnsServer::start().await.expect("a DNS server");
    dns.set_silent(true);
    let folder = tempfile::tempdir().expect("a folder");
    let name_server = dns.address().to_string();
    let mut laura = Program::start(AGENT, folder.path(), &["--name-server", &name_server, "laura@bb.com"]);
    while dns.queries() == 0 {
        tokio::task::yield_now().await;
    }
    laura.signal(Signal::Terminate);
    assert_eq!(laura.wait_exit(), 1);
    assert_eq!(laura.stdout(), ["! cannot register laura@bb.com: interrupted"]);
}

/// The message log is on a stdout that nobody reads, so every write there blocks, even the last words.
#[test]
fn a_held_log_holds_neither_the_agent_nor_its_end() {
    let node = SilentNode::start();
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = process::Command::new(executable(AGENT));
    let at = node.address().to_string();
    at_home(&mut command, folder.path()).args(["laura@bb.com", "--node", &at, "--log", "-"]);
    let mut laura = Program::start_unread(&mut command);
    let (_, agent) = node.receive();
    node.send("RR0", agent);
    // Each answer is two lines of more than 60 bytes. A pipe takes 64 KiB, and the queue of the log 1 MiB.
    for _ in 0..15_000 {
        node.send("PLjoya@cc.com:laura@bb.com", agent);
        node.receive();
    }
    laura.signal(Signal::Terminate);
    // It ends in order: its node does not answer the deregistration.
    assert_eq!(laura.wait_exit(), 6);
}

/// Nobody reads the program's output, because of Ctrl-S or a pager.
///
/// It goes on answering its node, can be ended, and still ends its conversation in order.
#[test]
fn a_held_screen_does_not_hold_the_agent() {
    for quits_first in [false, true] {
        let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = process::Command::new(executable(AGENT));
        let at = node.address().to_string();
        at_home(&mut command, folder.path()).args(["pere@bb.com", "--node", &at]);
        let mut pere = Program::start_unread(&mut command);
        let laura = RawAgent::register("laura@bb.com", node.address());
        // A question before he is there has another answer, and too many have none.
        eventually("pere is online", || node.is_online("pere"));
        let answer = laura.ask("PLlaura@bb.com:pere@bb.com");
        let found = answer.strip_prefix("RL0laura@bb.com:pere@bb.com:").expect("he is found");
        let found = found.trim_end_matches(":T");
        let mut talk = TcpStream::connect(found).expect("a connection");
        talk.write_all(b"N05laura").expect("written");
        let mut nickname = [0; 7];
        talk.read_exact(&mut nickname).expect("a nickname");
        // Write as much as the pipe, the program and TCP take.
        talk.set_nonblocking(true).expect("set");
        let frame = [b"L99".as_slice(), &[b'x'; 99]].concat();
        let (mut held, mut sent) = (0, 0);
        while held < 50 {
            match talk.write(&frame) {
                Ok(length) => (held, sent) = (0, sent + length),
                Err(_) => {
                    // The program may only be slow, so it gets the time of one more answer.
                    held += 1;
                    assert_eq!(laura.ask("PLlaura@bb.com:pere@bb.com"), "RL1laura@bb.com:pere@bb.com");
                }
            }
        }
        assert!(sent > 64 * 1024, "{sent} bytes are held");
        if quits_first {
            pere.type_line("/quit");
        }
        pere.signal(Signal::Terminate);
        talk.set_nonblocking(false).expect("set");
        let mut rest = Vec::new();
        talk.read_to_end(&mut rest).expect("FIN");
        drop(talk);
        pere.wait_exit();
        node.type_line("list");
        assert!(node.expect_line("pere").contains("offline"));
    }
}

#[test]
fn a_deregistration_that_fails_says_why() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.expect_line("* listening");
    node.type_line("deregister laura");
    node.expect_line("deregistered laura");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 3);
    assert_eq!(
        laura.stdout()[2],
        "! cannot deregister laura@bb.com: no such user at its node, or registered from elsewhere since"
    );

    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    node.type_line("exit");
    assert_eq!(node.wait_exit(), 0);
    pere.signal(Signal::Terminate);
    assert_eq!(pere.wait_exit(), 6);
    let silent = format!("! cannot deregister pere@bb.com: node {} does not answer", node.address());
    assert_eq!(pere.stdout()[2], silent);
}

/// A fake node, which sends only what the test sends.
pub(super) struct SilentNode(UdpSocket);

impl SilentNode {
    pub(super) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        Self(socket)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("its address")
    }

    pub(super) fn send(&self, message: &str, to: SocketAddr) {
        self.0.send_to(message.as_bytes(), to).expect("sent");
    }

    pub(super) fn receive(&self) -> (String, SocketAddr) {
        self.receive_within(DEADLINE).expect("a message")
    }

    pub(super) fn receive_within(&self, limit: Duration) -> Option<(String, SocketAddr)> {
        self.0.set_read_timeout(Some(limit)).expect("set");
        let mut buffer = [0; 100];
        let (length, from) = uninterrupted(|| self.0.recv_from(&mut buffer)).ok()?;
        Some((String::from_utf8_lossy(&buffer[..length]).into_owned(), from))
    }

    /// Returns the datagrams that have come and were not received.
    pub(super) fn rest(&self) -> Vec<String> {
        self.0.set_nonblocking(true).expect("set");
        let mut buffer = [0; 100];
        let next = || {
            uninterrupted(|| self.0.recv(&mut buffer))
                .ok()
                .map(|length| String::from_utf8_lossy(&buffer[..length]).into())
        };
        let rest = std::iter::from_fn(next).collect();
        self.0.set_nonblocking(false).expect("set");
        rest
    }
}
