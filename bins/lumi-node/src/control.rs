//! The way into a running node from a shell: `lumi-node ctl` over a Unix socket.
//!
//! ```text
//! request = JSON of a Command, "\n"                        {"register":{"user":"laura"}}
//! answer  = "done " length "\n" text | "refused " length "\n" reason
//! length  = decimal                                        of what follows, in bytes
//! ```
//!
//! A connection is one request and its answer, after which the node closes it.

pub(crate) mod ctl;
pub(crate) mod server;
pub(crate) mod socket;

/// The most bytes of a request: many times what a command needs.
const MAX_REQUEST: u64 = 4096;

/// The most bytes of an answer that is read: a list of some million users.
const MAX_ANSWER: u64 = 1 << 30;

/// `lumi-node.sock` in `XDG_RUNTIME_DIR`.
const OF_USER: &str = "lumi-node.sock";

/// Where the socket of the packaged service is.
const OF_SERVICE: &str = "/run/lumi-node/ctl.sock";
