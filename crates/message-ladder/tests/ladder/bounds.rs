//! That strangers make nothing grow, and hide nobody.

use std::net::{Ipv4Addr, SocketAddrV4};

use message_ladder::{Change, Ladder, Role};
use message_log::{Direction, Entry};

use crate::{names, pushed, received, sent};

fn from(stranger: u32, message: &[u8]) -> Entry {
    let [_, a, b, c] = stranger.to_be_bytes();
    Entry::new("bb.com", Direction::Received, SocketAddrV4::new(Ipv4Addr::new(11, a, b, c), 9), message)
}

#[test]
fn strangers_with_thousands_of_sockets_share_a_column() {
    let mut ladder = Ladder::new("bb.com", 200);
    let kinds: [&[u8]; 4] = [b"rubbish", b"PRnobody@bb.com", b"PLx@cc.com:y@dd.com", b"RL3x@bb.com:y@dd.com"];
    for stranger in 0..5000 {
        pushed(&mut ladder, &from(stranger, kinds[stranger as usize % 4]));
    }
    assert_eq!(ladder.arrows().len(), 200);
    // Three have a name, however many sockets say it, and five of the others have columns. There is one for
    // all the rest, and one for this node.
    assert_eq!(ladder.parties().count(), 10, "{:?}", names(&ladder));
    assert!(ladder.parties().all(|party| party.addresses <= 200));
    // A user that the node knows still gets a column.
    pushed(&mut ladder, &received(1, b"PRlaura@bb.com"));
    pushed(&mut ladder, &sent(1, b"RR0"));
    let asks = pushed(&mut ladder, &received(1, b"PLlaura@bb.com:joya@cc.com"));
    assert_eq!(ladder.party(asks.from).unwrap().name, "laura@bb.com");
    // Their columns are gone when their messages are.
    for _ in 0..200 {
        pushed(&mut ladder, &received(1, b"PLlaura@bb.com:joya@cc.com"));
    }
    assert!(ladder.parties().all(|party| party.role != Role::Others));
}

#[test]
fn strangers_take_the_place_of_nobody_who_is_known() {
    let mut ladder = Ladder::new("bb.com", 20);
    pushed(&mut ladder, &received(1, b"PRlaura@bb.com"));
    let laura = pushed(&mut ladder, &sent(1, b"RR0")).to;
    for stranger in 0..100 {
        pushed(&mut ladder, &from(stranger, b"rubbish"));
    }
    assert_eq!(pushed(&mut ladder, &received(1, b"PDlaura")).from, laura);
    assert_eq!(ladder.party(laura).unwrap().name, "laura@bb.com");
}

/// There may be any number of them: none with something kept is one of the others, and of the rest only some
/// are remembered.
#[test]
fn those_who_are_known_have_columns_as_long_as_their_messages_are_kept() {
    for (kept, most) in [(1000, 301), (200, 102), (20, 65)] {
        let mut ladder = Ladder::new("bb.com", kept);
        for port in 1..=300 {
            pushed(&mut ladder, &received(port, format!("PRu{port}@bb.com").as_bytes()));
            pushed(&mut ladder, &sent(port, b"RR0"));
            let count = ladder.parties().count();
            assert!(count <= most, "{count}");
        }
        for arrow in ladder.arrows() {
            let other = ladder.party(if arrow.sent { arrow.to } else { arrow.from }).unwrap();
            assert_eq!(other.name, format!("u{}@bb.com", arrow.remote.port()));
        }
    }
}

#[test]
fn changes_tell_all_that_becomes_of_the_columns() {
    let mut ladder = Ladder::new("bb.com", 20);
    let mut parties = std::collections::BTreeMap::new();
    let this = ladder.parties().next().unwrap().clone();
    parties.insert(this.id, this);
    for step in 0..3000_u32 {
        let entry = match step % 7 {
            0 | 1 => from(step / 90, b"rubbish"),
            2 => from(step, b"PRlaura@bb.com"),
            3 => sent(u16::try_from(step % 97).unwrap(), b"RR0"),
            4 => received(u16::try_from(step % 97).unwrap(), b"PRlaura@bb.com"),
            5 => sent(3344, format!("PLlaura@bb.com:joya@d{}.com", step % 11).as_bytes()),
            6 if step % 900 < 20 => received(7, b"PDlumi-node-check@bb.com"),
            _ => received(1, b"PLlaura@bb.com:pere@bb.com"),
        };
        for change in ladder.push(None, &entry) {
            match change {
                Change::Party(party) => _ = parties.insert(party.id, party),
                Change::Gone(id) => assert!(parties.remove(&id).is_some()),
                Change::Arrow(arrow) => {
                    assert!(parties.contains_key(&arrow.from) && parties.contains_key(&arrow.to));
                }
                _ => panic!("nothing was missed"),
            }
        }
        let mut known: Vec<_> = ladder.parties().cloned().collect();
        known.sort_by_key(|party| party.id);
        assert_eq!(known, parties.values().cloned().collect::<Vec<_>>(), "{step}");
        for arrow in ladder.arrows() {
            assert!(parties.contains_key(&arrow.from) && parties.contains_key(&arrow.to), "{step}");
        }
    }
}

#[test]
fn one_socket_has_only_so_many_names() {
    let mut ladder = Ladder::new("bb.com", 100);
    for number in 0..50 {
        pushed(&mut ladder, &received(1, format!("PRu{number}@bb.com").as_bytes()));
    }
    assert_eq!(ladder.parties().count(), 10, "{:?}", names(&ladder));
    assert_eq!(names(&ladder)[7..], ["u7@bb.com", "others", "bb.com"]);
}
