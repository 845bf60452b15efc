//! Registration, location and deregistration over real sockets, and each way in which they fail.

use integration_tests::raw_user::uninterrupted;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use integration_tests::dns_server::DnsServer;
use integration_tests::network::{
    ScriptedNode, TestNode, address_of_its_own, bind_again, directory, local_address, quick_schedule,
    sockets_with_one_port, spaced_schedule,
};
use integration_tests::trace::Trace;
use lumi_dns::{LookupError, NodeDirectory};
use mi_agent_core::{Agent, CallError, DeregisterError, Event, LocateError, RequestSchedule, StartError};
use plumi_proto::MiAddress;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UdpSocket};

#[tokio::test]
async fn a_user_whom_the_node_does_not_know_is_not_registered() {
    let node = TestNode::start("bb.com", &["laura"], directory(&[])).await;
    let error = node.agent("joan").start().await.expect_err("joan is no user");
    assert!(matches!(error, StartError::NoSuchUser));
    assert_eq!(error.to_string(), "no such user at its node");
}

#[tokio::test]
async fn a_user_who_was_removed_meanwhile_is_not_deregistered() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (laura, _events) = node.agent("laura").start().await.expect("laura registers");
    node.administrator.remove_user("laura".parse().expect("a name")).await.expect("saved");
    assert_eq!(node.roster(), "bb.com\npere\n");
    let error = laura.shutdown().await.expect_err("the node answers RD1");
    assert!(matches!(error, DeregisterError::NoSuchUser));
    assert!(matches!(laura.shutdown().await, Err(DeregisterError::NoSuchUser)), "once is enough");
    assert!(matches!(laura.locate(laura.address()).await, Err(LocateError::Ended)));
}

#[tokio::test]
async fn every_reason_why_a_user_is_not_found_is_told() {
    let dns = DnsServer::start().await.expect("a DNS server");
    let (bb_socket, cc_socket) = sockets_with_one_port().await;
    let (bb_address, cc_address) = (local_address(&bb_socket), local_address(&cc_socket));
    dns.set("bb.com", *bb_address.ip());
    dns.set("cc.com", *cc_address.ip());
    let directory = NodeDirectory::builder()
        .name_server(dns.address())
        .node_port(bb_address.port())
        .build()
        .expect("a directory");
    let bb = TestNode::start_on(bb_socket, "bb.com", &["laura", "pere"], directory.clone()).await;
    let cc = TestNode::start_on(cc_socket, "cc.com", &["joya", "joan"], directory.clone()).await;
    let (laura, _laura_events) = bb.agent("laura").start().await.expect("laura registers");
    let (_joya, mut joya_events) = cc.agent("joya").start().await.expect("joya registers");
    let (pere, _pere_events) = bb.agent("pere").start().await.expect("pere registers");

    // RL2, for the user and for the domain; RL3; and both by way of the other node.
    for (nobody, expected) in [
        ("jordi@cc.com", "no such user or domain"),
        ("joya@dd.com", "no such user or domain"),
        ("jordi@bb.com", "no such user or domain"),
        ("joan@cc.com", "user is offline"),
    ] {
        let error = laura.call(address(nobody)).await.expect_err("nobody answers");
        assert_eq!(error.to_string(), expected, "{nobody}");
    }

    // RL1, while joya is in a conversation, and then no more.
    let talk = pere.call(address("joya@cc.com")).await.expect("a conversation");
    let Some(Event::Incoming(called)) = joya_events.next().await else { panic!("no call") };
    let joya_talks = called.accept().expect("a conversation");
    assert_eq!(joya_talks.peer().address, Some(address("pere@bb.com")));
    let error = laura.call(address("joya@cc.com")).await.expect_err("joya is busy");
    assert!(matches!(error, CallError::Locate(LocateError::Busy)));
    let error = pere.call(address("laura@bb.com")).await.expect_err("so is pere");
    assert!(matches!(error, CallError::Engaged));
    drop(joya_talks);
    let mut rest = talk.hang_up();
    while rest.next_line().await.expect("no loss").is_some() {}
    laura.locate(address("joya@cc.com")).await.expect("joya is free again");
    assert!(matches!(laura.call(laura.address()).await, Err(CallError::Yourself)));
}

