//! The conversations of an agent that is up: what a front that comes later is told, and what history keeps.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use mi_agent_core::{ConversationId, Peer, PeerText};

use super::lines::{More, as_text, told};
use crate::full::protection;
use crate::report::{Report, SafeText};
use crate::session::Wish;
use crate::store::contacts::{Contacts, Way as ContactWay};
use crate::store::history::{Entry, Talk, Way};

/// The conversations that go on.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<ConversationId, Conversation>);

#[derive(Debug)]
struct Conversation {
    since: Timestamp,
    begun: Report,
    peer: Peer,
    is_called: bool,
    /// The last lines of both sides as a front is told them, the oldest first.
    lines: VecDeque<String>,
    /// The bytes of all of them.
    size: usize,
}

impl Kept {
    pub(super) fn begin(
        &mut self,
        now: Timestamp,
        id: ConversationId,
        begun: Report,
        peer: Peer,
        is_called: bool,
    ) {
        let lines = VecDeque::new();
        self.0.insert(id, Conversation { since: now, begun, peer, is_called, lines, size: 0 });
    }

    pub(super) fn end(&mut self, id: ConversationId) {
        self.0.remove(&id);
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConversationId> {
        self.0.keys().copied()
    }

    /// Adds a line of either side, and drops the oldest that are too many.
    pub(super) fn add(
        &mut self,
        now: Timestamp,
        id: ConversationId,
        report: &Report,
        text: Option<&SafeText>,
    ) {
        let Some(conversation) = self.0.get_mut(&id) else { return };
        let line = told(now, report, More { earlier: true, text, since: None });
        conversation.size += line.len();
        conversation.lines.push_back(line);
        while conversation.lines.len() > MAX_LINES || conversation.size > MAX_BYTES {
            let Some(oldest) = conversation.lines.pop_front() else { break };
            conversation.size -= oldest.len();
        }
    }

    /// Returns what a front has to be told of all conversations.
    pub(super) fn retold(&self) -> Vec<String> {
        let mut all = Vec::new();
        for Conversation { since, begun, lines, .. } in self.0.values() {
            let since = as_text(*since);
            all.push(told(crate::clock::now(), begun, More { since: Some(&since), ..More::default() }));
            all.extend(lines.iter().cloned());
        }
        all
    }
}

/// What is kept on the disk of conversations: the people and the lines.
#[derive(Debug)]
pub(super) struct History {
    contacts: Contacts,
    /// The own one.
    nickname: String,
    is_on: bool,
}

impl History {
    /// Adds to `contacts`, and to the history if that `is_on`.
    pub(super) fn new(contacts: Contacts, nickname: String, is_on: bool) -> Self {
        Self { contacts, nickname, is_on }
    }

    /// Records a conversation that has begun.
    pub(super) fn begun(&mut self, now: Timestamp, peer: &Peer, is_called: bool) -> Option<Wish> {
        // A caller that does not show the key of the address may be somebody else.
        let address = peer.address.filter(|_| !protection::lacks_key(&peer.security))?;
        let way = if is_called { ContactWay::Called } else { ContactWay::CalledBy };
        let remote = (!is_called).then(|| peer.remote.ip());
        self.contacts.met(address, Some(peer.nickname.raw()), way, remote, now);
        Some(Wish::SaveContacts(self.contacts.clone()))
    }

    /// Records a line that the peer of a conversation said.
    pub(super) fn heard(
        &self,
        kept: &Kept,
        now: Timestamp,
        id: ConversationId,
        text: &PeerText,
    ) -> Option<Wish> {
        let nick = kept.0.get(&id)?.peer.nickname.raw().to_owned();
        self.remember(
            kept,
            id,
            Entry {
                at: now,
                way: Way::Received,
                nick,
                text: text.raw().to_owned(),
                continues: text.continues(),
                candidates: Vec::new(),
            },
        )
    }

    /// Records a line that a front said.
    pub(super) fn said(&mut self, kept: &Kept, now: Timestamp, id: ConversationId, text: &str) -> Vec<Wish> {
        let Some(Conversation { peer, .. }) = kept.0.get(&id) else { return Vec::new() };
        let address = peer.address.filter(|_| !protection::lacks_key(&peer.security));
        let is_news =
            address.is_some_and(|address| self.contacts.answered(address, peer.nickname.raw(), now));
        let met = is_news.then(|| Wish::SaveContacts(self.contacts.clone()));
        let nick = self.nickname.clone();
        let entry = Entry {
            at: now,
            way: Way::Sent,
            nick,
            text: text.into(),
            continues: false,
            candidates: Vec::new(),
        };
        met.into_iter().chain(self.remember(kept, id, entry)).collect()
    }

    fn remember(&self, kept: &Kept, id: ConversationId, entry: Entry) -> Option<Wish> {
        let Conversation { peer, is_called, .. } = kept.0.get(&id).filter(|_| self.is_on)?;
        let address = peer.address.filter(|_| !protection::lacks_key(&peer.security));
        let is_known = address.is_some_and(|address| self.contacts.is_of_the_user(&address));
        let is_sure = *is_called || protection::shows_known_key(&peer.security);
        let candidates = match (address, peer.address) {
            (Some(_), _) => Vec::new(),
            (None, Some(claimed)) => vec![claimed],
            (None, None) => peer.candidates.clone(),
        };
        let talk = Talk { id, peer: address, is_known, is_sure };
        Some(Wish::Remember { talk, entry: Entry { candidates, ..entry } })
    }
}

/// The most lines of a conversation that a front gets when it comes.
const MAX_LINES: usize = 200;

/// The most bytes of these lines. Those of 16 conversations together leave a front room below
/// [`MAX_BEHIND`](super::fronts::MAX_BEHIND).
const MAX_BYTES: usize = 48 * 1024;
