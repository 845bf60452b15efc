//! Registrations that the program proves, and enrolments, with a socket that plays the node.

use integration_tests::raw_user::uninterrupted;
use std::time::Duration;

use integration_tests::camera::scan;
use lumi_proof::{Code, handle, verify};
use plumi_proto::{
    Challenge, DeregisterCode, Extension, Message, MiAddress, Nonce, RegisterCode, Registrant, UdpAddress,
    Verb,
};
use tokio::time::Instant;

use super::secure::Home;
use super::send::command;

use super::*;

const CODE: &str = "KQ7M-2XTN-9D4V-W3RH";

const NOT_ADMITTED: &str = "! cannot register laura@bb.com: no such user at its node, or the node does not know \
                            this agent's key: ask for an invitation (lumi-node ctl invite laura)";
const KEY_NOT_KNOWN: &str = "! cannot register laura@bb.com: the node does not know this agent's key: ask for an \
                             invitation (lumi-node ctl invite laura)";

/// A node that a test plays by hand.
struct PlayedNode(UdpSocket);

impl PlayedNode {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(DEADLINE)).expect("it is not 0");
        Self(socket)
    }

    fn at(&self) -> String {
        self.0.local_addr().expect("it is bound").to_string()
    }

    /// Starts a program of `home` that talks with this node.
    fn start(&self, home: &Home, arguments: &[&str]) -> Program {
        let at = self.at();
        let arguments = [arguments, &["--node", &at]].concat();
        Program::start_command(&mut command(home.path(), &arguments))
    }

    fn receive(&self) -> (Message, SocketAddr) {
        let mut datagram = [0; 200];
        let (length, from) = uninterrupted(|| self.0.recv_from(&mut datagram)).expect("a message comes");
        (Message::decode(&datagram[..length]).expect("a message"), from)
    }

    fn expect(&self, message: Message) -> SocketAddr {
        let (received, from) = self.receive();
        assert_eq!(received, message);
        from
    }

    fn send(&self, message: Message, to: SocketAddr) {
        self.0.send_to(&message.encode(), to).expect("it is sent");
    }

    /// Gives a challenge to a request for one, and checks the proof, which is by the key of `home`.
    fn challenge(&self, home: &Home, verb: Verb, seen: Option<UdpAddress>) -> SocketAddr {
        let from = self.ask(verb, seen);
        let (proof, prover) = self.receive();
        let Message::Prove(proof) = proof else { panic!("{proof:?}") };
        let challenge = challenge(seen, from);
        assert_eq!((prover, proof.verb, proof.handle), (from, verb, handle(&laura())));
        assert!(verify(&key_of(home), &laura(), &challenge, &proof));
        from
    }

    /// Expects a request for a challenge, and gives one.
    fn ask(&self, verb: Verb, seen: Option<UdpAddress>) -> SocketAddr {
        let from = self.expect(Message::RequestChallenge { verb, address: laura() });
        let extension = challenge(seen, from).extension();
        let asked = match verb {
            Verb::Register => Message::RegisterReply { code: RegisterCode::NoSuchUser, extension },
            Verb::Deregister => Message::DeregisterReply { code: DeregisterCode::NoSuchUser, extension },
        };
        self.send(asked, from);
        from
    }

    /// Refuses a plain request.
    fn refuse_plain(&self) {
        let from = self.expect(Message::Register(Registrant::Address(laura())));
        self.send(REFUSED, from);
    }
}

fn laura() -> MiAddress {
    "laura@bb.com".parse().expect("an address")
}

/// The public key of `home`, as the administrator reads it.
fn key_of(home: &Home) -> [u8; 32] {
    let line = home.key("--line");
    let (_, key) = line.rsplit_once(' ').expect("ADDRESS ed25519 BASE64");
    *key.parse::<mi_agent_core::PublicKey>().expect("a key").as_bytes()
}

fn challenge(seen: Option<UdpAddress>, from: SocketAddr) -> Challenge {
    let SocketAddr::V4(from) = from else { unreachable!() };
    Challenge { nonce: Nonce::new([7; 12]), seen: seen.unwrap_or(UdpAddress::new(*from.ip(), from.port())) }
}

const REGISTERED: Message =
    Message::RegisterReply { code: RegisterCode::Registered, extension: Extension::NONE };
const REFUSED: Message =
    Message::RegisterReply { code: RegisterCode::NoSuchUser, extension: Extension::NONE };
const DEREGISTERED: Message =
    Message::DeregisterReply { code: DeregisterCode::Deregistered, extension: Extension::NONE };

