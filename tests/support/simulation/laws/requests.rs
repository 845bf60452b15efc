//! The location requests that came to a node, and what became of them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddrV4;
use std::time::Duration;

use lumi_node_core::NodeSettings;
use plumi_proto::{Domain, Locate, MiAddress, UserName};

use super::owed::Owed;
use super::{Violation, ensure};
use crate::kept_requests::{Asked, KeptRequests, Source};
use crate::simulation::network::Taint;

/// The requests of one node.
#[derive(Debug)]
pub(super) struct Requests {
    by_locate: HashMap<Locate, Vec<Request>>,
    by_end: BTreeMap<(Duration, u64), (Locate, SocketAddrV4)>,
    kept: KeptRequests,
    owed: Owed,
    sent_on: u64,
}

/// The `PL`s with the same names and asker.
#[derive(Debug)]
struct Request {
    asker: SocketAddrV4,
    /// The number of those that came, and the time of the last one.
    came: u32,
    last: Duration,
    /// The number of answers that went back.
    answered: u32,
    /// Those who had a hand in the last one.
    cause: Taint,
    pending: Option<Pending>,
}

/// A request that was sent on.
#[derive(Debug)]
struct Pending {
    /// The addresses to which it was sent, the latest last.
    receivers: Vec<SocketAddrV4>,
    /// The time at which it was sent last.
    sent_at: Duration,
    /// The time until which it can be answered, and a number that tells it from others that end then. The
    /// lower number was sent first.
    end: (Duration, u64),
}

impl Requests {
    pub(super) fn new(domain: Domain, settings: &NodeSettings) -> Self {
        Self {
            by_locate: HashMap::new(),
            by_end: BTreeMap::new(),
            kept: KeptRequests::new(domain, &settings.exempt),
            owed: Owed::default(),
            sent_on: 0,
        }
    }

    /// A request came that is not dropped. `is_honest`: no attacker sent it, and not in the name of a user of
    /// the node who is online nowhere.
    pub(super) fn came(
        &mut self,
        now: Duration,
        locate: Locate,
        asker: SocketAddrV4,
        cause: Taint,
        is_honest: bool,
    ) {
        self.expire(now);
        if !is_honest {
            self.owed.asked_by_others(now, asker);
        }
        let requests = self.by_locate.entry(locate).or_default();
        match requests.iter_mut().find(|request| request.asker == asker) {
            Some(request) => {
                request.came += 1;
                (request.last, request.cause) = (now, cause);
            }
            None => {
                requests.push(Request { asker, came: 1, last: now, answered: 0, cause, pending: None });
            }
        }
    }

    /// Returns those who had a hand in the last `PL` of each asker with these names.
    pub(super) fn cause(&self, locate: &Locate) -> Taint {
        let requests = self.by_locate.get(locate).map_or(&[][..], Vec::as_slice);
        requests.iter().fold(Taint::default(), |all, request| all | request.cause)
    }

    /// Returns whether a request repeats one that was sent on too short a time ago.
    pub(super) fn is_too_soon(&mut self, now: Duration, locate: &Locate, asker: SocketAddrV4) -> bool {
        self.expire(now);
        let pending = self.find(locate, asker).and_then(|request| request.pending.as_ref());
        pending.is_some_and(|pending| now - pending.sent_at < MIN_INTERVAL)
    }

    /// Returns whether there is room for a request, and lets another one give way if there has to be. `user`
    /// is the user of the node who asks, if there is one.
    pub(super) fn make_room(
        &mut self,
        now: Duration,
        locate: Locate,
        asker: SocketAddrV4,
        user: Option<UserName>,
    ) -> bool {
        self.expire(now);
        let gone = self.kept.add((locate, asker), user);
        if let Some((names, of)) = gone {
            self.ends(&names, of);
        }
        gone != Some((locate, asker))
    }

    /// Returns the source that a request counts for.
    pub(super) fn source_of(&self, asked: &Asked) -> Source {
        self.kept.source_of(asked)
    }

