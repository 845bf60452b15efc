//! Datagrams that are dropped.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::time::Duration;

use lumi_node_core::{DropReason, NodeSettings, Output, RateLimit};

use crate::{LAURA, OTHER_NODE, OTHER_PORT, PERE, STRANGER, TestNode, address, sent};

#[test]
fn what_is_no_message_or_no_request_is_dropped() {
    let mut node = TestNode::new();
    for bytes in ["", "P", "XX", "PL", "PLlaura@bb.com", "PRla ura", "RL0laura@bb.com:joya@cc.com:1.2.3.4:0"]
    {
        assert!(matches!(node.try_receive(LAURA, bytes), Err(DropReason::Malformed(_))), "{bytes}");
    }
    for answer in ["RR0", "RR1", "RD0", "RD1"] {
        assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unexpected));
    }
    assert_eq!((node.node.dropped().malformed, node.node.dropped().unexpected), (7, 4));
}

#[test]
fn one_source_may_send_so_much_and_no_more() {
    let mut node = TestNode::with(NodeSettings::default().rate_limit(Some(limit(10, 20))));
    let admitted = |node: &mut TestNode, tries: u32| (0..tries).filter(|_| node.admits(LAURA)).count();
    assert_eq!(admitted(&mut node, 50), 20);
    assert_eq!(node.node.dropped().too_many, 30);
    assert!(!node.admits(OTHER_PORT), "the source is the IP address");
    assert!(node.admits(STRANGER), "others are not concerned");
    node.pass(1.0);
    assert_eq!(admitted(&mut node, 50), 10);
    node.pass(0.05);
    assert_eq!(admitted(&mut node, 50), 0);
    node.pass(3600.0);
    assert_eq!(admitted(&mut node, 50), 20);

    let mut unlimited = TestNode::with(NodeSettings::default().rate_limit(None));
    assert_eq!(admitted(&mut unlimited, 100_000), 100_000);
}

#[test]
fn a_flood_of_sources_neither_grows_the_limiter_nor_shuts_others_out() {
    let mut node = TestNode::new();
    for source in 0..100_000_u32 {
        let from = SocketAddrV4::new(Ipv4Addr::from(source), 5_000);
        assert!(node.node.admit(node.now, from, b"hello"));
    }
}

#[test]
fn who_is_exempt_may_send_any_number() {
    let exempt = vec!["127.0.0.9".parse().expect("a range")];
    let mut node = TestNode::with(NodeSettings::default().exempt(exempt));
    let admitted = |node: &mut TestNode, source: &str| (0..5_000).filter(|_| node.admits(source)).count();
    assert_eq!(admitted(&mut node, STRANGER), 5_000);
    assert_eq!(admitted(&mut node, LAURA), 1_000);
    assert_eq!(node.node.dropped().too_many, 4_000);
}

/// A clock that stands still or is read out of order gives nobody more.
#[test]
fn nothing_is_gained_while_no_time_passes() {
    let mut node = TestNode::new();
    node.pass(10.0);
    for _ in 0..1_000 {
        assert!(node.admits(LAURA));
    }
    assert!(!node.admits(LAURA));
    node.now -= Duration::from_secs(10);
    assert!(!node.admits(LAURA));
    node.now += Duration::from_secs(10);
    assert!(!node.admits(LAURA));
}

/// Others with her address, or that forge it, cannot silence a user that is online there.
#[test]
fn a_user_has_a_share_of_her_own() {
    let mut node = flooded_host_of_laura();
    for message in ["PRlaura@bb.com", "PLlaura@bb.com:pere@bb.com", "RL1joya@cc.com:laura@bb.com"] {
        assert!(node.node.admit(node.now, address(LAURA), message.as_bytes()), "{message}");
        assert!(
            !node.node.admit(node.now, address(OTHER_PORT), message.as_bytes()),
            "{message}, from another port"
        );
    }
    for message in ["PRpere@bb.com", "PLpere@bb.com:laura@bb.com", "PRlaura@cc.com", "RR0", "hello"] {
        assert!(!node.node.admit(node.now, address(LAURA), message.as_bytes()), "{message}");
    }
    // It is bounded too: 40 at once, and 20 a second.
    let admitted = |node: &mut TestNode| {
        (0..100).filter(|_| node.node.admit(node.now, address(LAURA), b"PRlaura@bb.com")).count()
    };
    assert_eq!(admitted(&mut node), 37);
    node.pass(0.5);
    while node.admits(LAURA) {}
    assert_eq!(admitted(&mut node), 10);
    assert!(node.node.admit(node.now, address(LAURA), b"PDlaura@bb.com") || admitted(&mut node) == 0);
}

