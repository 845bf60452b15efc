//! The exit codes that scripts rely on.

use std::process::ExitCode;

use mi_agent_core::{CallError, DeregisterError, EnrolError, LocateError, StartError};

/// The program did what it was asked to do.
pub(crate) const WELL: u8 = 0;
/// Any failure without a code of its own.
pub(crate) const FAILURE: u8 = 1;
/// The command line is wrong; clap uses the same code.
pub(crate) const MISUSE: u8 = 2;
/// The node does not know the user, the agent's own one or the one to call, or the key of the own one.
const NO_SUCH_USER: u8 = 3;
/// The user to call is offline.
const OFFLINE: u8 = 4;
/// The node of the domain was not found.
const NO_DOMAIN: u8 = 5;
/// A node does not answer, or the agent of the user to call.
const NO_ANSWER: u8 = 6;
/// The user to call is busy, or does not accept the call.
pub(crate) const BUSY: u8 = 7;

/// The conversation would not be as secure as it must be.
pub(crate) const NOT_SECURE: u8 = 8;
/// A key is not the one that is known: the peer's, or the own one at the peer.
pub(crate) const KEY_CHANGED: u8 = 9;

/// Returns the exit code for a registration that failed.
pub(crate) fn of_start(error: &StartError) -> ExitCode {
    ExitCode::from(match error {
        StartError::NoSuchUser | StartError::NotAdmitted | StartError::KeyNotKnown => NO_SUCH_USER,
        StartError::Domain { .. } => NO_DOMAIN,
        StartError::NoAnswer { .. } => NO_ANSWER,
        _ => FAILURE,
    })
}

/// Returns the exit code for an enrolment that failed.
pub(crate) fn of_enrolment(error: &EnrolError) -> ExitCode {
    match error {
        EnrolError::NotTaken => ExitCode::from(NO_SUCH_USER),
        EnrolError::Node(error) => of_start(error),
        _ => ExitCode::from(FAILURE),
    }
}

/// Returns the exit code for a call that failed, in a program that makes only this call.
pub(crate) fn of_call(error: &CallError) -> ExitCode {
    ExitCode::from(match error {
        CallError::Locate(LocateError::NoSuchUser) => NO_SUCH_USER,
        CallError::Locate(LocateError::Offline) => OFFLINE,
        CallError::Locate(LocateError::NoAnswer { .. } | LocateError::PeerSilent { .. }) => NO_ANSWER,
        CallError::Locate(LocateError::Busy) | CallError::NotAccepted { .. } => BUSY,
        CallError::NotSecure(_) => NOT_SECURE,
        CallError::KeyChanged { .. } => KEY_CHANGED,
        CallError::Yourself => MISUSE,
        _ => FAILURE,
    })
}

/// Returns the exit code for a deregistration that failed.
pub(crate) fn of_deregistration(error: &DeregisterError) -> ExitCode {
    ExitCode::from(match error {
        DeregisterError::NoSuchUser => NO_SUCH_USER,
        DeregisterError::NoAnswer { .. } => NO_ANSWER,
        _ => FAILURE,
    })
}
