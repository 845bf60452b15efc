//! Being suspended and going on, as a shell has it (Ctrl-Z, `fg`).

use std::future;
use std::io;

use rustix::process::{Signal, getpgid, getpid, getppid, getsid, kill_process};
use tokio::signal::unix::{self, SignalKind, signal};

/// The signals that a shell stops and continues a program with.
#[derive(Debug)]
pub(crate) struct JobControl {
    stop: unix::Signal,
    go_on: unix::Signal,
}

/// What a shell, or somebody else, asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    ToStop,
    /// It was stopped, by a signal that nothing can be done about.
    ToGoOn,
}

impl JobControl {
    /// From now on SIGTSTP does not stop the program by itself: the terminal has to be given back first.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn listen() -> io::Result<Self> {
        let stop = signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
        let go_on = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        Ok(Self { stop, go_on })
    }

    /// The next of them. Cancel safe.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            () = received(&mut self.stop) => Asked::ToStop,
            () = received(&mut self.go_on) => Asked::ToGoOn,
        }
    }

    /// Whether there is a shell that sees the program stop and can let it go on: a parent in the same session, with
    /// its own process group. To others SIGTSTP does nothing either (POSIX, orphaned process groups).
    pub(crate) fn has_shell(&self) -> bool {
        let Some(parent) = getppid() else { return false };
        let same_session = getsid(None).ok() == getsid(Some(parent)).ok();
        same_session && getpgid(None).ok() != getpgid(Some(parent)).ok()
    }

    /// Stops the program, and returns when it goes on.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) async fn stop(&mut self) -> io::Result<()> {
        kill_process(getpid(), Signal::STOP)?;
        received(&mut self.go_on).await;
        Ok(())
    }
}

async fn received(signal: &mut unix::Signal) {
    if signal.recv().await.is_none() {
        // The runtime ends.
        future::pending::<()>().await;
    }
}
