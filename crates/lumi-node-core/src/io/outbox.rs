//! The messages that leave, once the log has their lines.

use std::future;
use std::mem;
use std::time::{Duration, Instant};

use message_log::LogProgress;
use plumi_proto::{EncodedMessage, HostIp, UdpAddress};
use tracing::warn;

use super::rate_limited_counter::RateLimitedCounter;
use super::socket::DatagramSocket;
use crate::state::held_answers::{HeldAnswers, LOG_PATIENCE};

/// Messages on their way to the socket.
///
/// They are queued while the datagrams that came together with theirs are handled. An `RR0` or `RD0` then
/// waits until the log is written as far as its line, see [`HeldAnswers`].
pub(super) struct Outbox {
    log_progress: LogProgress,
    queue: Vec<(UdpAddress, Outgoing)>,
    held: HeldAnswers<Outgoing>,
    unsent: RateLimitedCounter,
    early: RateLimitedCounter,
}

/// A message, and the address of this host that it leaves from.
struct Outgoing {
    source: Option<HostIp>,
    bytes: EncodedMessage,
}

impl Outbox {
    /// An empty outbox. Nothing waits before [`Outbox::wait_for_log`].
    pub(super) fn new() -> Self {
        Self {
            log_progress: LogProgress::default(),
            queue: Vec::with_capacity(MAX_QUEUED),
            held: HeldAnswers::new(),
            unsent: RateLimitedCounter::default(),
            early: RateLimitedCounter::every(EARLY_INTERVAL),
        }
    }

    /// Lets answers wait for their lines in the log of `progress`.
    pub(super) fn wait_for_log(&mut self, progress: LogProgress) {
        self.log_progress = progress;
    }

    /// Queues a message to `to`, which leaves from the address `source` of this host.
    pub(super) fn push(&mut self, to: UdpAddress, source: Option<HostIp>, bytes: EncodedMessage) {
        if needs_line(&bytes) {
            self.log_progress.hurry();
        }
        self.queue.push((to, Outgoing { source, bytes }));
    }

    /// Returns whether the queue is so long that it is to be sent.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MAX_QUEUED
    }

    /// Sends the queued messages without waiting, but for answers whose lines are still to be written. The
    /// log has been given the lines of all of them.
    pub(super) fn send(&mut self, now: Instant, socket: &impl DatagramSocket) {
        let position = self.log_progress.given();
        let mut queue = mem::take(&mut self.queue);
        for (to, message) in queue.drain(..) {
            let at = [position, self.log_progress.written()];
            if let Some(message) = self.held.hold(now, at, to, needs_line(&message.bytes), message) {
                self.transmit(now, socket, to, &message);
            }
        }
        // The empty queue keeps its memory.
        self.queue = queue;
        self.release(now, socket);
    }

    /// Sends the answers whose lines are written, or overdue.
    pub(super) fn release(&mut self, now: Instant, socket: &impl DatagramSocket) {
        while let Some((to, message)) = self.held.release(now, self.log_progress.written()) {
            self.transmit(now, socket, to, &message);
        }
        if let Some(answers) = self.early.reach(now, self.held.early()) {
            warn!(
                answers,
                "the message log takes longer than {} ms, so answers leave before their lines are written; if it lasts, check \
                 the disk of the log",
                LOG_PATIENCE.as_millis()
            );
        }
    }

    /// Waits until an answer that is held has its line. Cancel safe.
    pub(super) async fn written(&self) {
        match self.held.awaited() {
            Some(position) => self.log_progress.reach(position).await,
            None => future::pending().await,
        }
    }

    /// Returns the time at which an answer leaves without its line. `None` if none is held.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.held.poll_timeout()
    }

    /// Returns the number of messages that could not be sent.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.total()
    }

    /// Returns the number of answers that left before their lines were written.
    pub(super) fn early(&self) -> u64 {
        self.held.early()
    }

    /// Sends a message. One for which the socket has no room is lost, as it could be in the network, and the
    /// agent asks again. Waiting for room would hold up everybody.
    fn transmit(
        &mut self,
        now: Instant,
        socket: &impl DatagramSocket,
        to: UdpAddress,
        Outgoing { source, bytes }: &Outgoing,
    ) {
        if let Err(error) = socket.send(to, *source, bytes)
            && let Some(datagrams) = self.unsent.add(now)
        {
            warn!(
                datagrams,
                "cannot send datagrams, which are lost until agents ask again, the latest to {to}: {error}; if it lasts, \
                 check the network and firewall of this host"
            );
        }
    }
}

/// Returns whether a message says that a registration has changed: an `RR0` or `RD0`.
fn needs_line(message: &[u8]) -> bool {
    message.starts_with(b"RR0") || message.starts_with(b"RD0")
}

/// The limit of messages that wait for their lines to be given to the log. They also wait while the datagrams
/// that came together with theirs are handled, which takes a microsecond each.
const MAX_QUEUED: usize = 64;

/// The shortest time between two reports of answers that did not wait for the log. A disk may hang for hours.
const EARLY_INTERVAL: Duration = Duration::from_secs(60);