#[tokio::test]
async fn a_node_that_is_silent_is_asked_five_times() {
    let trace = Trace::start();
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let node = local_address(&silent);
    let error = Agent::builder(address("laura@bb.com"))
        .node(node)
        .schedule(quick_schedule())
        .start()
        .await
        .expect_err("nobody answers");
    assert_eq!(error.to_string(), format!("node {node} does not answer"));
    assert_eq!(trace.messages("laura@bb.com"), ["E PRlaura@bb.com"; 5]);

    // The same for a location and for the deregistration.
    let bb = TestNode::start("bb.com", &["laura"], directory(&[("cc.com", node)])).await;
    let (laura, _events) = bb.agent("laura").start().await.expect("laura registers");
    let error = laura.call(address("joya@cc.com")).await.expect_err("the node of cc.com is silent");
    let told = format!("no answer from its node or agent (node {} answers)", bb.address);
    assert_eq!(error.to_string(), told);
    assert!(error.is_transient());
    let bb_address = bb.address;
    bb.stop().await;
    let error = laura.call(address("joya@cc.com")).await.expect_err("so is her own");
    assert_eq!(error.to_string(), format!("node {bb_address} does not answer"));
    let error = laura.shutdown().await.expect_err("the node is gone");
    assert_eq!(error.to_string(), format!("node {bb_address} does not answer"));
    let sent = trace.messages("laura@bb.com");
    assert_eq!(sent.iter().filter(|message| *message == "E PLlaura@bb.com:joya@cc.com").count(), 10);
    assert_eq!(sent.iter().filter(|message| *message == "E PDlaura@bb.com").count(), 5);
}

#[tokio::test]
async fn a_node_that_starts_late_is_still_found() {
    let trace = Trace::start();
    let address = address_of_its_own();
    let start = Agent::builder("laura@bb.com".parse().expect("an address"))
        .node(address)
        .schedule(quick_schedule())
        .start();
    let start = tokio::spawn(start);
    while trace.messages("laura@bb.com").is_empty() {
        tokio::task::yield_now().await;
    }
    // The first try was refused by ICMP.
    let socket = bind_again(address).await;
    let _node = TestNode::start_on(socket, "bb.com", &["laura"], directory(&[])).await;
    start.await.expect("no panic").expect("a later try succeeds");
}

#[tokio::test]
async fn a_domain_without_a_node_is_told() {
    let dns = DnsServer::start().await.expect("a DNS server");
    dns.set("zero.com", Ipv4Addr::UNSPECIFIED);
    let directory = NodeDirectory::builder().name_server(dns.address()).build().expect("a directory");
    let start = |user: &str| Agent::builder(address(user)).directory(directory.clone()).start();
    let error = start("laura@bb.com").await.expect_err("there is no such domain");
    assert!(matches!(error, StartError::Domain { error: LookupError::NotFound, .. }));
    assert_eq!(error.to_string(), "domain bb.com not found");
    let error = start("laura@zero.com").await.expect_err("nobody can be there");
    assert_eq!(error.to_string(), "domain zero.com resolves to 0.0.0.0, where no node can be");
    dns.set_silent(true);
    let error = start("laura@cc.com").await.expect_err("DNS is silent");
    assert!(matches!(error, StartError::Domain { error: LookupError::NoAnswer, .. }));
}

/// A program that registered and died: four requests reach it, the fifth finds the user offline.
#[tokio::test]
async fn five_requests_without_an_answer_take_a_user_offline() {
    let trace = Trace::start();
    let bb = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let dead = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    dead.send_to(b"PRpere@bb.com", bb.address).await.expect("sent");
    let mut buffer = [0; 100];
    assert_eq!(dead.recv(&mut buffer).await.expect("an answer"), 3);

    let laura = bb.agent("laura").schedule(spaced_schedule());
    let (laura, _events) = laura.start().await.expect("laura registers");
    let error = laura.locate(address("pere@bb.com")).await.expect_err("pere is dead");
    assert!(matches!(error, LocateError::Offline));
    let to_pere = format!("E: {}:UDP:{}, PL", Ipv4Addr::LOCALHOST, local_address(&dead).port());
    let forwarded = trace.lines("bb.com").iter().filter(|line| line.starts_with(&to_pere)).count();
    assert_eq!(forwarded, 4);
    let error = laura.locate(address("pere@bb.com")).await.expect_err("pere is offline now");
    assert!(matches!(error, LocateError::Offline));
    let asked = trace.messages("laura@bb.com");
    assert_eq!(asked.iter().filter(|message| *message == "E PLlaura@bb.com:pere@bb.com").count(), 6);
}

