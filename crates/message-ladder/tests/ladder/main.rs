//! What a ladder makes of messages.

mod captured;

use message_ladder::{Change, Ladder, Picture};
use message_log::Entry;

/// The ladder of the node or the agent `owner` that wrote these lines.
fn ladder_of(owner: &str, lines: &str) -> Ladder {
    let mut ladder = Ladder::new(owner, 500);
    for line in lines.lines() {
        let changes = ladder.push(None, &Entry::parse(owner, line).expect("a line of a log"));
        assert!(matches!(changes.last(), Some(Change::Arrow(_))));
    }
    ladder
}

/// All of it as text, `width` columns wide.
fn drawn(ladder: &Ladder, user: Option<&str>, width: usize) -> String {
    let picture = Picture::new(ladder, user, width);
    let header = picture.header().into_iter();
    let arrows = ladder.arrows().filter(|arrow| user.is_none_or(|user| arrow.concerns(user)));
    let lines = header.chain(arrows.map(|arrow| picture.line(arrow, "")));
    lines.map(|line| line.text() + "\n").collect()
}
