//! The protection of conversations, as the screen says it: a word, a sentence, and what to do when a call is
//! refused.

use mi_agent_core::{CallError, KeyWords, NotSecure, PeerSecurity, Pin, Strength, Trust};
use plumi_proto::MiAddress;

use crate::keys;
use crate::reason;

/// Returns the one word for a protection. The tab shows it while there is a conversation.
pub(super) fn word(security: &PeerSecurity) -> &'static str {
    match security {
        PeerSecurity::Tls { trust, .. } => trust.as_str(),
        _ => "plain",
    }
}

/// Returns whether the peer shows no key, although one is known of its address. It may be somebody else.
pub(crate) fn lacks_key(security: &PeerSecurity) -> bool {
    matches!(security, PeerSecurity::Plain { lacks_key: true })
}

/// Returns whether the peer has shown a key that is known of its address.
pub(crate) fn shows_known_key(security: &PeerSecurity) -> bool {
    matches!(security, PeerSecurity::Tls { trust, .. } if *trust != Trust::New)
}

/// A sentence about a protection, for rows of different widths.
pub(super) struct Sentence {
    pub(super) long: String,
    /// The same without the command that compares words, for example.
    pub(super) short: String,
}

impl Sentence {
    /// Returns the sentence about a conversation with the user at `address`, if that is known.
    pub(super) fn about(security: &PeerSecurity, address: Option<&MiAddress>) -> Self {
        let (long, short) = match security {
            PeerSecurity::Plain { lacks_key: true } => {
                ("plain, without its key: it may be somebody else".into(), "plain, without its key".into())
            }
            PeerSecurity::Tls { trust: Trust::Introduced, .. } => {
                (keys::protection(security, address), "encrypted, key introduced".into())
            }
            PeerSecurity::Tls { .. } => {
                (keys::protection(security, address), keys::protection(security, None))
            }
            _ => (keys::protection(security, address), "plain: others can read and change this".into()),
        };
        Self { long, short }
    }
}

/// The two lines for a call that was refused on account of keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RefusedCall {
    /// The failure.
    pub(super) failure: String,
    /// The remedy.
    pub(super) advice: Option<String>,
}

impl RefusedCall {
    /// Returns the words for a call of the user at `own` to `to` that failed with `error`, if keys are the
    /// reason.
    pub(super) fn of(own: &MiAddress, to: &MiAddress, error: &CallError) -> Option<Self> {
        Some(match error {
            CallError::KeyChanged { known, offered } => {
                let words = KeyWords::of(to, offered);
                Self::of_changed_key(to, known, &words)
            }
            CallError::NotSecure(NotSecure::HasKey) => Self {
                failure: format!("{to} offers no encryption, though it has a key. Nothing was sent."),
                advice: Some(plain(to)),
            },
            CallError::NotSecure(reason) => Self {
                failure: format!("cannot reach {to}: {reason}. Nothing was sent."),
                advice: match reason {
                    NotSecure::CannotEncrypt(_) | NotSecure::AnswersPlain | NotSecure::NoAgreement => {
                        Some(plain(to))
                    }
                    _ => reason::hint_for_call(own, to, error),
                },
            },
            CallError::Trust(_) => {
                Self { failure: format!("cannot reach {to}: {}", reason::of_call(error)), advice: None }
            }
            _ => return None,
        })
    }

    fn of_changed_key(to: &MiAddress, known: &Pin, words: &KeyWords) -> Self {
        let user = to.user();
        let belief = match (known.strength, known.verified) {
            (Strength::Verified, Some(on)) => format!("you verified on {on}"),
            _ => format!("known since {}", known.since),
        };
        let failure = format!(
            "{user}'s key is not the one {belief}. Nothing was sent. {user} may have a new machine, or somebody sits \
             in between."
        );
        let advice = if known.strength == Strength::Verified {
            format!(
                "Ask {user} another way, such as by phone, for the words that /words shows there. Then type: \
                 /trust {to} WORD… Until then only the old key is taken."
            )
        } else {
            let [first, second, ..] = words.words();
            format!(
                "Ask {user} another way, such as by phone, whether the machine is new. If it is: /trust {to} takes \
                 the key that begins with `{first} {second}`. Until then only the old key is taken."
            )
        };
        Self { failure, advice: Some(advice) }
    }
}

fn plain(to: &MiAddress) -> String {
    format!(
        "/plain {to} calls once without encryption. Anyone on the way can read and change what is said then."
    )
}
