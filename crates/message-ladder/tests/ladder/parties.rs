//! Who the columns are.

use message_ladder::{Ladder, Role};

use crate::{drawn, ladder_of, names, pushed, received, sent};

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
fn a_user_at_two_sockets_is_two_columns() {
    let lines = "R: 10.0.0.2:UDP:1, PRlaura@bb.com, 14\nR: 10.0.0.3:UDP:1, PRlaura@bb.com, 14";
    let ladder = ladder_of("bb.com", lines);
    assert_eq!(names(&ladder), ["laura@bb.com", "laura@bb.com", "bb.com"]);
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
    // What a stranger asks for tells nothing.
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
}
