//! The captured exchange of protocol.md §8, as its two nodes logged it, and how it is drawn.

use message_ladder::mermaid;

use crate::{drawn, ladder_of};

const LOGS: [(&str, &str); 2] = [
    ("PC-c", include_str!("../captured/nodelumi-PC-c.log")),
    ("PC-d", include_str!("../captured/nodelumi-PC-d.log")),
];

#[test]
fn it_is_drawn() {
    let expected = [include_str!("../captured/PC-c.txt"), include_str!("../captured/PC-d.txt")];
    for ((owner, lines), expected) in LOGS.into_iter().zip(expected) {
        let shown = drawn(&ladder_of(owner, lines), None, 300);
        assert_eq!(shown, expected, "{shown}");
    }
}

#[test]
fn where_there_is_less_room_the_ends_of_addresses_and_the_beginnings_of_texts_are_seen() {
    let (owner, lines) = LOGS[0];
    let shown = drawn(&ladder_of(owner, lines), Some("u1"), 64);
    assert_eq!(shown, include_str!("../captured/PC-c-narrow.txt"), "{shown}");
}

#[test]
fn it_is_a_diagram() {
    let expected = [include_str!("../captured/PC-c.mmd"), include_str!("../captured/PC-d.mmd")];
    for ((owner, lines), expected) in LOGS.into_iter().zip(expected) {
        let diagram = mermaid(&ladder_of(owner, lines), None);
        assert_eq!(diagram, expected, "{diagram}");
    }
}
