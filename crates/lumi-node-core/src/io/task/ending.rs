//! The end of a task: what has come is served, and what is being saved is waited for.

use std::io;
use std::time::Duration;

use tokio::time;
use tracing::{debug, warn};

use super::{Task, now};
use crate::io::datagrams::Datagrams;
use crate::io::socket::DatagramSocket;

impl<S: DatagramSocket> Task<S> {
    /// Serves what has come, and ends. Without an administrator who changes the roster, this takes less than
    /// a second.
    pub(super) async fn end(mut self, mut datagrams: Datagrams) {
        self.finish_saving().await;
        self.serve_the_rest(&mut datagrams);
        self.finish_bindings().await;
        let left_out = self.line_limit.end();
        self.log_left_out(&left_out);
        self.send(now());
        self.finish_answers().await;
        self.bindings.closed().await;
    }

    /// Waits for the change of the roster that is being saved, if any, for [`SAVE_PATIENCE`] at most.
    pub(in crate::io) async fn finish_saving(&mut self) {
        let deadline = time::Instant::now() + SAVE_PATIENCE;
        while self.administration.is_saving() {
            match time::timeout_at(deadline, self.administration.next_event()).await {
                Ok(event) => {
                    let now = now();
                    self.administer(now, event);
                    self.finish_turn(now);
                }
                Err(_) => {
                    warn!(
                        waited = ?SAVE_PATIENCE,
                        "ending while the roster is being saved, because the disk takes too long; its file is whole, with the \
                         last change or without it"
                    );
                    return;
                }
            }
        }
    }

    /// Sends the answers that wait for their lines, with them or, when their time is over, without.
    async fn finish_answers(&mut self) {
        while let Some(until) = self.outbox.poll_timeout() {
            _ = time::timeout_at(until.into(), self.outbox.written()).await;
            self.outbox.release(now(), &self.socket);
        }
    }

    /// Serves the datagrams that came before the end. An agent without an answer would ask again, the port
    /// would be closed by then, and the ICMP error ends some agents.
    fn serve_the_rest(&mut self, datagrams: &mut Datagrams) {
        let (mut served, mut errors) = (0, 0);
        while served < MAX_REST && errors < MAX_REST_ERRORS {
            match self.socket.try_receive(datagrams) {
                Ok(()) => {
                    served += datagrams.iter().count();
                    self.serve(now(), datagrams);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    errors += 1;
                    debug!(%error, "cannot receive");
                }
            }
        }
    }

    /// Waits for the changes that answers wait for, which takes 250 ms at most, and begins to close the
    /// store.
    async fn finish_bindings(&mut self) {
        while self.node.is_waiting_for_store() {
            let Some(until) = self.node.poll_timeout() else { break };
            match time::timeout_at(until.into(), self.bindings.next()).await {
                Ok(step) => self.saved(now(), step),
                Err(_) => self.node.handle_timeout(now()),
            }
            self.finish_turn(now());
        }
        let now = now();
        self.node.save_unsaved_bindings(now);
        self.finish_turn(now);
        self.bindings.close();
    }
}

/// The time that the end of a server waits for the roster to be saved: many times what a working disk takes,
/// and less than the time after which a service manager kills a service.
pub(in crate::io) const SAVE_PATIENCE: Duration = Duration::from_secs(5);

/// The limit of datagrams served after the end: more than the kernel buffers for a node's socket.
const MAX_REST: usize = 4_096;

/// The number of failed receives after which nothing more is served at the end.
const MAX_REST_ERRORS: usize = 100;
