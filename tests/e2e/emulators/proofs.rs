//! Our agent at nodes of L and S, as a user that its node once asked for proofs: a `PK` ends a node of L
//! (protocol.md §12).

use std::fs;

use integration_tests::emulators::Program::{self, L, S};
use integration_tests::emulators::sockets::EmulatedNode;
use mi_agent_core::{AgentBuilder, EnrolError, EnrolmentFile, Event, Identity, StartError};
use tempfile::TempDir;

use super::{BOTH, ours, peer};
use crate::conversation::soon;

const ASK: &str = "x1@bb:A.......................";

/// A user with a key, enrolled or not. The file of that is in the folder.
fn user_with_key(node: &EmulatedNode, has_enrolled: bool) -> (AgentBuilder, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("enrolled");
    if has_enrolled {
        fs::write(&path, "x1@bb 2026-11-29\n").expect("written");
    }
    let identity = Identity::generate().expect("randomness");
    (ours("x1@bb", node.address).identity(identity).enrolment(EnrolmentFile::new(path)), folder)
}

/// Ends the node, which has come to no harm. Returns what it was sent, in order and without repetitions.
async fn ended(node: EmulatedNode) -> Vec<String> {
    node.fence().await;
    let mut received = node.all("R ");
    assert_eq!(received.pop().as_deref(), Some("PDnobody@bb"), "the fence");
    // On a busy machine, an answer may take longer than the time between two tries.
    received.dedup();
    assert!(!received.iter().any(|message| message.starts_with("PK")), "{received:?}");
    node.end().await;
    received
}

#[tokio::test]
async fn an_enrolled_user_is_registered_by_a_node_of_l_and_told_that_nothing_was_proved() {
    let node = peer(L).await;
    let (builder, _folder) = user_with_key(&node, true);
    let (agent, mut events) = builder.start().await.expect("registered");
    let event = soon(events.next()).await;
    assert!(
        matches!(event, Some(Event::Unproved { since }) if since.to_string() == "2026-11-29"),
        "{event:?}"
    );
    assert!(node.address_of("x1").await.is_some());
    soon(agent.shutdown()).await.expect("deregistered");
    assert_eq!(node.address_of("x1").await, None);
    assert_eq!(ended(node).await, [format!("PR{ASK}"), format!("PD{ASK}")]);
}

#[tokio::test]
async fn an_enrolled_user_is_refused_by_a_node_of_s_in_words() {
    let node = peer(S).await;
    let (builder, _folder) = user_with_key(&node, true);
    let error = soon(builder.start()).await.expect_err("RR1");
    assert!(matches!(error, StartError::NotAdmitted), "{error:?}");
    assert_eq!(error.to_string(), "no such user at its node, or the node does not know this agent's key");
    assert_eq!(ended(node).await, [format!("PR{ASK}")]);
}

/// A user with a key that has never proved anything. S refuses the full form, and is asked for a challenge
/// once.
#[tokio::test]
async fn a_user_with_a_key_who_has_not_enrolled_proves_nothing_either() {
    let node = peer(L).await;
    let (builder, _folder) = user_with_key(&node, false);
    let (agent, _events) = builder.start().await.expect("registered");
    soon(agent.shutdown()).await.expect("deregistered");
    assert_eq!(ended(node).await, ["PRx1@bb", "PDx1@bb"]);

    let node = peer(S).await;
    let (builder, _folder) = user_with_key(&node, false);
    let error = soon(builder.start()).await.expect_err("RR1");
    assert!(matches!(error, StartError::NotAdmitted), "{error:?}");
    assert_eq!(ended(node).await, ["PRx1@bb".to_owned(), format!("PR{ASK}")]);
}

/// The bare form, which S wants, leaves nothing to prove, so nothing is asked.
#[tokio::test]
async fn the_bare_form_asks_for_no_challenge() {
    let node = peer(S).await;
    let (builder, _folder) = user_with_key(&node, true);
    let (agent, _events) = builder.bare_user(true).start().await.expect("registered");
    soon(agent.shutdown()).await.expect("deregistered");
    assert_eq!(ended(node).await, ["PRx1", "PDx1"]);
}

/// A node of L registers the sender of an enrolment, which is taken back.
#[tokio::test]
async fn an_enrolment_fails_in_words_and_registers_nobody() {
    for theirs in BOTH {
        let node = peer(theirs).await;
        let (builder, _folder) = user_with_key(&node, false);
        let error =
            soon(builder.enrol("KQ7M-2XTN-9D4V-W3RH".parse().expect("a code"))).await.expect_err("no key");
        assert!(is_expected(theirs, &error), "{theirs:?}: {error:?}");
        assert_eq!(node.address_of("x1").await, None);
        let sent = ended(node).await;
        assert!(sent[0].starts_with("PRx1@bb:E"), "{sent:?}");
        let expected: &[&str] = if theirs == L { &["PDx1@bb"] } else { &[] };
        assert_eq!(sent[1..], *expected);
    }
}

fn is_expected(theirs: Program, error: &EnrolError) -> bool {
    match theirs {
        L => matches!(error, EnrolError::NotSupported),
        S => matches!(error, EnrolError::NotTaken),
    }
}
