//! The data of a user on disk: contacts, history, and rules for calls.

pub(crate) mod contacts;
mod file;
pub(crate) mod folder;
pub(crate) mod history;
pub(crate) mod json;
pub(crate) mod keeper;
pub(crate) mod lock;
pub(crate) mod outbox;
pub(crate) mod rules;
pub(crate) mod user_data;