/// Together they may send as much as the host itself, however many they are.
#[test]
fn the_users_of_a_host_have_a_share_together() {
    let names: String = (0..200).map(|n| format!("u{n}\n")).collect();
    let settings = NodeSettings::default().rate_limit(Some(limit(10, 100)));
    let mut node = TestNode::of(&format!("bb.com\n{names}"), crate::NODE, settings);
    let at = |n: u16| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 5_000 + n);
    for n in 0..200 {
        node.receive(&at(n).to_string(), &format!("PRu{n}"));
    }
    while node.admits("10.0.0.1:4000") {}
    let admitted = |node: &mut TestNode| {
        let all = (0..10).flat_map(|_| 0..200);
        all.filter(|n| node.node.admit(node.now, at(*n), format!("PRu{n}@bb.com").as_bytes())).count()
    };
    assert_eq!(admitted(&mut node), 100);
    // It fills as the host's own does.
    node.pass(1.0);
    while node.admits("10.0.0.1:4000") {}
    assert_eq!(admitted(&mut node), 10);
}

/// The answers that a node asks an agent for do not use up what the agent may send.
#[test]
fn an_answer_that_was_asked_for_costs_nothing() {
    let mut node = TestNode::with(NodeSettings::default().rate_limit(Some(limit(10, 20))));
    assert!(node.node.admit(node.now, address(LAURA), b"PRlaura@bb.com"));
    node.receive(LAURA, "PRlaura@bb.com");
    let answer = |node: &mut TestNode, n: u32| {
        let names = format!("u{n}@cc.com:laura@bb.com");
        node.receive(&format!("10.0.{}.{}:4000", n / 250, n % 250), &format!("PL{names}"));
        let answer = format!("RL1{names}");
        assert!(node.node.admit(node.now, address(LAURA), answer.as_bytes()), "answer {n}");
        assert_eq!(node.receive(LAURA, &answer).len(), 1);
        // The same again was not asked for.
        answer
    };
    for n in 0..500 {
        answer(&mut node, n);
    }
    // All but the registration is left.
    assert_eq!((0..50).filter(|_| node.admits(LAURA)).count(), 19);
    // Even then an answer passes; what nobody asked for does not, as soon as her own share is used up.
    let again = answer(&mut node, 500);
    while node.node.admit(node.now, address(LAURA), b"PRlaura@bb.com") {}
    assert!(!node.node.admit(node.now, address(LAURA), again.as_bytes()));
    answer(&mut node, 501);
    assert!(!node.admits(LAURA), "and gives nothing to who sends it");
}

/// A flood with her address keeps her answers out, and five questions would take her offline.
#[test]
fn nobody_is_struck_while_answers_may_have_been_kept_out() {
    let mut node = flooded_host_of_laura();
    for n in 0..20 {
        node.pass(0.5);
        while node.admits(OTHER_PORT) {}
        let question = format!("PLu{n}@cc.com:laura@bb.com");
        assert_eq!(node.receive(OTHER_NODE, &question), [sent(LAURA, &question)]);
        assert_eq!(node.address_of("laura"), Some(address(LAURA)), "question {n}");
    }
    // The flood is over, and she is really gone.
    for n in 0..5 {
        node.pass(1.0);
        node.receive(STRANGER, &format!("PLu{n}@dd.com:laura@bb.com"));
    }
    assert_eq!(node.address_of("laura"), None);
}

/// An agent of S repeats every 200 ms. A sooner repetition makes the other side answer more, and nothing
/// else.
#[test]
fn what_repeats_a_request_at_once_is_not_sent_on() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    node.receive(OTHER_NODE, question);
    node.pass(0.149);
    assert_eq!(node.try_receive(OTHER_NODE, question), Err(DropReason::Repeated));
    // That renewed nothing: the time counts from the one that was sent on.
    node.pass(0.001);
    assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
    assert_eq!(node.receive(STRANGER, question), [sent(LAURA, question)], "another asker");
    assert_eq!(node.node.dropped().repeated, 1);
    let end = node.node.poll_timeout().expect("it is pending");
    assert_eq!(end, node.now + Duration::from_secs(5));
}

