//! PLUMI messages as arrows between parties, as one of them saw it: the node or the agent that wrote the
//! message log.
//!
//! This crate never opens a socket or a file, never reads a clock and decides nothing about messages. A
//! [`Ladder`] takes the entries of one message log, one by one, and makes parties and arrows of them, with a
//! note where the traffic shows something; [`Picture`] draws them for a terminal, [`mermaid`] as a diagram
//! for a report. [`Watch`] keeps what has just passed at a running node, for a viewer that begins to look.
//!
//! The texts of parties and arrows are fit to be shown, whatever is in a message: they are escaped as the log
//! is.
//!
//! ```
//! use message_ladder::Ladder;
//! use message_log::Entry;
//!
//! let mut ladder = Ladder::new("bb.com", 500);
//! for line in ["R: 84.88.154.3:UDP:4500, PRlaura@bb.com, 14", "E: 84.88.154.3:UDP:4500, RR0, 3"] {
//!     ladder.push(None, &Entry::parse("bb.com", line)?);
//! }
//! let columns: Vec<_> = ladder.parties().map(|party| party.name.clone()).collect();
//! assert_eq!(columns, ["laura@bb.com", "bb.com"]);
//! let answer = ladder.arrows().last().expect("two were pushed");
//! assert_eq!((answer.kind.as_str(), answer.words.as_str()), ("RR0", "registered"));
//! # Ok::<(), message_log::ParseError>(())
//! ```

mod arrow;
mod column;
mod diagram;
mod ladder;
mod line;
mod notes;
mod picture;
mod text;
mod watch;

pub use arrow::{Arrow, CHECK_USER, Change, MALFORMED, Party, PartyId, Role, SHORT_CHECK_USER};
pub use diagram::mermaid;
pub use ladder::Ladder;
pub use line::{Line, Look, Span};
pub use picture::{Picture, Telling};
pub use watch::{Entries, Kept, MAX_NEWS, News, Watch, Watcher};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
