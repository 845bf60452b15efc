//! Each row of protocol.md §4 that is about PLUMI, on the state machine with a made-up clock.

mod admission;
mod callers;
mod moves;
mod orders;
mod proofs;
mod refresh;

use std::net::SocketAddrV4;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use mi_agent_core::{
    Admission, ClientSettings, LossReason, LumiAnswer, LumiClient, LumiOutput, LumiRequest, MAX_REQUESTS,
    RETRY, Refusal, RegistrationChange, RequestId, RequestSchedule,
};
use plumi_proto::{
    DecodeReason, DeregisterCode, LocateOutcome, Message, MiAddress, MiSocketAddress, RegisterCode,
};
use proptest::prelude::*;

const NODE: &str = "127.0.0.2:3344";
const STRANGER: &str = "127.0.0.9:3344";

#[test]
fn a_request_is_sent_five_times_a_second_apart_and_then_given_up() {
    for (request, message) in [
        (LumiRequest::Register, "PRlaura@bb.com"),
        (LumiRequest::Deregister, "PDlaura@bb.com"),
        (LumiRequest::Locate(address("joya@cc.com")), "PLlaura@bb.com:joya@cc.com"),
    ] {
        let mut client = TestClient::new();
        let id = client.request(request, message);
        for second in 1..5 {
            client.pass_to(f64::from(second) - 0.001);
            assert_eq!(client.timeout(), [], "not before its time");
            client.pass_to(f64::from(second));
            assert_eq!(client.timeout(), [sends(message)], "second {second}");
        }
        client.pass_to(5.0);
        assert_eq!(client.timeout(), [LumiOutput::Done(id, LumiAnswer::None)]);
        assert_eq!(client.client.poll_timeout(), None);
        assert!(client.client.is_idle());
    }
}

#[test]
fn a_location_request_that_is_given_up_leaves_its_room() {
    let mut client = TestClient::new();
    let message = "PLlaura@bb.com:joya@cc.com";
    let ids: Vec<_> = (0..MAX_REQUESTS)
        .map(|_| client.request(LumiRequest::Locate(address("joya@cc.com")), message))
        .collect();
    assert!(!client.client.has_room());
    for id in ids {
        client.client.give_up(id);
    }
    assert!(client.client.is_idle());
    let id = client.request(LumiRequest::Deregister, "PDlaura@bb.com");
    client.client.give_up(id);
    assert!(!client.client.is_idle(), "it goes on");
}

#[test]
fn after_a_freeze_tries_are_as_far_apart_as_ever() {
    let mut client = TestClient::new();
    client.request(LumiRequest::Register, "PRlaura@bb.com");
    client.pass_to(10.0);
    assert_eq!(client.timeout(), [sends("PRlaura@bb.com")]);
    assert_eq!(client.timeout(), []);
    assert_eq!(client.client.poll_timeout(), Some(client.now() + Duration::from_secs(1)));
}

#[test]
fn an_answer_ends_its_request_at_any_attempt() {
    let registered = LumiAnswer::Register(RegisterCode::Registered);
    for attempts in 1..=5 {
        let mut client = TestClient::new();
        let id = client.request(LumiRequest::Register, "PRlaura@bb.com");
        for second in 1..attempts {
            client.pass_to(f64::from(second));
            client.timeout();
        }
        client.pass_to(f64::from(attempts) - 0.5);
        assert_eq!(client.receive(NODE, "RR0"), [LumiOutput::Done(id, registered)]);
        assert_eq!(client.receive(NODE, "RR0"), [], "the answer to a repetition");
        client.pass_to(60.0);
        assert_eq!(client.timeout(), [], "nothing more is sent");
    }
}

