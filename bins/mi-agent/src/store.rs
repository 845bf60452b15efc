//! What is kept of a user on the disk.

pub(crate) mod contacts;
mod file;
pub(crate) mod folder;
pub(crate) mod history;
mod json;
pub(crate) mod keeper;
pub(crate) mod rules;
pub(crate) mod user_data;
