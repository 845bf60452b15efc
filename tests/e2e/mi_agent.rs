//! The program `mi-agent` as users and scripts see it, with a real `lumi-node`.

mod absent_node;
mod ending;
mod later;
mod leaving;
mod listen;
mod lock;
mod loopback;
mod proofs;
mod registration;
mod screen;
mod scripts;
mod secure;
mod send;
mod settings;
mod up;

use integration_tests::raw_user::uninterrupted;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process;

use integration_tests::dns_server::DnsServer;
use integration_tests::network::ip_with_free_node_port;
use integration_tests::programs::{
    AGENT, AgentProgram, DEADLINE, NodeProgram, Program, Signal, at_home, eventually, executable,
};
use integration_tests::skipped;

#[test]
fn a_conversation_is_told_line_by_line() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let at = node.address();
    let mut pere = AgentProgram::start("pere@bb.com", at, &["--nick", "En Pere"]);
    let pere_listens = listening(&mut pere);
    // Its log has no refresh, however long this takes.
    let mut laura = AgentProgram::start("laura@bb.com", at, &["--refresh", "off"]);
    let laura_listens = listening(&mut laura);
    laura.type_line("/call pere@bb.com");
    laura.type_line("hola");
    assert_eq!(pere.expect_line("<laura>"), "<laura> hola");
    pere.type_line("hola, què tal?");
    pere.type_line("//bye és per acabar");
    pere.type_line("/var/log és ple");
    laura.expect_line("<En Pere> /var/log");
    laura.type_line("/bye");
    pere.expect_line("* conversation");
    pere.type_line("EXIT");
    assert_eq!(pere.wait_exit(), 0);
    laura.expect_line("* conversation");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);

    assert_eq!(
        laura.stdout(),
        [
            format!("* registered laura@bb.com at node {at}"),
            format!("* listening for conversations on {laura_listens}"),
            "* calling pere@bb.com".into(),
            format!("* in conversation with En Pere (pere@bb.com) at {pere_listens}"),
            "* encrypted, new key: /verify pere@bb.com compares words".into(),
            "<En Pere> hola, què tal?".into(),
            "<En Pere> /bye és per acabar".into(),
            "<En Pere> /var/log és ple".into(),
            "* conversation with En Pere ended by you".into(),
            "* deregistered laura@bb.com".into(),
        ]
    );
    let told = pere.stdout();
    assert_eq!(
        told[..2],
        [
            format!("* registered pere@bb.com at node {at}"),
            format!("* listening for conversations on {pere_listens}"),
        ]
    );
    assert!(told[2].starts_with("* in conversation with laura (laura@bb.com) at 127.0.0.1:"), "{}", told[2]);
    assert_eq!(
        told[3..],
        [
            "* encrypted, new key: /verify laura@bb.com compares words",
            "<laura> hola",
            "* conversation with laura ended by laura",
            "* deregistered pere@bb.com",
        ]
    );
    assert_eq!(laura.stderr(), [""; 0]);

    let remote = format!("{}:UDP:{}", at.ip(), at.port());
    let answer = format!("RL0laura@bb.com:pere@bb.com:{pere_listens}:T");
    assert_eq!(
        laura.log(),
        [
            format!("E: {remote}, PRlaura@bb.com, 14"),
            format!("R: {remote}, RR0, 3"),
            format!("E: {remote}, PLlaura@bb.com:pere@bb.com, 26"),
            format!("R: {remote}, {answer}, {}", answer.len()),
            format!("E: {remote}, PDlaura@bb.com, 14"),
            format!("R: {remote}, RD0, 3"),
        ]
    );
    node.type_line("exit");
    assert_eq!(node.wait_exit(), 0);
}

