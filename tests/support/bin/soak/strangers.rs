//! Datagrams that anybody can send to a node.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::iter;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use integration_tests::loads::{self, NearMisses, at_rate};
use integration_tests::programs::NodeProgram;
use integration_tests::raw_user::RawUser;
use plumi_proto::Message;
use tokio::time::Instant;

use crate::Options;
use crate::report::{Report, in_kib};

/// A million datagrams that are no messages, or none that a node answers.
pub(crate) fn near_misses(_: &Options, report: &mut Report) {
    let arguments = ["--rate-limit", "off", "--log-max-size", "off", "-qq"];
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &arguments);
    let laura = RawUser::new(node.address());
    laura.ask("PRlaura@bb.com");
    let (roster, list, memory) = (node.roster(), node.list(), node.memory());
    let stranger = RawUser::at(STRANGER, node.address());
    let mut datagrams = NearMisses::new(2, &["laura@bb.com", "pere@bb.com", "joya@cc.com"]);
    let (mut sent, mut asked, mut others, mut synchronized) = (0, 0, 0, true);
    while sent < NEAR_MISSES && synchronized {
        for _ in 0..BURST {
            let datagram = datagrams.next_datagram();
            let is_question = matches!(
                Message::decode(&datagram),
                Ok(Message::Register(_) | Message::Deregister(_) | Message::Locate(_))
            );
            if !is_question && datagram.len() < 200 {
                stranger.say(datagram);
                sent += 1;
            }
        }
        stranger.say("PRnobody@bb.com");
        asked += 1;
        loop {
            match stranger.hear_within(Duration::from_secs(5)) {
                Some(answer) if answer == "RR1" => break,
                Some(_) => others += 1,
                None => {
                    synchronized = false;
                    break;
                }
            }
        }
    }
    report.law("datagrams sent without the node's end", sent, "1,000,000", synchronized && !node.has_ended());
    report.law("answers to them", others, "0", others == 0);
    let is_unchanged = node.roster() == roster && node.list() == list;
    report.law("roster and list are as before", is_unchanged, "true", is_unchanged);
    let log = File::open(node.folder().join(message_log::node_log_name("bb.com"))).expect("there is a log");
    // laura's registration, and those that were asked in between.
    let lines = BufReader::new(log).split(b'\n').count().saturating_sub(2 + 2 * asked);
    report.law("lines of the log for them", lines, &sent.to_string(), lines == sent);
    let growth = node.memory().saturating_sub(memory);
    report.figure("memory grew by", in_kib(growth), "< 1024 KiB", growth < MEMORY_SLACK);
}

/// A million answers that nobody was asked for, while a thousand requests wait for theirs.
pub(crate) fn forged_answers(_: &Options, report: &mut Report) {
    let users: Vec<_> = (0..PENDINGS).map(|number| format!("u{number}")).collect();
    let names: Vec<_> = users.iter().map(String::as_str).collect();
    let node = NodeProgram::start("bb.com", &names, &["--rate-limit", "off", "-qq"]);
    // Each has its share of the users; each asker is at an address of its own, as one may have few requests
    // pending.
    let agents: Vec<_> = (0..PARTIES).map(|_| RawUser::new(node.address())).collect();
    let askers: Vec<_> =
        (1..).take(PARTIES).map(|host| RawUser::at(Ipv4Addr::new(127, 0, 2, host), node.address())).collect();
    let attacker = RawUser::at(STRANGER, node.address());
    for (number, user) in users.iter().enumerate() {
        agents[number % PARTIES].ask(&format!("PR{user}@bb.com"));
    }
    let (mut passed, mut answered, mut expected, mut slow) = (0, 0, 0, 0);
    for batch in 0..FORGED / FORGED_AT_A_TIME {
        let start = Instant::now();
        let locate = |number: usize| format!("a{batch}@cc.com:u{number}@bb.com");
        for (party, asker) in askers.iter().enumerate() {
            let numbers = party * PER_PARTY..(party + 1) * PER_PARTY;
            numbers.clone().for_each(|number| asker.say(format!("PL{}", locate(number))));
            numbers.for_each(|number| drop(agents[number % PARTIES].hear()));
        }
        for number in 0..FORGED_AT_A_TIME {
            let forged = format!("RL0{}:127.0.0.66:66", locate(number % PENDINGS));
            // The sender is a stranger, an asker, or the agent of another user.
            match number % 3 {
                0 => attacker.say(forged),
                1 => askers[number / 3 % PARTIES].say(forged),
                _ => agents[(number % PENDINGS + 1) % PARTIES].say(forged),
            }
            if number % BURST == 0 {
                attacker.ask("PRnobody@bb.com");
            }
        }
        attacker.ask("PRnobody@bb.com");
        passed += askers.iter().map(|asker| iter::from_fn(|| asker.heard()).count()).sum::<usize>();
        if start.elapsed() > PENDING {
            slow += 1;
            continue;
        }
        expected += PENDINGS;
        for (party, asker) in askers.iter().enumerate() {
            let answers =
                (party * PER_PARTY..(party + 1) * PER_PARTY).map(|number| format!("RL1{}", locate(number)));
            answers
                .clone()
                .enumerate()
                .for_each(|(number, answer)| agents[(party * PER_PARTY + number) % PARTIES].say(answer));
            let heard = answers.filter(|answer| asker.hear_within(PENDING).as_ref() == Some(answer));
            answered += heard.count();
        }
    }
    report.law("of 1,000,000 forged answers reached who asked", passed, "0", passed == 0);
    report.law("true answers that did", answered, &expected.to_string(), answered == expected);
    report.figure("rounds of 1,000 requests too slow to be answered", slow, "0", slow == 0);
}