#[test]
fn every_code_is_told() {
    let joya = address("joya@cc.com");
    let at = MiSocketAddress::new(socket("84.88.154.3:4456")).expect("a port");
    for (request, message, answer, expected) in [
        (LumiRequest::Register, "PRlaura@bb.com", "RR0", LumiAnswer::Register(RegisterCode::Registered)),
        (LumiRequest::Register, "PRlaura@bb.com", "RR1", LumiAnswer::Register(RegisterCode::NoSuchUser)),
        (
            LumiRequest::Deregister,
            "PDlaura@bb.com",
            "RD0",
            LumiAnswer::Deregister(DeregisterCode::Deregistered),
        ),
        (
            LumiRequest::Deregister,
            "PDlaura@bb.com",
            "RD1",
            LumiAnswer::Deregister(DeregisterCode::NoSuchUser),
        ),
        (
            LumiRequest::Locate(joya),
            "PLlaura@bb.com:joya@cc.com",
            "RL0laura@bb.com:joya@cc.com:84.88.154.3:4456",
            LumiAnswer::Locate { outcome: LocateOutcome::Found(at), offers_tls: false },
        ),
        (
            LumiRequest::Locate(joya),
            "PLlaura@bb.com:joya@cc.com",
            "RL1laura@bb.com:joya@cc.com:0.0.0.0:4456",
            LumiAnswer::Locate { outcome: LocateOutcome::Busy, offers_tls: false },
        ),
        (
            LumiRequest::Locate(joya),
            "PLlaura@bb.com:joya@cc.com",
            "RL2laura@bb.com:joya@cc.com",
            LumiAnswer::Locate { outcome: LocateOutcome::NoSuchUser, offers_tls: false },
        ),
        (
            LumiRequest::Locate(joya),
            "PLlaura@bb.com:joya@cc.com",
            "RL3laura@BB.com:joya@cc.com.",
            LumiAnswer::Locate { outcome: LocateOutcome::Offline, offers_tls: false },
        ),
    ] {
        let mut client = TestClient::new();
        let id = client.request(request, message);
        assert_eq!(client.receive(NODE, answer), [LumiOutput::Done(id, expected)], "{answer}");
    }
}

#[test]
fn only_the_right_answer_from_the_node_ends_a_request() {
    let mut client = TestClient::new();
    let register = client.request(LumiRequest::Register, "PRlaura@bb.com");
    let locate = client.request(LumiRequest::Locate(address("joya@cc.com")), "PLlaura@bb.com:joya@cc.com");
    for (from, stray) in [
        (STRANGER, "RR0"),
        (STRANGER, "RL3laura@bb.com:joya@cc.com"),
        (NODE, "RD0"),
        (NODE, "RL3laura@bb.com:pere@cc.com"),
        (NODE, "RL3pere@bb.com:joya@cc.com"),
        (NODE, "RL3joya@cc.com:laura@bb.com"),
        (NODE, "PRlaura@bb.com"),
        (NODE, "PLlaura@bb.com:joya@cc.com"),
        (NODE, "RR7"),
        (NODE, ""),
    ] {
        assert_eq!(client.receive(from, stray), [], "{stray} from {from}");
    }
    assert_eq!(client.client.strays(), 10);
    let offline = LumiAnswer::Locate { outcome: LocateOutcome::Offline, offers_tls: false };
    assert_eq!(client.receive(NODE, "RL3laura@bb.com:joya@cc.com"), [LumiOutput::Done(locate, offline)]);
    let refused = LumiAnswer::Register(RegisterCode::NoSuchUser);
    assert_eq!(client.receive(NODE, "RR1"), [LumiOutput::Done(register, refused)]);
}

#[test]
fn an_answer_that_cannot_be_used_is_better_than_none() {
    let mut client = TestClient::new();
    let id = client.request(LumiRequest::Locate(address("joya@cc.com")), "PLlaura@bb.com:joya@cc.com");
    assert_eq!(client.receive(NODE, "RL0laura@bb.com:joan@cc.com:84.88.154.3:0"), [], "somebody else's");
    match client.receive(NODE, "RL0laura@bb.com:joya@cc.com:84.88.154.3:0")[..] {
        [LumiOutput::Done(done, LumiAnswer::Malformed(error))] => {
            assert_eq!((done, error.reason, error.at), (id, DecodeReason::Port, 40));
        }
        ref outputs => panic!("{outputs:?}"),
    }
}

