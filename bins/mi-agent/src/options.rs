//! The settings: options of the command line, keys of the settings file, defaults.

pub(crate) mod chat;
pub(crate) mod given;
pub(crate) mod load;
pub(crate) mod settings;
pub(crate) mod values;
