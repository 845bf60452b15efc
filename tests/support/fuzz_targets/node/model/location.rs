//! The part of the model that knows what a node may do about questions and their answers.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use lumi_node_core::{DropReason, Output};
use plumi_proto::{Extension, Locate, LocateOutcome, Message, NODE_PORT};

use super::{
    Asked, Lookup, MAX_LOOKUPS, MAX_OF_SOURCE, MAX_PENDINGS, MAX_WAITING, Model, REQUEST_LIFE, STRIKES,
};

impl Model {
    pub(super) fn locate(
        &mut self,
        now: Instant,
        asked: Asked,
        handled: Result<(), DropReason>,
        outputs: &[Output],
    ) {
        let (locate, from) = asked;
        let user = locate.from.user();
        if locate.from.domain() == self.domain && self.address_of(&user).is_none() {
            self.hear(&user, from);
        }
        if handled.is_ok() {
            *self.owed.entry(asked).or_default() += 1;
        }
        let may_pass_on = locate.from.domain() == self.domain && self.address_of(&user) == Some(from);
        match (handled, outputs) {
            (Err(DropReason::NoRoom), _) => assert!(!self.has_room(&asked), "there is room for {asked:?}"),
            _ if locate.to.domain() == self.domain => self.locate_own(now, asked, handled, outputs),
            (Err(DropReason::Foreign), _) => assert!(!may_pass_on, "{asked:?} was foreign"),
            (Err(reason), _) => panic!("{reason} for {asked:?}"),
            _ if !may_pass_on => panic!("{outputs:?} for a stranger's {asked:?}"),
            (Ok(()), [Output::Resolve { id, domain }]) => {
                assert_eq!(*domain, locate.to.domain());
                assert!(
                    self.lookups.values().all(|lookup| lookup.domain != *domain),
                    "{domain} is asked for twice"
                );
                assert!(self.answers.get(domain).is_none_or(|(_, until)| *until <= now), "{domain} is known");
                let lookup = Lookup { domain: *domain, waiting: HashMap::from([(asked, now)]) };
                assert!(self.lookups.insert(*id, lookup).is_none(), "{id:?} is used twice");
            }
            (Ok(()), []) => {
                let lookup = self.lookups.values_mut().find(|lookup| lookup.domain == locate.to.domain());
                let waiting = &mut lookup.unwrap_or_else(|| panic!("{asked:?} waits for nothing")).waiting;
                waiting.remove(&asked);
                waiting.insert(asked, now);
            }
            (Ok(()), [Output::Transmit { to, message, .. }]) => {
                let known = self.answers.get(&locate.to.domain()).filter(|(_, until)| *until > now);
                let (node, _) = *known.unwrap_or_else(|| panic!("{message:?} and DNS was not asked"));
                if *message == Message::Locate(locate) {
                    self.sent_to_node(asked, now, *to, node);
                } else {
                    assert!(node.is_none_or(|node| node == self.local), "{message:?}");
                    let outcome = LocateOutcome::NoSuchUser;
                    let extension = Extension::NONE;
                    assert_eq!((*to, *message), (from, Message::LocateReply { locate, outcome, extension }));
                    self.refused(&asked);
                }
            }
            _ => panic!("{outputs:?} for {asked:?}"),
        }
    }

