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
    taken: VecDeque<(SlotId, IpAddr)>,
    given: u64,
}

/// Identifies one connection in a pool. Numbers are not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SlotId(u64);

impl ConnectionSlots {
    /// Creates `most` slots, of which one IP address may take `most_of_one_ip`. Neither may be 0.
    pub(crate) fn new(most: usize, most_of_one_ip: usize) -> Self {
        Self { most, most_of_one_ip, taken: VecDeque::new(), given: 0 }
    }

    /// Takes a slot for a connection from `ip`. Returns it, and the one that was lost for it.
    ///
    /// If the address has as many slots as it may, its oldest connection loses its slot. Otherwise, if all are
    /// taken, the oldest connection of all does.
    pub(crate) fn take(&mut self, ip: IpAddr) -> (SlotId, Option<SlotId>) {
        let of_ip = self.taken.iter().filter(|(_, of)| *of == ip).count();
        let lost = if of_ip >= self.most_of_one_ip {
            self.taken.iter().position(|(_, of)| *of == ip)
        } else {
            (self.taken.len() >= self.most).then_some(0)
        };
        let lost = lost.and_then(|at| self.taken.remove(at)).map(|(id, _)| id);
        self.given += 1;
        let id = SlotId(self.given);
        self.taken.push_back((id, ip));
        (id, lost)
    }

    /// Gives a slot back. One that was lost changes nothing.
    pub(crate) fn give_back(&mut self, id: SlotId) {
        self.taken.retain(|(taken, _)| *taken != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes slots for these IPs in this order, and returns which of them are lost.
    fn lost(slots: &mut ConnectionSlots, ips: &[u8]) -> Vec<bool> {
        let taken: Vec<_> = ips.iter().map(|&ip| slots.take(IpAddr::from([127, 0, 0, ip]))).collect();
        let lost: Vec<_> = taken.iter().filter_map(|(_, lost)| *lost).collect();
        taken.iter().for_each(|(id, _)| slots.give_back(*id));
        taken.iter().map(|(id, _)| lost.contains(id)).collect()
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
        let (first, _) = slots.take(ip);
        for _ in 0..10 {
            let (id, lost) = slots.take(ip);
            assert_eq!(lost, None);
            slots.give_back(id);
        }
        let (second, _) = slots.take(ip);
        let (third, lost) = slots.take(ip);
        assert_eq!(lost, Some(first));
        slots.give_back(first);
        assert_eq!(slots.take(ip).1, Some(second), "the other slots are untouched");
        slots.give_back(third);
        assert_eq!(slots.taken.len(), 1);
    }
}
