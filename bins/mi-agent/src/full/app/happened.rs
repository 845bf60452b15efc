//! Events of the session.

use std::mem;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use mi_agent_core::{
    CallError, ConversationError, ConversationId, LocateError, OutboxItem, Passed, Peer, PeerText, Refusal,
    safe_text,
};
use plumi_proto::MiAddress;

use super::{App, Effect, Overlay};
use crate::full::pane::{Entry, Kind};
use crate::full::protection::{self, RefusedCall};
use crate::full::tab::{About, ConversationState, More, Tab, address_of};
use crate::keys;
use crate::mail;
use crate::reason::{self, Reason};
use crate::session::{End, Happened, Wish, of_gave_way};
use crate::store::contacts::Way;
use crate::store::history;

impl App {
    /// Takes an event of the session. The loop handles the last one, and pulls the number of waiting lines
    /// when it draws.
    pub(crate) fn happened(&mut self, now: Timestamp, happened: Happened) {
        match happened {
            Happened::Started { node, listening } => self.registered(now, node, listening),
            Happened::StartDelayed { error, pause, is_news } => {
                self.start_delayed(now, &error, pause, is_news);
            }
            Happened::Begun { id, peer, call } => {
                let way = if call.is_some() { Way::Called } else { Way::CalledBy };
                self.begun(now, id, peer, way);
            }
            Happened::CallFailed { to, error, .. } => self.call_failed(now, to, &error),
            Happened::Line { id, text, .. } => self.heard(now, id, &text),
            Happened::ConversationFailed { id, error, .. } => self.conversation_failed(now, id, &error),
            Happened::Ended { id, end, unsaid, .. } => self.ended(now, id, end, unsaid),
            Happened::Refused { reason: Refusal::KeyChanged(claimed), .. } => self.impostor(now, &claimed),
            Happened::Refused { nickname, remote, address, reason, .. } => {
                self.refused(now, &nickname, address, remote, reason);
            }
            Happened::GaveWay { callers } => self.gave_way(now, callers),
            Happened::Missed { from, reason, .. } => self.missed(now, from, reason),
            Happened::RegistrationLost(reason) => {
                let reason = reason::of_refresh(&self.own, &reason);
                self.registration_lost(now, &reason);
            }
            Happened::Unproved { since } => {
                let warning = reason::of_unproved(&self.own, since);
                self.tell(0, |tab| tab.failure(now, &warning));
            }
            Happened::RegistrationRegained { node } => self.registration_regained(now, node),
            Happened::Moved { node, listening } => self.moved(now, node, listening),
            Happened::Recalled(peer, recalled) => self.recalled(now, peer, &recalled),
            Happened::Found(peer, text, entries) => self.found(now, peer, &text, &entries),
            Happened::LeftOut(id) => self.left_out(now, id),
            Happened::NotKept(trouble) => self.not_kept(now, &trouble),
            Happened::KeptAgain => self.disk_trouble = None,
            Happened::KeyRefused { id, to, .. } => self.own_key_refused(now, id, to),
            Happened::Answered(Ok(done)) => self.done(now, done),
            Happened::Answered(Err(refused)) => self.not_done(now, &refused.to_string()),
            Happened::Posted { answer: Ok(Some(item)), .. } | Happened::Mail(item) => self.mail(now, &item),
            Happened::Posted { answer: Ok(None), .. } => {}
            Happened::Posted { answer: Err(error), .. } => {
                self.tab_mut().failure(now, &format!("not kept: {}", Reason(&error)));
            }
            Happened::HandedOver(_)
            | Happened::NotSent { .. }
            | Happened::NotStarted(_)
            | Happened::Left(_) => {}
        }
        self.make_room();
    }

    /// A message for somebody who is not there is new, or in another state.
    fn mail(&mut self, now: Timestamp, item: &OutboxItem) {
        let Some(words) = mail::words(item) else { return };
        let about = About::Contact(item.to);
        let at = self.tabs.iter().position(|tab| tab.about == about).unwrap_or(self.current);
        self.tell(at, |tab| tab.news(now, &words));
    }

