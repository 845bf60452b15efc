//! Signals that end the program: deregister and leave.

use std::task::Poll;
use std::time::Duration;
use std::{future, io, process, thread};

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time;

use crate::exit;

/// The signals that end the program.
#[derive(Debug)]
pub(crate) struct Signals(mpsc::Receiver<SignalKind>);

/// How a program is ended from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    signals: &'static [SignalKind],
    /// The last that is done if the program does not end by itself.
    at_last: fn(),
}

impl Ending {
    /// Of a program that reads and prints lines.
    pub(crate) const fn of_lines() -> Self {
        const SIGNALS: &[SignalKind] =
            &[SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Self { signals: SIGNALS, at_last: || {} }
    }

    /// Of a program that has to give the terminal back: by whatever else would kill it and can be caught.
    pub(crate) const fn of_a_screen() -> Self {
        const SIGNALS: &[SignalKind] = &[
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
            SignalKind::alarm(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ];
        Self { signals: SIGNALS, at_last: full_screen::restore }
    }
}

impl Signals {
    /// From now on the signals of `ending` no longer kill the program. After the first one, it has [`LAST_RESORT`] to
    /// end by itself.
    ///
    /// A thread of its own sees to that: to write to a stdout or a log that nobody takes may hold everything else.
    pub(crate) fn listen(ending: Ending) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (sender, signals) = mpsc::channel(MAX_SIGNALS);
        let guard = runtime.enter();
        let listen = |&kind| Ok((kind, signal(kind)?));
        let mut listening = ending.signals.iter().map(listen).collect::<io::Result<Vec<_>>>()?;
        drop(guard);
        thread::spawn(move || {
            runtime.block_on(async {
                let mut deadline = None;
                loop {
                    let caught = tokio::select! {
                        caught = any(&mut listening) => caught,
                        () = reached(deadline) => break,
                    };
                    deadline.get_or_insert(time::Instant::now() + LAST_RESORT);
                    // Nobody presses Ctrl-C so often and means more by it.
                    _ = sender.try_send(caught);
                }
            });
            (ending.at_last)();
            // Whoever could return to main is held.
            process::exit(exit::FAILURE.into())
        });
        Ok(Self(signals))
    }

    /// The next one. Cancel safe.
    pub(crate) async fn next(&mut self) {
        self.caught().await;
    }

    /// The next SIGINT: somebody presses Ctrl-C. A terminal that closes may send SIGHUP twice, and means it once.
    /// Cancel safe.
    pub(crate) async fn interrupted(&mut self) {
        while self.caught().await != SignalKind::interrupt() {}
    }

    async fn caught(&mut self) -> SignalKind {
        match self.0.recv().await {
            Some(caught) => caught,
            // The thread goes on for as long as the program.
            None => future::pending().await,
        }
    }
}

/// The next of them. Cancel safe.
async fn any(listening: &mut [(SignalKind, Signal)]) -> SignalKind {
    future::poll_fn(|cx| {
        for (kind, signal) in listening.iter_mut() {
            if signal.poll_recv(cx).is_ready() {
                return Poll::Ready(*kind);
            }
        }
        Poll::Pending
    })
    .await
}

async fn reached(deadline: Option<time::Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(deadline).await,
        None => future::pending().await,
    }
}

/// Signals caught and not looked at yet.
const MAX_SIGNALS: usize = 16;

/// How long the node and the peers have when the program is told to end: it is gone within a second.
pub(crate) const HURRY: Duration = Duration::from_millis(600);

/// How much longer there is for what is printed then.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(100);

/// When the program ends, even if it is held: after it should have ended by itself.
const LAST_RESORT: Duration = Duration::from_millis(950);

// The program leaves in order before it is ended, and is gone within a second.
const _: () = assert!(HURRY.as_millis() + LAST_WORDS.as_millis() < LAST_RESORT.as_millis());
const _: () = assert!(LAST_RESORT.as_millis() < 1_000);
