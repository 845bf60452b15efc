//! The conversation that gives way when a caller finds every slot taken.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::intake::Limited;

/// The conversations that callers began, each with its source and its silence.
///
/// A conversation that the user began is not among them, so it never gives way.
///
/// The first conversation to give way is one in which the peer has filled the reading limit for 30 s.
/// Otherwise, a slot passes from an address to another one that has at least two fewer. So one address may
/// have all slots while nobody needs them, and shares them evenly when others call. If no address has so
/// many, only a conversation gives way in which nobody has said anything for long.
#[derive(Debug)]
pub struct ConversationSlots<I> {
    idle: Option<Duration>,
    /// The oldest first. Their bound is the number of conversations that the agent may have.
    talks: Vec<Talk<I>>,
}

/// The reason why a conversation gave way to another caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GaveWay {
    /// Neither side had said anything, at all or for long.
    #[error("nothing was said")]
    NothingSaid,
    /// The caller's address had several conversations, and another address called. In this one, this side had
    /// said nothing for longest.
    #[error("its host has several, and another one called")]
    HostHasSeveral,
    /// The peer had been read as fast as may be for 30 s.
    #[error("too much was said")]
    TooMuchSaid,
}

/// A conversation that a caller began.
#[derive(Clone, Copy, Debug)]
struct Talk<I> {
    id: I,
    ip: IpAddr,
    began: Instant,
    /// The time of the last line of this side, or of the beginning.
    said_here: Instant,
    /// The time of the last line of either side, or of the beginning.
    said: Instant,
    /// The time since which the peer has been read as fast as may be, if it is.
    limited: Option<Limited>,
}

impl<I: Copy + PartialEq> ConversationSlots<I> {
    /// Creates the table of an agent that has no conversation. `idle` is the silence of both sides after
    /// which a conversation may give way; with `None` it never does for that reason.
    pub fn new(idle: Option<Duration>) -> Self {
        Self { idle, talks: Vec::new() }
    }

    /// Records that a conversation has begun with the caller `id` from `ip`.
    pub fn handle_begun(&mut self, now: Instant, id: I, ip: IpAddr) {
        self.talks.push(Talk { id, ip, began: now, said_here: now, said: now, limited: None });
    }

    /// Records a line that is not empty: of this side if `is_own`, otherwise of the peer.
    pub fn handle_said(&mut self, now: Instant, id: I, is_own: bool) {
        if let Some(talk) = self.talks.iter_mut().find(|talk| talk.id == id) {
            talk.said = now;
            if is_own {
                talk.said_here = now;
            }
        }
    }

    /// Records for how long the peer has said as much as is read, or `None` if it does not.
    pub fn handle_limited(&mut self, id: I, limited: Option<Limited>) {
        if let Some(talk) = self.talks.iter_mut().find(|talk| talk.id == id) {
            talk.limited = limited;
        }
    }

    /// Records that a conversation is over. One that gave way changes nothing.
    pub fn handle_over(&mut self, id: I) {
        self.talks.retain(|talk| talk.id != id);
    }

    /// Removes the conversation that gives way to a caller from `ip`, and returns it with the reason. `None`
    /// if none does.
    pub fn give_way(&mut self, now: Instant, ip: IpAddr) -> Option<(I, GaveWay)> {
        let of_caller = self.count(ip);
        let (at, reason) = self.next(now, of_caller)?;
        Some((self.talks.remove(at).id, reason))
    }

    /// Returns whether a conversation would give way to a caller from an address that has none.
    pub fn can_give_way(&self, now: Instant) -> bool {
        self.next(now, 0).is_some()
    }

    /// Returns the index of the conversation that gives way to an address with `of_caller` conversations.
    fn next(&self, now: Instant, of_caller: usize) -> Option<(usize, GaveWay)> {
        let floods = |talk: &Talk<I>| {
            // A peer that pasted something and has paused since does not flood.
            talk.limited.is_some_and(|Limited { since, until }| {
                now.saturating_duration_since(since) >= FLOOD && now < until
            })
        };
        let shares = |ip| self.count(ip) >= of_caller + LEAST_DIFFERENCE;
        let is_crowding = |talk: &Talk<I>| {
            shares(talk.ip)
                && now.saturating_duration_since(talk.began) > SETTLED
                // The user has said something since in all others of that address.
                && self.talks.iter().all(|other| other.ip != talk.ip || other.said_here >= talk.said_here)
        };
        let is_silent =
            |talk: &Talk<I>| self.idle.is_some_and(|idle| now.saturating_duration_since(talk.said) >= idle);
        if let Some(at) = self.greediest(floods, |talk| talk.said_here) {
            return Some((at, GaveWay::TooMuchSaid));
        }
        if let Some(at) = self.greediest(is_crowding, |talk| talk.said_here) {
            let Talk { said, began, .. } = self.talks[at];
            return Some((at, if said == began { GaveWay::NothingSaid } else { GaveWay::HostHasSeveral }));
        }
        let silent = self.greediest(is_silent, |talk| talk.said);
        silent.map(|at| (at, GaveWay::NothingSaid))
    }

    /// Returns the index of one of the conversations that `may` give way: of the address with the most, the
    /// one with the oldest last line.
    fn greediest(&self, may: impl Fn(&Talk<I>) -> bool, last: impl Fn(&Talk<I>) -> Instant) -> Option<usize> {
        let candidates = self.talks.iter().enumerate().filter(|(_, talk)| may(talk));
        let greediest = candidates.max_by_key(|(at, talk)| (self.count(talk.ip), Reverse((last(talk), *at))));
        greediest.map(|(at, _)| at)
    }

    fn count(&self, ip: IpAddr) -> usize {
        self.talks.iter().filter(|talk| talk.ip == ip).count()
    }
}

/// The default silence after which a conversation gives way to a new caller. People pause for less while they
/// talk.
pub const DEFAULT_IDLE: Duration = Duration::from_secs(5 * 60);

/// The least difference between two addresses at which a slot passes from one to the other. With one, it
/// would pass back and forth.
const LEAST_DIFFERENCE: usize = 2;

/// The age from which on a conversation may give way to another address. A person has answered by then.
const SETTLED: Duration = Duration::from_secs(30);

/// The time for which a peer may say as much as is read. Nobody pastes for as long.
const FLOOD: Duration = Duration::from_secs(30);
