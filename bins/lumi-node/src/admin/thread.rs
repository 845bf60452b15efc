//! All that goes on beside the node's task: the control socket, reloads, the watchdog. It has a thread and a runtime of
//! its own, so that a disk that is slow or a list of a million users keeps nobody from the node.

use std::future;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use tokio::runtime::{self, Handle};
use tokio::sync::Notify;

use super::control;
use super::operator::Operator;
use crate::reason;
use crate::service::Service;
use crate::signals::HangUps;

/// What is to go on.
pub(crate) struct Administration {
    pub(crate) operator: Operator,
    pub(crate) control: Option<UnixListener>,
    pub(crate) service: Service,
    pub(crate) hang_ups: HangUps,
    /// Notified when the node is to end.
    pub(crate) exit: Arc<Notify>,
}

impl Administration {
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