/// The administrator has added Laura's key by hand. The next start asks at once.
#[test]
fn a_user_whose_key_the_node_has_proves_it_and_leaves_within_a_second() {
    let home = Home::of("laura@bb.com");
    for start in 0..2 {
        let node = PlayedNode::new();
        let mut agent = node.start(&home, &["laura@bb.com", "--log", "-"]);
        if start == 0 {
            node.refuse_plain();
        }
        let from = node.challenge(&home, Verb::Register, None);
        node.send(REGISTERED, from);
        agent.expect_line("* registered laura@bb.com at node ");
        agent.expect_line("* listening");
        eventually("the day is kept", || home.data("enrolled").exists());
        let begun = Instant::now();
        agent.signal(Signal::Terminate);
        let from = node.challenge(&home, Verb::Deregister, None);
        node.send(DEREGISTERED, from);
        assert_eq!(agent.wait_exit(), 0, "{:?}", agent.stderr());
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert!(agent.stdout().iter().any(|line| line == "* deregistered laura@bb.com"));
    }
}

/// Each of both messages that end a registration is lost once.
#[test]
fn a_user_in_a_hurry_is_deregistered_though_datagrams_are_lost() {
    let home = Home::of("laura@bb.com");
    let node = PlayedNode::new();
    let mut agent = node.start(&home, &["laura@bb.com", "--log", "off"]);
    node.refuse_plain();
    let from = node.challenge(&home, Verb::Register, None);
    node.send(REGISTERED, from);
    agent.expect_line("* listening");
    let begun = Instant::now();
    agent.signal(Signal::Terminate);
    node.expect(Message::RequestChallenge { verb: Verb::Deregister, address: laura() });
    let from = node.challenge(&home, Verb::Deregister, None);
    let (again, _) = node.receive();
    assert!(matches!(again, Message::Prove(_)), "{again:?}");
    node.send(DEREGISTERED, from);
    assert_eq!(agent.wait_exit(), 0);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn each_refusal_has_its_sentence_and_its_exit_code() {
    let home = Home::of("laura@bb.com");
    let seen = UdpAddress::new("127.0.0.9".parse().expect("an IP"), 9);
    let chat = &["laura@bb.com", "--log", "off"][..];
    let send = &["send", "--from", "laura@bb.com", "joya@bb.com", "hola"][..];
    for (arguments, first_line) in [
        (chat, Program::stdout as fn(&Program) -> Vec<String>),
        (send, Program::stderr as fn(&Program) -> Vec<String>),
    ] {
        let node = PlayedNode::new();
        let mut agent = node.start(&home, arguments);
        node.refuse_plain();
        let from = node.expect(Message::RequestChallenge { verb: Verb::Register, address: laura() });
        node.send(REFUSED, from);
        assert_eq!(agent.wait_exit(), 3);
        assert_eq!(first_line(&agent)[0], NOT_ADMITTED);

        let mut agent = node.start(&home, arguments);
        node.refuse_plain();
        for _ in 0..6 {
            let from = node.challenge(&home, Verb::Register, None);
            node.send(REFUSED, from);
        }
        assert_eq!(agent.wait_exit(), 3);
        assert_eq!(first_line(&agent)[0], KEY_NOT_KNOWN);

        let mut agent = node.start(&home, arguments);
        node.refuse_plain();
        let from = node.ask(Verb::Register, Some(seen));
        assert_eq!(agent.wait_exit(), 1);
        let told = format!(
            "! cannot register laura@bb.com: its node saw 127.0.0.9:9 and this agent is at {from}: behind NAT say \
             --advertise 127.0.0.9 or --behind-nat; otherwise somebody relays"
        );
        assert_eq!(first_line(&agent)[0], told);
    }
}

#[test]
fn behind_a_nat_the_user_says_so() {
    let home = Home::of("laura@bb.com");
    let seen = UdpAddress::new("127.0.0.9".parse().expect("an IP"), 9);
    for option in [&["--behind-nat"][..], &["--advertise", "127.0.0.9"]] {
        let node = PlayedNode::new();
        let mut agent = node.start(&home, &[&["laura@bb.com", "--log", "off"], option].concat());
        let (first, from) = node.receive();
        if matches!(first, Message::Register(_)) {
            node.send(REFUSED, from);
            node.challenge(&home, Verb::Register, Some(seen));
        } else {
            // The start before has been kept.
            let extension = challenge(Some(seen), from).extension();
            node.send(Message::RegisterReply { code: RegisterCode::NoSuchUser, extension }, from);
            assert!(matches!(node.receive().0, Message::Prove(_)));
        }
        node.send(REGISTERED, from);
        agent.expect_line("* registered laura@bb.com at node ");
    }
}

#[test]
fn a_node_that_asks_for_no_proof_any_more_is_told_about_unless_the_user_accepts_it() {
    let home = Home::of("laura@bb.com");
    home.key("--line");
    fs::write(home.data("enrolled"), "laura@bb.com 2026-11-29\n").expect("written");
    let warning = "! the node asked for no proof, as it did on 29 Nov: another one may answer for bb.com. \
                   --accept-unproved goes on";
    for (arguments, told) in [
        (&["laura@bb.com", "--log", "off"][..], Some(warning)),
        (&["laura@bb.com", "--log", "off", "--accept-unproved"], None),
        (&["listen", "--from", "laura@bb.com"], Some(warning)),
        // Nobody's key is used for conversations, but the node wants one.
        (&["laura@bb.com", "--log", "off", "--security", "off"], Some(warning)),
    ] {
        let node = PlayedNode::new();
        let mut agent = node.start(&home, arguments);
        let from = node.expect(Message::RequestChallenge { verb: Verb::Register, address: laura() });
        node.send(REGISTERED, from);
        agent.expect_line("* registered");
        agent.expect_line("* listening");
        match told {
            Some(told) => assert_eq!(agent.expect_line("! "), told),
            None => agent.type_line("/quit"),
        }
        agent.signal(Signal::Terminate);
        let (leaves, from) = node.receive();
        assert_eq!(leaves, Message::RequestChallenge { verb: Verb::Deregister, address: laura() });
        node.send(DEREGISTERED, from);
        assert_eq!(agent.wait_exit(), 0);
        assert_eq!(agent.stdout().iter().any(|line| line.starts_with('!')), told.is_some());
    }
}

#[test]
fn an_invitation_is_taken_with_its_code_from_wherever_it_comes() {
    let code: Code = CODE.parse().expect("a code");
    let typed = "kq7m2xtn 9d4v w3rh";
    for (arguments, stdin) in [
        (&["enrol", "laura@bb.com", CODE][..], ""),
        (&["enrol", "laura@bb.com", "-"], typed),
        (&["enrol", "laura@bb.com"], typed),
        (&["enrol", "laura@bb.com", "kq7m", "2xtn", "9d4v", "w3rh"], ""),
        (&["enrol", "laura@bb.com"], "laura@bb.com KQ7M-2XTN-9D4V-W3RH"),
        (&["enrol", "laura@bb.com", "mi:laura@bb.com?code=KQ7M2XTN9D4VW3RH"], ""),
    ] {
        let home = Home::of("laura@bb.com");
        let node = PlayedNode::new();
        let mut agent = node.start(&home, arguments);
        agent.type_line(stdin);
        let (enrolment, from) = node.receive();
        let key = key_of(&home);
        assert_eq!(enrolment, Message::Enrol { address: laura(), key: code.enrol(&laura(), key) });
        let answer = |code: Code| Message::RegisterReply {
            code: RegisterCode::Registered,
            extension: code.answer(&laura(), [9; 32]).extension(),
        };
        // Anybody may send that.
        node.send(answer("0000-0000-0000-0000".parse().expect("a code")), from);
        let from = node.expect(enrolment);
        node.send(answer(code), from);
        assert_eq!(agent.wait_exit(), 0, "{:?}", agent.stderr());
        let told = "* laura@bb.com has enrolled: from now on its node asks for this agent's key";
        assert_eq!(agent.stdout(), [told]);
        let kept = fs::read_to_string(home.data("enrolled")).expect("it is kept");
        assert!(kept.starts_with("laura@bb.com 20") && kept.contains(" ed25519 CQkJ"), "{kept}");
        // The agent asks for a challenge first.
        let mut agent = node.start(&home, &["laura@bb.com", "--log", "off"]);
        let from = node.challenge(&home, Verb::Register, None);
        node.send(REGISTERED, from);
        agent.expect_line("* registered");
    }
}

#[test]
fn an_enrolment_that_fails_says_why_and_exits_with_its_code() {
    let home = Home::of("laura@bb.com");
    let enrol = ["enrol", "laura@bb.com", CODE];
    let node = PlayedNode::new();
    let mut agent = node.start(&home, &enrol);
    let (_, from) = node.receive();
    node.send(REFUSED, from);
    assert_eq!(agent.wait_exit(), 3);
    let not_taken = "the invitation was not taken: mistyped, used already, or too old; ask for another";
    assert_eq!(agent.stderr(), [not_taken]);

    let mut agent = node.start(&home, &enrol);
    let (_, from) = node.receive();
    node.send(REGISTERED, from);
    node.expect(Message::Deregister(Registrant::Address(laura())));
    node.send(DEREGISTERED, from);
    assert_eq!(agent.wait_exit(), 1);
    assert_eq!(agent.stderr(), ["this node does not know invitations"]);

    let mut agent = node.start(&home, &enrol);
    assert_eq!(agent.wait_exit(), 6);
    let silent = format!("! cannot enrol laura@bb.com: node {} does not answer", node.at());
    assert_eq!(agent.stderr()[0], silent);

    for (code, reason) in [
        ("KQ7M-2XTN", "CODE is wrong: a code has 16 characters, and this has 8"),
        ("KQ7M-2XTN-9D4V-W3RU", "CODE is wrong: a code has digits and letters except U, and no 'U'"),
    ] {
        let (code, _, stderr) = home.run(&["enrol", "laura@bb.com", code]);
        assert_eq!((code, stderr[0].as_str()), (2, format!("error: {reason}").as_str()));
    }
    assert!(!home.data("enrolled").exists());
}

/// The administrator's terminal shows Laura the code, and she points a camera at it.
#[test]
fn a_code_that_a_camera_read_lets_its_user_enrol() {
    let mut node = NodeProgram::start("bb.com", &["pere"], &["--console"]);
    let at = node.address().to_string();
    node.type_line("invite laura --qr");
    let invitation = node.expect_line("laura@bb.com ");
    node.type_line("list");
    node.expect_line("USER");
    let scanned = scan(&node.stdout().join("\n"));
    let code = invitation["laura@bb.com ".len()..].replace('-', "");
    assert_eq!(scanned, format!("mi:laura@bb.com?code={code}"));
    let home = Home::of("laura@bb.com");
    let mut agent =
        Program::start_command(&mut command(home.path(), &["enrol", "laura@bb.com", "-", "--node", &at]));
    agent.type_line(&scanned);
    assert_eq!(agent.wait_exit(), 0, "{:?}", agent.stderr());
    assert_eq!(home.run(&["enrol", "laura@bb.com", &scanned, "--node", &at]).0, 0, "as an argument");
}

/// Laura is invited to a real node, enrols, and is the only one who can register as Laura, also after a
/// restart.
#[test]
fn a_user_of_a_real_node_enrols_and_nobody_else_can_register_as_her() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &["--console"]);
    let at = node.address().to_string();
    let (home, pere, impostor) =
        (Home::of("laura@bb.com"), Home::of("pere@bb.com"), Home::of("laura@bb.com"));
    node.type_line("invite laura");
    let invitation = node.expect_line("laura@bb.com ");
    let code = invitation.split(' ').nth(1).expect("the code");

    let enrol = ["enrol", "laura@bb.com", code, "--node", &at];
    assert_eq!(home.run(&enrol).0, 0);
    assert!(!node.is_online("laura"), "nobody is registered by that");
    assert_eq!(home.run(&enrol).0, 0, "its answer may have been lost");
    let (exit, _, stderr) = impostor.run(&enrol);
    assert_eq!((exit, stderr[0].starts_with("the invitation was not taken: ")), (3, true));

    let mut laura = home.chat(&node, &["--refresh", "5"]);
    assert!(node.is_online("laura"));
    let mut agent = Program::start_command(&mut command(
        impostor.path(),
        &["laura@bb.com", "--log", "off", "--node", &at],
    ));
    assert_eq!(agent.wait_exit(), 3);
    let hint = "* with an invitation for this agent: mi-agent enrol laura@bb.com";
    assert_eq!(agent.stdout(), [KEY_NOT_KNOWN, hint]);
    assert!(node.is_online("laura"));
    // Users without a key notice nothing, and calls go both ways.
    let mut pere = pere.chat(&node, &[]);
    laura.type_line("/call pere@bb.com");
    pere.expect_line("* in conversation with ");
    laura.type_line("hola");
    assert_eq!(pere.expect_line("<"), "<laura> hola");
    pere.type_line("/bye");
    laura.expect_line("* conversation with ");
    pere.type_line("/call laura@bb.com");
    laura.expect_line("* in conversation with ");
    pere.type_line("/quit");
    assert_eq!(pere.wait_exit(), 0);

    node.kill();
    let mut node = NodeProgram::start_in(node.folder(), &["--listen", &at, "--console"]);
    eventually("laura is online again", || node.is_online("laura"));
    assert!(!laura.stdout().iter().any(|line| line.starts_with("! cannot register")));
    laura.signal(Signal::Terminate);
    assert_eq!(laura.wait_exit(), 0, "{:?}", laura.stdout());
    assert!(!node.is_online("laura"), "a deregistration is proved as well");
}
