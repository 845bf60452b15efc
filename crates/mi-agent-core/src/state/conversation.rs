//! A conversation, from its connection to its end, without a socket and without a clock.
//!
//! Deployed programs read one TCP segment as one frame. They end when a connection closes before they saw a
//! nickname or a line, and when they receive an RST (protocol.md §7). Therefore each frame is one write,
//! frames keep their distance, our nickname and a line precede any close, and what a peer sends is read
//! before the connection is closed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mi_proto::{Frame, Line, Nickname, Received, ReceivedKind};

use super::admission::{KEY, Refusal};
use super::conversation_events::{Broken, ConversationOutput, GreetingFailure, Side, WantedInput};
use super::conversation_phases::{Input, Phase, Writing, Written};
use super::conversation_times::{
    DECISION_TIMEOUT, FIN_DISTANCE, GREETING_TIMEOUT, HURRIED_GRACE, HURRIED_LINGER, LINGER,
};
use super::deliveries::Deliveries;
use super::outgoing_lines::{OutgoingFrame, OutgoingLines};
use crate::safe_text::PeerText;

/// The decisions of one side of a conversation.
///
/// Call [`ConversationState::poll_output`] after every other method, until it returns `None`, and
/// [`ConversationState::handle_timeout`] at the time of [`ConversationState::poll_timeout`].
#[derive(Debug)]
pub struct ConversationState {
    pub(super) side: Side,
    pub(super) pace: Duration,
    pub(super) phase: Phase,
    /// The limit of the phase.
    pub(super) phase_ends: Option<Instant>,
    /// The limit of the greeting, if it began before this connection could be used.
    pub(super) greeting_ends: Option<Instant>,
    pub(super) is_encrypted: bool,
    /// Our nickname, until it is written.
    nickname: Option<Nickname>,
    /// The result of the greeting, until it is returned: after our nickname is written.
    pub(super) greeted: Option<Result<PeerText, GreetingFailure>>,
    pub(super) lines: OutgoingLines,
    pub(super) writing: Option<Writing>,
    pub(super) write_timeout: Duration,
    /// The time from which on the next frame keeps its distance.
    pub(super) last_frame: Option<Instant>,
    /// Set once the peer's nickname has come.
    pub(super) is_greeted: bool,
    /// Set if the greeting failed. What the peer says after that is dropped.
    has_failed: bool,
    /// Set once a line has left.
    pub(super) has_said: bool,
    /// The time before which the FIN may not leave.
    pub(super) fin_not_before: Option<Instant>,
    input: Input,
    pub(super) deliveries: Deliveries,
    pub(super) is_hurried: bool,
    /// The peer has ended its direction in order.
    has_peer_ended: bool,
    /// Our FIN has left.
    pub(super) has_left: bool,
    /// The peer ended its direction before it had everything.
    pub(super) is_unread: bool,
    unsent: usize,
    unsaid: usize,
    outputs: VecDeque<ConversationOutput>,
}