/// An answer, or another registration, shows that the agent lives: the count of strikes begins anew.
#[tokio::test]
async fn a_sign_of_life_clears_the_strikes() {
    let bb = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let connected = async || {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        socket.connect(bb.address).await.expect("a route");
        socket
    };
    let (laura, pere) = (connected().await, connected().await);
    tell(&pere, "PRpere@bb.com").await;
    hear(&pere, "RR0").await;
    // Each question is another one: a repetition that comes at once is not sent on.
    let mut number = 0;
    let mut ask = async || {
        number += 1;
        let question = format!("PLu{number}@cc.com:pere@bb.com");
        tell(&laura, &question).await;
        hear(&pere, &question).await;
        question.replacen("PL", "RL1", 1)
    };
    for sign_of_life in [None, Some("PRpere@bb.com"), Some("RL1nobody@cc.com:pere@bb.com")] {
        for _ in 0..3 {
            ask().await;
        }
        let answer = ask().await;
        tell(&pere, sign_of_life.unwrap_or(&answer)).await;
        match sign_of_life {
            None => hear(&laura, &answer).await,
            Some("PRpere@bb.com") => hear(&pere, "RR0").await,
            // A stray: nobody hears it, but the node.
            Some(_) => {}
        }
    }
    for _ in 0..4 {
        ask().await;
    }
    tell(&laura, "PLlaura@bb.com:pere@bb.com").await;
    hear(&laura, "RL3laura@bb.com:pere@bb.com").await;
}

/// Deployed agents publish 0.0.0.0, and deployed nodes pass it on.
#[tokio::test]
async fn an_agent_that_does_not_know_its_address_can_be_called() {
    let bb = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (laura, _events) = bb.agent("laura").start().await.expect("laura registers");
    let pere = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    pere.connect(bb.address).await.expect("a route");
    pere.send(b"PRpere").await.expect("sent");
    let answers = async {
        let mut buffer = [0; 100];
        loop {
            let length = pere.recv(&mut buffer).await.expect("a question");
            if buffer.starts_with(b"PL") {
                let names = String::from_utf8_lossy(&buffer[2..length]).into_owned();
                pere.send(format!("RL0{names}:0.0.0.0:4456").as_bytes()).await.expect("sent");
            }
        }
    };
    tokio::select! {
        () = answers => {}
        found = async { laura.locate(address("pere@bb.com")).await } => {
            assert_eq!(found.expect("pere is found").to_string(), "127.0.0.1:4456");
        }
    }
}

/// A listener on every address of this host, which some of these would reach, is not connected to.
#[tokio::test]
async fn an_address_where_nobody_can_be_is_not_called() {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a socket");
    listener.set_nonblocking(true).expect("set");
    let port = listener.local_addr().expect("its address").port();
    let nowhere = "cannot be called";
    for (ip, port, reason) in [
        ("0.0.0.0", port, nowhere),
        ("0.1.2.3", port, nowhere),
        ("0.255.255.255", port, nowhere),
        ("224.0.0.1", port, nowhere),
        ("239.255.255.255", port, nowhere),
        ("255.255.255.255", port, nowhere),
        ("127.0.0.1", 0, "no port, which is 1 to 65535"),
        ("0.0.0.0", 0, "no port, which is 1 to 65535"),
    ] {
        let (laura, _node) = laura_who_is_told(&format!("{ip}:{port}")).await;
        let error = laura.call(address("joya@cc.com")).await.expect_err("nobody can be there");
        assert!(error.to_string().contains(reason), "{ip}:{port}: {error}");
        match error {
            CallError::Locate(LocateError::Unusable(at)) => {
                assert_eq!(at.to_string(), format!("{ip}:{port}"));
            }
            CallError::Locate(LocateError::Malformed(_)) => assert_eq!(port, 0),
            error => panic!("{error}"),
        }
        let connected = listener.accept().expect_err("nobody connects");
        assert_eq!(connected.kind(), ErrorKind::WouldBlock, "{ip}:{port}");
    }
    // This host is somewhere.
    let (laura, _node) = laura_who_is_told(&format!("127.0.0.77:{port}")).await;
    let joya = address("joya@cc.com");
    let calling = laura.call(joya);
    let answering = async {
        let listener = TcpListener::from_std(listener).expect("within the runtime");
        let (mut stream, _) = listener.accept().await.expect("a call");
        stream.write_all(b"N04joya").await.expect("written");
        stream
    };
    let (called, _stream) = tokio::join!(calling, answering);
    called.expect("a conversation");
}

