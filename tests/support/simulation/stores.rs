//! The stores in which nodes of ours save bindings. A store outlives the processes of its node.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

use fastrand::Rng;
use lumi_node_core::{
    AdminReply, BindingChange, BindingNotSaved, NO_AGENT, Node, Output, SaveId, StoredBinding, UnixMillis,
};
use plumi_proto::{Message, UserName};

use super::laws::{Promise, Violation, ensure};
use super::nodes::{COMMAND, Held, Process};
use super::world::World;

/// The store of a node.
#[derive(Debug)]
pub(super) struct Store {
    rng: Rng,
    plan: Plan,
    /// Set if the node denies takeovers, which few others do.
    pub(super) denies: bool,
    rows: BTreeMap<UserName, Row>,
    /// The number of changes that it was ever given.
    given: u64,
    /// The number of those before the running process.
    before: u64,
    /// The changes that are not committed. A crash loses them.
    queue: VecDeque<(SaveId, u64, BindingChange)>,
    /// Set while a commit is scheduled.
    is_busy: bool,
    /// The time of the last heartbeat.
    heartbeat: Duration,
    /// The answers to agents that promised something: the change, and where the user is by it.
    promised: BTreeMap<UserName, (u64, Option<SocketAddrV4>)>,
}

/// The habits of a store.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Commits that take a long time, in percent.
    stalls: u8,
    /// Commits that fail, in percent.
    fails: u8,
    /// Commits that find the database deleted, in percent.
    loses: u8,
    /// The longest time for which a node may be away, so that bindings are restored.
    restore_within: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// The number of the change.
    number: u64,
    /// `None` if the user was removed.
    stored: Option<StoredBinding>,
}

/// The result of a commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commit {
    pub(super) last: SaveId,
    pub(super) result: Result<(), BindingNotSaved>,
    /// Set if everything that was stored before is lost.
    is_lost: bool,
}

impl Store {
    /// Draws whether a node has a store, and how well it works.
    pub(super) fn draw(mut rng: Rng, is_calm: bool) -> Option<Self> {
        let has_store = rng.u8(0..100) < 60;
        let mut percent = |most: u8| if is_calm || rng.bool() { 0 } else { rng.u8(0..=most) };
        let (stalls, fails, loses) = (percent(30), percent(40), percent(10));
        let restore_within = if rng.bool() { Duration::from_secs(15 * 60) } else { rest(&mut rng) };
        let plan = Plan { stalls, fails, loses, restore_within };
        let denies = rng.u8(0..100) < 25;
        has_store.then(|| Self {
            rng,
            denies,
            plan,
            rows: BTreeMap::new(),
            given: 0,
            before: 0,
            queue: VecDeque::new(),
            is_busy: false,
            heartbeat: Duration::ZERO,
            promised: BTreeMap::new(),
        })
    }

    /// The node's process starts, or its socket, and gets everything that is stored. Rows that are too old
    /// become those of users who have logged out.
    pub(super) fn open(&mut self, now: Duration) -> Vec<StoredBinding> {
        self.queue.clear();
        (self.is_busy, self.before) = (false, self.given);
        let is_too_old = now - self.heartbeat > self.plan.restore_within;
        self.heartbeat = now;
        if is_too_old {
            self.promised.clear();
        }
        let rows = self.rows.values_mut().filter_map(|row| row.stored.as_mut());
        rows.map(|stored| {
            if is_too_old {
                (stored.agent, stored.key) = (NO_AGENT, None);
            }
            *stored
        })
        .collect()
    }

    /// The process ends at once. Its last heartbeat was a while ago.
    pub(super) fn crash(&mut self, now: Duration) {
        let interval = (self.plan.restore_within / 4).min(Duration::from_secs(15));
        let beats = u32::try_from((now - self.heartbeat).as_millis() / interval.as_millis()).expect("few");
        self.heartbeat += interval * beats;
    }

    /// Takes a change. Returns the time until a commit, unless one is due already.
    pub(super) fn take(&mut self, id: SaveId, change: BindingChange) -> Option<Duration> {
        self.given += 1;
        self.queue.push_back((id, self.given, change));
        if self.is_busy {
            return None;
        }
        self.is_busy = true;
        let is_slow = self.rng.u8(0..100) < self.plan.stalls;
        Some(Duration::from_micros(self.rng.u64(if is_slow { 20_000..900_000 } else { 100..8_000 })))
    }

    /// Commits what has come, or fails to. `None` if there is nothing.
    pub(super) fn commit(&mut self, has_to: bool) -> Option<Commit> {
        self.is_busy = false;
        let (last, ..) = *self.queue.back()?;
        let fails = !has_to && self.rng.u8(0..100) < self.plan.fails;
        let is_lost = !has_to && !fails && self.rng.u8(0..100) < self.plan.loses;
        if is_lost {
            self.rows.clear();
            self.promised.clear();
        }
        for (_, number, change) in self.queue.drain(..) {
            if !fails {
                self.rows.insert(*change.user(), Row { number, stored: change.stored() });
            }
        }
        let result = if fails { Err(BindingNotSaved) } else { Ok(()) };
        Some(Commit { last, result, is_lost })
    }

