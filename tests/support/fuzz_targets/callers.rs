//! The conversations of an agent without a free slot, its callers, and the addresses that it calls.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use mi_agent_core::{
    ConversationOutput, ConversationSlots, ConversationState, Dialling, GaveWay, HostIp, IncomingFrames,
    Intake, Limited, MiSocketAddress, NewTurn, Nickname, NodeAddress, Side, TcpAddress, Turns, WantedInput,
};

/// The first byte is a setting, what follows are steps: callers, lines, ends, time. The conversation that
/// gives way is the one that the rules name, or there is none.
///
/// # Panics
/// If it is not.
pub fn callers(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(mut run) = Run::begin(&mut input) else { return };
    while !input.is_empty() && run.step(&mut input).is_ok() {}
}

struct Run {
    slots: ConversationSlots<u32>,
    idle: Option<Duration>,
    now: Instant,
    begun: u32,
    /// The conversations, the oldest first.
    talks: Vec<Talk>,
    turns: Turns<u32>,
    called: u32,
    /// The callers that wait for their turn, the oldest first.
    waiting: Vec<Waiting>,
    /// The turns that were taken.
    taken: Vec<(Instant, IpAddr)>,
    peer: Peer,
}

#[derive(Clone, Copy)]
struct Waiting {
    id: u32,
    ip: IpAddr,
    is_greeted: bool,
}

/// A peer that sends as much as is read.
struct Peer {
    state: ConversationState,
    frames: IncomingFrames,
    began: Instant,
    /// The frames that were read.
    read: u128,
}

#[derive(Clone, Copy)]
struct Talk {
    id: u32,
    ip: IpAddr,
    began: Instant,
    said_here: Instant,
    said: Instant,
    limited: Option<Limited>,
}

