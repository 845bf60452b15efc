//! Refused callers, and whether they are news.

use std::collections::VecDeque;

use mi_agent_core::Refusal;
use plumi_proto::MiAddress;

/// Finds the callers that were reported already: most askers call right after.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The reported askers, the latest last.
    reported: VecDeque<MiAddress>,
}

impl Refusals {
    /// Handles a location request. Returns whether it is news.
    pub(super) fn asked(&mut self, from: MiAddress, reason: Refusal) -> bool {
        // Most askers call again later, and the user knows about the ongoing conversation.
        if reason == Refusal::Busy {
            return false;
        }
        self.reported.retain(|reported| *reported != from);
        if self.reported.len() >= MAX_REPORTED {
            self.reported.pop_front();
        }
        self.reported.push_back(from);
        true
    }

    /// Handles a call. Returns whether it is news.
    pub(super) fn called(&self, address: Option<MiAddress>, reason: Refusal) -> bool {
        // The agent reports another key once a minute.
        matches!(reason, Refusal::Busy | Refusal::KeyChanged(_))
            || address.is_none_or(|address| !self.reported.contains(&address))
    }
}

/// The number of askers that an agent reports in a minute. A caller asked less than a minute ago.
const MAX_REPORTED: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_is_news_once() {
        let mut refusals = Refusals::default();
        let [joya, anna] = ["joya@cc.com", "anna@cc.com"].map(|address| address.parse().unwrap());
        assert!(!refusals.asked(joya, Refusal::Busy));
        assert!(refusals.called(Some(joya), Refusal::Busy));

        assert!(refusals.asked(joya, Refusal::Blocked));
        assert!(refusals.asked(anna, Refusal::Blocked));
        assert!(!refusals.called(Some(joya), Refusal::Blocked));
        assert!(refusals.asked(joya, Refusal::Blocked), "the agent decides when it is news");
        for n in 0..MAX_REPORTED {
            let address = format!("u{n}@cc.com").parse().unwrap();
            assert!(refusals.called(Some(address), Refusal::NotAllowed));
            refusals.asked(address, Refusal::NotAllowed);
        }
        assert!(refusals.called(Some(joya), Refusal::Blocked), "as many others came since");
        assert_eq!(refusals.reported.len(), MAX_REPORTED);
        assert!(refusals.called(None, Refusal::NotAllowed));
    }
}
