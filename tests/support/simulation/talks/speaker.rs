//! One end of a connection: our state machine, an emulator, or what only sends bytes.

use std::time::{Duration, Instant};

use fastrand::Rng;
use mi_agent_core::{ConversationOutput, Refusal, Side as OurSide, WantedInput};
use mi_proto::{Frame, Line};

use super::TICK;
use crate::conversation::{Connection, Stream};
use crate::emulators::{Program, Side, Talk, TalkEffect};
use crate::simulation::laws::{ConversationLaws, Violation, ensure};

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Speaker {
    pub(super) end: End,
    /// The pieces of what it has said.
    pub(super) said: Vec<Vec<u8>>,
    /// The lines that an emulator has heard.
    heard: Vec<Vec<u8>>,
    /// The time at which it does something again: an emulator reads, our program takes a line or confirms a
    /// write.
    acts_at: Instant,
}

#[derive(Debug)]
pub(super) enum End {
    Ours(Box<Ours>),
    Emulated {
        talk: Talk,
        is_over: bool,
        /// Something other than our program may end it.
        may_die: bool,
    },
    /// It says nothing, and drops what it is sent.
    Silent {
        /// The bytes that it still sends, one at a time.
        dribble: &'static [u8],
    },
}

/// The state machine that ships, and the program that uses it.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) connection: Connection,
    pub(super) laws: ConversationLaws,
    side: OurSide,
    /// The decision about a caller.
    pub(super) decision: Decision,
    /// The time of a decision that was not made at once.
    pub(super) decides_at: Option<Instant>,
    /// Set if something goes wrong that may end the conversation before its time.
    pub(super) is_troubled: bool,
    /// Nothing is written before that.
    pub(super) writes_again: Option<Instant>,
    /// The program takes nothing before that.
    pub(super) takes_again: Option<Instant>,
    pub(super) fails_writes: bool,
    /// The frame that is out, or that was given up while it was out.
    writes: Option<Frame>,
    closes: bool,
    is_taking: bool,
    /// Set until the nicknames are exchanged, or are not waited for any more.
    pub(super) is_greeting: bool,
    /// Set while a caller waits for the decision.
    pub(super) is_asked: bool,
    /// Set while the program has a conversation.
    pub(super) is_talking: bool,
    /// Set once it had one.
    pub(super) has_talked: bool,
    has_given_up: bool,
    /// Set once its agent ends, and whether it does in a hurry.
    shutdown: Option<bool>,
    pub(super) is_over: bool,
    pub(super) heard: Vec<Vec<u8>>,
    pub(super) refusals: u32,
}

/// The program's decision about a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Admits,
    Refuses,
    /// It has not decided yet. If it never does, the caller is refused.
    Waits,
}

impl Speaker {
    pub(super) fn new(now: Instant, end: End) -> Self {
        Self { end, said: Vec::new(), heard: Vec::new(), acts_at: now }
    }

    pub(super) fn acts(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        (incoming, outgoing): (&mut Stream, &mut Stream),
        reads_whole: bool,
    ) -> Result<(), Violation> {
        let Self { end, said, heard, acts_at } = self;
        let is_due = *acts_at <= now;
        match end {
            End::Silent { dribble } => {
                _ = incoming.read(usize::MAX);
                if is_due && let Some((byte, rest)) = dribble.split_first() {
                    outgoing.write(&[*byte]);
                    *dribble = rest;
                    *acts_at = now + DRIBBLE;
                }
            }
            End::Emulated { talk, is_over, may_die } => {
                // It takes the bytes of one read for one frame.
                if is_due && incoming.is_readable() {
                    *acts_at = now + ROUND;
                    if !incoming.is_empty() {
                        talk.segment(&incoming.read(usize::MAX));
                    } else if incoming.take_reset() {
                        talk.reset();
                    } else if incoming.take_fin() {
                        talk.closed();
                    }
                }
                while let Some(effect) = talk.poll_output() {
                    match effect {
                        TalkEffect::Write(bytes) => {
                            outgoing.write(&bytes);
                            said.extend(bytes.strip_prefix(b"L").map(|line| line[2..].to_vec()));
                        }
                        TalkEffect::Heard(line) => heard.push(line),
                        TalkEffect::Begun(_) => {}
                        TalkEffect::Closed => {
                            outgoing.close();
                            *is_over = true;
                        }
                        TalkEffect::Died(death) => {
                            ensure!(*may_die, NoDeathByUs, "in a conversation: {death}");
                            outgoing.close();
                        }
                    }
                }
            }
            End::Ours(ours) => {
                if is_due {
                    ours.confirms(now, outgoing);
                }
                ours.acts(now, rng, incoming, reads_whole)?;
                if is_due {
                    *acts_at = now + Duration::from_millis(rng.u64(0..6));
                }
            }
        }
        Ok(())
    }

