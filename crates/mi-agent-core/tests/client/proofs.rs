//! Each state of protocol.md §12 × each answer of the node, with a made-up clock.

use mi_agent_core::{ExpectedSource, ProofSettings, SeenElsewhere};
use plumi_proto::{Challenge, Nonce, UdpAddress, Verb};

use super::*;

mod leaving;

const OTHER_NODE: &str = "127.0.0.3:3344";
const ASK: &str = "PRlaura@bb.com:A................";
const ASK_TO_LEAVE: &str = "PDlaura@bb.com:A................";
const OWN: &str = "192.0.2.5:4000";

/// A client that has a key.
fn proving(is_enrolled: bool) -> TestClient {
    proving_with(is_enrolled, |_| {})
}

fn proving_with(is_enrolled: bool, set: impl Fn(&mut ClientSettings)) -> TestClient {
    TestClient::with(|settings| {
        let own = socket(OWN);
        let source = ExpectedSource { ip: *own.ip(), port: own.port(), is_any_port: false };
        let mut proofs = ProofSettings::new(Some(source), 7);
        proofs.is_enrolled = is_enrolled;
        settings.proofs = Some(proofs);
        set(settings);
    })
}

fn challenge_of(number: u8, seen: &str) -> Challenge {
    let seen = socket(seen);
    Challenge { nonce: Nonce::new([number; 12]), seen: UdpAddress::new(*seen.ip(), seen.port()) }
}

fn challenge(verb: Verb, challenge: Challenge) -> String {
    let (code, extension) = (RegisterCode::NoSuchUser, challenge.extension());
    let message = match verb {
        Verb::Register => Message::RegisterReply { code, extension },
        Verb::Deregister => Message::DeregisterReply { code: DeregisterCode::NoSuchUser, extension },
    };
    String::from_utf8(message.encode().to_vec()).expect("ASCII")
}

/// The question of a node in its `number`th answer.
fn asks_for_proof(number: u8) -> String {
    challenge(Verb::Register, challenge_of(number, OWN))
}

fn proves(node: &str, verb: Verb, number: u8) -> LumiOutput {
    LumiOutput::Prove { node: socket(node).into(), verb, challenge: challenge_of(number, OWN) }
}

fn registered() -> LumiAnswer {
    LumiAnswer::Register(RegisterCode::Registered)
}

/// A client with a proved registration.
fn proved() -> TestClient {
    let mut client = proving(true);
    client.request(LumiRequest::Register, ASK);
    client.receive(NODE, &asks_for_proof(1));
    assert_eq!(client.receive(NODE, "RR0").len(), 2);
    assert!(client.client.may_be_registered());
    client
}

/// Lets time pass until something happens.
fn wait(client: &mut TestClient) -> Vec<LumiOutput> {
    let due = client.client.poll_timeout().expect("something is due");
    client.since = due - client.start;
    client.timeout()
}

#[test]
fn an_enrolled_user_asks_proves_and_is_registered() {
    let mut client = proving(true);
    let id = client.request(LumiRequest::Register, ASK);
    assert_eq!(client.receive(NODE, &asks_for_proof(1)), [proves(NODE, Verb::Register, 1)]);
    assert!(client.client.may_be_registered());
    let ended = client.receive(NODE, "RR0");
    assert_eq!(ended, [LumiOutput::Proved, LumiOutput::Done(id, registered())]);
    assert_eq!(client.client.strays(), 0);
    client.pass_to(60.0);
    assert_eq!(client.timeout(), [sends("PRlaura@bb.com")], "a refresh is plain");
    assert_eq!(client.receive(NODE, "RR0"), []);
}

#[test]
fn each_of_both_messages_is_sent_five_times_a_second_apart() {
    let mut client = proving(true);
    let id = client.request(LumiRequest::Register, ASK);
    for second in 1..5 {
        client.pass_to(f64::from(second) - 0.001);
        assert_eq!(client.timeout(), []);
        client.pass_to(f64::from(second));
        assert_eq!(client.timeout(), [sends(ASK)], "second {second}");
    }
    client.pass_to(4.9);
    let proof = [proves(NODE, Verb::Register, 1)];
    assert_eq!(client.receive(NODE, &asks_for_proof(1)), proof);
    for second in 1..5 {
        client.pass_to(4.9 + f64::from(second) - 0.001);
        assert_eq!(client.timeout(), []);
        client.pass_to(4.9 + f64::from(second));
        assert_eq!(client.timeout(), proof, "second {second}");
    }
    client.pass_to(9.9);
    assert_eq!(client.timeout(), [LumiOutput::Done(id, LumiAnswer::None)]);
    assert!(client.client.is_idle());
}

