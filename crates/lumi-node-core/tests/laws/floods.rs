//! Strangers send as much as they can, without any effect.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use lumi_node_core::{DropReason, Node, NodeSettings, Output};
use plumi_proto::{Message, MiAddress};

use crate::{address, drain, node};

#[test]
fn a_hundred_thousand_foreign_deregistrations_change_nothing() {
    let (mut node, now) = node_with_users_online();
    let before: Vec<_> = node.users().collect();
    for n in 0..100_000_u32 {
        let (from, user) = (stranger(n), n % USERS);
        let bytes = match n % 3 {
            0 => format!("PDu{user}@bb.com"),
            1 => format!("PDu{user}"),
            _ => format!("PDu{user}@BB.com."),
        };
        node.handle_datagram(now, from, bytes.as_bytes()).expect("answered");
        let message = Message::decode(b"RD1").expect("a message");
        assert_eq!(drain(&mut node), [Output::Transmit { to: from, source: None, message }]);
    }
    assert_eq!(node.users().collect::<Vec<_>>(), before);
}

#[test]
fn of_a_million_forged_answers_none_passes_and_all_the_true_ones_do() {
    let (mut node, now) = node_with_users_online();
    let asker =
        |n: u32| SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, (n % 50) as u8), 5_000 + (n % 1_000) as u16);
    for n in 0..PENDINGS {
        node.handle_datagram(now, asker(n), format!("PLa{n}@cc.com:u{}@bb.com", n % USERS).as_bytes())
            .expect("sent on");
        let [Output::Transmit { to, .. }] = drain(&mut node)[..] else { panic!("sent on to the agent") };
        assert_eq!(to, agent(n % USERS));
    }
    // A message for each, made once: what a forger can do is to send from many places.
    let answer = |n: u32, user: u32| format!("RL0a{n}@cc.com:u{user}@bb.com:192.0.2.9:4456").into_bytes();
    let right_names: Vec<_> = (0..PENDINGS).map(|n| answer(n, n % USERS)).collect();
    let wrong_asker: Vec<_> = (0..PENDINGS).map(|n| answer(n + PENDINGS, n % USERS)).collect();
    let wrong_user: Vec<_> = (0..PENDINGS).map(|n| answer(n, (n + 1) % USERS)).collect();
    for n in 0..1_000_000 {
        let about = n % PENDINGS;
        let (from, bytes) = match n / PENDINGS % 5 {
            0 => (stranger(n), &right_names),
            // Another user's agent; the right host, another port; the agent itself, about what nobody asked.
            1 => (agent((about + 1) % USERS), &right_names),
            2 => (SocketAddrV4::new(*agent(about % USERS).ip(), 1 + (n % 3_000) as u16), &right_names),
            3 => (agent(about % USERS), &wrong_asker),
            _ => (agent((about + 1) % USERS), &wrong_user),
        };
        let dropped = node.handle_datagram(now, from, &bytes[about as usize]);
        assert_eq!(dropped, Err(DropReason::Unasked), "{about} from {from}");
        assert_eq!(node.poll_output(), None);
    }
    assert_eq!(node.pending_count(), PENDINGS as usize);
    for n in 0..PENDINGS {
        let bytes = &right_names[n as usize];
        node.handle_datagram(now, agent(n % USERS), bytes).expect("it was asked for");
        let message = Message::decode(bytes).expect("a message");
        assert_eq!(drain(&mut node), [Output::Transmit { to: asker(n), source: None, message }]);
    }
    assert_eq!(node.pending_count(), 0);
    assert_eq!(node.dropped().unasked, 1_000_000);
}

#[test]
fn of_a_million_foreign_questions_none_is_sent_on_or_looked_up() {
    let (mut node, now) = node_with_users_online();
    let question = |n: u32| {
        let from = match n % 4 {
            // Neither party is of this domain; or the first one is, and is not where this comes from.
            0 => format!("u{n}@cc.com"),
            1 => format!("u{}@bb.com", n % USERS),
            2 => format!("u{}@bb.com", n + USERS),
            _ => format!("u{}@bb.com.cc.com", n % USERS),
        };
        format!("PL{from}:v{n}@d{}.com", n % 100).into_bytes()
    };
    let questions: Vec<_> = (0..1_000).map(question).collect();
    for n in 0..1_000_000 {
        // Strangers send them, and an agent that asks in the name of another user.
        let from = if n % 8 == 5 { agent((n + 1) % USERS) } else { stranger(n) };
        let dropped = node.handle_datagram(now, from, &questions[n as usize % questions.len()]);
        assert_eq!(dropped, Err(DropReason::Foreign), "{n} from {from}");
        assert_eq!(node.poll_output(), None);
    }
    assert_eq!((node.pending_count(), node.lookups_in_flight()), (0, 0));
    assert_eq!(node.dropped().foreign, 1_000_000);
}

/// The node of bb.com with its users u0, u1 and so on, all online.
fn node_with_users_online() -> (Node, Instant) {
    let users: Vec<_> = (0..USERS).map(|user| format!("u{user}\n")).collect();
    let mut node =
        node(&format!("bb.com\n{}", users.concat()), address("127.0.0.2:3344"), NodeSettings::default());
    let now = tokio::time::Instant::now().into_std();
    for user in 0..USERS {
        node.handle_datagram(now, agent(user), format!("PRu{user}").as_bytes()).expect("registered");
        drain(&mut node);
        assert_eq!(node.address_of(&name(user)), Some(agent(user)));
    }
    (node, now)
}

fn name(user: u32) -> plumi_proto::UserName {
    format!("u{user}@bb.com").parse::<MiAddress>().expect("an address").user()
}

fn agent(user: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1 + (user % 3) as u8), 4_000 + (user % USERS) as u16)
}

/// One of many addresses where no user is.
fn stranger(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0xcb00_7100 + n % 251), 1_024 + (n % 2_003) as u16)
}

const USERS: u32 = 25;

const PENDINGS: u32 = 1_000;
