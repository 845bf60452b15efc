//! The laws of users who have a key (protocol.md §9, §12).
//!
//! The observer keeps what the node does not: every challenge that was given, with the socket that it was
//! given to. It computes no nonce.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_node_core::{DropReason, Keys, Node, Output, PublicKey};
use lumi_proof::{handle, key_tag, verify};
use plumi_proto::{
    Challenge, DeregisterCode, Extension, Message, MiAddress, Proof, RegisterCode, UserName, Verb,
};

use super::{Bound, NodeLaws, Request};
use crate::simulation::laws::step::Step;
use crate::simulation::laws::{Law, Violation, ensure};

/// The challenges and proofs of a node.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// The start of the node.
    since: Duration,
    keys: Keys,
    /// The challenges since the last accepted proof of each user.
    given: HashMap<UserName, Vec<Given>>,
    /// The key that proved the binding of each user.
    proved_by: HashMap<UserName, PublicKey>,
    /// The last accepted proof of each user.
    last: HashMap<UserName, (Proof, SocketAddrV4, Duration)>,
    /// The proofs that came from each socket.
    came: HashMap<SocketAddrV4, u32>,
    /// The number of times that each part of the laws was looked at.
    figures: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    to: SocketAddrV4,
    challenge: Challenge,
    at: Duration,
    /// The user had no key since, so the node may count the proofs of the user anew.
    is_stale: bool,
}

impl Proofs {
    fn count(&mut self, what: &'static str) {
        *self.figures.entry(what).or_default() += 1;
    }

    fn epoch(&self, at: Duration) -> u64 {
        (at - self.since).as_secs() / EPOCH.as_secs()
    }

    /// Returns the key of the user that signed a challenge which was given to `from` and is still valid, or
    /// may be.
    fn signer(
        &self,
        now: Duration,
        address: &MiAddress,
        from: SocketAddrV4,
        proof: &Proof,
        may_be_stale: bool,
    ) -> Option<PublicKey> {
        let user = address.user();
        let given = self.given.get(&user).map_or(&[][..], Vec::as_slice);
        let in_time = given.iter().filter(|given| self.epoch(now) - self.epoch(given.at) <= 1);
        let here = in_time.filter(|given| given.to == from && given.challenge.nonce.hint() == proof.hint);
        let mut here = here.filter(|given| may_be_stale || !given.is_stale).map(|given| &given.challenge);
        here.find_map(|challenge| {
            let mut keys = self.keys.of(&user).iter().map(|known| known.key);
            keys.find(|key| verify(&key.0, address, challenge, proof))
        })
    }
}

impl NodeLaws {
    /// The node was started `now` with these keys of its users.
    pub(in crate::simulation) fn with_keys(mut self, now: Duration, keys: &Keys) -> Self {
        self.registrations.set_keyed(keys.iter().map(|(user, _)| *user).collect());
        (self.proofs.since, self.proofs.keys) = (now, keys.clone());
        self
    }

    /// Returns the key that proved where the user is bound.
    pub(super) fn proved_by(&self, user: &UserName) -> Option<PublicKey> {
        self.proofs.proved_by.get(user).copied()
    }

    /// Returns whether the stored binding of a user counts by the tag of the key that proved it, and notes
    /// that key.
    pub(super) fn is_proved_by(&mut self, user: &UserName, tag: Option<[u8; 8]>) -> bool {
        let mut keys = self.proofs.keys.of(user).iter().map(|known| known.key);
        let key = keys.find(|key| Some(key_tag(&key.0)) == tag);
        self.proofs.proved_by.extend(key.map(|key| (*user, key)));
        key.is_some() || tag.is_none() && !self.registrations.has_key(user)
    }

