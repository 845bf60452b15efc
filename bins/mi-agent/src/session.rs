//! A running agent: it registers, calls, converses, stores history, and leaves. Each front end has one.
//!
//! A session knows no screen and no stdin. It makes every decision that does not depend on them:
//!
//! ```text
//!  keys, lines, JSON ──► front end ──Wish──► Session ──Happened──► front end ──► pixels, lines, JSON
//! ```
//!
//! The state changes before [`Session::next`] returns an event. A front end that is interrupted while it
//! shows one loses what it shows, and nothing else.

mod calls;
mod happened;
mod key_wishes;
mod keys;
mod leaving;
mod phase;
pub(crate) mod post;
mod posting;
mod refusals;
mod retry;

use std::collections::{BTreeMap, VecDeque};
use std::future;
use std::io;
use std::mem;
use std::time::Duration;

use mi_agent_core::{
    Admission, Agent, AgentBuilder, CallError, Conversation, ConversationError, ConversationId,
    Conversations, DeregisterError, Event, Events, Heard, MessageCounts, PeerText, Refusal, StartError,
};
use plumi_proto::MiAddress;
use tokio::time::Instant;

use self::calls::Calls;
use self::key_wishes::{KeyWish, KeyWishes};
use self::phase::{Outcome, Phase};
use self::post::Post;
use self::refusals::Refusals;
use self::retry::Retry;
use crate::guests::{Guests, LeftGuest};
use crate::signals::{LAST_WORDS, reached};
use crate::store::keeper::{Keeper, KeeperEvent};
use crate::store::lock::AddressLock;

pub(crate) use self::calls::CallId;
pub(crate) use self::happened::{ChangedKeys, Done, End, Happened, Leave, Refused, Wish, of_gave_way};

/// An agent, from the beginning of its registration to the end of its deregistration.
///
/// If it is dropped before that, it gives up the registration, or deregisters in the background.
pub(crate) struct Session {
    phase: Phase,
    /// Set if a node that is not there at the start is waited for.
    retry: Option<Retry>,
    /// The agent, from its registration on.
    agent: Option<(Agent, Events)>,
    calls: Calls,
    key_wishes: KeyWishes,
    conversations: Conversations,
    /// The other side of each conversation, until the end of it has been returned.
    peers: BTreeMap<ConversationId, Peer>,
    refusals: Refusals,
    /// The store of contacts and history; `None` if nothing is kept.
    keeper: Option<Keeper>,
    /// An admission that was set while there was no agent.
    admission: Option<Admission>,
    /// The lock of the address, with each `send` that uses the address meanwhile.
    guests: Option<Guests>,
    leaving: Option<Leave>,
    /// The time until which the session waits for anybody, once it leaves in a hurry.
    hurried_until: Option<Instant>,
    /// The time until which peers are waited for while a user wants to leave.
    waits_until: Option<Instant>,
    /// Messages for users who are not there.
    post: Post,
    /// Events that have happened already, still to be returned: lines that are not sent because the user leaves,
    /// and the first line of a peer who got messages.
    to_return: VecDeque<Happened>,
}

struct Peer {
    nickname: PeerText,
    address: Option<MiAddress>,
    /// The end of the conversation, if it ends as things are.
    end: End,
}

impl Session {
    /// Begins to register, once [`Session::next`] is called. Contacts and history go to `keeper`.
    pub(crate) fn start(builder: AgentBuilder, keeper: Option<Keeper>) -> Self {
        Self {
            phase: Phase::starting(builder),
            retry: None,
            agent: None,
            calls: Calls::default(),
            key_wishes: KeyWishes::default(),
            conversations: Conversations::new().with_handed_over().with_last_words_within(LAST_WORDS_OF_PEER),
            peers: BTreeMap::new(),
            refusals: Refusals::default(),
            keeper,
            admission: None,
            guests: None,
            leaving: None,
            hurried_until: None,
            waits_until: None,
            post: Post::default(),
            to_return: VecDeque::new(),
        }
    }

    /// Does the same as [`Session::start`], but waits for a node that is not there: it does not answer, or is
    /// not found.
    pub(crate) fn start_patiently(builder: AgentBuilder, keeper: Option<Keeper>) -> Self {
        Self { retry: Some(Retry::new(builder.clone())), ..Self::start(builder, keeper) }
    }

    /// Begins to register again after [`Happened::NotStarted`], and waits for the node like
    /// [`Session::start_patiently`].
    pub(crate) fn start_over(&mut self, builder: AgentBuilder) {
        self.retry = Some(Retry::new(builder.clone()));
        self.phase = Phase::starting(builder);
    }

