//! A tab: everything about one peer, or about the agent itself.

use jiff::Timestamp;
use mi_agent_core::{ConversationId, Peer, safe_text};
use plumi_proto::MiAddress;

use super::editor::Editor;
use super::pane::{Entry, Kind, Pane};
use super::protection;
use crate::store::history::Mark;

/// One tab.
#[derive(Debug)]
pub(crate) struct Tab {
    pub(crate) about: About,
    pub(crate) conversation: ConversationState,
    pub(crate) pane: Pane,
    /// The tab has had a conversation.
    pub(crate) has_talked: bool,
    /// The input line of this tab.
    pub(crate) editor: Editor,
    /// Lines and news that came while another tab was in view.
    pub(crate) unread: usize,
    pub(crate) more: More,
    /// The last call came to nothing because the user is offline.
    pub(crate) is_offline: bool,
    /// The line that the user was offered to keep for the peer.
    pub(crate) offered: Option<String>,
    /// The user wants to read the history, and is told how once the first lines are there.
    pub(crate) tells_of_history: bool,
}

/// The rest of the history, before the lines that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    /// The last lines have been asked for.
    First,
    /// It may be before this place.
    Before(Mark),
    /// The lines before a place have been asked for.
    Asked,
    None,
}

/// The subject of a tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The agent itself.
    Agent,
    Contact(MiAddress),
    /// A caller without a known address, by nickname. Safe to show.
    Stranger(String),
}

/// The state of a conversation.
#[derive(Clone, Debug)]
pub(crate) enum ConversationState {
    None,
    Calling,
    Open {
        id: ConversationId,
        peer: Peer,
        /// The number of lines that wait to be sent.
        waiting: usize,
        /// This side has hung up.
        is_ending: bool,
        /// The user called.
        is_called: bool,
    },
}

/// Returns the address of `peer`, as the user at `own` sees it: `boss@evil.com`. If several users may be the
/// caller, it is `joan or boss@evil.com?`, where a user of the own domain has no domain. `None` if nothing is
/// known. Safe to show.
pub(crate) fn address_of(peer: &Peer, own: &MiAddress) -> Option<String> {
    if let Some(address) = peer.address {
        return Some(safe_text(address.as_str()).into_owned());
    }
    let short = |candidate: &MiAddress| {
        let is_near = candidate.domain() == own.domain();
        if is_near { candidate.user().to_string() } else { candidate.to_string() }
    };
    let candidates: Vec<_> = peer.candidates.iter().map(short).collect();
    (!candidates.is_empty()).then(|| format!("{}?", safe_text(&candidates.join(" or "))))
}

impl Tab {
    pub(crate) fn new(about: About) -> Self {
        Self {
            about,
            conversation: ConversationState::None,
            pane: Pane::default(),
            has_talked: false,
            editor: Editor::default(),
            unread: 0,
            more: More::None,
            is_offline: false,
            offered: None,
            tells_of_history: false,
        }
    }

    /// Says how more of the history is shown, if there is more than is in view.
    pub(crate) fn tell_of_history(&mut self, now: Timestamp) {
        let has_more = self.more != More::None || !self.pane.is_at_start() || self.pane.is_cut();
        self.news(now, if has_more { READ_MORE } else { READ_ALL });
    }

    /// Safe to show.
    pub(crate) fn title(&self) -> String {
        match &self.about {
            About::Agent => "mi-agent".into(),
            About::Contact(address) => safe_text(address.as_str()).into_owned(),
            About::Stranger(nickname) => format!("? {nickname}"),
        }
    }

    pub(crate) fn address(&self) -> Option<MiAddress> {
        match self.about {
            About::Contact(address) => Some(address),
            About::Agent | About::Stranger(_) => None,
        }
    }

    /// Returns the conversation that is open or ending.
    pub(crate) fn id(&self) -> Option<ConversationId> {
        match self.conversation {
            ConversationState::Open { id, .. } => Some(id),
            ConversationState::None | ConversationState::Calling => None,
        }
    }

    /// Returns the word for the protection of the conversation, if there is one.
    pub(crate) fn protection(&self) -> Option<&'static str> {
        match &self.conversation {
            ConversationState::Open { peer, .. } => Some(protection::word(&peer.security)),
            ConversationState::None | ConversationState::Calling => None,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.conversation, ConversationState::None)
    }

    pub(crate) fn news(&mut self, at: Timestamp, text: &str) {
        self.pane.push(Entry { at, kind: Kind::News, text: safe_text(text).into_owned() });
    }

    pub(crate) fn failure(&mut self, at: Timestamp, text: &str) {
        self.pane.push(Entry { at, kind: Kind::Failure, text: safe_text(text).into_owned() });
    }
}

const READ_MORE: &str = "PageUp shows more of the history, /find TEXT searches it, /call calls";

const READ_ALL: &str = "that is all of the history; /find TEXT searches it, /call calls";
