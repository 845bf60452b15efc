//! The rate limit and the strikes of a node as weapons against its own users.

use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use integration_tests::loads::at_rate;
use integration_tests::programs::NodeProgram;
use integration_tests::raw_user::RawUser;

use crate::Options;
use crate::held::{ATTACKER, CALLS, LAURA, PERE, first_try};
use crate::honest::{Honest, attack_at_rate, beside};
use crate::report::Report;

/// 20,000 datagrams a second with a user's address and another port, and an asker that asks for her all the
/// time.
pub(crate) fn victims_address(_: &Options, report: &mut Report) {
    let mut node = NodeProgram::start("bb.com", &["laura"], &["-qq"]);
    let laura = Honest::register("laura@bb.com", LAURA, &node, Duration::ZERO);
    let flooder = RawUser::at(LAURA, node.address());
    let asker = RawUser::at(ATTACKER, node.address());
    let attack = |is_over: &AtomicBool| {
        thread::scope(|scope| {
            let flood = || attack_at_rate(FLOOD_RATE, 2 * CALLS, is_over, |_| flooder.say("x"));
            let flooding = scope.spawn(flood);
            let (mut offline, mut busy) = (0, 0);
            let asked = attack_at_rate(STRIKES_A_SECOND, 2 * CALLS, is_over, |_| {
                asker.say("PLjoan@z.com:laura@bb.com");
                while let Some(answer) = asker.heard() {
                    offline += usize::from(answer.starts_with("RL3"));
                    busy += usize::from(answer.starts_with("RL1"));
                }
            });
            (flooding.join().expect("it does not panic"), asked, busy, offline)
        })
    };
    let honest = || {
        let mut registered = 0;
        at_rate(1, CALLS, |_| registered += usize::from(laura.is_answered("PRlaura@bb.com", "RR0")));
        registered
    };
    let ((flood, asked, busy, offline), registered) = beside(attack, honest);
    report.note("datagrams of the flood", flood);
    first_try(report, "her PR answered at the first try", registered, CALLS);
    report.note("location requests for her", asked);
    report.note("of them answered by her agent", busy);
    report.law("answers that she is offline", offline, "0", offline == 0);
    let is_online = node.is_online("laura");
    report.law("she is online in the end", is_online, "true", is_online);
}

/// Ten strangers repeat a question for a user, each 495 times a second, so that the answers come from her
/// address.
pub(crate) fn own_answers(_: &Options, report: &mut Report) {
    let node = NodeProgram::start("bb.com", &["laura", "anna", "pere"], &["-qq"]);
    let laura = Honest::register("laura@bb.com", LAURA, &node, Duration::ZERO);
    let anna = Honest::register("anna@bb.com", LAURA, &node, Duration::ZERO);
    let pere = Honest::register("pere@bb.com", PERE, &node, Duration::ZERO);
    let strangers: Vec<_> =
        (1..=STRANGERS).map(|host| RawUser::at(Ipv4Addr::new(127, 0, 5, host), node.address())).collect();
    let attack = |is_over: &AtomicBool| {
        attack_at_rate(RATE * strangers.len(), 2 * CALLS_AND_PRS, is_over, |number| {
            let stranger = number % strangers.len();
            strangers[stranger].say(format!("PLx{stranger}@z.com:laura@bb.com"));
            while strangers[stranger].heard().is_some() {}
        })
    };
    let honest = || {
        let (mut registered, mut found) = (0, 0);
        at_rate(1, CALLS_AND_PRS, |_| {
            registered += usize::from(anna.is_answered("PRanna@bb.com", "RR0"));
            found +=
                usize::from(pere.is_answered("PLpere@bb.com:laura@bb.com", "RL1pere@bb.com:laura@bb.com"));
        });
        (registered, found)
    };
    let (sent, (registered, found)) = beside(attack, honest);
    report.note("location requests of ten strangers", sent);
    report.note("of them reached her agent", laura.answered() - found);
    first_try(report, "PR at her address answered at the first try", registered, CALLS_AND_PRS);
    first_try(report, "calls to her answered at the first try", found, CALLS_AND_PRS);
}

const FLOOD_RATE: usize = 20_000;

/// A strike counts every 500 ms.
const STRIKES_A_SECOND: usize = 2;

const STRANGERS: u8 = 10;

/// Just what the rate limit allows an address.
const RATE: usize = 495;

const CALLS_AND_PRS: usize = 40;
