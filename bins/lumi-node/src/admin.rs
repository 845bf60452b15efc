//! Administration of a running node: commands from the console, the control socket and signals, and their
//! execution.

pub(crate) mod command;
pub(crate) mod console;
pub(crate) mod control;
pub(crate) mod invitation;
pub(crate) mod keys;
pub(crate) mod operator;
pub(crate) mod reload;
pub(crate) mod report;
pub(crate) mod thread;
pub(crate) mod typed_name;
