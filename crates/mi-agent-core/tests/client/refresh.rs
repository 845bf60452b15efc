//! A registration is kept: refreshed, lost, regained.

use super::*;

const PR: &str = "PRlaura@bb.com";
const PL: &str = "PLlaura@bb.com:joya@cc.com";

#[test]
fn a_registration_is_refreshed() {
    let mut client = registered();
    for minute in 1..=3 {
        client.pass_to(f64::from(minute) * 60.0 - 0.001);
        assert_eq!(client.timeout(), [], "not before its time");
        client.pass_to(f64::from(minute) * 60.0);
        assert_eq!(client.timeout(), [sends(PR)]);
        assert_eq!(client.receive(NODE, "RR0"), [], "nobody asked");
    }
    assert_eq!(client.receive(NODE, "RR0"), []);
    assert_eq!(client.client.strays(), 1, "a duplicate");
}

#[test]
fn only_who_is_registered_is_refreshed() {
    for answer in [None, Some("RR1")] {
        let mut client = TestClient::new();
        client.request(LumiRequest::Register, PR);
        match answer {
            Some(answer) => assert_eq!(client.receive(NODE, answer).len(), 1),
            None => client.give_up(),
        }
        assert_eq!(client.client.poll_timeout(), None);
    }
}

#[test]
fn a_refresh_can_be_switched_off() {
    let mut client = TestClient::with(|settings| settings.refresh = None);
    client.request(LumiRequest::Register, PR);
    client.receive(NODE, "RR0");
    assert_eq!(client.client.poll_timeout(), None);
    client.request(LumiRequest::Locate(address("joya@cc.com")), PL);
    client.pass_to(1.0);
    assert_eq!(client.timeout(), [sends(PL)]);
}

/// Another agent of the user has registered and is done. Also if the registration is never refreshed.
#[test]
fn a_registration_that_another_agent_took_over_is_taken_back() {
    for refresh in [Some(Duration::from_secs(60)), None] {
        let mut client = TestClient::with(|settings| settings.refresh = refresh);
        client.client.register_again(client.now());
        assert_eq!(client.drain(), [], "nobody is registered");
        client.request(LumiRequest::Register, PR);
        client.client.register_again(client.now());
        assert_eq!(client.drain(), [], "the request decides");
        client.receive(NODE, "RR0");
        client.client.register_again(client.now());
        assert_eq!(client.drain(), [], "one has just been sent");
        client.pass_to(1.0);
        assert_eq!(client.timeout(), [sends(PR)]);
        client.pass_to(2.0);
        assert_eq!(client.timeout(), [sends(PR)], "it is repeated");
        assert_eq!(client.receive(NODE, "RR0"), []);
        client.pass_to(4.0);
        client.client.register_again(client.now());
        assert_eq!(client.drain(), [sends(PR)], "at once");
        assert_eq!(client.receive(NODE, "RR0"), []);
        let next = refresh.map(|refresh| client.now() + refresh);
        assert_eq!(client.client.poll_timeout(), next);
        client.pass_to(6.0);
        client.client.register_again(client.now());
        assert_eq!(client.drain(), [sends(PR)]);
        assert_eq!(client.receive(NODE, "RR1"), [lost(LossReason::NoSuchUser)]);
    }
}

/// The same holds with a setting that makes no sense.
#[test]
fn refreshes_are_as_far_apart_as_may_go_on_for_ever() {
    for (refresh, seconds) in [(Duration::ZERO, 5.0), (Duration::MAX, 86400.0)] {
        let mut client = TestClient::with(|settings| settings.refresh = Some(refresh));
        client.request(LumiRequest::Register, PR);
        client.receive(NODE, "RR0");
        assert_eq!(client.client.poll_timeout(), Some(client.now() + Duration::from_secs_f64(seconds)));
    }
}

/// Repeated as any request is, then every 5 s, once each: it may go on endlessly.
#[test]
fn a_node_that_does_not_answer_is_tried_again_without_haste() {
    let mut client = registered();
    for second in 60..65 {
        client.pass_to(f64::from(second));
        assert_eq!(client.timeout(), [sends(PR)], "second {second}");
    }
    client.pass_to(65.0);
    assert_eq!(client.timeout(), [lost(LossReason::NoAnswer)]);
    for second in [70, 75, 80, 85] {
        client.pass_to(f64::from(second) - 0.001);
        assert_eq!(client.timeout(), []);
        client.pass_to(f64::from(second));
        assert_eq!(client.timeout(), [sends(PR)], "told once");
    }
    assert_eq!(client.receive(NODE, "RR0"), [REGAINED]);
    client.pass_to(144.9);
    assert_eq!(client.timeout(), []);
    client.pass_to(145.0);
    assert_eq!(client.timeout(), [sends(PR)]);
}