impl ConversationState {
    /// Creates this side on a connection without traffic so far. `pace` is the shortest time between frames.
    pub fn new(now: Instant, side: Side, nickname: Nickname, pace: Duration) -> Self {
        Self {
            side,
            pace,
            phase: Phase::Greeting,
            phase_ends: (side == Side::Callee).then(|| now + GREETING_TIMEOUT),
            greeting_ends: None,
            is_encrypted: false,
            nickname: Some(nickname),
            greeted: None,
            lines: OutgoingLines::default(),
            writing: None,
            write_timeout: GREETING_TIMEOUT,
            last_frame: None,
            is_greeted: false,
            has_failed: false,
            has_said: false,
            fin_not_before: None,
            input: Input::Frames,
            deliveries: Deliveries::default(),
            is_hurried: false,
            has_peer_ended: false,
            has_left: false,
            is_unread: false,
            unsent: 0,
            unsaid: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Handles an item of the peer, which was read at that time.
    pub fn handle_received(&mut self, now: Instant, received: Received, read_at: Instant) {
        let is_nickname = received.kind() == ReceivedKind::Nickname;
        if is_nickname && !self.is_greeted {
            self.is_greeted = true;
            // The peer has still to read ours before the empty line.
            self.last_frame = Some(now);
            if self.phase == Phase::Ending {
                let limit = if self.is_hurried { HURRIED_LINGER } else { LINGER };
                self.phase_ends = Some(now + limit);
            }
        }
        self.deliveries.intake.take(now, received.raw().len());
        match (self.phase, received.kind()) {
            _ if self.has_failed => {}
            (Phase::Greeting, ReceivedKind::Nickname) => {
                let text = received.into_text();
                let nickname = PeerText::new(if text.is_empty() { "?".to_owned() } else { text });
                self.greeting_ends(now, Ok(nickname));
            }
            (Phase::Greeting, _) => self.greeting_ends(now, Err(GreetingFailure::NoNickname)),
            // Only the first nickname counts.
            (_, ReceivedKind::Nickname) => {}
            _ if self.input == Input::Frames => {
                let line = PeerText::new(received.into_text());
                self.deliveries.hear(now, line, read_at, self.side == Side::Caller);
            }
            _ => {}
        }
    }

    /// Handles the peer's FIN.
    pub fn handle_peer_end(&mut self, now: Instant) {
        (self.input, self.has_peer_ended) = (Input::Ended, true);
        self.deliveries.handle_peer_end();
        self.input_ends(now, GreetingFailure::Ended);
    }

    /// Handles a failure of the peer's direction.
    pub fn handle_broken(&mut self, now: Instant, broken: Broken) {
        let has_begun = !self.has_failed && !matches!(self.phase, Phase::Greeting | Phase::Deciding);
        let was_heard = has_begun && self.input == Input::Frames;
        self.input = if broken == Broken::Frames { Input::Dropped } else { Input::Ended };
        if was_heard {
            self.deliveries.handle_loss();
        }
        self.input_ends(now, GreetingFailure::Broken);
    }

    /// Records that the latest write has ended, and whether everything was written.
    pub fn handle_written(&mut self, now: Instant, is_written: bool) {
        let Some(Writing { what, frame, .. }) = self.writing.take() else { return };
        match what {
            Written::Fin => {
                self.has_left = is_written;
                self.closed(now);
            }
            _ if !is_written => self.write_fails(now, what, GreetingFailure::Broken),
            Written::Nickname => {
                self.nickname = None;
                self.last_frame = Some(now);
                match self.greeted.take() {
                    Some(greeted) => self.greeted(now, greeted),
                    None if self.phase == Phase::Greeting => {
                        self.phase_ends = self.greeting_ends.or(Some(now + GREETING_TIMEOUT));
                    }
                    // The greeting of an encrypted connection has failed meanwhile.
                    None => {}
                }
            }
            Written::Line => {
                self.last_frame = Some(now);
                self.is_unread |= self.has_peer_ended;
                self.outputs.extend(frame.and_then(|frame| match frame {
                    (left, true) => Some(ConversationOutput::Sent { left }),
                    (0, false) => Some(ConversationOutput::LineSent),
                    (_, false) => None,
                }));
            }
            Written::Farewell => self.fin_not_before = Some(now + FIN_DISTANCE),
        }
    }

    /// Adds a line, cut into its frames, of which there is at least one.
    ///
    /// The sender of a promised line has waited until there was room, and counts it as handed over.
    pub fn handle_line(&mut self, frames: Vec<Line>, is_promised: bool) {
        match (self.phase, is_promised) {
            (Phase::Greeting | Phase::Deciding | Phase::Talking, _) => {
                let handed_over = self.lines.push(frames, is_promised);
                self.hand_over(handed_over);
            }
            (Phase::Ending, true) if !self.is_hurried => _ = self.lines.push(frames, true),
            (_, true) if self.is_hurried => {}
            (_, true) => self.unsent += frames.len(),
            (_, false) => self.unsaid += 1,
        }
    }

    /// Ends the conversation after everything that was said so far.
    pub fn handle_hang_up(&mut self, now: Instant) {
        if self.phase == Phase::Talking {
            self.begin(now, Phase::Ending);
        }
    }

    /// Gives the greeting up.
    pub fn handle_given_up(&mut self, now: Instant) {
        if self.phase == Phase::Greeting && self.greeted.is_none() {
            self.greeting_ends(now, Err(GreetingFailure::GivenUp));
        }
    }

    /// Admits the caller, or refuses.
    ///
    /// A refused caller hears the line of the reason.
    pub fn handle_admitted(&mut self, now: Instant, admitted: Result<(), Refusal>) {
        match (self.phase, admitted) {
            (Phase::Deciding, Ok(())) => self.begin(now, Phase::Talking),
            (Phase::Deciding, Err(refusal)) => {
                self.drop_input();
                let line =
                    Line::new(&refusal.line()).unwrap_or_else(|_| Line::new(KEY).expect("it fits a frame"));
                self.lines.push(vec![line], true);
                self.begin(now, Phase::Ending);
            }
            _ => {}
        }
    }

    /// Ends the conversation because the agent ends. What was handed over is still sent, except in a hurry.
    pub fn handle_shutdown(&mut self, now: Instant, is_hurried: bool) {
        if is_hurried && !self.is_hurried {
            self.is_hurried = true;
            self.unsaid += self.lines.take_back();
            self.lines.clear();
            let most = Some(now + HURRIED_LINGER);
            self.write_timeout = HURRIED_LINGER;
            if self.phase == Phase::Greeting
                && let Some(writing) = &mut self.writing
            {
                writing.until = writing.until.min(most);
            }
            self.phase_ends = match self.phase {
                Phase::Ending if !self.is_greeted => Some(now + HURRIED_GRACE),
                Phase::Ending => most,
                Phase::Closing | Phase::Lingering | Phase::Draining => self.phase_ends.min(most),
                _ => self.phase_ends,
            };
        }
        match self.phase {
            Phase::Greeting => self.handle_given_up(now),
            Phase::Deciding => {
                self.drop_input();
                self.end(now);
            }
            Phase::Talking | Phase::Ending => self.end(now),
            _ => {}
        }
    }

    /// Records that the program has taken the latest [`ConversationOutput::Deliver`],
    /// [`ConversationOutput::Refused`] or [`ConversationOutput::Lost`].
    pub fn handle_taken(&mut self) {
        self.deliveries.handle_taken();
    }

    /// Handles the passing of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(Writing { what, until: Some(until), .. }) = self.writing
            && until <= now
        {
            self.writing = None;
            self.write_fails(now, what, GreetingFailure::TimedOut);
        }
        self.deliveries.handle_timeout(now);
        if self.phase_ends.is_none_or(|ends| ends > now) {
            return;
        }
        match self.phase {
            Phase::Greeting => self.greeting_ends(now, Err(GreetingFailure::TimedOut)),
            Phase::Deciding => {
                self.phase_ends = None;
                self.outputs.push_back(ConversationOutput::Undecided);
            }
            // A peer that takes nothing, or does not give its nickname, is no longer waited for.
            Phase::Ending => {
                self.writing = None;
                self.begin(now, Phase::Closing);
            }
            Phase::Closing => {
                self.writing = None;
                self.closed(now);
            }
            Phase::Lingering if self.input == Input::Frames => {
                self.input = Input::Dropped;
                self.begin(now, Phase::Draining);
            }
            Phase::Lingering | Phase::Draining => self.begin(now, Phase::Over),
            Phase::Talking | Phase::Over => {}
        }
    }

    /// Returns what has to be read now.
    ///
    /// A caller that waits for a decision is read until its first line, so that its end is noticed before
    /// that. The line waits, and TCP makes the caller wait with the rest.
    pub fn wants_input(&self) -> WantedInput {
        match (self.input, self.phase) {
            (Input::Ended, _) | (_, Phase::Over) => WantedInput::Nothing,
            (_, Phase::Greeting) if self.has_to_greet() => WantedInput::Nothing,
            (Input::Dropped, _) => WantedInput::Bytes,
            (Input::Frames, _) if !self.deliveries.want_more() => WantedInput::Nothing,
            (Input::Frames, _) => WantedInput::Frames,
        }
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self, now: Instant) -> Option<ConversationOutput> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let delivery = if self.phase == Phase::Deciding { None } else { self.deliveries.next() };
        delivery.or_else(|| self.next_write(now))
    }