    /// The node sent a request, for which there was room, on to `asked`.
    pub(super) fn sent_on(
        &mut self,
        now: Duration,
        locate: Locate,
        asker: SocketAddrV4,
        asked: SocketAddrV4,
    ) -> Result<(), Violation> {
        let is_too_soon = self.is_too_soon(now, &locate, asker);
        ensure!(!is_too_soon, NoAmplification, "{asker} asks for {} twice at once", locate.to);
        self.sent_on += 1;
        let next = self.sent_on;
        let Some(request) = self.find(&locate, asker) else {
            ensure!(false, Silence, "nobody at {asker} asked {} for {}", locate.from, locate.to);
            return Ok(());
        };
        // It can be answered for as long as who asked waits, which began when it came.
        let before = request.pending.take();
        let end = (request.last + REQUEST_LIFE, before.as_ref().map_or(next, |pending| pending.end.1));
        let mut receivers = before.as_ref().map_or(Vec::new(), |pending| pending.receivers.clone());
        receivers.retain(|receiver| *receiver != asked);
        receivers.push(asked);
        if receivers.len() > MAX_RECEIVERS {
            receivers.remove(0);
        }
        request.pending = Some(Pending { receivers, sent_at: now, end });
        self.owed.sent_on(now, (locate, asker), asked, end.0);
        if let Some(before) = before {
            self.by_end.remove(&before.end);
        }
        self.by_end.insert(end, (locate, asker));
        let (pending, kept) = (self.by_end.len(), self.kept.len());
        ensure!(pending == kept, Bounds, "{pending} requests are pending, {kept} should be");
        Ok(())
    }

    /// The node answered `asker`.
    pub(super) fn answered(&mut self, locate: &Locate, asker: SocketAddrV4) -> Result<(), Violation> {
        self.ends(locate, asker);
        self.owed.ended(locate, asker);
        let request = self.find(locate, asker);
        let counts = request.map(|request| {
            request.answered += 1;
            (request.answered, request.came)
        });
        let (answered, came) = counts.unwrap_or((1, 0));
        ensure!(
            answered <= came,
            OneReplyPerRequest,
            "{answered} RLs for {came} PLs went to {asker}, from {} to {}",
            locate.from,
            locate.to
        );
        Ok(())
    }

    /// A request was taken, and not answered.
    pub(super) fn given_up(&mut self, locate: &Locate, asker: SocketAddrV4) -> Result<(), Violation> {
        ensure!(self.find(locate, asker).is_some(), Silence, "nobody at {asker} asked for {}", locate.to);
        self.ends(locate, asker);
        self.owed.ended(locate, asker);
        Ok(())
    }

    /// Returns the askers who wait for an answer that comes from `answerer`, the one who has waited longest
    /// first.
    pub(super) fn waiting_for(
        &mut self,
        now: Duration,
        locate: &Locate,
        answerer: SocketAddrV4,
    ) -> Vec<SocketAddrV4> {
        self.expire(now);
        let requests = self.by_locate.get(locate).map_or(&[][..], Vec::as_slice);
        let waits = |request: &&Request| {
            request.pending.as_ref().is_some_and(|pending| pending.receivers.contains(&answerer))
        };
        let mut waiting: Vec<_> = requests.iter().filter(waits).collect();
        waiting.sort_unstable_by_key(|request| request.pending.as_ref().map(|pending| pending.end.1));
        waiting.iter().map(|request| request.asker).collect()
    }

    /// Returns the askers of whom one has to have an answer that comes from `answerer` now, see [`Owed::to`].
    pub(super) fn owed_to(
        &self,
        now: Duration,
        locate: &Locate,
        answerer: SocketAddrV4,
        is_there: impl Fn(SocketAddrV4) -> bool,
    ) -> Vec<SocketAddrV4> {
        self.owed.to(now, locate, answerer, is_there)
    }

    /// The user belongs to the domain no longer.
    pub(super) fn forget(&mut self, user: &MiAddress) {
        self.owed.forget(user);
        let gone = |locate: &Locate| locate.from == *user || locate.to == *user;
        let pending: Vec<_> = self.by_end.values().filter(|(locate, _)| gone(locate)).copied().collect();
        for (locate, asker) in pending {
            self.ends(&locate, asker);
        }
    }

    /// Returns the number of pending ones, those included whose time is just over.
    pub(super) fn pending(&mut self, now: Duration) -> usize {
        self.expire(now.saturating_sub(Duration::from_nanos(1)));
        self.by_end.len()
    }

    fn find(&mut self, locate: &Locate, asker: SocketAddrV4) -> Option<&mut Request> {
        self.by_locate.get_mut(locate)?.iter_mut().find(|request| request.asker == asker)
    }

    fn ends(&mut self, locate: &Locate, asker: SocketAddrV4) {
        let pending = self.find(locate, asker).and_then(|request| request.pending.take());
        if let Some(Pending { end, .. }) = pending {
            self.by_end.remove(&end);
        }
        self.kept.remove(&(*locate, asker));
    }

    fn expire(&mut self, now: Duration) {
        while let Some((&(end, _), &(locate, asker))) = self.by_end.first_key_value()
            && end <= now
        {
            self.ends(&locate, asker);
        }
    }
}

/// The bounds and times of protocol.md §9.
const REQUEST_LIFE: Duration = Duration::from_secs(5);
const MIN_INTERVAL: Duration = Duration::from_millis(150);
const MAX_RECEIVERS: usize = 4;
