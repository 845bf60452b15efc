//! The node of L.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::domain::{Domain, Route};
use super::{Death, Effect, Emulator, NodeEmulator, Outbox, text};

/// A node of L: it ends, at once, on any datagram that is not a well-formed message (row 6), a bare user
/// among them (row 2).
#[derive(Clone, Debug)]
pub struct LNode {
    domain: Domain,
    out: Outbox,
}

impl LNode {
    /// The node of `domain` with these users, all offline. It finds other nodes in `peers`, as if by DNS.
    pub fn new(domain: &str, users: &[&str], peers: &[(&str, SocketAddrV4)]) -> Self {
        Self { domain: Domain::new(domain, users, peers), out: Outbox::default() }
    }

    fn register(&mut self, from: SocketAddrV4, message: &[u8], address: Option<SocketAddrV4>) {
        // Text behind a full address is ignored; text behind a bare user still ends it (row 17).
        let field = message[2..].split(|&byte| byte == b':').next().unwrap_or_default();
        let Some(name) = text::address(field) else {
            let has_domain = field.contains(&b'@');
            let death = if has_domain { Death::Malformed } else { Death::BareUser };
            return self.out.die(death(message.to_vec()));
        };
        let done = self.domain.is(name.domain) && self.domain.set(name.user, address);
        let code = if done { b'0' } else { b'1' };
        self.out.push(Effect::Send(from, vec![b'R', message[1], code]));
    }

    fn locate(&mut self, from: SocketAddrV4, message: &[u8]) {
        let Some(pair) = text::question(message) else {
            return self.out.die(Death::Malformed(message.to_vec()));
        };
        let (to, message) = self.domain.question(from, &pair, message);
        self.out.push(Effect::Send(to, message));
    }

    fn locate_reply(&mut self, message: &[u8]) {
        let Some(pair) = text::answer(message) else {
            return self.out.die(Death::Malformed(message.to_vec()));
        };
        match self.domain.answer(&pair) {
            Route::To(address) => self.out.push(Effect::Send(address, message.to_vec())),
            Route::Nowhere => {}
            Route::Unknown => self.out.die(Death::UnknownUser(message.to_vec())),
        }
    }
}

impl Emulator for LNode {
    fn datagram(&mut self, _now: Instant, from: SocketAddrV4, bytes: &[u8]) {
        if self.out.is_dead() {
            return;
        }
        match bytes {
            [] => self.out.die(Death::Empty),
            _ if bytes.len() > MAX_MESSAGE => self.out.die(Death::TooLong(bytes.len())),
            [b'P', b'R', ..] => self.register(from, bytes, Some(from)),
            [b'P', b'D', ..] => self.register(from, bytes, None),
            [b'P', b'L', ..] => self.locate(from, bytes),
            [b'R', b'L', ..] => self.locate_reply(bytes),
            _ => self.out.die(Death::UnknownType(bytes.to_vec())),
        }
    }

    fn poll_output(&mut self) -> Option<Effect> {
        self.out.effects.pop_front()
    }

    fn death(&self) -> Option<&Death> {
        self.out.death.as_ref()
    }
}

impl NodeEmulator for LNode {
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

/// protocol.md §2.
const MAX_MESSAGE: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::testing::{addr, effects, now, sent};
    use super::*;

    const AGENT: &str = "10.0.0.1:51189";
    const OTHER_NODE: &str = "10.0.0.4:3344";

    /// Returns a node with u1 online.
    fn node() -> LNode {
        let mut node = LNode::new("PC-c", &["u1", "u3"], &[("PC-d", addr(OTHER_NODE))]);
        node.datagram(now(), addr(AGENT), b"PRu1@PC-c");
        assert_eq!(effects(&mut node), [sent(addr(AGENT), "RR0")]);
        node
    }

