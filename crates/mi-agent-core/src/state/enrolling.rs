//! The enrolment of a user by an invitation, without its socket (protocol.md §12).
//!
//! ```text
//!  begin ── PR…:E, 5 × 1 s ──► RR0:key:mac   taken
//!                          ──► RR1           not taken
//!                          ──► RR0           a deployed node registered it: PD, 5 × 1 s, not supported
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use lumi_proof::{Code, PublicKeyBytes};
use plumi_proto::{Extension, KeyAndMac, Message, MiAddress, NodeAddress, RegisterCode, Registrant};

use super::request::RequestSchedule;

/// An enrolment under way. Report what happened with a `handle_*` method, and then send every message that
/// [`Enrolling::poll_output`] returns.
#[derive(Debug)]
pub(crate) struct Enrolling {
    address: MiAddress,
    code: Code,
    key: KeyAndMac,
    schedule: RequestSchedule,
    /// The addresses of the node, at least one, and the number of the one that is asked.
    nodes: Vec<NodeAddress>,
    asked: usize,
    phase: Phase,
    attempts_left: u8,
    next_attempt: Instant,
    outputs: VecDeque<(NodeAddress, Message)>,
    strays: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Enrolling,
    /// The node of this address has registered the sender, which nobody wanted.
    Deregistering(NodeAddress),
}

/// The end of an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnrolEnd {
    /// The node has taken the key, and has this one itself.
    Taken(PublicKeyBytes),
    /// The node does not take the invitation.
    NotTaken,
    /// The node does not know invitations.
    NotSupported,
    /// There is no valid answer.
    Silent,
}

impl Enrolling {
    /// Begins to enrol `key` for `address` by the invitation with this code. `nodes` has at least one
    /// address.
    pub(crate) fn begin(
        now: Instant,
        address: MiAddress,
        code: Code,
        key: PublicKeyBytes,
        nodes: Vec<NodeAddress>,
        schedule: RequestSchedule,
    ) -> Self {
        let schedule = schedule.bounded();
        let mut enrolling = Self {
            address,
            code,
            key: code.enrol(&address, key),
            schedule,
            nodes,
            asked: 0,
            phase: Phase::Enrolling,
            attempts_left: schedule.attempts.get(),
            next_attempt: now,
            outputs: VecDeque::new(),
            strays: 0,
        };
        enrolling.send(now);
        enrolling
    }

    /// Returns whether `from` is an address of the node. Datagrams from elsewhere are dropped.
    pub(crate) fn is_node(&self, from: NodeAddress) -> bool {
        self.nodes.contains(&from)
    }

    /// Returns the address that is asked now.
    pub(crate) fn node(&self) -> NodeAddress {
        match self.phase {
            Phase::Enrolling => self.nodes[self.asked % self.nodes.len()],
            Phase::Deregistering(node) => node,
        }
    }

    /// Returns the number of datagrams that were no valid answer.
    pub(crate) fn strays(&self) -> u64 {
        self.strays
    }

