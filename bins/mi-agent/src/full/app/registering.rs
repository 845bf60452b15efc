//! The registration, as the full screen reports it.

use std::time::Duration;

use jiff::Timestamp;
use mi_agent_core::{StartError, safe_text};
use plumi_proto::{MiSocketAddress, NodeAddress};

use super::{App, Registration};
use crate::command::example_for;
use crate::reason;

impl App {
    /// The agent starts to register.
    pub(crate) fn registering(&mut self, now: Timestamp) {
        let own = self.own;
        self.tabs[0].news(now, &format!("registering {own}"));
    }

    /// The node is not there. The agent tries again after `pause`.
    pub(super) fn start_delayed(
        &mut self,
        now: Timestamp,
        error: &StartError,
        pause: Duration,
        is_news: bool,
    ) {
        let (own, reason) = (self.own, reason::of_start(&self.own, error));
        if is_news {
            let agent = &mut self.tabs[0];
            agent.failure(now, &format!("cannot register {own}: {reason}"));
            let seconds = pause.as_secs();
            agent.news(now, &format!("trying again in {seconds} s, and then less often"));
            if let Some(hint) = reason::hint_for_start(&own, error) {
                agent.news(now, &hint);
            }
        }
        self.registration = Registration::Waiting(safe_text(&reason).into_owned());
    }

    /// The user is registered for the first time.
    pub(crate) fn registered(&mut self, now: Timestamp, node: NodeAddress, listening: MiSocketAddress) {
        self.registration = Registration::Registered { node };
        self.messages.get_or_insert_default();
        let own = self.own;
        let agent = &mut self.tabs[0];
        agent.news(now, &format!("registered {own} at node {node}"));
        agent.news(now, &format!("listening for conversations on {listening}"));
        for hint in FIRST_HINTS {
            agent.news(now, hint);
        }
        let example = example_for(&own);
        agent.news(now, &format!("type /call and an address, such as /call {example}"));
    }

    /// The registration was lost: others may not find the user.
    pub(crate) fn registration_lost(&mut self, now: Timestamp, reason: &str) {
        self.registration = Registration::Lost(safe_text(reason).into_owned());
        let failure = format!("registration lost: {reason}; the agent tries again, and conversations go on");
        self.tell(0, |tab| tab.failure(now, &failure));
    }

    /// The registration is back.
    pub(crate) fn registration_regained(&mut self, now: Timestamp, node: NodeAddress) {
        self.registration = Registration::Registered { node };
        let own = self.own;
        self.tell(0, |tab| tab.news(now, &format!("registered {own} again at node {node}")));
    }

    /// The node or this host has moved, and the user is registered.
    pub(super) fn moved(&mut self, now: Timestamp, node: NodeAddress, listening: MiSocketAddress) {
        self.registration = Registration::Registered { node };
        let own = self.own;
        self.tell(0, |tab| {
            tab.news(now, &format!("registered {own} at node {node}"));
            tab.news(now, &format!("listening for conversations on {listening}"));
        });
    }

    /// The user leaves.
    pub(crate) fn leaving(&mut self) {
        self.registration = Registration::Leaving;
    }
}

/// The hints for a new user.
const FIRST_HINTS: [&str; 2] = [
    "F1 helps · F2 the protocol · F3 contacts · /quit leaves",
    "incoming calls are answered automatically, each in a tab",
];
