//! Signals that make the program deregister and leave.

use std::task::Poll;
use std::time::Duration;
use std::{fs, future, io, process, thread};

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time;

use crate::exit;

/// A queue of the signals that end the program.
#[derive(Debug)]
pub(crate) struct Signals(mpsc::Receiver<SignalKind>);

/// The signals that end a program, and the last thing that it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    signals: &'static [SignalKind],
    /// Called before the process exits if the program has not ended in time.
    at_last: fn(),
}

impl Ending {
    /// Creates the ending of a program that reads and prints lines.
    ///
    /// A SIGHUP that is ignored stays ignored: with `nohup` the program is to go on without its terminal.
    pub(crate) fn of_lines() -> Self {
        const SIGNALS: &[SignalKind] =
            &[SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let (but_hangup, _) = SIGNALS.split_at(SIGNALS.len() - 1);
        let signals = if is_ignored(SignalKind::hangup()) { but_hangup } else { SIGNALS };
        Self { signals, at_last: || {} }
    }

    /// Creates the ending of a program that must restore the terminal.
    ///
    /// It catches every signal that would kill the program otherwise.
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
    /// Catches the signals of `ending`. After the first one, the program has [`LAST_RESORT`] to end, and then
    /// exits.
    ///
    /// A separate thread does this, because a write to stdout or to a log that nobody reads may block all
    /// others.
    pub(crate) fn listen(ending: Ending) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (sender, signals) = mpsc::channel(MAX_SIGNALS);
        let guard = runtime.enter();
        let listen = |&kind| Ok((kind, signal(kind)?));
        let mut listening = ending.signals.iter().map(listen).collect::<io::Result<Vec<_>>>()?;
        drop(guard);
        thread::spawn(move || {
            runtime.block_on(async {
                let (mut steps, mut next_step) = (0, None);
                while steps < LAST_STEPS {
                    let caught = tokio::select! {
                        caught = any(&mut listening) => caught,
                        () = reached(next_step) => {
                            steps += 1;
                            next_step = Some(time::Instant::now() + STEP);
                            continue;
                        }
                    };
                    next_step.get_or_insert(time::Instant::now() + STEP);
                    // A full queue has more signals than the program acts on.
                    _ = sender.try_send(caught);
                }
            });
            (ending.at_last)();
            // The main thread may be blocked, so it cannot return.
            process::exit(exit::FAILURE.into())
        });
        Ok(Self(signals))
    }

    /// Waits for the next signal. Cancel safe.
    pub(crate) async fn next(&mut self) {
        self.caught().await;
    }

    /// Waits for the next SIGINT, which Ctrl-C sends. Cancel safe.
    ///
    /// Other signals are skipped: a terminal that closes may send SIGHUP twice, and means it once.
    pub(crate) async fn interrupted(&mut self) {
        while self.caught().await != SignalKind::interrupt() {}
    }

    async fn caught(&mut self) -> SignalKind {
        match self.0.recv().await {
            Some(caught) => caught,
            // The thread runs as long as the program.
            None => future::pending().await,
        }
    }
}

/// Returns whether the program was started with `signal` ignored; `false` where nobody can say.
fn is_ignored(signal: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    // The mask has signal 1 as its lowest bit, proc(5).
    ignored >> (signal.as_raw_value() - 1) & 1 == 1
}

/// Waits for the next signal of any kind. Cancel safe.
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

/// Waits until this time, if there is one. Cancel safe.
pub(crate) async fn reached(time: Option<time::Instant>) {
    match time {
        Some(time) => time::sleep_until(time).await,
        None => future::pending().await,
    }
}

/// The most signals that wait to be handled.
const MAX_SIGNALS: usize = 16;

/// The time that the node and the peers have after a signal. The program ends within a second.
pub(crate) const HURRY: Duration = Duration::from_millis(600);

/// The additional time for the last lines that are printed.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(100);

/// The additional time for the last lines of the logs.
pub(crate) const LAST_LINES: Duration = Duration::from_millis(200);

/// The time after a signal at which the process exits, even if it is blocked. Otherwise it ends before that.
///
/// It passes in steps, so that a host that stands still for a moment takes only one of them from the main
/// thread.
const LAST_RESORT: Duration = Duration::from_millis(950);
const LAST_STEPS: u32 = 19;
const STEP: Duration = LAST_RESORT.checked_div(LAST_STEPS).expect("is not 0");

// The program leaves in order before it is ended, and is gone within a second.
const _: () =
    assert!(HURRY.as_millis() + LAST_WORDS.as_millis() + LAST_LINES.as_millis() < LAST_RESORT.as_millis());
const _: () = assert!(LAST_RESORT.as_millis() < 1_000);
