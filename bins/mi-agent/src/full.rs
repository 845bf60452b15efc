//! The full screen: a state, a view that draws it, and the loop between them and the world.

pub(crate) mod app;
mod editor;
mod keys;
mod pane;
mod protocol;
pub(crate) mod run;
mod tab;
#[cfg(test)]
mod testing;
pub(crate) mod theme;
mod view;
