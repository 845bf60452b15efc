//! The state of the full screen. It draws nothing, waits for nothing and reads no clock.
//!
//! Keys and events come in. Effects come out of [`App::poll_effect`], which must be drained after each of
//! them.

mod happened;
mod key_presses;
mod keys;
mod registering;
mod typed;

use std::cmp::Ordering;
use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mi_agent_core::{Admission, ConversationId, KeyWords, MessageCounts, safe_text};
use plumi_proto::{MiAddress, NodeAddress};

use super::editor::Editor;
use super::protocol::Protocol;
use super::tab::{About, More, Tab};
use crate::session::Wish;
use crate::store::contacts::{Contact, Contacts};

/// Everything that the screen shows.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) own: MiAddress,
    /// Safe to show.
    pub(crate) nickname: String,
    /// The most conversations at a time.
    conversations: usize,
    keeps_history: bool,
    rings_bell: bool,
    /// The time zone of the times on the screen.
    pub(crate) zone: TimeZone,
    pub(crate) registration: Registration,
    /// `None` until the user is registered.
    pub(crate) messages: Option<MessageCounts>,
    /// The first tab is the agent's own and cannot be closed.
    pub(crate) tabs: Vec<Tab>,
    pub(crate) current: usize,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) protocol: Protocol,
    contacts: Contacts,
    /// Missed calls since the contacts were last looked at.
    pub(crate) missed: usize,
    /// The reason why something was not kept or read, until something is kept again. Safe to show.
    pub(crate) disk_trouble: Option<String>,
    admission: Admission,
    /// The file to which the keys of conversations are written, if they are. Safe to show.
    pub(crate) key_log: Option<String>,
    is_focused: bool,
    rung: Option<Timestamp>,
    /// The first row of the protocol window when it was last drawn.
    pub(crate) protocol_top: Option<u16>,
    effects: VecDeque<Effect>,
}

/// Options and stored data that the app starts with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) own: MiAddress,
    pub(crate) nickname: String,
    pub(crate) conversations: usize,
    pub(crate) keeps_history: bool,
    pub(crate) rings_bell: bool,
    pub(crate) zone: TimeZone,
    pub(crate) contacts: Contacts,
    pub(crate) admission: Admission,
    /// The file to which the keys of conversations are written, if they are.
    pub(crate) key_log: Option<String>,
}

/// The registration as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    Registering,
    /// The node is not there, for this reason. The agent tries again. Safe to show.
    Waiting(String),
    Registered {
        node: NodeAddress,
    },
    /// The registration is lost, for this reason. Safe to show.
    Lost(String),
    Leaving,
}

/// A window over the rest of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overlay {
    /// Commands and keys, scrolled down by this many rows.
    Help(u16),
    /// The contacts, with the index of the selected one.
    Contacts(usize),
    /// A question: send these pasted lines in this conversation?
    Paste { id: ConversationId, lines: Vec<String> },
    /// The words of the user's own key.
    Words(KeyWords),
}

/// An effect that the app asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Wish(Wish),
    /// Give up the call to this user.
    GiveUp(MiAddress),
    Bell,
    /// Draw every cell again, even if it has not changed.
    Redraw,
    Suspend,
    Quit {
        in_a_hurry: bool,
    },
}

