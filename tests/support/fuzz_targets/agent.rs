//! An agent's LUMI client, and whatever can happen to it.

use std::collections::HashMap;
use std::iter;
use std::net::SocketAddrV4;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use mi_agent_core::{
    Admission, ClientSettings, DEFAULT_REFRESH, LumiAnswer, LumiClient, LumiOutput, LumiRequest,
    MAX_REQUESTS, RETRY, Refusal, RegistrationChange, RequestId, RequestSchedule,
};
use plumi_proto::{Extension, LocateOutcome, Message, MiAddress, MiSocketAddress};

/// The first byte is settings, what follows are steps: requests, datagrams of the node and of strangers,
/// time. Each request ends once and is sent as often as it may be, each question is answered once and nobody
/// else is, and a deregistered agent says nothing more.
///
/// # Panics
/// If not.
pub fn agent(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(mut run) = Run::begin(&mut input) else { return };
    while !input.is_empty() && run.step(&mut input).is_ok() {
        run.holds();
    }
    run.end();
}

struct Run {
    client: LumiClient,
    settings: ClientSettings,
    now: Instant,
    busy: bool,
    /// Requests that have not ended.
    open: HashMap<RequestId, Open>,
    /// Of registering and deregistering, the latter was asked for last, or nothing was.
    wants_out: bool,
    last_refresh: Option<Instant>,
    lost: Option<RegistrationChange>,
    /// The user that may not call.
    blocked: Option<MiAddress>,
    /// The askers that were told where the user listens, each with the last time, the latest last.
    askers: Vec<(MiAddress, Instant)>,
    /// The user that may not call and asked last, and the time.
    refused: Option<(MiAddress, Instant)>,
    /// Of which refusals the user was told, and when.
    missed: HashMap<(MiAddress, Refusal), Instant>,
    strays: u64,
}

#[derive(Debug, PartialEq)]
struct Open {
    kind: LumiRequest,
    /// How often it may still be sent.
    left: u8,
    sent_again: bool,
    interval: Duration,
    /// It is not sent again, and the node decides how it ends.
    asks_node: bool,
    /// When it is sent again, or given up.
    next: Instant,
}