    /// A conversation has begun.
    pub(crate) fn begun(&mut self, now: Timestamp, id: ConversationId, peer: Peer, way: Way) {
        let about = match peer.address {
            Some(address) => About::Contact(address),
            None => About::Stranger(peer.nickname.to_string()),
        };
        let calling =
            |tab: &Tab| tab.about == about && matches!(tab.conversation, ConversationState::Calling);
        let at = match way {
            Way::Called => self.tabs.iter().position(calling),
            Way::CalledBy | Way::Added => None,
        };
        let at = at.unwrap_or_else(|| self.tab_about(&about));
        let address = address_of(&peer, &self.own).unwrap_or_else(|| "?".into());
        let news = format!("in conversation with {} ({address}) at {}", peer.nickname, peer.remote);
        let protection = keys::protection(&peer.security, peer.address.as_ref());
        let lack = keys::lack_of_key(&peer.security, peer.address.as_ref());
        if let (Some(address), None) = (peer.address, &lack) {
            let remote = (way == Way::CalledBy).then(|| peer.remote.ip());
            self.contacts.met(address, Some(peer.nickname.raw()), way, remote, now);
            self.save_contacts();
        }
        let caller = peer.nickname.clone();
        self.tabs[at].conversation =
            ConversationState::Open { id, peer, waiting: 0, is_ending: false, is_called: way == Way::Called };
        self.tabs[at].has_talked = true;
        (self.tabs[at].is_offline, self.tabs[at].offered) = (false, None);
        if way == Way::CalledBy {
            // Typing must not be disturbed. An idle user should not have to look for the tab.
            if self.current == 0 && self.tab().editor.is_empty() && self.overlay.is_none() {
                self.show(at);
            }
            if self.current != at {
                let number = at + 1;
                let shows =
                    if number <= 9 { format!("Alt-{number} shows it") } else { "Ctrl-N looks for it".into() };
                self.tab_mut().news(now, &format!("{caller} ({address}) calls, in tab {number}; {shows}"));
            }
            self.ring(now);
        }
        self.tell(at, |tab| {
            tab.news(now, &news);
            tab.news(now, &protection);
            if let Some(lack) = lack {
                tab.failure(now, &lack);
            }
        });
    }

    fn call_failed(&mut self, now: Timestamp, to: MiAddress, error: &CallError) {
        let is_offline = matches!(error, CallError::Locate(LocateError::Offline));
        for tab in self.tabs.iter_mut().filter(|tab| tab.address() == Some(to)) {
            (tab.is_offline, tab.offered) = (is_offline, None);
        }
        let refused = RefusedCall::of(&self.own, &to, error);
        let exists = refused.is_some()
            || matches!(
                error,
                CallError::Locate(
                    LocateError::Busy
                        | LocateError::Offline
                        | LocateError::Unusable(_)
                        | LocateError::Loopback(_)
                        | LocateError::NotAmongDialled(_)
                ) | CallError::NotAccepted { .. }
            );
        let hint = reason::hint_for_call(&self.own, &to, error).filter(|_| refused.is_none());
        let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        self.not_called(now, to, &format!("{}{hint}", reason::of_call(error)), exists, refused);
    }

    /// A call has failed. `exists` if there is such a user.
    pub(crate) fn not_reached(&mut self, now: Timestamp, to: MiAddress, reason: &str, exists: bool) {
        self.not_called(now, to, reason, exists, None);
    }

    /// A call has failed. If it was `refused` on account of keys, its tab says more than the first one.
    fn not_called(
        &mut self,
        now: Timestamp,
        to: MiAddress,
        reason: &str,
        exists: bool,
        refused: Option<RefusedCall>,
    ) {
        let calling =
            |tab: &Tab| tab.address() == Some(to) && matches!(tab.conversation, ConversationState::Calling);
        if let Some(at) = self.tabs.iter().position(calling) {
            self.tabs[at].conversation = ConversationState::None;
            if exists {
                self.contacts.met(to, None, Way::Called, None, now);
                self.save_contacts();
            }
            let failure = format!("cannot reach {to}: {reason}");
            // The next call closes the tab of this one.
            if at == self.current {
                self.tabs[0].failure(now, &failure);
            } else {
                self.tell(0, |tab| tab.failure(now, &failure));
            }
            let hint = if exists { "; /call calls again" } else { "" };
            self.tell(at, |tab| match refused {
                Some(RefusedCall { failure, advice }) => {
                    tab.failure(now, &failure);
                    advice.into_iter().for_each(|advice| tab.news(now, &advice));
                }
                None => tab.failure(now, &format!("{failure}{hint}")),
            });
        }
    }

    /// The peer said something.
    pub(crate) fn heard(&mut self, now: Timestamp, id: ConversationId, text: &PeerText) {
        let Some((at, nickname)) = self.tab_and_nickname(id) else { return };
        let continues = text.continues();
        self.remember(at, now, history::Way::Received, &nickname, text.raw(), continues);
        let entry = Entry { at: now, kind: Kind::Peer(nickname.to_string()), text: text.to_string() };
        // The pieces of a line are one paragraph.
        self.tell(at, |tab| {
            if !continues || !tab.pane.extend_last(&entry.kind, &entry.text) {
                tab.pane.push(entry);
            }
        });
        self.ring(now);
    }

    /// Something went wrong in a conversation. Its end follows.
    pub(crate) fn conversation_failed(
        &mut self,
        now: Timestamp,
        id: ConversationId,
        error: &ConversationError,
    ) {
        let Some((at, nickname)) = self.tab_and_nickname(id) else { return };
        let reason = Reason(error);
        self.tell(at, |tab| tab.failure(now, &format!("conversation with {nickname}: {reason}")));
    }

