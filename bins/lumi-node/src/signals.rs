//! The signals that end the program.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end a node or a watcher, since [`EndSignals::listen`].
#[derive(Debug)]
pub(crate) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
    /// Only watchers listen to SIGHUP.
    hang_up: Option<Signal>,
}

impl EndSignals {
    /// Begins to listen to SIGINT and SIGTERM. Must run within a runtime.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn listen() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())?, hang_up: None })
    }

    /// Also listens to SIGHUP, at which a program must restore the terminal. Must run within a runtime.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn listen_at_a_terminal() -> io::Result<Self> {
        Ok(Self { hang_up: Some(signal(SignalKind::hangup())?), ..Self::listen()? })
    }

    /// Waits for one of the signals. Cancel safe.
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