#[test]
fn the_bare_form_is_sent_when_it_is_asked_for() {
    let mut client = TestClient::with(|settings| settings.bare = true);
    client.request(LumiRequest::Register, "PRlaura");
    client.receive(NODE, "RR0");
    client.request(LumiRequest::Deregister, "PDlaura");
    client.request(LumiRequest::Locate(address("joya@cc.com")), "PLlaura@bb.com:joya@cc.com");
}

#[test]
fn it_knows_whether_it_is_registered() {
    let mut client = TestClient::new();
    client.receive(NODE, "RR0");
    assert!(!client.client.may_be_registered(), "nobody asked");
    client.request(LumiRequest::Register, "PRlaura@bb.com");
    assert!(client.client.may_be_registered(), "the answer may be on its way");
    client.receive(NODE, "RR1");
    assert!(!client.client.may_be_registered());
    client.request(LumiRequest::Register, "PRlaura@bb.com");
    client.receive(NODE, "RR0");
    assert!(client.client.may_be_registered());
    client.request(LumiRequest::Deregister, "PDlaura@bb.com");
    client.receive(NODE, "RD0");
    assert!(!client.client.may_be_registered());
}

#[test]
fn a_deregistration_is_not_undone() {
    let mut client = TestClient::new();
    let register = client.request(LumiRequest::Register, "PRlaura@bb.com");
    let deregister = client.client.request(client.now(), LumiRequest::Deregister, None);
    assert_eq!(client.drain(), [LumiOutput::Done(register, LumiAnswer::None), sends("PDlaura@bb.com")]);
    client.pass_to(1.0);
    assert_eq!(client.timeout(), [sends("PDlaura@bb.com")]);
    let deregistered = LumiAnswer::Deregister(DeregisterCode::Deregistered);
    assert_eq!(client.receive(NODE, "RD0"), [LumiOutput::Done(deregister, deregistered)]);
    assert!(client.client.is_idle());
}

#[test]
fn another_schedule_can_be_asked_for() {
    let mut client = TestClient::new();
    let id = client.client.request(client.now(), LumiRequest::Deregister, Some(hurried()));
    assert_eq!(client.drain(), [sends("PDlaura@bb.com")]);
    client.pass_to(0.4);
    assert_eq!(client.timeout(), [sends("PDlaura@bb.com")]);
    client.pass_to(0.8);
    assert_eq!(client.timeout(), [LumiOutput::Done(id, LumiAnswer::None)]);
}

/// Two tries are two, even after a less hurried beginning.
#[test]
fn a_deregistration_takes_the_place_of_the_one_before() {
    let deregistered = LumiAnswer::Deregister(DeregisterCode::Deregistered);
    for (answer, told) in [(None, LumiAnswer::None), (Some("RD0"), deregistered)] {
        let mut client = TestClient::new();
        let first = client.request(LumiRequest::Deregister, "PDlaura@bb.com");
        client.pass_to(0.9);
        let second = client.client.request(client.now(), LumiRequest::Deregister, Some(hurried()));
        assert_eq!(client.drain(), [sends("PDlaura@bb.com")]);
        client.pass_to(1.3);
        assert_eq!(client.timeout(), [sends("PDlaura@bb.com")]);
        client.pass_to(1.69);
        assert_eq!(client.timeout(), []);
        let ended = match answer {
            Some(answer) => client.receive(NODE, answer),
            None => {
                client.pass_to(1.7);
                client.timeout()
            }
        };
        assert_eq!(ended, [LumiOutput::Done(first, told), LumiOutput::Done(second, told)]);
        assert!(client.client.is_idle());
    }
}

fn hurried() -> RequestSchedule {
    let attempts = NonZeroU8::new(2).expect("is not 0");
    RequestSchedule::new(attempts, Duration::from_millis(400))
}

#[test]
fn requests_under_way_are_bounded() {
    let mut client = TestClient::new();
    for n in 0..MAX_REQUESTS {
        assert!(client.client.has_room());
        let to = format!("u{n}@cc.com");
        client.request(LumiRequest::Locate(address(&to)), &format!("PLlaura@bb.com:{to}"));
    }
    assert!(!client.client.has_room());
    client.receive(NODE, "RL3laura@bb.com:u7@cc.com");
    assert!(client.client.has_room());
}