    #[test]
    fn it_ends_on_whatever_is_not_well_formed() {
        let too_long = [&b"PR"[..], &[b'u'; 99]].concat();
        for (datagram, death) in [
            (&b""[..], Death::Empty),
            (b"RR0", Death::UnknownType(b"RR0".to_vec())),
            (b"RR1", Death::UnknownType(b"RR1".to_vec())),
            (b"RD0", Death::UnknownType(b"RD0".to_vec())),
            (b"XXu1@PC-c", Death::UnknownType(b"XXu1@PC-c".to_vec())),
            (b"P", Death::UnknownType(b"P".to_vec())),
            (b"PRu1", Death::BareUser(b"PRu1".to_vec())),
            (b"PDu1", Death::BareUser(b"PDu1".to_vec())),
            (b"PRu1:A", Death::BareUser(b"PRu1:A".to_vec())),
            (b"PR:u1@PC-c", Death::BareUser(b"PR:u1@PC-c".to_vec())),
            (b"PR@PC-c", Death::Malformed(b"PR@PC-c".to_vec())),
            (b"PLu2@PC-d", Death::Malformed(b"PLu2@PC-d".to_vec())),
            (b"RL00:10.0.0.1:4000", Death::Malformed(b"RL00:10.0.0.1:4000".to_vec())),
            (b"RL2u9@PC-c:u2@PC-d", Death::UnknownUser(b"RL2u9@PC-c:u2@PC-d".to_vec())),
            (b"RL2u9@PC-e:u1@PC-c", Death::UnknownUser(b"RL2u9@PC-e:u1@PC-c".to_vec())),
            (&too_long, Death::TooLong(101)),
        ] {
            let mut node = node();
            node.datagram(now(), addr(OTHER_NODE), datagram);
            assert_eq!(effects(&mut node), [Effect::Died(death.clone())], "{}", datagram.escape_ascii());
            node.datagram(now(), addr(AGENT), b"PRu1@PC-c");
            assert_eq!(effects(&mut node), [], "it stays dead");
            assert_eq!(node.death(), Some(&death));
        }
    }

    #[test]
    fn an_answer_for_a_removed_user_ends_it_and_one_for_an_offline_user_does_not() {
        let mut node = node();
        node.datagram(now(), addr(OTHER_NODE), b"RL3u3@PC-c:u2@PC-d");
        assert_eq!(effects(&mut node), []);
        node.remove_user("u3");
        node.datagram(now(), addr(OTHER_NODE), b"RL3u3@PC-c:u2@PC-d");
        assert_eq!(node.death(), Some(&Death::UnknownUser(b"RL3u3@PC-c:u2@PC-d".to_vec())));
    }

    #[test]
    fn it_registers_in_the_full_form_and_answers_and_proxies() {
        let mut node = node();
        let (agent, other) = (addr(AGENT), addr(OTHER_NODE));
        for (from, datagram, to, answer) in [
            (agent, "PRu9@PC-c", agent, "RR1"),
            (agent, "PRu1@PC-d", agent, "RR1"),
            (agent, "PRu1@PC-c:", agent, "RR0"),
            (agent, "PRu9@PC-c:more@all", agent, "RR1"),
            (agent, "PLu1@PC-c:u2@PC-d", other, "PLu1@PC-c:u2@PC-d"),
            (other, "RL0u1@PC-c:u2@PC-d:10.0.0.2:43038", agent, "RL0u1@PC-c:u2@PC-d:10.0.0.2:43038"),
            (other, "RL0u1@PC-c:u2@PC-d:10.0.0.2:43038:T", agent, "RL0u1@PC-c:u2@PC-d:10.0.0.2:43038:T"),
            (other, "RL1u1@PC-c:u2@PC-d:10.0.0.2:43038", agent, "RL1u1@PC-c:u2@PC-d:10.0.0.2:43038"),
            (agent, "PLu1@PC-c:u2@PC-e", agent, "RL2u1@PC-c:u2@PC-e"),
            (other, "PLu2@PC-d:u9@PC-c", other, "RL2u2@PC-d:u9@PC-c"),
            (other, "PLu2@PC-d:u3@PC-c", other, "RL3u2@PC-d:u3@PC-c"),
            (other, "PLu2@PC-d:u1@PC-c", agent, "PLu2@PC-d:u1@PC-c"),
            (agent, "RL1u2@PC-d:u1@PC-c", other, "RL1u2@PC-d:u1@PC-c"),
            (agent, "PDu1@PC-c", agent, "RD0"),
        ] {
            node.datagram(now(), from, datagram.as_bytes());
            assert_eq!(effects(&mut node), [sent(to, answer)], "{datagram}");
        }
        assert_eq!(node.address_of("u1"), None);
    }

    #[test]
    fn the_fifth_question_without_an_answer_takes_a_user_offline() {
        let mut node = node();
        for _ in 0..4 {
            node.datagram(now(), addr(OTHER_NODE), b"PLu2@PC-d:u1@PC-c");
            assert_eq!(effects(&mut node), [sent(addr(AGENT), "PLu2@PC-d:u1@PC-c")]);
        }
        node.datagram(now(), addr(OTHER_NODE), b"PLu2@PC-d:u1@PC-c");
        assert_eq!(effects(&mut node), [sent(addr(OTHER_NODE), "RL3u2@PC-d:u1@PC-c")]);
        assert_eq!(node.address_of("u1"), None);
    }
}
