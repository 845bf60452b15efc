//! A test kit for programs that embed a node or an agent of this workspace.
//!
//! - [`network`] has a node on a free port of loopback, in the process of the test, with agents of its users.
//! - [`wire`] has a network in memory. It connects the state machines of nodes, agents and conversations, and
//!   its clock moves only when the test says so. It needs no sockets and never sleeps.
//! - [`conversation`] has the sides of a conversation for tests that break writes, reads or the connection.
//! - [`emulators`] has L and S, the two deployed programs that speak these protocols (protocol.md §7). They
//!   are state machines too, and [`emulators::sockets`] runs them on sockets. One that something has ended
//!   fails the test.
//!
//! The kit is a dev-dependency by path, and is not published. It panics where a test uses it wrongly. None of
//! its async functions is cancel safe: a test that gives one up has failed.
//!
//! A test of a bot needs a node, the bot, and a caller:
//!
//! ```
//! use lumi_testkit::network::TestNode;
//! use mi_agent_core::Event;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = TestNode::alone("bb.com", &["laura", "bot"]).await;
//! let (bot, mut events) = node.agent("bot").start().await?;
//! let (laura, _) = node.agent("laura").start().await?;
//!
//! let (mut talk, incoming) = tokio::try_join!(
//!     async { laura.call(bot.address()).await.map_err(|error| error.to_string()) },
//!     async { events.next().await.ok_or("the bot has ended".to_owned()) },
//! )?;
//! assert!(matches!(incoming, Event::Incoming(_)));
//! talk.send("hola").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Time passes on a wire without waiting for it:
//!
//! ```
//! use std::time::Duration;
//!
//! use lumi_testkit::wire::Wire;
//! use mi_agent_core::{LumiAnswer, LumiRequest};
//! use plumi_proto::RegisterCode;
//!
//! let mut wire = Wire::new();
//! wire.add_node("10.0.0.2:3344", "bb.com\nlaura\n");
//! wire.add_agent("10.0.0.1:4500", "laura@bb.com", "10.0.0.1:4456");
//! let request = wire.request("10.0.0.1:4500", LumiRequest::Register);
//! assert_eq!(wire.answer("10.0.0.1:4500", request), Some(LumiAnswer::Register(RegisterCode::Registered)));
//! wire.pass(Duration::from_secs(60));
//! assert_eq!(wire.log("bb.com").last().map(String::as_str), Some("E: 10.0.0.1:UDP:4500, RR0, 3"), "a refresh");
//! ```

use std::time::Duration;

pub mod conversation;
pub mod emulators;
pub mod network;
pub mod wire;

/// The time that a test waits for something that has to happen: many times what a busy machine needs.
///
/// Only a failing test waits that long. No test may expect something to take less.
pub const DEADLINE: Duration = Duration::from_secs(60);
