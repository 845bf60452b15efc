//! The exit codes that scripts rely on.

use std::process::ExitCode;

use mi_agent_core::{DeregisterError, StartError};

/// Ended well.
pub(crate) const WELL: u8 = 0;
/// A failure that has no code of its own.
pub(crate) const FAILURE: u8 = 1;
/// The node has no such user.
const NO_SUCH_USER: u8 = 3;
/// The domain's node was not found.
const NO_DOMAIN: u8 = 5;
/// The node does not answer.
const NO_ANSWER: u8 = 6;

/// What a registration that failed exits with.
pub(crate) fn of_start(error: &StartError) -> ExitCode {
    ExitCode::from(match error {
        StartError::NoSuchUser => NO_SUCH_USER,
        StartError::Domain { .. } => NO_DOMAIN,
        StartError::NoAnswer { .. } => NO_ANSWER,
        _ => FAILURE,
    })
}

/// What a deregistration that failed exits with.
pub(crate) fn of_deregistration(error: &DeregisterError) -> ExitCode {
    ExitCode::from(match error {
        DeregisterError::NoSuchUser => NO_SUCH_USER,
        DeregisterError::NoAnswer { .. } => NO_ANSWER,
        _ => FAILURE,
    })
}
