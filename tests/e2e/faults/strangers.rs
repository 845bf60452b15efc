//! Datagrams that anybody can send to a node, in any number and of any form.

use std::net::Ipv4Addr;
use std::thread;

use integration_tests::loads::NearMisses;
use integration_tests::programs::{NodeProgram, eventually};
use integration_tests::raw_user::RawUser;
use plumi_proto::Message;
use tokio::time::Instant;

#[test]
fn datagrams_that_are_no_messages_change_nothing_and_each_is_logged_or_counted() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &["--rate-limit", "off", "-qq"]);
    let laura = RawUser::new(node.address());
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    let (roster, list) = (node.roster(), node.list());
    let stranger = RawUser::at(STRANGER, node.address());
    let mut datagrams = NearMisses::new(1, &["laura@bb.com", "pere@bb.com", "joya@cc.com"]);
    let (mut sent, mut asked) = (0, 0);
    while sent < DATAGRAMS {
        let mut queued = 0;
        while queued < QUEUE {
            let datagram = datagrams.next_datagram();
            if !is_question(&datagram) {
                queued += datagram.len() + OVERHEAD;
                stranger.say(datagram);
                sent += 1;
            }
        }
        // A question is answered, and nothing else comes: none of those before was answered.
        assert_eq!(stranger.ask("PRnobody@bb.com"), "RR1");
        asked += 1;
    }
    assert_eq!(stranger.heard(), None);
    assert_eq!((node.roster(), node.list()), (roster, list));
    let from = format!("R: {STRANGER}:UDP:{}, ", stranger.address().port());
    eventually("each is logged or counted", || node.logged(&from) == sent + asked);
    assert!(node.log().len() < 2 + sent, "most are only counted");
    assert_eq!(laura.ask("PDlaura@bb.com"), "RD0");
}

/// Returns whether a node must or may answer a datagram.
fn is_question(datagram: &[u8]) -> bool {
    matches!(
        Message::decode(datagram),
        Ok(Message::Register(_) | Message::Deregister(_) | Message::Locate(_))
    )
}

#[test]
fn a_flood_from_one_address_is_kept_out_and_others_are_served() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &["--exempt", &PACER.to_string()]);
    let address = node.address();
    let start = Instant::now();
    let flooding = thread::spawn(move || {
        // The flood is as fast as the node takes it: its kernel would lose more, whosever it is.
        let [flooder, pacer] = [FLOODER, PACER].map(|ip| RawUser::at(ip, address));
        for _ in 0..FLOOD / QUEUED {
            (0..QUEUED).for_each(|_| flooder.say("PRjoan@bb.com"));
            assert_eq!(pacer.ask("PRnobody@bb.com"), "RR1");
        }
    });
    // It is measured once buffers are full.
    let mut memory = 0;
    let mut served = 0;
    while !flooding.is_finished() || served == 0 {
        // Each time at addresses from which nothing has come: there is a limit for each.
        let [laura, pere] =
            [1, 2].map(|host| RawUser::at((FIRST_OF_OTHERS + 2 * served + host).into(), address));
        assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
        assert_eq!(pere.ask("PRpere@bb.com"), "RR0");
        laura.say("PLlaura@bb.com:pere@bb.com");
        assert_eq!(pere.hear(), "PLlaura@bb.com:pere@bb.com");
        pere.say("RL1laura@bb.com:pere@bb.com");
        assert_eq!(laura.hear(), "RL1laura@bb.com:pere@bb.com");
        served += 1;
        if served <= WARM_UP {
            memory = node.written_memory();
        }
    }
    flooding.join().expect("it ends");
    let seconds = 1 + usize::try_from(start.elapsed().as_secs()).expect("it is not that long");

    let then = node.written_memory();
    assert!(then < memory + MEMORY_SLACK, "from {memory} to {then} bytes");
    node.wait_for_diagnostic("datagrams=");
    // That users move is told as well, once a minute.
    let is_of_flood = |line: &String| !line.contains("was registered from another host");
    let told: Vec<_> = node.stderr().into_iter().filter(is_of_flood).collect();
    assert!((1..=seconds).contains(&told.len()), "in {seconds} s: {told:?}");
    assert!(
        told.iter().all(|line| line.contains("datagrams=") && line.contains("latest=127.0.0.66")),
        "{told:?}"
    );
    let from = format!("R: {FLOODER}:");
    eventually("what was taken is logged or counted", || node.logged(&from) >= BURST);
    let taken = node.logged(&from);
    assert!(taken <= BURST + RATE * seconds, "in {seconds} s {taken} were taken");
}

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 67);

const FLOODER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

/// The addresses from here on are others'.
const FIRST_OF_OTHERS: u32 = Ipv4Addr::new(127, 1, 0, 0).to_bits();

const DATAGRAMS: usize = 100_000;

/// Bytes that are sent without waiting: with the longest datagram on top, less than a socket's queue holds.
const QUEUE: usize = 100_000;

/// The room that a datagram takes in that queue beside its bytes.
const OVERHEAD: usize = 1_000;

const FLOOD: usize = 200_000;

/// The address that is answered when the node has taken everything before, and is not counted.
const PACER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 65);

/// Datagrams that wait for the node at a time: fewer than the queue of a socket holds.
const QUEUED: usize = 100;

/// The number of datagrams that one address may send a second, by default, and at once.
const RATE: usize = 500;

const BURST: usize = 1_000;

/// The number of others that have been served when the node has all that it needs.
const WARM_UP: u32 = 16;

/// The memory that an allocator may keep: far less than the flood has bytes.
const MEMORY_SLACK: usize = 1024 * 1024;
