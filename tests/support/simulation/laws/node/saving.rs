//! The laws of a node that saves bindings (protocol.md §9).
//!
//! The effects of a datagram are checked as if nothing waited: messages that wait count as sent. This module
//! checks which of them wait, for how long, and what is saved.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_node_core::{BindingChange, NO_AGENT, Node, Output, PublicKey, SaveId, StoredBinding};
use plumi_proto::{Message, NODE_PORT, Proof, Registrant, UserName, Verb, is_reachable};

use super::NodeLaws;
use crate::simulation::laws::{Violation, ensure};
use crate::simulation::network::{Datagram, Taint};

/// The messages of a node that wait for its store.
#[derive(Debug, Default)]
pub(super) struct Saving {
    waiting: VecDeque<Waits>,
    /// The last change that the store is known to have, and the last that it was given.
    committed: SaveId,
    last: SaveId,
    /// Set while answers need not wait.
    is_failing: bool,
    /// Those who had a hand in what has just left, in its order.
    left: VecDeque<Taints>,
    figures: BTreeMap<&'static str, u64>,
}

/// Those who had a hand in the content of a message, and in its sending.
pub(super) type Taints = (Taint, Taint);

/// A message that waits.
#[derive(Debug)]
struct Waits {
    taints: Taints,
    to: SocketAddrV4,
    message: Message,
    /// The request that it answers, and the change that it waits for. `None` if it is behind an answer.
    answers: Option<(Request, SaveId)>,
    since: Duration,
}

/// A request of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) user: UserName,
    verb: Verb,
    proof: Option<Proof>,
    from: SocketAddrV4,
}

/// An answer that has left, of a change that is saved.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) struct Promise {
    pub(in crate::simulation) change: SaveId,
    pub(in crate::simulation) user: UserName,
    pub(in crate::simulation) to: SocketAddrV4,
    pub(in crate::simulation) answer: Message,
}

/// The binding of a user, if there is one, and the key that proved it.
pub(super) type Bound = (Option<SocketAddrV4>, Option<PublicKey>);

/// The outputs of a node, and what it holds back.
#[derive(Debug)]
pub(super) struct Seen {
    saves: Vec<(SaveId, BindingChange)>,
    /// The effects that do not wait.
    now: Vec<Output>,
    held: Vec<(SocketAddrV4, Message)>,
}

impl Seen {
    /// Returns everything, as if nothing waited.
    pub(super) fn all(&self) -> Vec<Output> {
        let held = self.held.iter();
        let held = held.map(|(to, message)| Output::Transmit { to: *to, source: None, message: *message });
        self.now.iter().cloned().chain(held).collect()
    }
}

impl Saving {
    fn count(&mut self, what: &'static str) {
        *self.figures.entry(what).or_default() += 1;
    }

    /// Returns the last change of `user` that an answer waits for.
    fn awaited(&self, user: &UserName) -> Option<SaveId> {
        let of_user = self.waiting.iter().filter_map(|waits| waits.answers);
        of_user.filter(|(request, _)| request.user == *user).map(|(_, id)| id).max()
    }

    /// Returns whether the same request waits, and nothing has changed since.
    fn joins(&self, request: &Request) -> bool {
        let id = self.awaited(&request.user);
        self.waiting
            .iter()
            .any(|waits| waits.answers.is_some_and(|(of, of_id)| of == *request && Some(of_id) == id))
    }

    fn owes(&self, to: SocketAddrV4) -> bool {
        self.waiting.iter().any(|waits| waits.to == to && waits.answers.is_some())
    }

    fn is_full(&self, node: &Node) -> bool {
        let unsaved = node.status().bindings.map_or(0, |counts| counts.unsaved);
        self.waiting.len() >= MAX_WAITING || unsaved >= MAX_WAITING
    }

    /// A change is to be saved: the next one.
    fn given(&mut self, id: SaveId) -> Result<(), Violation> {
        let expected = SaveId(self.last.0 + 1);
        ensure!(id == expected, SavedBeforeAnswered, "{id:?} is saved instead of {expected:?}");
        self.last = id;
        Ok(())
    }
}

impl NodeLaws {
    /// The node was started with these bindings of its store.
    pub(in crate::simulation) fn with_stored(mut self, stored: &[StoredBinding]) -> Self {
        for row in stored.iter().filter(|row| !row.is_logout()) {
            let is_possible = is_reachable(*row.agent.ip()) && row.agent.port() != NODE_PORT;
            let is_of_node = row.heard_at == self.local && self.registrations.contains(&row.user);
            if is_possible && is_of_node && self.is_proved_by(&row.user, row.key) {
                self.registrations.restore(row.user, row.agent);
                self.saving.count("binding restored");
            }
        }
        self
    }

