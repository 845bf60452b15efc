//! The lines that one side of a conversation has still to send.

use std::collections::VecDeque;
use std::vec;

use mi_proto::Line;

/// Lines in the order in which they were said, cut into frames.
///
/// A line is *handed over* when its sender can rely on it: if it is not sent after all, its frames are
/// reported. A promised line is handed over from the beginning. Any other line is once its last frame is
/// among the next [`MAX_HANDED_OVER`].
#[derive(Debug, Default)]
pub(super) struct OutgoingLines {
    next: VecDeque<OutgoingFrame>,
    /// The lines behind them.
    rest: VecDeque<OutgoingLine>,
}

/// A frame of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutgoingFrame {
    pub(super) line: Line,
    /// The number of frames of the same line that follow.
    pub(super) left: usize,
    pub(super) is_promised: bool,
}

#[derive(Debug)]
struct OutgoingLine {
    frames: vec::IntoIter<Line>,
    is_promised: bool,
}

impl OutgoingLines {
    /// Adds a line, which has at least one frame. Returns the number of lines that are handed over by that
    /// and were not promised.
    pub(super) fn push(&mut self, frames: Vec<Line>, is_promised: bool) -> usize {
        self.rest.push_back(OutgoingLine { frames: frames.into_iter(), is_promised });
        self.move_up()
    }

    /// Takes the next frame.
    pub(super) fn pop(&mut self) -> Option<OutgoingFrame> {
        self.next.pop_front()
    }

    /// Fills the room of a frame that was taken. Returns the number of lines that are handed over by that and
    /// were not promised.
    pub(super) fn move_up(&mut self) -> usize {
        let mut handed_over = 0;
        while self.next.len() < MAX_HANDED_OVER
            && let Some(line) = self.rest.front_mut()
        {
            if let Some(frame) = line.frames.next() {
                let (left, is_promised) = (line.frames.len(), line.is_promised);
                self.next.push_back(OutgoingFrame { line: frame, left, is_promised });
            }
            if line.frames.len() == 0 {
                handed_over += usize::from(!line.is_promised);
                self.rest.pop_front();
            }
        }
        handed_over
    }

    /// Drops the lines that are not handed over, and returns their number.
    pub(super) fn take_back(&mut self) -> usize {
        let before = self.rest.len();
        self.rest.retain(|line| line.is_promised);
        before - self.rest.len()
    }

    /// Drops all lines, and returns the number of frames that were handed over.
    pub(super) fn clear(&mut self) -> usize {
        self.take_back();
        let promised: usize = self.rest.drain(..).map(|line| line.frames.len()).sum();
        self.next.drain(..).count() + promised
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty() && self.rest.is_empty()
    }
}

/// The number of frames that are handed over: 6 KiB.
pub(crate) const MAX_HANDED_OVER: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line::new(text).unwrap()).collect()
    }

    fn pop(lines: &mut OutgoingLines) -> Option<(String, usize, bool)> {
        lines.pop().map(|frame| (frame.line.to_string(), frame.left, frame.is_promised))
    }

    #[test]
    fn lines_leave_in_their_order() {
        let mut lines = OutgoingLines::default();
        assert_eq!(lines.push(frames(&["a", "b"]), false), 1);
        assert_eq!(lines.push(frames(&["c", "d"]), true), 0);
        for (text, left, is_promised) in [("a", 1, false), ("b", 0, false), ("c", 1, true), ("d", 0, true)] {
            assert_eq!(pop(&mut lines), Some((text.to_owned(), left, is_promised)));
        }
        assert!(lines.is_empty());
    }

    #[test]
    fn a_line_is_handed_over_with_its_last_frame() {
        let mut lines = OutgoingLines::default();
        assert_eq!(lines.push(frames(&["x"; MAX_HANDED_OVER + 2]), false), 0);
        assert_eq!(lines.push(frames(&["y"]), false), 0);
        for handed_over in [0, 1, 1] {
            lines.pop().unwrap();
            assert_eq!(lines.move_up(), handed_over);
        }
    }

    #[test]
    fn what_is_dropped_is_counted() {
        let mut lines = OutgoingLines::default();
        lines.push(frames(&["a"; MAX_HANDED_OVER + 1]), false);
        lines.push(frames(&["b"]), false);
        lines.push(frames(&["c", "d"]), true);
        lines.pop().unwrap();
        assert_eq!(lines.take_back(), 2);
        assert_eq!(lines.take_back(), 0);
        assert_eq!(lines.clear(), MAX_HANDED_OVER - 1 + 2);
        assert!(lines.is_empty());
    }
}