    /// Keeps `lock` as long as this lives. The agent registers again after each `send` that used the address.
    pub(crate) fn with_lock(self, lock: Option<AddressLock>) -> Self {
        Self { guests: lock.map(Guests::of), ..self }
    }

    /// Returns the next event. Never ready after [`Happened::NotStarted`] or [`Happened::Left`]. Cancel safe.
    pub(crate) async fn next(&mut self) -> Happened {
        if matches!(self.phase, Phase::Over) {
            return future::pending().await;
        }
        loop {
            if let Some(happened) = self.to_return.pop_front().or_else(|| self.proceed()) {
                return happened;
            }
            let happened = tokio::select! {
                outcome = self.phase.outcome() => self.came_of(outcome),
                Some(event) = next_event(&mut self.agent) => self.event(event),
                (id, heard) = self.conversations.next() => self.heard(id, heard),
                (call, to, outcome) = self.calls.next() => Some(self.called(call, to, outcome)),
                answer = self.key_wishes.next() => Some(Happened::Answered(answer)),
                event = next_kept(&mut self.keeper) => Some(event.into()),
                event = self.post.next() => Some(self.posted(event)),
                left = next_left(&mut self.guests) => {
                    self.guest_left(left);
                    None
                }
                () = reached(self.waits_until) => {
                    self.waits_no_more();
                    None
                }
            };
            if let Some(happened) = happened {
                return happened;
            }
        }
    }

    /// Carries out a wish of the front end.
    ///
    /// # Errors
    /// The wish is refused, and nothing has changed. [`Refused::NotKept`]: it is carried out and not kept.
    pub(crate) fn carry_out(&mut self, wish: Wish) -> Result<Done, Refused> {
        match wish {
            Wish::Call(to) => return self.call(to),
            Wish::GiveUp(call) => self.calls.give_up(call),
            Wish::Say { id, text } => {
                if !self.peers.contains_key(&id) {
                    return Err(Refused::NoConversation);
                }
                self.conversations.say(id, &text).map_err(Refused::NotSaid)?;
                return Ok(Done::Queued { waiting: self.conversations.waiting(id) });
            }
            Wish::HangUp(id) if !self.hang_up(id) => return Err(Refused::NoConversation),
            Wish::HangUp(_) => {}
            Wish::SetAdmission(admission) => {
                match &self.agent {
                    Some((agent, _)) => agent.set_admission(admission.clone()),
                    None => self.admission = Some(admission.clone()),
                }
                self.keep(|keeper| keeper.save_admission(admission))?;
            }
            Wish::SaveContacts(contacts) => self.keep(|keeper| keeper.save_contacts(contacts))?,
            Wish::Remember { talk, entry } => self.keep(|keeper| keeper.remember(talk, entry))?,
            Wish::OwnWords => return keys::own_words(self.open_agent()?),
            Wish::Verify { address, words } => return self.change_keys(KeyWish::Verify { address, words }),
            Wish::Trust(address) => return self.change_keys(KeyWish::Trust(address)),
            Wish::PermitPlain(address) => self.open_agent()?.permit_plain(address),
            Wish::Post(wish) => return self.post.ask(wish).map(Done::Posting).ok_or(Refused::NotNow),
            Wish::Recall(peer) => self.keep(|keeper| keeper.recall(peer))?,
            Wish::RecallMore { peer, before } => self.keep(|keeper| keeper.recall_more(peer, before))?,
            Wish::Find { peer, text } => self.keep(|keeper| keeper.find(peer, text))?,
        }
        Ok(Done::AtOnce)
    }

    /// Sets whether the user looks at the state of the registration.
    pub(crate) fn set_watched(&self, is_watched: bool) {
        if let Some((agent, _)) = &self.agent {
            agent.set_watched(is_watched);
        }
    }

    /// Returns the number of PLUMI messages, once the user is registered.
    pub(crate) fn messages(&self) -> Option<MessageCounts> {
        self.agent.as_ref().map(|(agent, _)| agent.messages())
    }

