//! A small pool of slots for unidentified callers. When it is full, the oldest caller loses its slot.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A bounded number of slots.
///
/// An attacker has to connect again and again to keep others out. An honest caller identifies itself at once
/// and then needs no slot. That is why the oldest connection loses its slot.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSlots {
    most: usize,
    most_of_one_ip: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    /// The oldest first.
    slots: VecDeque<(u64, IpAddr, oneshot::Sender<()>)>,
    given: u64,
}

impl ConnectionSlots {
    /// Creates `most` slots, of which one IP address may take `most_of_one_ip`. Neither may be 0.
    pub(crate) fn new(most: usize, most_of_one_ip: usize) -> Self {
        Self { most, most_of_one_ip, taken: Arc::default() }
    }

    /// Takes a slot for a connection from `ip`. If that address has as many as it may, its oldest connection
    /// loses its slot; otherwise, if all are taken, the oldest connection of all does.
    pub(crate) fn take(&self, ip: IpAddr) -> ConnectionSlot {
        let mut taken = self.taken();
        let of_ip: Vec<_> = (0..taken.slots.len()).filter(|&at| taken.slots[at].1 == ip).collect();
        if of_ip.len() >= self.most_of_one_ip {
            taken.slots.remove(of_ip[0]);
        } else if taken.slots.len() >= self.most {
            taken.slots.pop_front();
        }
        let (hold, lost) = oneshot::channel();
        taken.given += 1;
        let number = taken.given;
        taken.slots.push_back((number, ip, hold));
        ConnectionSlot { slots: self.clone(), number, lost }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    slots: ConnectionSlots,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl ConnectionSlot {
    /// Waits until a later connection has taken the slot. May be called once. Cancel safe.
    pub(crate) async fn lost(&mut self) {
        // Nothing is ever sent.
        _ = (&mut self.lost).await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.taken().slots.retain(|(number, ..)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Takes slots for these IPs in this order, and returns which of them are lost.
    fn lost(slots: &ConnectionSlots, ips: &[u8]) -> Vec<bool> {
        let taken: Vec<_> = ips.iter().map(|&ip| slots.take(IpAddr::from([127, 0, 0, ip]))).collect();
        taken.into_iter().map(|mut slot| slot.lost().now_or_never().is_some()).collect()
    }

    #[test]
    fn the_oldest_loses_its_slot() {
        let slots = ConnectionSlots::new(4, 2);
        assert_eq!(lost(&slots, &[1, 2, 3, 4]), [false; 4]);
        assert_eq!(lost(&slots, &[1, 2, 3, 4, 5]), [true, false, false, false, false]);
        assert_eq!(lost(&slots, &[1, 2, 2, 2, 3]), [false, true, false, false, false]);
        assert_eq!(lost(&slots, &[1, 1, 1, 1, 1]), [true, true, true, false, false]);
        // All are taken, but the oldest of the same IP goes first.
        assert_eq!(lost(&slots, &[1, 2, 3, 2, 2]), [false, true, false, false, false]);
    }

    #[test]
    fn a_slot_is_free_again_once_it_is_dropped() {
        let slots = ConnectionSlots::new(2, 2);
        let ip = IpAddr::from([127, 0, 0, 1]);
        let mut first = slots.take(ip);
        for _ in 0..10 {
            drop(slots.take(ip));
        }
        assert_eq!(first.lost().now_or_never(), None);
        let (_second, third) = (slots.take(ip), slots.take(ip));
        first.lost().now_or_never().expect("it went to the third");
        drop(first);
        assert_eq!(slots.taken().slots.len(), 2, "the other slots are untouched");
        drop(third);
        assert_eq!(slots.taken().slots.len(), 1);
    }
}
