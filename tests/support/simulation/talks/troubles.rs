//! Conversations in which something goes wrong: agents that end in a hurry, programs that do not decide or
//! take no lines, writes that are held up or fail, peers that break their frames, connections that break.

use std::ops::Range;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mi_proto::split_line;

use super::speaker::{Decision, End, Ours};
use super::{Conversation, MISLEADING, draw_line, pieces, shown};
use crate::simulation::laws::{Violation, ensure};
use crate::simulation::scenario::Program;

/// Something that happens to one side of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Says,
    HangsUp,
    ShutsDown,
    Trouble(Trouble),
}

/// A trouble on a side of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Hurries,
    GivesUp,
    /// The program decides about its caller after a while, or never.
    Undecided,
    WritesAreHeldUp,
    WritesFail,
    /// The peer sends something other than frames, or a part of one.
    PeerBreaks,
    ConnectionBreaks,
    TakesNothing,
}

/// A conversation between these programs that begins at this time. Returns what went wrong.
///
/// # Errors
/// The conversation did not end in time on a side of ours, a line was not accounted for, or something was heard that
/// was not said. Or an emulator ended, and only our program can be the reason.
pub(super) fn hold(
    start: Instant,
    rng: &mut Rng,
    programs: [Program; 2],
) -> Result<Vec<&'static str>, Violation> {
    let mut talk = Conversation::new(start, rng, programs);
    let ours: Vec<_> = (0..2).filter(|side| programs[*side] == Program::Ours).collect();
    for side in &ours {
        talk.ours(*side).expect("a side of ours").is_troubled = true;
    }
    let mut troubled = Troubled { is_heard_as_said: true, talk, troubles: Vec::new() };
    for (at, side, deed) in draw_plan(rng, &ours) {
        troubled.runs_until(rng, start + at)?;
        troubled.does(rng, side, deed);
    }
    let end = troubled.talk.now + PATIENCE;
    troubled.runs_until(rng, end)?;
    for side in ours {
        let is_over = troubled.talk.sides[side].is_over();
        ensure!(is_over, ConversationsEnd, "it goes on: {:?}", troubled.talk);
    }
    troubled.is_heard()?;
    Ok(troubled.troubles)
}

/// Draws the events in their order: lines, troubles, and an end on each side of ours.
fn draw_plan(rng: &mut Rng, ours: &[usize]) -> Vec<(Duration, usize, Deed)> {
    let mut plan = Vec::new();
    for _ in 0..rng.usize(0..16) {
        plan.push((milliseconds(rng, 4_000), rng.usize(0..2), Deed::Says));
    }
    for _ in 0..rng.usize(1..=2) {
        let side = *rng.choice(ours).expect("a side of ours");
        plan.push(match *rng.choice(&TROUBLES).expect("not empty") {
            // The callee decides as soon as the nicknames are exchanged.
            trouble @ Trouble::Undecided => (Duration::ZERO, 1, Deed::Trouble(trouble)),
            trouble => (draw_time(rng), side, Deed::Trouble(trouble)),
        });
    }
    for side in 0..2 {
        // Late enough, now and then, for every limit to be reached before.
        let most = *rng.choice(&[5_000, 50_000]).expect("not empty");
        let at = Duration::from_millis(500) + milliseconds(rng, most);
        match ours.contains(&side) {
            false if rng.bool() => plan.push((at, side, Deed::HangsUp)),
            false => {}
            true => {
                plan.push((at, side, if rng.bool() { Deed::HangsUp } else { Deed::ShutsDown }));
                // Its agent ends in any case.
                plan.push((at + milliseconds(rng, 60_000), side, Deed::ShutsDown));
            }
        }
    }
    plan.sort_by_key(|(at, ..)| *at);
    plan
}

/// Draws the time of a trouble. The greeting takes a few milliseconds, so many troubles have to come at once.
fn draw_time(rng: &mut Rng) -> Duration {
    let most = *rng.choice(&[1, 40, 5_000, 5_000]).expect("not empty");
    milliseconds(rng, most)
}

