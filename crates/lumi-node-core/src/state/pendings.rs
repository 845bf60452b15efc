//! The location requests that were sent on and wait for their answer (protocol.md §9).

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use plumi_proto::{Locate, MiAddress};

/// What is pending. One entry for each request and asker, however often that asker repeats it.
#[derive(Debug, Default)]
pub(super) struct Pendings {
    /// The oldest first: answers come in the order of their requests.
    by_locate: HashMap<Locate, Vec<Pending>>,
    by_end: BTreeMap<End, Locate>,
    added: u64,
}

#[derive(Debug)]
struct Pending {
    /// Where the request came from, and its answer goes.
    asker: SocketAddrV4,
    /// Where the request went, and its answer has to come from.
    asked: SocketAddrV4,
    end: End,
}

/// When an entry ends, and a number that tells it from others that end then.
type End = (Instant, u64);

impl Pendings {
    /// Notes a request that is about to be sent on. `false`: there is no room, do not send it.
    pub(super) fn add(
        &mut self,
        now: Instant,
        locate: Locate,
        asker: SocketAddrV4,
        asked: SocketAddrV4,
    ) -> bool {
        self.expire(now);
        self.added += 1;
        let pending = Pending { asker, asked, end: (now + PENDING_LIFE, self.added) };
        let entries = self.by_locate.entry(locate).or_default();
        let repeated = entries.iter_mut().find(|entry| entry.asker == asker);
        if repeated.is_none() && self.by_end.len() >= MAX_PENDINGS {
            if entries.is_empty() {
                self.by_locate.remove(&locate);
            }
            return false;
        }
        self.by_end.insert(pending.end, locate);
        match repeated {
            Some(entry) => {
                self.by_end.remove(&entry.end);
                *entry = pending;
            }
            None => entries.push(pending),
        }
        true
    }

    /// Takes the oldest request that an answer from `answerer` answers, and returns who asked.
    pub(super) fn take(
        &mut self,
        now: Instant,
        locate: &Locate,
        answerer: SocketAddrV4,
    ) -> Option<SocketAddrV4> {
        self.expire(now);
        let entry = self.by_locate.get(locate)?.iter().find(|entry| entry.asked == answerer)?;
        let (asker, end) = (entry.asker, entry.end);
        self.remove(end);
        Some(asker)
    }

    /// Drops the request of `asker`, if it is pending: it has been answered otherwise.
    pub(super) fn cancel(&mut self, locate: &Locate, asker: SocketAddrV4) {
        let entries = self.by_locate.get(locate).map_or(&[][..], Vec::as_slice);
        if let Some(entry) = entries.iter().find(|entry| entry.asker == asker) {
            self.remove(entry.end);
        }
    }

    /// Drops the requests for a user who is gone.
    pub(super) fn forget(&mut self, user: &MiAddress) {
        self.by_locate.retain(|locate, _| locate.to != *user);
        self.by_end.retain(|_, locate| locate.to != *user);
    }

    /// Drops what nobody waits for any more.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((&end, _)) = self.by_end.first_key_value()
            && end.0 <= now
        {
            self.remove(end);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_end.first_key_value().map(|(end, _)| end.0)
    }

    fn remove(&mut self, end: End) {
        let Some(locate) = self.by_end.remove(&end) else { return };
        if let Some(entries) = self.by_locate.get_mut(&locate) {
            entries.retain(|entry| entry.end != end);
            if entries.is_empty() {
                self.by_locate.remove(&locate);
            }
        }
    }
}

/// How long after its last repetition a request can be answered. Agents give up after 5 s.
const PENDING_LIFE: Duration = Duration::from_secs(5);

/// Requests within [`PENDING_LIFE`] that have no answer yet: 1 MiB or so.
const MAX_PENDINGS: usize = 4_096;