/// Her agent, and her node, which says that joya is `at`.
async fn laura_who_is_told(at: &str) -> (Agent, ScriptedNode) {
    let answer = format!("RL0laura@bb.com:joya@cc.com:{at}");
    let node = ScriptedNode::start(&[("PR", "RR0"), ("PL", &answer)]).await;
    let started = Agent::builder(address("laura@bb.com")).node(node.address).start().await;
    (started.expect("registered").0, node)
}

/// `PRuser` is sent when it is configured, and never as a retry.
#[tokio::test]
async fn the_bare_form_is_sent_only_when_it_is_asked_for() {
    let trace = Trace::start();
    let refusing = ScriptedNode::start(&[("PR", "RR1")]).await;
    let builder = Agent::builder(address("laura@bb.com")).node(refusing.address);
    builder.clone().start().await.expect_err("refused");
    assert_eq!(trace.messages("laura@bb.com"), ["E PRlaura@bb.com", "R RR1"]);

    let node = TestNode::start("bb.com", &["laura"], directory(&[])).await;
    // A slow answer is waited for.
    let agent = node.agent("laura").schedule(RequestSchedule::default());
    let (laura, _events) = agent.bare_user(true).start().await.expect("laura registers");
    laura.shutdown().await.expect("laura deregisters");
    assert_eq!(trace.messages("laura@bb.com")[2..], ["E PRlaura", "R RR0", "E PDlaura", "R RD0"]);
}

/// Dropped without a shutdown, an agent still deregisters.
#[tokio::test]
async fn an_agent_that_is_dropped_deregisters() {
    let node = TestNode::start("bb.com", &["laura"], directory(&[])).await;
    let (laura, mut events) = node.agent("laura").start().await.expect("laura registers");
    assert!(node.administrator.list().await.expect("a list")[0].presence.is_some());
    drop(laura);
    assert!(events.next().await.is_none(), "the agent has ended");
    while node.administrator.list().await.expect("a list")[0].presence.is_some() {
        tokio::task::yield_now().await;
    }
}

/// Given up before the node has answered: it may have heard nevertheless.
#[tokio::test]
async fn a_start_that_is_given_up_deregisters() {
    let trace = Trace::start();
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = local_address(&socket);
    let start = Agent::builder("laura@bb.com".parse().expect("an address")).node(address).start();
    let start = tokio::spawn(start);
    let mut buffer = [0; 100];
    let (_, laura) = socket.recv_from(&mut buffer).await.expect("PR");
    start.abort();
    assert!(start.await.expect_err("given up").is_cancelled());
    socket.send_to(b"RR0", laura).await.expect("sent");
    let (length, _) = socket.recv_from(&mut buffer).await.expect("PD");
    assert_eq!(&buffer[..length], b"PDlaura@bb.com");
    socket.send_to(b"RD0", laura).await.expect("sent");
    while trace.messages("laura@bb.com").len() < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(trace.messages("laura@bb.com")[3], "R RD0");
}

/// Its port is closed, so nobody is sent there.
#[tokio::test]
async fn an_agent_that_ends_is_busy_until_it_has_deregistered() {
    for is_dropped in [false, true] {
        busy_until_deregistered(is_dropped).await;
    }
}

async fn busy_until_deregistered(is_dropped: bool) {
    let node = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (laura, at) = registered_at(&node).await;
    let mut buffer = [0; 100];
    let ending = (!is_dropped).then(|| {
        let laura = laura.clone();
        tokio::spawn(async move { laura.shutdown().await })
    });
    drop(laura);
    let (length, _) = node.recv_from(&mut buffer).await.expect("PD");
    assert_eq!(&buffer[..length], b"PDlaura@bb.com");
    node.send_to(b"PLjoya@cc.com:laura@bb.com", at).await.expect("sent");
    let (length, _) = node.recv_from(&mut buffer).await.expect("RL");
    assert_eq!(&buffer[..length], b"RL1joya@cc.com:laura@bb.com");
    node.send_to(b"RD0", at).await.expect("sent");
    if let Some(ending) = ending {
        ending.await.expect("no panic").expect("deregistered");
    }
}