    /// Returns the next write, if one is due and no other is out.
    fn next_write(&mut self, now: Instant) -> Option<ConversationOutput> {
        if self.writing.is_some() {
            return None;
        }
        if self.phase == Phase::Greeting && self.has_to_greet() {
            let frame = Frame::Nickname(self.nickname.clone()?);
            return Some(self.write(now, Written::Nickname, frame, None));
        }
        if matches!(self.phase, Phase::Talking | Phase::Ending)
            && self.is_due(now, self.pace)
            && let Some(OutgoingFrame { line, left, is_promised }) = self.lines.pop()
        {
            let handed_over = self.lines.move_up();
            self.hand_over(handed_over);
            return Some(self.write(now, Written::Line, Frame::Line(line), Some((left, is_promised))));
        }
        if self.phase == Phase::Ending && self.lines.is_empty() {
            // Some deployed programs do not bear an end before any line (protocol.md §7, row 21). Before the
            // peer has given its nickname, it reads nothing, and would take our nickname and the line for one
            // frame.
            if !self.has_said && self.input != Input::Ended {
                if !self.is_greeted {
                    return None;
                }
                let line = Line::new("").expect("an empty line fits a frame");
                let is_due = self.is_due(now, self.farewell_distance());
                return is_due.then(|| self.write(now, Written::Farewell, Frame::Line(line), None));
            }
            if self.fin_not_before.is_none_or(|at| at <= now) {
                self.begin(now, Phase::Closing);
            }
        }
        if self.phase == Phase::Closing {
            self.writing = Some(Writing { what: Written::Fin, frame: None, until: None });
            return Some(ConversationOutput::CloseWrite);
        }
        None
    }

