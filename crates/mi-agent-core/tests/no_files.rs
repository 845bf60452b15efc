//! A program that may open no more files. The limit is that of the process, so this test has one of its own.

use mi_agent_core::{Agent, NodeAddress, StartError};
use rustix::process::{Resource, getrlimit, setrlimit};

#[tokio::test]
async fn an_agent_without_a_socket_does_not_start() {
    let node: NodeAddress = "127.0.0.1:3344".parse().expect("an address");
    let builder = Agent::builder("laura@bb.com".parse().expect("an address")).node(node);
    let before = getrlimit(Resource::Nofile);
    let mut none = before;
    none.current = Some(0);
    setrlimit(Resource::Nofile, none).expect("it may be lowered");
    let started = builder.start().await;
    setrlimit(Resource::Nofile, before).expect("it may be raised again");
    let error = started.expect_err("no socket");
    assert!(matches!(error, StartError::Socket(_)), "{error:?}");
    assert_eq!(error.to_string(), "cannot open a socket");
}
