//! The control socket: `lumi-node ctl` and `lumi-node watch` reach a running node through this Unix socket.
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
//! A connection carries one request and its answer, and then the node closes it. Or it carries a stream,
//! until one side closes it. To close only the sending side ends the stream too, so a watcher keeps that side
//! open. A stream begins with the last messages. `line` is the line of the message log, `at` is the time in
//! milliseconds since 1970 in UTC.

pub(crate) mod client;
pub(crate) mod ctl;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod stream;

/// The maximum size of a request in bytes: many times what a command needs.
const MAX_REQUEST: u64 = 4096;

/// The maximum size of an answer in bytes: enough for a list of some million users.
const MAX_ANSWER: u64 = 1 << 30;
