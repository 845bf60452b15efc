//! Conversations: the state machine that ships on our side, what L and S make of single reads on theirs.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use fastrand::Rng;
use mi_agent_core::{
    ConversationOutput, ConversationState, IncomingFrames, Nickname, Refusal, Side as OurSide, WantedInput,
};
use mi_proto::{FrameCodec, split_line};
use tokio_util::codec::Encoder;

use super::laws::{Violation, ensure};
use super::scenario;
use super::world::World;
use crate::emulators::{Program, Side, Talk, TalkEffect};

impl World {
    /// A whole conversation of two agents, at once: nicknames, some lines each way, the end.
    pub(super) fn converse(&mut self, caller: usize, callee: usize) -> Result<(), Violation> {
        let programs = [caller, callee].map(|number| self.agents[number].program());
        let lines = hold(self.instant(), &mut self.rng.fork(), programs)?;
        self.statistics.lines += lines;
        self.trace.note(self.now, format_args!("{programs:?} talk: {lines} lines"));
        Ok(())
    }
}

/// A conversation between these programs that begins at this time. Returns how many lines were said and heard.
///
/// # Errors
/// Something that was said was not heard as it was said, an emulator ended, or the conversation did not.
pub(super) fn hold(
    start: Instant,
    rng: &mut Rng,
    programs: [scenario::Program; 2],
) -> Result<u64, Violation> {
    if !programs.contains(&scenario::Program::Ours) {
        return Ok(0);
    }
    let mut talk = Conversation::new(start, rng, programs);
    let is_refused = programs[1] == scenario::Program::Ours && rng.u8(0..8) == 0;
    talk.admits(!is_refused);
    talk.runs(rng, Conversation::is_quiet)?;
    let lines = if is_refused { 0 } else { rng.u64(0..12) };
    let mut said: [Vec<Vec<u8>>; 2] = Default::default();
    for _ in 0..lines {
        let side = rng.usize(0..2);
        let heard = talk.says(rng, side)?;
        said[1 - side].extend(heard);
    }
    let ender = rng.usize(0..2);
    if programs[ender] != scenario::Program::Ours || rng.bool() {
        talk.runs(rng, Conversation::is_quiet)?;
    } else {
        // It says goodbye with lines that have not left. What the other one has not sent by then it keeps.
        said[ender].clear();
    }
    talk.ends(rng, ender);
    talk.runs(rng, |talk| talk.sides.iter().all(Speaker::is_over))?;
    for (end, said) in talk.sides.iter().zip(&said) {
        let heard = end.heard();
        let is_whole = if said.is_empty() { true } else { heard == said };
        ensure!(is_whole, NoLineLost, "said: {}, heard: {}", shown(said), shown(heard));
    }
    if let End::Ours(caller) = &talk.sides[0].end {
        let refusals = caller.refusals;
        ensure!(refusals == u32::from(is_refused), NoLineLost, "{refusals} refusals were heard");
    }
    Ok(lines)
}

/// Two ends of a connection, and what is on its way.
#[derive(Debug)]
struct Conversation {
    now: Instant,
    sides: [Speaker; 2],
    /// The bytes on the way to each side.
    wires: [Wire; 2],
}

#[derive(Debug, Default)]
struct Wire {
    bytes: VecDeque<u8>,
    has_fin: bool,
    /// The FIN has been read.
    is_read: bool,
}

/// One end of a connection.
#[derive(Debug)]
struct Speaker {
    end: End,
    /// The lines that an emulator has heard.
    heard: Vec<Vec<u8>>,
    /// The time at which it does something again: an emulator reads, our program takes a line or confirms a write.
    acts_at: Instant,
}

#[derive(Debug)]
enum End {
    Ours(Box<Ours>),
    Emulated { talk: Talk, is_over: bool },
}

/// The state machine that ships, and what a socket would do for it.
#[derive(Debug)]
struct Ours {
    state: ConversationState,
    frames: IncomingFrames,
    /// The decision about a caller.
    admits: bool,
    /// The write that is out.
    writes: Option<Vec<u8>>,
    closes: bool,
    is_taking: bool,
    is_over: bool,
    heard: Vec<Vec<u8>>,
    refusals: u32,
}

