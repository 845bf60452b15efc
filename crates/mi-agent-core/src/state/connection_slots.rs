//! A small pool of slots for connections. When it is full, a connection of the address with the most loses
//! its slot.

use std::net::IpAddr;

use fair_table::{FairTable, Owner, Share};

/// A bounded number of slots.
///
/// An attacker has to connect again and again to keep others out. An honest caller identifies itself at once
/// and then needs no slot. That is why the oldest connection of an address loses its slot.
#[derive(Debug)]
pub(crate) struct ConnectionSlots {
    share: Share,
    taken: FairTable<IpAddr, (), CallerId>,
}

/// Identifies one connection of a caller. Numbers are not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallerId(pub(super) u64);

impl ConnectionSlots {
    /// Creates `most` slots, of which one IP address may take `most_of_one_ip`. Neither may be 0.
    pub(crate) fn new(most: usize, most_of_one_ip: usize) -> Self {
        let share = Share { of_source: most_of_one_ip, ..Share::ALL };
        Self { share, taken: FairTable::new(most) }
    }

    /// Takes a slot for the connection `id` from `ip`. Returns the connection that loses its slot.
    ///
    /// If the address has as many slots as it may, its oldest connection loses its slot. Otherwise, if all
    /// are taken, the oldest connection of the address with the most does, the new one counted.
    pub(crate) fn take(&mut self, id: CallerId, ip: IpAddr) -> Option<CallerId> {
        match self.taken.insert(Owner::new(ip, ()), self.share, id) {
            Ok(inserted) => inserted.gave_way.map(|(_, lost)| lost),
            Err(id) => Some(id),
        }
    }

    /// Gives the slot of a connection back. One that has none changes nothing.
    pub(crate) fn give_back(&mut self, id: CallerId) {
        let taken = self.taken.iter().find(|(_, taken)| **taken == id).map(|(key, _)| key);
        if let Some(key) = taken {
            self.taken.remove(key);
        }
    }

    /// Returns the number of slots that are taken.
    pub(crate) fn len(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes slots for these IPs in this order, and returns which of them are lost.
    fn lost(slots: &mut ConnectionSlots, ips: &[u8]) -> Vec<bool> {
        let ids = || (0..).map(CallerId).zip(ips);
        let lost: Vec<_> =
            ids().filter_map(|(id, &ip)| slots.take(id, IpAddr::from([127, 0, 0, ip]))).collect();
        ids().for_each(|(id, _)| slots.give_back(id));
        ids().map(|(id, _)| lost.contains(&id)).collect()
    }

    #[test]
    fn the_oldest_loses_its_slot() {
        let mut slots = ConnectionSlots::new(4, 2);
        assert_eq!(lost(&mut slots, &[1, 2, 3, 4]), [false; 4]);
        assert_eq!(lost(&mut slots, &[1, 2, 3, 4, 5]), [true, false, false, false, false]);
        assert_eq!(lost(&mut slots, &[1, 2, 2, 2, 3]), [false, true, false, false, false]);
        assert_eq!(lost(&mut slots, &[1, 1, 1, 1, 1]), [true, true, true, false, false]);
        // All are taken, but the oldest of the same IP goes first.
        assert_eq!(lost(&mut slots, &[1, 2, 3, 2, 2]), [false, true, false, false, false]);
    }

    #[test]
    fn an_address_with_more_slots_than_others_loses_one() {
        let mut slots = ConnectionSlots::new(4, 2);
        assert_eq!(lost(&mut slots, &[1, 2, 2, 3, 4]), [false, true, false, false, false]);
        assert_eq!(lost(&mut slots, &[1, 2, 3, 4, 4]), [false, false, false, true, false]);
        // They may call any number of times.
        let many: Vec<_> = [9].into_iter().chain([1, 2, 3].into_iter().cycle().take(300)).collect();
        assert!(!lost(&mut ConnectionSlots::new(4, 2), &many)[0]);
        let many: Vec<_> = [1, 2, 3, 1, 2, 3, 9].into_iter().chain([1, 2, 3].repeat(100)).collect();
        assert!(!lost(&mut ConnectionSlots::new(6, 2), &many)[6]);
    }

    #[test]
    fn a_slot_is_free_again_once_it_is_given_back() {
        let mut slots = ConnectionSlots::new(2, 2);
        let ip = IpAddr::from([127, 0, 0, 1]);
        let [first, second, third, fourth] = [1, 2, 3, 4].map(CallerId);
        assert_eq!(slots.take(first, ip), None);
        for id in (10..20).map(CallerId) {
            assert_eq!(slots.take(id, ip), None);
            slots.give_back(id);
        }
        assert_eq!(slots.take(second, ip), None);
        assert_eq!(slots.take(third, ip), Some(first));
        slots.give_back(first);
        assert_eq!(slots.take(fourth, ip), Some(second), "the other slots are untouched");
        slots.give_back(third);
        assert_eq!(slots.len(), 1);
    }
}
