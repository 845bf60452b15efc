//! The commands for programs: `send` says one text, and `listen` reports events and takes orders.

mod attempts;
pub(crate) mod commands;
mod company;
pub(crate) mod listen;
pub(crate) mod listener;
pub(crate) mod outbox;
mod progress;
pub(crate) mod send;
mod source;