/// Sixty-four hosts fill the table. A host with fewer requests is served, at the first try.
#[test]
fn a_full_table_makes_room() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    fill(&mut node, 64, 64);
    assert_eq!(node.node.pending_count(), 4_096);
    for n in 0..20 {
        let question = "PLpere@bb.com:laura@bb.com";
        assert_eq!(node.receive(PERE, question), [sent(LAURA, question)], "{n}");
        let answer = "RL1pere@bb.com:laura@bb.com";
        fill(&mut node, 64, 10);
        assert_eq!(node.node.pending_count(), 4_096);
        assert_eq!(node.receive(LAURA, answer), [sent(PERE, answer)], "{n}");
    }
    assert!(node.node.status().displaced > 64 * 10);
    assert_eq!(node.node.dropped().no_room, 0);
}

/// A thousand and twenty-four requests of one host: its own newest displace its oldest.
#[test]
fn one_source_has_a_bounded_share_of_what_is_pending() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = |n: u16| format!("PLu{n}@cc.com:laura@bb.com");
    let port = |n: u16| format!("127.0.0.9:{}", 5_000 + n);
    for n in 0..1_100 {
        assert_eq!(node.receive(&port(n), &question(n)), [sent(LAURA, &question(n))]);
    }
    assert_eq!(node.node.pending_count(), 1_024);
    assert_eq!(node.node.status().displaced, 76);
    assert_eq!(node.try_receive(LAURA, "RL1u75@cc.com:laura@bb.com"), Err(DropReason::Unasked));
    assert_eq!(node.receive(LAURA, "RL1u76@cc.com:laura@bb.com").len(), 1);
    node.pass(5.0);
    node.node.handle_timeout(node.now);
    assert_eq!((node.node.pending_count(), node.node.status().unanswered), (0, 1_023));
}

/// A neighbour behind the same address, if online, does not suffer from unknown sockets.
#[test]
fn who_is_online_keeps_a_place_beside_strangers_of_the_same_host() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    for n in 0..8 {
        node.receive(PERE, "PLpere@bb.com:laura@bb.com");
        node.pass(0.2);
        let from = format!("127.0.0.1:{}", 6_000 + n);
        for name in 0..200 {
            node.receive(&from, &format!("PLu{name}@bb.com:laura@bb.com"));
        }
    }
    let answer = "RL1pere@bb.com:laura@bb.com";
    assert_eq!(node.receive(LAURA, answer), [sent(PERE, answer)]);
    // One socket that is nobody's has eight at most, whatever names of this domain it gives.
    assert_eq!(node.node.pending_count(), 64);
}

/// A node that was found by DNS asks for all its users from one socket. The callee is 400 ms away, and agents
/// of L or S ask every 100 ms.
#[test]
fn users_of_another_domain_do_not_push_out_each_other() {
    let mut node = node_with_slow_users();
    let user = |n: u32| (format!("h{n}@cc.com"), format!("u{}@bb.com", n % 20));
    assert_eq!(answered(&mut node, 40, user, |_, _| {}), 40);
    assert_eq!((node.node.status().displaced, node.node.dropped().no_room), (0, 0));
}

/// One of them asks for eight users under each of eight names, again and again.
#[test]
fn an_insider_of_another_domain_does_not_keep_out_its_other_users() {
    let mut node = node_with_slow_users();
    let attack = |node: &mut TestNode, _: u32| {
        for n in 0..64 {
            let question = format!("PLx{}@cc.com:u{}@bb.com", n / 8, n % 8);
            let _ = node.try_receive(OTHER_NODE, &question);
        }
    };
    let user = |n: u32| (format!("h{n}@cc.com"), format!("u{}@bb.com", n % 20));
    assert_eq!(answered(&mut node, 40, user, attack), 40);
    assert_eq!(node.node.pending_count(), 64);
    // Nine under one name are one too many, for that name alone.
    node.receive(OTHER_NODE, "PLx0@cc.com:u9@bb.com");
    assert_eq!((node.node.pending_count(), node.node.status().displaced), (64, 1));
}

