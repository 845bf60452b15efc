//! Words for reasons, which programs rely on.

use mi_agent_core::{CallError, LocateError, Refusal};

/// Returns a word for the failure of a call. Programs rely on these words.
pub(super) fn kind_of_call(error: &CallError) -> &'static str {
    match error {
        CallError::Locate(LocateError::Busy) => BUSY,
        CallError::Locate(LocateError::NoSuchUser) => "no-such-user",
        CallError::Locate(LocateError::Offline) => "offline",
        CallError::Locate(LocateError::NoAnswer { .. } | LocateError::PeerSilent { .. }) => "no-answer",
        CallError::NotAccepted { .. } => "not-accepted",
        CallError::Engaged => "engaged",
        CallError::Yourself => "yourself",
        CallError::NotSecure(_) => NOT_SECURE,
        CallError::KeyChanged { .. } => KEY_CHANGED,
        _ => "other",
    }
}

/// Returns a word for a refusal. Programs rely on these words.
pub(super) fn kind_of_refusal(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Busy => BUSY,
        Refusal::Blocked => "blocked",
        Refusal::NotAllowed => "not-allowed",
        Refusal::KeyChanged(_) => KEY_CHANGED,
        Refusal::NotSecure { .. } | Refusal::Unproved | Refusal::OwnKey => NOT_SECURE,
        _ => "other",
    }
}

pub(super) const BUSY: &str = "busy";
const NOT_SECURE: &str = "not-secure";
pub(super) const KEY_CHANGED: &str = "key-changed";
