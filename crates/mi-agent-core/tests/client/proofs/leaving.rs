//! Deregistrations that are proved, and random events up to the end of every request.

use super::*;

#[test]
fn a_deregistration_is_proved() {
    let mut client = proved();
    let id = client.request(LumiRequest::Deregister, ASK_TO_LEAVE);
    let asked = challenge(Verb::Deregister, challenge_of(3, OWN));
    assert_eq!(client.receive(NODE, &asks_for_proof(2)), [], "another verb");
    assert_eq!(client.receive(NODE, &asked), [proves(NODE, Verb::Deregister, 3)]);
    client.pass_to(1.0);
    assert_eq!(client.timeout(), [proves(NODE, Verb::Deregister, 3)]);
    assert_eq!(client.receive(NODE, "RR0"), []);
    let deregistered = LumiAnswer::Deregister(DeregisterCode::Deregistered);
    assert_eq!(client.receive(NODE, "RD0"), [LumiOutput::Done(id, deregistered)]);
    assert!(client.client.is_idle());
    assert_eq!(client.client.poll_timeout(), None);
}

#[test]
fn a_deregistration_without_a_challenge_has_both_outcomes() {
    for (answer, code) in [("RD0", DeregisterCode::Deregistered), ("RD1", DeregisterCode::NoSuchUser)] {
        let mut client = proved();
        let id = client.request(LumiRequest::Deregister, ASK_TO_LEAVE);
        assert_eq!(client.receive(NODE, answer), [LumiOutput::Done(id, LumiAnswer::Deregister(code))]);
    }
}

#[test]
fn in_a_hurry_two_questions_and_two_proofs_share_the_time_of_two_requests() {
    let mut client = proved();
    let id = client.client.request(client.now(), LumiRequest::Deregister, Some(hurried()));
    let mut sent = vec![(0, client.drain())];
    let asked = challenge(Verb::Deregister, challenge_of(3, OWN));
    sent.push((client.since.as_millis(), wait(&mut client)));
    client.pass_to(0.39);
    sent.push((client.since.as_millis(), client.receive(NODE, &asked)));
    sent.push((client.since.as_millis(), wait(&mut client)));
    let proof = proves(NODE, Verb::Deregister, 3);
    assert_eq!(
        sent.iter().map(|(_, sent)| sent[..].to_vec()).collect::<Vec<_>>(),
        [vec![sends(ASK_TO_LEAVE)], vec![sends(ASK_TO_LEAVE)], vec![proof], vec![proof]]
    );
    assert_eq!(wait(&mut client), [LumiOutput::Done(id, LumiAnswer::None)]);
    assert!(client.since <= Duration::from_millis(800), "{:?}", client.since);
}

#[test]
fn a_deregistration_ends_a_registration_under_way() {
    let mut client = proving(true);
    let register = client.request(LumiRequest::Register, ASK);
    client.receive(NODE, &asks_for_proof(1));
    let deregister = client.client.request(client.now(), LumiRequest::Deregister, None);
    assert_eq!(client.drain(), [LumiOutput::Done(register, LumiAnswer::None), sends(ASK_TO_LEAVE)]);
    assert_eq!(client.receive(NODE, "RR0"), [], "too late");
    let deregistered = LumiAnswer::Deregister(DeregisterCode::Deregistered);
    assert_eq!(client.receive(NODE, "RD0"), [LumiOutput::Done(deregister, deregistered)]);
}

proptest! {
    /// Whatever comes: each request ends once, and every proof answers a challenge of a node that was just
    /// received.
    #[test]
    fn every_request_ends_once_and_only_challenges_are_signed(
        is_enrolled: bool,
        steps in proptest::collection::vec((0..11_usize, 0..1500_u16), 0..80),
    ) {
        let (of_register, of_deregister) = (asks_for_proof(1), challenge(Verb::Deregister, challenge_of(2, OWN)));
        let elsewhere = challenge(Verb::Register, challenge_of(3, "203.0.113.9:9"));
        let datagrams = [
            "RR0", "RR1", "RD0", "RD1", of_register.as_str(), of_deregister.as_str(), elsewhere.as_str(),
            "RL3laura@bb.com:joya@cc.com",
        ];
        let mut client = proving(is_enrolled);
        let mut open: Vec<RequestId> = Vec::new();
        let check = |outputs: Vec<LumiOutput>, open: &mut Vec<RequestId>| {
            for output in outputs {
                match output {
                    LumiOutput::Done(id, _) => {
                        let at = open.iter().position(|open| *open == id);
                        open.swap_remove(at.expect("a request ends once"));
                    }
                    LumiOutput::Prove { challenge, .. } => {
                        assert_ne!(challenge.nonce, Nonce::new([3; 12]), "it was seen elsewhere");
                    }
                    _ => {}
                }
            }
        };
        for (step, milliseconds) in steps {
            client.since += Duration::from_millis(milliseconds.into());
            let outputs = match step {
                8 => client.timeout(),
                9 if client.client.has_room() => {
                    let kind = [
                        LumiRequest::Register,
                        LumiRequest::Deregister,
                        LumiRequest::Locate(address("joya@cc.com")),
                    ][usize::from(milliseconds) % 3];
                    open.push(client.client.request(client.now(), kind, None));
                    client.drain()
                }
                9 => Vec::new(),
                10 => {
                    client.client.handle_moved(client.now());
                    client.drain()
                }
                datagram => client.receive(NODE, datagrams[datagram]),
            };
            check(outputs, &mut open);
        }
        for _ in 0..30 {
            client.since += Duration::from_secs(1);
            let outputs = client.timeout();
            check(outputs, &mut open);
        }
        prop_assert_eq!(open, []);
        prop_assert!(client.client.is_idle());
    }
}
