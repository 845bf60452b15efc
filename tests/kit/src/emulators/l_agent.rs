//! The agent of L.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::request::{Asking, Due, Failure, Request};
use super::{AgentEmulator, Death, Effect, Emulator, Outbox, text};

/// An agent of L: registers in the full form, waits for one datagram at a time, answers whatever comes else.
///
/// Its UDP socket is connected: only its node's datagrams reach it, and so do ICMP errors.
#[derive(Clone, Debug)]
pub struct LAgent {
    address: String,
    node: SocketAddrV4,
    publish: SocketAddrV4,
    busy: bool,
    asking: Option<Asking>,
    out: Outbox,
}

impl LAgent {
    /// The agent of `address`. Its node is at `node`, and it publishes the listening address `publish`; the
    /// IP may be 0.0.0.0.
    pub fn new(address: &str, node: SocketAddrV4, publish: SocketAddrV4) -> Self {
        Self { address: address.to_owned(), node, publish, busy: false, asking: None, out: Outbox::default() }
    }

    fn ask(&mut self, now: Instant, request: Request, message: String) {
        assert!(!self.is_waiting(), "{} waits for an answer", self.address);
        if self.out.is_dead() {
            return;
        }
        self.out.push(Effect::Send(self.node, message.clone().into_bytes()));
        self.asking = Some(Asking::new(now, request, message.into_bytes(), TRIES, INTERVAL));
    }

    /// Takes any message that comes while it waits for the answer (row 8).
    fn take_answer(&mut self, asking: Asking, bytes: &[u8]) {
        let names = asking.message.get(2..).unwrap_or_default();
        let is_answer = match asking.request {
            Request::Register | Request::Deregister => bytes.starts_with(asking.request.awaited()),
            Request::Locate(_) => {
                bytes.starts_with(b"RL") && bytes.get(3..).is_some_and(|rest| rest.starts_with(names))
            }
        };
        if !is_answer {
            self.out.push(Effect::Odd(bytes.to_vec()));
        }
        let ended = match (&asking.request, bytes) {
            // It looks at the last byte (row 18).
            (Request::Register | Request::Deregister, [first, second, _, .., last]) if is_answer => {
                let code = if *last == b'1' { b'1' } else { b'0' };
                asking.request.answered(&[*first, *second, code])
            }
            _ => asking.request.answered(bytes),
        };
        self.out.push(ended);
    }

    /// Takes any message that comes while it is idle for a `PL` (row 7): looks at nothing, and sends back
    /// what follows the first two bytes.
    fn tell_where(&mut self, bytes: &[u8]) {
        if text::question(bytes).is_none_or(|pair| !self.is(&pair.to)) {
            self.out.push(Effect::Odd(bytes.to_vec()));
        }
        let code = if self.busy { &b"RL1"[..] } else { b"RL0" };
        let mut answer = [code, bytes.get(2..).unwrap_or_default()].concat();
        if !self.busy {
            answer.extend(format!(":{}", self.publish).bytes());
        }
        self.out.push(Effect::Send(self.node, answer));
    }

    fn is(&self, address: &text::Address<'_>) -> bool {
        self.address.split_once('@').is_some_and(|(user, _)| user == address.user)
    }
}

impl Emulator for LAgent {
    fn datagram(&mut self, _now: Instant, from: SocketAddrV4, bytes: &[u8]) {
        if self.out.is_dead() || from != self.node {
            return;
        }
        match self.asking.take() {
            Some(asking) => self.take_answer(asking, bytes),
            None => self.tell_where(bytes),
        }
    }

    fn icmp_refused(&mut self) {
        self.asking = None;
        self.out.die(Death::PortUnreachable);
    }

