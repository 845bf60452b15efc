//! How a chat is, as the command line says it.

use clap::Args;

/// How a chat is.
#[derive(Debug, Args)]
pub(crate) struct ChatOptions {
    /// Line mode without hints; chosen by itself when stdin or stdout is no terminal
    #[arg(long)]
    pub(crate) plain: bool,

    /// Keep nothing of what is said on the disk
    #[arg(long)]
    pub(crate) no_history: bool,

    /// Never ring the terminal's bell
    #[arg(long)]
    pub(crate) no_bell: bool,
}
