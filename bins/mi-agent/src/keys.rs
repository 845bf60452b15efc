//! Keys and the protection of conversations, in words that all front ends use.

use mi_agent_core::{KeyWords, PeerSecurity, PublicKey, Trust};
use plumi_proto::MiAddress;

use crate::session::Done;

/// Returns the line about the protection of a conversation with the user at `address`, if that is known.
pub(crate) fn protection(security: &PeerSecurity, address: Option<&MiAddress>) -> String {
    let PeerSecurity::Tls { trust, .. } = security else {
        return "plain: anyone on the way can read and change this".into();
    };
    let compares =
        || address.map_or_else(String::new, |address| format!(": /verify {address} compares words"));
    match (trust, address) {
        (Trust::Known(since), _) => format!("encrypted, key known since {since}{}", compares()),
        (Trust::Introduced, Some(address)) => {
            format!("encrypted, key introduced by the node of {}", address.domain())
        }
        (Trust::Introduced, None) => "encrypted, key introduced by its node".into(),
        (Trust::Verified(on), _) => format!("encrypted, key verified on {on}"),
        _ => format!("encrypted, new key{}", compares()),
    }
}

/// Returns the warning about a plain call of a user with a key, if it is one.
pub(crate) fn lack_of_key(security: &PeerSecurity, address: Option<&MiAddress>) -> Option<String> {
    match (security, address) {
        (PeerSecurity::Plain { lacks_key: true }, Some(address)) => {
            Some(format!("{address} has a key, and this call does not show it"))
        }
        _ => None,
    }
}

/// Returns the words for a wish about keys that was carried out, if it was one.
pub(crate) fn answer(done: Done) -> Option<String> {
    match done {
        Done::OwnWords(words) => Some(format!("your words: {words}")),
        Done::Verified { address, .. } => {
            Some(format!("the words are right: the key of {address} is verified from now on"))
        }
        Done::Trusted { address, key } => Some(format!(
            "the key of {address} that begins with `{}` is known from now on; /verify {address} compares words",
            first_words(&address, &key)
        )),
        _ => None,
    }
}

/// Returns the first two words of the `key` of `address`, to tell it from others.
pub(crate) fn first_words(address: &MiAddress, key: &PublicKey) -> String {
    let [first, second, ..] = KeyWords::of(address, key).words();
    format!("{first} {second}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protection_has_its_line() {
        let joya: MiAddress = "joya@cc.com".parse().unwrap();
        let (since, on) = ("2026-11-29".parse().unwrap(), "2026-12-01".parse().unwrap());
        let tls = |trust| PeerSecurity::Tls { key: PublicKey::from_bytes([7; 32]), trust };
        let plain = PeerSecurity::Plain { lacks_key: false };
        for (security, line, without_address) in [
            (
                plain,
                "plain: anyone on the way can read and change this",
                "plain: anyone on the way can read and change this",
            ),
            (tls(Trust::New), "encrypted, new key: /verify joya@cc.com compares words", "encrypted, new key"),
            (
                tls(Trust::Known(since)),
                "encrypted, key known since 2026-11-29: /verify joya@cc.com compares words",
                "encrypted, key known since 2026-11-29",
            ),
            (
                tls(Trust::Introduced),
                "encrypted, key introduced by the node of cc.com",
                "encrypted, key introduced by its node",
            ),
            (
                tls(Trust::Verified(on)),
                "encrypted, key verified on 2026-12-01",
                "encrypted, key verified on 2026-12-01",
            ),
        ] {
            assert_eq!(protection(&security, Some(&joya)), line);
            assert_eq!(protection(&security, None), without_address);
            assert_eq!(lack_of_key(&security, Some(&joya)), None);
        }
        let lacks = PeerSecurity::Plain { lacks_key: true };
        let warning = "joya@cc.com has a key, and this call does not show it";
        assert_eq!(lack_of_key(&lacks, Some(&joya)).as_deref(), Some(warning));
    }
}
