//! Places for connections of strangers: there are few, and who comes last has the better claim.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A bounded number of places.
///
/// Whoever wants to keep others out must come again and again, while who has something to say says it at once, and
/// needs the place no more: so the oldest is the one to go.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    most: usize,
    most_of_one_ip: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    /// The oldest first.
    places: VecDeque<(u64, IpAddr, oneshot::Sender<()>)>,
    given: u64,
}

impl Places {
    /// `most` places in all, and `most_of_one_ip` for each IP address; neither is 0.
    pub(crate) fn new(most: usize, most_of_one_ip: usize) -> Self {
        Self { most, most_of_one_ip, taken: Arc::default() }
    }

    /// Takes a place for a connection from `ip`. If that has as many as it may, the oldest of them loses its own;
    /// if all are taken, the oldest of all.
    pub(crate) fn take(&self, ip: IpAddr) -> Place {
        let mut taken = self.taken();
        let of_ip: Vec<_> = (0..taken.places.len()).filter(|&at| taken.places[at].1 == ip).collect();
        if of_ip.len() >= self.most_of_one_ip {
            taken.places.remove(of_ip[0]);
        } else if taken.places.len() >= self.most {
            taken.places.pop_front();
        }
        let (hold, lost) = oneshot::channel();
        taken.given += 1;
        let number = taken.given;
        taken.places.push_back((number, ip, hold));
        Place { places: self.clone(), number, lost }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that was taken, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl Place {
    /// Waits, once, until the place is lost to somebody who came later. Cancel safe.
    pub(crate) async fn lost(&mut self) {
        // Nothing is ever sent.
        _ = (&mut self.lost).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().places.retain(|(number, ..)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Which of `places`, taken for these IPs in this order, are lost.
    fn lost(places: &Places, ips: &[u8]) -> Vec<bool> {
        let taken: Vec<_> = ips.iter().map(|&ip| places.take(IpAddr::from([127, 0, 0, ip]))).collect();
        taken.into_iter().map(|mut place| place.lost().now_or_never().is_some()).collect()
    }

    #[test]
    fn the_newest_has_the_better_claim() {
        let places = Places::new(4, 2);
        assert_eq!(lost(&places, &[1, 2, 3, 4]), [false; 4]);
        assert_eq!(lost(&places, &[1, 2, 3, 4, 5]), [true, false, false, false, false]);
        assert_eq!(lost(&places, &[1, 2, 2, 2, 3]), [false, true, false, false, false]);
        assert_eq!(lost(&places, &[1, 1, 1, 1, 1]), [true, true, true, false, false]);
        // All are taken, but the IP's own goes first.
        assert_eq!(lost(&places, &[1, 2, 3, 2, 2]), [false, true, false, false, false]);
    }

    #[test]
    fn a_place_is_free_again_once_it_is_left() {
        let places = Places::new(2, 2);
        let ip = IpAddr::from([127, 0, 0, 1]);
        let mut first = places.take(ip);
        for _ in 0..10 {
            drop(places.take(ip));
        }
        assert_eq!(first.lost().now_or_never(), None);
        let (_second, third) = (places.take(ip), places.take(ip));
        first.lost().now_or_never().expect("it went to the third");
        drop(first);
        assert_eq!(places.taken().places.len(), 2, "those of the others are not touched");
        drop(third);
        assert_eq!(places.taken().places.len(), 1);
    }
}
