//! An agent that many call at a time: ours, deployed programs, blocked users, and strangers who take their
//! time.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mi_agent_core::{AcceptorState, Admission, CallerId, Capacity, Refusal, Verdict};
use plumi_proto::MiAddress;

use super::speaker::{Decision, End, Ours, Speaker};
use super::{Conversation, PACE};
use crate::conversation::Stream;
use crate::emulators::{Program, Side};
use crate::simulation::laws::{Violation, ensure};

/// The agent, and everybody who has called it.
#[derive(Debug)]
struct Called {
    now: Instant,
    state: AcceptorState,
    admission: Admission,
    most_conversations: usize,
    most_events: usize,
    ends: bool,
    /// The oldest first.
    callers: Vec<Caller>,
}

/// A caller and its connection, on whose other side is the agent.
#[derive(Debug)]
struct Caller {
    id: CallerId,
    ip: IpAddr,
    address: MiAddress,
    talk: Conversation,
    stage: Stage,
    /// Set once another caller has taken its slot.
    has_lost_slot: bool,
    /// The time at which the program takes the event of this caller.
    heard_at: Instant,
    hangs_up_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its nickname has not come.
    Waiting,
    /// It has the room of a conversation, and the program decides.
    Asked,
    Talking,
    /// The connection ends without a conversation.
    Leaving,
    Over,
}

/// Somebody who calls.
#[derive(Clone, Copy, Debug)]
enum Who {
    Ours,
    Emulated(Program),
    /// It sends this, at once or byte by byte, and never closes the connection.
    Stranger {
        sends: &'static [u8],
        is_slow: bool,
    },
}

/// Callers of an agent, from this time on.
///
/// # Errors
/// A caller lost its slot to one with no better claim, was not decided about as it should, or ended because of our
/// agent. Or there were too many, or a connection did not end.
pub(super) fn hold(start: Instant, rng: &mut Rng) -> Result<(), Violation> {
    let mut called = Called::new(start, rng);
    for (at, who, ip) in draw_plan(rng) {
        called.runs_until(rng, start + at)?;
        called.connects(rng, who, ip)?;
    }
    let end = called.now + Duration::from_millis(rng.u64(0..30_000));
    called.runs_until(rng, end)?;
    called.shuts_down();
    // Some have waited in the kernel's queue.
    for _ in 0..rng.usize(0..4) {
        let has_spoken = Who::Stranger { sends: b"N04joan", is_slow: false };
        let who = if rng.bool() { Who::Ours } else { has_spoken };
        called.connects(rng, who, address(9))?;
    }
    called.runs_until(rng, end + PATIENCE)?;
    let left = called.callers.iter().find(|caller| caller.stage != Stage::Over);
    ensure!(left.is_none(), ConversationsEnd, "it goes on: {left:?}");
    ensure!(called.state.taken() == [0, 0], Bounds, "slots are not given back: {:?}", called.state);
    Ok(())
}

/// The time, kind and IP address of each caller.
fn draw_plan(rng: &mut Rng) -> Vec<(Duration, Who, IpAddr)> {
    let mut plan = Vec::new();
    for _ in 0..rng.usize(1..6) {
        let who =
            *rng.choice(&[Who::Ours, Who::Emulated(Program::L), Who::Emulated(Program::S)]).expect("some");
        // Some share an address with strangers.
        plan.push((Duration::from_millis(rng.u64(0..8_000)), who, address(rng.u8(0..6))));
    }
    let (strangers, distance) = if rng.u8(0..8) == 0 { (90, 25..30) } else { (24, 1..700) };
    let mut at = 0;
    for _ in 0..rng.usize(0..=strangers) {
        at += rng.u64(distance.clone());
        let sends: &[u8] = if strangers > 24 { b"N04joan" } else { rng.choice(SENT).expect("some") };
        let who = Who::Stranger { sends, is_slow: strangers == 24 && rng.bool() };
        // Many of them have few addresses.
        let ip = if rng.bool() { rng.u8(0..2) } else { rng.u8(10..40) };
        plan.push((Duration::from_millis(at), who, address(ip)));
    }
    plan.sort_by_key(|(at, ..)| *at);
    plan
}

impl Called {
    fn new(now: Instant, rng: &mut Rng) -> Self {
        let mut admission = Admission::default();
        for number in (0..200).filter(|_| rng.u8(0..4) == 0) {
            admission.block(user(number)).expect("there is room");
        }
        Self {
            now,
            state: AcceptorState::new(),
            admission,
            most_conversations: rng.usize(1..4),
            most_events: rng.usize(1..4),
            ends: false,
            callers: Vec::new(),
        }
    }

    fn runs_until(&mut self, rng: &mut Rng, end: Instant) -> Result<(), Violation> {
        loop {
            for number in 0..self.callers.len() {
                self.acts(rng, number)?;
            }
            let next = self.callers.iter().filter(|caller| caller.stage != Stage::Over);
            let next = next
                .filter_map(|caller| caller.talk.next().into_iter().chain(caller.hangs_up_at).min())
                .min();
            match next.filter(|at| *at <= end) {
                Some(next) => self.now = next,
                None => {
                    self.now = self.now.max(end);
                    return Ok(());
                }
            }
        }
    }