#[test]
fn an_answer_that_comes_late_is_one() {
    let mut client = registered();
    client.pass_to(60.0);
    for _ in 0..5 {
        assert_eq!(client.timeout(), [sends(PR)]);
        client.since += Duration::from_secs(1);
    }
    assert_eq!(client.timeout(), [lost(LossReason::NoAnswer)]);
    assert_eq!(client.receive(NODE, "RR0"), [REGAINED]);
}

#[test]
fn a_user_who_was_removed_is_told_so_and_tried_again() {
    let mut client = registered();
    client.pass_to(60.0);
    client.timeout();
    assert_eq!(client.receive(NODE, "RR1"), [lost(LossReason::NoSuchUser)]);
    assert!(!client.client.may_be_registered());
    client.pass_to(65.0);
    assert_eq!(client.timeout(), [sends(PR)]);
    assert!(client.client.may_be_registered(), "the answer may be on its way");
    client.pass_to(70.0);
    assert_eq!(client.timeout(), [sends(PR)], "silence says nothing new");
    assert_eq!(client.receive(NODE, "RR1"), []);
    client.pass_to(75.0);
    assert_eq!(client.timeout(), [sends(PR)]);
    assert_eq!(client.receive(NODE, "RR0"), [REGAINED]);
    assert!(client.client.may_be_registered());
}

#[test]
fn a_reason_that_is_known_better_is_told() {
    let mut client = registered();
    client.pass_to(60.0);
    client.timeout();
    client.pass_to(61.0);
    (0..5).for_each(|n| {
        client.pass_to(f64::from(61 + n));
        client.timeout();
    });
    assert_eq!(client.receive(NODE, "RR1"), [lost(LossReason::NoSuchUser)]);
}

/// A restarted node sends nothing on for a user that it does not know.
#[test]
fn a_request_that_is_repeated_registers_first() {
    let mut client = registered();
    let id = client.request(LumiRequest::Locate(address("joya@cc.com")), PL);
    client.pass_to(1.0);
    assert_eq!(client.timeout(), [sends(PR), sends(PL)]);
    assert_eq!(client.receive(NODE, "RR0"), []);
    for second in 2..5 {
        client.pass_to(f64::from(second));
        assert_eq!(client.timeout(), [sends(PL)], "once is enough");
    }
    client.pass_to(5.0);
    assert_eq!(client.timeout(), [sends(PR)]);
    assert_eq!(client.receive(NODE, "RR0"), [LumiOutput::Done(id, LumiAnswer::PeerSilent)]);
}

/// The node may have been started again since the last refresh.
#[test]
fn a_registration_is_renewed_around_a_location() {
    let mut client = registered();
    client.pass_to(10.0);
    let joya = client.client.request(client.now(), LumiRequest::Locate(address("joya@cc.com")), None);
    assert_eq!(client.drain(), [sends(PR), sends(PL)]);
    let pere = client.request(LumiRequest::Locate(address("pere@bb.com")), "PLlaura@bb.com:pere@bb.com");
    assert_eq!(client.receive(NODE, "RR0"), []);
    // It is repeated once a second at most.
    client.pass_to(10.999);
    let offline = LumiAnswer::Locate { outcome: LocateOutcome::Offline, offers_tls: false };
    assert_eq!(client.receive(NODE, "RL3laura@bb.com:joya@cc.com"), [LumiOutput::Done(joya, offline)]);
    client.pass_to(11.0);
    assert_eq!(client.timeout(), [sends(PR), sends("PLlaura@bb.com:pere@bb.com")], "the second attempt");
    assert_eq!(client.receive(NODE, "RR0"), []);
    client.pass_to(12.0);
    assert_eq!(client.timeout(), [sends("PLlaura@bb.com:pere@bb.com")]);
    let ended = client.receive(NODE, "RL2laura@bb.com:pere@bb.com");
    let nobody = LumiAnswer::Locate { outcome: LocateOutcome::NoSuchUser, offers_tls: false };
    assert_eq!(ended, [LumiOutput::Done(pere, nobody), sends(PR)]);
    assert_eq!(client.receive(NODE, "RR0"), []);

    client.pass_to(20.0);
    let id = client.client.request(client.now(), LumiRequest::Locate(address("joya@cc.com")), None);
    assert_eq!(client.drain(), [sends(PR), sends(PL)]);
    client.pass_to(21.5);
    let busy = LumiAnswer::Locate { outcome: LocateOutcome::Busy, offers_tls: false };
    assert_eq!(client.receive(NODE, "RL1laura@bb.com:joya@cc.com"), [LumiOutput::Done(id, busy)]);
}

