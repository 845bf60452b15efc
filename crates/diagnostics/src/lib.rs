//! The diagnostics of the two programs: which ones are shown, in which format, and never with text that
//! hides.
//!
//! This crate is a part of the programs `lumi-node` and `mi-agent`, and of no use to a library: libraries
//! emit events and know no subscriber. It knows nothing of settings files, nodes or agents. PLUMI messages
//! are not diagnostics; they go to the log of the crate `message-log`, and [`filter`] keeps them out of here.
//!
//! A thread writes the diagnostics, so that nothing waits for the reader of stderr, or for a journal that
//! hangs. Up to 1 MiB is queued; anything beyond that is lost and [counted](lost). A program calls [`drain`]
//! at its end.
//!
//! ```
//! use diagnostics::{Level, filter, text};
//! use tracing_subscriber::layer::{Layer, SubscriberExt};
//!
//! let level = Level::from_flags(1, 0).unwrap_or_default();
//! let layer = text().with_filter(filter(level, Some("off,lumi_dns=debug"))?);
//! let subscriber = tracing_subscriber::registry().with(layer);
//! # drop(subscriber);
//! # Ok::<(), diagnostics::FilterError>(())
//! ```

mod escaped;
mod filter;
mod format;
mod journal;
mod level;

pub use escaped::{Escaped, escaped};
pub use filter::{FilterError, filter, rust_log};
pub use format::{Format, drain, layer, lost, print_by, text};
pub use level::Level;