    /// A conversation is over.
    pub(crate) fn ended(&mut self, now: Timestamp, id: ConversationId, end: End, unsaid: usize) {
        let Some((at, nickname)) = self.tab_and_nickname(id) else { return };
        self.tabs[at].conversation = ConversationState::None;
        if matches!(&self.overlay, Some(Overlay::Paste { id: of, .. }) if *of == id) {
            self.overlay = None;
        }
        if unsaid > 0 {
            self.tell(at, |tab| tab.failure(now, &reason::lines_not_sent(unsaid)));
        }
        let hint = if self.tabs[at].address().is_some() {
            "; /call calls again, /close closes the tab"
        } else {
            "; /close closes the tab"
        };
        let news = match end {
            End::ByYou => format!("conversation with {nickname} ended by you{hint}"),
            End::ByPeer => {
                let by = reason::peer_in_words(&nickname.to_string());
                format!("conversation with {nickname} ended by {by}{hint}")
            }
            End::Lost => format!("the connection with {nickname} is lost{hint}"),
            End::GaveWay(reason) => format!("conversation with {nickname} ended: {reason}{hint}"),
        };
        self.tell(at, |tab| tab.news(now, &news));
    }

    /// A line of the user is queued.
    pub(crate) fn said(&mut self, now: Timestamp, id: ConversationId, text: &str) {
        let Some((at, peer)) = self.tab_and_nickname(id) else { return };
        if let Some(address) = self.tabs[at].address()
            && !self.lacks_key(at)
            && self.contacts.answered(address, peer.raw(), now)
        {
            self.save_contacts();
        }
        let nickname = PeerText::new(self.nickname.clone());
        self.remember(at, now, history::Way::Sent, &nickname, text, false);
        let (kind, text) = (Kind::Own(self.nickname.clone()), safe_text(text).into_owned());
        self.tabs[at].pane.push(Entry { at: now, kind, text });
        self.make_room();
    }

    /// A line of the user cannot be sent.
    pub(crate) fn not_said(&mut self, now: Timestamp, id: ConversationId, text: &str, reason: &str) {
        let Some(at) = self.tab_of(id) else { return };
        let tab = &mut self.tabs[at];
        if tab.editor.is_empty() {
            tab.failure(now, &format!("not sent: {reason}"));
            tab.editor.set(text.to_owned());
        } else {
            tab.failure(now, &format!("not sent, {reason}: {text}"));
        }
    }

    /// Sets how many lines of a conversation wait to be sent.
    pub(crate) fn set_waiting(&mut self, id: ConversationId, count: usize) {
        if let Some(at) = self.tab_of(id)
            && let ConversationState::Open { waiting, .. } = &mut self.tabs[at].conversation
        {
            *waiting = count;
        }
    }

    /// A caller was refused.
    pub(crate) fn refused(
        &mut self,
        now: Timestamp,
        nickname: &PeerText,
        address: Option<MiAddress>,
        remote: SocketAddr,
        reason: Refusal,
    ) {
        if let Some(address) = address {
            self.missed_call(now, address, Some(remote.ip()), reason);
        }
        let address = address.map_or_else(|| "?".to_owned(), |address| address.to_string());
        let news = format!("{nickname} ({address}) at {remote} called and was refused: {reason}");
        self.tell(0, |tab| tab.news(now, &news));
    }

    /// Callers gave way to others.
    fn gave_way(&mut self, now: Timestamp, callers: u64) {
        self.tell(0, |tab| tab.news(now, &of_gave_way(callers)));
    }

    /// A location request was refused.
    pub(crate) fn missed(&mut self, now: Timestamp, from: MiAddress, reason: Refusal) {
        self.missed_call(now, from, None, reason);
        self.tell(0, |tab| tab.news(now, &format!("{from} wanted to call and was refused: {reason}")));
    }

    /// Counts a call that was not taken because the user was busy. Others are not wanted.
    fn missed_call(&mut self, now: Timestamp, from: MiAddress, remote: Option<IpAddr>, reason: Refusal) {
        if reason == Refusal::Busy && self.contacts.missed(from, remote, now) {
            self.missed += 1;
            self.save_contacts();
        }
    }

    /// A message was sent or received.
    pub(crate) fn passed(&mut self, now: Timestamp, passed: &Passed) {
        self.protocol.passed(now, passed);
    }