impl Run {
    fn begin(input: &mut Unstructured<'_>) -> Result<Self> {
        let refresh = [None, Some(RETRY), Some(DEFAULT_REFRESH), Some(Duration::ZERO)];
        let listening = MiSocketAddress::new(socket("127.0.0.1:3500")).expect("a port");
        let address = LAURA.parse().expect("an address");
        let mut settings = ClientSettings::new(address, socket(NODE).into(), listening);
        settings.bare = input.arbitrary()?;
        settings.refresh = *input.choose(&refresh)?;
        Ok(Self {
            client: LumiClient::new(settings),
            settings,
            now: tokio::time::Instant::now().into_std(),
            busy: false,
            open: HashMap::new(),
            wants_out: true,
            last_refresh: None,
            lost: None,
            blocked: None,
            askers: Vec::new(),
            refused: None,
            missed: HashMap::new(),
            strays: 0,
        })
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=9)? {
            0 | 1 => {
                let (kind, schedule) = (request(input)?, schedule(input)?);
                if self.client.has_room() {
                    self.request(kind, schedule);
                }
            }
            2 | 3 => {
                let datagram = message(input)?;
                self.receive(NODE, datagram.as_bytes());
            }
            4 => {
                let (from, datagram) = (*input.choose(&SOURCES)?, message(input)?);
                self.receive(from, datagram.as_bytes());
            }
            5 => {
                let (from, length) = (*input.choose(&SOURCES)?, input.int_in_range(0..=127)?);
                let datagram = input.bytes(length.min(input.len()))?;
                self.receive(from, datagram);
            }
            6 => {
                let (from, mut datagram) = (*input.choose(&SOURCES)?, message(input)?.into_bytes());
                let at = input.int_in_range(0..=datagram.len() - 1)?;
                datagram[at] ^= input.arbitrary::<u8>()?;
                self.receive(from, &datagram);
            }
            7 => {
                let (time, frozen) = (*input.choose(&TIMES)?, input.arbitrary()?);
                self.pass(time, frozen);
            }
            8 => {
                let byte: u8 = input.arbitrary()?;
                self.busy = byte & 1 == 1;
                self.client.set_busy(self.busy);
                let blocked = usize::from(byte >> 1) % 8;
                let blocked = blocked.checked_sub(1).and_then(|number| ADDRESSES.get(number));
                self.blocked = blocked.map(|address| address.parse().expect("an address"));
                let mut admission = Admission::default();
                self.blocked.map(|address| admission.block(address).expect("one of many"));
                self.client.set_admission(admission);
            }
            _ => {
                let expected = self.candidates();
                assert_eq!(self.client.take_askers(self.now), expected);
            }
        }
        assert_eq!(self.client.poll_output(), None, "an output without a cause");
        Ok(())
    }

    fn holds(&self) {
        assert_eq!(self.client.has_room(), self.open.len() < MAX_REQUESTS);
        assert_eq!(self.client.is_idle(), self.open.is_empty());
        assert_eq!(self.client.strays(), self.strays);
        match self.client.poll_timeout() {
            None => assert_eq!(self.open, HashMap::new(), "they would wait for ever"),
            Some(_) => assert!(!self.open.is_empty() || !self.wants_out, "who is out has more to say"),
        }
    }

    /// Answers cease: everything under way ends in its time.
    fn end(&mut self) {
        let end = self.open.values().map(|open| open.next + open.interval * (u32::from(open.left) + 1)).max();
        self.pass(end.unwrap_or(self.now) - self.now, false);
        assert_eq!(self.open, HashMap::new());
    }

    fn request(&mut self, kind: LumiRequest, schedule: Option<RequestSchedule>) {
        let id = self.client.request(self.now, kind, schedule);
        let RequestSchedule { attempts, interval, .. } = schedule.unwrap_or(self.settings.schedule);
        let mut outputs = self.drain();
        assert_eq!(outputs.pop(), Some(LumiOutput::Transmit(self.message(kind))));
        match kind {
            LumiRequest::Register => self.wants_out = false,
            LumiRequest::Deregister => self.wants_out = true,
            LumiRequest::Locate(_) => {}
            other => unreachable!("{other:?} is new"),
        }
        // It ends those that it would be undone by, and nothing else.
        for output in outputs {
            if let (LumiOutput::Transmit(message), LumiRequest::Locate(_)) = (output, kind) {
                self.refresh(message, true);
                continue;
            }
            let LumiOutput::Done(ended, LumiAnswer::None) = output else { panic!("{output:?} for {kind:?}") };
            let ended = self.open.remove(&ended).map(|open| open.kind);
            assert_eq!((kind, ended), (LumiRequest::Deregister, Some(LumiRequest::Register)));
        }
        if kind == LumiRequest::Deregister {
            // It is sent in the place of those before, which end with it.
            for open in self.open.values_mut().filter(|open| open.kind == kind) {
                (open.left, open.next) = (0, self.now + interval * u32::from(attempts.get()));
            }
        }
        let open = Open {
            kind,
            left: attempts.get() - 1,
            sent_again: false,
            interval,
            asks_node: false,
            next: self.now + interval,
        };
        assert_eq!(self.open.insert(id, open), None, "{id:?} names two requests");
    }

    fn receive(&mut self, from: &str, datagram: &[u8]) {
        let due = self.client.poll_timeout();
        self.client.handle_datagram(self.now, socket(from).into(), datagram);
        let outputs = self.drain();
        let shown = format!("\"{}\" from {from}: {outputs:?}", datagram.escape_ascii());
        let message = Message::decode(datagram);
        let is_not_found = matches!(
            message,
            Ok(Message::LocateReply { outcome: LocateOutcome::NoSuchUser | LocateOutcome::Offline, .. })
        );
        let strays = self.client.strays() - self.strays;
        self.strays += strays;
        if from != NODE || strays != 0 {
            assert!(strays == 1 && outputs.is_empty() && self.client.poll_timeout() == due, "{shown}");
            return;
        }
        if let Ok(Message::Locate(locate)) = message {
            assert_eq!(locate.to.user(), self.settings.address.user(), "{shown}");
            let refusal = match self.blocked {
                Some(blocked) if blocked == locate.from => Some(Refusal::Blocked),
                _ => self.busy.then_some(Refusal::Busy),
            };
            let outcome =
                refusal.map_or(LocateOutcome::Found(self.settings.listening), |_| LocateOutcome::Busy);
            let mut expected = vec![LumiOutput::Transmit(Message::LocateReply {
                locate,
                outcome,
                extension: Extension::NONE,
            })];
            expected.extend(self.asked(locate.from, refusal));
            assert_eq!(outputs[..expected.len()], expected, "{shown}");
            // A node that asks is alive, so the others were silent.
            for output in &outputs[expected.len()..] {
                let LumiOutput::Done(id, LumiAnswer::PeerSilent) = output else { panic!("{shown}") };
                assert!(self.open.remove(id).is_some_and(|open| open.asks_node), "{shown}");
            }
            assert!(self.open.values().all(|open| !open.asks_node), "the node asks: {shown}");
            return;
        }
        for output in outputs {
            match output {
                LumiOutput::Transmit(message) if is_not_found => self.refresh(message, true),
                LumiOutput::Transmit(_) | LumiOutput::Missed { .. } => {
                    panic!("an answer to no question: {shown}")
                }
                LumiOutput::Registration(change) => self.registration(change),
                LumiOutput::Done(id, answer) => {
                    let open = self.open.remove(&id).unwrap_or_else(|| panic!("ended twice: {shown}"));
                    if answer == LumiAnswer::PeerSilent {
                        assert!(open.asks_node, "{shown}");
                        continue;
                    }
                    assert_eq!(
                        answer_of(datagram, &self.settings.address, open.kind),
                        Some(answer),
                        "{shown}"
                    );
                }
                other => unreachable!("{other:?} is new"),
            }
        }
        // Nothing is left of what it answers.
        for open in self.open.values() {
            assert_eq!(answer_of(datagram, &self.settings.address, open.kind), None, "{shown}");
            assert!(!open.asks_node, "the node answers: {shown}");
        }
    }

    /// The report to the user about an asker, which may not have got the location.
    fn asked(&mut self, from: MiAddress, refusal: Option<Refusal>) -> Option<LumiOutput> {
        let is_other = |asked: &(MiAddress, Instant)| asked.0 != from;
        match refusal {
            None => {
                self.askers.retain(is_other);
                self.askers.push((from, self.now));
                self.refused = self.refused.filter(is_other);
            }
            Some(Refusal::Busy) => {}
            Some(_) => {
                self.askers.retain(is_other);
                self.refused = Some((from, self.now));
            }
        }
        let (reason, now) = (refusal?, self.now);
        self.missed.retain(|_, told| now - *told < MISSED_EVERY);
        let is_news = !self.missed.contains_key(&(from, reason));
        self.missed.entry((from, reason)).or_insert(now);
        is_news.then_some(LumiOutput::Missed { from, reason })
    }

    /// Returns the likely callers among the askers.
    fn candidates(&mut self) -> Vec<MiAddress> {
        let is_fresh = |(_, asked): &(MiAddress, Instant)| self.now - *asked <= ASKER_LIFE;
        let Some((_, last)) = self.askers.last().copied().filter(is_fresh) else {
            self.askers.clear();
            return self.refused.take().filter(is_fresh).map(|(asker, _)| asker).into_iter().collect();
        };
        self.askers.retain(|(_, asked)| last - *asked <= TOGETHER && self.now - *asked <= ASKER_LIFE);
        let candidates: Vec<_> = self.askers.iter().map(|(asker, _)| *asker).collect();
        if candidates.len() == 1 {
            self.askers.clear();
        }
        candidates
    }

    /// Time passes: in steps to whatever is due next or, for a program that was frozen, at once.
    fn pass(&mut self, time: Duration, frozen: bool) {
        let end = self.now + time;
        while let Some(due) = self.client.poll_timeout().filter(|due| *due <= end) {
            self.now = if frozen { end } else { due.max(self.now) };
            self.timeout();
        }
        self.now = end;
    }

    fn timeout(&mut self) {
        self.client.handle_timeout(self.now);
        assert!(self.client.poll_timeout().is_none_or(|due| due > self.now), "a timeout that stays due");
        // However late it is, each request that is due is sent once, or ends.
        let (mut due, mut given_up, mut doubtful) = (Vec::new(), Vec::new(), false);
        for (id, open) in self.open.iter_mut().filter(|(_, open)| open.next <= self.now) {
            if open.left == 0 {
                given_up.push(*id);
                doubtful = true;
            } else {
                doubtful |= matches!(open.kind, LumiRequest::Locate(_)) && !open.sent_again;
                open.sent_again = true;
                open.left -= 1;
                open.next = self.now + open.interval;
                due.push(open.kind);
            }
        }
        let mut due: Vec<_> = due.into_iter().map(|kind| self.message(kind)).collect();
        for output in self.drain() {
            match output {
                LumiOutput::Transmit(message) => match due.iter().position(|due| *due == message) {
                    Some(at) => _ = due.swap_remove(at),
                    None => self.refresh(message, doubtful),
                },
                LumiOutput::Done(id, answer) => {
                    assert!(given_up.contains(&id), "{:?} is given up", self.open.get(&id));
                    let open = self.open.remove(&id).expect("it ends once");
                    let is_first = matches!(open.kind, LumiRequest::Locate(_)) && !open.asks_node;
                    assert!(answer == LumiAnswer::None || answer == LumiAnswer::PeerSilent && is_first);
                }
                LumiOutput::Registration(change) => self.registration(change),
                LumiOutput::Missed { .. } => panic!("nobody asked"),
                other => unreachable!("{other:?} is new"),
            }
        }
        assert_eq!(due, [], "not sent again");
        for id in given_up {
            let Some(open) = self.open.get_mut(&id) else { continue };
            let is_first = matches!(open.kind, LumiRequest::Locate(_)) && !open.asks_node;
            assert!(is_first && !self.wants_out, "not given up");
            (open.asks_node, open.next) = (true, self.now + open.interval);
        }
    }

    /// A message that no request asks for: only a registration that is kept, and that not often, or because
    /// requests that are not answered make it doubtful.
    fn refresh(&mut self, message: Message, doubtful: bool) {
        assert_eq!(message, self.message(LumiRequest::Register), "sent too often, or not asked for");
        assert!(!self.wants_out, "registered again");
        let interval = self.settings.schedule.interval;
        let last = self.last_refresh.filter(|last| self.now < *last + interval);
        assert!(last.is_none_or(|last| doubtful && last < self.now), "refreshed too often");
        self.last_refresh = Some(self.now);
    }

    fn registration(&mut self, change: RegistrationChange) {
        assert!(!self.wants_out, "{change:?} of who is out");
        match change {
            RegistrationChange::Lost(_) => assert_ne!(self.lost.replace(change), Some(change)),
            RegistrationChange::Regained => assert!(self.lost.take().is_some(), "it was not lost"),
            other => unreachable!("{other:?} is new"),
        }
    }

    fn message(&self, kind: LumiRequest) -> Message {
        let address = self.settings.address;
        let text = match kind {
            LumiRequest::Register if self.settings.bare => format!("PR{}", address.user()),
            LumiRequest::Register => format!("PR{address}"),
            LumiRequest::Deregister if self.settings.bare => format!("PD{}", address.user()),
            LumiRequest::Deregister => format!("PD{address}"),
            LumiRequest::Locate(to) => format!("PL{address}:{to}"),
            other => unreachable!("{other:?} is new"),
        };
        Message::decode(text.as_bytes()).expect("a message")
    }

    fn drain(&mut self) -> Vec<LumiOutput> {
        iter::from_fn(|| self.client.poll_output()).collect()
    }
}

