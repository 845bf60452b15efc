//! The answer to "where is a user?", kept so that it survives a restart of the node.
mod binding;
#[cfg(feature = "sqlite")]
mod error;

pub use binding::{BindingChange, NO_AGENT, SaveId, Stamp, StoredBinding, UnixMillis};
#[cfg(feature = "sqlite")]
pub use error::{NotSaved, OpenError};
