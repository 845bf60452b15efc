//! Wishes about keys.

use mi_agent_core::{Agent, KeyError, KeyWords, Strength, TrustError};
use plumi_proto::MiAddress;

use super::happened::{ChangedKeys, Done, Refused};
use crate::keys::first_words;
use crate::reason::Reason;

/// Returns the words of the agent's own key.
pub(super) fn own_words(agent: &Agent) -> Result<Done, Refused> {
    let key = agent.public_key().ok_or(Refused::NoKey)?;
    Ok(Done::OwnWords(KeyWords::of(&agent.address(), &key)))
}

/// Believes in the key of `address` that has these `words`.
pub(super) fn verify(agent: &Agent, address: MiAddress, words: &KeyWords) -> Result<Done, Refused> {
    match agent.verify(&address, words) {
        Ok(key) => Ok(Done::Verified { address, key }),
        Err(error) => Err(not_trusted(agent, address, &error, Some(words))),
    }
}

/// Believes in the key that answered the last call to `address` and was refused.
pub(super) fn trust(agent: &Agent, address: MiAddress) -> Result<Done, Refused> {
    match agent.trust(&address) {
        Ok(key) => Ok(Done::Trusted { address, key }),
        Err(error) => Err(not_trusted(agent, address, &error, None)),
    }
}

/// Returns the keys of a caller that was refused because another key is known of `address`.
pub(super) fn changed(agent: &Agent, address: &MiAddress) -> Option<ChangedKeys> {
    let offered = agent.refused_caller_key(address)?;
    let pins = agent.pins(address).ok()?;
    let known = pins.iter().max_by_key(|pin| (pin.strength, pin.since))?.key;
    Some(ChangedKeys { known, offered })
}

fn not_trusted(agent: &Agent, address: MiAddress, error: &KeyError, words: Option<&KeyWords>) -> Refused {
    let reason = match (error, words) {
        // The right word is not told: it has to come from the user.
        (KeyError::Differs { at }, Some(words)) => {
            let typed = words.words().get(at - 1).copied().unwrap_or_default();
            format!(
                "word {at}, `{typed}`, is another one; ask for it again, and type nothing that you only guess"
            )
        }
        (KeyError::Trust(TrustError::NeedsWords), _) => {
            format!("{error}: /trust {address} WORD…")
        }
        (KeyError::Trust(TrustError::TooMany), _) => format!("{error}: {}", known(agent, &address)),
        (KeyError::NothingRefused, _) => format!("{error}; /call {address} meets it"),
        _ => Reason(error).to_string(),
    };
    Refused::NotTrusted { address, reason }
}

/// Returns the first words of the verified keys of `address`, with their days.
fn known(agent: &Agent, address: &MiAddress) -> String {
    let pins = agent.pins(address).unwrap_or_default();
    let verified = pins.iter().filter(|pin| pin.strength == Strength::Verified);
    let named = verified.map(|pin| format!("`{}` since {}", first_words(address, &pin.key), pin.since));
    named.collect::<Vec<_>>().join(", ")
}