    /// Handles a datagram of the node. An answer with a wrong MAC is none: anybody may have sent it.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        from: NodeAddress,
        datagram: &[u8],
    ) -> Option<EnrolEnd> {
        let message = Message::decode(datagram).ok();
        match (self.phase, message) {
            (Phase::Enrolling, Some(message @ Message::RegisterReply { code, extension })) => {
                match (code, message.enrolled()) {
                    (RegisterCode::NoSuchUser, _) if message.challenge().is_none() => {
                        return Some(EnrolEnd::NotTaken);
                    }
                    (_, Some(answer)) if self.code.has_answered(&self.address, &answer) => {
                        return Some(EnrolEnd::Taken(answer.key));
                    }
                    (RegisterCode::Registered, None) if extension == Extension::NONE => {
                        self.phase = Phase::Deregistering(from);
                        self.attempts_left = self.schedule.attempts.get();
                        self.send(now);
                    }
                    _ => self.strays += 1,
                }
            }
            (Phase::Deregistering(_), Some(Message::DeregisterReply { .. })) => {
                return Some(EnrolEnd::NotSupported);
            }
            _ => self.strays += 1,
        }
        None
    }

    /// Handles the time that [`Enrolling::poll_timeout`] returned.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<EnrolEnd> {
        if self.next_attempt > now {
            return None;
        }
        match (self.attempts_left, self.phase) {
            (0, Phase::Enrolling) => Some(EnrolEnd::Silent),
            (0, Phase::Deregistering(_)) => Some(EnrolEnd::NotSupported),
            _ => {
                // Each attempt asks the next address: one of the hosts may be down.
                self.asked += 1;
                self.send(now);
                None
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.next_attempt
    }

    /// Returns the next message to send, and its receiver.
    pub(crate) fn poll_output(&mut self) -> Option<(NodeAddress, Message)> {
        self.outputs.pop_front()
    }

    fn send(&mut self, now: Instant) {
        let message = match self.phase {
            Phase::Enrolling => Message::Enrol { address: self.address, key: self.key },
            Phase::Deregistering(_) => Message::Deregister(Registrant::Address(self.address)),
        };
        self.attempts_left -= 1;
        self.next_attempt = now + self.schedule.interval;
        self.outputs.push_back((self.node(), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;

    const NODE_KEY: PublicKeyBytes = [9; 32];

    fn code() -> Code {
        "KQ7M-2XTN-9D4V-W3RH".parse().unwrap()
    }

    fn laura() -> MiAddress {
        "laura@bb.com".parse().unwrap()
    }

    fn node(number: u8) -> NodeAddress {
        format!("127.0.0.{number}:3344").parse().unwrap()
    }

    fn enrolling(nodes: &[NodeAddress]) -> (Instant, Enrolling) {
        let now = any_time();
        let schedule = RequestSchedule::default();
        (now, Enrolling::begin(now, laura(), code(), [1; 32], nodes.to_vec(), schedule))
    }

    fn sent(enrolling: &mut Enrolling) -> Vec<(NodeAddress, String)> {
        std::iter::from_fn(|| enrolling.poll_output())
            .map(|(to, message)| (to, String::from_utf8(message.encode().to_vec()).unwrap()))
            .collect()
    }

    fn answer(code: Code, address: MiAddress) -> Vec<u8> {
        let extension = code.answer(&address, NODE_KEY).extension();
        Message::RegisterReply { code: RegisterCode::Registered, extension }.encode().to_vec()
    }

    fn enrolment() -> String {
        let message = Message::Enrol { address: laura(), key: code().enrol(&laura(), [1; 32]) };
        String::from_utf8(message.encode().to_vec()).unwrap()
    }

    /// Each row: an answer, and the end, or `None` if it is none.
    #[test]
    fn each_answer_has_its_end() {
        let other: Code = "0000-0000-0000-0000".parse().unwrap();
        for (datagram, end) in [
            (answer(code(), laura()), Some(EnrolEnd::Taken(NODE_KEY))),
            (answer(other, laura()), None),
            (answer(code(), "pere@bb.com".parse().unwrap()), None),
            (b"RR0:something".to_vec(), None),
            (b"RR1".to_vec(), Some(EnrolEnd::NotTaken)),
            (b"RR1:and more 1".to_vec(), Some(EnrolEnd::NotTaken)),
            (b"RR1:AAAAAAAAAAAAAAAAxjNkBxOI1".to_vec(), None),
            (b"RD0".to_vec(), None),
            (b"PRlaura@bb.com".to_vec(), None),
            (b"".to_vec(), None),
        ] {
            let (now, mut enrolling) = enrolling(&[node(2)]);
            assert_eq!(sent(&mut enrolling), [(node(2), enrolment())]);
            let ended = enrolling.handle_datagram(now, node(2), &datagram);
            assert_eq!(ended, end, "{}", datagram.escape_ascii());
            assert_eq!(enrolling.strays(), u64::from(end.is_none()));
            assert_eq!(sent(&mut enrolling), []);
        }
    }

    #[test]
    fn without_an_answer_each_address_is_asked_and_five_attempts_are_all() {
        let (mut now, mut enrolling) = enrolling(&[node(2), node(3)]);
        let mut to: Vec<_> = sent(&mut enrolling).into_iter().map(|(to, _)| to).collect();
        for _ in 0..4 {
            assert_eq!(enrolling.poll_timeout(), now + RequestSchedule::default().interval);
            assert_eq!(enrolling.handle_timeout(now), None, "not before its time");
            now = enrolling.poll_timeout();
            assert_eq!(enrolling.handle_timeout(now), None);
            to.extend(sent(&mut enrolling).into_iter().map(|(to, _)| to));
        }
        assert_eq!(to, [node(2), node(3), node(2), node(3), node(2)]);
        now = enrolling.poll_timeout();
        assert_eq!(enrolling.handle_timeout(now), Some(EnrolEnd::Silent));
        assert!(enrolling.is_node(node(3)) && !enrolling.is_node(node(4)));
    }

    #[test]
    fn a_node_that_registers_the_sender_is_asked_to_undo_it() {
        for answered in [true, false] {
            let (mut now, mut enrolling) = enrolling(&[node(2), node(3)]);
            sent(&mut enrolling);
            assert_eq!(enrolling.handle_datagram(now, node(3), b"RR0"), None);
            let leave = (node(3), "PDlaura@bb.com".to_owned());
            assert_eq!(sent(&mut enrolling), std::slice::from_ref(&leave));
            assert_eq!(enrolling.handle_datagram(now, node(3), b"RR0"), None, "a copy");
            assert_eq!(sent(&mut enrolling), []);
            if answered {
                assert_eq!(enrolling.handle_datagram(now, node(3), b"RD0"), Some(EnrolEnd::NotSupported));
                continue;
            }
            for _ in 0..4 {
                now = enrolling.poll_timeout();
                assert_eq!(enrolling.handle_timeout(now), None);
                assert_eq!(sent(&mut enrolling), std::slice::from_ref(&leave));
            }
            now = enrolling.poll_timeout();
            assert_eq!(enrolling.handle_timeout(now), Some(EnrolEnd::NotSupported));
        }
    }
}
