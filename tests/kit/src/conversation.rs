//! The two sides of a conversation in memory.
//!
//! Each side is the [`ConversationState`] that ships. `mi-agent-core` has it in its public interface, so it
//! takes no feature. A [`Connection`] does for it what a socket would do, and a [`Stream`] holds the bytes on
//! their way. [`Wire::connect`](crate::wire::Wire::connect) joins two connections on the clock of the wire. A
//! test that wants slow writes, short reads or a connection that breaks puts them together itself:
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use lumi_testkit::conversation::{Connection, Stream};
//! use mi_agent_core::{ConversationOutput, GreetingFailure, Side};
//!
//! let start = Instant::now();
//! let (pace, nobody_answers) = (Duration::from_millis(20), &mut Stream::default());
//! let mut caller = Connection::new(start, Side::Caller, "laura", pace);
//! let Some(ConversationOutput::Write(_)) = caller.next(start, nobody_answers, |all| all) else { panic!() };
//! caller.state.handle_written(start, true);
//! assert_eq!(caller.next(start, nobody_answers, |all| all), None);
//!
//! let limit = caller.poll_timeout().unwrap();
//! assert_eq!(limit, start + Duration::from_secs(5));
//! let failed = ConversationOutput::Failed(GreetingFailure::TimedOut);
//! assert_eq!(caller.next(limit, nobody_answers, |all| all), Some(failed));
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mi_agent_core::{
    Broken, ConversationOutput, ConversationState, IncomingFrames, Nickname, Side, WantedInput,
};
use mi_proto::{Frame, FrameCodec, split_line};
use tokio_util::codec::Encoder;

/// One direction of a connection: the bytes that were sent and not read.
#[derive(Debug, Default)]
pub struct Stream {
    bytes: VecDeque<u8>,
    end: Option<End>,
}

/// The end of a [`Stream`], behind its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin,
    Reset,
    /// The reader has seen it.
    Read,
}

impl Stream {
    /// Adds bytes behind those that are on their way. A connection that was reset drops them.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.end.is_none() {
            self.bytes.extend(bytes);
        }
    }

    /// Adds a frame, as its sender writes it.
    pub fn write_frame(&mut self, frame: &Frame) {
        let mut bytes = BytesMut::new();
        FrameCodec::new().encode(frame, &mut bytes).expect("any frame can be written");
        self.write(&bytes);
    }

    /// Sends the FIN.
    pub fn close(&mut self) {
        self.end.get_or_insert(End::Fin);
    }

    /// Breaks the connection: what is on its way is lost, and the reader sees an error.
    pub fn reset(&mut self) {
        self.bytes.clear();
        self.end = Some(End::Reset);
    }

    /// Takes `most` of the bytes that have come, or all if they are fewer.
    pub fn read(&mut self, most: usize) -> Vec<u8> {
        let length = most.min(self.bytes.len());
        self.bytes.drain(..length).collect()
    }

    /// Returns whether the FIN has come and was not read before.
    pub fn take_fin(&mut self) -> bool {
        self.take_end(End::Fin)
    }

    /// Returns whether the connection was reset and nobody has noticed it before.
    pub fn take_reset(&mut self) -> bool {
        self.take_end(End::Reset)
    }

    /// Returns whether the connection was reset and nobody has noticed it so far.
    pub fn is_reset(&self) -> bool {
        self.end == Some(End::Reset)
    }

    /// Returns the number of bytes that have come.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether no bytes have come.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns whether a reader would see something: bytes, a FIN or an error.
    pub fn is_readable(&self) -> bool {
        !self.is_empty() || matches!(self.end, Some(End::Fin | End::Reset))
    }

    fn take_end(&mut self, end: End) -> bool {
        let is_there = self.is_empty() && self.end == Some(end);
        if is_there {
            self.end = Some(End::Read);
        }
        is_there
    }
}

/// One side of a conversation, and what a socket does for it: reads, frames and time.
///
/// `mi-agent-core` has the same loop around a socket. That one waits, by the clock of the runtime, and
/// captures traffic; this one is called, at times that the test makes up, and the test decides how much a
/// read gives. They share every decision: [`ConversationState`] and [`IncomingFrames`].
///
/// The test carries out the outputs. It tells [`Connection::state`] about everything other than reads and
/// time.
#[derive(Debug)]
pub struct Connection {
    /// The decisions of this side.
    pub state: ConversationState,
    frames: IncomingFrames,
}

impl Connection {
    /// Creates a side of a connection on which nothing has been sent or received.
    ///
    /// # Panics
    /// `nickname` is no nickname.
    pub fn new(now: Instant, side: Side, nickname: &str, pace: Duration) -> Self {
        let nickname = Nickname::new(nickname).expect("a nickname");
        Self { state: ConversationState::new(now, side, nickname, pace), frames: IncomingFrames::new() }
    }

    /// Returns the next output. Before that, it reads what the state wants, and passes the time on.
    ///
    /// `None` means that nothing is to be done until more comes, an output has been carried out, or it is
    /// [`Connection::poll_timeout`]. `length` returns the number of bytes of a read, of those that have come.
    pub fn next(
        &mut self,
        now: Instant,
        incoming: &mut Stream,
        mut length: impl FnMut(usize) -> usize,
    ) -> Option<ConversationOutput> {
        loop {
            if let Some(output) = self.state.poll_output(now) {
                return Some(output);
            }
            if self.reads(now, incoming, &mut length) {
                continue;
            }
            if self.poll_timeout().is_none_or(|at| at > now) {
                return None;
            }
            self.frames.handle_timeout(now);
            self.state.handle_timeout(now);
        }
    }