impl Conversation {
    fn new(now: Instant, rng: &mut Rng, programs: [scenario::Program; 2]) -> Self {
        let is_alone = programs.iter().all(|program| *program == scenario::Program::Ours);
        // Deployed programs need the pace.
        let pace = if is_alone && rng.bool() { Duration::ZERO } else { PACE };
        let sides = [Side::Caller, Side::Callee].map(|side| {
            let end = match programs[usize::from(side == Side::Callee)] {
                scenario::Program::Ours => End::Ours(Box::new(Ours::new(now, side, pace))),
                scenario::Program::L => End::emulated(Program::L, side),
                scenario::Program::S => End::emulated(Program::S, side),
            };
            Speaker { end, heard: Vec::new(), acts_at: now }
        });
        Self { now, sides, wires: Default::default() }
    }

    fn admits(&mut self, is_admitted: bool) {
        if let End::Ours(ours) = &mut self.sides[1].end {
            ours.admits = is_admitted;
        }
    }

    /// Says a line, and returns what the other side has to hear.
    fn says(&mut self, rng: &mut Rng, side: usize) -> Result<Vec<Vec<u8>>, Violation> {
        let is_emulated = matches!(self.sides[side].end, End::Emulated { .. });
        // A long line of an emulator is one write that is not what it says it is: one read has to give it whole, and
        // no header may seem to follow on what it says it is.
        let is_long = is_emulated && rng.u8(0..10) == 0;
        let line = match is_emulated {
            true if is_long => draw_line(rng, 103..150, PLAIN),
            true => draw_line(rng, 0..100, MISLEADING),
            false => draw_line(rng, 0..300, MISLEADING),
        };
        // An empty line before the end is not one that was said.
        let line = if line.is_empty() { "a".to_owned() } else { line };
        if is_long {
            self.runs(rng, Conversation::is_quiet)?;
        }
        match &mut self.sides[side].end {
            End::Emulated { talk, .. } => talk.say(&line),
            End::Ours(ours) => {
                let frames = split_line(&line).expect("no line end in it").collect();
                ours.state.handle_line(frames, rng.bool());
            }
        }
        if is_long || rng.bool() {
            let reads_whole = is_long;
            self.carries_on(rng, reads_whole, Conversation::is_quiet)?;
        }
        Ok(match is_emulated {
            // The last byte is not sent, which may be half a character.
            true if line.len() > MAX_TEXT => {
                let text = String::from_utf8_lossy(&line.as_bytes()[..line.len() - 1]);
                vec![text.into_owned().into_bytes()]
            }
            true => vec![line.into_bytes()],
            false => pieces(&line),
        })
    }

    fn ends(&mut self, rng: &mut Rng, side: usize) {
        let now = self.now;
        match &mut self.sides[side].end {
            End::Emulated { talk, .. } => talk.hang_up(),
            End::Ours(ours) if rng.bool() => ours.state.handle_hang_up(now),
            End::Ours(ours) => ours.state.handle_shutdown(now, false),
        }
    }

    fn runs(&mut self, rng: &mut Rng, is_done: impl Fn(&Self) -> bool) -> Result<(), Violation> {
        self.carries_on(rng, false, is_done)
    }

