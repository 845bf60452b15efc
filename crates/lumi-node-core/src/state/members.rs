//! The members of a domain with several nodes: a copy of where all users are, and the state of the lease.
//!
//! ```text
//!   directory ──► reports ──► copy: user → (serving address, agent, stamp)   the larger (stamp, address) wins
//!                         ──► siblings: the other nodes, alive or gone
//!                         ──► lease: while it is lost or may be, nothing is served
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant};

use lumi_bindings::{Entry, LEASE, LeaseReport, Sibling, Stamp, UnixMillis};
use plumi_proto::{HostIp, NODE_PORT, NodeAddress, UdpAddress, UserName};

/// The state that a node shares with the other nodes of its domain.
#[derive(Debug)]
pub(super) struct Members {
    /// The address of this node, at which its agents are heard.
    serving: HostIp,
    copy: HashMap<UserName, Entry>,
    /// The other nodes. Set for those that nobody serves any more.
    siblings: HashMap<HostIp, bool>,
    /// The copy has been complete once.
    is_loaded: bool,
    is_fenced: bool,
    /// The time at which the lease was last renewed. `None` while the engine is away, which ends no lease.
    renewed_at: Option<Instant>,
    /// The time from which restored registrations are served although the copy is not complete.
    serves_restored_at: Instant,
    /// The clock of the engine, and when it was read.
    clock: Option<(UnixMillis, Instant)>,
    repair: Option<Repair>,
}

/// The entries of this node that are claimed again, some at a time.
#[derive(Clone, Copy, Debug)]
struct Repair {
    due: Instant,
    /// The number of the next user.
    next: usize,
}

/// The place of a user, as far as this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At this node, or at none: its own registrations decide.
    Here,
    /// At another node. Set if nobody serves its address any more.
    At { member: NodeAddress, is_gone: bool },
    /// Not known yet: any answer could be false.
    Unknown,
}

impl Members {
    pub(super) fn new(now: Instant, serving: HostIp) -> Self {
        Self {
            serving,
            copy: HashMap::new(),
            siblings: HashMap::new(),
            is_loaded: false,
            is_fenced: false,
            renewed_at: None,
            serves_restored_at: now + JOIN_WAIT,
            clock: None,
            repair: None,
        }
    }

    /// Returns the place of a user, who may be registered here, perhaps since before a restart.
    pub(super) fn place(&self, now: Instant, user: &UserName, is_here: bool, is_restored: bool) -> Place {
        if is_here {
            let is_served = !is_restored || self.is_loaded || now >= self.serves_restored_at;
            return if is_served { Place::Here } else { Place::Unknown };
        }
        match self.copy.get(user) {
            _ if !self.is_loaded => Place::Unknown,
            Some(entry) if entry.agent.is_some() && entry.serving != self.serving => Place::At {
                member: UdpAddress::new(entry.serving, NODE_PORT).into(),
                is_gone: self.siblings.get(&entry.serving).copied().unwrap_or(false),
            },
            _ => Place::Here,
        }
    }

    /// Returns whether the node serves: it is not fenced, and no renewal of its lease is overdue although the
    /// engine works. The latter means that the process was stopped, and another one may have the address.
    pub(super) fn serves(&self, now: Instant) -> bool {
        let is_overdue = |at: Instant| now.saturating_duration_since(at) > LEASE;
        !self.is_fenced && !self.renewed_at.is_some_and(is_overdue)
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.is_fenced
    }

    /// Returns whether another node of the domain is at `address`, alive or not.
    pub(super) fn is_sibling(&self, address: UdpAddress) -> bool {
        address.port() == NODE_PORT && self.siblings.contains_key(address.ip())
    }

    /// Returns the entry of a user if it is one of this node.
    pub(super) fn own(&self, user: &UserName) -> Option<Entry> {
        self.copy.get(user).copied().filter(|entry| entry.serving == self.serving)
    }

    /// Returns whether the last entry of a user is one of another node.
    pub(super) fn is_elsewhere(&self, user: &UserName) -> bool {
        self.copy.get(user).is_some_and(|entry| entry.serving != self.serving)
    }