/// A shutdown that was given up passes its outcome to the next one.
#[tokio::test]
async fn a_shutdown_can_be_repeated() {
    let node = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (laura, at) = registered_at(&node).await;
    let mut buffer = [0; 100];
    let first = tokio::spawn({
        let laura = laura.clone();
        async move { laura.shutdown().await }
    });
    node.recv_from(&mut buffer).await.expect("PD");
    first.abort();
    assert!(first.await.expect_err("given up").is_cancelled());
    let second = tokio::spawn({
        let laura = laura.clone();
        async move { laura.shutdown().await }
    });
    node.recv_from(&mut buffer).await.expect("PD");
    node.send_to(b"RD0", at).await.expect("sent");
    second.await.expect("no panic").expect("deregistered");
    laura.shutdown().await.expect("deregistered, as before");
}

/// A node on every address of its host is reached by each of them: a domain that leads to one is no other
/// node.
#[tokio::test]
async fn another_name_of_a_node_on_every_address_is_no_domain() {
    let trace = Trace::start();
    let socket = UdpSocket::bind("0.0.0.0:0").await.expect("a socket");
    let port = local_address(&socket).port();
    let alias = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 77), port);
    let node = TestNode::start_on(socket, "bb.com", &["laura"], directory(&[("alias.com", alias)])).await;
    // The node's address, as a person would copy it.
    assert_eq!(node.address.ip(), &Ipv4Addr::UNSPECIFIED);
    let (laura, _events) = node.agent("laura").start().await.expect("registered");
    assert_eq!(laura.node().ip(), Ipv4Addr::LOCALHOST);
    let error = laura.locate(address("laura@alias.com")).await.expect_err("that is this node");
    assert!(matches!(error, LocateError::NoSuchUser));
    let relayed = trace.messages("bb.com").iter().any(|message| message.starts_with("E PL"));
    assert!(!relayed, "no message came back");
}

/// A message that has come before the end is served: an asker without an answer asks again, at a closed port.
#[tokio::test]
async fn a_node_that_ends_serves_what_has_come() {
    let node = TestNode::start("bb.com", &["laura"], directory(&[])).await;
    let agent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for _ in 0..200 {
        // Blocking calls: the node's task has no chance to run before it is told to end.
        agent.send_to(b"PRlaura@bb.com", node.address).expect("sent");
    }
    node.stop().await;
    agent.set_nonblocking(true).expect("set");
    let mut buffer = [0; 100];
    for _ in 0..200 {
        assert_eq!(uninterrupted(|| agent.recv(&mut buffer)).expect("answered"), 3);
    }
}

#[tokio::test]
async fn a_shutdown_of_the_node_waits_for_nobody() {
    let dns = DnsServer::start().await.expect("a DNS server");
    dns.set_silent(true);
    let directory = NodeDirectory::builder().name_server(dns.address()).build().expect("a directory");
    let node = TestNode::start("bb.com", &["laura", "pere"], directory).await;
    let (laura, _events) = node.agent("laura").start().await.expect("laura registers");
    let nowhere = tokio::spawn({
        let laura = laura.clone();
        async move { laura.locate(address("joya@cc.com")).await }
    });
    while dns.queries() == 0 {
        tokio::task::yield_now().await;
    }
    // While DNS is silent, others are served.
    let error = laura.locate(address("pere@bb.com")).await.expect_err("pere is offline");
    assert!(matches!(error, LocateError::Offline));
    node.stop().await;
    nowhere.await.expect("no panic").expect_err("the node is gone");
}

fn address(text: &str) -> MiAddress {
    text.parse().expect("an address")
}

/// The agent of laura@bb.com, registered by a test that stands for its node, and where it is. It takes no
/// calls.
async fn registered_at(node: &UdpSocket) -> (Agent, SocketAddr) {
    let start = Agent::builder(address("laura@bb.com")).node(local_address(node)).start();
    let serving = async {
        let (_, laura) = node.recv_from(&mut [0; 100]).await.expect("PR");
        node.send_to(b"RR0", laura).await.expect("sent");
        laura
    };
    let (started, at) = tokio::join!(start, serving);
    (started.expect("registered").0, at)
}

async fn tell(socket: &UdpSocket, message: &str) {
    socket.send(message.as_bytes()).await.expect("sent");
}

async fn hear(socket: &UdpSocket, expected: &str) {
    let mut buffer = [0; 100];
    let length = socket.recv(&mut buffer).await.expect("a message");
    assert_eq!(String::from_utf8_lossy(&buffer[..length]), expected);
}