    /// Checks the node after it has taken other keys over. A user without the key that proved the binding is
    /// bound nowhere.
    pub(in crate::simulation) fn keys_changed(
        &mut self,
        now: Duration,
        keys: &Keys,
        node: &Node,
    ) -> Result<(), Violation> {
        let before = std::mem::replace(&mut self.proofs.keys, keys.clone());
        let keys_of =
            |keys: &Keys, user: &UserName| keys.of(user).iter().map(|known| known.key).collect::<Vec<_>>();
        let users: BTreeSet<_> = before.iter().chain(keys.iter()).map(|(user, _)| *user).collect();
        for user in users {
            let of_user = keys_of(keys, &user);
            if keys_of(&before, &user) == of_user {
                continue;
            }
            self.proofs.count("keys of a user changed");
            if self.proofs.proved_by.get(&user).is_none_or(|key| !of_user.contains(key)) {
                self.proofs.proved_by.remove(&user);
                if self.registrations.registered_at(&user).is_some() {
                    self.proofs.count("binding ended by other keys");
                    self.registrations.unregister(&user);
                    let address = MiAddress::new(&user, &self.domain);
                    address.into_iter().for_each(|address| self.requests.forget(&address));
                }
            }
            if of_user.is_empty() {
                self.proofs.last.remove(&user);
                let given = self.proofs.given.get_mut(&user).into_iter().flatten();
                given.for_each(|given| given.is_stale = true);
            }
        }
        self.registrations.set_keyed(keys.iter().map(|(user, _)| *user).collect());
        self.agrees(now, node)
    }

