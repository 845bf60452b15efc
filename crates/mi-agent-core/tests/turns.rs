//! The turns of callers, on a clock that the tests move.

use std::iter;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use mi_agent_core::{NewTurn, Turns};

#[test]
fn forty_behind_one_address_have_their_turn_at_once() {
    let (mut turns, start) = turns();
    for id in 0..40 {
        assert_eq!(turns.handle_called(start, id, ip(1)), NewTurn::Now);
    }
    for id in 40..45 {
        assert_eq!(turns.handle_called(start, id, ip(1)), NewTurn::Waits { gave_way: None });
    }
    // Another address does not wait for them.
    assert_eq!(turns.handle_called(start, 100, ip(2)), NewTurn::Now);
    for (tenth, id) in (1..).zip(40..45) {
        let at = start + Duration::from_millis(100) * tenth;
        assert_eq!(turns.poll_timeout(), Some(at));
        assert_eq!(turns.next(at - Duration::from_millis(1)), None);
        assert_eq!(turns.next(at), Some(id));
    }
    assert_eq!((turns.poll_timeout(), turns.waiting()), (None, 0));
}

#[test]
fn fifty_a_second_have_their_turn_whatever_their_addresses() {
    let (mut turns, start) = turns();
    for id in 0..50 {
        assert_eq!(turns.handle_called(start, id, ip(id)), NewTurn::Now);
    }
    for id in 50..90 {
        assert_eq!(turns.handle_called(start, id, ip(id)), NewTurn::Waits { gave_way: None });
    }
    let served = |turns: &mut Turns<u8>, millis| {
        let now = start + Duration::from_millis(millis);
        iter::from_fn(|| turns.next(now)).collect::<Vec<_>>()
    };
    assert_eq!(served(&mut turns, 19), [0; 0]);
    assert_eq!(served(&mut turns, 100), [50, 51, 52, 53, 54], "those who have waited longest");
    // A newcomer does not overtake callers that have their turn.
    let later = start + Duration::from_millis(200);
    assert_eq!(turns.handle_called(later, 200, ip(200)), NewTurn::Waits { gave_way: None });
    assert_eq!(served(&mut turns, 200), [55, 56, 57, 58, 59]);
    turns.handle_gone(60);
    assert_eq!(served(&mut turns, 220), [61]);
    // No more than fifty have theirs at once, however long nobody has called.
    assert_eq!(served(&mut turns, 3_600_000).len(), 29);
    let later = start + Duration::from_secs(7200);
    for id in 0..50 {
        assert_eq!(turns.handle_called(later, id, ip(id)), NewTurn::Now);
    }
    assert_eq!(turns.handle_called(later, 50, ip(50)), NewTurn::Waits { gave_way: None });
}

#[test]
fn of_too_many_who_wait_the_oldest_of_the_greediest_address_gives_way() {
    let (mut turns, start) = turns();
    for id in 0..40 {
        turns.handle_called(start, id, ip(1));
    }
    for id in 40..50 {
        turns.handle_called(start, id, ip(2));
    }
    for id in 50..114 {
        // One of the few others waits for longest.
        let from = if id == 50 || id % 32 == 0 { 3 } else { 1 };
        assert_eq!(turns.handle_called(start, id, ip(from)), NewTurn::Waits { gave_way: None });
    }
    assert_eq!(turns.waiting(), 64);
    for (from, gave_way) in [(4, 51), (1, 52), (3, 53)] {
        let waits = NewTurn::Waits { gave_way: Some(gave_way) };
        assert_eq!(turns.handle_called(start, 200 + from, ip(from)), waits, "for {from}");
    }
    assert_eq!(turns.waiting(), 64);
    // The few of the others have not lost theirs.
    let now = start + Duration::from_millis(80);
    assert_eq!(iter::from_fn(|| turns.next(now)).collect::<Vec<_>>(), [50, 64, 96, 204]);
}

#[test]
fn those_who_say_nothing_do_not_push_out_who_gave_a_nickname() {
    let (mut turns, start) = turns();
    for id in 0..50 {
        turns.handle_called(start, id, ip(id));
    }
    // The callers with a nickname come from few addresses, those without from one each.
    for id in 50..60 {
        turns.handle_called(start, id, ip(1));
        turns.handle_greeted(id);
    }
    for id in 60..114 {
        assert_eq!(turns.handle_called(start, id, ip(id)), NewTurn::Waits { gave_way: None });
    }
    for (id, gave_way) in (114..200).zip(60..) {
        let waits = NewTurn::Waits { gave_way: Some(gave_way) };
        assert_eq!(turns.handle_called(start, id, ip(id)), waits, "for {id}");
    }
    // They have waited longest, and have their turns first.
    let now = start + Duration::from_millis(20);
    assert_eq!(turns.next(now), Some(50));
    turns.handle_greeted(50);
    assert_eq!(turns.waiting(), 63, "one that does not wait changes nothing");
}

#[test]
fn callers_with_a_nickname_do_not_keep_out_those_who_will_give_theirs() {
    let (mut turns, start) = turns();
    for id in 0..50 {
        turns.handle_called(start, id, ip(id));
    }
    for id in 50..114 {
        turns.handle_called(start, id, ip(id));
        turns.handle_greeted(id);
    }
    let newcomer = turns.handle_called(start, 114, ip(114));
    assert_eq!(newcomer, NewTurn::Waits { gave_way: Some(50) });
    for id in 115..140 {
        let NewTurn::Waits { gave_way: Some(gave_way) } = turns.handle_called(start, id, ip(id)) else {
            panic!("{id} does not wait")
        };
        turns.handle_greeted(id);
        assert!((51..114).contains(&gave_way), "{gave_way}");
    }
}

fn turns() -> (Turns<u8>, Instant) {
    (Turns::new(), tokio::time::Instant::now().into_std())
}

fn ip(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}
