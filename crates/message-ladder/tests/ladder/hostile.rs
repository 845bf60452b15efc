//! That whatever is in a message stays text.

use message_ladder::{Ladder, Line, Picture, Telling, mermaid};
use message_log::{Direction, Entry, is_visible};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use crate::at;

/// Bytes, texts, and messages with any names in them.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        "[!-~]{1,8}",
        "\\PC{1,6}",
        Just("end".to_owned()),
        Just("p0->>p1".to_owned()),
        Just("\u{3164}".to_owned()),
        Just("lumi-node-check".to_owned())
    ];
    let address = (name, "[a-z]{1,4}").prop_map(|(user, domain)| format!("{user}@{domain}.com"));
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..150),
        any::<String>().prop_map(String::into_bytes),
        "[;#%<>\"'&`\\\\ \n]{0,20}end;?".prop_map(String::into_bytes),
        ("P[RD]", address.clone()).prop_map(|(kind, address)| (kind + &address).into_bytes()),
        ("PL|RL[123]", address.clone(), address.clone())
            .prop_map(|(kind, from, to)| format!("{kind}{from}:{to}").into_bytes()),
        (address.clone(), address, extension()).prop_map(|(from, to, more)| [
            format!("RL0{from}:{to}:1.2.3.4:5").into_bytes(),
            more
        ]
        .concat()),
        ("R[RD][01]", extension()).prop_map(|(kind, more)| [kind.into_bytes(), more].concat()),
    ]
}

/// None, or any bytes.
fn extension() -> impl Strategy<Value = Vec<u8>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..20))
        .prop_map(|text| text.map_or_else(Vec::new, |text| [b":".to_vec(), text].concat()))
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (any::<bool>(), 3340..3348_u16, message()).prop_map(|(sent, port, message)| {
        let direction = if sent { Direction::Sent } else { Direction::Received };
        Entry::new("bb.com", direction, at(port), &message)
    });
    prop::collection::vec(entry, 1..40)
}

fn is_safe(text: &str) -> bool {
    text.chars().all(is_visible)
}

/// Checks the part of Mermaid's language that is used: a participant, an arrow or a note a line, and in texts
/// no sign that means anything but entities and line breaks.
fn is_diagram(diagram: &str) -> bool {
    let id = |text: &str| text.strip_prefix('p').is_some_and(|id| id.parse::<u32>().is_ok());
    let is_text = |text: &str| {
        let mut rest = text.replace("<br/>", " ");
        while let Some((before, entity)) = rest.split_once('#') {
            let Some((number, after)) = entity.split_once(';') else { return false };
            if number.parse::<u32>().is_err() {
                return false;
            }
            rest = format!("{before}{after}");
        }
        rest.chars().all(|c| c.is_alphanumeric() || " @:.,-_?…()".contains(c))
    };
    let mut lines = diagram.lines();
    lines.next() == Some("sequenceDiagram")
        && lines.all(|line| {
            let Some(line) = line.strip_prefix("    ") else { return false };
            if let Some(party) = line.strip_prefix("participant ") {
                return party.split_once(" as ").is_some_and(|(name, text)| id(name) && is_text(text));
            }
            let Some((who, text)) = line.split_once(": ") else { return false };
            if let Some(who) = who.strip_prefix("Note left of ") {
                return id(who) && is_text(text);
            }
            let pair = who.strip_prefix("Note over ").and_then(|who| who.split_once(','));
            let pair = pair.or_else(|| who.split_once("->>"));
            pair.is_some_and(|(from, to)| id(from) && id(to)) && is_text(text)
        })
}

proptest! {
    #[test]
    fn what_is_shown_is_safe_and_fits(
        owner in prop_oneof![Just("bb.com"), Just("laura@bb.com"), Just(""), Just("\x1b[2J")],
        entries in entries(),
        width in 0..160_usize,
        has_times in any::<bool>(),
        telling in prop_oneof![Just(Telling::BytesFirst), Just(Telling::WordsFirst), Just(Telling::Words)],
    ) {
        let mut ladder = Ladder::new(owner, 30);
        for entry in &entries {
            for change in ladder.push(has_times.then_some(std::time::UNIX_EPOCH), entry) {
                let json = serde_json::to_string(&change).unwrap();
                prop_assert!(is_safe(&json), "{json:?}");
            }
        }
        let picture = Picture::new(&ladder, None, width).telling(telling);
        let check = |line: &Line| {
            let text = line.text();
            prop_assert!(is_safe(&text), "{:?}", text);
            prop_assert!(text.width() <= width, "{} of {}: {:?}", text.width(), width, text);
            Ok(())
        };
        for line in picture.header() {
            check(&line)?;
        }
        for arrow in ladder.arrows() {
            check(&picture.line(arrow, "12:34:56.789"))?;
            prop_assert!(arrow.note.as_deref().is_none_or(is_safe));
        }
        let diagram = mermaid(&ladder, None);
        prop_assert!(is_diagram(&diagram), "{}", diagram);
        prop_assert!(diagram.lines().all(is_safe));
    }
}

#[test]
fn the_check_of_diagrams_sees_what_breaks_out() {
    let good =
        "sequenceDiagram\n    participant p0 as bb.com<br/>this node\n    p1->>p0: PR#59; (3 B)<br/>x\n";
    assert!(is_diagram(good));
    for bad in ["; end", "#", "%%", "a<b>", "\n    participant"] {
        assert!(!is_diagram(&good.replace("#59;", bad)), "{bad}");
    }
}
