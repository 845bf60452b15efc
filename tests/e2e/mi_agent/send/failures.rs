//! Every reason why nothing, or not everything, is sent, with its message and exit code.

use std::time::Duration;

use socket2::SockRef;

use super::super::ending::SilentNode;
use super::*;

#[test]
fn misuse_exits_with_2_and_leaves_nothing() {
    for (arguments, told) in [
        (&["send", "pere@bb.com", "hola"][..], "--from"),
        (&["send", "--from", "laura@bb.com"], "<TO>"),
        (&["send", "--from", "laura", "pere@bb.com"], "there is no '@'"),
        (&["send", "--from", "laura@bb.com", "pere"], "there is no '@'"),
        (&["send", "--from", "laura@bb.com", "laura@BB.com", "hola"], "TO is your own address"),
        (&["send", "--from", "laura@bb.com", "pere@bb.com", "hola", "hola"], "hola"),
        (&["send", "--from", "laura@bb.com", "pere@bb.com", "hola\na\rb"], r"line 2 has '\r' at byte 2"),
        (&["laura@bb.com", "send"], "send"),
    ] {
        let mut laura = SendProgram::start_as_it_is(arguments, Stdio::null());
        assert_eq!(laura.program.wait_exit(), 2, "{arguments:?}");
        let diagnostics = laura.program.stderr().join("\n");
        assert!(diagnostics.contains(told), "{arguments:?}: {diagnostics}");
        assert!(laura.folder.path().read_dir().expect("a folder").next().is_none(), "{arguments:?}");
    }
}

