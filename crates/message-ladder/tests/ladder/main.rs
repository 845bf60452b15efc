//! Ladders of messages.

mod bounds;
mod captured;
mod columns;
mod hostile;
mod notes;
mod parties;
mod watch;

use std::net::{Ipv4Addr, SocketAddrV4};

use message_ladder::{Arrow, Change, Ladder, Picture};
use message_log::{Direction, Entry};

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
    let arrows = ladder.arrows().filter(|arrow| user.is_none_or(|user| arrow.concerns(user)));
    let lines = picture.header().into_iter().chain(arrows.map(|arrow| picture.line(arrow, "")));
    lines.map(|line| line.text() + "\n").collect()
}

fn received(port: u16, message: &[u8]) -> Entry {
    Entry::new("bb.com", Direction::Received, at(port), message)
}

fn sent(port: u16, message: &[u8]) -> Entry {
    Entry::new("bb.com", Direction::Sent, at(port), message)
}

fn at(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), port)
}

/// Returns the resulting arrow.
fn pushed(ladder: &mut Ladder, entry: &Entry) -> Arrow {
    match ladder.push(None, entry).pop() {
        Some(Change::Arrow(arrow)) => arrow,
        other => panic!("no arrow, but {other:?}"),
    }
}

fn names(ladder: &Ladder) -> Vec<&str> {
    ladder.parties().map(|party| party.name.as_str()).collect()
}
