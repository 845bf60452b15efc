//! What can be set: by the command line, by the settings file, or by neither.

pub(crate) mod chat;
pub(crate) mod given;
pub(crate) mod load;
pub(crate) mod settings;
pub(crate) mod values;