/// Made-up names take the room of the address that makes them up, and nobody else's.
#[test]
fn made_up_names_push_out_nobody_of_another_source() {
    let mut node = node_with_slow_users();
    fill(&mut node, 60, 60);
    let displaced = node.node.status().displaced;
    let attack = |node: &mut TestNode, round: u32| {
        for n in 0..500 {
            node.receive(STRANGER, &format!("PLx{round}y{n}@z.com:pere@bb.com"));
        }
    };
    let user = |n: u32| (format!("h{n}@cc.com"), format!("u{}@bb.com", n % 20));
    assert_eq!(answered(&mut node, 40, user, attack), 40);
    assert_eq!(node.node.dropped().no_room, 0);
    assert!(node.node.status().displaced > displaced + 1_000);
    assert!(node.node.pending_count() <= 4_096);
}

/// A user that is online and has asked for more than each of a thousand strangers behind the same address
/// keeps it all.
#[test]
fn strangers_give_way_before_who_is_online_and_has_asked_for_more() {
    let names: String = (0..8).map(|n| format!("u{n}\n")).collect();
    let roster = format!("bb.com\nlaura\npere\n{names}");
    let mut node = TestNode::of(&roster, crate::NODE, NodeSettings::default());
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    let at = |n: u16| format!("10.0.0.1:{}", 5_000 + n);
    for n in 0..8 {
        node.receive(&at(n), &format!("PRu{n}@bb.com"));
        let question = format!("PLpere@bb.com:u{n}@bb.com");
        assert_eq!(node.receive(PERE, &question), [sent(&at(n), &question)]);
    }
    for n in 0..1_100 {
        let from = format!("127.0.0.1:{}", 6_000 + n);
        assert_eq!(node.receive(&from, &format!("PLx{n}@cc.com:laura@bb.com")).len(), 1, "{n}");
    }
    assert_eq!((node.node.pending_count(), node.node.status().displaced), (1_024, 84));
    for n in 0..8 {
        let answer = format!("RL1pere@bb.com:u{n}@bb.com");
        assert_eq!(node.receive(&at(n), &answer), [sent(PERE, &answer)]);
    }
}

/// A node that speaks for many is exempt: each of its users is a source, so that none of them silences the
/// others.
#[test]
fn a_host_that_speaks_for_many_has_no_bound_of_its_own() {
    let exempt = vec!["127.0.0.3".parse().expect("a range")];
    let names: String = (0..3_000).map(|n| format!("u{n}\n")).collect();
    let roster = format!("bb.com\nlaura\n{names}");
    let mut node = TestNode::of(&roster, crate::NODE, NodeSettings::default().exempt(exempt));
    node.receive(LAURA, "PRlaura@bb.com");
    for n in 0..2_000 {
        let question = format!("PLu{n}@cc.com:laura@bb.com");
        assert_eq!(node.receive(OTHER_NODE, &question), [sent(LAURA, &question)]);
    }
    assert_eq!((node.node.pending_count(), node.node.status().displaced), (2_000, 0));
    // An insider there asks for everybody here. Only requests of the insider give way.
    for n in 0..3_000 {
        node.receive(PERE, &format!("PRu{n}@bb.com"));
        let question = format!("PLinsider@cc.com:u{n}@bb.com");
        assert_eq!(node.receive(OTHER_NODE, &question), [sent(PERE, &question)]);
    }
    assert_eq!((node.node.pending_count(), node.node.status().displaced), (4_096, 904));
    for n in 0..2_000 {
        assert_eq!(node.receive(LAURA, &format!("RL1u{n}@cc.com:laura@bb.com")).len(), 1, "{n}");
    }
}

#[test]
fn who_asks_in_the_name_of_a_user_must_be_where_that_user_is() {
    let mut node = TestNode::new();
    node.receive(PERE, "PRpere@bb.com");
    let question = "PLlaura@bb.com:pere@bb.com";
    // An agent of L does not register again after its node was restarted.
    assert_eq!(node.receive(STRANGER, question), [sent(PERE, question)], "laura is online nowhere");
    node.receive(LAURA, "PRlaura@bb.com");
    for from in [STRANGER, OTHER_PORT, OTHER_NODE, PERE] {
        assert_eq!(node.try_receive(from, question), Err(DropReason::Foreign), "{from}");
    }
    node.pass(1.0);
    assert_eq!(node.receive(LAURA, question), [sent(PERE, question)]);
    assert_eq!(node.node.dropped().foreign, 4);
    assert_eq!(node.address_of("pere"), Some(address(PERE)), "what is not sent on is no strike");
}

