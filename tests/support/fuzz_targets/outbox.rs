//! An outbox, the programs that share it, and everything that can end them.

mod laws;
mod peers;
mod program;

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use mi_agent_core::{DEFAULT_KEEP, ItemId, MAX_ITEM, MiAddress, OutboxItem, OutboxTime, Security};

use self::laws::Laws;
use self::peers::{Mood, Peer};
use self::program::Program;

/// The first byte is a setting. What follows are steps: messages, orders of two programs, time, peers that come,
/// go, answer and hang up, a full disk, and a program that is killed between any two effects.
///
/// A message whose id was printed stays until it is sent, expired, denied or forgotten. Nothing reaches a peer
/// twice that the user has not sent again, too early, too late, out of its order or with too little protection.
/// What is called sent has arrived. Peers are asked no more often than they may be. In the end the peers are
/// there, and everything leaves.
///
/// # Panics
/// If it is not so.
pub fn outbox(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let is_quiet = input.arbitrary().unwrap_or_default();
    let mut world = World::new(is_quiet);
    world.start(&mut input);
    while !input.is_empty() && world.step(&mut input).is_ok() {
        world.agrees();
    }
    world.heals();
}

/// Runs [`outbox`] on the steps that belong to a seed.
///
/// # Panics
/// As [`outbox`] does.
pub fn outbox_of_seed(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut steps = vec![0; random.usize(..MAX_STEPS)];
    random.fill(&mut steps);
    outbox(&steps);
}

/// A sender, its disk and its peers.
struct World {
    now: OutboxTime,
    is_quiet: bool,
    /// `None` between two runs.
    program: Option<Program>,
    disk: Disk,
    peers: Vec<Peer>,
    laws: Laws,
    /// The number of messages so far.
    written: u64,
}

/// What survives a program.
#[derive(Default)]
struct Disk {
    items: Vec<OutboxItem>,
    is_full: bool,
    /// The messages that another program has changed, and the one that delivers has not looked at.
    unseen: VecDeque<ItemId>,
    /// A change was refused since the program began, so that the program may know better than the disk.
    has_refused: bool,
}

impl World {
    fn new(is_quiet: bool) -> Self {
        let peers: Vec<_> = PEERS.iter().map(|address| Peer::new(address)).collect();
        Self {
            now: OutboxTime(1_000_000_000),
            is_quiet,
            program: None,
            disk: Disk::default(),
            laws: Laws::new(is_quiet),
            peers,
            written: 0,
        }
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let peer = input.choose_index(self.peers.len())?;
        match input.int_in_range(0..=18)? {
            0 => self.passes(Duration::from_millis(input.int_in_range(0..=20_000)?), input),
            1 => self.passes(Duration::from_secs(input.int_in_range(0..=600)?), input),
            2 => self.passes(Duration::from_secs(60 * input.int_in_range(0..=90_u64)?), input),
            3 | 4 => self.leaves_message(peer, input)?,
            5 => self.forgets(input)?,
            6 => self.sends_again(input)?,
            7 => self.shows_life(peer, input),
            8 => self.retries(input),
            9 => self.peers[peer].mood = *input.choose(&Mood::ALL)?,
            10..=12 => self.answers(peer, input),
            13 | 14 => self.carries_on(peer, input)?,
            15 => self.begins(peer, input)?,
            16 if input.ratio(1, 4)? => self.dies(),
            16 => self.start(input),
            17 => self.registers(input)?,
            _ => {
                self.disk.is_full = input.ratio(1, 4)?;
                self.looks(input);
            }
        }
        Ok(())
    }

    /// Lets time pass, as a program would: it is woken when it wants to be.
    fn passes(&mut self, time: Duration, input: &mut Unstructured<'_>) {
        let until = self.now + time;
        while let Some(next) =
            self.program.as_ref().and_then(Program::poll_timeout).filter(|next| *next <= until)
        {
            self.now = self.now.max(next);
            self.act(input, |program, now| program.outbox.handle_timeout(now));
            let next = self.program.as_ref().and_then(Program::poll_timeout);
            assert!(next.is_none_or(|next| next > self.now), "it is woken for nothing");
        }
        self.now = until;
    }

