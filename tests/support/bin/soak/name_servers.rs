//! Name servers that do not answer.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use integration_tests::dns_server::DnsServer;
use integration_tests::loads::{Latencies, at_rate};
use integration_tests::programs::NodeProgram;
use integration_tests::raw_user::RawUser;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::Options;
use crate::held::{ATTACKER, CALLS, PERE, first_try};
use crate::honest::{CONTROL, Honest, attack_at_rate, beside, status};
use crate::report::{Report, in_ms};

/// A user asks for a thousand new names a second, which a name server swallows. What others wait, before and
/// meanwhile.
pub(crate) fn silent(_: &Options, report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let dns = runtime.block_on(DnsServer::start()).expect("a DNS server");
    dns.set_silent(true);
    let name_server = dns.address().to_string();
    let arguments = ["--name-server", &name_server, "--rate-limit", "off", "-qq"];
    let mut node = NodeProgram::start("bb.com", &["laura", "pere", "joan"], &arguments);
    let laura = RawUser::new(node.address());
    laura.ask("PRlaura@bb.com");
    let pere = RawUser::new(node.address());

    let (mut quiet, mut answered) = measure(&pere);
    let asking = thread::spawn(move || {
        at_rate(NAMES_A_SECOND, NAMES_A_SECOND * SECONDS, |number| {
            laura.say(format!("PLlaura@bb.com:u@{number}.test"));
            while laura.heard().is_some() {}
        });
    });
    let (mut troubled, answered_meanwhile) = measure(&pere);
    answered += answered_meanwhile;
    asking.join().expect("it ends");

    report.note("names that the name server was asked for", dns.names_asked());
    for (percent, limit) in [(50, 5), (99, 5)] {
        let (before, meanwhile) = (quiet.percentile(percent), troubled.percentile(percent));
        report.note(&format!("p{percent} of other users, without trouble"), in_ms(before));
        let is_quick = meanwhile.as_millis() < limit;
        report.figure(&format!("p{percent} of other users, meanwhile"), in_ms(meanwhile), "< 5 ms", is_quick);
    }
    report.law(
        "their requests that were answered",
        answered,
        &(2 * REQUESTS).to_string(),
        answered == 2 * REQUESTS,
    );
    report.law("the node is there", !node.has_ended(), "true", !node.has_ended());
}

/// One user asks for 490 new names a second that no name server answers for. Others ask for names that it
/// does.
pub(crate) fn one_insider(_: &Options, report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let dns = runtime.block_on(DnsServer::start()).expect("a DNS server");
    dns.silence("silent");
    let name_server = dns.address().to_string();
    let arguments = [&CONTROL[..], &["--name-server", &name_server, "-qq"]].concat();
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &arguments);
    let insider = RawUser::at(ATTACKER, node.address());
    insider.ask("PRlaura@bb.com");
    let pere = Honest::register("pere@bb.com", PERE, &node, Duration::ZERO);
    let attack = |is_over: &AtomicBool| {
        attack_at_rate(INSIDERS_RATE, 2 * CALLS, is_over, |number| {
            insider.say(format!("PLlaura@bb.com:u@d{number}.silent"));
            while insider.heard().is_some() {}
        })
    };
    let honest = || {
        let mut answered = 0;
        at_rate(1, CALLS, |number| {
            let names = format!("pere@bb.com:joan@d{number}.example");
            answered += usize::from(pere.is_answered(&format!("PL{names}"), &format!("RL2{names}")));
        });
        answered
    };
    let (sent, answered) = beside(attack, honest);
    report.note("names that one user asked for, not answered for", sent);
    report.note("look-ups that gave way", &status(node.folder())["dns"]["displaced"]);
    first_try(report, "other users' new names, answered at the first try", answered, CALLS);
}

/// Asks to be registered, and for an offline user, in turn.
fn measure(user: &RawUser) -> (Latencies, usize) {
    let (mut latencies, mut answered) = (Latencies::default(), 0);
    at_rate(REQUESTS / SECONDS, REQUESTS, |number| {
        let question = if number % 2 == 0 { "PRpere@bb.com" } else { "PLpere@bb.com:joan@bb.com" };
        let start = Instant::now();
        user.say(question);
        answered += usize::from(user.try_hear().is_some());
        latencies.add(start.elapsed());
    });
    (latencies, answered)
}

const NAMES_A_SECOND: usize = 1_000;

const SECONDS: usize = 20;

const REQUESTS: usize = 5_000;

/// Just what the rate limit allows an address.
const INSIDERS_RATE: usize = 490;