fn milliseconds(rng: &mut Rng, most: u64) -> Duration {
    Duration::from_millis(rng.u64(0..most))
}

#[derive(Debug)]
struct Troubled {
    talk: Conversation,
    /// Unset once bytes were sent that nobody said.
    is_heard_as_said: bool,
    troubles: Vec<&'static str>,
}

impl Troubled {
    fn runs_until(&mut self, rng: &mut Rng, end: Instant) -> Result<(), Violation> {
        let talk = &mut self.talk;
        loop {
            for side in 0..2 {
                talk.acts(rng, side, false)?;
            }
            match talk.next().filter(|at| *at <= end) {
                Some(next) => talk.now = next,
                None => {
                    talk.now = talk.now.max(end);
                    return Ok(());
                }
            }
        }
    }

    fn does(&mut self, rng: &mut Rng, side: usize, deed: Deed) {
        let now = self.talk.now;
        match deed {
            Deed::Says => self.says(rng, side),
            Deed::Trouble(trouble) => self.goes_wrong(rng, side, trouble),
            Deed::HangsUp | Deed::ShutsDown => match &mut self.talk.sides[side].end {
                End::Emulated { talk, .. } => talk.hang_up(),
                End::Ours(ours) if deed == Deed::ShutsDown => ours.shuts_down(now, rng.u8(0..4) == 0),
                End::Ours(ours) if ours.is_talking => ours.hangs_up(now),
                End::Ours(_) | End::Silent { .. } => {}
            },
        }
    }

    fn says(&mut self, rng: &mut Rng, side: usize) {
        let speaker = &mut self.talk.sides[side];
        match &mut speaker.end {
            End::Emulated { talk, .. } => talk.say(&draw_some(rng, 0..100)),
            // The program may learn late that nothing more can be said.
            End::Ours(ours) if ours.is_talking || ours.is_ending() && rng.u8(0..4) == 0 => {
                let lengths = if rng.u8(0..5) == 0 { LONG } else { 0..300 };
                let line = draw_some(rng, lengths);
                ours.says(split_line(&line).expect("no line end in it").collect(), rng.bool());
                speaker.said.extend(pieces(&line));
            }
            End::Ours(_) | End::Silent { .. } => {}
        }
    }

    fn goes_wrong(&mut self, rng: &mut Rng, side: usize, trouble: Trouble) {
        let now = self.talk.now;
        let Some(ours) = self.talk.ours(side) else { return };
        let what = match trouble {
            Trouble::Hurries => {
                ours.shuts_down(now, true);
                "agent ended in a hurry in a conversation"
            }
            Trouble::GivesUp => {
                ours.gives_up(now);
                "conversation given up"
            }
            Trouble::Undecided => {
                ours.decision = Decision::Waits;
                ours.decides_at = rng.bool().then(|| now + milliseconds(rng, 40_000));
                "caller waited for a decision"
            }
            Trouble::WritesAreHeldUp => {
                ours.writes_again.get_or_insert(draw_hold(rng, now));
                self.excuse();
                "write of a frame held up"
            }
            Trouble::WritesFail => {
                ours.fails_writes = true;
                self.excuse();
                "write of a frame failed"
            }
            Trouble::TakesNothing => {
                ours.takes_again.get_or_insert(draw_hold(rng, now));
                "program took no lines"
            }
            Trouble::PeerBreaks => {
                self.peer_breaks(rng, side);
                "peer sent no frames"
            }
            Trouble::ConnectionBreaks => {
                self.connection_breaks();
                "connection broke"
            }
        };
        self.troubles.push(what);
    }