#[test]
fn a_node_that_does_not_answer_is_asked_five_times() {
    let mut client = proving(true);
    let id = client.request(LumiRequest::Register, ASK);
    let sent: Vec<_> = (0..4).flat_map(|_| wait(&mut client)).collect();
    assert_eq!(sent, [sends(ASK); 4]);
    assert_eq!(wait(&mut client), [LumiOutput::Done(id, LumiAnswer::None)]);
    assert_eq!(client.client.poll_timeout(), None);
}

#[test]
fn a_user_who_has_not_enrolled_asks_once_the_plain_form_is_refused() {
    let mut client = proving(false);
    let id = client.request(LumiRequest::Register, "PRlaura@bb.com");
    assert_eq!(client.receive(NODE, &asks_for_proof(1)), [], "nobody asked for it");
    assert_eq!(client.client.strays(), 1);
    assert_eq!(client.receive(NODE, "RR1"), [sends(ASK)]);
    assert_eq!(client.receive(NODE, &asks_for_proof(2)), [proves(NODE, Verb::Register, 2)]);
    assert_eq!(client.receive(NODE, "RR0"), [LumiOutput::Proved, LumiOutput::Done(id, registered())]);
    // A proof shows that it has enrolled.
    client.request(LumiRequest::Deregister, ASK_TO_LEAVE);
}

#[test]
fn a_user_who_has_not_enrolled_registers_plainly_where_no_proof_is_wanted() {
    let mut client = proving(false);
    let id = client.request(LumiRequest::Register, "PRlaura@bb.com");
    assert_eq!(client.receive(NODE, "RR0"), [LumiOutput::Done(id, registered())]);
    client.request(LumiRequest::Deregister, "PDlaura@bb.com");
}

#[test]
fn without_a_key_or_with_the_bare_form_nothing_is_ever_asked() {
    let mut client = TestClient::new();
    let refused = LumiAnswer::Register(RegisterCode::NoSuchUser);
    let id = client.request(LumiRequest::Register, "PRlaura@bb.com");
    assert_eq!(client.receive(NODE, &asks_for_proof(1)), []);
    assert_eq!(client.receive(NODE, "RR1"), [LumiOutput::Done(id, refused)]);
    for is_enrolled in [false, true] {
        let mut client = proving_with(is_enrolled, |settings| settings.bare = true);
        let id = client.request(LumiRequest::Register, "PRlaura");
        assert_eq!(client.receive(NODE, "RR1"), [LumiOutput::Done(id, refused)]);
    }
}

/// Another copy of the first refusal may come after the question.
#[test]
fn a_refusal_without_a_challenge_ends_the_start() {
    let mut client = proving(true);
    let id = client.request(LumiRequest::Register, ASK);
    assert_eq!(client.receive(NODE, "RR1"), [LumiOutput::Done(id, LumiAnswer::NotAdmitted)]);
    assert!(!client.client.may_be_registered());

    let mut client = proving(false);
    let id = client.request(LumiRequest::Register, "PRlaura@bb.com");
    assert_eq!(client.receive(NODE, "RR1"), [sends(ASK)]);
    assert_eq!(client.receive(NODE, "RR1"), []);
    assert_eq!(client.receive(NODE, "RR1"), []);
    client.pass_to(0.249);
    assert_eq!(client.timeout(), []);
    client.pass_to(0.25);
    assert_eq!(client.timeout(), [LumiOutput::Done(id, LumiAnswer::NotAdmitted)]);

    // Or the node does not answer what it does not know.
    let mut client = proving(false);
    let id = client.request(LumiRequest::Register, "PRlaura@bb.com");
    client.receive(NODE, "RR1");
    let sent: Vec<_> = (0..4).flat_map(|_| wait(&mut client)).collect();
    assert_eq!(sent, [sends(ASK); 4]);
    assert_eq!(wait(&mut client), [LumiOutput::Done(id, LumiAnswer::NotAdmitted)]);

    let mut client = proving(false);
    client.request(LumiRequest::Register, "PRlaura@bb.com");
    client.receive(NODE, "RR1");
    client.receive(NODE, "RR1");
    assert_eq!(client.receive(NODE, &asks_for_proof(1)), [proves(NODE, Verb::Register, 1)]);
}

#[test]
fn a_node_that_asks_for_no_proof_registers_and_is_told() {
    let mut client = proving(true);
    let id = client.request(LumiRequest::Register, ASK);
    let ended = client.receive(NODE, "RR0");
    assert_eq!(ended, [LumiOutput::Unproved, LumiOutput::Done(id, registered())]);
}