    fn connects(&mut self, rng: &mut Rng, who: Who, ip: IpAddr) -> Result<(), Violation> {
        let may_lose = self.who_may_lose(ip);
        let (id, lost) = self.state.handle_connected(ip);
        let is_right = lost.map_or(may_lose.is_empty(), |lost| may_lose.contains(&lost));
        ensure!(is_right, CallersAreHeard, "{lost:?} loses its slot instead of one of {may_lose:?}");
        let address = user(self.callers.len());
        self.callers.push(Caller::new(self.now, rng, (id, ip, address), who));
        if let Some(lost) = lost {
            let number = self.number(lost);
            self.callers[number].has_lost_slot = true;
            // A nickname that has come counts.
            self.acts(rng, number)?;
            self.gives_up(number);
        }
        let newest = self.callers.len() - 1;
        self.acts(rng, newest)?;
        if self.ends {
            self.gives_up(newest);
        }
        let waiting = self.callers.iter().filter(|caller| caller.is_waiting());
        let of_ip = waiting.clone().filter(|caller| caller.ip == ip).count();
        let all = waiting.count();
        ensure!(
            all <= MOST_WAITING && of_ip <= MOST_OF_ONE_IP,
            Bounds,
            "{all} callers wait, {of_ip} of {ip}"
        );
        Ok(())
    }

    /// Returns the callers of whom one loses its slot to a new one from `ip`: the oldest of each address that
    /// has most.
    fn who_may_lose(&self, ip: IpAddr) -> Vec<CallerId> {
        let waiting = || self.callers.iter().filter(|caller| caller.is_waiting());
        let oldest = |of: IpAddr| waiting().find(|caller| caller.ip == of).map(|caller| caller.id);
        let count = |of: IpAddr| waiting().filter(|caller| caller.ip == of).count() + usize::from(of == ip);
        if count(ip) > MOST_OF_ONE_IP {
            return oldest(ip).into_iter().collect();
        }
        if waiting().count() < MOST_WAITING {
            return Vec::new();
        }
        let most = waiting().map(|caller| count(caller.ip)).max();
        let greediest = waiting().map(|caller| caller.ip).filter(|of| Some(count(*of)) == most);
        greediest.filter_map(oldest).collect()
    }

