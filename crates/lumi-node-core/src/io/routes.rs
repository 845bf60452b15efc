//! Which address of this host each party talks to.

use std::collections::HashMap;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};

/// At which address of this host each party was heard last, so that what is sent there leaves from it: a party
/// whose socket is connected hears nothing that comes from another one.
///
/// The node's decisions need none of this, so it is kept beside them. A party is an agent, a node, or a stranger of
/// whom there can be any number; those that were not heard for long are forgotten, but for agents of users who are
/// online, which may be silent for as long as they like.
#[derive(Debug, Default)]
pub(super) struct Routes {
    recent: HashMap<SocketAddrV4, Ipv4Addr>,
    /// Counts only for who is not in `recent`.
    older: HashMap<SocketAddrV4, Ipv4Addr>,
}

impl Routes {
    /// `party` was heard at `own`.
    pub(super) fn note(&mut self, party: SocketAddrV4, own: Ipv4Addr) {
        self.recent.insert(party, own);
    }

    /// Where `party` was heard, if that is known.
    pub(super) fn source_for(&self, party: SocketAddrV4) -> Option<Ipv4Addr> {
        self.recent.get(&party).or_else(|| self.older.get(&party)).copied()
    }

    /// Whether it is time for [`Routes::forget`].
    pub(super) fn is_full(&self) -> bool {
        self.recent.len() >= MAX_RECENT
    }

    /// Forgets all but the last [`MAX_RECENT`] that were heard, and those who stay.
    pub(super) fn forget(&mut self, who_stays: impl Iterator<Item = SocketAddrV4>) {
        let older = mem::replace(&mut self.older, mem::take(&mut self.recent));
        for party in who_stays {
            if let Some(&own) = older.get(&party) {
                self.older.entry(party).or_insert(own);
            }
        }
    }
}

/// Parties heard until some are forgotten: more than twice the requests that can be under way, 4,096 pending and
/// 2,048 that wait for a look-up, so that who waits for an answer is still known. 512 KiB or so, and as much again
/// for those heard before.
const MAX_RECENT: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_is_known_by_where_it_was_heard_last() {
        let mut routes = Routes::default();
        assert_eq!(routes.source_for(party(1)), None);
        routes.note(party(1), OWN);
        routes.note(party(2), OTHER);
        assert_eq!((routes.source_for(party(1)), routes.source_for(party(2))), (Some(OWN), Some(OTHER)));
        routes.forget([party(1)].into_iter());
        routes.note(party(1), OTHER);
        assert_eq!(routes.source_for(party(1)), Some(OTHER));
        routes.forget([party(1)].into_iter());
        assert_eq!(routes.source_for(party(1)), Some(OTHER));
    }

    #[test]
    fn strangers_push_out_strangers_but_not_who_stays() {
        let mut routes = Routes::default();
        let stays = party(u32::MAX);
        routes.note(stays, OWN);
        for stranger in 0..100_000 {
            routes.note(party(stranger), OTHER);
            assert_eq!(routes.source_for(party(stranger.saturating_sub(6_144))), Some(OTHER), "too soon");
            if routes.is_full() {
                routes.forget([stays, party(u32::MAX - 1)].into_iter());
            }
            assert!(routes.recent.len() + routes.older.len() <= 2 * MAX_RECENT + 1);
        }
        assert_eq!(routes.source_for(stays), Some(OWN));
        assert_eq!(routes.source_for(party(0)), None);
        assert_eq!(routes.source_for(party(u32::MAX - 1)), None, "who was never heard has no route");
    }

    fn party(number: u32) -> SocketAddrV4 {
        SocketAddrV4::new(number.into(), 4500)
    }

    const OWN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);
    const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
}