#[test]
fn a_silent_node_is_asked_sooner_while_somebody_looks() {
    let mut client = registered();
    client.client.set_watched(true);
    let due =
        |client: &TestClient| (client.client.poll_timeout().expect("a refresh") - client.start).as_secs_f64();
    assert_eq!(due(&client), 15.0);
    client.pass_to(15.0);
    assert_eq!(client.timeout(), [sends(PR)]);
    assert_eq!(client.receive(NODE, "RR0"), []);
    client.pass_to(20.0);
    assert_eq!(client.receive(STRANGER, "PLjoya@cc.com:laura@bb.com"), []);
    assert_eq!(due(&client), 30.0);
    client.receive(NODE, "PLjoya@cc.com:laura@bb.com");
    assert_eq!(due(&client), 35.0);
    client.client.set_watched(false);
    assert_eq!(due(&client), 75.0);

    let mut client = TestClient::with(|settings| settings.refresh = None);
    client.request(LumiRequest::Register, PR);
    client.receive(NODE, "RR0");
    client.client.set_watched(true);
    assert_eq!(client.client.poll_timeout(), None, "it is switched off");
}

/// The node is asked once more, unless it has just been heard or is known to be silent.
#[test]
fn who_is_silent_is_told() {
    let answered_within = |seconds: &[f64], ends: f64, answer: LumiAnswer| {
        let mut client = registered();
        let id = client.request(LumiRequest::Locate(address("joya@cc.com")), PL);
        let mut ended = Vec::new();
        while ended.is_empty() {
            let at = (client.client.poll_timeout().expect("it ends") - client.start).as_secs_f64();
            let since = client.since.as_secs_f64();
            for heard in seconds.iter().filter(|heard| (since..at).contains(heard)) {
                client.pass_to(*heard);
                ended.extend(client.receive(NODE, "RR0"));
            }
            if ended.is_empty() {
                client.pass_to(at);
                let outputs = client.timeout();
                ended.extend(outputs.into_iter().filter(|output| matches!(output, LumiOutput::Done(..))));
            }
        }
        assert_eq!(
            (ended, client.since.as_secs_f64()),
            (vec![LumiOutput::Done(id, answer)], ends),
            "{seconds:?}"
        );
    };
    // It answers each PR, the last one only, or has just been heard.
    answered_within(&[1.1, 5.1], 5.1, LumiAnswer::PeerSilent);
    answered_within(&[5.9], 5.9, LumiAnswer::PeerSilent);
    answered_within(&[4.1], 5.0, LumiAnswer::PeerSilent);
    // It answered before it fell silent, or never.
    answered_within(&[1.1], 6.0, LumiAnswer::None);
    answered_within(&[], 6.0, LumiAnswer::None);
}

/// An answer that comes at last is better than none.
#[test]
fn an_answer_ends_a_request_while_the_node_is_asked() {
    let mut client = registered();
    let id = client.request(LumiRequest::Locate(address("joya@cc.com")), PL);
    for second in 1..=5 {
        client.pass_to(f64::from(second));
        client.timeout();
    }
    let offline = LumiAnswer::Locate { outcome: LocateOutcome::Offline, offers_tls: false };
    assert_eq!(client.receive(NODE, "RL3laura@bb.com:joya@cc.com"), [LumiOutput::Done(id, offline)]);
    assert!(client.client.is_idle());
}

#[test]
fn doubts_do_not_add_up() {
    let mut client = registered();
    for to in ["joya@cc.com", "pere@cc.com", "joan@cc.com"] {
        client.request(LumiRequest::Locate(address(to)), &format!("PLlaura@bb.com:{to}"));
    }
    for second in 1..5 {
        client.pass_to(f64::from(second));
        let sent = client.timeout();
        assert_eq!(sent[0], sends(PR), "repeated as any request is");
        assert_eq!(sent.len(), 4);
    }
    client.pass_to(5.0);
    let sent = client.timeout();
    assert_eq!(sent.iter().filter(|output| **output == sends(PR)).count(), 1);
    client.pass_to(6.0);
    let ended = client.timeout();
    assert_eq!(ended[0], lost(LossReason::NoAnswer));
    assert_eq!(ended.len(), 4, "and the requests have ended: {ended:?}");
    // A request of a user hastens the refresh that goes on anyway, by one PR.
    client.client.request(client.now(), LumiRequest::Locate(address("joya@cc.com")), None);
    assert_eq!(client.drain(), [sends(PR), sends(PL)]);
    client.pass_to(7.0);
    assert_eq!(client.timeout(), [sends(PR), sends(PL)]);
    client.pass_to(8.0);
    assert_eq!(client.timeout(), [sends(PL)]);
}

