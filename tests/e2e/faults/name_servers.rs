//! Name servers that swallow every question.

use integration_tests::dns_server::DnsServer;
use integration_tests::programs::{NodeProgram, eventually};
use integration_tests::raw_user::RawUser;
use lumi_dns::LOOKUP_DEADLINE;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_names_that_nobody_answers_hold_nobody_else() {
    let dns = DnsServer::start().await.expect("a DNS server");
    dns.set_silent(true);
    let name_server = dns.address().to_string();
    let arguments = ["--name-server", &name_server, "--rate-limit", "off"];
    let node = NodeProgram::start("bb.com", &["laura", "pere", "joan"], &arguments);
    let [laura, pere, joan] = ["laura", "pere", "joan"].map(|user| {
        let raw = RawUser::new(node.address());
        assert_eq!(raw.ask(&format!("PR{user}@bb.com")), "RR0");
        raw
    });

    let start = Instant::now();
    for number in 0..NAMES {
        laura.say(format!("PLlaura@bb.com:u@{number}.test"));
        if number % 20 > 0 {
            continue;
        }
        let [question, answer] = ["PLpere@bb.com:joan@bb.com", "RL0pere@bb.com:joan@bb.com:127.0.0.1:4456"];
        assert_eq!(pere.ask("PRpere@bb.com"), "RR0");
        pere.say(question);
        assert_eq!(joan.hear(), question);
        joan.say(answer);
        assert_eq!(pere.hear(), answer);
        // All that while laura waits, unless this machine was so slow that the first names are given up.
        let heard = laura.heard();
        if start.elapsed() < LOOKUP_DEADLINE {
            assert_eq!(heard, None);
        }
    }
    eventually("the name server is asked", || dns.names_asked() >= LOOKUPS);
    // Her last requests end, and nobody else is told that there is no such domain.
    for _ in 0..OF_A_USER {
        let answer = laura.hear();
        assert!(answer.starts_with("RL2laura@bb.com:u@") && answer.ends_with(".test"), "{answer}");
    }
}

const NAMES: usize = 1_000;

/// Look-ups in flight at a time.
const LOOKUPS: usize = 32;

/// Requests of a user that wait for look-ups; more displace the oldest.
const OF_A_USER: usize = 8;
