//! The node's options: one table for the command line and the settings file, and the settings in effect.

pub(crate) mod given;
pub(crate) mod load;
pub(crate) mod log_size;
pub(crate) mod settings;
pub(crate) mod values;
