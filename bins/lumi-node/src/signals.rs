//! What the system tells the node: SIGINT and SIGTERM to end, SIGHUP to read roster and settings again.

use std::io::{self, IsTerminal};

use lumi_node_core::AdminError;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::command::{Command, LogCommand};
use crate::admin::operator::Operator;
use crate::reason;

/// The signals that end the node, or one who watches it, heard from [`EndSignals::listen`] on.
#[derive(Debug)]
pub(crate) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
    /// Of one who watches.
    hang_up: Option<Signal>,
}

impl EndSignals {
    /// Must run within a runtime.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn listen() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())?, hang_up: None })
    }

    /// With SIGHUP too, at which a terminal is to be given back as well. Must run within a runtime.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn listen_at_a_terminal() -> io::Result<Self> {
        Ok(Self { hang_up: Some(signal(SignalKind::hangup())?), ..Self::listen()? })
    }

    /// Ready when one of them has come. Cancel safe.
    pub(crate) async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(()) = next(&mut self.hang_up) => {}
        }
    }
}

async fn next(signal: &mut Option<Signal>) -> Option<()> {
    signal.as_mut()?.recv().await
}

/// SIGHUP, heard from [`HangUps::listen`] on.
#[derive(Debug)]
pub(crate) struct HangUps {
    signal: Signal,
    had_terminal: bool,
}

impl HangUps {
    /// Must run within a runtime.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { signal: signal(SignalKind::hangup())?, had_terminal: io::stdin().is_terminal() })
    }

    /// Has `operator` reload and begin the message log anew at each of them. Ready when one says that the terminal is
    /// lost: a window was closed, and the node ends with it.
    pub(crate) async fn heed(mut self, operator: &Operator) {
        loop {
            self.signal.recv().await;
            if self.had_terminal && !io::stdin().is_terminal() {
                return;
            }
            for command in [Command::Log(LogCommand::Reopen), Command::Reload {}] {
                match operator.carry_out(command).await {
                    Ok(_) => {}
                    Err(error) if has_ended(&error) => return,
                    // There is nobody else to tell.
                    Err(error) => tracing::error!("{}", reason::in_one_line(&error)),
                }
            }
        }
    }
}

/// Whether it is the end of the node that stood in the way, which is no failure.
fn has_ended(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(AdminError::NodeGone)))
}
