//! Tables of a node that attackers fill, and honest users that have to be served at the first try.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use integration_tests::loads::at_rate;
use integration_tests::programs::NodeProgram;
use integration_tests::raw_user::RawUser;
use lumi_testkit::network::address_of_its_own;
use tokio::time::Instant;

use crate::Options;
use crate::honest::{CONTROL, Honest, attack_at_rate, beside, figure};
use crate::report::Report;

/// 64 addresses hold 64 location requests each, for users with agents that never answer, which fills the
/// table.
pub(crate) fn by_many(_: &Options, report: &mut Report) {
    let (node, silent) = node_with_silent_users();
    let askers: Vec<_> = (0..ADDRESSES * SOCKETS)
        .map(|number| RawUser::at(Ipv4Addr::new(127, 0, 4, 1 + low(number % ADDRESSES)), node.address()))
        .collect();
    let laura = Honest::register("laura@bb.com", LAURA, &node, Duration::ZERO);
    let _pere = Honest::register("pere@bb.com", PERE, &node, FAR_AWAY);
    let attack = |is_over: &AtomicBool| {
        let (mut sent, mut most) = (0, 0);
        while !is_over.load(Ordering::Relaxed) && sent < MOST_SENT {
            let begun = Instant::now();
            register_silent_users(&silent);
            // All of them within the interval of a strike, and no faster than the queue of the node's socket
            // bears.
            at_rate(BURST_RATE, ADDRESSES * SILENT, |number| {
                let (asker, user) = (number % askers.len(), number / ADDRESSES);
                askers[asker].say(format!("PLx{user}@z.com:v{user}@bb.com"));
            });
            sent += ADDRESSES * SILENT;
            while silent.heard().is_some() {}
            askers.iter().for_each(|asker| while asker.heard().is_some() {});
            most = most.max(figure(node.folder(), "pending"));
            thread::park_timeout(BETWEEN_BURSTS.saturating_sub(begun.elapsed()));
        }
        (sent, most)
    };
    let ((sent, most), found) = beside(attack, || laura.locates("laura@bb.com", "pere@bb.com", CALLS));
    report.note("location requests of 64 addresses", sent);
    report.figure("of them pending at most", most, ">= 4000 of 4096", (4_000..=4_096).contains(&most));
    first_try(report, "honest calls answered at the first try", found, CALLS);
}

/// One user of cc.com holds 64 location requests from there to bb.com.
pub(crate) fn by_an_insider(_: &Options, report: &mut Report) {
    let [bb, cc] = [(), ()].map(|()| address_of_its_own().to_string());
    let users = |first: char| (0..8).map(move |number| format!("{first}{number}"));
    let names: Vec<_> = users('s').collect();
    let of_bb: Vec<_> = names.iter().map(String::as_str).chain(["pere"]).collect();
    let bb_node =
        NodeProgram::start("bb.com", &of_bb, &["-qq", "--listen", &bb, "--peer", &format!("cc.com={cc}")]);
    let names: Vec<_> = users('i').collect();
    let of_cc: Vec<_> = names.iter().map(String::as_str).chain(["laura"]).collect();
    let cc_node =
        NodeProgram::start("cc.com", &of_cc, &["-qq", "--listen", &cc, "--peer", &format!("bb.com={bb}")]);
    let [insider, silent] = [&cc_node, &bb_node].map(|node| RawUser::at(ATTACKER, node.address()));
    users('i').for_each(|user| assert_eq!(insider.ask(&format!("PR{user}@cc.com")), "RR0"));
    let laura = Honest::register("laura@cc.com", LAURA, &cc_node, Duration::ZERO);
    let _pere = Honest::register("pere@bb.com", PERE, &bb_node, FAR_AWAY);
    let attack = |is_over: &AtomicBool| {
        let mut sent = 0;
        while !is_over.load(Ordering::Relaxed) && sent < MOST_SENT {
            users('s').for_each(|user| silent.say(format!("PR{user}@bb.com")));
            for asker in users('i') {
                users('s').for_each(|user| insider.say(format!("PL{asker}@cc.com:{user}@bb.com")));
            }
            sent += 64;
            while silent.heard().is_some() || insider.heard().is_some() {}
            thread::park_timeout(REPEATED);
        }
        sent
    };
    let (sent, found) = beside(attack, || laura.locates("laura@cc.com", "pere@bb.com", CALLS));
    report.note("location requests of one user of cc.com to bb.com", sent);
    first_try(report, "other users' calls answered at the first try", found, CALLS);
}

