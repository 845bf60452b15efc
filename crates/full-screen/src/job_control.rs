//! Being suspended and going on, as a shell has it (Ctrl-Z, `fg`).

use std::future;
use std::io;

use rustix::process::{Signal, getpgid, getpid, getppid, getsid, kill_process};
use tokio::signal::unix::{self, SignalKind, signal};

use crate::screen::Screen;

/// The signals that a shell stops and continues a program with.
#[derive(Debug)]
pub struct JobControl {
    stop: unix::Signal,
    go_on: unix::Signal,
}

/// A request of a shell, or of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The program is to be suspended: [`JobControl::suspend`].
    ToStop,
    /// It was stopped, by a signal that nothing can be done about, and goes on: [`Screen::resume`].
    ToGoOn,
}

impl JobControl {
    /// Takes over SIGTSTP, which then no longer stops the program: the terminal has to be given back first.
    /// Must run within a runtime of tokio.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn listen() -> io::Result<Self> {
        let stop = signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
        let go_on = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        Ok(Self { stop, go_on })
    }

    /// Waits for the next of them.
    ///
    /// # Cancel safety
    /// Cancel safe: none is lost.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            () = received(&mut self.stop) => Asked::ToStop,
            () = received(&mut self.go_on) => Asked::ToGoOn,
        }
    }

    /// Gives the terminal to the shell until that lets the program go on. `false`: there is no shell to go on
    /// from, and nothing was done.
    ///
    /// # Errors
    /// Those of the operating system; the terminal is gone.
    ///
    /// # Cancel safety
    /// Not cancel safe. If this is dropped, the terminal may have been given back. [`Screen::resume`] takes
    /// it again.
    pub async fn suspend(&mut self, screen: &mut Screen) -> io::Result<bool> {
        if !has_shell() {
            return Ok(false);
        }
        screen.leave().await?;
        kill_process(getpid(), Signal::STOP)?;
        received(&mut self.go_on).await;
        screen.resume()?;
        Ok(true)
    }
}

/// Returns whether there is a shell that sees the program stop and can let it go on: a parent in the same
/// session, with its own process group. To others SIGTSTP does nothing either (POSIX, orphaned process
/// groups).
fn has_shell() -> bool {
    let Some(parent) = getppid() else { return false };
    let same_session = getsid(None).ok() == getsid(Some(parent)).ok();
    same_session && getpgid(None).ok() != getpgid(Some(parent)).ok()
}

async fn received(signal: &mut unix::Signal) {
    if signal.recv().await.is_none() {
        // The runtime ends.
        future::pending::<()>().await;
    }
}
