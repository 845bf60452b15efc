//! The offers of encryption in answers to location requests.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plumi_proto::{Extension, Locate, MiAddress};

/// Remembers which questions were answered with an offer just before.
///
/// A node of version 0.1 drops such an answer, and the asker asks again: then it gets one that passes. If the
/// asker begins to encrypt, the answer has arrived, and its next question is about another call. So it has if
/// the asker calls in plain text without having asked again.
#[derive(Debug, Default)]
pub(super) struct TlsOffers(VecDeque<Offered>);

/// An answer with an offer.
#[derive(Debug)]
struct Offered {
    locate: Locate,
    at: Instant,
    /// The asker has asked again, and was answered without an offer.
    was_repeated: bool,
}

impl TlsOffers {
    /// Returns the extension of the answer to `locate`.
    pub(super) fn extension(&mut self, now: Instant, locate: Locate) -> Extension {
        self.0.retain(|offered| now.saturating_duration_since(offered.at) < REPEATED_WITHIN);
        if let Some(offered) = self.0.iter_mut().find(|offered| offered.locate == locate) {
            offered.was_repeated = true;
            return Extension::NONE;
        }
        if self.0.len() == MAX_OFFERS {
            self.0.pop_front();
        }
        self.0.push_back(Offered { locate, at: now, was_repeated: false });
        Extension::new(OFFER).expect("it is short")
    }

    /// Records that `asker` encrypts its call: no node on the way to it drops offers.
    pub(super) fn arrived(&mut self, asker: &MiAddress) {
        self.0.retain(|offered| offered.locate.from != *asker);
    }

    /// Records that `asker` has begun a call, which may be in plain text: if there was one answer, it has
    /// arrived.
    pub(super) fn called(&mut self, asker: &MiAddress) {
        self.0.retain(|offered| offered.was_repeated || offered.locate.from != *asker);
    }
}

/// Returns whether the callee that answers with `extension` takes encrypted calls: its first field says so,
/// whatever follows (protocol.md §11).
pub(super) fn offers_tls(extension: &Extension) -> bool {
    extension.text().is_some_and(|text| text.split(|byte| *byte == b':').next() == Some(OFFER))
}

/// The field that offers encryption.
const OFFER: &[u8] = b"T";

/// The time within which a repeated question shows that the answer was dropped.
pub(crate) const REPEATED_WITHIN: Duration = Duration::from_secs(5);

/// The most offers that are remembered. A question that is repeated after so many others gets an offer again.
const MAX_OFFERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;

    fn locate(from: &str) -> Locate {
        Locate { from: from.parse().unwrap(), to: "joya@cc.com".parse().unwrap() }
    }

    #[test]
    fn a_question_that_is_repeated_is_answered_without() {
        let (mut offers, start) = (TlsOffers::default(), any_time());
        let mut at = |millis: u64, from: &str| {
            offers_tls(&offers.extension(start + Duration::from_millis(millis), locate(from)))
        };
        assert!(at(0, "laura@bb.com"));
        assert!(!at(1_000, "laura@bb.com") && !at(4_999, "laura@bb.com"));
        assert!(at(2_000, "pere@bb.com"), "nobody else's is");
        assert!(at(5_000, "laura@bb.com"), "another call");
    }

    #[test]
    fn who_has_called_gets_an_offer_again() {
        let (mut offers, now) = (TlsOffers::default(), any_time());
        for asker in ["laura@bb.com", "pere@bb.com"] {
            assert!(offers_tls(&offers.extension(now, locate(asker))));
        }
        offers.arrived(&"laura@bb.com".parse().unwrap());
        assert!(offers_tls(&offers.extension(now, locate("laura@bb.com"))));
        assert!(!offers_tls(&offers.extension(now, locate("pere@bb.com"))), "nobody else does");
    }

    /// A user may permit a plain call, and call again at once.
    #[test]
    fn who_calls_in_plain_text_gets_an_offer_again_unless_the_first_was_dropped() {
        let (mut offers, now) = (TlsOffers::default(), any_time());
        let laura = "laura@bb.com".parse().unwrap();
        assert!(offers_tls(&offers.extension(now, locate("laura@bb.com"))));
        assert!(offers_tls(&offers.extension(now, locate("pere@bb.com"))));
        offers.called(&laura);
        assert!(!offers_tls(&offers.extension(now, locate("pere@bb.com"))), "nobody else does");
        assert!(offers_tls(&offers.extension(now, locate("laura@bb.com"))));
        assert!(!offers_tls(&offers.extension(now, locate("laura@bb.com"))));
        offers.called(&laura);
        assert!(!offers_tls(&offers.extension(now, locate("laura@bb.com"))), "a node may drop offers");
    }

    #[test]
    fn few_are_remembered() {
        let (mut offers, now) = (TlsOffers::default(), any_time());
        for n in 0..1_000 {
            assert!(offers_tls(&offers.extension(now, locate(&format!("u{n}@bb.com")))));
            assert!(offers.0.len() <= MAX_OFFERS);
        }
        assert!(!offers_tls(&offers.extension(now, locate("u999@bb.com"))));
    }

    #[test]
    fn the_first_field_is_an_offer_or_is_none() {
        for (text, is_offer) in [
            ("T", true),
            ("T:", true),
            ("T:x:y", true),
            ("", false),
            ("t", false),
            ("TT", false),
            ("x:T", false),
            (" T", false),
        ] {
            assert_eq!(offers_tls(&Extension::new(text.as_bytes()).unwrap()), is_offer, "{text:?}");
        }
        assert!(!offers_tls(&Extension::NONE));
    }
}
