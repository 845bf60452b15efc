//! The offers of encryption that an agent makes in its answers, as protocol.md §11 wants them.

use std::time::Duration;

use mi_agent_core::Locate;

/// The offers of one agent that encrypts.
#[derive(Debug, Default)]
pub(super) struct OfferLaws(Vec<Offered>);

#[derive(Debug)]
struct Offered {
    locate: Locate,
    at: Duration,
    /// A caller has encrypted since, who may be this asker.
    may_be_over: bool,
    /// The same was asked again, and answered without an offer.
    was_repeated: bool,
}

impl OfferLaws {
    /// Returns whether the answer to `locate` has to offer encryption. `None` if it may, and need not.
    pub(super) fn expects(&mut self, now: Duration, locate: &Locate) -> Option<bool> {
        self.0.retain(|offered| now - offered.at < REPEATED_WITHIN);
        match self.0.iter().find(|offered| offered.locate == *locate) {
            None => Some(true),
            Some(offered) => (!offered.may_be_over).then_some(false),
        }
    }

    /// The answer to `locate` offers encryption, or does not.
    pub(super) fn answered(&mut self, now: Duration, locate: Locate, offers: bool) {
        if let Some(before) = self.0.iter_mut().find(|offered| offered.locate == locate) {
            before.may_be_over = false;
            before.was_repeated = true;
        }
        if !offers {
            return;
        }
        self.0.retain(|offered| offered.locate != locate);
        if self.0.len() >= MAX_OFFERS {
            self.0.remove(0);
        }
        self.0.push(Offered { locate, at: now, may_be_over: false, was_repeated: false });
    }

    /// A caller encrypts, and nobody can say who.
    pub(super) fn somebody_encrypts(&mut self) {
        self.0.iter_mut().for_each(|offered| offered.may_be_over = true);
    }

    /// This caller encrypts: the answer has arrived.
    pub(super) fn encrypts(&mut self, caller: &mi_agent_core::MiAddress) {
        self.0.retain(|offered| offered.locate.from != *caller);
    }

    /// This caller calls, perhaps in plain text: an answer that was the only one has arrived.
    pub(super) fn calls(&mut self, caller: &mi_agent_core::MiAddress) {
        self.0.retain(|offered| offered.was_repeated || offered.locate.from != *caller);
    }
}

/// The time within which a repeated question is answered without an offer.
const REPEATED_WITHIN: Duration = Duration::from_secs(5);

/// The offers that are remembered.
const MAX_OFFERS: usize = 64;
