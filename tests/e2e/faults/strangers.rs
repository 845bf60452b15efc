//! What anybody can send to a node: as much of it, and as odd, as they like.

use std::net::Ipv4Addr;
use std::thread;

use integration_tests::loads::{NearMisses, flood};
use integration_tests::programs::NodeProgram;
use integration_tests::raw_user::RawUser;
use plumi_proto::Message;
use tokio::time::Instant;

#[test]
fn datagrams_that_are_no_messages_change_nothing_and_are_logged_one_by_one() {
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
        // Whoever asks is answered, and hears nothing else: none of those before was.
        assert_eq!(stranger.ask("PRnobody@bb.com"), "RR1");
        asked += 1;
    }
    assert_eq!(stranger.heard(), None);
    assert_eq!((node.roster(), node.list()), (roster, list));
    let log = node.log();
    let from = format!("R: {STRANGER}:UDP:{}, ", stranger.address().port());
    assert_eq!(log.iter().filter(|line| line.starts_with(&from)).count(), sent + asked);
    assert_eq!(log.len(), 2 + sent + 2 * asked);
    assert_eq!(laura.ask("PDlaura@bb.com"), "RD0");
}

/// What a node must answer, or may.
fn is_question(datagram: &[u8]) -> bool {
    matches!(
        Message::decode(datagram),
        Ok(Message::Register(_) | Message::Deregister(_) | Message::Locate(_))
    )
}

#[test]
fn a_flood_from_one_address_is_kept_out_and_others_are_served() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let address = node.address();
    let memory = node.memory();
    let start = Instant::now();
    let flooding = thread::spawn(move || flood(FLOODER, address, b"PRlaura@bb.com", FLOOD));
    let mut rounds = 0;
    while !flooding.is_finished() || rounds == 0 {
        let [laura, pere] = [1, 2].map(|host| RawUser::at(Ipv4Addr::new(127, 0, 1, host), address));
        assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
        assert_eq!(pere.ask("PRpere@bb.com"), "RR0");
        laura.say("PLlaura@bb.com:pere@bb.com");
        assert_eq!(pere.hear(), "PLlaura@bb.com:pere@bb.com");
        pere.say("RL1laura@bb.com:pere@bb.com");
        assert_eq!(laura.hear(), "RL1laura@bb.com:pere@bb.com");
        rounds += 1;
    }
    flooding.join().expect("it ends");
    eprintln!("ROUNDS {rounds} {:?} {} {}", start.elapsed(), memory, node.memory());
    for line in node.stderr() {
        eprintln!("{line}");
    }
    let from = format!("R: {FLOODER}:");
    eprintln!("{}", node.log().iter().filter(|line| line.starts_with(&from)).count());
}

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 67);

const FLOODER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

const DATAGRAMS: usize = 100_000;

/// Bytes that are sent without waiting: with the longest datagram on top, less than a socket's queue holds.
const QUEUE: usize = 100_000;

/// What a datagram takes in that queue beside its bytes.
const OVERHEAD: usize = 1_000;

const FLOOD: usize = 200_000;