    /// Checks that the store has what the node has, once it has committed everything that it was given.
    pub(super) fn agrees(
        &self,
        node: &Node,
        at: impl Fn(&UserName) -> Option<SocketAddrV4>,
    ) -> Result<(), Violation> {
        if node.status().bindings.is_some_and(|counts| counts.unsaved > 0) {
            return Ok(());
        }
        let users = node.users().map(|status| status.user);
        for user in users.chain(self.rows.keys().copied()) {
            let row = self.rows.get(&user).and_then(|row| row.stored);
            let stored = row.map(|stored| stored.agent).filter(|agent| *agent != NO_AGENT);
            let expected = at(&user);
            ensure!(
                stored == expected,
                AnsweredIsKept,
                "{user} is at {expected:?}, and the store has {row:?}"
            );
        }
        Ok(())
    }

    /// An agent was told that its user is bound there, or is not bound, by a change that is saved.
    pub(super) fn promise(&mut self, promise: &Promise) {
        let at = matches!(promise.answer, Message::RegisterReply { .. }).then_some(promise.to);
        self.promised.insert(promise.user, (self.before + promise.change.0, at));
    }

    /// Checks that nothing is lost that was promised.
    pub(super) fn keeps_promises(&self) -> Result<(), Violation> {
        for (user, (number, at)) in &self.promised {
            let row = self.rows.get(user);
            let stored =
                row.and_then(|row| row.stored).map(|stored| stored.agent).filter(|at| *at != NO_AGENT);
            let is_kept =
                row.is_some_and(|row| row.number > *number || row.number == *number && stored == *at);
            ensure!(
                is_kept,
                AnsweredIsKept,
                "{user} was told {at:?} by change {number}, and the store has {row:?}"
            );
        }
        Ok(())
    }
}

impl World {
    /// The store of a node commits what it was given.
    pub(super) fn store_commits(&mut self, number: usize, life: u32) -> Result<(), Violation> {
        let node = &mut self.nodes[number];
        if node.life != life || node.process.is_none() {
            return Ok(());
        }
        let Some(commit) = node.store.as_mut().and_then(|store| store.commit(false)) else { return Ok(()) };
        match &mut node.held {
            Some(held) => held.push(Held::Commit(commit)),
            None => self.committed(number, commit)?,
        }
        Ok(())
    }

    /// A node is told of a commit.
    pub(super) fn committed(
        &mut self,
        number: usize,
        Commit { last, result, is_lost }: Commit,
    ) -> Result<(), Violation> {
        let (now, instant) = (self.now, self.instant());
        let node = &mut self.nodes[number];
        self.trace.note(now, format_args!("the store of {} has {last:?}: {result:?}", node.domain()));
        let Some(Process::Ours(ours, laws)) = &mut node.process else { return Ok(()) };
        if is_lost {
            ours.handle_bindings_lost(instant);
            self.statistics.fault("bindings deleted");
        }
        ours.handle_binding_saved(instant, last, result);
        let outputs: Vec<_> = std::iter::from_fn(|| ours.poll_output()).collect();
        let promises = laws.committed(now, last, result.is_ok(), &outputs, ours)?;
        self.statistics.saved(laws.take_saving_figures());
        if let Some(store) = &mut node.store {
            promises.iter().for_each(|promise| store.promise(promise));
            store.agrees(ours, |user| laws.registered_at(user))?;
        }
        self.node_carries_out(number, outputs, None)
    }

    /// Carries out what a node wants done without a datagram or a commit.
    pub(super) fn node_has_waited(&mut self, number: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[number];
        let Some(Process::Ours(ours, laws)) = &mut node.process else { return Ok(()) };
        let outputs: Vec<_> = std::iter::from_fn(|| ours.poll_output()).collect();
        let promises = laws.released(self.now, &outputs, ours)?;
        ensure!(promises.is_empty(), SavedBeforeAnswered, "{promises:?} came late");
        self.statistics.saved(laws.take_saving_figures());
        self.node_carries_out(number, outputs, None)
    }

    /// Returns the answer to an administrator. The store commits at once, if the answer waits for it.
    pub(super) fn replies(&mut self, number: usize) -> Result<Option<AdminReply>, Violation> {
        let mut reply = None;
        for _ in 0..2 {
            let (now, instant) = (self.now, self.instant());
            let node = &mut self.nodes[number];
            let Some(Process::Ours(ours, laws)) = &mut node.process else { return Ok(None) };
            let (answers, outputs): (Vec<_>, Vec<_>) = std::iter::from_fn(|| ours.poll_output())
                .partition(|output| matches!(output, Output::Answer { id: COMMAND, .. }));
            let promises = laws.released(now, &outputs, ours)?;
            if let Some(store) = &mut node.store {
                promises.iter().for_each(|promise| store.promise(promise));
            }
            self.node_carries_out(number, outputs, None)?;
            for answer in answers {
                let Output::Answer { reply: given, .. } = answer else { continue };
                ensure!(reply.is_none(), Administration, "two answers");
                reply = Some(*given);
            }
            let node = &mut self.nodes[number];
            let commit = node.store.as_mut().filter(|_| reply.is_none()).and_then(|store| store.commit(true));
            let (Some(commit), Some(Process::Ours(ours, laws))) = (commit, &mut node.process) else { break };
            ours.handle_binding_saved(instant, commit.last, commit.result);
            laws.store_has(commit.last);
        }
        Ok(reply)
    }
}

fn rest(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(1_000..6_000))
}

/// Returns the time by the clock on the wall.
pub(super) fn wall(now: Duration) -> UnixMillis {
    UnixMillis(1_790_000_000_000 + u64::try_from(now.as_millis()).expect("a short time"))
}
