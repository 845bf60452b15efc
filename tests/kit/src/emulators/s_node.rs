//! The node of S.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::domain::{Domain, Route};
use super::{Death, Effect, Emulator, NodeEmulator, Outbox, text};

/// A node of S: registers a user without domain only, and answers `RR1` to the full form (row 2). Nothing is
/// known that ends it; what it cannot read it passes over.
#[derive(Clone, Debug)]
pub struct SNode {
    domain: Domain,
    out: Outbox,
}

impl SNode {
    /// The node of `domain` with these users, all offline. It finds other nodes in `peers`, as if by DNS.
    pub fn new(domain: &str, users: &[&str], peers: &[(&str, SocketAddrV4)]) -> Self {
        Self { domain: Domain::new(domain, users, peers), out: Outbox::default() }
    }

    fn register(&mut self, from: SocketAddrV4, message: &[u8], address: Option<SocketAddrV4>) {
        // The full form is no name of a user.
        let done = std::str::from_utf8(&message[2..]).is_ok_and(|user| self.domain.set(user, address));
        let code = if done { b'0' } else { b'1' };
        self.out.push(Effect::Send(from, vec![b'R', message[1], code]));
    }

    fn locate(&mut self, from: SocketAddrV4, message: &[u8]) {
        match text::question(message) {
            Some(pair) => {
                let (to, message) = self.domain.question(from, &pair, message);
                self.out.push(Effect::Send(to, message));
            }
            None => self.out.push(Effect::Odd(message.to_vec())),
        }
    }

    fn locate_reply(&mut self, message: &[u8]) {
        match text::answer(message).map(|pair| self.domain.answer(&pair)) {
            Some(Route::To(address)) => self.out.push(Effect::Send(address, message.to_vec())),
            Some(Route::Nowhere) => {}
            Some(Route::Unknown) | None => self.out.push(Effect::Odd(message.to_vec())),
        }
    }
}

impl Emulator for SNode {
    fn datagram(&mut self, _now: Instant, from: SocketAddrV4, bytes: &[u8]) {
        match bytes {
            [b'P', b'R', ..] => self.register(from, bytes, Some(from)),
            [b'P', b'D', ..] => self.register(from, bytes, None),
            [b'P', b'L', ..] => self.locate(from, bytes),
            [b'R', b'L', ..] => self.locate_reply(bytes),
            _ => self.out.push(Effect::Odd(bytes.to_vec())),
        }
    }

    fn poll_output(&mut self) -> Option<Effect> {
        self.out.effects.pop_front()
    }

    fn death(&self) -> Option<&Death> {
        self.out.death.as_ref()
    }
}

impl NodeEmulator for SNode {
    fn address_of(&self, user: &str) -> Option<SocketAddrV4> {
        self.domain.address_of(user)
    }

    fn add_peer(&mut self, domain: &str, node: SocketAddrV4) {
        self.domain.add_peer(domain, node);
    }

    fn remove_user(&mut self, user: &str) {
        self.domain.remove_user(user);
    }

    fn restart(&mut self) {
        self.domain.forget_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{addr, effects, now, sent};
    use super::*;

    #[test]
    fn it_registers_without_domain_only() {
        let mut node = SNode::new("PC-c", &["u1"], &[]);
        let agent = addr("10.0.0.1:51189");
        for (datagram, answer) in [
            ("PRu1@PC-c", "RR1"),
            ("PRu1", "RR0"),
            ("PRu9", "RR1"),
            ("PDu1@PC-c", "RD1"),
            ("PDu1", "RD0"),
            ("PDu1", "RD0"),
        ] {
            node.datagram(now(), agent, datagram.as_bytes());
            assert_eq!(effects(&mut node), [sent(agent, answer)], "{datagram}");
        }
    }

    #[test]
    fn it_passes_over_what_ends_a_node_of_l() {
        let mut node = SNode::new("PC-c", &["u1"], &[]);
        for odd in [&b""[..], b"RR0", b"XX", b"PLu1", b"RL00:1.2.3.4:5", b"RL2u9@PC-c:u1@PC-c"] {
            node.datagram(now(), addr("10.0.0.4:3344"), odd);
            assert_eq!(effects(&mut node), [Effect::Odd(odd.to_vec())]);
        }
        assert_eq!(node.death(), None);
    }

    #[test]
    fn it_passes_on_what_follows_an_answer() {
        let other = addr("10.0.0.4:3344");
        let mut node = SNode::new("PC-c", &["u1"], &[("PC-d", other)]);
        for answer in
            ["RL1u2@PC-d:u1@PC-c:10.0.0.1:4000", "RL0u2@PC-d:u1@PC-c:10.0.0.1:4000:T", "RL3u2@PC-d:u1@PC-c:"]
        {
            node.datagram(now(), addr("10.0.0.1:51189"), answer.as_bytes());
            assert_eq!(effects(&mut node), [sent(other, answer)]);
        }
    }
}
