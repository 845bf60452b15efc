//! Line mode, for scripts, pipes and screen readers.

pub(crate) mod input;
pub(crate) mod refusals;
pub(crate) mod run;
pub(crate) mod screen;
pub(crate) mod session;
