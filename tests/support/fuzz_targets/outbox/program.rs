//! A program that delivers, and the effects that it carries out. It can be killed before and after each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use mi_agent_core::{
    Finished, ItemId, ItemState, MiAddress, OutboxError, OutboxItem, OutboxOutput, OutboxState, OutboxTime,
    Security, Tried, Written, may_forget, may_resend,
};

use super::World;
use super::peers::{Call, Mood};

/// A run of the program that delivers.
pub(super) struct Program {
    pub(super) outbox: OutboxState,
    /// The users about whom a question is under way.
    questions: Vec<MiAddress>,
    calls: BTreeMap<MiAddress, Call>,
}

impl Program {
    pub(super) fn new(own: MiAddress, is_quiet: bool, items: &[OutboxItem]) -> Self {
        let waiting = items.iter().filter(|item| !item.state.is_last()).cloned();
        Self {
            outbox: OutboxState::new(own, is_quiet, waiting),
            questions: Vec::new(),
            calls: BTreeMap::new(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<OutboxTime> {
        self.outbox.poll_timeout()
    }
}

impl World {
    /// Carries out what the program wants, unless it is killed meanwhile.
    pub(super) fn drain(&mut self, input: &mut Unstructured<'_>) {
        while let Some(output) = self.program.as_mut().and_then(|program| program.outbox.poll_output()) {
            if is_killed(input) {
                return self.dies();
            }
            match output {
                OutboxOutput::Save(item) => {
                    if item.state == ItemState::Trying {
                        self.laws.is_in_order(&item, self.now, &self.disk);
                    }
                    let is_saved = self.saves(&item, input);
                    if is_killed(input) {
                        return self.dies();
                    }
                    self.confirms(&item, is_saved);
                }
                OutboxOutput::Try(user) => {
                    let program = self.program.as_mut().expect("it runs");
                    assert!(!program.questions.contains(&user), "{user} is asked for twice");
                    self.laws.tries(user, self.now, program.questions.len());
                    program.questions.push(user);
                }
                OutboxOutput::Write(item) => {
                    self.laws.hands_out(&item, &self.disk);
                    let call = self.call(&item.to).expect("there is a conversation");
                    assert!(call.strength >= item.needs, "{item:?} has too little protection");
                    assert!(call.writing.is_none() && !call.is_finishing, "it is not its turn");
                    call.writing = Some(item);
                }
                OutboxOutput::Finish(user) => self.call(&user).expect("there is one").is_finishing = true,
                OutboxOutput::Report(item) => self.laws.reports(&item),
                output => panic!("{output:?} is new"),
            }
        }
    }

    /// Changes a message on the disk, under the lock. What another program has dropped stays dropped.
    fn saves(&mut self, item: &OutboxItem, input: &mut Unstructured<'_>) -> bool {
        let stored =
            self.disk.items.iter_mut().find(|stored| stored.id == item.id).expect("its id was printed");
        let is_late =
            stored.state.is_last() || item.state == ItemState::Trying && stored.state != ItemState::Queued;
        // What could not be flushed may be there all the same.
        let is_there = !self.disk.is_full || input.ratio(1, 3).unwrap_or_default();
        self.disk.has_refused |= self.disk.is_full;
        if !is_late && is_there {
            self.laws.saves(stored, item, self.now);
            stored.state = item.state;
        }
        !is_late && !self.disk.is_full
    }

    /// Reports to the program what has come of a change. A message that is about to be sent waits for it.
    fn confirms(&mut self, item: &OutboxItem, is_saved: bool) {
        if item.state == ItemState::Trying
            && let Some(call) = self.call(&item.to)
        {
            call.saved = Some((item.id, is_saved));
        } else if let Some(program) = &mut self.program {
            program.outbox.handle_saved(item.to, item.id, is_saved);
        }
    }

    /// Ends the question about a peer, as that peer and its node would.
    pub(super) fn answers(&mut self, peer: usize, input: &mut Unstructured<'_>) {
        let (address, mood, strength) =
            (self.peers[peer].address, self.peers[peer].mood, self.peers[peer].strength);
        let Some(program) = &mut self.program else { return };
        let Some(at) = program.questions.iter().position(|user| *user == address) else { return };
        if mood == Mood::Silent {
            self.passes(Duration::from_secs(10), input);
        }
        let Some(program) =
            self.program.as_mut().filter(|program| program.questions.get(at) == Some(&address))
        else {
            return;
        };
        program.questions.remove(at);
        let knows_peer = peer.is_multiple_of(2);
        self.laws.ends_question(address, self.now, mood, knows_peer);
        match mood {
            Mood::There => self.talks(address, strength, input),
            Mood::Offline => self.fails(address, Tried::Offline, knows_peer, input),
            Mood::Busy => self.fails(address, Tried::Busy, knows_peer, input),
            Mood::NoUser => self.fails(address, Tried::NoSuchUser, knows_peer, input),
            Mood::Silent => self.fails(address, Tried::Silent, knows_peer, input),
        }
    }

    fn fails(&mut self, user: MiAddress, tried: Tried, knows_peer: bool, input: &mut Unstructured<'_>) {
        self.act(input, |program, now| program.outbox.handle_failed(now, user, tried, knows_peer));
    }

    /// Begins a conversation that the user wants, or the peer.
    pub(super) fn begins(&mut self, peer: usize, input: &mut Unstructured<'_>) -> Result<()> {
        self.peers[peer].strength = *input.choose(&Security::ALL[1..])?;
        self.talks(self.peers[peer].address, self.peers[peer].strength, input);
        Ok(())
    }

    fn talks(&mut self, user: MiAddress, strength: Security, input: &mut Unstructured<'_>) {
        let Some(program) = &mut self.program else { return };
        let had = program.calls.contains_key(&user);
        program.questions.retain(|asked| *asked != user);
        self.laws.talks(user);
        if program.outbox.handle_begun(self.now, user, strength) {
            assert!(!had, "there is a conversation with {user} already");
            program.calls.insert(user, Call::new(strength));
        }
        self.drain(input);
    }

    /// Takes a conversation one step on: a message goes, the peer hangs up, the connection breaks.
    pub(super) fn carries_on(&mut self, peer: usize, input: &mut Unstructured<'_>) -> Result<()> {
        let user = self.peers[peer].address;
        let chance = input.int_in_range(0..=15)?;
        let Some(call) = self.call(&user) else { return Ok(()) };
        match chance {
            // It breaks before the message that is being sent has begun, or after.
            0 => self.over(user, Finished::Broken, input),
            1 => {
                if let Some(item) = call.writing.take() {
                    self.laws.begins(&item);
                    if input.arbitrary()? {
                        self.laws.arrives(item.id);
                    }
                    self.act(input, |program, now| {
                        program.outbox.handle_written(now, user, item.id, Written::Part);
                    });
                }
                self.over(user, Finished::Broken, input);
            }
            // The peer ends in order. What was not sent before is not sent.
            2 => {
                if let Some(item) = call.writing.take() {
                    self.act(input, |program, now| {
                        program.outbox.handle_written(now, user, item.id, Written::Nothing);
                    });
                }
                self.over(user, Finished::Answered, input);
            }
            _ => self.goes_on(user, input),
        }
        Ok(())
    }

    /// Takes a conversation one step on in which all goes well.
    fn goes_on(&mut self, user: MiAddress, input: &mut Unstructured<'_>) {
        let Some(call) = self.call(&user) else { return };
        if let Some((id, is_saved)) = call.saved.take() {
            return self.act(input, |program, _| program.outbox.handle_saved(user, id, is_saved));
        }
        let is_finishing = call.is_finishing;
        if let Some(item) = call.writing.take() {
            self.laws.begins(&item);
            self.laws.arrives(item.id);
            self.act(input, |program, now| program.outbox.handle_written(now, user, item.id, Written::All));
        } else if is_finishing {
            self.over(user, Finished::Answered, input);
        } else {
            panic!("the outbox holds a conversation with {user}, and does nothing");
        }
    }

    /// Takes the conversation with a peer to a good end.
    pub(super) fn ends_well(&mut self, peer: usize, input: &mut Unstructured<'_>) {
        let user = self.peers[peer].address;
        while self.call(&user).is_some() {
            self.goes_on(user, input);
        }
    }

    fn over(&mut self, user: MiAddress, finished: Finished, input: &mut Unstructured<'_>) {
        let is_over = self.program.as_mut().is_some_and(|program| program.calls.remove(&user).is_some());
        if is_over {
            self.act(input, |program, now| program.outbox.handle_finished(now, user, finished));
        }
    }

    /// Drops a message: in the program that delivers, or in another one, which goes by the disk.
    pub(super) fn forgets(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let Some(id) = self.any(input)? else { return Ok(()) };
        if input.arbitrary()? && self.program.is_some() {
            let program = self.program.as_mut().expect("it runs");
            match program.outbox.forget(self.now, id) {
                Ok(()) => self.laws.forgets(id),
                Err(OutboxError::BeingDelivered) => {}
                Err(error) => assert!(self.disk.has_refused || self.disk.unseen.contains(&id), "{error}"),
            }
            self.drain(input);
        } else {
            self.changes(id, may_forget, ItemState::Forgotten, input);
        }
        Ok(())
    }

    /// Sends a message again, in either program.
    pub(super) fn sends_again(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let Some(id) = self.any(input)? else { return Ok(()) };
        if input.arbitrary()? && self.program.is_some() {
            let to = self.disk.items.iter().find(|item| item.id == id).expect("it is there").to;
            let program = self.program.as_mut().expect("it runs");
            if program.outbox.resend(self.now, id).is_ok() {
                self.laws.sends_again(id, to, self.now);
            }
            self.drain(input);
        } else {
            self.changes(id, may_resend, ItemState::Queued, input);
        }
        Ok(())
    }

    /// Changes the disk as another program, which then tells the one that delivers.
    fn changes(
        &mut self,
        id: ItemId,
        may: fn(&OutboxItem) -> std::result::Result<(), OutboxError>,
        state: ItemState,
        input: &mut Unstructured<'_>,
    ) {
        let item = self.disk.items.iter_mut().find(|item| item.id == id).expect("it is there");
        if self.disk.is_full || may(item).is_err() {
            return;
        }
        match state {
            ItemState::Forgotten => self.laws.forgets(id),
            _ => self.laws.sends_again(id, item.to, self.now),
        }
        item.state = state;
        self.disk.unseen.push_back(id);
        if input.ratio(3, 4).unwrap_or(true) {
            self.looks(input);
        }
    }

    /// Any message after which something comes.
    fn any(&self, input: &mut Unstructured<'_>) -> Result<Option<ItemId>> {
        let waiting: Vec<_> = self.disk.items.iter().filter(|item| !item.state.is_last()).collect();
        if waiting.is_empty() {
            return Ok(None);
        }
        input.choose(&waiting).map(|item| Some(item.id))
    }

    fn call(&mut self, user: &MiAddress) -> Option<&mut Call> {
        self.program.as_mut()?.calls.get_mut(user)
    }

    /// Sees that the program knows what is on the disk, unless the disk has refused something.
    pub(super) fn agrees(&self) {
        let Some(program) = self.program.as_ref().filter(|_| !self.disk.has_refused) else { return };
        let unsaved = |id: &ItemId| program.calls.values().any(|call| call.saved == Some((*id, false)));
        let is_seen = |id: &ItemId| !self.disk.unseen.contains(id) && !unsaved(id);
        let known = program.outbox.items().filter(|item| is_seen(&item.id));
        let known: BTreeMap<ItemId, ItemState> = known.map(|item| (item.id, item.state)).collect();
        let stored = self.disk.items.iter().filter(|item| !item.state.is_last() && is_seen(&item.id));
        let stored: BTreeMap<ItemId, ItemState> = stored.map(|item| (item.id, item.state)).collect();
        let differ = |one: &BTreeMap<ItemId, ItemState>, other: &BTreeMap<ItemId, ItemState>| {
            one.iter().find(|(id, state)| other.get(id) != Some(state)).map(|(id, state)| (*id, *state))
        };
        let (known_only, stored_only) = (differ(&known, &stored), differ(&stored, &known));
        assert_eq!(known_only, None, "the disk has {stored_only:?}");
        assert_eq!(stored_only, None, "the program does not know that");
        let idle =
            stored.iter().filter(|(id, state)| **state == ItemState::Trying && !program.delivers(**id));
        assert_eq!(idle.count(), 0, "nobody delivers what is being delivered");
    }
}

impl Program {
    /// Returns whether a conversation can carry this message.
    fn delivers(&self, id: ItemId) -> bool {
        let item = self.outbox.items().find(|item| item.id == id);
        item.is_some_and(|item| self.calls.contains_key(&item.to))
    }
}

/// Kills happen now and then, and not at the end of an input.
fn is_killed(input: &mut Unstructured<'_>) -> bool {
    input.arbitrary::<u8>().is_ok_and(|chance| chance == 0xdd)
}