impl Run {
    fn begin(input: &mut Unstructured<'_>) -> Result<Self> {
        let idle = *input.choose(&[None, Some(Duration::from_secs(5)), Some(Duration::from_secs(300))])?;
        let now = tokio::time::Instant::now().into_std();
        Ok(Self {
            slots: ConversationSlots::new(idle),
            idle,
            now,
            begun: 0,
            talks: Vec::new(),
            turns: Turns::new(),
            called: 0,
            waiting: Vec::new(),
            taken: Vec::new(),
            peer: Peer::begin(now),
        })
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=13)? {
            0..=2 => self.calls(address(input)?),
            3 | 4 => {
                let (Some(at), is_own) = (self.any(input)?, input.arbitrary()?) else { return Ok(()) };
                let talk = &mut self.talks[at];
                talk.said = self.now;
                if is_own {
                    talk.said_here = self.now;
                }
                self.slots.handle_said(self.now, talk.id, is_own);
            }
            13 => self.peer.floods(self.now, input.int_in_range(1..=600)?),
            12 => {
                let (Some(at), is_limited) = (self.any(input)?, input.arbitrary::<bool>()?) else {
                    return Ok(());
                };
                let until = self.now + Duration::from_secs(input.int_in_range(0..=100)?);
                let limited = is_limited.then_some(Limited { since: self.now, until });
                self.talks[at].limited = limited;
                self.slots.handle_limited(self.talks[at].id, limited);
            }
            5 => {
                if let Some(at) = self.any(input)? {
                    let over = self.talks.remove(at);
                    self.slots.handle_over(over.id);
                }
            }
            6 => self.dials(*input.choose(&HOSTS)?, *input.choose(&HOSTS)?),
            7 | 8 => {
                let (ip, number) = (address(input)?, input.int_in_range(1..=45)?);
                (0..number).for_each(|_| self.wants_turn(ip));
            }
            9 => {
                let number = input.arbitrary::<u8>()?;
                let Some(at) = usize::from(number).checked_rem(self.waiting.len()) else { return Ok(()) };
                if number < 128 {
                    let gone = self.waiting.remove(at);
                    self.turns.handle_gone(gone.id);
                } else {
                    self.waiting[at].is_greeted = true;
                    self.turns.handle_greeted(self.waiting[at].id);
                }
            }
            step => {
                let end = self.now + *input.choose(&TIMES)?;
                if step == 11 {
                    // The program is late: a call comes before the callers that have their turn have taken
                    // it.
                    self.now = end;
                    self.wants_turn(NEWCOMER.into());
                }
                while let Some(at) = self.turns.poll_timeout().filter(|at| *at <= end) {
                    self.now = self.now.max(at);
                    let next = self.turns.next(self.now).expect("its time has come");
                    let due = self.waiting.iter().position(|caller| self.has_turn(caller.ip));
                    assert_eq!(due.map(|at| self.waiting[at].id), Some(next));
                    let Waiting { ip, .. } = self.waiting.remove(due.expect("there is one"));
                    self.taken.push((self.now, ip));
                }
                self.now = end;
            }
        }
        let expected = self.gives_way(0).is_some();
        assert_eq!(self.slots.can_give_way(self.now), expected, "after {} callers", self.begun);
        Ok(())
    }

    /// Somebody calls from `ip`, and finds a slot or has a conversation give way.
    fn calls(&mut self, ip: IpAddr) {
        if self.talks.len() >= MOST {
            let expected = self.gives_way(self.count(ip));
            assert_eq!(self.slots.give_way(self.now, ip), expected, "for {ip} after {} callers", self.begun);
            let Some((gone, _)) = expected else { return };
            self.talks.retain(|talk| talk.id != gone);
            // Nothing that happens to it from now on has an effect.
            self.slots.handle_said(self.now, gone, true);
            self.slots.handle_over(gone);
        }
        let (id, now) = (self.begun, self.now);
        self.begun += 1;
        self.talks.push(Talk { id, ip, began: now, said_here: now, said: now, limited: None });
        self.slots.handle_begun(now, id, ip);
    }

    /// Somebody calls from `ip`, and has its turn or waits.
    fn wants_turn(&mut self, ip: IpAddr) {
        let id = self.called;
        self.called += 1;
        let overtakes = self.waiting.iter().any(|caller| self.has_turn(caller.ip));
        let has_turn = self.has_turn(ip) && !overtakes;
        let turn = self.turns.handle_called(self.now, id, ip);
        if has_turn {
            self.taken.push((self.now, ip));
            assert_eq!(turn, NewTurn::Now, "for {ip}");
        } else {
            self.waiting.push(Waiting { id, ip, is_greeted: false });
            let NewTurn::Waits { gave_way } = turn else { panic!("{ip} has a turn too many") };
            assert_eq!(gave_way.is_some(), self.waiting.len() > 64, "for {ip}");
            if let Some(gone) = gave_way {
                self.gives_way_rightly(gone);
                self.waiting.retain(|caller| caller.id != gone);
            }
        }
        assert_eq!(self.turns.waiting(), self.waiting.len());
    }

    /// Checks that a caller is of the larger group, those with a nickname or those without, and there of the
    /// address of which most wait. Of the same number, it may be any.
    fn gives_way_rightly(&self, gone: u32) {
        let Waiting { ip, is_greeted, .. } =
            *self.waiting.iter().find(|caller| caller.id == gone).expect("it waits");
        let group: Vec<_> = self.waiting.iter().filter(|caller| caller.is_greeted == is_greeted).collect();
        assert!(2 * group.len() >= self.waiting.len(), "{gone} gives way for the other group");
        let count = |of| group.iter().filter(|caller| caller.ip == of).count();
        let most = group.iter().map(|caller| count(caller.ip)).max();
        assert_eq!(Some(count(ip)), most, "{gone} gives way, and has fewer than others");
        if !is_greeted {
            let oldest = group.iter().find(|caller| caller.ip == ip).map(|caller| caller.id);
            assert_eq!(oldest, Some(gone));
        }
    }

    /// Returns whether `ip` may take a turn now: no window of the past would have more than it may.
    fn has_turn(&self, ip: IpAddr) -> bool {
        let all = self.taken.iter().map(|(at, _)| *at);
        let of_address = self.taken.iter().filter(|(_, of)| *of == ip).map(|(at, _)| *at);
        self.is_within(all, 50, Duration::from_millis(20))
            && self.is_within(of_address, 40, Duration::from_millis(100))
    }

    fn is_within(&self, taken: impl Iterator<Item = Instant>, at_once: u32, interval: Duration) -> bool {
        let mut free: Option<Instant> = None;
        for at in taken {
            free = Some(free.map_or(at, |free| free.max(at)) + interval);
        }
        free.is_none_or(|free| free <= self.now + interval * (at_once - 1))
    }

    /// A callee is at `found`, as the node at `node` says.
    fn dials(&self, node: [u8; 4], found: [u8; 4]) {
        let found = MiSocketAddress::new(TcpAddress::new(HostIp::from(found), 4456)).expect("a port");
        let node = NodeAddress::from(TcpAddress::new(HostIp::from(node), 3344));
        for (range, is_within) in [(None, true), (Some("127.0.0.0/8"), found.ip.is_loopback())] {
            let ranges = range.map(|range| range.parse().expect("a range"));
            let is_dialled = Dialling::within(ranges.into_iter().collect()).check(node, found).is_ok();
            let expected = is_within && (node.ip().is_loopback() || !found.ip.is_loopback());
            assert_eq!(is_dialled, expected, "{found} by an agent of {node}, within {range:?}");
        }
    }

    /// Returns the conversation that gives way to an address that has `of_caller` of them.
    fn gives_way(&self, of_caller: usize) -> Option<(u32, GaveWay)> {
        let flooding = Duration::from_secs(30);
        let mut flooding: Vec<_> = self
            .talks
            .iter()
            .filter(|talk| {
                talk.limited
                    .is_some_and(|limited| self.now - limited.since >= flooding && self.now < limited.until)
            })
            .collect();
        flooding.sort_by_key(|talk| (MOST - self.count(talk.ip), talk.said_here, talk.id));
        if let Some(first) = flooding.first() {
            return Some((first.id, GaveWay::TooMuchSaid));
        }
        let mut crowding: Vec<&Talk> = Vec::new();
        for ip in self.talks.iter().map(|talk| talk.ip).filter(|ip| self.count(*ip) >= of_caller + 2) {
            let of_ip = self.talks.iter().filter(|talk| talk.ip == ip);
            crowding.extend(of_ip.min_by_key(|talk| (talk.said_here, talk.id)));
        }
        crowding.retain(|talk| self.now - talk.began > Duration::from_secs(30));
        crowding.sort_by_key(|talk| (MOST - self.count(talk.ip), talk.said_here, talk.id));
        let mut silent = self.talks.clone();
        silent.retain(|talk| self.idle.is_some_and(|idle| self.now - talk.said >= idle));
        silent.sort_by_key(|talk| (MOST - self.count(talk.ip), talk.said, talk.id));
        if let Some(first) = crowding.first() {
            let is_silent = first.said == first.began;
            let reason = if is_silent { GaveWay::NothingSaid } else { GaveWay::HostHasSeveral };
            return Some((first.id, reason));
        }
        silent.first().map(|talk| (talk.id, GaveWay::NothingSaid))
    }

    fn count(&self, ip: IpAddr) -> usize {
        self.talks.iter().filter(|talk| talk.ip == ip).count()
    }

    fn any(&self, input: &mut Unstructured<'_>) -> Result<Option<usize>> {
        let number = usize::from(input.arbitrary::<u8>()?);
        Ok(number.checked_rem(self.talks.len()))
    }
}

