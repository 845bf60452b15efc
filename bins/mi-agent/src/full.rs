//! The full screen: its state, the view that draws the state, and the loop between them, terminal and
//! session.

pub(crate) mod app;
mod editor;
mod key_help;
mod pane;
pub(crate) mod protection;
mod protocol;
pub(crate) mod run;
mod tab;
pub(crate) mod theme;
mod view;

#[cfg(test)]
mod tests {
    pub(super) mod fixtures;
}
