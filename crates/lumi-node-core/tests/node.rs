//! Each row of protocol.md §3, on the state machine with a made-up clock.

use std::net::SocketAddrV4;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::{
    AdminCommand, AdminRefusal, AdminReply, DropReason, LookupId, Node, NodeSettings, Output, Presence,
    RateLimit, Roster, RosterChange, UserStatus,
};
use plumi_proto::{Domain, UserName};

const NODE: &str = "127.0.0.2:3344";
const OTHER_NODE: &str = "127.0.0.3:3344";
const LAURA: &str = "127.0.0.1:4500";
const PERE: &str = "127.0.0.1:4501";
const STRANGER: &str = "127.0.0.9:4600";

#[test]
fn a_user_of_the_roster_is_registered() {
    let mut node = TestNode::new();
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR0")]);
    assert_eq!(node.address_of("laura"), Some(address(LAURA)));
    // Whatever the case and the trailing dot of the domain.
    assert_eq!(node.receive(PERE, "PRpere@BB.com."), [sent(PERE, "RR0")]);
}

#[test]
fn nobody_else_is_registered() {
    let mut node = TestNode::new();
    for nobody in ["PRjoan@bb.com", "PRlaura@cc.com", "PRLaura@bb.com", "PRjoan"] {
        assert_eq!(node.receive(LAURA, nobody), [sent(LAURA, "RR1")], "{nobody}");
    }
    assert_eq!(node.address_of("laura"), None);
}

#[test]
fn the_bare_form_means_a_user_of_this_domain() {
    let mut node = TestNode::new();
    assert_eq!(node.receive(LAURA, "PRlaura"), [sent(LAURA, "RR0")]);
    assert_eq!(node.receive(PERE, "PLpere@bb.com:laura@bb.com"), [sent(LAURA, "PLpere@bb.com:laura@bb.com")]);
    assert_eq!(node.receive(LAURA, "PDlaura"), [sent(LAURA, "RD0")]);
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(node.receive(LAURA, "PDjoan"), [sent(LAURA, "RD1")]);
}

#[test]
fn a_registration_from_a_new_address_moves_the_user() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(node.receive(STRANGER, "PRlaura@bb.com"), [sent(STRANGER, "RR0")]);
    assert_eq!(node.address_of("laura"), Some(address(STRANGER)));
    assert_eq!(
        node.receive(PERE, "PLpere@bb.com:laura@bb.com"),
        [sent(STRANGER, "PLpere@bb.com:laura@bb.com")]
    );
}

#[test]
fn a_deregistration_can_be_repeated() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for _ in 0..3 {
        assert_eq!(node.receive(LAURA, "PDlaura@bb.com"), [sent(LAURA, "RD0")]);
        assert_eq!(node.address_of("laura"), None);
    }
    assert_eq!(node.receive(LAURA, "PDjoan@bb.com"), [sent(LAURA, "RD1")]);
    assert_eq!(node.receive(LAURA, "PDlaura@cc.com"), [sent(LAURA, "RD1")]);
}

#[test]
fn a_location_of_an_own_user_goes_to_the_agent_and_back() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
    let answer = "RL0joya@cc.com:laura@bb.com:84.88.154.3:4456";
    assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
}

#[test]
fn a_location_keeps_its_bytes() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for question in ["PLjoya@cc.com.:laura@BB.com", "PLjoya@10.0.0.1:laura@bb.COM."] {
        assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
    }
}

#[test]
fn a_location_of_nobody_is_answered_at_once() {
    let mut node = TestNode::new();
    assert_eq!(
        node.receive(OTHER_NODE, "PLjoya@cc.com:joan@bb.com"),
        [sent(OTHER_NODE, "RL2joya@cc.com:joan@bb.com")]
    );
    assert_eq!(
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com"),
        [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")]
    );
}

#[test]
fn the_fifth_request_without_an_answer_takes_the_user_offline() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    for _ in 0..4 {
        assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)]);
        node.pass(1.0);
    }
    let offline = [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")];
    assert_eq!(node.receive(OTHER_NODE, question), offline, "answered, and not forwarded");
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(node.receive(OTHER_NODE, question), offline);
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(
        node.receive(OTHER_NODE, question),
        [sent(LAURA, question)],
        "a new registration, a new count"
    );
}