    fn write(
        &mut self,
        now: Instant,
        what: Written,
        frame: Frame,
        of_line: Option<(usize, bool)>,
    ) -> ConversationOutput {
        let until = Some(now + self.write_timeout);
        let until = if what == Written::Nickname { until.min(self.greeting_ends.or(until)) } else { until };
        self.writing = Some(Writing { what, frame: of_line, until });
        self.has_said |= what != Written::Nickname;
        ConversationOutput::Write(frame)
    }

    /// Returns whether our nickname has to be written before anything else happens.
    fn has_to_greet(&self) -> bool {
        self.nickname.is_some() && (self.side == Side::Caller || self.greeted.is_some())
    }

    /// Records the result of the greeting. It counts once our nickname is written.
    fn greeting_ends(&mut self, now: Instant, result: Result<PeerText, GreetingFailure>) {
        self.phase_ends = None;
        if self.is_encrypted && result.is_err() {
            // A handshake may be under way, in which no frame is sent.
            self.nickname = None;
        }
        match self.nickname {
            Some(_) => self.greeted = Some(result),
            None => self.greeted(now, result),
        }
    }

    fn greeted(&mut self, now: Instant, result: Result<PeerText, GreetingFailure>) {
        match result {
            Ok(nickname) => {
                self.outputs.push_back(ConversationOutput::Greeted(nickname));
                let is_caller = self.side == Side::Caller;
                self.begin(now, if is_caller { Phase::Talking } else { Phase::Deciding });
            }
            Err(failure) => self.fails(now, failure, Phase::Ending),
        }
    }

