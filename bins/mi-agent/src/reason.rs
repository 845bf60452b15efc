//! Errors in words.

use std::error::Error;
use std::fmt;

/// An error with its causes: `cannot listen for conversations on 0.0.0.0:22: Permission denied`.
pub(crate) struct Reason<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use mi_agent_core::{ConversationError, SayError, TextError};

    use super::*;

    #[test]
    fn each_cause_is_named_once() {
        let lost = ConversationError::Lost(io::Error::from_raw_os_error(104));
        assert_eq!(Reason(&lost).to_string(), "connection lost: Connection reset by peer (os error 104)");
        let said = SayError::Text(TextError::Empty);
        assert_eq!(Reason(&said).to_string(), "the line is empty");
    }
}
