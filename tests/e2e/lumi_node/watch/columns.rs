//! The columns of `lumi-node watch`: one for each user with messages in view, on a screen of 80 by 24.

use std::fs;
use std::process::Command;

use integration_tests::programs::{
    AGENT, NODE, NodeProgram, Program, Screen, Terminal, at_home, executable, write_settings,
};

use super::{SOCKET, run, start};
use crate::lumi_node::{User, folder_with};

/// Starts the screen of a node's messages, as most terminals begin.
fn watch(node: &NodeProgram) -> Terminal {
    Terminal::start(NODE, node.folder(), &["watch", "--socket", SOCKET], (24, 80))
}

/// Returns whether `screen` has at least `count` rows of messages with both ends of their arrows in view and
/// texts that begin with one of `begins`, and the bar below them. Tests wait for that: the screen is drawn in
/// pieces, and the messages so far may come in pieces, too.
fn is_whole(screen: &Screen, count: usize, begins: &[&str]) -> bool {
    let is_whole = |row: &String| {
        let signs = |signs: &str| row.chars().filter(|&sign| signs.contains(sign)).count();
        let has_text = begins.iter().any(|begin| row.contains(&format!("  {begin}")));
        (signs("├┤"), signs("▶◀")) == (1, 1) && has_text
    };
    let rows = screen.rows();
    let messages: Vec<_> = rows.iter().filter(|row| row.contains(['▶', '◀'])).collect();
    messages.len() >= count && messages.into_iter().all(is_whole) && !rows[23].trim().is_empty()
}

/// The names above the columns.
fn names(screen: &Screen) -> Vec<String> {
    screen.rows()[0].split_whitespace().map(str::to_owned).collect()
}

#[test]
fn ten_sends_of_a_user_are_in_one_column() {
    let node = start(&["laura", "pere"]);
    for _ in 0..10 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(executable(AGENT));
        let at = node.address().to_string();
        let arguments = ["send", "--from", "laura@bb.com", "--node", &at, "pere@bb.com", "hola"];
        let mut send = Program::start_command(at_home(&mut command, folder.path()).args(arguments));
        assert_eq!(send.wait_exit(), 4, "he is offline: {:?}", send.stderr());
    }
    let terminal = watch(&node);
    terminal.wait_for(|screen| {
        let is_one = names(screen) == ["laura@bb.com", "bb.com"] && screen.rows()[1].contains(" +9");
        is_whole(screen, 20, &[""]) && is_one && screen.position_of("deregistered").is_some()
    });
    terminal.type_text("q");
    assert_eq!(terminal.wait_exit(), 0);
}

#[test]
fn however_many_agents_there_are_each_arrow_has_both_ends_in_view() {
    for count in [3, 30, 300] {
        let users: Vec<_> = (1..=count).map(|number| format!("agent{number:03}")).collect();
        let node = start(&users.iter().map(String::as_str).collect::<Vec<_>>());
        let agents: Vec<_> = users.iter().map(|_| User::of(&node)).collect();
        for (agent, user) in agents.iter().zip(&users) {
            assert_eq!(agent.ask(&format!("PR{user}")), "RR0");
        }
        for (at, agent) in agents.iter().enumerate() {
            let (from, to) = (&users[at], &users[(at + 1) % count]);
            let asks = format!("{from}@bb.com:{to}@bb.com");
            agent.say(format!("PL{asks}").as_bytes());
            let asked = &agents[(at + 1) % count];
            assert_eq!(asked.hear(), format!("PL{asks}"));
            asked.say(format!("RL1{asks}").as_bytes());
            assert_eq!(agent.hear(), format!("RL1{asks}"));
        }
        let terminal = watch(&node);
        let shown = if count == 3 { (3, false) } else { (2, true) };
        let has_columns = |screen: &Screen| {
            let names = names(screen);
            let agents = names.iter().filter(|name| name.starts_with("agent")).count();
            let is_there = |name: &str| names.iter().any(|other| other == name);
            (agents, is_there("others")) == shown && is_there("bb.com")
        };
        // Each row has room for a sentence, and the bytes are a key away.
        let in_words = |screen: &Screen| {
            let has_last = screen.position_of("agent001@bb.com is busy").is_some();
            is_whole(screen, 18, &["agent", "register"]) && has_last && has_columns(screen)
        };
        let in_bytes = |screen: &Screen| {
            is_whole(screen, 18, &["PR", "RR", "PL", "RL1agent"]) && screen.position_of("is busy").is_none()
        };
        terminal.wait_for(in_words);
        terminal.type_text("b");
        terminal.wait_for(in_bytes);
        terminal.type_text("b");
        terminal.wait_for(in_words);
        terminal.type_text("q");
        assert_eq!(terminal.wait_exit(), 0);
    }
}

#[test]
fn the_questions_of_a_check_have_no_column() {
    let node = start(&["laura"]);
    let folder = folder_with("bb.com\nlaura\n");
    let settings = format!("listen = '{0}'\n[peers]\n'bb.com' = '{0}'\n", node.address());
    write_settings(folder.path(), &settings);
    let (_, checked, _) = run(folder.path(), &["check"]);
    assert!(checked.contains("in use by the node of bb.com, which answers"), "{checked}");
    User::of(&node).ask("PRlaura");
    let terminal = watch(&node);
    terminal.wait_for(|screen| {
        let is_told = |text| screen.position_of(text).is_some();
        is_told("registered")
            && is_told("deregister lumi-node-check")
            && names(screen) == ["laura@bb.com", "bb.com"]
    });
    terminal.type_text("q");
    assert_eq!(terminal.wait_exit(), 0);
    // Nor do they have one in a report.
    let log = fs::read_to_string(node.folder().join("nodelumi-bb.com.log")).expect("there is a log");
    assert!(log.contains("PDlumi-node-check@bb.com"), "{log}");
    let (code, diagram, _) = run(node.folder(), &["watch", "--file", "nodelumi-bb.com.log", "--mermaid"]);
    assert_eq!((code, diagram.matches("participant").count()), (0, 2), "{diagram}");
}
