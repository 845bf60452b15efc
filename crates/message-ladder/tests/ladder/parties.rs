//! The parties of the columns.

use message_ladder::{Ladder, Role, mermaid};

use crate::{at, drawn, ladder_of, names, pushed, received, sent};

#[test]
fn agents_come_first_then_this_node_then_others() {
    let ladder = ladder_of(
        "bb.com",
        "R: 10.0.0.9:UDP:3344, PLjoya@cc.com:laura@bb.com, 26
R: 10.0.0.2:UDP:1, PRlaura@bb.com, 14
R: 10.0.0.3:UDP:1, PRpere, 6
E: 10.0.0.8:UDP:5000, PLpere@bb.com:marta@dd.com, 26",
    );
    let roles: Vec<_> = ladder.parties().map(|party| (party.role, party.name.as_str())).collect();
    assert_eq!(
        roles,
        [
            (Role::Agent, "laura@bb.com"),
            (Role::Agent, "pere@bb.com"),
            (Role::This, "bb.com"),
            (Role::Node, "cc.com"),
            (Role::Node, "dd.com"),
        ]
    );
}

#[test]
fn a_user_has_one_column_with_the_latest_address() {
    let mut ladder = Ladder::new("bb.com", 100);
    for port in 1..=10 {
        pushed(&mut ladder, &received(port, b"PRlaura"));
        pushed(&mut ladder, &sent(port, b"RR0"));
        pushed(&mut ladder, &received(port, b"PLlaura@bb.com:joya@cc.com"));
        pushed(&mut ladder, &sent(3344, b"PLlaura@bb.com:joya@cc.com"));
        pushed(&mut ladder, &received(port, b"PDlaura@BB.com"));
        pushed(&mut ladder, &sent(port, b"RD0"));
        assert_eq!(names(&ladder), ["laura@bb.com", "bb.com", "cc.com"]);
        let laura = ladder.parties().next().unwrap();
        assert_eq!((laura.address, laura.addresses), (Some(at(port)), usize::from(port)));
    }
    // An address counts as long as one of its arrows is kept.
    for left in [10, 10, 9, 9] {
        for _ in 0..20 {
            pushed(&mut ladder, &sent(3344, b"PLlaura@bb.com:joya@cc.com"));
        }
        assert!(ladder.parties().next().unwrap().addresses <= left);
    }
    let laura = ladder.parties().next().unwrap();
    assert_eq!((laura.address, laura.addresses), (Some(at(10)), 4));
}

#[test]
fn a_node_has_one_column_too() {
    let mut ladder = Ladder::new("bb.com", 100);
    for port in 1..=3 {
        pushed(&mut ladder, &sent(port, b"PLlaura@bb.com:joya@cc.com"));
        pushed(&mut ladder, &received(port, b"RL2laura@bb.com:joya@CC.com"));
    }
    assert_eq!(names(&ladder), ["bb.com", "cc.com"]);
}

/// The users of a test program, or of a node with several users to a socket.
#[test]
fn users_of_one_socket_have_their_own_columns() {
    let mut ladder = Ladder::new("bb.com", 100);
    for user in ["laura", "pere"] {
        pushed(&mut ladder, &received(1, format!("PR{user}").as_bytes()));
        pushed(&mut ladder, &sent(1, b"RR0"));
    }
    let mut from = |message: &[u8]| pushed(&mut ladder, &received(1, message)).from.number();
    let expected: [(&[u8], u32); 5] = [
        (b"PLlaura@bb.com:joya@cc.com", 1),
        (b"PLpere@bb.com:joya@cc.com", 2),
        (b"rubbish", 2),
        (b"PDlaura", 1),
        (b"rubbish", 1),
    ];
    for (message, party) in expected {
        assert_eq!(from(message), party, "{}", message.escape_ascii());
    }
    assert_eq!(names(&ladder), ["laura@bb.com", "pere@bb.com", "bb.com"]);
}