/// The nodes find each other by DNS alone, so they are at port 3344 of two loopback addresses.
#[tokio::test(flavor = "multi_thread")]
async fn two_domains_are_found_by_dns() {
    let dns = DnsServer::start().await.expect("a DNS server");
    let name_server = dns.address().to_string();
    let (Some(bb_ip), Some(cc_ip)) = (ip_with_free_node_port(), ip_with_free_node_port()) else {
        skipped("a program of this host uses port 3344 at every address");
        return;
    };
    let start = |domain: &str, user: &str, ip: Ipv4Addr| {
        dns.set(domain, ip);
        let listen = format!("{ip}:3344");
        NodeProgram::start(domain, &[user], &["--listen", &listen, "--name-server", &name_server])
    };
    let _bb = start("bb.com", "laura", bb_ip);
    let cc = start("cc.com", "joya", cc_ip);
    let agent = |address: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program::start(AGENT, folder.path(), &["--name-server", &name_server, address]);
        (program, folder)
    };
    let (mut joya, _joya_folder) = agent("joya@cc.com");
    joya.expect_line("* listening");
    let (mut laura, _laura_folder) = agent("laura@bb.com");
    laura.type_line("/call joya@cc.com");
    laura.type_line("hola");
    laura.close_stdin();
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(joya.expect_line("<"), "<laura> hola");
    joya.expect_line("* conversation with laura ended");
    assert!(cc.log().iter().any(|line| line.contains(":UDP:3344, PLlaura@bb.com:joya@cc.com, 26")));

    let (mut nobody, _folder) = agent("laura@dd.com");
    assert_eq!(nobody.wait_exit(), 5);
    assert_eq!(
        nobody.stdout(),
        [
            "! cannot register laura@dd.com: domain dd.com not found",
            "* check the spelling of dd.com; with --node IP:PORT, the domain is not looked up",
        ]
    );
}

#[test]
fn a_registration_that_fails_says_why_and_exits_with_its_code() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let mut joan = AgentProgram::start("joan@bb.com", node.address(), &[]);
    assert_eq!(joan.wait_exit(), 3);
    assert_eq!(
        joan.stdout(),
        [
            "! cannot register joan@bb.com: no such user at its node, or the node does not know this agent's key: ask for an invitation (lumi-node ctl invite joan)",
            "* upper and lower case differ; the administrator of bb.com adds a user with `register joan`; or --node names the node of another domain",
        ]
    );

    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let at = silent.local_addr().expect("its address");
    let mut laura = AgentProgram::start("laura@bb.com", at, &[]);
    assert_eq!(laura.wait_exit(), 6);
    let told = format!("! cannot register laura@bb.com: node {at} does not answer");
    assert_eq!(laura.stdout(), [&told, "* is lumi-node running there, and is that its port?"]);
    assert_eq!(laura.log().len(), 5, "five tries");

    let taken = TcpListener::bind("0.0.0.0:0").expect("a socket");
    let port = taken.local_addr().expect("its address").port().to_string();
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &["--port", &port]);
    assert_eq!(laura.wait_exit(), 1);
    assert!(laura.stdout()[0].starts_with(&format!(
        "! cannot register laura@bb.com: cannot listen for conversations on 0.0.0.0:{port}: "
    )));
}

#[test]
fn misuse_is_told_and_exits_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = format!("{}@bb.com", "l".repeat(30));
    for (arguments, told) in [
        (&["laura"][..], "there is no '@'"),
        (&["laura@bb@com"], "there is a second '@' at byte 9"),
        (&[&long], "the address is 37 bytes long, 36 are the most"),
        (&["@bb.com"], "the user name is empty"),
        (&[], "ADDRESS is missing, and there is no terminal to ask for it"),
        (&["laura@bb.com", "--port", "65536"], "65536"),
        (&["laura@bb.com", "--node", "localhost"], "--node"),
        (&["laura@bb.com", "--nick", ""], "--nick"),
        (&["laura@bb.com", "--node", "127.0.0.1:0"], "no node has port 0"),
        (&["laura@bb.com", "--advertise", "::1"], "--advertise"),
        (&["laura@bb.com", "--advertise", "224.0.0.1"], "nobody can be reached there"),
        (&["laura@bb.com", "--dance"], "--dance"),
    ] {
        let mut agent = Program::start(AGENT, folder.path(), arguments);
        assert_eq!(agent.wait_exit(), 2, "{arguments:?}");
        let diagnostics = agent.stderr().join("\n");
        assert!(diagnostics.contains(told), "{arguments:?}: {diagnostics}");
    }
    assert!(folder.path().read_dir().expect("a folder").next().is_none(), "no log of what did not start");
}

#[test]
fn a_log_that_is_full_is_put_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("laura.log");
    File::create(&log).and_then(|file| file.set_len(100 << 20)).expect("a file with nothing on the disk");
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let arguments = ["--log", log.to_str().expect("UTF-8")];
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &arguments);
    laura.expect_line("* registered");
    eventually("both messages are in the log", || {
        fs::read_to_string(&log).is_ok_and(|log| log.lines().count() == 2)
    });
    assert!(fs::metadata(folder.path().join("laura.log.1")).expect("the full one").len() > 100 << 20);
}