/// Each row: where the node saw this client, where it should, and whether that is the same.
#[test]
fn a_challenge_of_a_node_that_sees_another_source_is_not_signed() {
    let at = |text: &str, is_any_port| {
        let at = socket(text);
        Some(ExpectedSource { ip: *at.ip(), port: at.port(), is_any_port })
    };
    for (seen, source, is_same) in [
        (OWN, at(OWN, false), true),
        ("192.0.2.5:4001", at(OWN, false), false),
        ("192.0.2.6:4000", at(OWN, false), false),
        ("192.0.2.5:9", at(OWN, true), true),
        ("192.0.2.6:4000", at(OWN, true), false),
        ("203.0.113.9:9", None, true),
    ] {
        for verb in [Verb::Register, Verb::Deregister] {
            let mut client = proving_with(true, |settings| {
                settings.proofs.as_mut().expect("it proves").source = source;
            });
            let (kind, ask) = match verb {
                Verb::Register => (LumiRequest::Register, ASK),
                Verb::Deregister => (LumiRequest::Deregister, ASK_TO_LEAVE),
            };
            let id = client.request(kind, ask);
            let challenge_here = challenge_of(1, seen);
            let told = client.receive(NODE, &challenge(verb, challenge_here));
            if is_same {
                let node = socket(NODE).into();
                assert_eq!(told, [LumiOutput::Prove { node, verb, challenge: challenge_here }]);
            } else {
                let source = source.expect("it is compared");
                let own = UdpAddress::new(source.ip, source.port);
                let elsewhere = SeenElsewhere { seen: challenge_here.seen, own };
                assert_eq!(told, [LumiOutput::Done(id, LumiAnswer::SeenElsewhere(elsewhere))], "{seen}");
            }
        }
    }
    let mut client = proving(true);
    client.client.set_own_ip("192.0.2.9".parse().expect("an IP"));
    client.request(LumiRequest::Register, ASK);
    let moved = challenge_of(1, "192.0.2.9:4000");
    let told = client.receive(NODE, &challenge(Verb::Register, moved));
    assert!(matches!(told[..], [LumiOutput::Prove { .. }]), "this host has moved: {told:?}");
}

/// While a proof is under way: each answer, and whether it counts.
#[test]
fn while_it_proves_only_the_sender_of_the_challenge_is_heard() {
    for (from, answer, strays) in [
        (NODE, asks_for_proof(9), 0),
        (NODE, asks_for_proof(1), 0),
        (NODE, "RD0".into(), 1),
        (NODE, "RD1".into(), 1),
        (NODE, challenge(Verb::Deregister, challenge_of(1, OWN)), 1),
        (NODE, "PRlaura@bb.com".into(), 1),
        (OTHER_NODE, "RR0".into(), 1),
        (OTHER_NODE, "RR1".into(), 1),
        (OTHER_NODE, asks_for_proof(3), 1),
        (STRANGER, "RR0".into(), 1),
        (STRANGER, "RR1".into(), 1),
    ] {
        let mut client = proving(true);
        let id = client.request(LumiRequest::Register, ASK);
        client.client.handle_found(client.now(), &[socket(NODE).into(), socket(OTHER_NODE).into()]);
        client.receive(NODE, &asks_for_proof(1));
        assert_eq!(client.receive(from, &answer), [], "{answer} of {from}");
        assert_eq!(client.client.strays(), strays, "{answer} of {from}");
        client.pass_to(1.0);
        assert_eq!(client.timeout(), [proves(NODE, Verb::Register, 1)], "the same proof again");
        let ended = client.receive(NODE, "RR0");
        assert_eq!(ended, [LumiOutput::Proved, LumiOutput::Done(id, registered())]);
    }
}

#[test]
fn a_refused_proof_is_followed_by_another_question_up_to_five_times() {
    let mut client = proving(true);
    let id = client.request(LumiRequest::Register, ASK);
    for number in 1..=5 {
        let proof = [proves(NODE, Verb::Register, number)];
        assert_eq!(client.receive(NODE, &asks_for_proof(number)), proof);
        assert_eq!(client.receive(NODE, "RR1"), []);
        let strays = client.client.strays();
        assert_eq!(client.receive(NODE, "RR1"), [], "its copy");
        assert_eq!(client.receive(NODE, &asks_for_proof(99)), [], "a challenge while nothing was asked");
        assert_eq!(client.client.strays(), strays + 2);
        let before = client.since;
        assert_eq!(wait(&mut client), [sends(ASK)]);
        let pause = (client.since - before).as_millis();
        assert!((50..=500).contains(&pause), "{pause} ms");
    }
    client.receive(NODE, &asks_for_proof(6));
    assert_eq!(client.receive(NODE, "RR1"), [LumiOutput::Done(id, LumiAnswer::KeyNotKnown)]);
    assert!(!client.client.may_be_registered());
    assert!(client.client.is_idle());
}

