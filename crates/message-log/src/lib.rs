//! The message log: one line for every PLUMI message that an agent or a node sends or receives.
//!
//! This crate never opens a socket, and does not know what a message means. The owner of a socket calls
//! [`sent`] and [`received`]. A program that keeps a log adds a [`MessageLayer`] to its subscriber; without
//! one, these calls do nothing. Diagnostics have other targets, which this layer ignores. A caller that
//! handles many messages at once logs them in a [`Batch`], which writes their lines together.
//!
//! A program that wants the messages themselves, and not a log, gives the node or the agent a tap instead:
//! see [`traffic()`]. An [`Entry`] can be made of what a tap captures.
//!
//! The layer and everything that belongs to it are behind the feature `layer`, which is on by default.
//! Libraries that only log do without it.
//!
//! ```
//! use message_log::{LineWriter, MessageLayer};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join(message_log::node_log_name("bb.com"));
//! let log = LineWriter::open(&path)?
//!     .max_size(Some(message_log::DEFAULT_MAX_SIZE))
//!     .on_failure(|failure| tracing::warn!("{failure}"));
//! let subscriber = tracing_subscriber::registry().with(MessageLayer::new(log));
//! tracing::subscriber::with_default(subscriber, || {
//!     message_log::received("bb.com", "84.88.154.3:4500".parse()?, b"PRmaria@bb.com");
//!     message_log::sent("bb.com", "84.88.154.3:4500".parse()?, b"RR0");
//! #   Ok::<(), std::net::AddrParseError>(())
//! })?;
//! assert_eq!(
//!     std::fs::read_to_string(&path)?,
//!     "R: 84.88.154.3:UDP:4500, PRmaria@bb.com, 14\nE: 84.88.154.3:UDP:4500, RR0, 3\n",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The lines (protocol.md §6):
//!
//! ```text
//! line      = ("E" | "R") ": " ip ":UDP:" port ", " message ", " length
//!           | "R: " ip ":UDP:" port ", ..." number " more" [" of " number " addresses" [" or more"]] ", 0"
//!                                               messages that were left out by a LineLimit
//!                                               sent | received; address of the remote side
//! message   = *(character | "\x" byte)          at most 100 bytes
//!           | *(character | "\x" byte) "..."    the first 100 bytes of a longer datagram
//! character = printable, as it is               also a backslash
//! byte      = 2 lower-case hexadecimal digits   of controls, invisible characters and invalid UTF-8
//! length    = decimal                           of the whole datagram, in bytes
//! ```

#[cfg(feature = "layer")]
mod background;
#[cfg(feature = "layer")]
mod destination;
#[cfg(feature = "entries")]
mod entry;
mod event;
#[cfg(feature = "layer")]
mod failure;
#[cfg(feature = "layer")]
mod file;
#[cfg(feature = "layer")]
mod layer;
mod line_limit;
#[cfg(feature = "layer")]
mod line_writer;
#[cfg(feature = "layer")]
mod output;
#[cfg(feature = "entries")]
mod parse;
#[cfg(feature = "entries")]
mod printable;
mod progress;
#[cfg(feature = "layer")]
mod recorder;
#[cfg(feature = "layer")]
mod rotation;
#[cfg(feature = "entries")]
mod sink;
mod traffic;
mod visible;

#[cfg(feature = "layer")]
pub use background::Reopening;
#[cfg(feature = "entries")]
pub use entry::Entry;
pub use event::{Batch, Direction, MAX_KEPT, RemoteAddress, TARGET, is_message, received, sent};
#[cfg(feature = "layer")]
pub use failure::{LogFailure, REPORT_INTERVAL};
#[cfg(feature = "layer")]
pub use file::{agent_log_name, log_owner, node_log_name, open_log};
#[cfg(feature = "layer")]
pub use layer::{MessageLayer, SinkHandle};
pub use line_limit::{LeftOut, LineLimit, MAX_IN_ALL, MAX_OF_SOURCE, MAX_SUMMARIES};
#[cfg(feature = "layer")]
pub use line_writer::LineWriter;
#[cfg(feature = "entries")]
pub use parse::ParseError;
#[cfg(feature = "entries")]
pub use printable::{Printable, printable};
pub use progress::LogProgress;
#[cfg(feature = "layer")]
pub use rotation::{DEFAULT_MAX_SIZE, KEPT};
#[cfg(feature = "entries")]
pub use sink::Sink;
pub use traffic::{
    Content, FrameKind, Handshake, MAX_TRAFFIC, MAX_TRAFFIC_BYTES, Passed, Traffic, TrafficTap, WeakTap,
    traffic,
};
pub use visible::is_visible;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