    /// Lets time pass until `is_done`.
    fn carries_on(
        &mut self,
        rng: &mut Rng,
        reads_whole: bool,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<(), Violation> {
        let end = self.now + PATIENCE;
        loop {
            for side in 0..2 {
                self.acts(rng, side, reads_whole)?;
            }
            if is_done(self) {
                return Ok(());
            }
            ensure!(self.now < end, NoLineLost, "the conversation goes on for ever: {self:?}");
            let is_coming =
                self.wires.iter().any(|wire| !wire.bytes.is_empty() || wire.has_fin && !wire.is_read);
            let soon = is_coming.then_some(self.now + TICK);
            let next = self.sides.iter().map(|side| side.next(self.now)).chain(soon).min();
            self.now = next.expect("two sides");
        }
    }

    fn acts(&mut self, rng: &mut Rng, side: usize, reads_whole: bool) -> Result<(), Violation> {
        let now = self.now;
        let [first, second] = &mut self.wires;
        let (incoming, outgoing) = if side == 0 { (first, second) } else { (second, first) };
        let Speaker { end, heard, acts_at } = &mut self.sides[side];
        let is_due = *acts_at <= now;
        match end {
            End::Emulated { talk, is_over } => {
                // It takes the bytes of one read for one frame.
                if is_due {
                    *acts_at = now + ROUND;
                    if !incoming.bytes.is_empty() {
                        talk.segment(&incoming.bytes.drain(..).collect::<Vec<_>>());
                    } else if incoming.takes_fin() {
                        talk.closed();
                    }
                }
                while let Some(effect) = talk.poll_output() {
                    match effect {
                        TalkEffect::Write(bytes) => outgoing.bytes.extend(bytes),
                        TalkEffect::Heard(line) => heard.push(line),
                        TalkEffect::Begun(_) => {}
                        TalkEffect::Closed => {
                            outgoing.has_fin = true;
                            *is_over = true;
                        }
                        TalkEffect::Died(death) => ensure!(false, NoDeathByUs, "in a conversation: {death}"),
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

    /// Returns whether everything that was said has been heard.
    fn is_quiet(&self) -> bool {
        self.wires.iter().all(|wire| wire.bytes.is_empty())
            && self.sides.iter().all(|side| match &side.end {
                End::Emulated { .. } => true,
                End::Ours(ours) => {
                    ours.writes.is_none() && !ours.is_taking && ours.state.poll_timeout().is_none()
                }
            })
    }
}

impl End {
    fn emulated(program: Program, side: Side) -> Self {
        Self::Emulated { talk: Talk::new(program, side, "u2"), is_over: false }
    }
}

impl Ours {
    fn new(now: Instant, side: Side, pace: Duration) -> Self {
        let side = if side == Side::Caller { OurSide::Caller } else { OurSide::Callee };
        let nickname = Nickname::new("ours").expect("a nickname");
        Self {
            state: ConversationState::new(now, side, nickname, pace),
            frames: IncomingFrames::new(),
            admits: true,
            writes: None,
            closes: false,
            is_taking: false,
            is_over: false,
            heard: Vec::new(),
            refusals: 0,
        }
    }

    /// The write that is out has reached the wire, and the program has taken the latest line.
    fn confirms(&mut self, now: Instant, outgoing: &mut Wire) {
        if let Some(bytes) = self.writes.take() {
            outgoing.bytes.extend(bytes);
            self.state.handle_written(now, true);
        } else if std::mem::take(&mut self.closes) {
            outgoing.has_fin = true;
            self.state.handle_written(now, true);
        }
        if std::mem::take(&mut self.is_taking) {
            self.state.handle_taken();
        }
    }

    /// Reads, writes and lets time pass, until nothing is to be done now.
    fn acts(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        incoming: &mut Wire,
        reads_whole: bool,
    ) -> Result<(), Violation> {
        loop {
            while let Some(output) = self.state.poll_output(now) {
                self.carries_out(now, output)?;
            }
            if self.reads(now, rng, incoming, reads_whole)? {
                continue;
            }
            if self.state.poll_timeout().is_none_or(|at| at > now) {
                return Ok(());
            }
            self.state.handle_timeout(now);
        }
    }

    fn carries_out(&mut self, now: Instant, output: ConversationOutput) -> Result<(), Violation> {
        let writes = self.writes.is_some() || self.closes;
        match output {
            ConversationOutput::Write(frame) => {
                ensure!(!writes, OneWrite, "{frame:?} is the second write at a time");
                let mut wire = BytesMut::new();
                FrameCodec::new().encode(frame, &mut wire).expect("any frame can be written");
                self.writes = Some(wire.to_vec());
            }
            ConversationOutput::CloseWrite => {
                ensure!(!writes, OneWrite, "a FIN while a frame is written");
                self.closes = true;
            }
            ConversationOutput::Greeted(_) => {
                self.state.handle_admitted(now, if self.admits { Ok(()) } else { Err(Refusal::Busy) });
            }
            ConversationOutput::Deliver(line) => {
                ensure!(!self.is_taking, Bounds, "two lines at a time");
                self.heard.push(line.raw().as_bytes().to_vec());
                self.is_taking = true;
            }
            ConversationOutput::Refused(_) => {
                self.refusals += 1;
                self.is_taking = true;
            }
            ConversationOutput::Lost => ensure!(false, NoLineLost, "the connection is lost"),
            ConversationOutput::Failed(failure) => ensure!(false, NoLineLost, "{failure:?}"),
            ConversationOutput::Ended { unsent, .. } => {
                ensure!(unsent == 0, NoLineLost, "{unsent} frames are not sent");
                self.is_over = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns whether there was something to read.
    fn reads(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        incoming: &mut Wire,
        reads_whole: bool,
    ) -> Result<bool, Violation> {
        let Self { state, frames, .. } = self;
        match state.wants_input() {
            WantedInput::Frames => match frames.next(now) {
                Some(Ok(received)) => state.handle_received(now, received),
                Some(Err(error)) => return Err(lost(&error)),
                None if frames.is_at_end() => state.handle_peer_end(now),
                None if !incoming.bytes.is_empty() => {
                    let all = incoming.bytes.len();
                    let most = if rng.bool() { 4.min(all) } else { all };
                    let length = if reads_whole { all } else { rng.usize(1..=most) };
                    frames.read_buffer().extend(incoming.bytes.drain(..length));
                }
                None if incoming.takes_fin() => frames.handle_end(),
                None => return Ok(false),
            },
            WantedInput::Bytes if !incoming.bytes.is_empty() => incoming.bytes.clear(),
            WantedInput::Bytes if incoming.takes_fin() => state.handle_peer_end(now),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Wire {
    /// Returns whether the FIN has come and was not read before.
    fn takes_fin(&mut self) -> bool {
        self.has_fin && !std::mem::replace(&mut self.is_read, true)
    }
}

fn lost(error: &dyn std::error::Error) -> Violation {
    Violation { law: super::laws::Law::NoLineLost, what: error.to_string() }
}

impl Speaker {
    /// Returns the time at which something happens here.
    fn next(&self, now: Instant) -> Instant {
        let soon = now + TICK;
        match &self.end {
            End::Emulated { .. } => self.acts_at.max(soon),
            End::Ours(ours) => {
                let is_busy = ours.writes.is_some() || ours.closes || ours.is_taking;
                let acts = is_busy.then_some(self.acts_at.max(soon));
                let times = [acts, ours.state.poll_timeout()];
                times.into_iter().flatten().min().unwrap_or(now + PATIENCE)
            }
        }
    }

    fn is_over(&self) -> bool {
        match &self.end {
            End::Ours(ours) => ours.is_over,
            End::Emulated { is_over, .. } => *is_over,
        }
    }

    fn heard(&self) -> &Vec<Vec<u8>> {
        match &self.end {
            End::Ours(ours) => &ours.heard,
            End::Emulated { .. } => &self.heard,
        }
    }
}

/// The agents' default pause between frames.
const PACE: Duration = Duration::from_millis(20);

/// The shortest time between two steps.
const TICK: Duration = Duration::from_millis(1);

/// The time that an emulated program needs before it reads again.
const ROUND: Duration = Duration::from_millis(9);

/// The time in which a conversation gets somewhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line of so many bytes, or a few less.
fn draw_line(rng: &mut Rng, lengths: Range<usize>, characters: &[char]) -> String {
    let length = rng.usize(lengths);
    let mut line = String::new();
    loop {
        let character = *rng.choice(characters).expect("not empty");
        if line.len() + character.len_utf8() > length {
            return line;
        }
        line.push(character);
    }
}

/// What a line has to be cut into: as long as can be, between characters.
fn pieces(line: &str) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    for character in line.chars() {
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        if pieces.last().is_none_or(|piece: &Vec<u8>| piece.len() + bytes.len() > MAX_TEXT) {
            pieces.push(Vec::new());
        }
        pieces.last_mut().expect("there is one").extend_from_slice(bytes);
    }
    pieces
}

fn shown(lines: &[Vec<u8>]) -> String {
    lines.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>().join(" | ")
}

/// What could be taken for a header, and what takes several bytes.
const MISLEADING: &[char] = &['a', 'L', 'N', '0', '1', '9', ' ', 'é', '日', '😀', '\u{1b}', ':'];

const PLAIN: &[char] = &['a', 'l', '0', '1', '9', ' ', 'é', '日', '😀', '\u{1b}', ':'];

/// protocol.md §5.
const MAX_TEXT: usize = 99;
