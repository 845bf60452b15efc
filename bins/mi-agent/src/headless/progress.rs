//! The lines of `send` that have been sent.

use std::collections::VecDeque;

/// Counts the lines that were handed over, frame by frame: a conversation reports unsent frames, and people
/// count lines.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    lines: usize,
    /// The numbers of frames of the last lines, in order.
    frames: VecDeque<usize>,
    /// The frames so far of the line that is being handed over.
    begun: Option<usize>,
    skipped: usize,
}

impl Progress {
    /// Starts a line.
    pub(crate) fn begin(&mut self) {
        self.begun = Some(0);
    }

    /// Counts one more frame of the line.
    pub(crate) fn handed_over(&mut self) {
        if let Some(frames) = &mut self.begun {
            *frames += 1;
        }
    }

    /// Ends the line: the whole of it was handed over.
    pub(crate) fn end(&mut self) {
        if let Some(frames) = self.begun.take() {
            self.lines += 1;
            self.frames.push_back(frames);
            if self.frames.len() > MAX_FRAMES {
                self.frames.pop_front();
            }
        }
    }

    /// Counts a line that cannot be sent. Returns its number, counted from 1.
    pub(crate) fn skip(&mut self) -> usize {
        self.skipped += 1;
        self.lines + self.skipped
    }

    /// Returns the number of lines that were skipped.
    pub(crate) fn skipped(&self) -> usize {
        self.skipped
    }

    /// Returns whether nothing was sent, not even a part of a line, if the last `unsent` frames were not
    /// sent.
    pub(crate) fn is_nothing_sent(&self, unsent: usize) -> bool {
        let frames = self.frames.iter().sum::<usize>() + self.begun.unwrap_or(0);
        self.lines == self.frames.len() && frames <= unsent
    }

    /// Returns how many lines were sent whole and how many were not, if the last `unsent` frames were not
    /// sent.
    pub(crate) fn sent_and_not(&self, unsent: usize) -> (usize, usize) {
        let begun = self.begun.map_or(0, |_| 1);
        let mut left = unsent.saturating_sub(self.begun.unwrap_or(0));
        let mut lines = 0;
        for frames in self.frames.iter().rev() {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(*frames);
            lines += 1;
        }
        (self.lines - lines, lines + begun + self.skipped)
    }
}

/// The most lines with remembered frames: more than the frames that a conversation holds, and each line has
/// at least one.
const MAX_FRAMES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_if_every_frame_is_left() {
        let mut progress = Progress::default();
        progress.begin();
        assert!(progress.is_nothing_sent(0));
        for handed_over in 1..3 {
            progress.handed_over();
            assert!(progress.is_nothing_sent(handed_over) && !progress.is_nothing_sent(handed_over - 1));
        }
        progress.end();
        assert!(progress.is_nothing_sent(2) && !progress.is_nothing_sent(1));
    }

    #[test]
    fn frames_that_are_left_are_counted_as_lines() {
        let mut progress = Progress::default();
        for frames in [1, 3, 1] {
            progress.begin();
            (0..frames).for_each(|_| progress.handed_over());
            progress.end();
        }
        for (unsent, counted) in
            [(0, (3, 0)), (1, (2, 1)), (2, (1, 2)), (4, (1, 2)), (5, (0, 3)), (9, (0, 3))]
        {
            assert_eq!(progress.sent_and_not(unsent), counted, "{unsent}");
        }
        // Two frames of another one, of which nobody heard the third.
        progress.begin();
        progress.handed_over();
        progress.handed_over();
        for (unsent, counted) in [(0, (3, 1)), (2, (3, 1)), (3, (2, 2)), (7, (0, 4))] {
            assert_eq!(progress.sent_and_not(unsent), counted, "{unsent}");
        }
        progress.end();
        assert_eq!(progress.skip(), 5);
        assert_eq!(progress.sent_and_not(0), (4, 1));
    }

    #[test]
    fn a_long_input_takes_no_memory() {
        let mut progress = Progress::default();
        for _ in 0..100_000 {
            progress.begin();
            progress.handed_over();
            progress.end();
        }
        assert!(progress.frames.len() <= MAX_FRAMES);
        assert_eq!(progress.sent_and_not(64), (99_936, 64));
    }
}