/// A named peer speaks for its domain, and nobody else does.
#[test]
fn a_named_peer_speaks_for_any_number_of_its_users() {
    let peers = HashMap::from([("CC.com".parse().expect("a domain"), vec![address(OTHER_NODE).into()])]);
    let mut node = TestNode::with(NodeSettings::default().peers(peers));
    node.receive(LAURA, "PRlaura@bb.com");
    let question = |n: u32| format!("PLu{n}@cc.com:laura@bb.com");
    for n in 0..2_000 {
        assert_eq!(node.receive(OTHER_NODE, &question(n)), [sent(LAURA, &question(n))]);
    }
    assert_eq!((node.node.pending_count(), node.node.status().displaced), (2_000, 0));
    for from in [STRANGER, PERE] {
        assert_eq!(node.try_receive(from, &question(0)), Err(DropReason::Foreign), "{from}");
    }
    // Another port of its host may be that of a NAT. It speaks for its users, and not for any number.
    let elsewhere = "127.0.0.3:5000";
    for n in 2_000..3_100 {
        assert_eq!(node.receive(elsewhere, &question(n)), [sent(LAURA, &question(n))]);
    }
    assert_eq!((node.node.pending_count(), node.node.status().displaced), (3_024, 76));
    let of_another_domain = "PLu@dd.com:laura@bb.com";
    assert_eq!(node.receive(STRANGER, of_another_domain), [sent(LAURA, of_another_domain)]);
}

/// The node of twenty users that are online at one socket each and answer 400 ms later, and of laura and
/// pere.
fn node_with_slow_users() -> TestNode {
    let names: String = (0..20).map(|n| format!("u{n}\n")).collect();
    let roster = format!("bb.com\nlaura\npere\n{names}");
    let mut node = TestNode::of(&roster, crate::NODE, NodeSettings::default());
    for n in 0..20 {
        node.receive(&slow_user(n), &format!("PRu{n}@bb.com"));
    }
    node.receive(PERE, "PRpere@bb.com");
    node
}

fn slow_user(n: u32) -> String {
    format!("10.0.0.{}:4500", n + 1)
}

/// Has so many users of another domain ask through its node, all of them ten times at 100 ms, one after the
/// other. The callees are those of [`node_with_slow_users`]. `attack` comes before each round. Returns how
/// many users were answered.
fn answered(
    node: &mut TestNode,
    users: u32,
    names: impl Fn(u32) -> (String, String),
    mut attack: impl FnMut(&mut TestNode, u32),
) -> usize {
    let mut agents = HashMap::<_, String>::new();
    let mut answered = HashSet::new();
    for round in 0..14 {
        attack(node, round);
        for n in 0..users {
            let (from, to) = names(n);
            // An answer comes just before its asker asks again.
            if let Some(agent) = agents.remove(&(round, n)) {
                let answer = format!("RL0{from}:{to}:10.0.0.1:4456");
                if node.try_receive(&agent, &answer) == Ok(vec![sent(OTHER_NODE, &answer)]) {
                    answered.insert(n);
                }
            }
            if round < 10
                && !answered.contains(&n)
                && let Ok(outputs) = node.try_receive(OTHER_NODE, &format!("PL{from}:{to}"))
                && let [Output::Transmit { to: agent, .. }] = outputs[..]
            {
                agents.insert((round + 4, n), agent.to_string());
            }
            node.pass(0.1 / f64::from(users));
        }
    }
    answered.len()
}

/// The node of laura after her host has used up its limit.
fn flooded_host_of_laura() -> TestNode {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    while node.admits(OTHER_PORT) {}
    node
}

/// Every one of so many hosts asks for pere so often, each time from another port and under another name.
fn fill(node: &mut TestNode, hosts: u8, each: u16) {
    for host in 0..hosts {
        for n in 0..each {
            let from = format!("10.9.9.{host}:{}", 10_000 + n);
            let question = format!("PLx{host}y{n}t{}@z.com:pere@bb.com", node.node.status().displaced);
            let outputs = node.receive(&from, &question);
            assert!(matches!(outputs[..], [Output::Transmit { .. }]), "{question}: {outputs:?}");
        }
    }
}

fn limit(per_second: u32, burst: u32) -> RateLimit {
    let [per_second, burst] = [per_second, burst].map(|number| NonZeroU32::new(number).expect("is not 0"));
    RateLimit::new(per_second).with_burst(burst)
}
