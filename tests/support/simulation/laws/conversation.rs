//! The laws of one side of a conversation: it ends in its time, what was said is accounted for, and what
//! comes is read as it has to be.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mi_agent_core::{ConversationOutput, Side};

use super::{Violation, ensure};

/// The checks of a side of ours.
#[derive(Debug)]
pub(in crate::simulation) struct ConversationLaws {
    side: Side,
    /// The time by which the greeting, or the decision about a caller, is over.
    phase_ends_by: Option<Instant>,
    /// The time by which the frame that is out is written or given up.
    write_ends_by: Option<Instant>,
    /// The time by which a conversation that has begun to end is over.
    ends_by: Option<Instant>,
    is_hurried: bool,
    is_over: bool,
    /// The number of bytes that were read as frames.
    read: usize,
    /// The place in the stream at which an incomplete frame begins, and the time at which the rest was waited
    /// for.
    begun: Option<(usize, Instant)>,
    /// Set once a frame was not complete in its time.
    was_late: bool,
    /// Set once the connection broke while the conversation read it.
    is_broken: bool,
    is_lost: bool,
    /// The frames of promised lines, and of waiting lines that were handed over.
    handed_over: usize,
    /// The frames of each line that waits.
    waiting: VecDeque<usize>,
    /// The frames of lines that were written.
    written: usize,
    /// The frames of promised lines that were not reported as written.
    unreported: usize,
}

impl ConversationLaws {
    pub(in crate::simulation) fn new(now: Instant, side: Side) -> Self {
        Self {
            side,
            phase_ends_by: Some(now + GREETING),
            write_ends_by: None,
            ends_by: None,
            is_hurried: false,
            is_over: false,
            read: 0,
            begun: None,
            was_late: false,
            is_broken: false,
            is_lost: false,
            handed_over: 0,
            waiting: VecDeque::new(),
            written: 0,
            unreported: 0,
        }
    }

    /// A line of so many frames was said.
    pub(in crate::simulation) fn said(&mut self, frames: usize, is_promised: bool) {
        if is_promised {
            self.handed_over += frames;
            self.unreported += frames;
        } else {
            self.waiting.push_back(frames);
        }
        // It takes its time, also if the conversation has begun to end.
        self.ends_by = self.ends_by.filter(|_| !self.is_over).map(|at| at + orderly_time(frames));
    }

    /// The caller is admitted, or refused with a line of one frame.
    pub(in crate::simulation) fn decided(&mut self, now: Instant, is_admitted: bool) {
        self.phase_ends_by = None;
        if !is_admitted {
            self.said(1, true);
            self.ends(now);
        }
    }

    /// The program, its agent or the peer has ended the conversation.
    pub(in crate::simulation) fn ends(&mut self, now: Instant) {
        self.phase_ends_by = None;
        self.write_ends_by = self.write_ends_by.map(|at| at.min(now + WRITE));
        let frames = self.handed_over + self.waiting.iter().sum::<usize>() - self.written;
        self.ends_by.get_or_insert(now + orderly_end(frames));
    }

    /// The agent ends in a hurry.
    pub(in crate::simulation) fn hurries(&mut self, now: Instant) {
        self.is_hurried = true;
        let most = now + HURRIED_END;
        self.ends_by = Some(self.ends_by.map_or(most, |at| at.min(most)));
    }

    /// A write has ended.
    pub(in crate::simulation) fn wrote(&mut self, is_line: bool) {
        self.write_ends_by = None;
        self.written += usize::from(is_line);
    }

    /// So many bytes were read as frames.
    pub(in crate::simulation) fn read(&mut self, bytes: usize) {
        self.read += bytes;
    }

    /// An error was read instead of frames.
    pub(in crate::simulation) fn broke(&mut self) {
        self.is_broken = true;
    }

    /// Nothing is left to do now. `waiting` has the bytes of a frame whose rest is waited for.
    pub(in crate::simulation) fn waits(&mut self, now: Instant, waiting: &[u8]) -> Result<(), Violation> {
        ensure!(may_begin(waiting), FramesEnd, "no frame begins with \"{}\"", waiting.escape_ascii());
        let waiting = waiting.len();
        ensure!(waiting <= MAX_BUFFERED, Bounds, "{waiting} bytes are buffered");
        self.was_late |= self.is_late(now);
        let place = self.read - waiting;
        self.begun = match self.begun {
            _ if waiting == 0 => None,
            Some((begun, at)) if begun == place => Some((begun, at)),
            _ => Some((place, now)),
        };
        ensure!(!self.is_late(now), FramesEnd, "{waiting} bytes of a frame still wait for the rest");
        Ok(())
    }

