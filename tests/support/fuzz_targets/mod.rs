//! The laws that fuzzing tries to break. Each body takes any bytes, and panics if a law does not hold.
//!
//! `crates/fuzz` runs them under libFuzzer; the test `corpora` runs them on every input that is kept there.
//! An input of a byte format is that format; one of a sequence is read by [`arbitrary::Unstructured`], so
//! that every sequence of bytes is one, and a changed byte a change of one step.

mod agent;
mod callers;
mod first_bytes;
mod identity;
mod invitations;
mod keys;
mod known_peers;
mod line_limit;
mod log_line;
mod node;
mod outbox;
mod plumi;
mod pmi;
mod pmi2;
mod roster;
mod safe_text;
mod settings;

pub use agent::agent;
pub use callers::callers;
pub use first_bytes::first_bytes;
pub use identity::identity;
pub use invitations::invitations;
pub use keys::keys;
pub use known_peers::known_peers;
pub use line_limit::line_limit;
pub use log_line::log_line;
pub use node::node;
pub use outbox::{outbox, outbox_of_seed};
pub use plumi::plumi;
pub use pmi::pmi;
pub use pmi2::pmi2;
pub use roster::roster;
pub use safe_text::safe_text;
pub use settings::settings;

/// The body of a target. Panics if a law does not hold for these bytes.
pub type Body = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Body); 17] = [
    ("agent", agent),
    ("callers", callers),
    ("first_bytes", first_bytes),
    ("identity", identity),
    ("invitations", invitations),
    ("keys", keys),
    ("known_peers", known_peers),
    ("line_limit", line_limit),
    ("log_line", log_line),
    ("node", node),
    ("outbox", outbox),
    ("plumi", plumi),
    ("pmi", pmi),
    ("pmi2", pmi2),
    ("roster", roster),
    ("safe_text", safe_text),
    ("settings", settings),
];