/// 100,000 datagrams a second from one address, and others that register meanwhile.
pub(crate) fn flood(_: &Options, report: &mut Report) {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let address = node.address();
    let memory = node.memory();
    let start = Instant::now();
    let flooding = thread::spawn(move || {
        loads::flood(FLOODER, address, b"PRlaura@bb.com", FLOOD_RATE, FLOOD_RATE * FLOOD_SECONDS)
    });
    let honest = RawUser::at(HONEST, address);
    let (mut first, mut later) = (0, 0);
    at_rate(HONEST_REQUESTS / FLOOD_SECONDS, HONEST_REQUESTS, |_| {
        let answered = (0..5).find(|_| {
            honest.say("PRpere@bb.com");
            honest.hear_within(Duration::from_secs(1)).is_some()
        });
        first += usize::from(answered == Some(0));
        later += usize::from(answered.is_some_and(|tries| tries > 0));
    });
    let rate = flooding.join().expect("it ends");
    let seconds = 1 + usize::try_from(start.elapsed().as_secs()).expect("it is not that long");
    report.figure("datagrams a second from one address", format!("{rate:.0}"), "100000", rate > 95_000.0);
    let ratio = format!("{first} of {HONEST_REQUESTS}");
    report.figure("honest requests answered at the first try", ratio, "all", first == HONEST_REQUESTS);
    let lost = HONEST_REQUESTS - first - later;
    report.law("honest requests that five tries did not get through", lost, "0", lost == 0);
    report.law("the node is there", !node.has_ended(), "true", !node.has_ended());
    let told = node.stderr().len();
    report.law("diagnostics", told, &format!("<= {seconds}"), (1..=seconds).contains(&told));
    let logged = node.log().iter().filter(|line| line.starts_with(&format!("R: {FLOODER}:"))).count();
    let admitted = 1_000 + 500 * seconds;
    report.law("datagrams of the flood in the log", logged, &format!("<= {admitted}"), logged <= admitted);
    let growth = node.memory().saturating_sub(memory);
    report.figure("memory grew by", in_kib(growth), "< 1024 KiB", growth < MEMORY_SLACK);
}

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 67);

const FLOODER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

const HONEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 68);

const NEAR_MISSES: usize = 1_000_000;

const FORGED: usize = 1_000_000;

/// A request is pending for 5 s; so many are through before.
const FORGED_AT_A_TIME: usize = 50_000;

/// The time after the first request for which all are pending for certain.
const PENDING: Duration = Duration::from_millis(4_500);

const PENDINGS: usize = 1_000;

/// Askers, and agents: at one address no more than 64 requests are pending.
const PARTIES: usize = 20;

const PER_PARTY: usize = PENDINGS / PARTIES;

/// Datagrams without an answer between two that have one: fewer than the queue of a socket holds.
const BURST: usize = 100;

const FLOOD_RATE: usize = 100_000;

const FLOOD_SECONDS: usize = 20;

const HONEST_REQUESTS: usize = 1_000;

/// The memory that an allocator may keep, and tables with a bound may take.
pub(crate) const MEMORY_SLACK: usize = 1024 * 1024;
