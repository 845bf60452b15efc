//! Conversations: the state machine that ships on our side, what L and S make of single reads on theirs.

mod callers;
mod speaker;
mod troubles;

use std::ops::Range;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mi_proto::split_line;

use self::speaker::{Decision, End, Speaker};
use super::laws::{Violation, ensure};
use super::scenario;
use super::world::World;
use crate::conversation::Stream;
use crate::emulators::{Program, Side};

impl World {
    /// A whole conversation of two agents, at once: nicknames, some lines each way, the end.
    pub(super) fn converse(
        &mut self,
        programs: [scenario::Program; 2],
        manner: Manner,
    ) -> Result<(), Violation> {
        if !programs.contains(&scenario::Program::Ours) {
            return Ok(());
        }
        let rng = &mut self.rng.fork();
        if manner == Manner::default() && rng.u8(0..TROUBLED) == 0 {
            let troubles = troubles::hold(self.instant(), rng, programs)?;
            self.trace.note(self.now, format_args!("{programs:?} talk: {troubles:?}"));
            for trouble in troubles {
                self.statistics.fault(trouble);
            }
            return Ok(());
        }
        if programs[1] == scenario::Program::Ours && rng.u8(0..CALLED_BY_MANY) == 0 {
            callers::hold(self.instant(), &mut rng.fork())?;
            self.trace.note(self.now, format_args!("called by many"));
            self.statistics.fault("agent called by many");
        }
        let lines = hold(self.instant(), rng, programs, manner)?;
        self.statistics.lines += lines;
        self.trace.note(self.now, format_args!("{programs:?} talk: {lines} lines"));
        Ok(())
    }
}

/// The manner of a conversation. The default is in plain text, between parties who want it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// It is inside TLS, where peers read a stream.
    pub(super) is_encrypted: bool,
    /// The callee refuses the caller, because of its key or the lack of one.
    pub(super) is_refused: bool,
    /// The caller ends it at once, because of the callee's key or the lack of one.
    pub(super) says_nothing: bool,
}

/// A conversation between these programs that begins at this time. Returns how many lines were said and
/// heard.
///
/// # Errors
/// Something that was said was not heard as it was said, an emulator ended, or the conversation did not.
fn hold(
    start: Instant,
    rng: &mut Rng,
    programs: [scenario::Program; 2],
    manner: Manner,
) -> Result<u64, Violation> {
    let mut talk = Conversation::new(start, rng, programs);
    if manner.is_encrypted {
        talk.encrypts();
    }
    let is_refused = manner.is_refused || programs[1] == scenario::Program::Ours && rng.u8(0..8) == 0;
    if let End::Ours(callee) = &mut talk.sides[1].end {
        callee.decision = if is_refused { Decision::Refuses } else { Decision::Admits };
    }
    talk.runs(rng, Conversation::is_quiet)?;
    let lines = if is_refused || manner.says_nothing { 0 } else { rng.u64(0..12) };
    let mut said: [Vec<Vec<u8>>; 2] = Default::default();
    for _ in 0..lines {
        let side = rng.usize(0..2);
        let heard = talk.says(rng, side)?;
        said[1 - side].extend(heard);
    }
    let ender = if manner.says_nothing { 0 } else { rng.usize(0..2) };
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
    streams: [Stream; 2],
}

impl Conversation {
    fn new(now: Instant, rng: &mut Rng, programs: [scenario::Program; 2]) -> Self {
        let is_alone = programs.iter().all(|program| *program == scenario::Program::Ours);
        // Deployed programs need the pace.
        let pace = if is_alone && rng.bool() { Duration::ZERO } else { PACE };
        let sides = [Side::Caller, Side::Callee].map(|side| {
            let end = match programs[usize::from(side == Side::Callee)] {
                scenario::Program::Ours => End::ours(now, side, pace),
                scenario::Program::L => End::emulated(Program::L, side),
                scenario::Program::S => End::emulated(Program::S, side),
            };
            Speaker::new(now, end)
        });
        Self { now, sides, streams: Default::default() }
    }

    /// Puts both sides, which are ours, inside TLS.
    fn encrypts(&mut self) {
        for side in &mut self.sides {
            if let End::Ours(ours) = &mut side.end {
                ours.connection.state.set_encrypted();
            }
        }
    }

    /// Says a line, and returns what the other side has to hear.
    fn says(&mut self, rng: &mut Rng, side: usize) -> Result<Vec<Vec<u8>>, Violation> {
        let is_emulated = matches!(self.sides[side].end, End::Emulated { .. });
        // A long line of an emulator is one write that is not what it says it is: one read has to give it
        // whole, and no header may seem to follow on what it says it is.
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
                ours.says(split_line(&line).expect("no line end in it").collect(), rng.bool());
            }
            End::Silent { .. } => {}
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
            End::Ours(ours) if rng.bool() => ours.hangs_up(now),
            End::Ours(ours) => ours.shuts_down(now, false),
            End::Silent { .. } => {}
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
            self.now = self.next().unwrap_or(end);
        }
    }

    fn acts(&mut self, rng: &mut Rng, side: usize, reads_whole: bool) -> Result<(), Violation> {
        let [to_caller, to_callee] = &mut self.streams;
        let streams = if side == 0 { (to_caller, to_callee) } else { (to_callee, to_caller) };
        self.sides[side].acts(self.now, rng, streams, reads_whole)
    }

    /// Returns the time at which something happens, if nobody does anything.
    fn next(&self) -> Option<Instant> {
        let sides = self.sides.iter().zip(&self.streams);
        sides.filter_map(|(side, incoming)| side.next(self.now, incoming)).min()
    }

    /// Returns whether everything that was said has been heard.
    fn is_quiet(&self) -> bool {
        self.streams.iter().all(Stream::is_empty)
            && self.sides.iter().all(|side| match &side.end {
                End::Emulated { .. } | End::Silent { .. } => true,
                End::Ours(ours) => ours.is_quiet(),
            })
    }
}

/// The agents' default pause between frames.
const PACE: Duration = Duration::from_millis(20);

/// One of so many conversations has troubles.
const TROUBLED: u8 = 4;

/// One of so many callees is called by others as well.
const CALLED_BY_MANY: u8 = 3;

/// The shortest time between two steps.
const TICK: Duration = Duration::from_millis(1);

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

/// Returns the pieces into which a line has to be cut: as long as can be, behind a blank, or between
/// characters if there is none.
fn pieces(line: &str) -> Vec<Vec<u8>> {
    let (mut pieces, mut piece) = (Vec::new(), Vec::new());
    for character in line.chars() {
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        // The rest behind a blank may have no room for the character either.
        while piece.len() + bytes.len() > MAX_TEXT {
            let blank = piece.iter().rposition(|byte| *byte == b' ');
            let rest = piece.split_off(blank.map_or(piece.len(), |blank| blank + 1));
            pieces.push(std::mem::replace(&mut piece, rest));
        }
        piece.extend_from_slice(bytes);
    }
    pieces.push(piece);
    pieces
}

fn shown(lines: &[Vec<u8>]) -> String {
    lines.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>().join(" | ")
}

/// Characters that could be taken for a header, and those that take several bytes.
const MISLEADING: &[char] = &['a', 'L', 'N', '0', '1', '9', ' ', 'é', '日', '😀', '\u{1b}', ':'];

const PLAIN: &[char] = &['a', 'l', '0', '1', '9', ' ', 'é', '日', '😀', '\u{1b}', ':'];

/// protocol.md §5.
const MAX_TEXT: usize = 99;
