//! A node that is gone and comes back, and the agents that were registered there.

use integration_tests::programs::{NodeProgram, eventually, write_roster};
use mi_agent_core::{Agent, RETRY};
use tokio::task::JoinSet;

use super::changes::Users;

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_of_a_node_that_was_restarted_are_all_online_again() {
    let users = Users::numbered(AGENTS);
    let folder = tempfile::tempdir().expect("a folder");
    write_roster(folder.path(), &users.text());
    let arguments = ["--console", "--rate-limit", "off"];
    let mut node = NodeProgram::start_in(folder.path(), &arguments);
    let mut starting = JoinSet::new();
    for user in &users.0 {
        let address = format!("{user}@bb.com").parse().expect("an address");
        starting.spawn(Agent::builder(address).node(node.address()).refresh(Some(RETRY)).start());
    }
    let agents: Vec<_> =
        starting.join_all().await.into_iter().collect::<Result<_, _>>().expect("all register");
    assert_eq!(online(&mut node), AGENTS);

    let address = node.address().to_string();
    node.kill();
    let mut node = NodeProgram::start_in(folder.path(), &[&arguments[..], &["--listen", &address]].concat());
    eventually("all are online again", || online(&mut node) == AGENTS);
    let [(one, _), .., (other, _)] = &agents[..] else { panic!("there are many") };
    assert_eq!(one.locate(other.address()).await.expect("it is found"), other.listening());
}

fn online(node: &mut NodeProgram) -> usize {
    node.list().iter().filter(|line| line.contains("online")).count()
}

const AGENTS: usize = 200;
