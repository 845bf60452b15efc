//! The location requests that came to a node, and what became of them.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use lumi_node_core::{AddressRange, NodeSettings};
use plumi_proto::{Locate, MiAddress};

use super::{Violation, ensure};
use crate::simulation::network::Taint;

/// The requests of one node.
#[derive(Debug)]
pub(super) struct Requests {
    by_locate: HashMap<Locate, Vec<Request>>,
    by_end: BTreeMap<(Duration, u64), (Locate, SocketAddrV4)>,
    by_source: HashMap<Ipv4Addr, usize>,
    exempt: Vec<AddressRange>,
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
    /// The address to which it was sent, the time until which it can be answered, and a number that tells it
    /// from others that end then.
    pending: Option<(SocketAddrV4, (Duration, u64))>,
}

impl Requests {
    pub(super) fn new(settings: &NodeSettings) -> Self {
        Self {
            by_locate: HashMap::new(),
            by_end: BTreeMap::new(),
            by_source: HashMap::new(),
            exempt: settings.exempt.clone(),
            sent_on: 0,
        }
    }

    pub(super) fn came(&mut self, now: Duration, locate: Locate, asker: SocketAddrV4, cause: Taint) {
        self.expire(now);
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

    /// Returns whether the node may say that it has no room for a request of `asker`.
    pub(super) fn is_full_for(&mut self, now: Duration, asker: SocketAddrV4) -> bool {
        self.expire(now);
        let of_source = self.by_source.get(asker.ip()).copied().unwrap_or_default();
        self.by_end.len() >= MAX_PENDINGS || (!self.is_exempt(*asker.ip()) && of_source >= MAX_OF_SOURCE)
    }

    /// The node sent a request on to `asked`.
    pub(super) fn sent_on(
        &mut self,
        now: Duration,
        locate: Locate,
        asker: SocketAddrV4,
        asked: SocketAddrV4,
    ) -> Result<(), Violation> {
        self.expire(now);
        self.ends(&locate, asker);
        self.sent_on += 1;
        let number = self.sent_on;
        let Some(request) = self.find(&locate, asker) else {
            ensure!(false, Silence, "nobody at {asker} asked {} for {}", locate.from, locate.to);
            return Ok(());
        };
        // It can be answered for as long as who asked waits, which began when it came.
        let end = (request.last + REQUEST_LIFE, number);
        request.pending = Some((asked, end));
        self.by_end.insert(end, (locate, asker));
        let of_source = self.by_source.entry(*asker.ip()).or_default();
        *of_source += 1;
        let of_source = *of_source;
        ensure!(self.by_end.len() <= MAX_PENDINGS, Bounds, "{} requests are pending", self.by_end.len());
        ensure!(
            of_source <= MAX_OF_SOURCE || self.is_exempt(*asker.ip()),
            Bounds,
            "{of_source} requests of {asker} are pending"
        );
        Ok(())
    }

    /// The node answered `asker`.
    pub(super) fn answered(&mut self, locate: &Locate, asker: SocketAddrV4) -> Result<(), Violation> {
        self.ends(locate, asker);
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

    /// Returns the askers who wait for an answer that comes from `answerer`.
    pub(super) fn waiting_for(
        &mut self,
        now: Duration,
        locate: &Locate,
        answerer: SocketAddrV4,
    ) -> Vec<SocketAddrV4> {
        self.expire(now);
        let requests = self.by_locate.get(locate).map_or(&[][..], Vec::as_slice);
        let waits = |request: &&Request| request.pending.is_some_and(|(asked, _)| asked == answerer);
        requests.iter().filter(waits).map(|request| request.asker).collect()
    }

    /// The user belongs to the domain no longer.
    pub(super) fn forget(&mut self, user: &MiAddress) {
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

    fn is_exempt(&self, source: Ipv4Addr) -> bool {
        self.exempt.iter().any(|range| range.contains(source))
    }

    fn ends(&mut self, locate: &Locate, asker: SocketAddrV4) {
        let pending = self.find(locate, asker).and_then(|request| request.pending.take());
        if let Some((_, end)) = pending {
            self.by_end.remove(&end);
            *self.by_source.entry(*asker.ip()).or_default() -= 1;
        }
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
const MAX_PENDINGS: usize = 4_096;
const MAX_OF_SOURCE: usize = 64;