#[test]
fn refused_proofs_end_after_ten_seconds_and_their_pauses_differ() {
    let mut client = proving(true);
    let id = client.request(LumiRequest::Register, ASK);
    client.receive(NODE, &asks_for_proof(1));
    client.receive(NODE, "RR1");
    wait(&mut client);
    client.receive(NODE, &asks_for_proof(2));
    client.pass_to(10.5);
    assert_eq!(client.receive(NODE, "RR1"), [LumiOutput::Done(id, LumiAnswer::KeyNotKnown)]);

    let pauses = |seed| {
        let mut client =
            proving_with(true, |settings| settings.proofs.as_mut().expect("it proves").seed = seed);
        client.request(LumiRequest::Register, ASK);
        let mut pauses = Vec::new();
        for number in 1..=4 {
            client.receive(NODE, &asks_for_proof(number));
            let before = client.since;
            client.receive(NODE, "RR1");
            wait(&mut client);
            pauses.push(client.since - before);
        }
        pauses
    };
    assert_ne!(pauses(1), pauses(2));
    assert_eq!(pauses(1), pauses(1));
}

/// A copy of the refusal comes so late that the next question has been asked.
#[test]
fn a_late_refusal_of_a_proof_is_no_refusal_of_the_question() {
    let mut client = proving(true);
    let id = client.request(LumiRequest::Register, ASK);
    client.receive(NODE, &asks_for_proof(1));
    client.receive(NODE, "RR1");
    assert_eq!(wait(&mut client), [sends(ASK)]);
    assert_eq!(client.receive(NODE, "RR1"), []);
    assert_eq!(wait(&mut client), [sends(ASK)]);
    client.receive(NODE, &asks_for_proof(2));
    let ended = client.receive(NODE, "RR0");
    assert_eq!(ended, [LumiOutput::Proved, LumiOutput::Done(id, registered())]);
}

#[test]
fn proofs_go_to_one_address_and_the_next_one_is_asked_first() {
    let mut client = proving(true);
    let id = client.request(LumiRequest::Register, ASK);
    client.client.handle_found(client.now(), &[socket(NODE).into(), socket(OTHER_NODE).into()]);
    client.receive(NODE, &asks_for_proof(1));
    for _ in 0..4 {
        assert_eq!(wait(&mut client), [proves(NODE, Verb::Register, 1)]);
    }
    assert_eq!(client.client.node(), socket(NODE).into());
    assert_eq!(wait(&mut client), [sends(ASK)]);
    assert_eq!(client.client.node(), socket(OTHER_NODE).into());
    assert_eq!(client.receive(OTHER_NODE, &asks_for_proof(2)), [proves(OTHER_NODE, Verb::Register, 2)]);
    for _ in 0..4 {
        assert_eq!(wait(&mut client), [proves(OTHER_NODE, Verb::Register, 2)]);
    }
    assert_eq!(wait(&mut client), [LumiOutput::Done(id, LumiAnswer::None)], "each address has had its turn");
}

#[test]
fn a_question_that_is_not_answered_goes_to_the_next_address() {
    let mut client = proving(true);
    client.request(LumiRequest::Register, ASK);
    client.client.handle_found(client.now(), &[socket(NODE).into(), socket(OTHER_NODE).into()]);
    assert_eq!(wait(&mut client), [sends(ASK)]);
    assert_eq!(client.client.node(), socket(OTHER_NODE).into());
    assert_eq!(client.receive(NODE, &asks_for_proof(1)), [proves(NODE, Verb::Register, 1)], "a late one");
    assert_eq!(client.client.node(), socket(NODE).into());
}

#[test]
fn a_refused_refresh_is_proved() {
    let mut client = proved();
    client.pass_to(60.0);
    assert_eq!(client.timeout(), [sends("PRlaura@bb.com")]);
    assert_eq!(client.receive(NODE, "RR1"), [sends(ASK)]);
    assert!(client.client.may_be_registered());
    assert_eq!(client.receive(NODE, &asks_for_proof(2)), [proves(NODE, Verb::Register, 2)]);
    assert_eq!(client.receive(NODE, "RR0"), [LumiOutput::Proved], "nobody notices");
    client.pass_to(119.9);
    assert_eq!(client.timeout(), []);
    client.pass_to(120.0);
    assert_eq!(client.timeout(), [sends("PRlaura@bb.com")]);
}