    /// The conversation asks for this.
    pub(in crate::simulation) fn did(
        &mut self,
        now: Instant,
        output: &ConversationOutput,
    ) -> Result<(), Violation> {
        match output {
            ConversationOutput::Write(_) => {
                let is_talking = self.phase_ends_by.is_none() && self.ends_by.is_none();
                self.write_ends_by = Some(now + if is_talking { PATIENCE } else { WRITE });
            }
            ConversationOutput::CloseWrite => self.write_ends_by = None,
            ConversationOutput::Greeted(_) => {
                let is_callee = self.side == Side::Callee;
                self.phase_ends_by = is_callee.then_some(now + DECISION);
            }
            ConversationOutput::Failed(_) | ConversationOutput::CallerLeft | ConversationOutput::Ending => {
                self.ends(now);
            }
            ConversationOutput::Sent { .. } => {
                ensure!(self.unreported > 0, LinesAreCounted, "a frame is reported that nobody promised");
                self.unreported -= 1;
            }
            ConversationOutput::HandedOver => {
                let Some(frames) = self.waiting.pop_front() else {
                    ensure!(false, LinesAreCounted, "a line is handed over that did not wait");
                    return Ok(());
                };
                self.handed_over += frames;
            }
            ConversationOutput::Lost => {
                let is_right = self.is_broken || self.was_late || self.is_late(now);
                ensure!(is_right && !self.is_lost, LossIsReported, "a connection that is there is lost");
                self.is_lost = true;
            }
            ConversationOutput::Ended { unsent, unsaid, .. } => {
                self.is_over = true;
                ensure!(self.is_lost || !self.is_broken, LossIsReported, "a broken connection has ended");
                return self.is_accounted_for(*unsent, *unsaid);
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks that it is not late.
    pub(in crate::simulation) fn is_in_time(&self, now: Instant) -> Result<(), Violation> {
        let due = [self.phase_ends_by, self.write_ends_by, self.ends_by].into_iter().flatten().min();
        let late = due.filter(|due| !self.is_over && *due < now);
        ensure!(late.is_none(), ConversationsEnd, "it should have ended {:?} ago", now - late.unwrap_or(now));
        Ok(())
    }

    /// Returns whether a frame has begun and its time is over.
    fn is_late(&self, now: Instant) -> bool {
        self.begun.is_some_and(|(_, begun)| now >= begun + FRAME)
    }

    /// A line that waits is unsaid as a whole, but its first frames may be among those that are handed over.
    fn is_accounted_for(&self, unsent: usize, unsaid: usize) -> Result<(), Violation> {
        let Self { handed_over, written, waiting, .. } = self;
        ensure!(unsaid == waiting.len(), LinesAreCounted, "{unsaid} of {} lines are unsaid", waiting.len());
        let most = handed_over + waiting.front().map_or(0, |frames| frames - 1);
        let found = written + unsent;
        // Frames that are dropped in a hurry are not reported.
        let is_right = found <= most && (found >= *handed_over || self.is_hurried);
        ensure!(
            is_right,
            LinesAreCounted,
            "of {handed_over} to {most} frames, {written} are written and {unsent} unsent"
        );
        Ok(())
    }
}

/// Returns whether a frame may begin with `bytes`.
fn may_begin(bytes: &[u8]) -> bool {
    bytes.iter().take(3).enumerate().all(|(at, byte)| match at {
        0 => matches!(byte, b'N' | b'L'),
        _ => byte.is_ascii_digit(),
    })
}

/// Our nickname, and the peer's.
const GREETING: Duration = Duration::from_secs(5 + 5);

/// The program's decision about a caller.
const DECISION: Duration = Duration::from_secs(30);

/// A write that the peer does not read, once the conversation ends.
const WRITE: Duration = Duration::from_secs(30);

/// The same before that.
const PATIENCE: Duration = Duration::from_secs(600);

/// The rest of a frame that has begun.
const FRAME: Duration = Duration::from_secs(10);

/// The longest frame. A part of one has fewer bytes.
const MAX_BUFFERED: usize = 102;

/// The time for a peer that does not read or answer.
const LINGER: Duration = Duration::from_secs(2);

/// A hurried end: 0.4 s for the peer's nickname, and 0.15 s each for our nickname, for what follows on the
/// peer's, for our FIN, for the peer's FIN and for what it sends meanwhile.
const HURRIED_END: Duration = Duration::from_millis(400 + 5 * 150);

/// The longest end that is not hurried. It begins with a write that the peer does not read. [`LINGER`] passes
/// five times: for the peer's nickname, for what follows on it, for our FIN, for the peer's FIN and for what
/// it sends meanwhile.
fn orderly_end(frames: usize) -> Duration {
    WRITE + 5 * LINGER + orderly_time(frames)
}

/// The time for so many frames: the pace, and the longest write here that is not held up.
fn orderly_time(frames: usize) -> Duration {
    Duration::from_millis(20 + 10) * u32::try_from(frames).expect("few frames")
}