/// A neighbour behind the address of an honest user asks from 64 sockets, 495 times a second in all.
pub(crate) fn by_a_neighbour(_: &Options, report: &mut Report) {
    let (node, silent) = node_with_silent_users();
    let neighbours: Vec<_> = (0..SILENT).map(|_| RawUser::at(LAURA, node.address())).collect();
    let laura = Honest::register("laura@bb.com", LAURA, &node, Duration::ZERO);
    let _pere = Honest::register("pere@bb.com", PERE, &node, FAR_AWAY);
    let attack = |is_over: &AtomicBool| {
        let mut most = 0;
        let sent = attack_at_rate(RATE, 2 * NEIGHBOURS_CALLS, is_over, |number| {
            let user = number % SILENT;
            if number % RATE == 0 {
                register_silent_users(&silent);
                most = most.max(figure(node.folder(), "pending"));
            }
            neighbours[user].say(format!("PLx{number}@z.com:v{user}@bb.com"));
            while silent.heard().is_some() || neighbours[user].heard().is_some() {}
        });
        (sent, most)
    };
    let honest = || laura.locates("laura@bb.com", "pere@bb.com", NEIGHBOURS_CALLS);
    let ((sent, most), found) = beside(attack, honest);
    report.note("location requests of the neighbour", sent);
    report.note("of them pending at most", most);
    first_try(report, "calls from the same address answered at the first try", found, NEIGHBOURS_CALLS);
}

/// Reports how many honest requests were answered at the first try, which should be all.
pub(crate) fn first_try(report: &mut Report, figure: &str, answered: usize, of: usize) {
    report.figure(figure, format!("{answered} of {of}"), "all", answered == of);
}

/// The node of bb.com, and the socket of its users v0 to v63, which answers nothing.
fn node_with_silent_users() -> (NodeProgram, RawUser) {
    let names: Vec<_> = (0..SILENT).map(|number| format!("v{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).chain(["laura", "pere"]).collect();
    let node = NodeProgram::start("bb.com", &names, &[&CONTROL[..], &["-qq"]].concat());
    let silent = RawUser::at(ATTACKER, node.address());
    (node, silent)
}

/// Keeps them online: a `PR` takes back the strikes.
fn register_silent_users(silent: &RawUser) {
    (0..SILENT).for_each(|number| silent.say(format!("PRv{number}@bb.com")));
}

fn low(number: usize) -> u8 {
    u8::try_from(number).expect("it is less than 256")
}

/// The address of an honest user.
pub(crate) const LAURA: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 68);

/// Another one.
pub(crate) const PERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 69);

/// The address of an attacker.
pub(crate) const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

/// Honest calls beside an attack, one a second.
pub(crate) const CALLS: usize = 20;

const NEIGHBOURS_CALLS: usize = 40;

/// The time that the agent of a callee takes, so that its request is pending for a while.
const FAR_AWAY: Duration = Duration::from_millis(400);

/// Users with agents that never answer.
const SILENT: usize = 64;

const ADDRESSES: usize = 64;

/// Sockets of an address: one without an online user holds 8 requests.
const SOCKETS: usize = 8;

const BURST_RATE: usize = 16_000;

/// Shortly before the requests of one burst expire.
const BETWEEN_BURSTS: Duration = Duration::from_millis(4_200);

const REPEATED: Duration = Duration::from_secs(2);

/// Just what the rate limit allows an address.
const RATE: usize = 495;

/// No attack sends more, however long the honest users take.
const MOST_SENT: usize = 100_000;