/// How `datagram` answers a request of the user at `address`, if it does.
fn answer_of(datagram: &[u8], address: &MiAddress, kind: LumiRequest) -> Option<LumiAnswer> {
    match (kind, Message::decode(datagram)) {
        (LumiRequest::Register, Ok(Message::RegisterReply { code, .. })) => Some(LumiAnswer::Register(code)),
        (LumiRequest::Deregister, Ok(Message::DeregisterReply { code, .. })) => {
            Some(LumiAnswer::Deregister(code))
        }
        (LumiRequest::Locate(to), Ok(Message::LocateReply { locate, outcome, .. })) => {
            (locate.from == *address && locate.to == to)
                .then_some(LumiAnswer::Locate { outcome, offers_tls: false })
        }
        (LumiRequest::Locate(to), Err(error)) => {
            let names = datagram.get(3..)?.strip_prefix(format!("{address}:{to}:").as_bytes());
            names.filter(|_| datagram.starts_with(b"RL")).map(|_| LumiAnswer::Malformed(error))
        }
        _ => None,
    }
}

fn request(input: &mut Unstructured<'_>) -> Result<LumiRequest> {
    Ok(match input.int_in_range(0..=4)? {
        0 => LumiRequest::Register,
        1 => LumiRequest::Deregister,
        _ => LumiRequest::Locate(input.choose(&ADDRESSES)?.parse().expect("an address")),
    })
}