    /// Puts a message on the disk, under the lock, as any program does, and then tells the one that delivers.
    fn leaves_message(&mut self, peer: usize, input: &mut Unstructured<'_>) -> Result<()> {
        let is_own = input.arbitrary()?;
        let count = if input.ratio(1, 64)? { 250 } else { 1 };
        let keep = *input.choose(&[Duration::ZERO, DEFAULT_KEEP, Duration::MAX])?;
        let needs =
            *input.choose(&[Security::Off, Security::Off, Security::Encrypted, Security::Verified])?;
        for _ in 0..count {
            self.written += 1;
            let text = match input.ratio(1, 64)? {
                true => String::new(),
                false if input.ratio(1, 64)? => {
                    "x".repeat(MAX_ITEM + usize::from(input.arbitrary::<bool>()?))
                }
                false => format!("message {}", self.written),
            };
            let mut item = OutboxItem::new(self.peers[peer].address, text, self.now, keep);
            (item.id, item.needs) = (ItemId(self.written), needs);
            if !self.laws.may_put(&own(), &self.disk.items, &item) || self.disk.is_full {
                continue;
            }
            self.disk.items.push(item.clone());
            self.laws.put(&item);
            let Some(program) = &mut self.program else { continue };
            if is_own {
                self.laws.learns(item.id);
                program.outbox.put(self.now, item);
            } else {
                self.disk.unseen.push_back(item.id);
            }
            self.drain(input);
        }
        if input.ratio(3, 4)? {
            self.looks(input);
        }
        Ok(())
    }

    fn registers(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let is_registered = input.ratio(3, 4)?;
        self.laws.registers(is_registered.then_some(self.now));
        self.act(input, |program, now| match is_registered {
            true => program.outbox.handle_registered(now),
            false => program.outbox.handle_unregistered(),
        });
        Ok(())
    }

    fn shows_life(&mut self, peer: usize, input: &mut Unstructured<'_>) {
        let address = self.peers[peer].address;
        self.laws.sign(address, self.now);
        self.act(input, |program, now| program.outbox.handle_sign_of_life(now, address));
    }

    fn retries(&mut self, input: &mut Unstructured<'_>) {
        self.peers.iter().for_each(|peer| self.laws.retry(peer.address, self.now));
        self.act(input, |program, now| program.outbox.handle_retry(now));
    }

    /// Begins a run with what is on the disk.
    fn start(&mut self, input: &mut Unstructured<'_>) {
        if self.program.is_none() {
            self.disk.has_refused = false;
            self.disk.unseen.clear();
            self.laws.starts(&self.disk.items);
            self.program = Some(Program::new(own(), self.is_quiet, &self.disk.items));
            self.drain(input);
            self.laws.registers(self.program.is_some().then_some(self.now));
            self.act(input, |program, now| program.outbox.handle_registered(now));
        }
    }

    /// Kills the program. Whatever it has sent arrives, or does not.
    fn dies(&mut self) {
        self.program = None;
        self.laws.registers(None);
    }

    /// Looks at what another program has changed since the last time.
    fn looks(&mut self, input: &mut Unstructured<'_>) {
        while let Some(id) = self.disk.unseen.pop_front() {
            let item = self.disk.items.iter().find(|item| item.id == id).expect("it is there").clone();
            self.laws.learns(id);
            self.act(input, |program, now| program.outbox.handle_changed(now, item));
        }
    }

    /// Lets the program do something, and then carries out what it wants.
    fn act(&mut self, input: &mut Unstructured<'_>, action: impl FnOnce(&mut Program, OutboxTime)) {
        if let Some(program) = &mut self.program {
            action(program, self.now);
            self.drain(input);
        }
    }

    /// Makes everything well, waits, and sees that nothing is left.
    fn heals(&mut self) {
        let none = &mut Unstructured::new(&[]);
        self.disk.is_full = false;
        for peer in &mut self.peers {
            (peer.mood, peer.strength) = (Mood::There, Security::Verified);
        }
        self.dies();
        self.start(none);
        for _ in 0..HEALED_ROUNDS {
            for peer in 0..self.peers.len() {
                self.shows_life(peer, none);
                self.answers(peer, none);
                self.ends_well(peer, none);
            }
            self.passes(Duration::from_secs(31), none);
        }
        self.agrees();
        let waiting: Vec<_> = self.disk.items.iter().filter(|item| laws::is_under_way(item.state)).collect();
        assert!(waiting.is_empty(), "the peers are there, and these wait: {waiting:#?}");
        self.passes(Duration::from_secs(31 * 24 * 60 * 60), none);
        let left: Vec<_> = self.disk.items.iter().filter(|item| !item.state.is_last()).collect();
        assert!(left.is_empty(), "nothing is kept for so long: {left:#?}");
        let program = self.program.as_ref().expect("it runs");
        assert_eq!(program.outbox.items().count(), 0);
        assert_eq!(program.poll_timeout(), None, "nothing waits");
    }
}

fn own() -> MiAddress {
    "laura@bb.com".parse().expect("an address")
}

/// More than are tried at a time, of the user's own domain and of others.
const PEERS: [&str; 6] =
    ["pere@bb.com", "anna@bb.com", "joya@cc.com", "maria@cc.com", "joan@dd.com", "laura@dd.com"];

/// Six peers of whom four are asked at a time, and 20 signs of life of each that count in an hour.
const HEALED_ROUNDS: usize = 300;

/// The bytes of the steps of a seed: enough for some hundred of them.
const MAX_STEPS: usize = 4_096;