    /// Returns the time at which something happens here, if it does without anybody else.
    pub(super) fn next(&self, now: Instant, incoming: &Stream) -> Option<Instant> {
        let soon = now + TICK;
        match &self.end {
            End::Silent { dribble } => (!dribble.is_empty()).then_some(self.acts_at.max(soon)),
            End::Emulated { .. } => incoming.is_readable().then_some(self.acts_at.max(soon)),
            End::Ours(ours) => ours.next(soon, self.acts_at, incoming),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match &self.end {
            End::Ours(ours) => ours.is_over,
            End::Emulated { is_over, .. } => *is_over,
            End::Silent { .. } => true,
        }
    }

    pub(super) fn heard(&self) -> &[Vec<u8>] {
        match &self.end {
            End::Ours(ours) => &ours.heard,
            End::Emulated { .. } | End::Silent { .. } => &self.heard,
        }
    }
}

impl End {
    pub(super) fn ours(now: Instant, side: Side, pace: Duration) -> Self {
        let side = if side == Side::Caller { OurSide::Caller } else { OurSide::Callee };
        Self::Ours(Box::new(Ours {
            connection: Connection::new(now, side, "ours", pace),
            laws: ConversationLaws::new(now, side),
            side,
            decision: Decision::Admits,
            decides_at: None,
            is_troubled: false,
            writes_again: None,
            takes_again: None,
            fails_writes: false,
            writes: None,
            closes: false,
            is_taking: false,
            is_greeting: true,
            is_asked: false,
            is_talking: false,
            has_talked: false,
            has_given_up: false,
            shutdown: None,
            is_over: false,
            heard: Vec::new(),
            refusals: 0,
        }))
    }

    pub(super) fn emulated(program: Program, side: Side) -> Self {
        Self::Emulated { talk: Talk::new(program, side, "u2"), is_over: false, may_die: false }
    }
}

impl Ours {
    pub(super) fn says(&mut self, frames: Vec<Line>, is_promised: bool) {
        self.laws.said(frames.len(), is_promised);
        self.connection.state.handle_line(frames, is_promised);
    }

    pub(super) fn hangs_up(&mut self, now: Instant) {
        self.laws.ends(now);
        self.connection.state.handle_hang_up(now);
    }

    pub(super) fn shuts_down(&mut self, now: Instant, is_hurried: bool) {
        self.shutdown = self.shutdown.max(Some(is_hurried));
        self.is_asked = false;
        self.laws.ends(now);
        if is_hurried {
            self.laws.hurries(now);
        }
        self.connection.state.handle_shutdown(now, is_hurried);
    }

    /// Nobody waits for the conversation any more.
    pub(super) fn gives_up(&mut self, now: Instant) {
        self.has_given_up = true;
        self.connection.state.handle_given_up(now);
    }

    /// The program decides about a caller, unless that was decided before.
    pub(super) fn decides(&mut self, now: Instant, decision: Decision) {
        if self.decision == Decision::Waits {
            self.decision = decision;
            self.answers(now);
        }
    }

    /// Returns whether the program had a conversation that is not over yet.
    pub(super) fn is_ending(&self) -> bool {
        self.has_talked && !self.is_talking && !self.is_over
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.writes.is_none() && !self.is_taking && self.connection.poll_timeout().is_none()
    }

    fn next(&self, soon: Instant, acts_at: Instant, incoming: &Stream) -> Option<Instant> {
        let after = |hold: Option<Instant>| hold.unwrap_or(soon).max(acts_at).max(soon);
        let writes = (self.writes.is_some() || self.closes).then(|| after(self.writes_again));
        let takes = self.is_taking.then(|| after(self.takes_again));
        let is_read = self.connection.state.wants_input() != WantedInput::Nothing && incoming.is_readable();
        let reads = is_read.then_some(soon);
        let times = [writes, takes, reads, self.decides_at, self.connection.poll_timeout()];
        times.into_iter().flatten().min()
    }

    /// The write that is out has reached the wire, and the program has taken the latest line.
    fn confirms(&mut self, now: Instant, outgoing: &mut Stream) {
        let is_after = |hold: Option<Instant>| hold.is_none_or(|until| until <= now);
        if is_after(self.writes_again) {
            self.writes_on(now, outgoing);
        }
        if is_after(self.takes_again) && std::mem::take(&mut self.is_taking) {
            self.connection.state.handle_taken();
        }
    }

    fn writes_on(&mut self, now: Instant, outgoing: &mut Stream) {
        let frame = self.writes.take();
        let is_closed = std::mem::take(&mut self.closes);
        if frame.is_none() && !is_closed {
            return;
        }
        let is_written = !self.fails_writes;
        if let (Some(frame), true) = (&frame, is_written) {
            outgoing.write_frame(frame);
        }
        if is_closed && is_written {
            outgoing.close();
        }
        // An empty line is the one before the FIN. A frame that was given up is written before the FIN.
        let is_line = matches!(&frame, Some(Frame::Line(line)) if !line.as_str().is_empty());
        self.laws.wrote(is_line && is_written && !is_closed);
        self.connection.state.handle_written(now, is_written);
    }