#[test]
fn strikes_are_counted_whoever_asks() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for asker in 1..5 {
        node.receive(OTHER_NODE, &format!("PLu{asker}@cc.com:laura@bb.com"));
    }
    assert_eq!(
        node.receive(OTHER_NODE, "PLu5@cc.com:laura@bb.com"),
        [sent(OTHER_NODE, "RL3u5@cc.com:laura@bb.com")]
    );
}

#[test]
fn an_answer_or_a_registration_clears_the_strikes() {
    for sign_of_life in ["RL1joya@cc.com:laura@bb.com", "PRlaura@bb.com", "RL1anybody@cc.com:laura@bb.com"] {
        let mut node = TestNode::new();
        node.receive(LAURA, "PRlaura@bb.com");
        let question = "PLjoya@cc.com:laura@bb.com";
        for round in 0..3 {
            for _ in 0..4 {
                assert_eq!(node.receive(OTHER_NODE, question), [sent(LAURA, question)], "round {round}");
            }
            _ = node.try_receive(LAURA, sign_of_life);
        }
    }
}

#[test]
fn nobody_else_clears_the_strikes() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for _ in 0..4 {
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
        _ = node.try_receive(STRANGER, "RL1joya@cc.com:laura@bb.com");
    }
    assert_eq!(
        node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com"),
        [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")]
    );
}

#[test]
fn a_location_in_another_domain_goes_through_its_node() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLlaura@bb.com:joya@cc.com";
    let lookup = node.ask_elsewhere(LAURA, question, "cc.com");
    assert_eq!(node.resolved(lookup, found(OTHER_NODE, 60)), [sent(OTHER_NODE, question)]);
    for answer in ["RL0laura@bb.com:joya@cc.com:84.88.154.3:4456", "RL3laura@bb.com:joya@cc.com"] {
        assert_eq!(node.receive(OTHER_NODE, answer), [sent(LAURA, answer)]);
        assert_eq!(node.receive(LAURA, question), [sent(OTHER_NODE, question)], "the address is known now");
    }
}

#[test]
fn a_domain_that_is_not_found_is_no_domain() {
    for error in [LookupError::NotFound, LookupError::NoAnswer, LookupError::Unusable([0, 0, 0, 0].into())] {
        let mut node = TestNode::new();
        node.receive(LAURA, "PRlaura@bb.com");
        let question = "PLlaura@bb.com:joya@cc.com";
        let no_such_user = [sent(LAURA, "RL2laura@bb.com:joya@cc.com")];
        let lookup = node.ask_elsewhere(LAURA, question, "cc.com");
        assert_eq!(node.resolved(lookup, Err(error)), no_such_user);
        node.pass(4.9);
        assert_eq!(node.receive(LAURA, question), no_such_user, "a failure is kept");
        node.pass(0.2);
        node.ask_elsewhere(LAURA, question, "cc.com");
    }
}

#[test]
fn a_name_is_looked_up_once_at_a_time_and_again_when_it_is_out_of_date() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    assert_eq!(node.receive(LAURA, "PLlaura@bb.com:joya@cc.com"), [], "a repetition waits too");
    assert_eq!(node.receive(PERE, "PLpere@bb.com:joya@CC.com."), []);
    assert_eq!(
        node.resolved(lookup, found(OTHER_NODE, 7)),
        [sent(OTHER_NODE, "PLlaura@bb.com:joya@cc.com"), sent(OTHER_NODE, "PLpere@bb.com:joya@CC.com.")]
    );
    assert_eq!(node.resolved(lookup, found(STRANGER, 7)), [], "a look-up is answered once");
    node.pass(7.0);
    node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
}

#[test]
fn no_answer_is_kept_longer_than_a_minute() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    node.resolved(lookup, found(OTHER_NODE, 86_400));
    node.pass(60.0);
    node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
}

#[test]
fn lookups_are_bounded() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let lookups: Vec<_> = (0..32)
        .map(|n| node.ask_elsewhere(LAURA, &format!("PLlaura@bb.com:joya@d{n}.com"), &format!("d{n}.com")))
        .collect();
    let one_more = "PLlaura@bb.com:joya@cc.com";
    assert_eq!(node.try_receive(LAURA, one_more), Err(DropReason::NoRoom));
    node.resolved(lookups[0], Err(LookupError::NotFound));
    let lookup = node.ask_elsewhere(LAURA, one_more, "cc.com");
    node.resolved(lookup, Err(LookupError::NotFound));
    // Far more names than are kept: the node goes on, and asks again for what it forgot.
    for n in 0..10_000 {
        let lookup =
            node.ask_elsewhere(LAURA, &format!("PLlaura@bb.com:joya@e{n}.com"), &format!("e{n}.com"));
        node.resolved(lookup, Err(LookupError::NotFound));
    }
}