    /// Makes the entry of a user whose registration here has changed. It is `wall` by the clock of this host.
    pub(super) fn change(
        &mut self,
        now: Instant,
        wall: UnixMillis,
        user: UserName,
        agent: Option<UdpAddress>,
    ) -> Entry {
        let time = self.clock.map_or(wall, |(engine, at)| {
            let passed = now.saturating_duration_since(at).as_millis();
            UnixMillis(engine.0.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX)))
        });
        let after_known = self.copy.get(&user).map_or(0, |known| known.stamp.0.saturating_add(1));
        let stamp = Stamp(time.0.saturating_mul(1_000).max(after_known));
        let entry = Entry { serving: self.serving, agent, stamp };
        self.copy.insert(user, entry);
        entry
    }

    /// Notes the entry of a registration or logout of this node that its store has.
    pub(super) fn found(&mut self, user: UserName, agent: Option<UdpAddress>, stamp: Stamp) {
        self.merge(user, Entry { serving: self.serving, agent, stamp }, true);
    }

    /// Merges an entry. Returns whether it took the place of an older one, or of none.
    ///
    /// Entries of users who are not listed here are kept as well, because another node may have them already,
    /// but no more than [`MAX_UNLISTED`] beyond the others.
    pub(super) fn merge(&mut self, user: UserName, entry: Entry, has_room: bool) -> bool {
        match self.copy.get_mut(&user) {
            Some(known) if !entry.beats(known) => return false,
            Some(known) => *known = entry,
            None if has_room => {
                self.copy.insert(user, entry);
            }
            None => return false,
        }
        self.add_sibling(entry.serving);
        true
    }

    /// Returns whether one more entry of a user who is not listed has room, beside `listed` users.
    pub(super) fn has_room_for_unlisted(&self, listed: usize) -> bool {
        self.copy.len() < listed + MAX_UNLISTED
    }

    pub(super) fn set_siblings(&mut self, siblings: &[Sibling]) {
        for sibling in siblings {
            self.add_sibling(sibling.serving);
            if let Some(is_gone) = self.siblings.get_mut(&sibling.serving) {
                *is_gone = sibling.is_gone;
            }
        }
    }

    pub(super) fn set_clock(&mut self, engine: UnixMillis, at: Instant) {
        self.clock = Some((engine, at));
    }

    pub(super) fn set_lease(&mut self, lease: LeaseReport) {
        match lease {
            LeaseReport::Taken { at, .. } | LeaseReport::Renewed { at } => self.renewed_at = Some(at),
            LeaseReport::Fenced { .. } => self.is_fenced = true,
            _ => {}
        }
    }

    /// Notes that the engine is away.
    pub(super) fn cut_off(&mut self) {
        self.renewed_at = None;
        self.repair = None;
    }

    /// Notes that the copy is complete. What the engine lacks is claimed from now on.
    pub(super) fn joined(&mut self, now: Instant) {
        self.is_loaded = true;
        self.repair = Some(Repair { due: now, next: 0 });
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.repair.map(|repair| repair.due)
    }

    /// Returns the number of the first user whose entry is to be claimed again now. `users` is how many users
    /// there are.
    pub(super) fn next_repair(&mut self, now: Instant, users: usize) -> Option<usize> {
        let Repair { due, next } = self.repair.filter(|repair| repair.due <= now)?;
        let after = next + REPAIRED_AT_ONCE;
        self.repair = Some(if after < users {
            Repair { due, next: after }
        } else {
            Repair { due: now + REPAIR_INTERVAL, next: 0 }
        });
        Some(next)
    }

    fn add_sibling(&mut self, serving: HostIp) {
        if serving != self.serving && self.siblings.len() < MAX_SIBLINGS {
            self.siblings.entry(serving).or_insert(false);
        }
    }
}

/// The time that restored registrations wait for the copy: another node may know better.
const JOIN_WAIT: Duration = Duration::from_secs(3);

/// The time between two repairs. A repair costs one comparison for each user of this node.
const REPAIR_INTERVAL: Duration = Duration::from_secs(3_600);

/// The users whose entries are claimed again in one turn, which takes less than 1 ms.
pub(super) const REPAIRED_AT_ONCE: usize = 256;

/// The limit of entries of users who are not listed: users who were added at other nodes first.
const MAX_UNLISTED: usize = 65_536;

/// The limit of other nodes: far more than a domain has.
const MAX_SIBLINGS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;

    fn laura() -> UserName {
        "laura".parse().unwrap()
    }

    fn entry(host: u8, stamp: u64) -> Entry {
        let agent = UdpAddress::new(HostIp::new(10, 0, 1, host), 4500);
        Entry { serving: HostIp::new(10, 0, 0, host), agent: Some(agent), stamp: Stamp(stamp) }
    }

    #[test]
    fn copies_are_equal_in_whatever_order_entries_come() {
        let entries = [entry(2, 7), entry(3, 7), entry(4, 6), Entry { agent: None, ..entry(2, 8) }];
        for turn in 0..entries.len() {
            let mut members = Members::new(any_time(), HostIp::new(10, 0, 0, 9));
            let mut turned = entries;
            turned.rotate_left(turn);
            for entry in turned.into_iter().chain(entries) {
                members.merge(laura(), entry, true);
            }
            assert_eq!(members.copy[&laura()], entries[3]);
        }
    }

    #[test]
    fn a_stamp_is_the_time_of_the_engine_or_one_more_than_the_largest() {
        let now = any_time();
        let mut members = Members::new(now, HostIp::new(10, 0, 0, 9));
        assert_eq!(members.change(now, UnixMillis(5), laura(), None).stamp, Stamp(5_000));
        members.set_clock(UnixMillis(100), now);
        let later = now + Duration::from_millis(20);
        assert_eq!(members.change(later, UnixMillis(5), laura(), None).stamp, Stamp(120_000));
        members.merge(laura(), entry(2, 900_000), true);
        assert_eq!(members.change(later, UnixMillis(5), laura(), None).stamp, Stamp(900_001));
    }

    #[test]
    fn nothing_is_served_by_a_process_that_was_stopped_or_fenced() {
        let now = any_time();
        let mut members = Members::new(now, HostIp::new(10, 0, 0, 9));
        members.set_lease(LeaseReport::Taken { epoch: 1, at: now });
        let later = now + Duration::from_secs(11);
        assert!(members.serves(now) && !members.serves(later));
        // An engine that is down fences nobody.
        members.cut_off();
        assert!(members.serves(later));
        members.set_lease(LeaseReport::Fenced { epoch: Some(2) });
        assert!(!members.serves(later));
    }
}