    fn timeout(&mut self, now: Instant) {
        let Some(asking) = &mut self.asking else { return };
        match asking.timeout(now) {
            Due::NotYet => {}
            Due::SendAgain => self.out.push(Effect::Send(self.node, asking.message.clone())),
            Due::GiveUp => {
                let request = asking.request.clone();
                self.asking = None;
                self.out.push(Effect::Failed(request, Failure::NoAnswer));
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.asking.as_ref().map(Asking::due)
    }

    fn poll_output(&mut self) -> Option<Effect> {
        self.out.effects.pop_front()
    }

    fn death(&self) -> Option<&Death> {
        self.out.death.as_ref()
    }
}

impl AgentEmulator for LAgent {
    fn start(&mut self, now: Instant) {
        self.ask(now, Request::Register, format!("PR{}", self.address));
    }

    fn locate(&mut self, now: Instant, to: &str) {
        self.ask(now, Request::Locate(to.to_owned()), format!("PL{}:{to}", self.address));
    }

    fn deregister(&mut self, now: Instant) {
        self.ask(now, Request::Deregister, format!("PD{}", self.address));
    }

    fn is_waiting(&self) -> bool {
        self.asking.is_some()
    }

    fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    fn node(&self) -> SocketAddrV4 {
        self.node
    }
}

/// The schedule of protocol.md §4.
const TRIES: u32 = 5;
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::testing::{addr, effects, now, sent};
    use super::*;

    fn agent() -> LAgent {
        LAgent::new("u1@PC-c", addr("10.0.0.3:3344"), addr("10.0.0.1:4000"))
    }

    fn registered() -> LAgent {
        let mut agent = agent();
        agent.start(now());
        agent.datagram(now(), agent.node, b"RR0");
        assert_eq!(effects(&mut agent), [sent(agent.node, "PRu1@PC-c"), Effect::Registered]);
        agent
    }

    #[test]
    fn a_refused_datagram_ends_it_for_good() {
        let mut agent = registered();
        agent.locate(now(), "u2@PC-d");
        _ = effects(&mut agent);
        agent.icmp_refused();
        assert_eq!(effects(&mut agent), [Effect::Died(Death::PortUnreachable)]);
        agent.datagram(now(), agent.node, b"PLu2@PC-d:u1@PC-c");
        agent.timeout(now() + 2 * INTERVAL);
        agent.deregister(now());
        assert_eq!(effects(&mut agent), []);
        assert_eq!((agent.poll_timeout(), agent.death()), (None, Some(&Death::PortUnreachable)));
    }

    #[test]
    fn a_request_is_sent_five_times_a_second_apart() {
        let mut agent = agent();
        let start = now();
        agent.start(start);
        let mut times = vec![Duration::ZERO];
        _ = effects(&mut agent);
        while let Some(due) = agent.poll_timeout() {
            agent.timeout(due - Duration::from_nanos(1));
            assert_eq!(effects(&mut agent), []);
            agent.timeout(due);
            times.push(due - start);
            match &effects(&mut agent)[..] {
                [Effect::Send(to, message)] => {
                    assert_eq!((*to, &message[..]), (agent.node, &b"PRu1@PC-c"[..]));
                }
                [Effect::Failed(Request::Register, Failure::NoAnswer)] => {}
                odd => panic!("{odd:?}"),
            }
        }
        assert_eq!(times, (0..=5).map(Duration::from_secs).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_datagram_is_the_answer_whatever_it_is() {
        for (datagram, is_odd, ended) in [
            (
                "RL0u1@PC-c:u2@PC-d:10.0.0.2:43038",
                false,
                Effect::Located { to: "u2@PC-d".into(), at: addr("10.0.0.2:43038") },
            ),
            (
                "RL1u1@PC-c:u2@PC-d",
                false,
                Effect::Failed(Request::Locate("u2@PC-d".into()), Failure::Code('1')),
            ),
            (
                "RL0u1@PC-c:u3@PC-d:10.0.0.3:1",
                true,
                Effect::Located { to: "u2@PC-d".into(), at: addr("10.0.0.3:1") },
            ),
            (
                "PLu2@PC-d:u1@PC-c",
                true,
                Effect::Failed(
                    Request::Locate("u2@PC-d".into()),
                    Failure::Misread(b"PLu2@PC-d:u1@PC-c".to_vec()),
                ),
            ),
            (
                "RR0",
                true,
                Effect::Failed(Request::Locate("u2@PC-d".into()), Failure::Misread(b"RR0".to_vec())),
            ),
        ] {
            let mut agent = registered();
            agent.locate(now(), "u2@PC-d");
            agent.datagram(now(), agent.node, datagram.as_bytes());
            let mut expected = vec![sent(agent.node, "PLu1@PC-c:u2@PC-d")];
            if is_odd {
                expected.push(Effect::Odd(datagram.as_bytes().to_vec()));
            }
            expected.push(ended);
            assert_eq!(effects(&mut agent), expected, "{datagram}");
            assert!(!agent.is_waiting());
        }
    }

    #[test]
    fn the_last_byte_of_a_longer_answer_is_its_code() {
        let refused = Effect::Failed(Request::Register, Failure::Code('1'));
        for (answer, ended) in [
            ("RR1:more1", refused.clone()),
            ("RR1:more", Effect::Registered),
            ("RR0:more", Effect::Registered),
            ("RR0:more1", refused),
        ] {
            let mut agent = agent();
            agent.start(now());
            agent.datagram(now(), agent.node, answer.as_bytes());
            assert_eq!(effects(&mut agent), [sent(agent.node, "PRu1@PC-c"), ended], "{answer}");
        }
    }

    #[test]
    fn idle_it_answers_any_datagram() {
        let mut agent = registered();
        agent.datagram(now(), agent.node, b"PLu2@PC-d:u1@PC-c");
        assert_eq!(effects(&mut agent), [sent(agent.node, "RL0u2@PC-d:u1@PC-c:10.0.0.1:4000")]);
        for (stray, garbage) in [
            ("RR0", "RL00:10.0.0.1:4000"),
            ("", "RL0:10.0.0.1:4000"),
            ("RL0u1@PC-c:u2@PC-d:10.0.0.2:43038", "RL00u1@PC-c:u2@PC-d:10.0.0.2:43038:10.0.0.1:4000"),
            ("PLu2@PC-d:u9@PC-c", "RL0u2@PC-d:u9@PC-c:10.0.0.1:4000"),
        ] {
            agent.datagram(now(), agent.node, stray.as_bytes());
            let odd = Effect::Odd(stray.as_bytes().to_vec());
            assert_eq!(effects(&mut agent), [odd, sent(agent.node, garbage)]);
        }
        agent.set_busy(true);
        agent.datagram(now(), agent.node, b"PLu2@PC-d:u1@PC-c");
        assert_eq!(effects(&mut agent), [sent(agent.node, "RL1u2@PC-d:u1@PC-c")]);
        agent.datagram(now(), addr("10.0.0.4:3344"), b"PLu2@PC-d:u1@PC-c");
        assert_eq!(effects(&mut agent), [], "its socket is connected");
    }

    #[test]
    fn it_may_publish_that_it_does_not_know_where_it_is() {
        let mut agent = LAgent::new("u1@PC-c", addr("10.0.0.3:3344"), addr("0.0.0.0:4000"));
        agent.datagram(now(), agent.node, b"PLu2@PC-d:u1@PC-c");
        assert_eq!(effects(&mut agent), [sent(agent.node, "RL0u2@PC-d:u1@PC-c:0.0.0.0:4000")]);
    }
}
