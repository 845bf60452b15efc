//! The node's options: one table for the command line and the settings file, their values, and the settings in effect.

pub(crate) mod keys;
pub(crate) mod log_size;
pub(crate) mod settings;
pub(crate) mod values;
