//! The input of the terminal: keys, pasted text, the mouse, the focus, and another size of the window.
//!
//! The reader of crossterm is not used: it waits indefinitely for the end of a paste, and cannot be
//! interrupted. If that end is lost, the keyboard is dead.

use std::io::{self, PipeReader, PipeWriter, Stdin};
use std::thread;

use crossterm::event::Event;
use crossterm::terminal;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::key_parser::KeyParser;

/// The input of the terminal at stdin. Dropping this ends reading from it.
#[derive(Debug)]
pub struct Keys {
    read: mpsc::Receiver<Vec<u8>>,
    parser: KeyParser,
    /// The time at which what has begun is given up.
    deadline: Option<Instant>,
    resized: unix::Signal,
    /// Closed, it ends the thread that reads.
    _end: PipeWriter,
}

impl Keys {
    /// Begins to read, on a thread of its own. Must run within a runtime of tokio.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn listen() -> io::Result<Self> {
        let resized = signal(SignalKind::window_change())?;
        let (ended, end) = io::pipe()?;
        let (sender, read) = mpsc::channel(PIECES);
        thread::Builder::new().name("keys".into()).spawn(move || {
            // An error is the end of the input as well.
            _ = read_until(&ended, &sender);
        })?;
        Ok(Self { read, parser: KeyParser::default(), deadline: None, resized, _end: end })
    }

    /// Waits for the next input. `None`: the terminal is gone.
    ///
    /// A paste ends after two seconds without input, even if its end does not come. Ctrl-C ends it at once,
    /// without its text, and is a key.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.parser.next() {
                return Some(event);
            }
            let deadline = self.deadline;
            tokio::select! {
                // Input that came in time counts, however late this program gets to it.
                biased;
                bytes = self.read.recv() => {
                    self.parser.read(&bytes?);
                    self.deadline = self.parser.patience().map(|patience| Instant::now() + patience);
                }
                _ = self.resized.recv() => {
                    let (columns, rows) = terminal::size().unwrap_or_default();
                    return Some(Event::Resize(columns, rows));
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.deadline = None;
                    self.parser.give_up();
                }
            }
        }
    }
}

/// Reads stdin until its end, or until the other end of `ended` is closed. Reading never waits, so that this
/// program takes nothing that is meant for the next one.
fn read_until(ended: &PipeReader, sender: &mpsc::Sender<Vec<u8>>) -> io::Result<()> {
    let stdin: Stdin = io::stdin();
    let mut bytes = [0; READ_AT_ONCE];
    loop {
        let mut both = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        match poll(&mut both, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [stdin_is, ended_is] = both.map(|one| !one.revents().is_empty());
        if ended_is {
            return Ok(());
        }
        if !stdin_is {
            continue;
        }
        match rustix::io::read(&stdin, &mut bytes) {
            Ok(0) => return Ok(()),
            Ok(length) if sender.blocking_send(bytes[..length].to_vec()).is_err() => return Ok(()),
            // Another program that has the terminal open may have taken what there was.
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Bytes that are read at once: as many as a terminal of Linux holds.
const READ_AT_ONCE: usize = 4_096;

/// Pieces that are read ahead. The terminal holds what comes after them.
const PIECES: usize = 1;
