//! The text of `nodelumi.cfg.keys`.

use lumi_node_core::{KeyOrigin, Keys, KeysReason, MAX_KEYS, PublicKey, UserKey, UserName};

/// Any text is keys or is wrong in a line of it. Keys are written as they were read, and one more is there
/// until it is removed.
///
/// # Panics
/// If it is not, they are not, or it is not.
pub fn keys(text: &[u8]) {
    let keys = match Keys::parse(text) {
        Ok(keys) => keys,
        Err(error) => {
            let lines = text.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(&error.line), "{error}: {text:?}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
            return;
        }
    };
    let mut written = String::new();
    for (user, of_user) in keys.iter() {
        assert!((1..=MAX_KEYS).contains(&of_user.len()), "{text:?}");
        assert_eq!(keys.of(user), of_user);
        for (at, key) in of_user.iter().enumerate() {
            assert!(of_user[..at].iter().all(|other| other.key != key.key), "twice: {text:?}");
            written += &(key.line(user) + "\n");
        }
    }
    assert_eq!(Keys::parse(written.as_bytes()).as_ref(), Ok(&keys), "{text:?}");
    for (key, holders) in keys.shared() {
        assert!(holders.len() > 1 && holders.is_sorted(), "{text:?}");
        assert!(holders.iter().all(|user| keys.of(user).iter().any(|known| known.key == key)), "{text:?}");
    }
    keys.iter().for_each(|(user, _)| one_more(&keys, *user, text));
}

/// Adds a key of `user` and removes it again.
fn one_more(keys: &Keys, user: UserName, text: &[u8]) {
    let more = UserKey::new(PublicKey([0xa5; 32]), "2026-11-29", KeyOrigin::Added);
    let is_known = keys.of(&user).iter().any(|known| known.key == more.key);
    let mut changed = keys.clone();
    if changed.add(user, more.clone()).is_err() {
        assert!(is_known || keys.of(&user).len() == MAX_KEYS, "{text:?}");
        assert_eq!(&changed, keys, "{text:?}");
        return;
    }
    assert!(!is_known, "{text:?}");
    let line = more.line(&user);
    let with_line =
        [text, if text.is_empty() || text.ends_with(b"\n") { b"" } else { b"\n" }, line.as_bytes()].concat();
    assert_eq!(Keys::parse(&with_line).as_ref(), Ok(&changed), "{line} behind {text:?}");
    let twice = [&with_line[..], b"\n", line.as_bytes()].concat();
    let error = Keys::parse(&twice).expect_err("it is there twice");
    assert!(matches!(error.reason, KeysReason::Refused(_)), "{error}");
    assert!(changed.remove(&user, &more.key) && !changed.remove(&user, &more.key));
    assert_eq!(&changed, keys, "{text:?}");
}
