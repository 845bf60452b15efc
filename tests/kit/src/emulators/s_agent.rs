//! The agent of S.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::request::{Asking, Due, Failure, Request};
use super::{AgentEmulator, Death, Effect, Emulator, Outbox, text};

/// An agent of S: registers without domain (row 1), asks often and quickly (row 3), says where it is even
/// while busy (row 4). Nothing is known that ends it.
///
/// Its UDP socket is not connected. What it did not ask for it passes over.
#[derive(Clone, Debug)]
pub struct SAgent {
    user: String,
    address: String,
    node: SocketAddrV4,
    publish: SocketAddrV4,
    busy: bool,
    asking: Option<Asking>,
    out: Outbox,
}

impl SAgent {
    /// The agent of `address`. Its node is at `node`, and it publishes the listening address `publish`; the
    /// IP is often 0.0.0.0 (row 5).
    pub fn new(address: &str, node: SocketAddrV4, publish: SocketAddrV4) -> Self {
        let user = address.split('@').next().unwrap_or_default().to_owned();
        Self {
            user,
            address: address.to_owned(),
            node,
            publish,
            busy: false,
            asking: None,
            out: Outbox::default(),
        }
    }

    fn ask(&mut self, now: Instant, request: Request, message: String) {
        assert!(!self.is_waiting(), "{} waits for an answer", self.address);
        let interval = match request {
            Request::Locate(_) => LOCATE_INTERVAL,
            Request::Register | Request::Deregister => INTERVAL,
        };
        self.out.push(Effect::Send(self.node, message.clone().into_bytes()));
        self.asking = Some(Asking::new(now, request, message.into_bytes(), TRIES, interval));
    }

    fn tell_where(&mut self, question: &[u8]) {
        let code = if self.busy { &b"RL1"[..] } else { b"RL0" };
        let mut answer = [code, &question[2..]].concat();
        answer.extend(format!(":{}", self.publish).bytes());
        self.out.push(Effect::Send(self.node, answer));
    }
}

impl Emulator for SAgent {
    fn datagram(&mut self, _now: Instant, _from: SocketAddrV4, bytes: &[u8]) {
        let awaited = self.asking.take_if(|asking| bytes.starts_with(asking.request.awaited()));
        if let Some(asking) = awaited {
            self.out.push(asking.request.answered(bytes));
        } else if text::question(bytes).is_some_and(|pair| pair.to.user == self.user) {
            self.tell_where(bytes);
        } else {
            self.out.push(Effect::Odd(bytes.to_vec()));
        }
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

impl AgentEmulator for SAgent {
    fn start(&mut self, now: Instant) {
        self.ask(now, Request::Register, format!("PR{}", self.user));
    }

    fn locate(&mut self, now: Instant, to: &str) {
        self.ask(now, Request::Locate(to.to_owned()), format!("PL{}:{to}", self.address));
    }

    fn deregister(&mut self, now: Instant) {
        self.ask(now, Request::Deregister, format!("PD{}", self.user));
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

const TRIES: u32 = 10;

/// The time between two tries of `PR` and `PD`.
const INTERVAL: Duration = Duration::from_millis(100);

/// The time between two tries of `PL`.
const LOCATE_INTERVAL: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::super::testing::{addr, effects, now, sent};
    use super::*;

    fn agent() -> SAgent {
        SAgent::new("u1@PC-c", addr("10.0.0.3:3344"), addr("0.0.0.0:4000"))
    }

    /// Returns the times at which tries leave, and the time at which it gives up.
    fn tries(agent: &mut SAgent, start: Instant) -> Vec<Duration> {
        _ = effects(agent);
        let mut times = vec![Duration::ZERO];
        while let Some(due) = agent.poll_timeout() {
            agent.timeout(due);
            times.push(due - start);
            assert_eq!(effects(agent).len(), 1);
        }
        times
    }

    #[test]
    fn it_asks_ten_times_and_quickly() {
        let mut agent = agent();
        let start = now();
        agent.start(start);
        assert_eq!(tries(&mut agent, start), (0..=10).map(|n| n * INTERVAL).collect::<Vec<_>>());
        agent.locate(start, "u2@PC-d");
        assert_eq!(tries(&mut agent, start), (0..=10).map(|n| n * LOCATE_INTERVAL).collect::<Vec<_>>());
    }

    #[test]
    fn it_registers_and_deregisters_without_its_domain_and_locates_with_it() {
        let mut agent = agent();
        agent.start(now());
        agent.datagram(now(), agent.node, b"RR0");
        agent.locate(now(), "u2@PC-d");
        agent.datagram(now(), agent.node, b"RL2u1@PC-c:u2@PC-d");
        agent.deregister(now());
        agent.datagram(now(), agent.node, b"RD0");
        let located = Request::Locate("u2@PC-d".into());
        let expected = [
            sent(agent.node, "PRu1"),
            Effect::Registered,
            sent(agent.node, "PLu1@PC-c:u2@PC-d"),
            Effect::Failed(located, Failure::Code('2')),
            sent(agent.node, "PDu1"),
            Effect::Deregistered,
        ];
        assert_eq!(effects(&mut agent), expected);
    }

    #[test]
    fn it_says_where_it_is_even_while_busy() {
        let mut agent = agent();
        agent.datagram(now(), agent.node, b"PLu2@PC-d:u1@PC-c");
        agent.set_busy(true);
        agent.datagram(now(), agent.node, b"PLu2@PC-d:u1@PC-c");
        let expected = ["RL0u2@PC-d:u1@PC-c:0.0.0.0:4000", "RL1u2@PC-d:u1@PC-c:0.0.0.0:4000"];
        assert_eq!(effects(&mut agent), expected.map(|answer| sent(agent.node, answer)));
    }

    #[test]
    fn it_passes_over_what_it_did_not_ask_for_and_lives() {
        let mut agent = agent();
        agent.locate(now(), "u2@PC-d");
        for stray in ["RR0", "", "x", "PLu2@PC-d:u9@PC-c"] {
            agent.datagram(now(), agent.node, stray.as_bytes());
        }
        agent.icmp_refused();
        assert!(agent.is_waiting());
        agent.datagram(now(), agent.node, b"PLu2@PC-d:u1@PC-c");
        let odd = |stray: &str| Effect::Odd(stray.as_bytes().to_vec());
        let expected = [
            sent(agent.node, "PLu1@PC-c:u2@PC-d"),
            odd("RR0"),
            odd(""),
            odd("x"),
            odd("PLu2@PC-d:u9@PC-c"),
            sent(agent.node, "RL0u2@PC-d:u1@PC-c:0.0.0.0:4000"),
        ];
        assert_eq!(effects(&mut agent), expected);
        assert_eq!(agent.death(), None);
    }
}
