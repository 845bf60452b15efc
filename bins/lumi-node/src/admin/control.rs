//! The way into a running node from a shell: `lumi-node ctl` over a Unix socket.
//!
//! ```text
//! request = JSON of a Command, "\n"                        {"register":{"user":"laura"}}
//! answer  = "done " length "\n" text | "refused " length "\n" reason
//! length  = decimal                                        of what follows, in bytes
//!
//! watch   = `{"watch":{}}`, "\n"                            what passes at the node, instead of a request
//! stream  = "stream\n" *(JSON, "\n")                       {"owner":"bb.com"}, then of each message
//!                                                          {"number":1,"at":1795624920123,"line":"R: …"}
//!                                                          or of some that passed too fast {"missed":3}
//! ```
//!
//! A connection is one request and its answer, after which the node closes it; or a stream, until one side closes it,
//! be it for what it sends alone: whoever watches keeps that open. It begins with the last messages; `line` is that of the
//! message log, `at` is in milliseconds since 1970 in UTC.

pub(crate) mod client;
pub(crate) mod ctl;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod stream;

/// The most bytes of a request: many times what a command needs.
const MAX_REQUEST: u64 = 4096;

/// The most bytes of an answer that is read: a list of some million users.
const MAX_ANSWER: u64 = 1 << 30;
