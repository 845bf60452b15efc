//! Answers that wait for their lines in the message log.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plumi_proto::UdpAddress;

/// Messages that leave once the log is written up to a position, or after [`LOG_PATIENCE`].
///
/// An `RR0` or `RD0` that an agent has seen is in the log, even if the node is killed a moment later. A disk
/// that hangs costs this promise and not the service: from an answer that is overdue until its line is
/// written, answers leave at once.
///
/// Anything else waits only behind an answer to the same address. An agent that waits for its `RR0` is sent
/// nothing before it, because some agents end then (protocol.md §7).
#[derive(Debug)]
pub(crate) struct HeldAnswers<M> {
    queue: VecDeque<Held<M>>,
    /// The line that an answer has waited for in vain.
    overdue: Option<u64>,
    early: u64,
}

#[derive(Debug)]
struct Held<M> {
    /// The position in the log after the line of this message.
    position: u64,
    needs_line: bool,
    until: Instant,
    to: UdpAddress,
    message: M,
}

impl<M> HeldAnswers<M> {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::new(), overdue: None, early: 0 }
    }

    /// Holds a message to `to`, whose line ends at `position` of a log that is `written` so far. Returns the
    /// message if it is to leave at once.
    pub(crate) fn hold(
        &mut self,
        now: Instant,
        [position, written]: [u64; 2],
        to: UdpAddress,
        needs_line: bool,
        message: M,
    ) -> Option<M> {
        let waits = if needs_line {
            // One behind another keeps its place, even if the log has got as far meanwhile.
            written < position || !self.queue.is_empty()
        } else {
            self.queue.iter().any(|held| held.to == to)
        };
        if !waits {
            return Some(message);
        }
        if self.is_overdue(written) || self.queue.len() >= MAX_HELD {
            self.early += u64::from(needs_line);
            return Some(message);
        }
        self.queue.push_back(Held { position, needs_line, until: now + LOG_PATIENCE, to, message });
        None
    }

    /// Returns the next message that leaves now, when the log is `written` so far, with its receiver.
    pub(crate) fn release(&mut self, now: Instant, written: u64) -> Option<(UdpAddress, M)> {
        let is_overdue = self.is_overdue(written);
        let first = self.queue.front()?;
        if first.position > written {
            if !is_overdue && now < first.until {
                return None;
            }
            self.overdue.get_or_insert(first.position);
            self.early += u64::from(first.needs_line);
        }
        self.queue.pop_front().map(|held| (held.to, held.message))
    }

    /// Returns the position that the log has to reach for the next message to leave.
    pub(crate) fn awaited(&self) -> Option<u64> {
        self.queue.front().map(|held| held.position)
    }

    /// Returns the time at which the next message leaves, whatever is written by then.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.queue.front().map(|held| held.until)
    }

    /// Returns the number of answers that left before their lines were written.
    pub(crate) fn early(&self) -> u64 {
        self.early
    }

    fn is_overdue(&mut self, written: u64) -> bool {
        self.overdue = self.overdue.filter(|&position| written < position);
        self.overdue.is_some()
    }
}

/// The time that an answer waits for its line: many times what a disk takes that works, and less than the
/// time after which agents ask again.
pub(crate) const LOG_PATIENCE: Duration = Duration::from_millis(250);

/// The limit of messages that are held: those of 16 thousand registrations a second, on a disk that hangs.
const MAX_HELD: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;

    #[test]
    fn an_answer_leaves_once_its_line_is_written() {
        let now = any_time();
        let mut held = HeldAnswers::new();
        assert_eq!(held.hold(now, [10, 10], laura(), true, "written"), Some("written"));
        assert_eq!(held.hold(now, [20, 10], laura(), true, "first"), None);
        assert_eq!(held.hold(now, [30, 10], pere(), true, "second"), None);
        assert_eq!((held.awaited(), held.poll_timeout()), (Some(20), Some(now + LOG_PATIENCE)));
        assert_eq!(held.release(now, 19), None);
        assert_eq!(held.release(now, 20), Some((laura(), "first")));
        assert_eq!(held.release(now, 20), None);
        assert_eq!(held.hold(now, [40, 40], pere(), true, "third"), None, "not before the second");
        assert_eq!(held.release(now, 40), Some((pere(), "second")));
        assert_eq!(held.release(now, 40), Some((pere(), "third")));
        assert_eq!((held.release(now, 40), held.awaited(), held.poll_timeout()), (None, None, None));
        assert_eq!(held.early(), 0);
    }

    #[test]
    fn nothing_overtakes_an_answer_to_the_same_address() {
        let now = any_time();
        let mut held = HeldAnswers::new();
        assert_eq!(held.hold(now, [10, 0], laura(), false, "PL"), Some("PL"), "no line is waited for");
        assert_eq!(held.hold(now, [20, 0], laura(), true, "RR0"), None);
        assert_eq!(held.hold(now, [30, 0], pere(), false, "PL"), Some("PL"));
        assert_eq!(held.hold(now, [30, 0], laura(), false, "PL"), None);
        assert_eq!(held.release(now + LOG_PATIENCE, 0), Some((laura(), "RR0")));
        assert_eq!(held.release(now + LOG_PATIENCE, 0), Some((laura(), "PL")));
        assert_eq!(held.early(), 1, "a request has no promise to break");
    }

    #[test]
    fn a_disk_that_hangs_costs_one_wait() {
        let now = any_time();
        let mut held = HeldAnswers::new();
        let millis = |millis| now + Duration::from_millis(millis);
        assert_eq!(held.hold(now, [10, 0], laura(), true, "first"), None);
        assert_eq!(held.hold(millis(100), [20, 0], pere(), true, "second"), None);
        assert_eq!(held.release(millis(249), 0), None);
        assert_eq!(held.release(millis(250), 0), Some((laura(), "first")));
        assert_eq!(held.release(millis(250), 0), Some((pere(), "second")), "it would wait in vain");
        assert_eq!(held.hold(millis(300), [30, 9], laura(), true, "third"), Some("third"));
        assert_eq!(held.early(), 3);
        // The line that was overdue is written, and there is hope for those after it.
        assert_eq!(held.hold(millis(400), [40, 10], laura(), true, "fourth"), None);
        assert_eq!(held.release(millis(649), 39), None);
        assert_eq!(held.release(millis(649), 40), Some((laura(), "fourth")));
        assert_eq!(held.early(), 3);
    }

    #[test]
    fn no_more_are_held_than_there_is_room_for() {
        let now = any_time();
        let mut held = HeldAnswers::new();
        for number in 0..MAX_HELD {
            assert_eq!(held.hold(now, [10, 0], laura(), true, number), None);
        }
        assert_eq!(held.hold(now, [10, 0], laura(), true, MAX_HELD), Some(MAX_HELD));
        assert_eq!(held.early(), 1);
        for number in 0..MAX_HELD {
            assert_eq!(held.release(now, 10), Some((laura(), number)));
        }
        assert_eq!(held.release(now, 10), None);
    }

    fn laura() -> UdpAddress {
        "127.0.0.9:4500".parse().unwrap()
    }

    fn pere() -> UdpAddress {
        "127.0.0.10:4500".parse().unwrap()
    }
}