impl App {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { own, nickname, conversations, keeps_history, rings_bell, zone, .. } = setup;
        let Setup { contacts, admission, key_log, .. } = setup;
        Self {
            own,
            nickname: safe_text(&nickname).into_owned(),
            conversations,
            keeps_history,
            rings_bell,
            zone,
            registration: Registration::Registering,
            messages: None,
            tabs: vec![Tab::new(About::Agent)],
            current: 0,
            overlay: None,
            protocol: Protocol::default(),
            contacts,
            missed: 0,
            disk_trouble: None,
            admission,
            key_log: key_log.map(|file| safe_text(&file).into_owned()),
            // A terminal reports every change of the focus.
            is_focused: true,
            rung: None,
            protocol_top: None,
            effects: VecDeque::new(),
        }
    }

    /// Returns the next effect; `None` when there are no more.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Returns the tab in view.
    pub(crate) fn tab(&self) -> &Tab {
        &self.tabs[self.current]
    }

    pub(crate) fn tab_mut(&mut self) -> &mut Tab {
        &mut self.tabs[self.current]
    }

    /// Returns the contacts, the most recent first.
    pub(crate) fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter()
    }

    fn show_contacts(&mut self) {
        self.missed = 0;
        self.overlay = Some(Overlay::Contacts(0));
    }

    fn save_contacts(&mut self) {
        self.effects.push_back(Effect::Wish(Wish::SaveContacts(self.contacts.clone())));
    }

    fn editor(&mut self) -> &mut Editor {
        &mut self.tab_mut().editor
    }

    /// Counts the tabs with a conversation or a call.
    fn engaged(&self) -> usize {
        self.tabs.iter().filter(|tab| !tab.is_idle()).count()
    }

    /// Shows another tab and marks its lines as read.
    fn show(&mut self, at: usize) {
        self.current = at;
        self.tab_mut().unread = 0;
    }

    /// Returns the idle tab about this peer, or opens a new one.
    fn tab_about(&mut self, about: &About) -> usize {
        let idle = |tab: &Tab| tab.about == *about && tab.is_idle();
        if let Some(at) = self.tabs.iter().position(idle) {
            return at;
        }
        if self.tabs.len() == MAX_TABS {
            let dispensable = |at: &usize| *at != 0 && *at != self.current && self.tabs[*at].is_idle();
            // Those of mere callers first: calls must not close what the user wants to read or was about to
            // say.
            if let Some(at) =
                (0..self.tabs.len()).filter(dispensable).min_by_key(|at| self.is_of_the_user(*at))
            {
                self.close(at);
            }
        }
        let mut tab = Tab::new(about.clone());
        if let (About::Contact(address), true) = (about, self.keeps_history) {
            tab.more = More::First;
            self.effects.push_back(Effect::Wish(Wish::Recall(*address)));
        }
        self.tabs.push(tab);
        self.tabs.len() - 1
    }

    /// Returns whether the user has to do with a tab: with the peer that it is about, or by what is typed in
    /// it.
    fn is_of_the_user(&self, at: usize) -> bool {
        let tab = &self.tabs[at];
        let is_of_the_user = |address: &MiAddress| self.contacts.is_of_the_user(address);
        !tab.editor.is_empty() || matches!(&tab.about, About::Contact(address) if is_of_the_user(address))
    }

    fn close(&mut self, at: usize) {
        self.tabs.remove(at);
        match self.current.cmp(&at) {
            Ordering::Less => {}
            Ordering::Equal => self.show(at - 1),
            Ordering::Greater => self.current -= 1,
        }
    }

    /// Removes old entries while all tabs together keep too much: first those of the oldest tab with an ended
    /// conversation.
    fn make_room(&mut self) {
        loop {
            let bytes: usize = self.tabs.iter().map(|tab| tab.pane.bytes()).sum();
            let Some(excess) = bytes.checked_sub(MAX_BYTES).filter(|excess| *excess > 0) else { return };
            let gives_way = |&(at, tab): &(usize, &Tab)| {
                at != 0 && at != self.current && tab.is_idle() && tab.pane.bytes() > 0
            };
            let ended = self.tabs.iter().enumerate().find(gives_way);
            let largest = || self.tabs.iter().enumerate().max_by_key(|(_, tab)| tab.pane.bytes());
            let Some((at, _)) = ended.or_else(largest) else { return };
            self.tabs[at].pane.give_up(excess.max(AT_A_TIME));
        }
    }

    /// Closes the tabs of calls that failed, except the one in view.
    fn close_untalked(&mut self) {
        for at in (1..self.tabs.len()).rev() {
            let tab = &self.tabs[at];
            if at != self.current && tab.is_idle() && !tab.has_talked && tab.editor.is_empty() {
                self.close(at);
            }
        }
    }
}

/// The most tabs: several times the most conversations. One more closes the oldest tab with an ended
/// conversation, of those that mere callers began if there are any.
const MAX_TABS: usize = 64;

/// The most bytes of the entries of all tabs: as much as 32 full tabs have, twice the most conversations.
const MAX_BYTES: usize = 32 << 20;

/// The bytes of entries that give way at a time, so that not every new line looks for some.
const AT_A_TIME: usize = 256 << 10;

#[cfg(test)]
mod tests;