    /// A question for a user of this domain.
    fn locate_own(
        &mut self,
        now: Instant,
        asked: Asked,
        handled: Result<(), DropReason>,
        outputs: &[Output],
    ) {
        let (locate, from) = asked;
        assert_eq!(handled, Ok(()), "{asked:?}");
        let user = locate.to.user();
        let interval = self.settings.strike_interval;
        let outcome = match self.bindings.get_mut(&user).filter(|binding| binding.online) {
            _ if !self.roster.contains(&user) => LocateOutcome::NoSuchUser,
            None => LocateOutcome::Offline,
            Some(binding) => {
                if binding.last_strike.is_none_or(|last| now >= last + interval) {
                    binding.strikes += 1;
                    binding.last_strike = Some(now);
                    binding.online = binding.strikes < STRIKES;
                }
                if binding.online {
                    let to = binding.address;
                    assert_ne!(to.port(), NODE_PORT, "from node to node for a user of this one");
                    assert_eq!(
                        outputs,
                        [Output::Transmit { to, source: None, message: Message::Locate(locate) }]
                    );
                    self.pending(asked, now, to);
                    return;
                }
                LocateOutcome::Offline
            }
        };
        let message = Message::LocateReply { locate, outcome, extension: Extension::NONE };
        assert_eq!(outputs, [Output::Transmit { to: from, source: None, message }]);
        self.refused(&asked);
    }

    /// An `RL` came: it went on to one who asked, or nowhere.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        locate: Locate,
        answer: Message,
        sent: Option<(SocketAddrV4, Message)>,
    ) {
        let own = locate.to.domain() == self.domain;
        if own {
            self.hear(&locate.to.user(), from);
        }
        let Some((to, message)) = sent else {
            let unanswered = |((pending, _), (asked, end)): (&Asked, &(SocketAddrV4, Instant))| {
                *pending == locate && *asked == from && *end > now
            };
            assert!(!self.pendings.iter().any(unanswered), "{locate:?} of {from} was asked for");
            return;
        };
        let mut expected = answer;
        if let Message::LocateReply { outcome: LocateOutcome::Found(address), .. } = &mut expected
            && own
            && address.ip.is_unspecified()
        {
            address.ip = *from.ip();
        }
        assert_eq!(message, expected);
        let pending = self.pendings.remove(&(locate, to));
        assert!(pending.is_some_and(|(asked, _)| asked == from), "{message:?} of {from} to {to}");
        self.owes_one_less(&(locate, to));
    }

    /// A question went to the node of another domain.
    pub(super) fn sent_to_node(
        &mut self,
        asked: Asked,
        since: Instant,
        to: SocketAddrV4,
        found: Option<SocketAddrV4>,
    ) {
        assert_eq!(Some(to), found, "{asked:?} goes where DNS says");
        assert_ne!(to, self.local, "{asked:?} comes back");
        assert_ne!(asked.0.to.domain(), self.domain, "from node to node for a user of this one");
        self.pending(asked, since, to);
    }

    fn pending(&mut self, asked: Asked, since: Instant, to: SocketAddrV4) {
        self.pendings.insert(asked, (to, since + REQUEST_LIFE));
        assert!(self.is_exempt(*asked.1.ip()) || self.of_source(*asked.1.ip()) <= MAX_OF_SOURCE);
    }

    /// The node answered in the place of whom was asked for.
    pub(super) fn refused(&mut self, asked: &Asked) {
        self.pendings.remove(asked);
        self.owes_one_less(asked);
    }

    fn owes_one_less(&mut self, asked: &Asked) {
        let owed = self.owed.get_mut(asked).filter(|owed| **owed > 0);
        *owed.unwrap_or_else(|| panic!("more answers than questions: {asked:?}")) -= 1;
    }

    /// Returns whether there is room for a question: pending, waiting for DNS, or a look-up of its own.
    fn has_room(&self, asked: &Asked) -> bool {
        let pendings = self.pendings.contains_key(asked)
            || self.pendings.len() < MAX_PENDINGS
                && (self.is_exempt(*asked.1.ip()) || self.of_source(*asked.1.ip()) < MAX_OF_SOURCE);
        let domain = asked.0.to.domain();
        let lookup = self.lookups.values().find(|lookup| lookup.domain == domain);
        let lookups = domain == self.domain
            || lookup.map_or(self.lookups.len() < MAX_LOOKUPS, |lookup| lookup.waiting.len() < MAX_WAITING);
        pendings && lookups
    }

    fn of_source(&self, source: Ipv4Addr) -> usize {
        self.pendings.keys().filter(|(_, asker)| *asker.ip() == source).count()
    }
}