#[test]
fn the_questions_of_a_check_have_no_column() {
    let long = format!("{}.com", "d".repeat(26));
    for (domain, user) in [("bb.com", "lumi-node-check"), (&*long, "_")] {
        let mut ladder = Ladder::new(domain, 100);
        for (is_sent, message) in [
            (false, format!("PD{user}@{domain}")),
            (true, "RD1".to_owned()),
            (false, format!("PL{user}@{domain}:lumi-node-check@no.invalid.")),
            (false, format!("PL{user}@{domain}:{user}@{domain}")),
            (true, format!("RL2{user}@{domain}:{user}@{domain}")),
        ] {
            let entry = if is_sent { sent(1, message.as_bytes()) } else { received(1, message.as_bytes()) };
            let arrow = pushed(&mut ladder, &entry);
            let other = ladder.party(if is_sent { arrow.to } else { arrow.from }).unwrap();
            assert_eq!((other.role, &*other.name), (Role::Check, "lumi-node check"), "{message}");
        }
        if domain == "bb.com" {
            assert_eq!(
                drawn(&ladder, None, 90),
                "\
\x20 bb.com
 this node
──PD▶│      PDlumi-node-check@bb.com  24 B  deregister lumi-node-check@bb.com
◀RD1─┤      RD1  3 B  not deregistered: no such user, or not from there
──PL▶│      PLlumi-node-check@bb.com:lumi-node-check@no.invalid.  52 B  lumi-node-check@b…
──PL▶│      PLlumi-node-check@bb.com:lumi-node-check@bb.com  47 B  lumi-node-check@bb.com…
◀RL2─┤      RL2lumi-node-check@bb.com:lumi-node-check@bb.com  48 B  there is no user or d…
"
            );
            let diagram = mermaid(&ladder, None);
            let lines: Vec<_> = diagram.lines().collect();
            assert_eq!(lines[1], "    participant p0 as bb.com<br/>this node");
            assert_eq!(
                lines[3],
                "    Note left of p0: sent: RD1 (3 B)<br/>not deregistered: no such user, or not from there"
            );
        }
        // Nor does a known party hide by this name.
        pushed(&mut ladder, &received(2, b"PRlaura"));
        pushed(&mut ladder, &sent(2, b"RR0"));
        let asks = format!("PL{user}@{domain}:{user}@{domain}");
        let asks = pushed(&mut ladder, &received(2, asks.as_bytes()));
        assert_eq!(ladder.party(asks.from).unwrap().name, format!("laura@{domain}"));
    }
}

#[test]
fn who_says_no_name_has_that_of_the_socket() {
    let lines = "R: 10.0.0.2:UDP:1, rubbish, 7\nR: 10.0.0.3:UDP:3344, rubbish, 7";
    let ladder = ladder_of("bb.com", lines);
    assert_eq!(names(&ladder), ["10.0.0.2:1", "bb.com", "10.0.0.3:3344"]);
}

#[test]
fn the_log_of_an_agent_is_a_ladder_too() {
    let ladder = ladder_of(
        "u2@PC-d",
        "E: 10.100.100.104:UDP:3344, PRu2@PC-d, 9
R: 10.100.100.104:UDP:3344, RR0, 3
R: 10.100.100.104:UDP:3344, PLu1@PC-c:u2@PC-d, 17
E: 10.100.100.104:UDP:3344, RL0u1@PC-c:u2@PC-d:10.100.100.102:43038, 39",
    );
    assert_eq!(
        drawn(&ladder, None, 300),
        "\
\x20 u2@PC-d          PC-d
this agent  10.100.100.104:3344
     ├──────PR──────▶│           PRu2@PC-d  9 B  register u2@PC-d
     │◀─────RR0──────┤           RR0  3 B  registered
     │◀─────PL───────┤           PLu1@PC-c:u2@PC-d  17 B  u1@PC-c asks where u2@PC-d is
     ├──────RL0─────▶│           RL0u1@PC-c:u2@PC-d:10.100.100.102:43038  39 B\x20 u2@PC-d is at TCP 10.100.100.102:43038
"
    );
}

#[test]
fn whose_log_it_is_a_registration_tells() {
    // A stranger's request proves nothing.
    let of_node = "\
R: 10.6.6.6:UDP:6, PRlaura@evil.org, 16
E: 10.6.6.6:UDP:6, RR1, 3
R: 10.0.0.2:UDP:1, PRlaura@bb.com, 14
E: 10.0.0.2:UDP:1, RR0, 3
E: 10.0.0.9:UDP:5000, PLlaura@bb.com:joya@cc.com, 26";
    assert_eq!(names(&ladder_of("", of_node)), ["10.6.6.6:6", "laura@bb.com", "bb.com", "cc.com"]);
    for (request, answer) in [("PR", "RR0"), ("PD", "RD0")] {
        let of_agent = format!(
            "R: 10.0.0.9:UDP:5000, RR0, 3\nE: 10.0.0.9:UDP:5000, {request}laura@bb.com, 14\nR: 10.0.0.9:UDP:5000, {answer}, 3"
        );
        assert_eq!(names(&ladder_of("", &of_agent)), ["laura@bb.com", "bb.com"]);
    }
    assert_eq!(names(&ladder_of("", "R: 10.0.0.2:UDP:1, RR0, 3")), ["10.0.0.2:1", "?"]);
}

#[test]
fn a_stranger_changes_nothing_about_one_who_is_known() {
    let mut ladder = Ladder::new("bb.com", 100);
    for entry in [received(1, b"PRlaura@bb.com"), sent(1, b"RR0"), received(1, b"PLjoya@cc.com:laura@bb.com")]
    {
        pushed(&mut ladder, &entry);
    }
    assert_eq!(names(&ladder), ["laura@bb.com", "bb.com"]);
    // A stranger with her name is in her column, but it keeps her address.
    pushed(&mut ladder, &received(2, b"PLlaura@bb.com:joya@cc.com"));
    let laura = ladder.parties().next().unwrap();
    assert_eq!((laura.address, laura.addresses), (Some(at(1)), 2));
}