/// How a request is repeated; `None` is as it is set for all.
fn schedule(input: &mut Unstructured<'_>) -> Result<Option<RequestSchedule>> {
    let (attempts, interval) = (NonZeroU8::new(input.int_in_range(0..=7)?), *input.choose(&INTERVALS)?);
    Ok(attempts.map(|attempts| RequestSchedule::new(attempts, interval)))
}

/// A datagram that is a message, or nearly one.
fn message(input: &mut Unstructured<'_>) -> Result<String> {
    let kind = *input.choose(&KINDS)?;
    let (first, second) = (input.choose(&ADDRESSES)?, input.choose(&ADDRESSES)?);
    Ok(match kind {
        "RR0" | "RR1" | "RD0" | "RD1" => kind.to_owned(),
        "RL0" => format!("RL0{first}:{second}:127.0.0.1:4456"),
        "RL0 port" => format!("RL0{first}:{second}:127.0.0.1:0"),
        "PR" => format!("PR{first}"),
        _ => format!("{kind}{first}:{second}"),
    })
}

fn socket(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}

const LAURA: &str = "laura@bb.com";

const NODE: &str = "127.0.0.2:3344";

const SOURCES: [&str; 4] = [NODE, "127.0.0.2:3345", "127.0.0.9:3344", "127.0.0.1:0"];

const ADDRESSES: [&str; 6] =
    [LAURA, "joya@cc.com", "joya@CC.com.", "pere@bb.com", "laura@127.0.0.2", "Laura@bb.com"];

const KINDS: [&str; 12] =
    ["RR0", "PL", "RL0", "RL1", "RL2", "RL3", "RR1", "RD0", "RD1", "RL0 port", "PR", "PL"];

const TIMES: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(999),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(31),
    Duration::from_secs(60),
    Duration::from_secs(1_000),
];

const INTERVALS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_millis(100), Duration::from_millis(300)];

/// The time for which the last asker counts as the likely caller.
const ASKER_LIFE: Duration = Duration::from_secs(30);

/// The time within which all askers that got the location are likely callers.
const TOGETHER: Duration = Duration::from_secs(10);

/// How long a refusal that the user was told of is no news.
const MISSED_EVERY: Duration = Duration::from_secs(60);
