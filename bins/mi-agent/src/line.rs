//! Line mode, for scripts, pipes and screen readers.

pub(crate) mod run;
mod state;