#[test]
fn who_cannot_be_reached_is_told_and_exits_with_the_code_of_the_reason() {
    let node =
        NodeProgram::start("bb.com", &["laura", "pere", "joan", "maria"], &["--peer", "cc.com=127.0.0.1:1"]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    let mut maria = AgentProgram::start("maria@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    maria.expect_line("* listening");
    maria.type_line("/call pere@bb.com");
    pere.expect_line("* in conversation with maria");
    let silent = format!("no answer from its node or agent (node {} answers)", node.address());
    for (to, reason, code) in [
        ("jordi@bb.com", "no such user or domain", 3),
        ("pere@-.invalid", "no such user or domain", 3),
        ("joan@bb.com", "user is offline", 4),
        ("joya@cc.com", &silent, 6),
        ("pere@bb.com", "user is busy", 7),
    ] {
        let mut told = vec![format!("! cannot reach {to}: {reason}")];
        if let (3, Some((user, domain))) = (code, to.split_once('@')) {
            told.push(match domain {
                "bb.com" => unknown(user, domain),
                _ => unknown_elsewhere(domain),
            });
        }
        assert_eq!(SendProgram::start(node.address(), &[to, "hola"]).end(), (code, told));
    }

    // This agent was killed, but its node still considers it online.
    let dead = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let at = dead.local_addr().expect("its address");
    drop(dead);
    let joan = RawAgent::register("joan@bb.com", node.address());
    let laura = SendProgram::start(node.address(), &["joan@bb.com", "hola"]);
    joan.answer_one_question(&at.to_string());
    let told = "! cannot reach joan@bb.com: joan@bb.com does not accept the connection";
    assert_eq!(laura.end(), (7, vec![told.to_owned()]));

    let laura = SendProgram::start(node.address(), &["joan@bb.com", "hola"]);
    joan.answer_one_question("224.0.0.1:5");
    let told = "! cannot reach joan@bb.com: the user's agent gave 224.0.0.1:5 as its address, which cannot be called";
    assert_eq!(laura.end(), (1, vec![told.to_owned()]));
}

/// Returns the line that says what may help if there is no such user.
fn unknown(user: &str, domain: &str) -> String {
    format!("* upper and lower case differ; the administrator of {domain} adds a user with `register {user}`")
}

/// Returns that line for a user of another domain than the caller's.
fn unknown_elsewhere(domain: &str) -> String {
    format!(
        "* check user and domain, upper and lower case differ; or your node does not find {domain}: its administrator runs \
         `lumi-node check --peer-domain {domain}`"
    )
}

#[test]
fn a_registration_that_fails_exits_with_the_code_of_the_reason() {
    let node = NodeProgram::start("bb.com", &["pere"], &[]);
    let laura = SendProgram::start(node.address(), &["pere@bb.com", "hola"]);
    let told = "! cannot register laura@bb.com: no such user at its node, or the node does not know this agent's key: ask for an invitation (lumi-node ctl invite laura)";
    let hint = unknown("laura", "bb.com") + "; or --node names the node of another domain";
    assert_eq!(laura.end(), (3, vec![told.to_owned(), hint]));

    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let at = silent.local_addr().expect("its address");
    let laura = SendProgram::start(at, &["pere@bb.com", "hola"]);
    let told = format!("! cannot register laura@bb.com: node {at} does not answer");
    let hint = "* is lumi-node running there, and is that its port?".to_owned();
    assert_eq!(laura.end(), (6, vec![told, hint]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_is_not_found_exits_with_5() {
    let dns = DnsServer::start().await.expect("a DNS server");
    let name_server = dns.address().to_string();
    let arguments = ["send", "--from", "laura@dd.com", "--name-server", &name_server, "pere@dd.com", "hola"];
    let told = "! cannot register laura@dd.com: domain dd.com not found";
    let hint = "* check the spelling of dd.com; with --node IP:PORT, the domain is not looked up";
    let told = [told, hint].map(str::to_owned).into();
    assert_eq!(SendProgram::start_as_it_is(&arguments, Stdio::null()).end(), (5, told));
    assert!(dns.queries() > 0);
    dns.set_ipv6_only("dd.com", std::net::Ipv6Addr::LOCALHOST);
    let told = "! cannot register laura@dd.com: domain dd.com has no IPv4 address";
    let hint = "* the administrator of dd.com gives it an A record with the address of its node; \
                with --node IP:PORT, the domain is not looked up";
    let told = [told, hint].map(str::to_owned).into();
    assert_eq!(SendProgram::start_as_it_is(&arguments, Stdio::null()).end(), (5, told));
}

#[test]
fn a_deregistration_that_fails_is_told() {
    let (mut node, mut pere) = node_and_pere();
    let mut laura = SendProgram::start(node.address(), &["pere@bb.com"]);
    laura.program.type_line("hola");
    pere.expect_line("<laura> hola");
    node.type_line("deregister laura");
    node.expect_line("deregistered laura");
    laura.program.close_stdin();
    let told =
        "! cannot deregister laura@bb.com: no such user at its node, or registered from elsewhere since";
    assert_eq!(laura.end(), (3, vec![told.to_owned()]));
}

/// The callee begins another conversation after its agent answered and before the call.
#[test]
fn who_became_busy_is_told_and_nothing_is_sent() {
    let (node, _) = node_and_pere();
    for (words, told) in [(&b"L09busy \x1bnow"[..], r", with the words: busy \x1bnow"), (b"", "")] {
        let (laura, mut talk) = called(&node, &["joan@bb.com", "hola"]);
        talk.write_all(words).expect("written");
        talk.shutdown(Shutdown::Write).expect("shut down");
        let mut rest = Vec::new();
        talk.read_to_end(&mut rest).expect("FIN");
        assert_eq!(rest, b"", "nothing was said");
        let told = format!("! cannot reach joan@bb.com: the call was ended at once{told}");
        assert_eq!(laura.end(), (7, vec![told]));
    }
    let (mut laura, talk) = called(&node, &["joan@bb.com", "hola"]);
    reset(talk);
    assert_eq!(laura.program.wait_exit(), 1);
    assert!(laura.program.stderr()[0].starts_with("! cannot reach joan@bb.com: connection lost: "));
}

/// Our agent was not busy yet when it was asked, but is when it is called.
#[test]
fn an_agent_that_became_busy_says_so() {
    let (node, mut pere) = node_and_pere();
    let at = pere.stdout()[1].rsplit(' ').next().expect("an address").to_owned();
    let mut talk = TcpStream::connect(&*at).expect("a connection");
    talk.write_all(b"N05maria").expect("written");
    pere.expect_line("* in conversation with maria");
    let joan = RawAgent::register("joan@bb.com", node.address());
    let laura = SendProgram::start(node.address(), &["joan@bb.com", "hola"]);
    joan.answer_one_question(&at);
    let told = "! cannot reach joan@bb.com: the call was ended at once, with the words: busy: in another \
                conversation, please call again later";
    assert_eq!(laura.end(), (7, vec![told.to_owned()]));
    pere.expect_line("* laura at 127.0.0.1:");
}

#[test]
fn a_peer_that_ends_first_leaves_lines_unsent() {
    let (node, _) = node_and_pere();
    let text = (0..200).map(|n| format!("{n}\n")).collect::<String>();
    let (mut laura, mut talk) = called(&node, &["joan@bb.com", &text]);
    let mut first = [0; 8];
    talk.read_exact(&mut first).expect("two lines");
    assert_eq!(&first, b"L010L011");
    drop(talk);
    assert_eq!(laura.program.wait_exit(), 1);
    let told = laura.program.stderr().concat();
    let numbers = told.strip_prefix("! sending to joan@bb.com failed: ").and_then(|told| {
        let (_, counted) = told.split_once("; lines sent: ")?;
        let (sent, left) = counted.split_once(", not sent: ")?;
        Some((sent.parse::<usize>().ok()?, left.parse::<usize>().ok()?))
    });
    let (sent, left) = numbers.unwrap_or_else(|| panic!("{told}"));
    assert_eq!(sent + left, 200, "{told}");
    // Frames in flight are not counted, but only until the peer's end is noticed.
    assert!((2..50).contains(&sent), "{told}");

    let (laura, mut talk) = called(&node, &["joan@bb.com"]);
    talk.read_exact(&mut [0; 7]).expect("a line");
    drop(talk);
    let told = "! sending to joan@bb.com failed: the other side ended the conversation; lines sent: 1, not sent: 0 \
                and the rest of stdin";
    assert_eq!(laura.end(), (1, vec![told.to_owned()]));
}

#[test]
fn a_connection_that_breaks_is_told() {
    let (node, _) = node_and_pere();
    let (mut laura, mut talk) = called(&node, &["joan@bb.com"]);
    talk.read_exact(&mut [0; 7]).expect("a line");
    reset(talk);
    assert_eq!(laura.program.wait_exit(), 1);
    let told = laura.program.stderr().concat();
    assert!(told.starts_with("! sending to joan@bb.com failed: connection lost: "), "{told}");
    assert!(told.ends_with("; lines sent: 1, not sent: 0 and the rest of stdin"), "{told}");
}

#[test]
fn a_line_that_cannot_be_sent_is_told_and_the_others_are_sent() {
    let (node, mut pere) = node_and_pere();
    let mut laura = SendProgram::start(node.address(), &["pere@bb.com"]);
    for line in ["one", "t\0wo", "10 %\r20 %", "four"] {
        laura.program.type_line(line);
    }
    laura.program.close_stdin();
    let told = [
        r"! not sent: line 2 has '\0' at byte 2, which may not stand there",
        r"! not sent: line 3 has '\r' at byte 5, which may not stand there",
        "! sending to pere@bb.com failed: what no line may have in it was left out; lines sent: 2, not sent: 2",
    ];
    assert_eq!(laura.end(), (1, told.map(str::to_owned).to_vec()));
    assert_eq!(heard(&mut pere), ["one", "four"]);
}

/// A signal ends the program and its registration, whatever it waits for. A silent node gets two `PD`s within
/// 600 ms, instead of five within 5 s.
#[test]
fn a_signal_ends_it_wherever_it_is() {
    let (mut node, mut pere) = node_and_pere();
    let joan = RawAgent::register("joan@bb.com", node.address());
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let ends = |laura: SendProgram, told: &str| {
            laura.program.signal(signal);
            assert_eq!(laura.end(), (1, vec![told.to_owned()]));
        };
        let mut laura = SendProgram::start(node.address(), &["--log", "-", "joan@bb.com"]);
        laura.program.type_line("hola");
        laura.program.wait_for(|line| line.contains(" PL"));
        ends(laura, "! cannot reach joan@bb.com: interrupted");
        assert!(!node.is_online("laura"));

        let mut laura = SendProgram::start(node.address(), &["pere@bb.com"]);
        laura.program.type_line("hola");
        pere.expect_line("<laura> hola");
        ends(laura, "! sending to pere@bb.com failed: interrupted");
        pere.expect_line("* conversation with laura ended");
        assert!(!node.is_online("laura"));
    }
    drop(joan);
    for registers in [false, true] {
        let silent = SilentNode::start();
        let laura = SendProgram::start(silent.address(), &["pere@bb.com", "hola"]);
        let (_, at) = silent.receive();
        let told = if registers {
            silent.send("RR0", at);
            while silent.receive().0 != "PLlaura@bb.com:pere@bb.com" {}
            let silence =
                format!("! cannot deregister laura@bb.com: node {} does not answer", silent.address());
            vec!["! cannot reach pere@bb.com: interrupted".to_owned(), silence]
        } else {
            vec!["! cannot register laura@bb.com: interrupted".to_owned()]
        };
        laura.program.signal(Signal::Interrupt);
        assert_eq!(laura.end(), (1, told));
        let deregistrations = silent.rest().into_iter().filter(|message| message.starts_with("PD")).count();
        assert_eq!(deregistrations, 2);
    }
}

/// If answers cannot be printed, the program still sends everything and then reports the error.
#[test]
fn a_stdout_that_takes_nothing_is_told() {
    let (mut node, _) = node_and_pere();
    let folder = tempfile::tempdir().expect("a folder");
    let at = node.address().to_string();
    let mut full = process::Command::new("sh");
    full.current_dir(folder.path()).args(["-c", "exec \"$@\" > /dev/full", "sh"]);
    full.arg(executable(AGENT)).args(["send", "--from", "laura@bb.com", "--node", &at, "joan@bb.com"]);
    full.env("XDG_CONFIG_HOME", folder.path()).env("XDG_DATA_HOME", folder.path()).env_remove("RUST_LOG");
    let program = Program::start_command(&mut full);
    let (mut laura, mut talk) = called_by(&node, || SendProgram { program, folder }, &["joan@bb.com"]);
    talk.write_all(b"L02be").expect("written");
    laura.program.type_line("adeu");
    laura.program.close_stdin();
    let mut heard = Vec::new();
    talk.read_to_end(&mut heard).expect("FIN");
    assert_eq!(heard, b"L04holaL04adeu");
    drop(talk);
    let told = "mi-agent: cannot write to stdout: No space left on device (os error 28)";
    assert_eq!(laura.end(), (1, vec![told.to_owned()]));
    assert!(!node.is_online("laura"));
}

/// Starts a `send` to joan. Her agent accepts the call and exchanges nicknames. Without a text in
/// `arguments`, it types "hola".
fn called(node: &NodeProgram, arguments: &[&str]) -> (SendProgram, TcpStream) {
    called_by(node, || SendProgram::start(node.address(), arguments), arguments)
}

fn called_by(
    node: &NodeProgram,
    start: impl FnOnce() -> SendProgram,
    arguments: &[&str],
) -> (SendProgram, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let joan = RawAgent::register("joan@bb.com", node.address());
    let mut laura = start();
    if arguments.len() == 1 {
        laura.program.type_line("hola");
    }
    joan.answer_one_question(&listener.local_addr().expect("bound").to_string());
    let (mut talk, _) = listener.accept().expect("a call");
    talk.set_read_timeout(Some(DEADLINE)).expect("set");
    let mut nickname = [0; 8];
    talk.read_exact(&mut nickname).expect("a nickname");
    assert_eq!(&nickname, b"N05laura");
    talk.write_all(b"N04joan").expect("written");
    (laura, talk)
}

/// Resets a connection.
fn reset(talk: TcpStream) {
    SockRef::from(&talk).set_linger(Some(Duration::ZERO)).expect("set");
    drop(talk);
}
