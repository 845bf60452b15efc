//! What the system tells the node: SIGINT and SIGTERM to end, SIGHUP to read the
//! roster again and to reopen the message log.

use std::io::{self, IsTerminal};

use lumi_node_core::Administrator;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::logging::Logs;
use crate::reason;

/// The signals that the node listens to, from [`Signals::listen`] on.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    has_terminal: bool,
}

impl Signals {
    /// Must run within the runtime of the node.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            has_terminal: io::stdin().is_terminal(),
        })
    }

    /// Ready when one of them tells the node to end. Until then, `administrator` reloads and `logs` are reopened
    /// whenever one says so.
    pub(crate) async fn end(self, administrator: Administrator, logs: Logs) {
        let Self { mut interrupt, mut terminate, hang_up, has_terminal } = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = terminal_lost(hang_up, has_terminal, administrator, logs) => {}
        }
    }
}

/// SIGHUP comes, too, to who has lost its terminal: a window was closed, and the node ends with it. Each other one
/// is a reload.
async fn terminal_lost(mut hang_up: Signal, has_terminal: bool, administrator: Administrator, logs: Logs) {
    loop {
        hang_up.recv().await;
        if has_terminal && !io::stdin().is_terminal() {
            return;
        }
        match logs.reopen() {
            Ok(reopened) => tracing::info!(lost_lines = logs.lost_lines(), "{reopened}"),
            Err(error) => tracing::error!("{}", reason::in_one_line(&error)),
        }
        match administrator.reload(None).await {
            Ok(users) => tracing::info!(users, "reloaded the roster"),
            Err(error) => tracing::error!("cannot reload: {}", reason::in_one_line(&error.into())),
        }
    }
}
