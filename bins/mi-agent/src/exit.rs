//! The exit codes that scripts rely on.

use std::process::ExitCode;

use mi_agent_core::{CallError, DeregisterError, LocateError, StartError};

/// Ended well.
pub(crate) const WELL: u8 = 0;
/// A failure that has no code of its own.
pub(crate) const FAILURE: u8 = 1;
/// Wrong options; clap exits with it, too.
pub(crate) const MISUSE: u8 = 2;
/// The node has no such user: the agent's own, or the one who is called.
const NO_SUCH_USER: u8 = 3;
/// The user who is called is offline.
const OFFLINE: u8 = 4;
/// The domain's node was not found.
const NO_DOMAIN: u8 = 5;
/// The node does not answer.
const NO_ANSWER: u8 = 6;
/// The user who is called is busy, or does not take the call.
pub(crate) const BUSY: u8 = 7;

/// What a registration that failed exits with.
pub(crate) fn of_start(error: &StartError) -> ExitCode {
    ExitCode::from(match error {
        StartError::NoSuchUser => NO_SUCH_USER,
        StartError::Domain { .. } => NO_DOMAIN,
        StartError::NoAnswer { .. } => NO_ANSWER,
        _ => FAILURE,
    })
}

/// What a call that failed exits with, where there is nothing else to do than this call.
pub(crate) fn of_call(error: &CallError) -> ExitCode {
    ExitCode::from(match error {
        CallError::Locate(LocateError::NoSuchUser) => NO_SUCH_USER,
        CallError::Locate(LocateError::Offline) => OFFLINE,
        CallError::Locate(LocateError::NoAnswer { .. }) => NO_ANSWER,
        CallError::Locate(LocateError::Busy) | CallError::NotAccepted { .. } => BUSY,
        CallError::Yourself => MISUSE,
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