/// Each row: how a refresh that is to be proved ends, and what is reported.
#[test]
fn a_registration_that_cannot_be_proved_any_more_is_lost_and_regained() {
    let elsewhere = challenge_of(2, "203.0.113.9:9");
    let own = socket(OWN);
    let reason = SeenElsewhere { seen: elsewhere.seen, own: UdpAddress::new(*own.ip(), own.port()) };
    let is_loss = |output: &LumiOutput| matches!(output, LumiOutput::Registration(_));
    for (answers, lost) in [
        (vec!["RR1".to_owned()], LossReason::NoSuchUser),
        (vec![challenge(Verb::Register, elsewhere)], LossReason::SeenElsewhere(reason)),
        (vec![[asks_for_proof(2), "RR1".into()]; 6].concat(), LossReason::KeyNotKnown),
        (vec![], LossReason::NoSuchUser),
        (vec![asks_for_proof(2)], LossReason::NoAnswer),
    ] {
        let mut client = proved();
        client.pass_to(60.0);
        client.timeout();
        assert_eq!(client.receive(NODE, "RR1"), [sends(ASK)]);
        let mut told = Vec::new();
        for answer in answers {
            told.extend(client.receive(NODE, &answer));
            if answer == "RR1" && !told.iter().any(is_loss) {
                told.extend(wait(&mut client));
            }
        }
        while !told.iter().any(is_loss) {
            told.extend(wait(&mut client));
        }
        let losses: Vec<_> = told.iter().filter(|output| is_loss(output)).collect();
        assert_eq!(losses, [&LumiOutput::Registration(RegistrationChange::Lost(lost))]);
        let since = client.since;
        assert_eq!(wait(&mut client), [sends("PRlaura@bb.com")], "{lost:?}");
        assert!(client.since - since <= RETRY);
        client.receive(NODE, "RR1");
        client.receive(NODE, &asks_for_proof(9));
        let regained = LumiOutput::Registration(RegistrationChange::Regained);
        assert_eq!(client.receive(NODE, "RR0"), [LumiOutput::Proved, regained]);
    }
}

#[test]
fn a_user_of_a_node_that_gets_a_key_later_proves_it() {
    let mut client = proving(false);
    client.request(LumiRequest::Register, "PRlaura@bb.com");
    client.receive(NODE, "RR0");
    client.pass_to(60.0);
    client.timeout();
    assert_eq!(client.receive(NODE, "RR1"), [sends(ASK)]);
    client.receive(NODE, &asks_for_proof(1));
    assert_eq!(client.receive(NODE, "RR0"), [LumiOutput::Proved]);
}

#[test]
fn a_host_that_moves_asks_at_once() {
    let mut client = proved();
    client.pass_to(3.0);
    client.client.handle_moved(client.now());
    assert_eq!(client.drain(), [sends(ASK)]);
    client.receive(NODE, &asks_for_proof(2));
    client.client.handle_moved(client.now());
    assert_eq!(client.drain(), [sends(ASK)], "the proof of the old address is void");
    client.client.handle_found(client.now(), &[socket(OTHER_NODE).into()]);
    assert_eq!(client.drain(), [], "the node answers");
    client.pass_to(5.0);
    client.client.handle_found(client.now(), &[socket(OTHER_NODE).into()]);
    assert_eq!(client.drain(), [sends(ASK)]);
    assert_eq!(client.client.node(), socket(OTHER_NODE).into());
}

#[test]
fn a_location_request_is_accompanied_by_a_proof_if_the_node_wants_one() {
    let mut client = proved();
    client.pass_to(10.0);
    let locate = LumiRequest::Locate(address("joya@cc.com"));
    client.client.request(client.now(), locate, None);
    assert_eq!(client.drain(), [sends("PRlaura@bb.com"), sends("PLlaura@bb.com:joya@cc.com")]);
    assert_eq!(client.receive(NODE, "RR1"), [sends(ASK)]);
    assert_eq!(client.receive(NODE, &asks_for_proof(2)), [proves(NODE, Verb::Register, 2)]);
    client.receive(NODE, "RR0");
    client.pass_to(11.0);
    let second = client.timeout();
    assert_eq!(second.last(), Some(&sends("PLlaura@bb.com:joya@cc.com")));
}