#[test]
fn a_call_that_fails_says_why_and_the_session_goes_on() {
    let node =
        NodeProgram::start("bb.com", &["laura", "pere", "joan", "maria"], &["--peer", "cc.com=127.0.0.1:1"]);
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &["-v"]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    let mut maria = AgentProgram::start("maria@bb.com", node.address(), &[]);
    for agent in [&mut laura, &mut pere, &mut maria] {
        agent.expect_line("* listening");
    }
    maria.type_line("/call pere@bb.com");
    pere.expect_line("* in conversation with maria");
    for (typed, told) in [
        ("/call pere@bb.com", "! cannot reach pere@bb.com: user is busy"),
        ("/call jordi@bb.com", "! cannot reach jordi@bb.com: no such user or domain"),
        ("/call joan@bb.com", "! cannot reach joan@bb.com: user is offline"),
        ("/call joan@-.invalid", "! cannot reach joan@-.invalid: no such user or domain"),
        ("/call laura@bb.com", "! cannot reach laura@bb.com: that is your own address"),
        ("/call joan", "! cannot reach joan@bb.com: user is offline"),
        ("/call jo:an", "! cannot call jo:an: the user name has ':' at byte 3, which may not stand there"),
        ("/bye now", "! /bye stands alone, without anything behind it; to send the line, type //bye now"),
        ("/call", "! /call needs an address, such as /call joya@cc.com"),
        ("/bye", "! you are in no conversation"),
        ("hola?", "! you are in no conversation, so nobody hears that; /call ADDRESS starts one"),
        ("/dance", "! there is no command /dance; /help lists them"),
    ] {
        laura.type_line(typed);
        assert_eq!(laura.expect_line("!"), told);
    }
    assert!(
        laura.stdout().contains(
            &"* upper and lower case differ; the administrator of bb.com adds a user with `register jordi`"
                .to_owned()
        )
    );
    laura.type_line("/block");
    laura.expect_line("* nobody is blocked");
    laura.type_line("/call joya@cc.com");
    let silent = format!(
        "! cannot reach joya@cc.com: no answer from its node or agent (node {} answers)",
        node.address()
    );
    assert_eq!(laura.expect_line("!"), silent);
    maria.type_line("/call laura@bb.com");
    assert_eq!(maria.expect_line("!"), "! you are in a conversation; /bye ends it");

    // This agent was killed, but its node still considers it online.
    let dead = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let at = dead.local_addr().expect("its address");
    drop(dead);
    let raw = RawAgent::register("joan@bb.com", node.address());
    laura.type_line("/call joan@bb.com");
    raw.answer_one_question(&at.to_string());
    assert_eq!(
        laura.expect_line("!"),
        "! cannot reach joan@bb.com: joan@bb.com does not accept the connection"
    );
    // The diagnostic names the address that was tried.
    laura.wait_for_diagnostic(&format!("the call is not accepted to=joan@bb.com at={at}"));
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
}

/// All input from a pipe is sent before the end of input ends the session.
#[test]
fn a_script_is_said_to_its_end() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.type_line("/call pere@bb.com");
    for n in 0..50 {
        laura.type_line(&format!("line {n}"));
    }
    laura.close_stdin();
    assert_eq!(laura.wait_exit(), 0);
    pere.expect_line("* conversation with laura ended");
    let said: Vec<_> = pere.stdout().into_iter().filter(|line| line.starts_with('<')).collect();
    assert_eq!(said, (0..50).map(|n| format!("<laura> line {n}")).collect::<Vec<_>>());
}