    /// Returns the time at which [`Connection::next`] has to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let frames = self.frames.poll_timeout().filter(|_| self.state.wants_input() == WantedInput::Frames);
        [self.state.poll_timeout(), frames].into_iter().flatten().min()
    }

    /// Returns the bytes that were read as frames and are not handled.
    pub fn buffered(&mut self) -> &[u8] {
        self.frames.read_buffer()
    }

    /// Returns whether there was something to read.
    fn reads(
        &mut self,
        now: Instant,
        incoming: &mut Stream,
        length: &mut impl FnMut(usize) -> usize,
    ) -> bool {
        let Self { state, frames } = self;
        let wanted = state.wants_input();
        if wanted == WantedInput::Nothing {
            return false;
        }
        if wanted == WantedInput::Frames {
            match frames.next(now) {
                Some(Ok((received, read_at))) => {
                    state.handle_received(now, received, read_at);
                    return true;
                }
                Some(Err(_)) => {
                    state.handle_broken(now, Broken::Frames);
                    return true;
                }
                None if frames.is_at_end() => {
                    state.handle_peer_end(now);
                    return true;
                }
                None => {}
            }
        }
        match wanted {
            _ if incoming.take_reset() => state.handle_broken(now, Broken::Connection),
            WantedInput::Frames if !incoming.is_empty() => {
                frames.read_buffer().extend(incoming.read(length(incoming.len())));
            }
            WantedInput::Frames if incoming.take_fin() => frames.handle_end(),
            WantedInput::Bytes if !incoming.is_empty() => _ = incoming.read(usize::MAX),
            WantedInput::Bytes if incoming.take_fin() => state.handle_peer_end(now),
            _ => return false,
        }
        true
    }
}

/// Two connected sides. Writes take no time, the callee accepts, and the programs take every line at once.
#[derive(Debug)]
pub(crate) struct Pair {
    sides: [Speaker; 2],
    /// The bytes on their way to the caller, and to the callee.
    streams: [Stream; 2],
}

#[derive(Debug)]
struct Speaker {
    connection: Connection,
    side: Side,
    heard: Vec<String>,
    has_ended: bool,
}

impl Pair {
    /// Connects the users of these nicknames, the caller first.
    pub(crate) fn new(now: Instant, nicknames: [&str; 2], pace: Duration) -> Self {
        let [caller, callee] = nicknames;
        let sides = [(Side::Caller, caller), (Side::Callee, callee)].map(|(side, nickname)| {
            let connection = Connection::new(now, side, nickname, pace);
            Speaker { connection, side, heard: Vec::new(), has_ended: false }
        });
        Self { sides, streams: Default::default() }
    }

    pub(crate) fn say(&mut self, side: Side, line: &str) {
        let frames = split_line(line).expect("a line").collect();
        self.speaker(side).connection.state.handle_line(frames, true);
    }

    pub(crate) fn hang_up(&mut self, now: Instant, side: Side) {
        self.speaker(side).connection.state.handle_hang_up(now);
    }

    pub(crate) fn heard(&self, side: Side) -> &[String] {
        &self.sides[number(side)].heard
    }

    pub(crate) fn has_ended(&self, side: Side) -> bool {
        self.sides[number(side)].has_ended
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.sides.iter().filter_map(|side| side.connection.poll_timeout()).min()
    }

    /// Carries out everything that is due.
    pub(crate) fn settle(&mut self, now: Instant) {
        let [caller, callee] = &mut self.sides;
        let [to_caller, to_callee] = &mut self.streams;
        while caller.settles(now, to_caller, to_callee) | callee.settles(now, to_callee, to_caller) {}
    }

    fn speaker(&mut self, side: Side) -> &mut Speaker {
        &mut self.sides[number(side)]
    }
}

impl Speaker {
    /// Returns whether there was anything to do.
    fn settles(&mut self, now: Instant, incoming: &mut Stream, outgoing: &mut Stream) -> bool {
        let mut has_done = false;
        while let Some(output) = self.connection.next(now, incoming, |all| all) {
            has_done = true;
            let state = &mut self.connection.state;
            match output {
                ConversationOutput::Write(frame) => {
                    outgoing.write_frame(&frame);
                    state.handle_written(now, true);
                }
                ConversationOutput::CloseWrite => {
                    outgoing.close();
                    state.handle_written(now, true);
                }
                ConversationOutput::Greeted(_) if self.side == Side::Callee => {
                    state.handle_admitted(now, Ok(()));
                }
                ConversationOutput::Deliver(line) => {
                    self.heard.push(line.raw().to_owned());
                    state.handle_taken();
                }
                ConversationOutput::Refused(_) | ConversationOutput::Lost => state.handle_taken(),
                ConversationOutput::Ended { .. } => self.has_ended = true,
                _ => {}
            }
        }
        has_done
    }
}

fn number(side: Side) -> usize {
    usize::from(side == Side::Callee)
}
