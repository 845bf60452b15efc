//! The keys of this user and of others: answers to commands, and refused calls.

use std::time::SystemTime;

use jiff::Timestamp;
use mi_agent_core::{ConversationId, Day, PeerSecurity, PublicKey, Trust};
use plumi_proto::MiAddress;

use super::{App, Overlay};
use crate::full::protection;
use crate::full::tab::{ConversationState, Tab};
use crate::keys;
use crate::reason;
use crate::session::Done;

impl App {
    /// A wish is carried out. A command is answered in the tab in view.
    pub(crate) fn done(&mut self, now: Timestamp, done: Done) {
        let today = || Day::from(SystemTime::from(now));
        match done {
            Done::OwnWords(words) => return self.overlay = Some(Overlay::Words(words)),
            Done::Verified { address, key } => self.believe(&address, &key, Trust::Verified(today())),
            Done::Trusted { address, key } => self.believe(&address, &key, Trust::Known(today())),
            Done::Calling(_) | Done::Queued { .. } | Done::Posting(_) | Done::Later | Done::AtOnce => {}
        }
        if let Some(words) = keys::answer(done) {
            self.tab_mut().news(now, &words);
        }
    }

    /// A command is not carried out. The tab in view says why.
    pub(crate) fn not_done(&mut self, now: Timestamp, reason: &str) {
        self.tab_mut().failure(now, reason);
    }

    /// Somebody called with another key than the one that is known of the user at `claimed`, and was refused.
    pub(super) fn impostor(&mut self, now: Timestamp, claimed: &MiAddress) {
        let user = claimed.user();
        let failure = format!(
            "somebody called as {claimed} with another key, and was refused; if {user} may have a new machine, \
             /call {claimed} looks"
        );
        self.tell(0, |tab| tab.failure(now, &failure));
    }

    /// The callee of a conversation knows another key of this user. The end of the conversation follows.
    pub(super) fn own_key_refused(&mut self, now: Timestamp, id: ConversationId, to: Option<MiAddress>) {
        let Some((at, nickname)) = self.tab_and_nickname(id) else { return };
        let own = self.own;
        let to = to.map_or_else(|| nickname.to_string(), |to| to.to_string());
        self.tell(at, |tab| {
            tab.failure(now, &format!("cannot reach {to}: {}", reason::of_own_key(&own)));
            tab.news(
                now,
                &format!(
                    "Tell {nickname} another way, such as by phone, the words that /words shows here. There they are \
                     typed: /trust {own} WORD…"
                ),
            );
        });
    }

    /// Returns whether the peer of a tab shows no key, although one is known of its address.
    pub(super) fn lacks_key(&self, at: usize) -> bool {
        match &self.tabs[at].conversation {
            ConversationState::Open { peer, .. } => protection::lacks_key(&peer.security),
            ConversationState::None | ConversationState::Calling => false,
        }
    }

    /// Believes as much as `now` in the `key` of `address` in the conversations that it protects.
    fn believe(&mut self, address: &MiAddress, key: &PublicKey, now: Trust) {
        let protected = |tab: &&mut Tab| tab.address() == Some(*address);
        for tab in self.tabs.iter_mut().filter(protected) {
            if let ConversationState::Open { peer, .. } = &mut tab.conversation
                && let PeerSecurity::Tls { key: of_peer, trust } = &mut peer.security
                && of_peer == key
            {
                *trust = now;
            }
        }
    }
}
