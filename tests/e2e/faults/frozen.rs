//! An agent that is held, by a debugger or by a lid that was closed, and runs again.

use integration_tests::programs::{AgentProgram, NodeProgram, Signal, eventually};
use integration_tests::raw_user::RawUser;

#[test]
fn a_frozen_agent_is_offline_at_the_fifth_request_and_back_when_it_thaws() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &["--strike-interval", "0"]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    let listening = pere.expect_line("* listening for conversations on ");
    let at = &listening["* listening for conversations on ".len()..];
    let laura = RawUser::new(node.address());
    let (question, answer) = ("PLlaura@bb.com:pere@bb.com", format!("RL0laura@bb.com:pere@bb.com:{at}:T"));
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(laura.ask(question), answer);

    pere.signal(Signal::Stop);
    eventually("the agent is stopped", || pere.is_stopped());
    laura.say(question);
    for number in 0..3 {
        laura.say(format!("PLu{number}@cc.com:pere@bb.com"));
    }
    laura.say("PLu3@cc.com:pere@bb.com");
    assert_eq!(laura.hear(), "RL3u3@cc.com:pere@bb.com");
    let forwarded = |node: &NodeProgram| {
        node.log().iter().filter(|line| line.starts_with("E: ") && line.contains(", PL")).count()
    };
    eventually("the last answer is in the log", || {
        node.log().iter().any(|line| line.contains(", RL3u3@cc.com:"))
    });
    assert_eq!(forwarded(&node), 1 + 4, "four are sent on, and the fifth is not");
    assert!(!node.is_online("pere"));
    assert_eq!(laura.ask(question), "RL3laura@bb.com:pere@bb.com");

    pere.signal(Signal::Continue);
    // It answers what it was asked long ago. The askers have been answered, but the node has heard from it.
    eventually("the node hears the agent", || {
        node.log().iter().any(|line| line.starts_with("R: ") && line.contains(", RL0u2@cc.com:pere@bb.com:"))
    });
    assert!(node.is_online("pere"));
    let joya = RawUser::new(node.address());
    assert_eq!(joya.ask("PLjoya@cc.com:pere@bb.com"), format!("RL0joya@cc.com:pere@bb.com:{at}:T"));
}
