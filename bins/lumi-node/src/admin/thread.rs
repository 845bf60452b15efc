//! All that goes on beside the node's task: the control socket, reloads, the watchdog. It has a thread and a runtime of
//! its own, so that a disk that is slow or a list of a million users keeps nobody from the node.

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

/// What is to go on.
pub(crate) struct AdminThread {
    pub(crate) operator: Operator,
    pub(crate) control: Option<UnixListener>,
    pub(crate) service: Service,
    pub(crate) hang_ups: HangUps,
    /// Notified when the node is to end.
    pub(crate) exit: Arc<Notify>,
}

impl AdminThread {
    /// Starts all of it, and returns the runtime that it runs in, which lasts as long as the process.
    ///
    /// # Errors
    /// There can be no more threads.
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
                    tracing::error!("the control socket is lost: {}", reason::in_one_line(&error));
                }
            });
        }
        tokio::spawn(service.watch(administrator));
        hang_ups.heed(&operator).await;
        exit.notify_one();
        future::pending::<()>().await;
    }
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
