//! The table of conversations that may give way to new callers, on a clock that the tests move.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use mi_agent_core::{ConversationSlots, GaveWay, Limited};

#[test]
fn a_slot_passes_to_an_address_with_two_fewer() {
    let start = tokio::time::Instant::now().into_std();
    for (ips, caller, gives_way) in [
        (&[1, 1, 1][..], 2, Some(0)),
        (&[1, 2, 2, 2], 1, Some(1)),
        (&[1, 1, 2, 2, 2], 3, Some(2)),
        (&[1, 1, 2, 2], 3, Some(0)),
        (&[1, 1], 1, None),
        (&[1, 1, 2], 2, None),
        (&[1, 2, 3], 4, None),
        (&[1], 2, None),
    ] {
        let (mut slots, now) = talks(start, ips);
        let later = now + SETTLED + Duration::from_millis(1);
        assert_eq!(gone(&mut slots, later, caller), gives_way, "{ips:?} {caller}");
    }
}

#[test]
fn those_who_have_just_called_and_those_who_are_answered_stay() {
    let start = tokio::time::Instant::now().into_std();
    let (mut slots, _) = talks(start, &[1, 1, 1]);
    let settled = start + Duration::from_secs(1) + SETTLED;
    assert!(!slots.can_give_way(settled));
    assert!(slots.can_give_way(settled + Duration::from_millis(1)));
    // The peer's own lines keep no slot.
    slots.handle_said(settled, 0, false);
    assert!(slots.can_give_way(settled + Duration::from_secs(1)));
    slots.handle_said(settled, 0, true);
    assert!(!slots.can_give_way(settled + Duration::from_millis(1)), "the next is younger");
    let now = settled + Duration::from_secs(60);
    for gives_way in [1, 2] {
        slots.handle_begun(now, 3 + gives_way, ip(1));
        assert_eq!(gone(&mut slots, now, 2), Some(gives_way));
    }
}

/// The user gets the reason, even for a conversation in which something was said.
#[test]
fn the_reason_says_whether_anything_was_said() {
    let start = tokio::time::Instant::now().into_std();
    let later = start + SETTLED + Duration::from_secs(10);
    for (is_own, reason) in [
        (None, GaveWay::NothingSaid),
        (Some(false), GaveWay::HostHasSeveral),
        (Some(true), GaveWay::HostHasSeveral),
    ] {
        let (mut slots, now) = talks(start, &[1, 1]);
        for id in [0, 1] {
            _ = is_own.map(|is_own| slots.handle_said(now, id, is_own));
        }
        assert_eq!(slots.give_way(later, ip(2)), Some((0, reason)), "{is_own:?}");
    }
}

#[test]
fn a_conversation_in_which_nobody_says_anything_gives_way_to_anybody() {
    let start = tokio::time::Instant::now().into_std();
    let (mut slots, _) = talks(start, &[1, 2, 2, 3]);
    slots.handle_said(start + Duration::from_secs(10), 1, false);
    slots.handle_said(start + Duration::from_secs(20), 2, true);
    let silent = start + Duration::from_secs(4) + IDLE;
    assert_eq!(gone(&mut slots, silent, 1), Some(0));
    assert_eq!(gone(&mut slots, silent, 2), Some(3));
    assert_eq!(gone(&mut slots, silent, 2), None);
    slots.handle_over(1);
    assert_eq!(gone(&mut slots, start + Duration::from_secs(20) + IDLE, 2), Some(2));
    assert!(!slots.can_give_way(start + 10 * IDLE), "none is left");
    // The one that has been silent longest gives way, whichever began first.
    let (mut slots, now) = talks(start, &[1, 2]);
    slots.handle_said(now + Duration::from_secs(1), 0, false);
    assert_eq!(gone(&mut slots, start + 2 * IDLE, 3), Some(1));
    let mut patient = ConversationSlots::new(None);
    patient.handle_begun(start, 0, ip(1));
    assert!(!patient.can_give_way(start + 1000 * IDLE));
}

#[test]
fn a_conversation_whose_peer_never_pauses_gives_way_first() {
    let start = tokio::time::Instant::now().into_std();
    let (mut slots, now) = talks(start, &[1, 2]);
    slots.handle_said(now, 1, true);
    let at = now + Duration::from_secs(30);
    let until = |until| Some(Limited { since: now, until });
    slots.handle_limited(1, until(at + Duration::from_millis(1)));
    assert_eq!(gone(&mut slots, at - Duration::from_millis(1), 2), None);
    slots.handle_limited(1, None);
    assert!(!slots.can_give_way(at));
    // It has pasted something, and reads the answers.
    slots.handle_limited(1, until(at));
    assert!(!slots.can_give_way(at));
    slots.handle_limited(1, until(at + Duration::from_millis(1)));
    assert_eq!(slots.give_way(at, ip(1)), Some((1, GaveWay::TooMuchSaid)));
    assert_eq!(slots.give_way(now + IDLE, ip(1)), Some((0, GaveWay::NothingSaid)));
}

/// The conversation that gives way to a caller from this address.
fn gone(slots: &mut ConversationSlots<u64>, now: Instant, caller: u8) -> Option<u64> {
    slots.give_way(now, ip(caller)).map(|(id, _)| id)
}

fn ip(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// Conversations with callers from these addresses, numbered from 0, that began a second apart. Returns the
/// time of the last.
fn talks(start: Instant, ips: &[u8]) -> (ConversationSlots<u64>, Instant) {
    let mut slots = ConversationSlots::new(Some(IDLE));
    let mut now = start;
    for (id, &number) in (0..).zip(ips) {
        now += Duration::from_secs(1);
        slots.handle_begun(now, id, ip(number));
    }
    (slots, now)
}

/// The silence after which a conversation may give way to anybody.
const IDLE: Duration = Duration::from_secs(300);

/// The age from which on one may give way to another address.
const SETTLED: Duration = Duration::from_secs(30);