    /// The peer is replaced by one that sends this, at once or byte by byte, and nothing more.
    fn peer_breaks(&mut self, rng: &mut Rng, side: usize) {
        self.is_heard_as_said = false;
        let mut dribble: &[u8] = &[];
        let stream = &mut self.talk.streams[side];
        let is_junk = rng.u8(0..3) == 0;
        let sent = rng.choice(if is_junk { JUNK } else { BROKEN }).expect("not empty");
        match rng.u8(0..5) {
            end if end == 0 || end == 3 && !is_junk => dribble = sent,
            end => {
                // More than a frame can be, most of the time.
                let times = if rng.u8(0..3) == 0 { 1 } else { 24 };
                stream.write(&sent.repeat(times));
                match end {
                    1 => stream.close(),
                    2 => stream.reset(),
                    _ => {}
                }
            }
        }
        self.talk.sides[1 - side].end = End::Silent { dribble };
    }

    fn connection_breaks(&mut self) {
        self.excuse();
        for stream in &mut self.talk.streams {
            stream.reset();
        }
        for side in 0..2 {
            if let Some(ours) = self.talk.ours(side) {
                ours.fails_writes = true;
            }
        }
    }

    /// Emulators may end from now on: our program is not the reason.
    fn excuse(&mut self) {
        for side in &mut self.talk.sides {
            if let End::Emulated { may_die, .. } = &mut side.end {
                *may_die = true;
            }
        }
    }

    /// Everything that was heard was said, in this order. Some of what was said may be missing.
    fn is_heard(&self) -> Result<(), Violation> {
        let [caller, callee] = &self.talk.sides;
        for (said, heard) in [(&caller.said, callee.heard()), (&callee.said, caller.heard())] {
            let mut rest = said.iter();
            // A refusal, and the empty line before a FIN.
            let is_own = |line: &[u8]| line.is_empty() || line.starts_with(b"busy: ");
            let is_said = heard.iter().all(|line| is_own(line) || rest.any(|other| other == line));
            let is_right = is_said || !self.is_heard_as_said;
            ensure!(is_right, NoLineLost, "said: {}, heard: {}", shown(said), shown(heard));
        }
        Ok(())
    }
}

impl Conversation {
    fn ours(&mut self, side: usize) -> Option<&mut Ours> {
        match &mut self.sides[side].end {
            End::Ours(ours) => Some(ours),
            End::Emulated { .. } | End::Silent { .. } => None,
        }
    }
}

/// Draws the end of a trouble, which may last for good.
fn draw_hold(rng: &mut Rng, now: Instant) -> Instant {
    now + if rng.bool() { milliseconds(rng, 40_000) } else { FOR_GOOD }
}

/// A line that is not empty, which could be taken for the one before a FIN.
fn draw_some(rng: &mut Rng, lengths: Range<usize>) -> String {
    let line = draw_line(rng, lengths, MISLEADING);
    if line.is_empty() { "a".to_owned() } else { line }
}

/// A peer that breaks its frames can do so in many ways, so it comes twice as often.
const TROUBLES: [Trouble; 9] = [
    Trouble::Hurries,
    Trouble::GivesUp,
    Trouble::Undecided,
    Trouble::WritesAreHeldUp,
    Trouble::WritesFail,
    Trouble::PeerBreaks,
    Trouble::PeerBreaks,
    Trouble::ConnectionBreaks,
    Trouble::TakesNothing,
];

/// Bytes with which no frame begins: those of other protocols.
const JUNK: &[&[u8]] = &[b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", &[b'#'; 200]];

/// Frames and parts of frames.
const BROKEN: &[&[u8]] = &[b"", b"L", b"N05a", b"L99abc", b"L99abcdefghijklm", b"L10abcdefghij"];

/// The time after which every conversation has ended. The laws have tighter bounds.
const PATIENCE: Duration = Duration::from_secs(180);

/// Longer than any conversation.
const FOR_GOOD: Duration = Duration::from_secs(3_600);

/// The lengths of lines that take more frames than a conversation hands over at once.
const LONG: Range<usize> = 6_400..9_000;