    /// Reads, writes and lets time pass, until nothing is to be done now.
    fn acts(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        incoming: &mut Stream,
        reads_whole: bool,
    ) -> Result<(), Violation> {
        let is_admitted = self.decides_at.is_some() && rng.bool();
        let mut length = |all: usize| {
            let most = if rng.bool() { 4.min(all) } else { all };
            if reads_whole { all } else { rng.usize(1..=most) }
        };
        if self.decides_at.is_some_and(|at| at <= now) {
            self.decides_at = None;
            self.decides(now, if is_admitted { Decision::Admits } else { Decision::Refuses });
        }
        loop {
            let reads_frames = self.connection.state.wants_input() == WantedInput::Frames;
            let is_reset = incoming.is_reset();
            let output = self.connection.next(now, incoming, |all| {
                let length = length(all);
                self.laws.read(length);
                length
            });
            if self.has_talked && reads_frames && is_reset && !incoming.is_reset() {
                self.laws.broke();
            }
            let Some(output) = output else { break };
            self.laws.did(now, &output)?;
            if matches!(output, ConversationOutput::Ended { .. }) {
                ensure!(incoming.is_empty(), NoReset, "{} bytes are unread", incoming.len());
            }
            self.carries_out(now, output)?;
        }
        let reads_frames = self.connection.state.wants_input() == WantedInput::Frames;
        let waiting = if reads_frames { self.connection.buffered() } else { &[] };
        self.laws.waits(now, waiting)?;
        self.laws.is_in_time(now)
    }

    fn carries_out(&mut self, now: Instant, output: ConversationOutput) -> Result<(), Violation> {
        // A write that is held up is given up in the end, and the FIN comes behind it.
        let is_held_up = self.writes_again.is_some();
        match output {
            ConversationOutput::Write(frame) => {
                ensure!(!self.is_writing(), OneWrite, "{frame:?} is the second write at a time");
                self.writes = Some(frame);
            }
            ConversationOutput::CloseWrite => {
                ensure!(!self.is_writing() || is_held_up, OneWrite, "a FIN while a frame is written");
                self.closes = true;
            }
            ConversationOutput::Greeted(_) => {
                self.is_greeting = false;
                self.is_greeted(now);
            }
            ConversationOutput::Undecided => self.decides(now, Decision::Refuses),
            ConversationOutput::CallerLeft => {
                ensure!(self.is_asked && self.heard.is_empty(), CallersAreHeard, "it does not wait");
                self.is_asked = false;
            }
            ConversationOutput::Deliver(line) => {
                ensure!(!self.is_taking || self.is_troubled, Bounds, "two lines at a time");
                self.heard.push(line.raw().as_bytes().to_vec());
                self.is_taking = true;
            }
            ConversationOutput::Refused(_) => {
                self.refusals += 1;
                self.is_taking = true;
            }
            ConversationOutput::Lost => self.is_taking = true,
            ConversationOutput::Failed(failure) => {
                self.is_greeting = false;
                ensure!(self.is_troubled, NoLineLost, "{failure:?}");
            }
            ConversationOutput::Ending => self.is_talking = false,
            ConversationOutput::Ended { unsent, .. } => {
                ensure!(unsent == 0 || self.is_troubled, NoLineLost, "{unsent} frames are not sent");
                self.is_over = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn is_greeted(&mut self, now: Instant) {
        match (self.shutdown, self.side) {
            // The agent began to end while our nickname was written.
            (Some(is_hurried), _) => self.connection.state.handle_shutdown(now, is_hurried),
            (None, OurSide::Caller) => {
                self.talks(true);
                if self.has_given_up {
                    self.hangs_up(now);
                }
            }
            (None, OurSide::Callee) => {
                self.is_asked = true;
                self.answers(now);
            }
        }
    }

    fn answers(&mut self, now: Instant) {
        let is_admitted = match self.decision {
            Decision::Admits => true,
            Decision::Refuses => false,
            Decision::Waits => return,
        };
        if !std::mem::take(&mut self.is_asked) {
            return;
        }
        self.talks(is_admitted);
        self.laws.decided(now, is_admitted);
        let admitted = if is_admitted { Ok(()) } else { Err(Refusal::Busy) };
        self.connection.state.handle_admitted(now, admitted);
    }

    fn talks(&mut self, has_begun: bool) {
        self.is_talking = has_begun;
        self.has_talked = has_begun;
    }

    fn is_writing(&self) -> bool {
        self.writes.is_some() || self.closes
    }
}

/// The time that an emulated program needs before it reads again.
const ROUND: Duration = Duration::from_millis(9);

/// The pause between two bytes of a peer that is slow on purpose.
const DRIBBLE: Duration = Duration::from_secs(3);
