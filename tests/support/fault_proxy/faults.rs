//! The fate of a datagram.

use std::time::Duration;

use fastrand::Rng;

use super::Direction;

/// A datagram as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The bytes that the receiver gets.
    pub bytes: Vec<u8>,
    /// The time by which it is late.
    pub lateness: Lateness,
}

/// The time between sending a datagram and its arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lateness {
    /// The datagram arrives at once.
    None,
    /// The datagram is late by this time.
    By(Duration),
    /// Behind the next one of the same client and direction, or after [`Lateness::LONGEST`] if there is none.
    BehindNext,
}

impl Lateness {
    /// The time that a datagram waits to let another one pass: less than there is between two tries of a
    /// quick agent.
    pub const LONGEST: Duration = Duration::from_millis(50);
}

impl Arrival {
    /// `datagram` as it stands, at once.
    pub fn whole(datagram: &[u8]) -> Self {
        Self { bytes: datagram.to_vec(), lateness: Lateness::None }
    }
}

/// The probability of each fault in percent; none by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomFaults {
    /// Datagrams that never arrive.
    pub loss: u8,
    /// The probability that one that arrives does so twice.
    pub duplication: u8,
    /// The probability that one that arrives does so behind the next one.
    pub reordering: u8,
    /// The probability that one that arrives is cut off somewhere.
    pub truncation: u8,
    /// Each that is not reordered arrives late by up to this.
    pub delay: Duration,
}

impl RandomFaults {
    /// These faults, for [`UdpProxy::start`](super::UdpProxy::start). With the same seed, the n-th datagram
    /// of each direction meets the same fate.
    pub fn seeded(self, seed: u64) -> impl FnMut(Direction, &[u8]) -> Vec<Arrival> + Send + use<> {
        let mut to_target = Rng::with_seed(seed);
        let mut to_client = to_target.fork();
        move |direction, datagram| {
            let rng = match direction {
                Direction::ToTarget => &mut to_target,
                Direction::ToClient => &mut to_client,
            };
            self.fate(rng, datagram)
        }
    }

    fn fate(&self, rng: &mut Rng, datagram: &[u8]) -> Vec<Arrival> {
        if happens(rng, self.loss) {
            return Vec::new();
        }
        let copies = if happens(rng, self.duplication) { 2 } else { 1 };
        (0..copies).map(|_| self.arrival(rng, datagram)).collect()
    }

    fn arrival(&self, rng: &mut Rng, datagram: &[u8]) -> Arrival {
        let cut = happens(rng, self.truncation) && !datagram.is_empty();
        let length = if cut { rng.usize(..datagram.len()) } else { datagram.len() };
        let lateness = if happens(rng, self.reordering) {
            Lateness::BehindNext
        } else if self.delay.is_zero() {
            Lateness::None
        } else {
            Lateness::By(self.delay.mul_f64(rng.f64()))
        };
        Arrival { bytes: datagram[..length].to_vec(), lateness }
    }
}

fn happens(rng: &mut Rng, percent: u8) -> bool {
    rng.u8(..100) < percent
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"PRlaura@bb.com";

    /// Returns the fates of [`MESSAGE`], sent 10,000 times.
    fn fates(faults: RandomFaults, seed: u64) -> Vec<Vec<Arrival>> {
        let mut fate = faults.seeded(seed);
        (0..10_000).map(|_| fate(Direction::ToTarget, MESSAGE)).collect()
    }

    fn is_about(count: usize, percent: usize) -> bool {
        (percent * 100 - 250..percent * 100 + 250).contains(&count)
    }

    #[test]
    fn without_faults_everything_arrives_as_it_was_sent() {
        assert!(fates(RandomFaults::default(), 1).iter().all(|fate| *fate == [Arrival::whole(MESSAGE)]));
    }

    #[test]
    fn each_fault_happens_as_often_as_told() {
        let lost = fates(RandomFaults { loss: 30, ..RandomFaults::default() }, 2);
        assert!(is_about(lost.iter().filter(|fate| fate.is_empty()).count(), 30));
        let twice = fates(RandomFaults { duplication: 20, ..RandomFaults::default() }, 3);
        assert!(is_about(twice.iter().filter(|fate| fate.len() == 2).count(), 20));
        let behind = fates(RandomFaults { reordering: 10, ..RandomFaults::default() }, 4);
        let is_behind = |fate: &&Vec<Arrival>| fate[0].lateness == Lateness::BehindNext;
        assert!(is_about(behind.iter().filter(is_behind).count(), 10));
        let cut = fates(RandomFaults { truncation: 40, ..RandomFaults::default() }, 5);
        let is_cut =
            |fate: &&Vec<Arrival>| fate[0].bytes.len() < MESSAGE.len() && MESSAGE.starts_with(&fate[0].bytes);
        assert!(is_about(cut.iter().filter(is_cut).count(), 40));
        let delay = Duration::from_millis(80);
        let late = fates(RandomFaults { delay, ..RandomFaults::default() }, 6);
        let latenesses = late.iter().map(|fate| match fate[0].lateness {
            Lateness::By(lateness) => lateness,
            other => panic!("{other:?}"),
        });
        let (least, most) = (latenesses.clone().min().unwrap(), latenesses.max().unwrap());
        assert!(least < delay / 10 && most > delay * 9 / 10 && most <= delay, "{least:?} to {most:?}");
    }

    #[test]
    fn the_same_seed_is_the_same_network() {
        let delay = Duration::from_millis(10);
        let faults = RandomFaults { loss: 30, duplication: 30, reordering: 30, truncation: 30, delay };
        assert_eq!(fates(faults, 7), fates(faults, 7));
        assert_ne!(fates(faults, 7), fates(faults, 8));
        // Datagrams that go one way do not change the fate of those that go the other.
        let (mut one, mut other) = (faults.seeded(9), faults.seeded(9));
        for _ in 0..100 {
            _ = other(Direction::ToClient, MESSAGE);
            assert_eq!(one(Direction::ToTarget, MESSAGE), other(Direction::ToTarget, MESSAGE));
        }
    }
}
