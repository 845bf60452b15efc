//! The options that only a chat has.

use clap::Args;

use super::settings::Settings;

/// The flags of a chat, each for one value of a setting.
#[derive(Debug, Args)]
pub(crate) struct ChatOptions {
    /// Line mode without hints; chosen by itself when stdin or stdout is no terminal
    #[arg(long)]
    plain: bool,

    /// Keep nothing of what is said on the disk
    #[arg(long)]
    no_history: bool,

    /// Never ring the terminal's bell
    #[arg(long)]
    no_bell: bool,
}

impl ChatOptions {
    /// Writes the flags that were given over `settings`.
    pub(crate) fn write_over(&self, settings: &mut Settings) {
        settings.plain |= self.plain;
        settings.history &= !self.no_history;
        settings.bell &= !self.no_bell;
    }
}
