//! For programs: one text is sent, or events are told and commands taken.

pub(crate) mod commands;
pub(crate) mod listen;
pub(crate) mod output;
pub(crate) mod progress;

pub(crate) mod send;
pub(crate) mod session;
