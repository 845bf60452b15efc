//! A node and `proved_agent.py`, an agent that shares no code with it.

use std::path::Path;
use std::process::Command;

use integration_tests::programs::{NodeProgram, Program};
use integration_tests::skipped;

use super::{done, start};
use crate::lumi_node::User;

#[test]
fn an_independent_agent_proves_a_key_that_the_administrator_added() {
    let node = start("bb.com", &["laura", "pere"], &[]);
    let Some((mut laura, key)) = agent("laura@BB.com", &node) else { return };
    assert_eq!(ask(&mut laura, "register"), "registered");
    done(&node, &["key", "add", "laura", &key]);
    is_the_only_laura(&node, &mut laura);
}

#[test]
fn an_independent_agent_enrols_by_a_code() {
    let node = start("bb.com", &["pere"], &[]);
    let invitation = done(&node, &["invite", "laura"]);
    let code = invitation.split_whitespace().nth(1).expect("ADDRESS CODE");
    let Some((mut laura, key)) = agent("laura@bb.com", &node) else { return };
    assert_eq!(ask(&mut laura, "enrol 0000-0000-0000-0000"), "not taken");
    let enrolled = ask(&mut laura, &format!("enrol {}", code.to_lowercase()));
    assert!(enrolled.starts_with("enrolled "), "{enrolled}");
    assert_eq!(ask(&mut laura, &format!("enrol {code}")), enrolled, "its answer may have been lost");
    assert_eq!(done(&node, &["keys", "--known-peers"]).trim(), "", "the key has proved nothing so far");
    is_the_only_laura(&node, &mut laura);
    let introduced = done(&node, &["keys", "--known-peers"]);
    assert!(introduced.starts_with(&format!("laura@bb.com ed25519 {key} introduced ")), "{introduced}");

    let (mut thief, _) = agent("laura@bb.com", &node).expect("there was one before");
    assert_eq!(ask(&mut thief, &format!("enrol {code}")), "not taken");
}

/// The agent `laura`, with a key that the node has, is found, and leaves; nobody else can do either in her
/// name.
fn is_the_only_laura(node: &NodeProgram, laura: &mut Program) {
    let (mut thief, _) = agent("laura@bb.com", node).expect("there was one before");
    let pere = User::of(node);
    assert_eq!(pere.ask("PRpere@bb.com"), "RR0");
    assert_eq!(pere.ask(LOCATE), format!("RL3{}", &LOCATE[2..]), "a key unbinds its user");

    assert_eq!(ask(&mut thief, "register"), "key not known");
    assert_eq!(ask(laura, "register"), "registered");
    pere.say(LOCATE.as_bytes());
    assert_eq!(ask(laura, "answer"), "found by pere@bb.com");
    let found = pere.hear();
    assert!(found.starts_with(&format!("RL0{}:127.0.0.1:", &LOCATE[2..])), "{found}");

    assert_eq!(ask(&mut thief, "deregister"), "key not known");
    assert_eq!(ask(laura, "register"), "registered", "also where she is registered already");
    assert_eq!(ask(laura, "deregister"), "deregistered");
    assert_eq!(pere.ask(LOCATE), format!("RL3{}", &LOCATE[2..]));
}

/// Starts an agent of `address` with a key of its own, and returns it and the key. `None`, and a line on
/// stderr, if that cannot be done here.
fn agent(address: &str, node: &NodeProgram) -> Option<(Program, String)> {
    let can_run = Command::new(PYTHON).args(["-c", "import cryptography"]).output();
    if !can_run.is_ok_and(|output| output.status.success()) {
        skipped(&format!("{PYTHON} or its package cryptography is missing"));
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/lumi_node/control/proved_agent.py");
    let mut command = Command::new(PYTHON);
    let mut agent = Program::start_command(command.arg(script).args([address, &node.address().to_string()]));
    let key = agent.expect_line("key ").split_off("key ".len());
    Some((agent, key))
}

/// Returns the outcome of a command to the agent.
fn ask(agent: &mut Program, command: &str) -> String {
    agent.type_line(command);
    agent.expect_line("")
}

const LOCATE: &str = "PLpere@bb.com:laura@bb.com";

/// The interpreter that sees Debian's packages, whatever other one `PATH` has.
const PYTHON: &str = "/usr/bin/python3";
