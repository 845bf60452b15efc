//! The columns of many agents on little room.

use std::time::UNIX_EPOCH;

use message_ladder::{Ladder, PartyId, Picture, Telling};
use unicode_width::UnicodeWidthStr;

use crate::{received, sent};

/// Agents that register and ask for each other, in turn.
fn busy(agents: u16) -> Ladder {
    let mut ladder = Ladder::new("bb.com", 2000);
    let mut push = |entry| drop(ladder.push(Some(UNIX_EPOCH), &entry));
    for number in 1..=agents {
        push(received(number, format!("PRagent{number:03}").as_bytes()));
        push(sent(number, b"RR0"));
        let other = number % agents + 1;
        let location = format!("PLagent{number:03}@bb.com:agent{other:03}@bb.com");
        push(received(number, location.as_bytes()));
        push(sent(other, location.as_bytes()));
    }
    ladder
}

#[test]
fn each_arrow_has_both_ends_in_view_and_the_node_a_column() {
    for agents in [3, 30, 300] {
        let ladder = busy(agents);
        let seen: Vec<_> = ladder.arrows().rev().take(20).collect();
        let parties = || seen.iter().flat_map(|arrow| [arrow.from, arrow.to]);
        for width in [17, 20, 26, 30, 40, 64, 80, 100, 136, 200] {
            let picture = Picture::of(&ladder, parties(), width).telling(Telling::Words);
            let [names, _] = picture.header().map(|line| line.text());
            assert!(names.contains("bb.com"), "{agents} at {width}: {names}");
            for arrow in &seen {
                let line = picture.line(arrow, "12:34:56.789").text();
                let count = |signs: &str| line.chars().filter(|&sign| signs.contains(sign)).count();
                assert_eq!((count("├┤"), count("▶◀")), (1, 1), "{agents} at {width}: {line}");
                assert!(line.width() <= width, "{line}");
            }
        }
    }
}

#[test]
fn those_without_room_share_a_column_and_the_first_have_one() {
    let ladder = busy(30);
    let seen: Vec<_> = ladder.arrows().rev().take(20).collect();
    let picture = Picture::of(&ladder, seen.iter().flat_map(|arrow| [arrow.from, arrow.to]), 80);
    let picture = picture.telling(Telling::Words);
    let lines: Vec<_> = picture.header().into_iter().map(|line| line.text()).collect();
    assert_eq!(lines[0], "         agent001 agent030 4 others  bb.com", "{lines:?}");
    assert_eq!(lines[1], "         …0.0.1:1 ….0.1:30            node", "{lines:?}");
    let line = picture.line(seen[19], "12:34:56.789").text();
    assert_eq!(line, "12:34:56     │        │        ├───PR──▶│  register agent026");
    assert!(picture.has_column(seen[0].to) && !picture.has_column(seen[19].from));
    assert!(picture.has_column(PartyId::THIS));
}

#[test]
fn where_there_is_room_each_has_a_column() {
    let ladder = busy(30);
    let picture = Picture::new(&ladder, None, 1000);
    assert!(ladder.parties().all(|party| picture.has_column(party.id)));
}

#[test]
fn words_come_first_if_they_shall() {
    let mut ladder = Ladder::new("bb.com", 10);
    (0..2).for_each(|_| drop(ladder.push(None, &received(1, b"PRlaura"))));
    let picture = Picture::new(&ladder, None, 200);
    let said = |telling, width: usize| {
        let picture = if width == 200 { picture.clone() } else { Picture::new(&ladder, None, width) };
        let line = picture.telling(telling).line(ladder.arrows().last().unwrap(), "").text();
        line.split_once("│").unwrap().1.trim().to_owned()
    };
    assert_eq!(said(Telling::Words, 200), "register laura  ·  no answer yet, 2nd time");
    assert_eq!(said(Telling::WordsFirst, 200), "register laura  ·  no answer yet, 2nd time  PRlaura  7 B");
    assert_eq!(said(Telling::BytesFirst, 200), "PRlaura  7 B  register laura  ·  no answer yet, 2nd time");
    assert_eq!(said(Telling::Words, 60), "no answer yet, 2nd time  ·  register …");
    assert_eq!(said(Telling::WordsFirst, 80), "register laura  ·  no answer yet, 2nd time  PRlaura  7 B");
}

#[test]
fn an_address_alone_moves_no_column() {
    let mut ladder = Ladder::new("bb.com", 10);
    let picture = |port: u16| {
        ladder.push(None, &received(port, b"PRlaura"));
        Picture::new(&ladder, None, 80)
    };
    let pictures = [1, 2, 3].map(picture);
    assert!(pictures[1] != pictures[2] && pictures[1].is_aligned_with(&pictures[2]));
    // The number of them does, when it comes.
    assert!(!pictures[0].is_aligned_with(&pictures[1]));
    assert!(pictures[2].header()[1].text().contains("10.0.0.1:3 +2"), "{:?}", pictures[2].header());
}
