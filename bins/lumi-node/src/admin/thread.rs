//! The thread for everything beside the node's task: control socket, reloads, watchdog. It has its own
//! runtime, so that a slow disk or a list of a million users never blocks the node.

use std::future;
use std::io::{self, IsTerminal};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use lumi_node_core::AdminError;
use tokio::runtime::{self, Handle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::command::{Command, LogCommand};
use super::control;
use super::operator::Operator;
use crate::reason;
use crate::service::Service;

/// The parts that run in the thread.
pub(crate) struct AdminThread {
    pub(crate) operator: Operator,
    pub(crate) control: Option<UnixListener>,
    pub(crate) service: Service,
    pub(crate) hang_ups: HangUps,
    /// Notified when the node is to end.
    pub(crate) exit: Arc<Notify>,
}

impl AdminThread {
    /// Starts the thread, and returns its runtime, which lasts as long as the process.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(crate) fn start(self) -> anyhow::Result<Handle> {
        let failed = "cannot start the administration";
        let runtime = runtime::Builder::new_current_thread().enable_all().build().context(failed)?;
        let handle = runtime.handle().clone();
        let run = move || runtime.block_on(self.run());
        thread::Builder::new().name("administration".into()).spawn(run).context(failed)?;
        Ok(handle)
    }

    async fn run(self) {
        let Self { operator, control, service, hang_ups, exit } = self;
        let administrator = operator.administrator.clone();
        if let Some(listener) = control {
            let served = control::server::serve(listener, operator.clone());
            tokio::spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(
                        "the control socket is lost: {}; `lumi-node ctl` reaches this node again after a restart",
                        reason::in_one_line(&error)
                    );
                }
            });
        }
        tokio::spawn(service.watch(administrator));
        hang_ups.heed(&operator).await;
        exit.notify_one();
        future::pending::<()>().await;
    }
}

/// The SIGHUP signals since [`HangUps::listen`].
#[derive(Debug)]
pub(crate) struct HangUps {
    signal: Signal,
    had_terminal: bool,
}

impl HangUps {
    /// Begins to listen. Must run within a runtime.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { signal: signal(SignalKind::hangup())?, had_terminal: io::stdin().is_terminal() })
    }

    /// Has `operator` reload and begin a new message log at each signal. Returns when the terminal is lost:
    /// somebody closed the window, and the node ends with it.
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
                    // Nobody else receives this error.
                    Err(error) => tracing::error!("{}", reason::in_one_line(&error)),
                }
            }
        }
    }
}

/// Whether the command failed because the node has ended, which is not an error.
fn has_ended(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(AdminError::NodeGone)))
}
