//! Conversations: the codec that ships on our side, what L and S make of single reads on theirs.

use std::ops::Range;

use bytes::BytesMut;
use fastrand::Rng;
use mi_proto::{Frame, FrameCodec, Nickname, Received, split_line};
use tokio_util::codec::{Decoder, Encoder};

use super::laws::{Violation, ensure};
use super::scenario;
use super::world::World;
use crate::emulators::{Program, Side, Talk, TalkEffect};

/// One end of a connection.
#[derive(Debug)]
enum End {
    Ours {
        codec: FrameCodec,
        buffer: BytesMut,
        is_callee: bool,
        is_greeted: bool,
        writes: Vec<Vec<u8>>,
        heard: Vec<Vec<u8>>,
    },
    Emulated {
        talk: Talk,
        heard: Vec<Vec<u8>>,
    },
}

impl World {
    /// A whole conversation of two agents, at once: nicknames, some lines each way, the end.
    pub(super) fn converse(&mut self, caller: usize, callee: usize) -> Result<(), Violation> {
        let programs = [caller, callee].map(|number| self.agents[number].program());
        let lines = hold(&mut self.rng.fork(), programs)?;
        self.statistics.lines += lines;
        self.trace.note(self.now, format_args!("{programs:?} talk: {lines} lines"));
        Ok(())
    }
}

/// A conversation between these programs. Returns how many lines were said and heard.
///
/// # Errors
/// Something that was said was not heard as it was said, or an emulator ended.
pub(super) fn hold(rng: &mut Rng, programs: [scenario::Program; 2]) -> Result<u64, Violation> {
    if !programs.contains(&scenario::Program::Ours) {
        return Ok(0);
    }
    let mut ends = [End::new(programs[0], Side::Caller), End::new(programs[1], Side::Callee)];
    carry(rng, &mut ends, true)?;
    let mut said: [Vec<Vec<u8>>; 2] = Default::default();
    let count = rng.u64(1..12);
    for _ in 0..count {
        let side = rng.usize(0..2);
        let is_emulated = matches!(ends[side], End::Emulated { .. });
        // A long line of an emulator is one write that is not what it says it is: one read has to give it whole, and
        // no header may seem to follow on what it says it is.
        let is_long = is_emulated && rng.u8(0..10) == 0;
        let line = match is_emulated {
            true if is_long => draw_line(rng, 103..150, PLAIN),
            true => draw_line(rng, 0..100, MISLEADING),
            false => draw_line(rng, 0..300, MISLEADING),
        };
        if is_long {
            carry(rng, &mut ends, true)?;
        }
        ends[side].say(&line);
        let heard = match is_emulated {
            true if line.len() > MAX_TEXT => vec![line.as_bytes()[..line.len() - 1].to_vec()],
            true => vec![line.into_bytes()],
            false => pieces(&line),
        };
        said[1 - side].extend(heard);
        if line_is_carried_now(rng, is_long) {
            carry(rng, &mut ends, !is_long)?;
        }
    }
    carry(rng, &mut ends, true)?;
    for (end, said) in ends.iter_mut().zip(&said) {
        end.is_closed()?;
        let heard = end.heard();
        ensure!(heard == said, NoLineLost, "said: {}, heard: {}", shown(said), shown(heard));
    }
    Ok(count)
}

fn line_is_carried_now(rng: &mut Rng, is_long: bool) -> bool {
    is_long || rng.bool()
}

/// Carries what each end wrote to the other one, until neither has more to say.
fn carry(rng: &mut Rng, ends: &mut [End; 2], is_cut: bool) -> Result<(), Violation> {
    for side in [0, 1, 0, 1] {
        let writes = ends[side].take_writes()?;
        ends[1 - side].receives(rng, &writes, is_cut)?;
    }
    Ok(())
}

impl End {
    fn new(program: scenario::Program, side: Side) -> Self {
        let program = match program {
            scenario::Program::Ours => {
                let mut ours = Self::Ours {
                    codec: FrameCodec::new(),
                    buffer: BytesMut::new(),
                    is_callee: side == Side::Callee,
                    is_greeted: false,
                    writes: Vec::new(),
                    heard: Vec::new(),
                };
                if side == Side::Caller {
                    ours.writes_frame(&nickname());
                }
                return ours;
            }
            scenario::Program::L => Program::L,
            scenario::Program::S => Program::S,
        };
        Self::Emulated { talk: Talk::new(program, side, "u2"), heard: Vec::new() }
    }