proptest! {
    /// Any datagram may come from anywhere: at most one leaves for each that comes, and each request ends
    /// once.
    #[test]
    fn every_request_ends_once(steps in proptest::collection::vec((0..9_usize, 0..1500_u16), 0..60)) {
        let datagrams = [
            "RR0", "RR1", "RD0", "RL3laura@bb.com:joya@cc.com", "RL1laura@bb.com:pere@bb.com", "garbage",
            "PLjoya@cc.com:laura@bb.com",
        ];
        let mut client = TestClient::new();
        let mut open = Vec::new();
        for (step, milliseconds) in steps {
            client.since += Duration::from_millis(milliseconds.into());
            let outputs = match step {
                7 => client.timeout(),
                8 if client.client.has_room() => {
                    let kind = [
                        LumiRequest::Register,
                        LumiRequest::Deregister,
                        LumiRequest::Locate(address("joya@cc.com")),
                        LumiRequest::Locate(address("pere@bb.com")),
                    ][usize::from(milliseconds) % 4];
                    open.push(client.client.request(client.now(), kind, None));
                    client.drain()
                }
                8 => Vec::new(),
                datagram => {
                    let outputs = client.receive(NODE, datagrams[datagram]);
                    let sent = outputs.iter().filter(|output| matches!(output, LumiOutput::Transmit(_)));
                    prop_assert!(sent.count() <= 1);
                    outputs
                }
            };
            for output in outputs {
                if let LumiOutput::Done(id, _) = output {
                    let at = open.iter().position(|open| *open == id);
                    prop_assert!(at.is_some(), "{id:?} ended twice");
                    open.swap_remove(at.unwrap());
                }
            }
        }
        for _ in 0..6 {
            client.since += Duration::from_secs(1);
            for output in client.timeout() {
                if let LumiOutput::Done(id, _) = output {
                    open.retain(|open| *open != id);
                }
            }
        }
        prop_assert_eq!(open, []);
        prop_assert!(client.client.is_idle());
    }
}

/// The client of laura@bb.com.
struct TestClient {
    client: LumiClient,
    start: Instant,
    since: Duration,
}

impl TestClient {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(set: impl Fn(&mut ClientSettings)) -> Self {
        let listening = MiSocketAddress::new(socket("127.0.0.1:3500")).expect("a port");
        let mut settings = ClientSettings::new(address("laura@bb.com"), socket(NODE).into(), listening);
        set(&mut settings);
        Self {
            client: LumiClient::new(settings),
            start: tokio::time::Instant::now().into_std(),
            since: Duration::ZERO,
        }
    }

    fn now(&self) -> Instant {
        self.start + self.since
    }

    /// The likely callers now.
    fn askers(&mut self) -> Vec<String> {
        self.client.take_askers(self.now()).iter().map(ToString::to_string).collect()
    }

    fn pass_to(&mut self, seconds: f64) {
        self.since = Duration::from_secs_f64(seconds);
    }

    /// Lets all tries of what was just asked pass, unanswered.
    fn give_up(&mut self) {
        for _ in 0..5 {
            self.since += Duration::from_secs(1);
            self.timeout();
        }
    }

    fn request(&mut self, kind: LumiRequest, expected: &str) -> RequestId {
        let id = self.client.request(self.now(), kind, None);
        assert_eq!(self.drain(), [sends(expected)]);
        id
    }

    fn receive(&mut self, from: &str, datagram: &str) -> Vec<LumiOutput> {
        self.client.handle_datagram(self.now(), socket(from).into(), datagram.as_bytes());
        self.drain()
    }

    fn timeout(&mut self) -> Vec<LumiOutput> {
        self.client.handle_timeout(self.now());
        self.drain()
    }

    fn drain(&mut self) -> Vec<LumiOutput> {
        std::iter::from_fn(|| self.client.poll_output()).collect()
    }
}

fn sends(message: &str) -> LumiOutput {
    let decoded = Message::decode(message.as_bytes()).expect("a message");
    assert_eq!(&*decoded.encode(), message.as_bytes());
    LumiOutput::Transmit(decoded)
}

fn address(text: &str) -> MiAddress {
    text.parse().expect("an address")
}

fn socket(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}
