//! How the program keeps its registration.

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
    assert_eq!(told, "! registration lost: no such user at its node, or registered from elsewhere since");
    node.type_line("register laura");
    laura.expect_line("* registered");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
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