    fn acts(&mut self, rng: &mut Rng, number: usize) -> Result<(), Violation> {
        let now = self.now;
        let caller = &mut self.callers[number];
        if caller.stage == Stage::Over {
            return Ok(());
        }
        caller.talk.now = now;
        for side in 0..2 {
            caller.talk.acts(rng, side, false)?;
        }
        if caller.hangs_up_at.is_some_and(|at| at <= now) {
            caller.hangs_up_at = None;
            match &mut caller.talk.sides[0].end {
                End::Emulated { talk, .. } => talk.hang_up(),
                End::Ours(ours) => ours.shuts_down(now, false),
                End::Silent { .. } => {}
            }
        }
        let (id, stage) = (caller.id, caller.stage);
        let Ours { is_greeting, is_asked, has_talked, is_over, .. } = *caller.agent();
        match stage {
            Stage::Waiting if !is_greeting => {
                self.state.handle_greeted(id);
                if is_asked { self.decides(rng, number) } else { self.leaves(rng, number) }
            }
            Stage::Asked if has_talked => {
                caller.stage = Stage::Talking;
                Ok(())
            }
            Stage::Asked if !is_asked => self.leaves(rng, number),
            Stage::Asked => {
                // No caller here says anything while it waits.
                let has_left = caller.talk.streams[1].is_readable();
                ensure!(!has_left, CallersAreHeard, "a caller that has left keeps its place");
                Ok(())
            }
            Stage::Talking | Stage::Leaving if is_over => {
                caller.stage = Stage::Over;
                self.state.handle_gone(id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Decides about a caller whose nickname has come.
    fn decides(&mut self, rng: &mut Rng, number: usize) -> Result<(), Violation> {
        let (now, capacity) = (self.now, self.capacity());
        let refusal = self.admission.refusal(Some(&self.callers[number].address));
        let mut takes_room = false;
        let verdict = capacity.decide(refusal, || {
            takes_room = true;
            if capacity.has_slot && capacity.is_heard { Ok(()) } else { Err(capacity) }
        });
        ensure!(!takes_room || refusal.is_none(), CallersAreHeard, "a blocked caller takes room");
        let is_full = !capacity.has_slot || !capacity.is_heard;
        let expected = match refusal {
            _ if self.ends => Verdict::LetGo,
            Some(reason) => Verdict::Refuse(reason),
            None if is_full => Verdict::Refuse(Refusal::Busy),
            None => Verdict::Ask(()),
        };
        ensure!(verdict == expected, CallersAreHeard, "{verdict:?} instead of {expected:?}");
        // An agent that says where it is, and then refuses, makes people call in vain.
        let is_busy = capacity.is_busy();
        ensure!(is_busy == (is_full || self.ends), CallersAreHeard, "busy: {is_busy}, with {capacity:?}");
        let caller = &mut self.callers[number];
        match verdict {
            Verdict::Ask(()) => {
                caller.stage = Stage::Asked;
                caller.heard_at = now + Duration::from_millis(rng.u64(0..400));
                let thinks = Duration::from_millis(rng.u64(0..3_000));
                caller.agent().decides_at = (rng.u8(0..8) > 0).then(|| now + thinks);
                Ok(())
            }
            Verdict::Refuse(_) => {
                caller.agent().decides(now, Decision::Refuses);
                self.leaves(rng, number)
            }
            Verdict::LetGo => {
                caller.agent().shuts_down(now, false);
                self.leaves(rng, number)
            }
        }
    }

    /// The connection ends without a conversation.
    fn leaves(&mut self, rng: &mut Rng, number: usize) -> Result<(), Violation> {
        let caller = &mut self.callers[number];
        caller.stage = Stage::Leaving;
        let (id, ip) = (caller.id, caller.ip);
        if let Some(lost) = self.state.handle_leaving(id, ip) {
            let lost = self.number(lost);
            self.acts(rng, lost)?;
            let caller = &mut self.callers[lost];
            let unread = caller.talk.streams[1].len();
            ensure!(unread == 0, NoReset, "{unread} bytes are unread");
            caller.stage = Stage::Over;
            let id = caller.id;
            self.state.handle_gone(id);
        }
        let leaving = self.callers.iter().filter(|caller| caller.stage == Stage::Leaving).count();
        ensure!(leaving <= MOST_LEAVING, Bounds, "{leaving} connections are being ended");
        Ok(())
    }

    fn gives_up(&mut self, number: usize) {
        let now = self.now;
        let caller = &mut self.callers[number];
        if caller.stage == Stage::Waiting {
            caller.agent().gives_up(now);
        }
    }

    fn shuts_down(&mut self) {
        self.ends = true;
        for number in 0..self.callers.len() {
            self.gives_up(number);
            if matches!(self.callers[number].stage, Stage::Asked | Stage::Talking) {
                let now = self.now;
                self.callers[number].agent().shuts_down(now, false);
            }
        }
    }

    /// Returns what is left for another caller.
    fn capacity(&self) -> Capacity {
        let talks =
            self.callers.iter().filter(|caller| matches!(caller.stage, Stage::Asked | Stage::Talking));
        let events = talks.clone().filter(|caller| caller.heard_at > self.now).count();
        Capacity {
            ends: self.ends,
            has_slot: talks.count() < self.most_conversations,
            is_heard: events < self.most_events,
        }
    }

    fn number(&self, id: CallerId) -> usize {
        self.callers.iter().position(|caller| caller.id == id).expect("it has called")
    }
}

impl Caller {
    fn new(now: Instant, rng: &mut Rng, (id, ip, address): (CallerId, IpAddr, MiAddress), who: Who) -> Self {
        let mut streams = [Stream::default(), Stream::default()];
        let caller = match who {
            Who::Ours => End::ours(now, Side::Caller, PACE),
            Who::Emulated(program) => End::emulated(program, Side::Caller),
            Who::Stranger { sends, is_slow: true } => End::Silent { dribble: sends },
            Who::Stranger { sends, is_slow: false } => {
                streams[1].write(sends);
                End::Silent { dribble: b"" }
            }
        };
        let mut sides = [caller, End::ours(now, Side::Callee, PACE)].map(|end| Speaker::new(now, end));
        for side in &mut sides {
            if let End::Ours(ours) = &mut side.end {
                ours.is_troubled = true;
                ours.decision = Decision::Waits;
            }
        }
        let stays = Duration::from_millis(rng.u64(500..20_000));
        Self {
            id,
            ip,
            address,
            talk: Conversation { now, sides, streams },
            stage: Stage::Waiting,
            has_lost_slot: false,
            heard_at: now,
            hangs_up_at: (!matches!(who, Who::Stranger { .. })).then(|| now + stays),
        }
    }

    /// Returns the agent's side.
    fn agent(&mut self) -> &mut Ours {
        match &mut self.talk.sides[1].end {
            End::Ours(ours) => ours,
            End::Emulated { .. } | End::Silent { .. } => unreachable!("the agent is ours"),
        }
    }

    fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting && !self.has_lost_slot
    }
}

fn address(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

fn user(number: usize) -> MiAddress {
    format!("u{number}@bb.com").parse().expect("an address")
}

/// The bytes of strangers: nothing, a part of a nickname, a nickname, another protocol.
const SENT: &[&[u8]] = &[b"", b"", b"N", b"N05a", b"N04joan", b"GET / HTTP/1.1\r\n\r\n"];

/// The limits of callers without a nickname, of all addresses and of one.
const MOST_WAITING: usize = 8;
const MOST_OF_ONE_IP: usize = 2;

/// The connections that are being ended.
const MOST_LEAVING: usize = 64;

/// The time after which every connection has ended.
const PATIENCE: Duration = Duration::from_secs(60);
