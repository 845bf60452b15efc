//! The lines that one side of a conversation has still to send.

use std::collections::VecDeque;
use std::vec;

use mi_proto::Line;

/// Lines in the order in which they were said, cut into frames.
///
/// A line is *handed over* when its sender can rely on it: if it is not sent after all, its frames are reported.
/// A promised line is handed over from the beginning. Any other line is once its last frame is among the next
/// [`MAX_HANDED_OVER`].
#[derive(Debug, Default)]
pub(super) struct OutgoingLines {
    /// The next frames. With each frame of a promised line, the number of those that follow.
    next: VecDeque<(Line, Option<usize>)>,
    /// The lines behind them.
    rest: VecDeque<OutgoingLine>,
}

#[derive(Debug)]
struct OutgoingLine {
    frames: vec::IntoIter<Line>,
    is_promised: bool,
}

impl OutgoingLines {
    /// Adds a line, which has at least one frame. Returns the number of lines that are handed over by that and
    /// were not promised.
    pub(super) fn push(&mut self, frames: Vec<Line>, is_promised: bool) -> usize {
        self.rest.push_back(OutgoingLine { frames: frames.into_iter(), is_promised });
        self.move_up()
    }

    /// Takes the next frame. Of a promised line, it also returns the number of frames that follow it.
    pub(super) fn pop(&mut self) -> Option<(Line, Option<usize>)> {
        self.next.pop_front()
    }

    /// Fills the room of a frame that was taken. Returns the number of lines that are handed over by that and were
    /// not promised.
    pub(super) fn move_up(&mut self) -> usize {
        let mut handed_over = 0;
        while self.next.len() < MAX_HANDED_OVER
            && let Some(line) = self.rest.front_mut()
        {
            if let Some(frame) = line.frames.next() {
                self.next.push_back((frame, line.is_promised.then_some(line.frames.len())));
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

    fn pop(lines: &mut OutgoingLines) -> Option<(String, Option<usize>)> {
        lines.pop().map(|(line, left)| (line.to_string(), left))
    }

    #[test]
    fn lines_leave_in_their_order() {
        let mut lines = OutgoingLines::default();
        assert_eq!(lines.push(frames(&["a", "b"]), false), 1);
        assert_eq!(lines.push(frames(&["c", "d"]), true), 0);
        for (text, left) in [("a", None), ("b", None), ("c", Some(1)), ("d", Some(0))] {
            assert_eq!(pop(&mut lines), Some((text.to_owned(), left)));
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