/// The node did not announce this caller, which also tries to control the terminal.
#[test]
fn a_stranger_reaches_the_screen_as_text() {
    let node = NodeProgram::start("bb.com", &["pere"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    let at = listening(&mut pere);
    let mut stranger = TcpStream::connect(at).expect("a connection");
    stranger.write_all(b"N09\x1b[2J\xe2\x80\xaeab").expect("written");
    let told = pere.expect_line("* in conversation");
    assert!(told.starts_with(r"* in conversation with \x1b[2J\u{202e}ab (?) at 127.0.0.1:"), "{told}");
    let mut greeting = [0; 7];
    stranger.read_exact(&mut greeting).expect("a nickname");
    assert_eq!(&greeting, b"N04pere");
    stranger.write_all(b"L06\x07a\r\n* ").expect("written");
    assert_eq!(pere.expect_line("<"), r"<\x1b[2J\u{202e}ab> \x07a\r\n* ");
    drop(stranger);
    pere.expect_line("* conversation with");
}

/// Callers wait while there is no free file descriptor. None is reset, and the agent goes on.
#[test]
fn callers_wait_while_too_many_files_are_open() {
    let node = NodeProgram::start("bb.com", &["pere"], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = process::Command::new("sh");
    let script = "ulimit -n 24 && exec \"$0\" pere@bb.com --node \"$1\"";
    at_home(&mut command, folder.path()).args(["-c", script]);
    command.arg(executable(AGENT)).arg(node.address().to_string());
    let mut pere = Program::start_command(&mut command);
    let at = listening(&mut pere);
    let strangers: Vec<_> = (0..40).map(|_| TcpStream::connect(at).expect("a connection")).collect();
    let told = pere.wait_for_diagnostic("cannot accept calls");
    let sentence = "cannot accept calls, which wait: Too many open files (os error 24); if the limit of open files is the \
                    cause, raise it";
    assert!(told.ends_with(sentence), "{told}");
    let mut honest = TcpStream::connect(at).expect("a connection");
    honest.write_all(b"N04joanL04hola").expect("written");
    for stranger in &strangers {
        stranger.shutdown(Shutdown::Write).expect("shut down");
    }
    for mut stranger in strangers {
        stranger.set_read_timeout(Some(DEADLINE)).expect("set");
        let mut heard = Vec::new();
        stranger.read_to_end(&mut heard).expect("FIN");
        assert_eq!(heard, b"N04pere");
    }
    assert_eq!(pere.expect_line("<"), "<joan> hola");
    honest.read_exact(&mut [0; 7]).expect("a nickname");
    drop(honest);
    pere.expect_line("* conversation with joan ended");
    pere.type_line("/quit");
    assert_eq!(pere.wait_exit(), 0);
}

#[test]
fn the_log_can_be_stdout_and_the_form_bare() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let arguments = ["--log", "-", "--bare-user", "--advertise", "192.0.2.1", "--plain"];
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &arguments);
    laura.expect_line("* listening for conversations on 192.0.2.1:");
    laura.close_stdin();
    assert_eq!(laura.wait_exit(), 0);
    let remote = format!("{}:UDP:{}", node.address().ip(), node.address().port());
    let logged: Vec<_> = laura.stdout().into_iter().filter(|line| line.contains(":UDP:")).collect();
    assert_eq!(
        logged,
        [
            format!("E: {remote}, PRlaura, 7"),
            format!("R: {remote}, RR0, 3"),
            format!("E: {remote}, PDlaura, 7"),
            format!("R: {remote}, RD0, 3"),
        ]
    );
}

/// Waits until the agent is registered, and returns where it listens.
fn listening(agent: &mut Program) -> SocketAddr {
    let line = agent.expect_line("* listening for conversations on ");
    line["* listening for conversations on ".len()..].parse().expect("an address")
}

/// An agent that sends raw datagrams.
struct RawAgent(UdpSocket);

/// The times that it asks, two seconds apart.
const TRIES: u32 = 30;

impl RawAgent {
    fn register(address: &str, node: SocketAddrV4) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(node).expect("a route");
        socket.set_read_timeout(Some(DEADLINE)).expect("set");
        socket.send(format!("PR{address}").as_bytes()).expect("sent");
        let mut buffer = [0; 100];
        let length = uninterrupted(|| socket.recv(&mut buffer)).expect("an answer");
        assert_eq!(&buffer[..length], b"RR0");
        Self(socket)
    }

    /// Sends a request and waits for the answer. As every agent does, it asks again if there is none: a node
    /// leaves some questions unanswered if there are too many.
    fn ask(&self, question: &str) -> String {
        let mut buffer = [0; 100];
        self.0.set_read_timeout(Some(DEADLINE / TRIES)).expect("set");
        let answer = (0..TRIES).find_map(|_| {
            self.0.send(question.as_bytes()).expect("sent");
            uninterrupted(|| self.0.recv(&mut buffer)).ok()
        });
        self.0.set_read_timeout(Some(DEADLINE)).expect("set");
        String::from_utf8_lossy(&buffer[..answer.expect("an answer")]).into_owned()
    }

    /// Waits for the next message, and returns it.
    fn hear_question(&self) -> String {
        let mut buffer = [0; 100];
        let length = uninterrupted(|| self.0.recv(&mut buffer)).expect("a question");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn answer_one_question(&self, at: &str) {
        let question = self.hear_question();
        self.0.send(format!("RL0{}:{at}", &question[2..]).as_bytes()).expect("sent");
    }
}
