//! An agent at work, for every front end.

pub(crate) mod refusals;