    /// Returns how often the laws of this module were looked at since the last time.
    pub(in crate::simulation) fn take_saving_figures(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.saving.figures)
    }

    /// Returns those who had a hand in the next message that has left after it had waited.
    pub(in crate::simulation) fn take_taints(&mut self) -> Option<Taints> {
        self.saving.left.pop_front()
    }

    /// Returns the outputs of the node, with what it holds back since the last event.
    pub(super) fn seen(&self, outputs: &[Output], node: &Node) -> Seen {
        let (mut saves, mut now) = (Vec::new(), Vec::new());
        for output in outputs {
            match output {
                Output::SaveBinding { id, change } => saves.push((*id, *change)),
                output => now.push(output.clone()),
            }
        }
        let held = node.waiting_messages().skip(self.saving.waiting.len());
        Seen { saves, now, held: held.map(|(to, message)| (to, *message)).collect() }
    }

    /// Returns the request that a message is, if it is one of a user of the node.
    pub(super) fn request(&self, message: &Message, from: SocketAddrV4) -> Option<Request> {
        let (user, verb, proof) = match message {
            Message::Register(registrant) => (self.own_user(registrant)?, Verb::Register, None),
            Message::Deregister(registrant) => (self.own_user(registrant)?, Verb::Deregister, None),
            Message::Prove(proof) => (self.user_of(proof)?.user(), proof.verb, Some(*proof)),
            _ => return None,
        };
        Some(Request { user, verb, proof, from })
    }

    fn own_user(&self, registrant: &Registrant) -> Option<UserName> {
        match registrant {
            Registrant::User(user) => Some(*user),
            Registrant::Address(address) if address.domain() == self.domain => Some(address.user()),
            Registrant::Address(_) => None,
        }
    }

    pub(super) fn bound(&self, user: &UserName) -> Bound {
        (self.registrations.registered_at(user), self.proved_by(user))
    }

    /// Returns whether this request is answered together with another one.
    pub(super) fn is_joined(&self, request: Option<&Request>) -> bool {
        request.is_some_and(|request| self.saving.joins(request))
    }

    /// Returns whether a question for this user has to be dropped.
    pub(super) fn is_being_saved(&mut self, user: &UserName) -> bool {
        let is_awaited = self.saving.awaited(user).is_some();
        if is_awaited {
            self.saving.count("PL dropped for a user who is being saved");
        }
        is_awaited
    }

    /// Checks what is saved of a datagram that bound a user otherwise, or by another key, than before, and
    /// what waits.
    pub(super) fn saves(
        &mut self,
        now: Duration,
        request: Option<(Request, Bound)>,
        led: Option<&Datagram>,
        seen: Seen,
        node: &Node,
    ) -> Result<(), Violation> {
        if node.status().bindings.is_none() {
            ensure!(
                seen.saves.is_empty() && seen.held.is_empty(),
                SavedBeforeAnswered,
                "without a store: {seen:?}"
            );
            return Ok(());
        }
        let need_not_wait = self.saving.is_failing || self.saving.is_full(node);
        let is_change = request.is_some_and(|(Request { user, .. }, was)| was != self.bound(&user));
        ensure!(
            seen.saves.len() == usize::from(is_change) || need_not_wait && seen.saves.is_empty(),
            SavedBeforeAnswered,
            "a change is {is_change}, and {:?} is saved for {request:?}",
            seen.saves
        );
        for (id, change) in &seen.saves {
            self.is_saved_rightly(*id, change)?;
        }
        let is_joined = seen.saves.is_empty() && self.is_joined(request.as_ref().map(|(request, _)| request));
        let awaited = request.and_then(|(request, _)| self.saving.awaited(&request.user));
        let awaited = seen.saves.first().map(|(id, _)| *id).or(awaited);
        for output in &seen.now {
            let Output::Transmit { to, message, .. } = output else { continue };
            if is_promise(message) {
                let may_leave = need_not_wait || awaited.is_none();
                ensure!(
                    may_leave,
                    SavedBeforeAnswered,
                    "{message:?} to {to} leaves before {awaited:?} is saved"
                );
            }
            let overtakes = self.saving.owes(*to) && !is_refusal(message) && !need_not_wait;
            ensure!(!overtakes, NothingBeforeAnswer, "{to} waits for its answer, and is sent {message:?}");
        }
        for (to, message) in seen.held {
            let of = request.filter(|_| is_promise(&message)).map(|(request, _)| request);
            ensure!(!is_joined, SavedBeforeAnswered, "{request:?} is answered twice");
            let answers = of.and_then(|request| Some((request, awaited?)));
            ensure!(
                answers.is_some() || self.saving.owes(to),
                SavedBeforeAnswered,
                "{message:?} to {to} waits for nothing"
            );
            self.saving.count(if answers.is_some() {
                "answer that waits"
            } else {
                "message behind an answer"
            });
            let taints = match (led, &message) {
                (Some(led), _) => (led.content, led.cause),
                (None, Message::LocateReply { locate, .. }) => (Taint::default(), self.cause(locate)),
                (None, _) => Taints::default(),
            };
            self.saving.waiting.push_back(Waits { taints, to, message, answers, since: now });
        }
        Ok(())
    }

    /// Checks what a node did when its store had committed everything up to a change, or failed to.
    pub(in crate::simulation) fn committed(
        &mut self,
        now: Duration,
        last: SaveId,
        is_saved: bool,
        outputs: &[Output],
        node: &Node,
    ) -> Result<Vec<Promise>, Violation> {
        if is_saved {
            self.store_has(last);
        } else {
            self.saving.is_failing = true;
            self.saving.count("commit that failed");
        }
        self.released(now, outputs, node)
    }

    /// The store has committed everything up to this change.
    pub(in crate::simulation) fn store_has(&mut self, last: SaveId) {
        (self.saving.is_failing, self.saving.committed) = (false, last);
    }

    /// Checks what leaves a node without a datagram. Returns the promises that are made by it.
    pub(in crate::simulation) fn released(
        &mut self,
        now: Duration,
        outputs: &[Output],
        node: &Node,
    ) -> Result<Vec<Promise>, Violation> {
        let mut promises = Vec::new();
        for output in outputs {
            match output {
                Output::SaveBinding { id, change } => self.is_saved_rightly(*id, change)?,
                Output::Transmit { to, message, .. } => promises.extend(self.leaves(now, *to, message)?),
                // The administrator checks it.
                Output::Answer { .. } => {}
                output => ensure!(false, NoAmplification, "without a datagram, {output:?}"),
            }
        }
        let Some(first) = self.saving.waiting.front() else { return Ok(promises) };
        let is_ready =
            first.answers.is_some_and(|(_, id)| id <= self.saving.committed) || self.saving.is_failing;
        ensure!(!is_ready, SavedBeforeAnswered, "{first:?} could leave");
        let (waiting, expected) = (node.waiting_messages().count(), self.saving.waiting.len());
        ensure!(waiting == expected, SavedBeforeAnswered, "{waiting} messages wait, {expected} should");
        Ok(promises)
    }

    /// A message that waited leaves.
    fn leaves(
        &mut self,
        now: Duration,
        to: SocketAddrV4,
        message: &Message,
    ) -> Result<Option<Promise>, Violation> {
        let Some(first) = self.saving.waiting.pop_front() else {
            ensure!(false, SavedBeforeAnswered, "{message:?} to {to} did not wait");
            return Ok(None);
        };
        ensure!(
            (first.to, &first.message) == (to, message),
            SavedBeforeAnswered,
            "{message:?} to {to} leaves, and {first:?} is the next"
        );
        self.saving.left.push_back(first.taints);
        let Some((request, change)) = first.answers else { return Ok(None) };
        if change <= self.saving.committed {
            return Ok(Some(Promise { change, user: request.user, to, answer: *message }));
        }
        let is_overdue = now >= first.since + SAVE_WAIT;
        ensure!(
            self.saving.is_failing || is_overdue,
            SavedBeforeAnswered,
            "{message:?} to {to} leaves before {change:?} is saved"
        );
        self.saving.is_failing = true;
        self.saving.count("answer that was not promised");
        Ok(None)
    }

    /// Checks that a user is saved as the user is.
    fn is_saved_rightly(&mut self, id: SaveId, change: &BindingChange) -> Result<(), Violation> {
        self.saving.given(id)?;
        let user = change.user();
        let stored = change.stored();
        let agent = stored.map(|stored| stored.agent).filter(|agent| *agent != NO_AGENT);
        let at = self.registrations.registered_at(user);
        ensure!(agent == at, SavedBeforeAnswered, "{user} is at {at:?}, and this is saved: {change:?}");
        let has_key = stored.is_some_and(|stored| stored.key.is_some());
        let is_proved = at.is_some() && self.registrations.has_key(user);
        ensure!(has_key == is_proved, SavedBeforeAnswered, "the key of {user} is saved as {change:?}");
        let is_user = self.registrations.contains(user);
        ensure!(
            is_user == stored.is_some(),
            SavedBeforeAnswered,
            "{user} in the roster: {is_user}, saved: {change:?}"
        );
        Ok(())
    }
}

/// Returns whether this says that a request was granted.
fn is_promise(message: &Message) -> bool {
    let bytes = message.encode();
    bytes.starts_with(b"RR0") || bytes.starts_with(b"RD0")
}

fn is_refusal(message: &Message) -> bool {
    let bytes = message.encode();
    bytes.starts_with(b"RR1") || bytes.starts_with(b"RD1")
}

/// The bound and the time of protocol.md §9.
const MAX_WAITING: usize = 4_096;
const SAVE_WAIT: Duration = Duration::from_millis(250);
