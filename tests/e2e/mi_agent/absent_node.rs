//! Agents that start while their node is not there.

use std::collections::BTreeSet;
use std::time::Duration;

use integration_tests::programs::{AgentTerminal, Key, Terminal};

use super::ending::SilentNode;
use super::send::command;

use super::*;

const SIZE: (u16, u16) = (24, 90);

/// Laura's `mi-agent listen`.
fn listener(folder: &Path, arguments: &[&str]) -> Program {
    let arguments = [&["listen", "--from", "laura@bb.com"], arguments].concat();
    Program::start_command(&mut command(folder, &arguments))
}

#[test]
fn it_is_waited_for_on_the_screen_and_by_listeners() {
    // Each has its own data, as on hosts of their own.
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let node = SilentNode::start();
    let at = node.address().to_string();
    let screen = AgentTerminal::start("laura@bb.com", node.address(), &[], SIZE);
    let mut words = listener(folder.path(), &["--node", &at]);
    let mut json = listener(other.path(), &["--node", &at, "--json"]);
    let silent = format!("node {at} does not answer");
    words.expect_line(&format!("! cannot register laura@bb.com: {silent}"));
    words.expect_line("* trying again in 5 s");
    let lost = format!(r#""event":"registration-lost","reason":"{silent}"}}"#);
    json.wait_for(|line| line.ends_with(&lost));
    screen.expect_text("trying again in 5 s");
    screen.expect_text("is lumi-node running there, and is that its port?");
    screen.expect_text(&format!("NOT registered yet: {silent}"));
    // A program that waits takes orders.
    json.type_line(r#"{"call":"pere@bb.com"}"#);
    json.wait_for(|line| line.contains(r#""event":"failed""#));
    screen.type_line("/call pere@bb.com");
    screen.expect_text("not yet: you are not registered");

    while node.receive_within(Duration::from_millis(100)).is_some() {}
    let mut agents = BTreeSet::new();
    while agents.len() < 3 {
        let (message, agent) = node.receive();
        assert_eq!(message, "PRlaura@bb.com");
        node.send("RR0", agent);
        agents.insert(agent);
    }
    words.expect_line("* registered laura@bb.com");
    json.wait_for(|line| line.contains(r#""event":"registered""#));
    screen.expect_text("registered laura@bb.com at node");
}

/// Somebody at a terminal sees that the program is not stuck.
#[test]
fn a_listener_at_a_terminal_says_that_it_registers() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = SilentNode::start();
    let at = node.address().to_string();
    let arguments = ["listen", "--from", "laura@bb.com", "--node", &at];
    let terminal = Terminal::start(AGENT, folder.path(), &arguments, SIZE);
    terminal.expect_text("mi-agent: registering laura@bb.com");
    let mut script = listener(folder.path(), &["--node", &at]);
    assert_eq!(script.wait_exit(), 1, "the address is taken");
    assert!(!script.stderr().iter().any(|line| line.contains("registering")), "{:?}", script.stderr());
    let (_, agent) = node.receive();
    node.send("RR0", agent);
    terminal.expect_text("* registered laura@bb.com at node ");
}

#[test]
fn an_answer_that_there_is_no_such_user_ends_the_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = SilentNode::start();
    let mut laura = listener(folder.path(), &["--node", &node.address().to_string()]);
    laura.expect_line("* trying again in 5 s");
    while node.receive_within(Duration::from_millis(100)).is_some() {}
    let (_, agent) = node.receive();
    node.send("RR1", agent);
    assert_eq!(laura.wait_exit(), 3);
    laura.expect_line("! cannot register laura@bb.com: no such user at its node");
}

#[test]
fn a_wait_can_be_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut laura = listener(folder.path(), &["--name-server", "127.0.0.1:1"]);
    laura.expect_line("* trying again in 5 s");
    laura.signal(Signal::Terminate);
    assert_eq!(laura.wait_exit(), 1);
    assert_eq!(laura.stdout().last().expect("a line"), "! cannot register laura@bb.com: interrupted");

    let node = SilentNode::start();
    let laura = AgentTerminal::start("laura@bb.com", node.address(), &[], SIZE);
    laura.expect_text("trying again in 5 s");
    laura.press(Key::Ctrl('d'));
    assert_eq!(laura.wait_exit(), 1);
    assert_eq!(laura.left_behind(), [""; 0]);
    assert_eq!(laura.screen().rows()[0], "! cannot register laura@bb.com: interrupted");
}