#[test]
fn the_end_ends_it() {
    for lose in [false, true] {
        let mut client = registered();
        client.pass_to(60.0);
        client.timeout();
        if lose {
            client.receive(NODE, "RR1");
        }
        client.request(LumiRequest::Deregister, "PDlaura@bb.com");
        assert_eq!(client.receive(NODE, "RR0"), [], "late");
        client.give_up();
        assert_eq!(client.client.poll_timeout(), None);
    }
}

#[test]
fn a_request_of_the_user_comes_first() {
    let registered_again = LumiAnswer::Register(RegisterCode::Registered);
    // It happens while nothing is asked, while a refresh is, and while the registration is lost.
    for (answer, refreshes) in [("RR0", true), ("RR1", false)] {
        for phase in 0..3 {
            let mut client = registered();
            if phase > 0 {
                client.pass_to(60.0);
                client.timeout();
            }
            if phase > 1 {
                client.receive(NODE, "RR1");
            }
            let id = client.request(LumiRequest::Register, PR);
            client.since += Duration::from_secs(1);
            assert_eq!(client.timeout(), [sends(PR)], "one at a time");
            let told = client.receive(NODE, answer);
            match (refreshes, phase) {
                (true, 2) => assert_eq!(told, [LumiOutput::Done(id, registered_again), REGAINED]),
                (true, _) => assert_eq!(told, [LumiOutput::Done(id, registered_again)]),
                (false, _) => assert_eq!(told.len(), 1),
            }
            assert_eq!(client.client.poll_timeout().is_some(), refreshes);
        }
    }
}

/// A request that is not answered is not refused.
#[test]
fn a_registration_that_is_asked_for_again_in_vain_is_kept() {
    let mut client = registered();
    let id = client.request(LumiRequest::Register, PR);
    for second in 1..5 {
        client.pass_to(f64::from(second));
        assert_eq!(client.timeout(), [sends(PR)]);
    }
    client.pass_to(5.0);
    assert_eq!(client.timeout(), [LumiOutput::Done(id, LumiAnswer::None), sends(PR)]);
    assert_eq!(client.receive(NODE, "RR0"), []);
}

proptest! {
    /// No two `PR`s are closer than the schedule has it while nobody asks for anything, no more than its
    /// attempts are closer than RETRY, and only changes are reported. This holds whatever happens, and
    /// however often the clock is read.
    #[test]
    fn nothing_is_repeated_without_end_in_haste(
        steps in proptest::collection::vec((0..4_usize, 0..3000_u64), 0..200),
    ) {
        let mut client = registered();
        let mut sent = vec![Duration::ZERO];
        let mut is_lost = None;
        for (step, milliseconds) in steps {
            let end = client.since + Duration::from_millis(milliseconds);
            loop {
                let due = client.client.poll_timeout().expect("it is kept");
                if due > client.start + end {
                    break;
                }
                client.since = client.since.max(due - client.start);
                for output in client.timeout() {
                    match output {
                        LumiOutput::Transmit(_) => sent.push(client.since),
                        LumiOutput::Registration(change) => tell(&mut is_lost, change)?,
                        LumiOutput::Done(..) | LumiOutput::Missed { .. } => prop_assert!(false, "nobody asked"),
                        other => unreachable!("{other:?} is new"),
                    }
                }
                prop_assert!(client.client.poll_timeout().expect("it is kept") > client.now());
            }
            client.since = end;
            for output in client.receive([STRANGER, NODE, NODE, NODE][step], ["RR0", "RR0", "RR1", "RD0"][step]) {
                match output {
                    LumiOutput::Registration(change) => tell(&mut is_lost, change)?,
                    output => prop_assert!(false, "{output:?}"),
                }
            }
        }
        for two in sent.windows(2) {
            prop_assert!(two[1] - two[0] >= Duration::from_secs(1));
        }
        for many in sent.windows(6) {
            prop_assert!(many[5] - many[0] >= RETRY);
        }
    }
}

fn tell(is_lost: &mut Option<LossReason>, change: RegistrationChange) -> Result<(), TestCaseError> {
    let before = *is_lost;
    *is_lost = match change {
        RegistrationChange::Lost(reason) => Some(reason),
        RegistrationChange::Regained => None,
        other => unreachable!("{other:?} is new"),
    };
    prop_assert_ne!(before, *is_lost);
    Ok(())
}

fn registered() -> TestClient {
    let mut client = TestClient::new();
    client.request(LumiRequest::Register, PR);
    assert_eq!(client.receive(NODE, "RR0").len(), 1);
    client
}

fn lost(reason: LossReason) -> LumiOutput {
    LumiOutput::Registration(RegistrationChange::Lost(reason))
}

const REGAINED: LumiOutput = LumiOutput::Registration(RegistrationChange::Regained);