    /// Lines of earlier conversations were read.
    pub(crate) fn recalled(&mut self, now: Timestamp, peer: MiAddress, recalled: &history::Recalled) {
        let waits = |tab: &Tab| tab.address() == Some(peer) && matches!(tab.more, More::First | More::Asked);
        let Some(at) = self.tabs.iter().position(waits) else { return };
        let tab = &mut self.tabs[at];
        let was_asked = tab.more == More::Asked;
        tab.more = recalled.earlier.map_or(More::None, More::Before);
        tab.pane.prepend(recalled.entries.iter().map(earlier));
        if mem::take(&mut tab.tells_of_history) {
            tab.tell_of_history(now);
        }
        if was_asked && tab.pane.is_cut() {
            self.note_cut(at);
        } else if was_asked && at == self.current {
            tab.pane.scroll(tab.pane.page());
        }
    }

    /// Lines of earlier conversations were found, the oldest first.
    fn found(&mut self, now: Timestamp, peer: MiAddress, text: &str, entries: &[history::Entry]) {
        let Some(at) = self.tabs.iter().rposition(|tab| tab.address() == Some(peer)) else { return };
        let count = match entries.len() {
            0 => "no line has".to_owned(),
            1 => "one line has".to_owned(),
            count => format!("{count} lines have"),
        };
        let is_folded = entries.iter().any(|entry| !entry.text.contains(text));
        let folded = if is_folded { ", in upper or lower case" } else { "" };
        self.tell(at, |tab| {
            tab.news(now, &format!("{count} {text:?} in it{folded}"));
            for entry in entries {
                tab.pane.push(earlier(entry));
            }
            tab.pane.go_to_end();
        });
    }

    /// More was said in a conversation than is kept.
    fn left_out(&mut self, now: Timestamp, id: ConversationId) {
        if let Some(at) = self.tab_of(id) {
            self.tell(at, |tab| tab.news(now, history::LEFT_OUT));
        }
    }

    /// Something could not be kept or read. Every tab shows it until something is kept again.
    pub(crate) fn not_kept(&mut self, now: Timestamp, text: &str) {
        self.trouble(now, text);
        self.disk_trouble = Some(safe_text(text).into_owned());
    }

    /// A failure that concerns no conversation.
    pub(crate) fn trouble(&mut self, now: Timestamp, text: &str) {
        self.tell(0, |tab| tab.failure(now, text));
    }

    /// Changes a tab, and counts that as unread unless the tab is in view.
    pub(super) fn tell(&mut self, at: usize, tell: impl FnOnce(&mut Tab)) {
        let is_in_view = at == self.current;
        let tab = &mut self.tabs[at];
        tell(tab);
        if !is_in_view {
            tab.unread += 1;
        }
    }

    fn tab_of(&self, id: ConversationId) -> Option<usize> {
        self.tabs.iter().position(|tab| tab.id() == Some(id))
    }

    pub(super) fn tab_and_nickname(&self, id: ConversationId) -> Option<(usize, PeerText)> {
        let at = self.tab_of(id)?;
        match &self.tabs[at].conversation {
            ConversationState::Open { peer, .. } => Some((at, peer.nickname.clone())),
            ConversationState::None | ConversationState::Calling => None,
        }
    }

    fn remember(
        &mut self,
        at: usize,
        now: Timestamp,
        way: history::Way,
        nick: &PeerText,
        text: &str,
        continues: bool,
    ) {
        let ConversationState::Open { id, peer, is_called, .. } = &self.tabs[at].conversation else { return };
        if !self.keeps_history {
            return;
        }
        // A caller that does not show the key of the address may be somebody else.
        let address = peer.address.filter(|_| !protection::lacks_key(&peer.security));
        let is_known = address.is_some_and(|address| self.contacts.is_of_the_user(&address));
        let is_sure = *is_called || protection::shows_known_key(&peer.security);
        let talk = history::Talk { id: *id, peer: address, is_known, is_sure };
        let candidates = match (address, peer.address) {
            (Some(_), _) => Vec::new(),
            (None, Some(claimed)) => vec![claimed],
            (None, None) => peer.candidates.clone(),
        };
        let (nick, text) = (nick.raw().to_owned(), text.to_owned());
        let entry = history::Entry { at: now, way, nick, text, continues, candidates };
        self.effects.push_back(Effect::Wish(Wish::Remember { talk, entry }));
    }

    fn ring(&mut self, now: Timestamp) {
        let rang = self.rung.is_some_and(|rung| now.duration_since(rung) < BELL_PAUSE);
        if self.rings_bell && !self.is_focused && !rang {
            self.rung = Some(now);
            self.effects.push_back(Effect::Bell);
        }
    }
}

/// Makes an entry of the history safe to show.
fn earlier(entry: &history::Entry) -> Entry {
    let kind = match entry.way {
        history::Way::LeftOut => Kind::Earlier("*".into()),
        history::Way::Sent | history::Way::Received => Kind::Earlier(safe_text(&entry.nick).into_owned()),
    };
    Entry { at: entry.at, kind, text: safe_text(&entry.text).into_owned() }
}

/// The least time between two bells: more of them help nobody.
const BELL_PAUSE: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);
