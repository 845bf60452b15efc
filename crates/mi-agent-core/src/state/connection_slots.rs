//! A small pool of slots for connections. When it is full, the oldest connection loses its slot.

use std::collections::VecDeque;
use std::net::IpAddr;

/// A bounded number of slots.
///
/// An attacker has to connect again and again to keep others out. An honest caller identifies itself at once
/// and then needs no slot. That is why the oldest connection loses its slot.
#[derive(Debug)]
pub(crate) struct ConnectionSlots {
    most: usize,
    most_of_one_ip: usize,
    /// The oldest first.
    taken: VecDeque<(CallerId, IpAddr)>,
}

/// Identifies one connection of a caller. Numbers are not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallerId(pub(super) u64);

impl ConnectionSlots {
    /// Creates `most` slots, of which one IP address may take `most_of_one_ip`. Neither may be 0.
    pub(crate) fn new(most: usize, most_of_one_ip: usize) -> Self {
        Self { most, most_of_one_ip, taken: VecDeque::new() }
    }

    /// Takes a slot for the connection `id` from `ip`. Returns the connection that loses its slot.
    ///
    /// If the address has as many slots as it may, its oldest connection loses its slot. Otherwise, if all are
    /// taken, the oldest connection of all does.
    pub(crate) fn take(&mut self, id: CallerId, ip: IpAddr) -> Option<CallerId> {
        let of_ip = self.taken.iter().filter(|(_, of)| *of == ip).count();
        let lost = if of_ip >= self.most_of_one_ip {
            self.taken.iter().position(|(_, of)| *of == ip)
        } else {
            (self.taken.len() >= self.most).then_some(0)
        };
        let lost = lost.and_then(|at| self.taken.remove(at)).map(|(id, _)| id);
        self.taken.push_back((id, ip));
        lost
    }

    /// Gives the slot of a connection back. One that has none changes nothing.
    pub(crate) fn give_back(&mut self, id: CallerId) {
        self.taken.retain(|(taken, _)| *taken != id);
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
