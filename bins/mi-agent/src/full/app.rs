//! The state of the full screen. It draws nothing, waits for nothing and reads no clock: what happened comes in, and
//! what is to be done comes out of [`App::poll_effect`], to be asked after each thing that came in.

mod happened;
mod key_presses;
mod typed;

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::num::NonZeroUsize;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mi_agent_core::{Admission, ConversationId, MessageCounts, safe_text};
use plumi_proto::MiAddress;

use super::editor::Editor;
use super::protocol::Protocol;
use super::tab::{About, Tab};
use crate::session::Wish;
use crate::store::contacts::{Contact, Contacts};

/// Everything that the screen shows.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) own: MiAddress,
    /// Safe to show.
    pub(crate) nickname: String,
    /// How many conversations there may be.
    conversations: usize,
    keeps_history: bool,
    rings_bell: bool,
    /// In which times are shown.
    pub(crate) zone: TimeZone,
    pub(crate) registration: Registration,
    pub(crate) messages: MessageCounts,
    /// The first is the agent's own, and stays.
    pub(crate) tabs: Vec<Tab>,
    pub(crate) current: usize,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) protocol: Protocol,
    contacts: Contacts,
    admission: Admission,
    is_focused: bool,
    rung: Option<Timestamp>,
    /// The row in which the protocol window begins, when it was last drawn.
    pub(crate) protocol_top: Option<u16>,
    effects: VecDeque<Effect>,
}

/// What the user starts with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) own: MiAddress,
    pub(crate) nickname: String,
    pub(crate) conversations: NonZeroUsize,
    pub(crate) keeps_history: bool,
    pub(crate) rings_bell: bool,
    pub(crate) zone: TimeZone,
    pub(crate) contacts: Contacts,
    pub(crate) admission: Admission,
}

/// Whether others can find the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    Registering,
    Registered {
        node: SocketAddrV4,
    },
    /// Why not. Safe to show.
    Lost(String),
    Leaving,
}

/// What lies over the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overlay {
    /// Commands and keys, from this row on.
    Help(u16),
    /// Of the contacts, which one is chosen.
    Contacts(usize),
    /// Lines that were pasted, to be said in this conversation.
    Paste { id: ConversationId, lines: Vec<String> },
}

/// Something that the app wants done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Wish(Wish),
    /// To give up the call of this user.
    GiveUp(MiAddress),
    Bell,
    /// Draw everything, whatever is on the screen.
    Redraw,
    Suspend,
    Quit {
        in_a_hurry: bool,
    },
}

impl App {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { own, nickname, conversations, keeps_history, rings_bell, zone, contacts, admission } =
            setup;
        Self {
            own,
            nickname: safe_text(&nickname).into_owned(),
            conversations: conversations.get(),
            keeps_history,
            rings_bell,
            zone,
            registration: Registration::Registering,
            messages: MessageCounts::default(),
            tabs: vec![Tab::new(About::Agent)],
            current: 0,
            overlay: None,
            protocol: Protocol::default(),
            contacts,
            admission,
            // A terminal tells when that changes.
            is_focused: true,
            rung: None,
            protocol_top: None,
            effects: VecDeque::new(),
        }
    }

    /// What to do next; `None` when everything is done.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The tab in view.
    pub(crate) fn tab(&self) -> &Tab {
        &self.tabs[self.current]
    }

    pub(crate) fn tab_mut(&mut self) -> &mut Tab {
        &mut self.tabs[self.current]
    }

    /// The contacts, the most recent first.
    pub(crate) fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter()
    }

    fn editor(&mut self) -> &mut Editor {
        &mut self.tab_mut().editor
    }

    /// Tabs with a conversation or a call.
    fn engaged(&self) -> usize {
        self.tabs.iter().filter(|tab| !tab.is_idle()).count()
    }

    /// Shows another tab. Its lines are read now.
    fn show(&mut self, at: usize) {
        self.current = at;
        self.tab_mut().unread = 0;
    }

    /// The tab of who was in conversation before, or else a new one.
    fn tab_about(&mut self, about: &About) -> usize {
        let idle = |tab: &Tab| tab.about == *about && tab.is_idle();
        if let Some(at) = self.tabs.iter().position(idle) {
            return at;
        }
        if self.tabs.len() == MAX_TABS {
            let dispensable = |at: &usize| *at != 0 && *at != self.current && self.tabs[*at].is_idle();
            if let Some(at) = (0..self.tabs.len()).find(dispensable) {
                self.close(at);
            }
        }
        self.tabs.push(Tab::new(about.clone()));
        if let (About::Contact(address), true) = (about, self.keeps_history) {
            self.effects.push_back(Effect::Wish(Wish::Recall(*address)));
        }
        self.tabs.len() - 1
    }

    fn close(&mut self, at: usize) {
        self.tabs.remove(at);
        match self.current.cmp(&at) {
            Ordering::Less => {}
            Ordering::Equal => self.show(at - 1),
            Ordering::Greater => self.current -= 1,
        }
    }

    /// Closes the tabs of calls that came to nothing, but for the one in view.
    fn close_untalked(&mut self) {
        for at in (1..self.tabs.len()).rev() {
            let tab = &self.tabs[at];
            if at != self.current && tab.is_idle() && !tab.has_talked && tab.editor.is_empty() {
                self.close(at);
            }
        }
    }
}

/// Tabs: several times as many as conversations. Of more, the oldest whose conversation has ended is closed.
const MAX_TABS: usize = 64;

#[cfg(test)]
mod tests;