    /// Begins to end a connection that never becomes a conversation.
    fn fails(&mut self, now: Instant, failure: GreetingFailure, next: Phase) {
        self.has_failed = true;
        // A peer that does not speak PMI bears any end.
        self.has_said |= matches!(failure, GreetingFailure::Broken | GreetingFailure::NoNickname);
        self.outputs.push_back(ConversationOutput::Failed(failure));
        self.begin(now, next);
    }

    /// Handles a write that failed, or took too long.
    fn write_fails(&mut self, now: Instant, what: Written, failure: GreetingFailure) {
        if self.phase == Phase::Greeting {
            return self.fails(now, failure, Phase::Closing);
        }
        self.unsaid += self.lines.take_back();
        self.unsent += usize::from(what == Written::Line) + self.lines.clear();
        self.begin(now, Phase::Closing);
    }

    /// The peer's direction has ended, or its frames have.
    fn input_ends(&mut self, now: Instant, failure: GreetingFailure) {
        match self.phase {
            Phase::Greeting => self.greeting_ends(now, Err(failure)),
            Phase::Deciding => {
                self.outputs.push_back(ConversationOutput::CallerLeft);
                self.end(now);
            }
            Phase::Talking | Phase::Ending => self.end(now),
            Phase::Lingering | Phase::Draining if self.input == Input::Ended => self.begin(now, Phase::Over),
            Phase::Lingering | Phase::Draining | Phase::Closing | Phase::Over => {}
        }
    }

    /// Drops what a caller that is not admitted has said and will say.
    fn drop_input(&mut self) {
        self.input = Input::Dropped;
        self.deliveries = Deliveries::default();
    }

    /// Ends the conversation after what was handed over.
    fn end(&mut self, now: Instant) {
        self.unsaid += self.lines.take_back();
        if self.phase != Phase::Ending {
            self.begin(now, Phase::Ending);
        }
    }

    /// The FIN has left, or cannot.
    fn closed(&mut self, now: Instant) {
        let is_over = self.input == Input::Ended;
        if self.input == Input::Frames && !self.has_failed && (self.unsent, self.unsaid) == (0, 0) {
            self.outputs.push_back(ConversationOutput::Left);
        }
        self.begin(now, if is_over { Phase::Over } else { Phase::Lingering });
    }

    fn begin(&mut self, now: Instant, phase: Phase) {
        if self.phase == Phase::Talking {
            self.outputs.push_back(ConversationOutput::Ending);
            self.deliveries.handle_ending();
        }
        self.phase = phase;
        let linger = if self.is_hurried { HURRIED_LINGER } else { LINGER };
        self.phase_ends = match phase {
            Phase::Deciding => Some(now + DECISION_TIMEOUT),
            Phase::Ending if self.is_hurried && self.is_greeted => Some(now + linger),
            Phase::Ending if self.is_hurried => Some(now + HURRIED_GRACE),
            Phase::Ending => (!self.is_greeted).then_some(now + LINGER),
            Phase::Closing | Phase::Lingering | Phase::Draining => Some(now + linger),
            Phase::Greeting | Phase::Talking | Phase::Over => None,
        };
        if self.has_failed && phase != Phase::Ending && self.input == Input::Frames {
            self.input = Input::Dropped;
        }
        self.limit_writes(now);
        if phase == Phase::Talking {
            self.last_frame = Some(now);
        }
        if phase == Phase::Over {
            let (unsent, unsaid) = (self.unsent, self.unsaid);
            let is_whole = (unsent, unsaid) == (0, 0) && !self.is_unread;
            let is_answered = self.has_peer_ended && self.has_left && is_whole;
            self.outputs.extend(self.deliveries.drain());
            self.outputs.push_back(ConversationOutput::Ended { unsent, unsaid, is_answered });
        }
    }

    fn hand_over(&mut self, lines: usize) {
        self.outputs.extend((0..lines).map(|_| ConversationOutput::HandedOver));
    }
}
