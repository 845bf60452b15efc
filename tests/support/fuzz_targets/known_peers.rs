//! The text of `known_peers`.

use std::collections::HashMap;

use mi_agent_core::{KnownPeers, KnownPeersError, MAX_KEYS, MiAddress, Pin, Strength};

/// Any text is keys or is wrong in a line of it. Keys are written as they were read.
///
/// # Panics
/// If it is not, or they are not.
pub fn known_peers(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    let pins = match KnownPeers::parse(text) {
        Ok(pins) => pins,
        Err(error) => {
            let KnownPeersError::Line { line, .. } = error else { panic!("{error}") };
            assert!((1..=1 + text.matches('\n').count()).contains(&line), "{error}: {text:?}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
            return;
        }
    };
    assert_eq!(pins.len(), text.lines().count(), "one on each line: {text:?}");
    let mut keys: HashMap<MiAddress, Vec<_>> = HashMap::new();
    for (address, pin) in &pins {
        let of_address = keys.entry(*address).or_default();
        assert!(!of_address.contains(&pin.key), "twice: {text:?}");
        of_address.push(pin.key);
        assert!(of_address.len() <= MAX_KEYS, "{text:?}");
        assert_eq!(pin.strength == Strength::Verified, pin.verified.is_some(), "{text:?}");
    }
    let written: String = pins.iter().map(line).collect();
    // A verified key may have been introduced before, which counts no more.
    assert_eq!(KnownPeers::parse(&written).expect("it was read"), pins, "{text:?}");
}

fn line((address, pin): &(MiAddress, Pin)) -> String {
    let how = if pin.strength == Strength::Introduced { "introduced" } else { "seen" };
    let verified = pin.verified.map_or_else(String::new, |on| format!(" verified {on}"));
    format!("{address} ed25519 {} {how} {}{verified}\n", pin.key, pin.since)
}