    /// Returns the number of lines that wait to be sent, for each conversation.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (ConversationId, usize)> {
        self.conversations.ids().map(|id| (id, self.conversations.waiting(id)))
    }

    /// Waits until everything is kept: for [`DISK_PATIENCE`] at most, or in a hurry until its end and
    /// [`LAST_WORDS`].
    ///
    /// # Errors
    /// The disk takes longer.
    pub(crate) fn finish(self) -> io::Result<()> {
        let limit = self
            .hurried_until
            .map_or(DISK_PATIENCE, |until| until.saturating_duration_since(Instant::now()) + LAST_WORDS);
        let begun = Instant::now();
        self.key_wishes.finish(limit)?;
        let limit = limit.saturating_sub(begun.elapsed());
        self.keeper.map_or(Ok(()), |keeper| keeper.finish(limit))
    }

    fn call(&mut self, to: MiAddress) -> Result<Done, Refused> {
        let agent = self.open_agent()?.clone();
        // The key that answers may be one that is to be trusted.
        let settled = self.key_wishes.settled();
        self.calls.begin(&agent, to, settled).map(Done::Calling).ok_or(Refused::TooManyCalls)
    }

    fn change_keys(&mut self, wish: KeyWish) -> Result<Done, Refused> {
        let agent = self.open_agent()?.clone();
        self.key_wishes.give(&agent, wish)
    }

    fn open_agent(&self) -> Result<&Agent, Refused> {
        match (&self.phase, &self.agent) {
            (Phase::Open, Some((agent, _))) => Ok(agent),
            _ => Err(Refused::NotNow),
        }
    }

    fn keep(&mut self, keep: impl FnOnce(&mut Keeper) -> Result<(), &'static str>) -> Result<(), Refused> {
        self.keeper.as_mut().map_or(Ok(()), keep).map_err(Refused::NotKept)
    }

    /// Takes the steps that follow from the state alone.
    fn proceed(&mut self) -> Option<Happened> {
        match mem::replace(&mut self.phase, Phase::Over) {
            Phase::HangingUp { last }
                if self.peers.keys().all(|&id| Some(id) > last) && self.key_wishes.is_empty() =>
            {
                self.deregister(None);
            }
            Phase::HearingOut { deregistered, .. } if self.conversations.is_empty() => {
                return Some(Happened::Left(deregistered));
            }
            other => self.phase = other,
        }
        None
    }

    fn came_of(&mut self, outcome: Outcome) -> Option<Happened> {
        match outcome {
            Outcome::Started(Ok((agent, events))) => {
                if let Some(admission) = self.admission.take() {
                    agent.set_admission(admission);
                }
                let started = Happened::Started { node: agent.node(), listening: agent.listening() };
                self.post.open(&agent);
                self.agent = Some((agent, events));
                self.phase = Phase::Open;
                // The node may have answered before the start was interrupted.
                if let Some(how) = self.leaving {
                    self.leave(how);
                }
                Some(started)
            }
            Outcome::Started(Err(error)) => Some(self.not_started(error)),
            Outcome::StartAgain => {
                self.start_again();
                None
            }
            Outcome::Deregistered(deregistered) => {
                let deregistered = self.unless_a_guest_is_registered(deregistered);
                let until = match self.phase {
                    Phase::Deregistering { hurried_until: Some(until), .. } => until,
                    // The agent has ended the conversations, so their ends are ready to be returned.
                    _ => Instant::now() + LAST_WORDS,
                };
                self.phase = Phase::HearingOut { deregistered, until };
                None
            }
            Outcome::HeardOut => {
                self.conversations = Conversations::new();
                None
            }
        }
    }

    fn not_started(&mut self, error: StartError) -> Happened {
        let retry = self.retry.as_mut().filter(|_| self.leaving.is_none());
        match retry.and_then(|retry| Some((retry.next_pause(&error)?, retry.is_news(&error)))) {
            Some((pause, is_news)) => {
                self.phase = Phase::Waiting { until: Instant::now() + pause };
                Happened::StartDelayed { error, pause, is_news }
            }
            None => {
                self.phase = Phase::Over;
                Happened::NotStarted(error)
            }
        }
    }

    /// Registers again, or ends at once if the session leaves.
    fn start_again(&mut self) {
        let Some(retry) = &self.retry else { return };
        let builder = retry.builder();
        self.phase = Phase::starting(builder);
        if let (Phase::Starting { interrupt, .. }, Some(_)) = (&mut self.phase, self.leaving) {
            *interrupt = None;
        }
    }

    fn event(&mut self, event: Event) -> Option<Happened> {
        self.post.note(&event);
        Some(match event {
            // An error: the caller has left, or the agent ends.
            Event::Incoming(incoming) => self.begin(incoming.accept().ok()?, None),
            Event::Refused { nickname, remote, address, reason } => {
                let is_news = self.refusals.called(address, reason);
                let keys = match (reason, &self.agent) {
                    (Refusal::KeyChanged(whose), Some((agent, _))) => keys::changed(agent, &whose),
                    _ => None,
                };
                Happened::Refused { nickname, remote, address, reason, keys, is_news }
            }
            Event::GaveWay { callers } => Happened::GaveWay { callers },
            Event::Missed { from, reason } => {
                Happened::Missed { from, reason, is_news: self.refusals.asked(from, reason) }
            }
            Event::RegistrationLost { reason } => Happened::RegistrationLost(reason),
            Event::RegistrationRegained => {
                let (agent, _) = self.agent.as_ref()?;
                Happened::RegistrationRegained { node: agent.node() }
            }
            Event::Unproved { since } => Happened::Unproved { since },
            Event::Moved(now) => Happened::Moved { node: now.node, listening: now.listening },
            _ => return None,
        })
    }

    fn called(&mut self, call: CallId, to: MiAddress, outcome: Result<Conversation, CallError>) -> Happened {
        match outcome {
            Ok(conversation) => self.begin(conversation, Some(call)),
            Err(error) => Happened::CallFailed { call, to, error },
        }
    }

    fn begin(&mut self, conversation: Conversation, call: Option<CallId>) -> Happened {
        let peer = conversation.peer().clone();
        self.post.note_user(peer.address);
        let id = self.conversations.add(conversation);
        self.peers
            .insert(id, Peer { nickname: peer.nickname.clone(), address: peer.address, end: End::ByPeer });
        if self.is_leaving() {
            self.hang_up(id);
        }
        Happened::Begun { id, peer, call }
    }

    fn heard(&mut self, id: ConversationId, heard: Heard) -> Option<Happened> {
        let peer = self.peers.get_mut(&id)?;
        let nickname = peer.nickname.clone();
        Some(match heard {
            Heard::Trouble(error) if error.is_about_key() => {
                Happened::KeyRefused { id, nickname, to: peer.address }
            }
            // Any other refusal is shown as it came: as the last line of the peer.
            Heard::Line(text) | Heard::Trouble(ConversationError::Refused(text)) => {
                Happened::Line { id, nickname, text }
            }
            Heard::Trouble(ConversationError::GaveWay(reason)) => {
                peer.end = End::GaveWay(reason);
                return None;
            }
            Heard::Trouble(error) => {
                if matches!(error, ConversationError::Lost(_)) {
                    peer.end = End::Lost;
                }
                Happened::ConversationFailed { id, nickname, error }
            }
            Heard::HandedOver => Happened::HandedOver(id),
            Heard::Ended { unsaid } => {
                let end = peer.end;
                self.peers.remove(&id);
                Happened::Ended { id, nickname, end, unsaid }
            }
            _ => return None,
        })
    }

    /// Registers again after a guest, unless the session is about to deregister: then the guest does that.
    fn guest_left(&self, guest: LeftGuest) {
        if let (Phase::Open | Phase::HangingUp { .. }, Some((agent, _))) = (&self.phase, &self.agent) {
            agent.register_again();
            guest.let_go();
        }
    }

    /// Takes a refusal by the node for a success if the user is registered by a guest, which deregisters
    /// later.
    fn unless_a_guest_is_registered(
        &self,
        deregistered: Result<(), DeregisterError>,
    ) -> Result<(), DeregisterError> {
        let has_guests = self.guests.as_ref().is_some_and(|guests| !guests.is_empty());
        deregistered.or_else(|error| {
            if has_guests && error == DeregisterError::NoSuchUser { Ok(()) } else { Err(error) }
        })
    }

    /// Ends a conversation. Returns `false` if there is none, or if it ends already.
    fn hang_up(&mut self, id: ConversationId) -> bool {
        let hangs_up = self.conversations.hang_up(id);
        // A connection that is lost already has not been ended by anybody.
        if let (true, Some(peer @ Peer { end: End::ByPeer, .. })) = (hangs_up, self.peers.get_mut(&id)) {
            peer.end = End::ByYou;
        }
        hangs_up
    }
}

/// The time for a disk to keep what was said. Some are busy for seconds, and a hurried user sends a signal.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

/// The time for last words of a peer after a conversation was ended here. A round trip around the world takes
/// less.
const LAST_WORDS_OF_PEER: Duration = Duration::from_millis(500);

async fn next_event(agent: &mut Option<(Agent, Events)>) -> Option<Event> {
    match agent {
        Some((_, events)) => events.next().await,
        None => future::pending().await,
    }
}

/// Waits for the next guest to leave. Cancel safe.
async fn next_left(guests: &mut Option<Guests>) -> LeftGuest {
    match guests {
        Some(guests) => guests.next_left().await,
        None => future::pending().await,
    }
}

async fn next_kept(keeper: &mut Option<Keeper>) -> KeeperEvent {
    match keeper {
        Some(keeper) => keeper.next().await,
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests;
