//! The full screen: a state, a view that draws it, and the loop between them and the world.

pub(crate) mod app;
mod editor;
mod key_help;
mod pane;
mod protocol;
pub(crate) mod run;
mod tab;
pub(crate) mod theme;
mod view;

#[cfg(test)]
mod tests {
    pub(super) mod fixtures;
}