#[test]
fn only_an_online_user_at_its_own_address_may_ask_elsewhere() {
    let mut node = TestNode::new();
    let question = "PLlaura@bb.com:joya@cc.com";
    assert_eq!(node.try_receive(LAURA, question), Err(DropReason::Foreign), "offline");
    node.receive(LAURA, "PRlaura@bb.com");
    assert_eq!(node.try_receive(STRANGER, question), Err(DropReason::Foreign), "from elsewhere");
    let neither = "PLjoan@dd.com:joya@cc.com";
    assert_eq!(node.try_receive(LAURA, neither), Err(DropReason::Foreign), "neither party is of this domain");
    assert_eq!(node.try_receive(OTHER_NODE, neither), Err(DropReason::Foreign));
    assert_eq!(node.node.dropped().foreign, 4);
}

#[test]
fn another_name_of_this_node_is_no_domain() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:pere@alias.com", "alias.com");
    assert_eq!(node.resolved(lookup, found(NODE, 60)), [sent(LAURA, "RL2laura@bb.com:pere@alias.com")]);
}

#[test]
fn an_answer_passes_once_and_only_from_where_the_question_went() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    let answer = "RL1joya@cc.com:laura@bb.com";
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked), "nobody asked");
    node.receive(OTHER_NODE, question);
    assert_eq!(node.try_receive(STRANGER, answer), Err(DropReason::Unasked), "forged");
    assert_eq!(
        node.try_receive(LAURA, "RL1joan@cc.com:laura@bb.com"),
        Err(DropReason::Unasked),
        "other names"
    );
    assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked), "a duplicate");
}

/// A frozen agent that thaws, or one that left: its late answer would be the second one.
#[test]
fn an_answer_after_a_refusal_is_dropped() {
    let question = "PLjoya@cc.com:laura@bb.com";
    let answer = "RL1joya@cc.com:laura@bb.com";
    let offline = [sent(OTHER_NODE, "RL3joya@cc.com:laura@bb.com")];

    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for _ in 0..4 {
        node.receive(OTHER_NODE, question);
    }
    assert_eq!(node.receive(OTHER_NODE, question), offline);
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked));

    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(OTHER_NODE, question);
    node.receive(STRANGER, question);
    node.receive(LAURA, "PDlaura@bb.com");
    assert_eq!(node.receive(OTHER_NODE, question), offline);
    assert_eq!(node.receive(LAURA, answer), [sent(STRANGER, answer)], "who was not refused is answered");
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked));
}

#[test]
fn an_agent_hears_one_answer_however_often_it_asked() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(PERE, "PRpere@bb.com");
    let question = "PLlaura@bb.com:pere@bb.com";
    for _ in 0..3 {
        assert_eq!(node.receive(LAURA, question), [sent(PERE, question)]);
    }
    let answer = "RL1laura@bb.com:pere@bb.com";
    assert_eq!(node.receive(PERE, answer), [sent(LAURA, answer)]);
    assert_eq!(node.try_receive(PERE, answer), Err(DropReason::Unasked));
    assert_eq!(node.try_receive(PERE, answer), Err(DropReason::Unasked));
}

#[test]
fn a_question_ends_five_seconds_after_it_was_last_asked() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    let answer = "RL1joya@cc.com:laura@bb.com";
    node.receive(OTHER_NODE, question);
    node.pass(4.0);
    node.receive(OTHER_NODE, question);
    node.pass(4.999);
    assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
    node.receive(OTHER_NODE, question);
    let due = node.node.poll_timeout().expect("a question is pending");
    assert_eq!(due, node.now + Duration::from_secs(5));
    node.pass(5.0);
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked));
    node.node.handle_timeout(node.now);
    assert_eq!(node.node.poll_timeout(), None, "nothing is left of it");
}

