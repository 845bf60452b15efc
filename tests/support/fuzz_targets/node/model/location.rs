//! The part of the model that knows what a node may do about questions and their answers.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Instant;

use lumi_node_core::{Ask, DropReason, Output};
use plumi_proto::{Extension, Locate, LocateOutcome, Message, MiAddress, NODE_PORT};

use super::{Lookup, MAX_LOOKUPS, MAX_RECEIVERS, MIN_INTERVAL, Model, Pending, REQUEST_LIFE, STRIKES};
use crate::kept_requests::Asked;

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
            self.hear(now, &user, from);
        }
        if !self.may_ask(&locate.from, from) {
            assert_eq!(handled, Err(DropReason::Foreign), "{asked:?} does not count");
            return;
        }
        if handled.is_ok() {
            *self.owed.entry(asked).or_default() += 1;
        }
        let may_pass_on = locate.from.domain() == self.domain && self.address_of(&user) == Some(from);
        match (handled, outputs) {
            (Err(DropReason::Repeated), _) => {
                let pending =
                    self.pendings.get(&asked).unwrap_or_else(|| panic!("{asked:?} is no repetition"));
                assert!(now < pending.sent_at + MIN_INTERVAL, "{asked:?} is repeated soon enough");
            }
            _ if locate.to.domain() == self.domain => self.locate_own(now, asked, handled, outputs),
            (Err(DropReason::Foreign), _) => assert!(!may_pass_on, "{asked:?} was foreign"),
            (Err(reason), _) => panic!("{reason} for {asked:?}"),
            _ if !may_pass_on => panic!("{outputs:?} for a stranger's {asked:?}"),
            (Ok(()), [Output::Resolve { id, domain, instead_of }]) => {
                assert_eq!(*domain, locate.to.domain());
                assert_eq!(instead_of.is_some(), self.lookups.len() >= MAX_LOOKUPS);
                if let Some(given_up) = instead_of {
                    self.lookups.remove(given_up).unwrap_or_else(|| panic!("{given_up:?} is not under way"));
                }
                assert!(
                    self.lookups.values().all(|lookup| lookup.domain != *domain),
                    "{domain} is asked for twice"
                );
                assert!(self.answers.get(domain).is_none_or(|(_, until)| *until <= now), "{domain} is known");
                self.answers.remove(domain);
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
                    self.sent_to_node(asked, now, now, *to, node);
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

    fn may_ask(&self, user: &MiAddress, from: SocketAddrV4) -> bool {
        let ask = self.settings.ask;
        if user.domain() == self.domain {
            return self.address_of(&user.user()).map_or(ask == Ask::Any, |bound| bound == from);
        }
        // An answer of DNS counts even if it is out of date.
        let node = self.answers.get(&user.domain()).and_then(|(node, _)| *node);
        ask != Ask::Nodes || node == Some(from)
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
        let user = locate.to.user();
        if self.address_of(&user).is_some() {
            let is_kept = self.make_room(asked);
            assert_eq!(handled, if is_kept { Ok(()) } else { Err(DropReason::NoRoom) }, "{asked:?}");
            if !is_kept {
                return;
            }
        }
        let interval = self.settings.strike_interval;
        let outcome = match self.bindings.get_mut(&user).filter(|binding| binding.online) {
            _ if !self.roster.contains(&user) => LocateOutcome::NoSuchUser,
            None => LocateOutcome::Offline,
            Some(binding) => {
                if binding.last_strike.is_none_or(|last| now >= last + interval) {
                    // A datagram that was kept out since the last strike may have been the answer.
                    let kept_out_at = self.kept_out_at.get(binding.address.ip());
                    let may_have_answered =
                        binding.last_strike.is_some_and(|last| kept_out_at.is_some_and(|at| *at >= last));
                    binding.strikes += u8::from(!may_have_answered);
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
                    self.pending(asked, now, now, to);
                    return;
                }
                LocateOutcome::Offline
            }
        };
        let message = Message::LocateReply { locate, outcome, extension: Extension::NONE };
        assert_eq!(outputs, [Output::Transmit { to: from, source: None, message }]);
        self.refused(&asked);
    }

    /// An `RL` came: it went on to an asker, or nowhere.
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
            self.hear(now, &locate.to.user(), from);
        }
        let Some((to, message)) = sent else {
            let is_asked = |(asked, pending): &(&Asked, &Pending)| {
                asked.0 == locate && pending.receivers.contains(&from) && pending.end > now
            };
            let oldest = self.pendings.iter().filter(is_asked).min_by_key(|(_, pending)| pending.number);
            let Some(&asked) = oldest.map(|(asked, _)| asked) else { return };
            // An asker that is online elsewhere by now hears nothing.
            assert!(self.is_elsewhere(&asked), "{locate:?} of {from} was asked for");
            self.ended(&asked);
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
        assert!(!self.is_elsewhere(&(locate, to)), "{message:?} to {to}");
        let pending = self.ended(&(locate, to));
        let is_asked = pending.is_some_and(|pending| pending.receivers.contains(&from));
        assert!(is_asked, "{message:?} of {from} to {to}");
        self.owes_one_less(&(locate, to));
    }

    /// A question went to the node of another domain.
    pub(super) fn sent_to_node(
        &mut self,
        asked: Asked,
        now: Instant,
        since: Instant,
        to: SocketAddrV4,
        found: Option<SocketAddrV4>,
    ) {
        assert_eq!(Some(to), found, "{asked:?} goes where DNS says");
        assert_ne!(to, self.local, "{asked:?} comes back");
        assert_ne!(asked.0.to.domain(), self.domain, "from node to node for a user of this one");
        assert!(self.make_room(asked), "there is no room for {asked:?}");
        self.pending(asked, now, since, to);
    }

    /// Returns whether there is room for a question, and lets another one give way if there has to be.
    fn make_room(&mut self, asked: Asked) -> bool {
        let (Locate { from, .. }, at) = asked;
        let is_own = from.domain() == self.domain && self.address_of(&from.user()) == Some(at);
        let gone = self.kept.add(asked, is_own.then(|| from.user()));
        if let Some(gone) = gone {
            self.pendings.remove(&gone);
        }
        gone != Some(asked)
    }

    fn pending(&mut self, asked: Asked, now: Instant, since: Instant, to: SocketAddrV4) {
        self.sent_on += 1;
        let before = self.pendings.remove(&asked);
        let number = before.as_ref().map_or(self.sent_on, |before| before.number);
        if let Some(before) = &before {
            assert!(now >= before.sent_at + MIN_INTERVAL, "{asked:?} is sent on twice at once");
        }
        let mut receivers = before.map_or(Vec::new(), |before| before.receivers);
        receivers.retain(|receiver| *receiver != to);
        receivers.push(to);
        if receivers.len() > MAX_RECEIVERS {
            receivers.remove(0);
        }
        self.pendings.insert(asked, Pending { receivers, sent_at: now, number, end: since + REQUEST_LIFE });
    }

    /// A question is pending no longer.
    fn ended(&mut self, asked: &Asked) -> Option<Pending> {
        self.kept.remove(asked);
        self.pendings.remove(asked)
    }

    /// Returns whether the asking user belongs to this node and is online, but not where the question came
    /// from.
    fn is_elsewhere(&self, (Locate { from, .. }, at): &Asked) -> bool {
        from.domain() == self.domain && self.address_of(&from.user()).is_some_and(|bound| bound != *at)
    }

    /// The node answered in place of the user that was asked for.
    pub(super) fn refused(&mut self, asked: &Asked) {
        self.ended(asked);
        self.owes_one_less(asked);
    }

    fn owes_one_less(&mut self, asked: &Asked) {
        let owed = self.owed.get_mut(asked).filter(|owed| **owed > 0);
        *owed.unwrap_or_else(|| panic!("more answers than questions: {asked:?}")) -= 1;
    }
}
