//! The captured exchange of protocol.md §8, message by message.

use integration_tests::network::{TestNode, directory, local_address, sockets_with_one_port};
use integration_tests::trace::Trace;
use integration_tests::wire::Wire;
use mi_agent_core::{Agent, Event, LumiAnswer, LumiRequest};
use plumi_proto::{DeregisterCode, LocateOutcome, RegisterCode};

/// The logs of the four hosts, as the capture has them between its first and its last line.
const LOGS: [(&str, &[&str]); 4] = [
    (
        "u1@PC-c",
        &[
            "E: 10.100.100.103:UDP:3344, PRu1@PC-c, 9",
            "R: 10.100.100.103:UDP:3344, RR0, 3",
            "E: 10.100.100.103:UDP:3344, PLu1@PC-c:u2@PC-d, 17",
            "R: 10.100.100.103:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39",
            "E: 10.100.100.103:UDP:3344, PDu1@PC-c, 9",
            "R: 10.100.100.103:UDP:3344, RD0, 3",
        ],
    ),
    (
        "PC-c",
        &[
            "R: 10.100.100.101:UDP:51189, PRu1@PC-c, 9",
            "E: 10.100.100.101:UDP:51189, RR0, 3",
            "R: 10.100.100.101:UDP:51189, PLu1@PC-c:u2@PC-d, 17",
            "E: 10.100.100.104:UDP:3344, PLu1@PC-c:u2@PC-d, 17",
            "R: 10.100.100.104:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39",
            "E: 10.100.100.101:UDP:51189, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39",
            "R: 10.100.100.101:UDP:51189, PDu1@PC-c, 9",
            "E: 10.100.100.101:UDP:51189, RD0, 3",
        ],
    ),
    (
        "PC-d",
        &[
            "R: 10.100.100.102:UDP:43545, PRu2@PC-d, 9",
            "E: 10.100.100.102:UDP:43545, RR0, 3",
            "R: 10.100.100.103:UDP:3344, PLu1@PC-c:u2@PC-d, 17",
            "E: 10.100.100.102:UDP:43545, PLu1@PC-c:u2@PC-d, 17",
            "R: 10.100.100.102:UDP:43545, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39",
            "E: 10.100.100.103:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39",
            "R: 10.100.100.102:UDP:43545, PDu2@PC-d, 9",
            "E: 10.100.100.102:UDP:43545, RD0, 3",
        ],
    ),
    (
        "u2@PC-d",
        &[
            "E: 10.100.100.104:UDP:3344, PRu2@PC-d, 9",
            "R: 10.100.100.104:UDP:3344, RR0, 3",
            "R: 10.100.100.104:UDP:3344, PLu1@PC-c:u2@PC-d, 17",
            "E: 10.100.100.104:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39",
            "E: 10.100.100.104:UDP:3344, PDu2@PC-d, 9",
            "R: 10.100.100.104:UDP:3344, RD0, 3",
        ],
    ),
];

/// The state machines, at the addresses of the capture: the logs are equal to the byte.
#[test]
fn the_state_machines_write_the_captured_logs() {
    let (u1, u2) = ("10.100.100.101:51189", "10.100.100.102:43545");
    let mut wire = Wire::new();
    wire.add_node("10.100.100.103:3344", "PC-c\nu1\n");
    wire.add_node("10.100.100.104:3344", "PC-d\nu2\n");
    wire.add_agent(u1, "u1@PC-c", "10.100.100.101:43037");
    wire.add_agent(u2, "u2@PC-d", "10.100.100.102:43038");
    let registered = Some(LumiAnswer::Register(RegisterCode::Registered));
    let deregistered = Some(LumiAnswer::Deregister(DeregisterCode::Deregistered));

    for agent in [u1, u2] {
        let id = wire.request(agent, LumiRequest::Register);
        assert_eq!(wire.answer(agent, id), registered);
    }
    let id = wire.request(u1, LumiRequest::Locate("u2@PC-d".parse().expect("an address")));
    match wire.answer(u1, id) {
        Some(LumiAnswer::Locate { outcome: LocateOutcome::Found(at), .. }) => {
            assert_eq!(at.to_string(), "10.100.100.102:43038");
        }
        answer => panic!("{answer:?}"),
    }
    for agent in [u1, u2] {
        let id = wire.request(agent, LumiRequest::Deregister);
        assert_eq!(wire.answer(agent, id), deregistered);
    }
    for (party, log) in LOGS {
        assert_eq!(wire.log(party), log, "{party}");
    }
}

/// Nodes and agents on real sockets: the logs are equal but for addresses and ports.
#[tokio::test]
async fn nodes_and_agents_write_the_captured_logs() {
    let trace = Trace::start();
    let (c_socket, d_socket) = sockets_with_one_port().await;
    let (c, d) = (local_address(&c_socket), local_address(&d_socket));
    let directory = directory(&[("PC-c", c), ("PC-d", d)]);
    let node_c = TestNode::start_on(c_socket, "PC-c", &["u1"], directory.clone()).await;
    let node_d = TestNode::start_on(d_socket, "PC-d", &["u2"], directory.clone()).await;

    let start = |address: &str| {
        Agent::builder(address.parse().expect("an address")).directory(directory.clone()).start()
    };
    let (u1, _u1_events) = start("u1@PC-c").await.expect("u1 registers");
    let (u2, mut u2_events) = start("u2@PC-d").await.expect("u2 registers");
    let listening = u2.listening().to_string();

    let u1_talks = u1.call(u2.address()).await.expect("a conversation");
    let Some(Event::Incoming(u1_calls)) = u2_events.next().await else { panic!("no call") };
    let mut u2_talks = u1_calls.accept().expect("a conversation");
    assert_eq!((u1_talks.peer().nickname.raw(), u2_talks.peer().nickname.raw()), ("u2", "u1"));
    u1_talks.send("Hola u2!").await.expect("sent");
    assert_eq!(u2_talks.next_line().await.expect("no loss").expect("a line"), "Hola u2!");
    drop(u1_talks);
    assert_eq!(u2_talks.next_line().await.expect("no loss"), None);

    u1.shutdown().await.expect("u1 deregisters");
    u2.shutdown().await.expect("u2 deregisters");
    node_c.stop().await;
    node_d.stop().await;

    // The agents' ports, as their nodes saw them.
    let agent_of = |domain| trace.lines(domain)[0].split(", ").next().expect("a remote")[3..].to_owned();
    let (u1_remote, u2_remote) = (agent_of("PC-c"), agent_of("PC-d"));
    let length = "RL0u1@PC-c:u2@PC-d:".len() + listening.len();
    for (party, captured) in LOGS {
        let expected: Vec<_> = captured
            .iter()
            .map(|line| {
                line.replace("10.100.100.102:43038, 39", &format!("{listening}, {length}"))
                    .replace("10.100.100.101:UDP:51189", &u1_remote)
                    .replace("10.100.100.102:UDP:43545", &u2_remote)
                    .replace("10.100.100.103:UDP:3344", &format!("{}:UDP:{}", c.ip(), c.port()))
                    .replace("10.100.100.104:UDP:3344", &format!("{}:UDP:{}", d.ip(), d.port()))
            })
            .collect();
        assert_eq!(trace.lines(party), expected, "{party}");
    }
}