#[test]
fn pending_questions_are_bounded() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    for n in 0..4_096 {
        let question = format!("PLu{n}@cc.com:laura@bb.com");
        assert_eq!(node.receive(OTHER_NODE, &question), [sent(LAURA, &question)]);
        node.receive(LAURA, "PRlaura@bb.com");
    }
    for _ in 0..10 {
        assert_eq!(node.try_receive(OTHER_NODE, "PLone@cc.com:laura@bb.com"), Err(DropReason::NoRoom));
    }
    assert_eq!(node.address_of("laura"), Some(address(LAURA)), "what was not sent on is no strike");
    node.receive(LAURA, "RL1u77@cc.com:laura@bb.com");
    node.receive(OTHER_NODE, "PLone@cc.com:laura@bb.com");
    assert_eq!(node.try_receive(OTHER_NODE, "PLtwo@cc.com:laura@bb.com"), Err(DropReason::NoRoom));
    node.pass(5.0);
    node.receive(OTHER_NODE, "PLtwo@cc.com:laura@bb.com");
}

#[test]
fn two_askers_with_the_same_names_are_answered_in_their_order() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    let question = "PLjoya@cc.com:laura@bb.com";
    let answer = "RL1joya@cc.com:laura@bb.com";
    node.receive(OTHER_NODE, question);
    node.receive(STRANGER, question);
    assert_eq!(node.receive(LAURA, answer), [sent(OTHER_NODE, answer)]);
    assert_eq!(node.receive(LAURA, answer), [sent(STRANGER, answer)]);
    assert_eq!(node.try_receive(LAURA, answer), Err(DropReason::Unasked));
}

#[test]
fn the_node_knows_where_an_agent_is_that_does_not() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    assert_eq!(
        node.receive(LAURA, "RL0joya@cc.com:laura@bb.com:0.0.0.0:4456"),
        [sent(OTHER_NODE, "RL0joya@cc.com:laura@bb.com:127.0.0.1:4456")]
    );
    // The node of the caller knows no better.
    let lookup = node.ask_elsewhere(LAURA, "PLlaura@bb.com:joya@cc.com", "cc.com");
    node.resolved(lookup, found(OTHER_NODE, 60));
    let answer = "RL0laura@bb.com:joya@cc.com:0.0.0.0:4456";
    assert_eq!(node.receive(OTHER_NODE, answer), [sent(LAURA, answer)]);
}

#[test]
fn a_busy_answer_with_an_address_is_passed_on_without() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    assert_eq!(
        node.receive(LAURA, "RL1joya@cc.com:laura@bb.com:0.0.0.0:4456"),
        [sent(OTHER_NODE, "RL1joya@cc.com:laura@bb.com")]
    );
}

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
fn the_administrator_adds_removes_and_lists_users() {
    let mut node = TestNode::new();
    let joan: UserName = "joan".parse().expect("a name");
    let laura: UserName = "laura".parse().expect("a name");

    let change = node.admin_save(AdminCommand::Register(joan));
    assert_eq!(change, RosterChange::Add(joan));
    assert_eq!(node.receive(STRANGER, "PRjoan@bb.com"), [sent(STRANGER, "RR1")], "not before it is saved");
    node.node.handle_roster_saved(change);
    assert_eq!(node.receive(STRANGER, "PRjoan@bb.com"), [sent(STRANGER, "RR0")]);
    assert_eq!(
        node.admin(AdminCommand::Register(joan)),
        AdminReply::Refused(AdminRefusal::AlreadyUser(joan))
    );

    node.pass(42.0);
    let offline = |user: &str| UserStatus { user: user.parse().expect("a name"), presence: None };
    let presence = Presence { address: address(STRANGER), online_for: Duration::from_secs(42) };
    assert_eq!(
        node.admin(AdminCommand::List),
        AdminReply::Users(vec![
            UserStatus { user: joan, presence: Some(presence) },
            offline("laura"),
            offline("pere"),
        ])
    );

    let change = node.admin_save(AdminCommand::Deregister(laura));
    node.node.handle_roster_saved(change);
    assert_eq!(
        node.admin(AdminCommand::Deregister(laura)),
        AdminReply::Refused(AdminRefusal::NoSuchUser(laura))
    );
    let long: UserName = "l".repeat(30).parse().expect("a name");
    assert!(matches!(
        node.admin(AdminCommand::Register(long)),
        AdminReply::Refused(AdminRefusal::TooLong(_))
    ));
}

#[test]
fn a_user_who_is_removed_is_cut_off() {
    let mut node = TestNode::new();
    node.receive(LAURA, "PRlaura@bb.com");
    node.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
    let change = node.admin_save(AdminCommand::Deregister("laura".parse().expect("a name")));
    node.node.handle_roster_saved(change);
    assert_eq!(node.address_of("laura"), None);
    assert_eq!(
        node.try_receive(LAURA, "RL1joya@cc.com:laura@bb.com"),
        Err(DropReason::Unasked),
        "a late answer is nobody's"
    );
    assert_eq!(node.node.poll_timeout(), None);
    assert_eq!(node.receive(LAURA, "PRlaura@bb.com"), [sent(LAURA, "RR1")]);
}

