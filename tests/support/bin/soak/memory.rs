//! The memory of programs, which must not grow.

use std::net::Ipv4Addr;

use fastrand::Rng;
use integration_tests::dns_server::DnsServer;
use integration_tests::loads::{NearMisses, at_rate};
use integration_tests::programs::{AgentProgram, NodeProgram};
use integration_tests::raw_user::RawUser;
use tokio::runtime::Runtime;

use crate::Options;
use crate::report::{Report, in_kib};
use crate::strangers::MEMORY_SLACK;

/// A node at work, with all that it has tables for, and two agents in a conversation that goes on and on.
pub(crate) fn over_time(options: &Options, report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let dns = runtime.block_on(DnsServer::start()).expect("a DNS server");
    let users: Vec<_> = (0..USERS).map(|number| format!("u{number}")).collect();
    let names: Vec<_> = users.iter().map(String::as_str).chain(["laura", "pere"]).collect();
    let name_server = dns.address().to_string();
    let arguments = ["--name-server", &name_server, "--rate-limit", "off", "--log", "/dev/null", "-qq"];
    let mut node = NodeProgram::start("bb.com", &names, &arguments);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &["--log", "/dev/null"]);
    pere.expect_line("* listening");
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &["--log", "/dev/null"]);
    laura.type_line("/call pere@bb.com");
    pere.expect_line("* in conversation");

    let mut rng = Rng::with_seed(3);
    let mut near_misses = NearMisses::new(4, &["u1@bb.com", "u2@bb.com"]);
    let parties: Vec<_> =
        (0..PARTIES).map(|host| RawUser::at(Ipv4Addr::new(127, 0, 3, host), node.address())).collect();
    let mut after_first_minute = None;
    for minute in 0..=options.minutes {
        let of_all = [
            ("node", node.memory()),
            ("agent that calls", laura.memory()),
            ("agent that is called", pere.memory()),
        ];
        for (program, bytes) in of_all {
            report.note(&format!("memory of the {program} at minute {minute}"), in_kib(bytes));
        }
        if minute == options.minutes {
            // The first minute fills the tables.
            let (_, then) = after_first_minute.unwrap_or(of_all[0]);
            let growth = node.memory().saturating_sub(then);
            report.figure(
                "the node's grew since the first minute by",
                in_kib(growth),
                "< 1024 KiB",
                growth < MEMORY_SLACK,
            );
            break;
        }
        at_rate(MESSAGES_A_SECOND, MESSAGES_A_SECOND * 60, |number| {
            let party = &parties[rng.usize(..parties.len())];
            let (one, other) = (rng.usize(..USERS), rng.usize(..USERS));
            match rng.u8(..10) {
                0..3 => party.say(format!("PRu{one}@bb.com")),
                3 => party.say(format!("PDu{one}@bb.com")),
                4..7 => party.say(format!("PLu{one}@bb.com:u{other}@bb.com")),
                7 => party.say(format!("PLu{one}@bb.com:joya@{number}.test")),
                8 => party.say(format!("RL1u{one}@bb.com:u{other}@bb.com")),
                _ => party.say(near_misses.next_datagram()),
            }
            while let Some(question) = party.heard() {
                if let Some(names) = question.strip_prefix("PL") {
                    party.say(format!("RL1{names}"));
                }
            }
            if number % (MESSAGES_A_SECOND / LINES_A_SECOND) == 0 {
                laura.type_line("hola");
                pere.type_line("hola, què tal?");
            }
        });
        if minute == 0 {
            after_first_minute = Some(("node", node.memory()));
        }
    }
    let has_ended = node.has_ended() || laura.has_ended() || pere.has_ended();
    report.law("all three are there", !has_ended, "true", !has_ended);
}

const USERS: usize = 200;

const PARTIES: u8 = 100;

const MESSAGES_A_SECOND: usize = 1_000;

const LINES_A_SECOND: usize = 10;
