//! The registration of the program, and how it is kept.

use integration_tests::programs::{AgentTerminal, eventually};
use integration_tests::raw_user::RawUser;

use super::*;

#[test]
fn a_registration_that_is_lost_and_regained_is_told() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let at = node.address();
    let mut laura = AgentProgram::start("laura@bb.com", at, &["--refresh", "5"]);
    laura.expect_line("* listening");
    node.type_line("exit");
    assert_eq!(node.wait_exit(), 0);
    // Asking in vain shows it, and so would the next refresh.
    laura.type_line("/call pere@bb.com");
    assert_eq!(
        laura.expect_line("! registration"),
        format!("! registration lost: node {at} does not answer")
    );
    let listen = at.to_string();
    let mut node = NodeProgram::start("bb.com", &["laura"], &["--listen", &listen]);
    assert_eq!(laura.expect_line("* registered"), format!("* registered laura@bb.com again at node {at}"));
    node.type_line("deregister laura");
    let told = laura.expect_line("! registration");
    assert_eq!(told, format!("! registration lost: {TAKEN}"));
    node.type_line("register laura");
    laura.expect_line("* registered");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
}

/// The next refresh is a day away, but a user that looks for another is found again at once, whatever the
/// answer.
#[test]
fn who_calls_after_a_restart_of_the_node_is_registered_again() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let at = node.address().to_string();
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &["--refresh", "86400"]);
    laura.expect_line("* listening");
    node.kill();
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &["--listen", &at]);
    assert!(!node.is_online("laura"));
    // A registration is followed by no other one within a second.
    eventually("laura is online again", || {
        laura.type_line("/call pere@bb.com");
        assert_eq!(laura.expect_line("!"), "! cannot reach pere@bb.com: user is offline");
        node.is_online("laura")
    });
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
}

/// The next refresh is a day away, but the screen shows that the user is registered.
#[test]
fn a_screen_that_somebody_looks_at_registers_again_after_a_restart_of_the_node() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &[]);
    let at = node.address().to_string();
    let screen = AgentTerminal::start("laura@bb.com", node.address(), &["--refresh", "86400"], (24, 80));
    screen.wait_for(|screen| screen.row_containing("· registered at node").is_some());
    node.kill();
    let mut node = NodeProgram::start("bb.com", &["laura"], &["--listen", &at]);
    eventually("laura is online again", || node.is_online("laura"));
}

/// The agent of laura is frozen, as on a host that sleeps, until strikes take her offline and the node lets
/// somebody else register.
#[test]
fn a_user_who_cannot_register_again_is_told_why_on_every_face() {
    let mut node =
        NodeProgram::start("bb.com", &["laura", "pere"], &["--takeover", "deny", "--strike-interval", "0"]);
    let at = node.address();
    let mut laura = AgentProgram::start("laura@bb.com", at, &["--refresh", "5"]);
    laura.expect_line("* listening");
    let pere = AgentTerminal::start("pere@bb.com", at, &["--refresh", "5"], (24, 160));
    pere.wait_for(|screen| screen.row_containing("· registered at node").is_some());

    let thief = RawUser::at([127, 0, 0, 9].into(), at);
    laura.signal(Signal::Stop);
    eventually("the agent is stopped", || laura.is_stopped());
    for number in 0..5 {
        thief.say(format!("PLu{number}@cc.com:laura@bb.com"));
    }
    assert_eq!(thief.hear(), "RL3u4@cc.com:laura@bb.com");
    assert_eq!(thief.ask("PRlaura"), "RR0");
    laura.signal(Signal::Continue);
    assert_eq!(laura.expect_line("! registration"), format!("! registration lost: {TAKEN}"));

    node.type_line("deregister pere");
    node.expect_line("deregistered pere");
    pere.wait_for(|screen| screen.row_containing(TAKEN).is_some());
}

#[test]
fn the_refresh_is_an_option() {
    let folder = tempfile::tempdir().expect("a folder");
    for wrong in ["0", "-1", "1.5", "on", ""] {
        let mut agent = Program::start(AGENT, folder.path(), &["laura@bb.com", "--refresh", wrong]);
        assert_eq!(agent.wait_exit(), 2, "{wrong:?}");
    }
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    for right in ["1", "86401", "18446744073709551615", "off"] {
        let mut laura = AgentProgram::start("laura@bb.com", node.address(), &["--refresh", right]);
        laura.expect_line("* listening");
        laura.type_line("/quit");
        assert_eq!(laura.wait_exit(), 0, "{right}");
    }
}

/// The reason when a refresh is refused.
const TAKEN: &str = "somebody else is registered as you, or you were taken off the roster";