impl Peer {
    fn begin(now: Instant) -> Self {
        let nickname = Nickname::new("laura").expect("a nickname");
        let mut state = ConversationState::new(now, Side::Caller, nickname, Duration::ZERO);
        state.set_intake(Some(Intake::OF_PEOPLE));
        let mut peer = Self { state, frames: IncomingFrames::new(), began: now, read: 0 };
        peer.runs(now);
        peer.sends(now, b"N04joan");
        peer
    }

    /// It sends so many frames, of which no more are read than people say.
    fn floods(&mut self, now: Instant, frames: u32) {
        self.state.handle_timeout(now);
        self.runs(now);
        for _ in 0..frames {
            if self.state.wants_input() != WantedInput::Frames {
                let opens = self.state.poll_timeout().expect("it is read on");
                assert!(opens > now && opens <= now + Duration::from_millis(10), "{:?}", opens - now);
                break;
            }
            self.sends(now, b"L02hi");
        }
        let most = 502 + (now - self.began).as_millis() / 10;
        assert!(self.read <= most, "{} frames are read instead of {most}", self.read);
    }

    fn sends(&mut self, now: Instant, frame: &[u8]) {
        self.frames.read_buffer().extend_from_slice(frame);
        while let Some(Ok((received, read_at))) = self.frames.next(now) {
            self.read += 1;
            self.state.handle_received(now, received, read_at);
        }
        self.runs(now);
    }

    fn runs(&mut self, now: Instant) {
        while let Some(output) = self.state.poll_output(now) {
            match output {
                ConversationOutput::Write(_) => self.state.handle_written(now, true),
                ConversationOutput::Deliver(_) => self.state.handle_taken(),
                _ => {}
            }
        }
    }
}

fn address(input: &mut Unstructured<'_>) -> Result<IpAddr> {
    Ok(IpAddr::from([192, 0, 2, input.int_in_range(0..=3)?]))
}

/// The address of a caller that comes while others wait.
const NEWCOMER: [u8; 4] = [192, 0, 2, 99];

/// The conversations that there may be.
const MOST: usize = 6;

/// The hosts of nodes and callees.
const HOSTS: [[u8; 4]; 4] = [[127, 0, 0, 1], [127, 0, 0, 9], [192, 0, 2, 1], [198, 51, 100, 7]];

const TIMES: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(29),
    Duration::from_secs(31),
    Duration::from_secs(300),
];