    fn say(&mut self, line: &str) {
        match self {
            Self::Emulated { talk, .. } => talk.say(line),
            Self::Ours { .. } => {
                let pieces: Vec<_> = split_line(line).expect("no line end in it").collect();
                for piece in pieces {
                    self.writes_frame(&Frame::Line(piece));
                }
            }
        }
    }

    /// Each frame leaves in a write of its own.
    fn writes_frame(&mut self, frame: &Frame) {
        let Self::Ours { codec, writes, .. } = self else { return };
        let mut wire = BytesMut::new();
        codec.encode(frame, &mut wire).expect("any frame can be written");
        writes.push(wire.to_vec());
    }

    fn take_writes(&mut self) -> Result<Vec<Vec<u8>>, Violation> {
        let (talk, heard) = match self {
            Self::Ours { writes, .. } => return Ok(std::mem::take(writes)),
            Self::Emulated { talk, heard } => (talk, heard),
        };
        let mut writes = Vec::new();
        while let Some(effect) = talk.poll_output() {
            match effect {
                TalkEffect::Write(bytes) => writes.push(bytes),
                TalkEffect::Heard(line) => heard.push(line),
                TalkEffect::Begun(_) | TalkEffect::Closed => {}
                TalkEffect::Died(death) => ensure!(false, NoDeathByUs, "in a conversation: {death}"),
            }
        }
        Ok(writes)
    }

    fn receives(&mut self, rng: &mut Rng, writes: &[Vec<u8>], is_cut: bool) -> Result<(), Violation> {
        match self {
            // With a pause after each write, one read gives one of them.
            Self::Emulated { talk, .. } => writes.iter().for_each(|write| talk.segment(write)),
            Self::Ours { .. } => {
                let mut stream = &writes.concat()[..];
                while !stream.is_empty() {
                    let most = if rng.bool() { 4 } else { stream.len() };
                    let length = if is_cut { rng.usize(1..=most.min(stream.len())) } else { stream.len() };
                    let (chunk, rest) = stream.split_at(length);
                    self.reads(chunk)?;
                    stream = rest;
                }
            }
        }
        Ok(())
    }

    fn reads(&mut self, chunk: &[u8]) -> Result<(), Violation> {
        let Self::Ours { codec, buffer, is_callee, is_greeted, heard, .. } = self else { return Ok(()) };
        buffer.extend_from_slice(chunk);
        let mut has_to_greet = false;
        loop {
            match codec.decode(buffer) {
                Ok(None) => break,
                Ok(Some(Received::Nickname(_))) if !*is_greeted => {
                    *is_greeted = true;
                    has_to_greet = *is_callee;
                }
                Ok(Some(other)) => heard.push(other.bytes().to_vec()),
                Err(error) => ensure!(false, NoLineLost, "{error}"),
            }
        }
        // What waits for the rest of its frame is less than a frame.
        ensure!(buffer.len() < MAX_FRAME, Bounds, "{} bytes wait to be a frame", buffer.len());
        if has_to_greet {
            self.writes_frame(&nickname());
        }
        Ok(())
    }

    /// The other end closes the connection.
    fn is_closed(&mut self) -> Result<(), Violation> {
        match self {
            Self::Ours { codec, buffer, .. } => {
                let rest = codec.decode_eof(buffer);
                ensure!(matches!(rest, Ok(None)), NoLineLost, "{rest:?} was left at the end");
                Ok(())
            }
            Self::Emulated { talk, .. } => {
                talk.closed();
                self.take_writes().map(drop)
            }
        }
    }

    fn heard(&self) -> &Vec<Vec<u8>> {
        match self {
            Self::Ours { heard, .. } | Self::Emulated { heard, .. } => heard,
        }
    }
}

fn nickname() -> Frame {
    Frame::Nickname(Nickname::new("ours").expect("a nickname"))
}

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
const MAX_FRAME: usize = 102;
