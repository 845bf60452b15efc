//! The lines that `mi-agent send` sends: of the command line or of stdin.

use std::vec;

use crate::typed_lines::TypedLines;

/// The lines to send.
pub(super) enum Source {
    Text(vec::IntoIter<String>),
    Stdin(TypedLines),
}

impl Source {
    /// Returns the next line. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<String> {
        match self {
            Self::Text(lines) => lines.next(),
            Self::Stdin(input) => input.next().await,
        }
    }

    /// Returns the reason why there are no more lines, if it is not their end.
    pub(super) fn failure(&self) -> Option<String> {
        match self {
            Self::Text(_) => None,
            Self::Stdin(input) => input.failure().map(|error| format!("stdin cannot be read: {error}")),
        }
    }
}