    /// Returns how often the laws of users with a key were looked at since the last time.
    pub(in crate::simulation) fn take_figures(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.proofs.figures)
    }

    /// Returns whether this is a user of the node who has to prove a registration.
    pub(super) fn has_key(&self, address: &MiAddress) -> bool {
        address.domain() == self.domain && self.registrations.has_key(&address.user())
    }

    /// A request for a challenge in the name of a user without a key is a plain one.
    pub(super) fn as_understood(&self, message: Message) -> Message {
        match message {
            Message::RequestChallenge { address, .. } if !self.has_key(&address) => {
                message.without_extension()
            }
            message => message,
        }
    }

    /// Returns where alone a question of a user of this node can come from. A question of a user who was
    /// struck off is a sign of life.
    pub(super) fn binding(&self, user: &MiAddress) -> Option<Option<SocketAddrV4>> {
        let online_at = self.registrations.address_of(&user.user());
        let bound = online_at
            .or_else(|| self.registrations.registered_at(&user.user()).filter(|_| self.has_key(user)));
        (bound.is_some() || self.has_key(user)).then_some(bound)
    }

    /// Checks that answers to a user with a key go where a proof has bound the user, and nowhere else.
    pub(super) fn answers_go_to_bindings(&mut self, outputs: &[Output]) -> Result<(), Violation> {
        for output in outputs {
            let Output::Transmit { to, message: Message::LocateReply { locate, .. }, .. } = output else {
                continue;
            };
            if self.has_key(&locate.from) {
                let bound = self.registrations.registered_at(&locate.from.user());
                ensure!(
                    bound == Some(*to),
                    OnlyBindingsAreAnswered,
                    "an RL for {}, who has proved to be at {bound:?}, went to {to}",
                    locate.from
                );
                self.proofs.count("RL to a user with a key");
            }
        }
        Ok(())
    }

    /// Checks where a user is online.
    pub(super) fn is_bound_rightly(
        &mut self,
        user: &UserName,
        address: Option<SocketAddrV4>,
    ) -> Result<(), Violation> {
        let expected = self.registrations.address_of(user);
        if self.registrations.has_key(user) {
            ensure!(
                address == expected,
                OnlyProvenBindings,
                "{user}, who has a key, is online at {address:?}, not at {expected:?}"
            );
            if address.is_some() {
                self.proofs.count("binding by a proof");
            }
        }
        ensure!(address == expected, OneOwner, "{user} is online at {address:?}, not at {expected:?}");
        Ok(())
    }

    /// Checks the answer to a request for a challenge of a user with a key.
    pub(super) fn challenged(
        &mut self,
        step: Step<'_>,
        verb: Verb,
        address: &MiAddress,
    ) -> Result<(), Violation> {
        let Step { now, from, outputs, .. } = step;
        if !self.registrations.is_within(from) {
            return step.sends(Law::OnlyProvenBindings, from, refused(verb));
        }
        let given = match outputs {
            [Output::Transmit { to, message, .. }] if *to == from => message.challenge(),
            _ => None,
        };
        let Some((of, challenge)) = given.filter(|_| step.handled.is_ok()) else {
            ensure!(false, OnlyProvenBindings, "{from} asked for a challenge and got {outputs:?}");
            return Ok(());
        };
        ensure!(
            (of, challenge.seen) == (verb, from),
            OnlyProvenBindings,
            "{from} was given {challenge:?} to {of:?}"
        );
        let of_user = self.proofs.given.entry(address.user()).or_default();
        of_user.retain(|given| now - given.at < 2 * EPOCH);
        of_user.push(Given { to: from, challenge, at: now, is_stale: false });
        self.proofs.count("challenge");
        Ok(())
    }

    /// Returns the user with a key who has the handle of a proof. No two have the same here.
    pub(super) fn user_of(&self, proof: &Proof) -> Option<MiAddress> {
        let users = self.registrations.users();
        let mut addresses = users.filter_map(|user| MiAddress::new(&user, &self.domain).ok());
        addresses.find(|address| handle(address) == proof.handle && self.has_key(address))
    }

    /// Checks what a proof did.
    pub(super) fn proved(
        &mut self,
        step: Step<'_>,
        proof: &Proof,
        request: Option<(Request, Bound)>,
    ) -> Result<(), Violation> {
        let Step { now, from, .. } = step;
        let Some(address) = self.user_of(proof) else {
            return step.is_dropped(DropReason::UnknownProof, true);
        };
        let user = address.user();
        let came = self.proofs.came.entry(from).or_default();
        *came += 1;
        if *step.handled == Err(DropReason::TooManyProofs) {
            let is_many = *came > SHARE;
            self.proofs.count("proof over a limit");
            return step.is_dropped(DropReason::TooManyProofs, is_many);
        }
        if !self.registrations.is_within(from) {
            return step.sends(Law::OnlyProvenBindings, from, refused(proof.verb));
        }
        let bound = self.registrations.registered_at(&user);
        let stands = match proof.verb {
            Verb::Register => bound == Some(from),
            Verb::Deregister => bound.is_none(),
        };
        let last = self.proofs.last.get(&user);
        let repeats =
            last.is_some_and(|(last, at, time)| (last, *at) == (proof, from) && now - *time <= REPETITION);
        if repeats && stands {
            self.proofs.count("proof answered again");
            return self.answers(step, Law::OnlyProvenBindings, request, granted(proof.verb));
        }
        let is_granted_there =
            matches!(step.outputs, [Output::Transmit { message, .. }] if *message == granted(proof.verb));
        let signer = self.proofs.signer(now, &address, from, proof, is_granted_there);
        let is_granted = signer.is_some()
            && match proof.verb {
                Verb::Register => self.registrations.bind(user, from),
                Verb::Deregister => self.registrations.unbind(&user, from),
            };
        if !is_granted {
            self.proofs.count("proof refused");
            return step.sends(Law::OnlyProvenBindings, from, refused(proof.verb));
        }
        match (signer, proof.verb) {
            (Some(key), Verb::Register) => _ = self.proofs.proved_by.insert(user, key),
            _ => _ = self.proofs.proved_by.remove(&user),
        }
        self.proofs.given.remove(&user);
        self.proofs.last.insert(user, (*proof, from, now));
        self.proofs.count("proof accepted");
        step.sends(Law::OnlyProvenBindings, from, granted(proof.verb))
    }
}

fn granted(verb: Verb) -> Message {
    answer(verb, RegisterCode::Registered, DeregisterCode::Deregistered)
}

fn refused(verb: Verb) -> Message {
    answer(verb, RegisterCode::NoSuchUser, DeregisterCode::NoSuchUser)
}

fn answer(verb: Verb, of_register: RegisterCode, of_deregister: DeregisterCode) -> Message {
    let extension = Extension::NONE;
    match verb {
        Verb::Register => Message::RegisterReply { code: of_register, extension },
        Verb::Deregister => Message::DeregisterReply { code: of_deregister, extension },
    }
}

/// The times of protocol.md §9.
const EPOCH: Duration = Duration::from_secs(30);
const REPETITION: Duration = Duration::from_secs(10);

/// The proofs of a socket that are verified at once.
const SHARE: u32 = 10;
