//! Hosts move: the agent's own, and its node's.

use plumi_proto::NodeAddress;

use super::*;

const PR: &str = "PRlaura@bb.com";
const PL: &str = "PLlaura@bb.com:joya@cc.com";
const SECOND: &str = "127.0.0.22:3344";
const THIRD: &str = "127.0.0.23:3344";

#[test]
fn a_silent_node_is_tried_at_its_next_address_with_each_repetition() {
    let mut client = TestClient::new();
    found(&mut client, &[NODE, SECOND, THIRD]);
    let id = client.request(LumiRequest::Register, PR);
    let mut tried = vec![client.client.node()];
    for second in 1..=4 {
        client.pass_to(f64::from(second));
        assert_eq!(client.timeout(), [sends(PR)]);
        tried.push(client.client.node());
    }
    assert_eq!(tried, [NODE, SECOND, THIRD, NODE, SECOND].map(node));
    // The answer of an earlier one is late. From now on that is the node.
    let registered = LumiAnswer::Register(RegisterCode::Registered);
    assert_eq!(client.receive(STRANGER, "RR0"), []);
    assert_eq!(client.receive(THIRD, "RR0"), [LumiOutput::Done(id, registered)]);
    assert_eq!(client.client.node(), node(THIRD));
    assert_eq!(client.client.registered_at().expect("registered").node, node(THIRD));
}

/// The host at the next address does not have the user as online.
#[test]
fn a_location_at_the_next_address_follows_a_registration_there() {
    let mut client = registered(&[NODE, SECOND]);
    client.pass_to(30.0);
    client.client.request(client.now(), LumiRequest::Locate(address("joya@cc.com")), None);
    assert_eq!(client.drain(), [sends(PR), sends(PL)]);
    client.pass_to(31.0);
    assert_eq!(client.timeout(), [sends(PR), sends(PL)]);
    assert_eq!(client.client.node(), node(SECOND));
    client.pass_to(31.25);
    assert_eq!(client.receive(SECOND, "RR0"), []);
    client.pass_to(32.0);
    assert_eq!(client.timeout(), [sends(PL)]);
    assert_eq!(client.client.node(), node(SECOND), "this one answers: the peer is silent");
    assert_eq!(client.receive(SECOND, "RL1laura@bb.com:joya@cc.com").len(), 1);
}

/// Its `PR` may be due later than that of the location.
#[test]
fn a_registration_goes_to_the_next_address_at_once() {
    let mut client = registered(&[NODE, SECOND]);
    client.pass_to(60.0);
    assert_eq!(client.timeout(), [sends(PR)]);
    client.pass_to(60.5);
    client.client.request(client.now(), LumiRequest::Locate(address("joya@cc.com")), None);
    assert_eq!(client.drain(), [sends(PL)]);
    client.pass_to(61.0);
    assert_eq!((client.timeout(), client.client.node()), (vec![sends(PR)], node(SECOND)));
    client.pass_to(61.5);
    assert_eq!(
        (client.timeout(), client.client.node()),
        (vec![sends(PL)], node(SECOND)),
        "half a second later"
    );
    client.pass_to(62.0);
    assert_eq!((client.timeout(), client.client.node()), (vec![sends(PR)], node(NODE)));
    client.pass_to(62.5);
    assert_eq!(client.timeout(), [sends(PL)]);
    client.pass_to(62.75);
    assert_eq!(client.receive(NODE, "RR0"), []);
    client.pass_to(63.5);
    assert_eq!((client.timeout(), client.client.node()), (vec![sends(PL)], node(NODE)));
}

#[test]
fn a_silent_node_is_looked_up_every_five_seconds() {
    let mut client = TestClient::with(|settings| settings.finds_node = true);
    client.request(LumiRequest::Register, PR);
    client.receive(NODE, "RR0");
    let mut looked_up = Vec::new();
    for second in 60..=90 {
        client.pass_to(f64::from(second));
        if client.timeout().contains(&LumiOutput::FindNode) {
            looked_up.push(second);
        }
    }
    assert_eq!(looked_up, [61, 70, 75, 80, 85, 90]);
    // It answers again, so there is nothing to be found.
    client.receive(NODE, "RR0");
    client.pass_to(150.0);
    assert_eq!(client.timeout(), [sends(PR)]);
}

#[test]
fn a_node_that_has_moved_is_asked_at_once() {
    let mut client = TestClient::with(|settings| settings.finds_node = true);
    client.request(LumiRequest::Register, PR);
    client.receive(NODE, "RR0");
    client.pass_to(60.0);
    assert_eq!(client.timeout(), [sends(PR)]);
    client.pass_to(61.0);
    assert_eq!(client.timeout(), [LumiOutput::FindNode, sends(PR)]);
    client.pass_to(61.25);
    assert_eq!(found(&mut client, &[]), [], "the name servers do not answer");
    assert_eq!(found(&mut client, &[NODE]), [], "it has not moved");
    assert_eq!(found(&mut client, &[SECOND]), [sends(PR)]);
    assert_eq!(client.receive(NODE, "RR0"), [], "that is no address of it any more");
    assert_eq!(client.client.strays(), 1);
    assert_eq!(client.receive(SECOND, "RR0"), []);
    assert_eq!(client.client.registered_at().expect("registered").node, node(SECOND));
}

/// Deployed agents stay as well, and the host that has the user as online is there.
#[test]
fn a_node_that_answers_is_not_left() {
    let mut client = registered(&[NODE]);
    client.pass_to(0.5);
    assert_eq!(found(&mut client, &[SECOND]), []);
    assert_eq!(client.client.node(), node(NODE));
    client.pass_to(60.0);
    assert_eq!(client.timeout(), [sends(PR)]);
    client.pass_to(61.0);
    assert_eq!((client.timeout(), client.client.node()), (vec![sends(PR)], node(SECOND)));
}

#[test]
fn a_user_whose_host_has_moved_registers_at_once() {
    let listening = MiSocketAddress::new(socket("127.0.0.5:3500")).expect("a port");
    let mut client = registered(&[NODE]);
    client.client.set_listening(listening);
    assert_ne!(client.client.registered_at().expect("registered").listening, listening);
    client.client.handle_moved(client.now());
    assert_eq!(client.drain(), [sends(PR)], "though one has just been sent");
    assert_eq!(client.receive(NODE, "RR0"), []);
    assert_eq!(client.client.registered_at().expect("registered").listening, listening);
    assert_eq!(
        client.receive(NODE, "PLjoya@cc.com:laura@bb.com"),
        [sends("RL0joya@cc.com:laura@bb.com:127.0.0.5:3500")]
    );
}

#[test]
fn who_is_not_registered_moves_unseen() {
    let mut client = TestClient::new();
    client.client.handle_moved(client.now());
    assert_eq!(client.drain(), []);
    assert_eq!(found(&mut client, &[SECOND]), []);
    assert_eq!(client.client.node(), node(SECOND));
}

fn registered(nodes: &[&str]) -> TestClient {
    let mut client = TestClient::new();
    found(&mut client, nodes);
    client.request(LumiRequest::Register, PR);
    assert_eq!(client.receive(NODE, "RR0").len(), 1);
    client
}

fn found(client: &mut TestClient, nodes: &[&str]) -> Vec<LumiOutput> {
    let nodes: Vec<_> = nodes.iter().map(|at| node(at)).collect();
    client.client.handle_found(client.now(), &nodes);
    client.drain()
}

fn node(at: &str) -> NodeAddress {
    socket(at).into()
}