#[test]
fn one_source_may_send_so_much_and_no_more() {
    let limit = RateLimit {
        per_second: NonZeroU32::new(10).expect("is not 0"),
        burst: NonZeroU32::new(20).expect("is not 0"),
    };
    let mut node = TestNode::with(NodeSettings { rate_limit: Some(limit) });
    let source = *address(LAURA).ip();
    let admitted =
        |node: &mut TestNode, tries: u32| (0..tries).filter(|_| node.node.admit(node.now, source)).count();
    assert_eq!(admitted(&mut node, 50), 20);
    assert_eq!(node.node.dropped().too_many, 30);
    assert!(node.node.admit(node.now, *address(STRANGER).ip()), "others are not concerned");
    node.pass(1.0);
    assert_eq!(admitted(&mut node, 50), 10);
    node.pass(0.05);
    assert_eq!(admitted(&mut node, 50), 0);
    node.pass(3600.0);
    assert_eq!(admitted(&mut node, 50), 20);

    let mut unlimited = TestNode::with(NodeSettings { rate_limit: None });
    assert_eq!(admitted(&mut unlimited, 100_000), 100_000);
}

#[test]
fn a_flood_of_sources_neither_grows_the_limiter_nor_shuts_others_out() {
    let mut node = TestNode::new();
    for source in 0..100_000_u32 {
        assert!(node.node.admit(node.now, source.into()));
    }
}

/// The node of bb.com, whose users are laura and pere.
struct TestNode {
    node: Node,
    now: Instant,
}

impl TestNode {
    fn new() -> Self {
        Self::with(NodeSettings::default())
    }

    fn with(settings: NodeSettings) -> Self {
        let roster = Roster::parse(b"bb.com\nlaura\npere\n").expect("a roster");
        let now = tokio::time::Instant::now().into_std();
        Self { node: Node::new(roster, address(NODE), settings), now }
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    /// What the node does for a message that it must not drop.
    fn receive(&mut self, from: &str, message: &str) -> Vec<Output> {
        self.try_receive(from, message).unwrap_or_else(|reason| panic!("{message}: {reason}"))
    }

    fn try_receive(&mut self, from: &str, message: &str) -> Result<Vec<Output>, DropReason> {
        let handled = self.node.handle_datagram(self.now, address(from), message.as_bytes());
        let outputs = self.drain();
        if handled.is_err() {
            assert_eq!(outputs, [], "{message} was dropped");
        }
        handled.map(|()| outputs)
    }

    fn ask_elsewhere(&mut self, from: &str, question: &str, expected: &str) -> LookupId {
        match self.receive(from, question)[..] {
            [Output::Resolve { id, domain }] => {
                assert_eq!(domain, expected.parse::<Domain>().expect("a domain"));
                id
            }
            ref outputs => panic!("{question}: {outputs:?}"),
        }
    }

    fn resolved(&mut self, id: LookupId, answer: Result<FoundNode, LookupError>) -> Vec<Output> {
        self.node.handle_resolved(self.now, id, &answer);
        self.drain()
    }

    fn admin(&mut self, command: AdminCommand) -> AdminReply {
        self.node.handle_admin(self.now, command)
    }

    fn admin_save(&mut self, command: AdminCommand) -> RosterChange {
        match self.admin(command) {
            AdminReply::Save(change) => change,
            reply => panic!("{reply:?}"),
        }
    }

    fn address_of(&self, user: &str) -> Option<SocketAddrV4> {
        self.node.address_of(&user.parse().expect("a name"))
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.node.poll_output()).collect()
    }
}

/// Messages are compared as bytes: that is what the other side gets.
fn sent(to: &str, message: &str) -> Output {
    let decoded = plumi_proto::Message::decode(message.as_bytes()).expect("a message");
    assert_eq!(&*decoded.encode(), message.as_bytes());
    Output::Transmit { to: address(to), message: decoded }
}

fn found(node: &str, seconds: u64) -> Result<FoundNode, LookupError> {
    Ok(FoundNode { address: address(node), valid_for: Duration::from_secs(seconds) })
}

fn address(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}
