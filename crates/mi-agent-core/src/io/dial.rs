//! Calls to other agents.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use mi_proto::Nickname;
use plumi_proto::{MiAddress, MiSocketAddress, TcpAddress};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};
use tokio::time;

use super::connection::{self, Connection, TEND_TCP};
use super::slot::Slot;
use super::talk::{self, ConversationOptions};
use crate::conversation::{Conversation, Peer};
use crate::error::{CallError, LocateError};
use crate::state::conversation_events::{ConversationOutput, GreetingFailure, Side};

/// A call to the agent at a certain address.
pub(crate) struct Dial {
    pub(crate) found: MiSocketAddress,
    pub(crate) to: MiAddress,
    pub(crate) nickname: Nickname,
    pub(crate) options: ConversationOptions,
    pub(crate) slot: Slot,
}

/// The end of a call that the caller still waits for.
type Called = oneshot::Sender<Result<Conversation, CallError>>;

impl Dial {
    /// Begins a conversation and carries it on until it has ended. If the caller has gone meanwhile, the connection
    /// ends in order.
    pub(crate) async fn run(self, mut called: Called) {
        let Self { found, to, nickname, mut options, slot } = self;
        let remote = SocketAddr::from(TcpAddress::from(found));
        let mut opening = pin!(connection::open(remote));
        let opened = tokio::select! {
            opened = &mut opening => Some(opened),
            () = options.shutdown.begun() => None,
            () = called.closed() => None,
        };
        let opened = match opened {
            Some(opened) => opened.map_err(|error| CallError::NotAccepted { to, error }),
            // The callee may already have the connection, and some programs end if a connection closes without a
            // nickname.
            None => match time::timeout(LAST_CHANCE, opening).await {
                Ok(Ok(stream)) => Ok(stream),
                _ => Err(LocateError::Ended.into()),
            },
        };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => return fails(&slot, called, error),
        };
        let pace = options.pace;
        let mut connection =
            Connection::new(stream, remote, Side::Caller, nickname, pace, options.tap.take())
                .tended(TEND_TCP);
        connection.state.set_intake(options.intake);
        greet(connection, to, options, slot, called).await;
    }
}

async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<S>,
    to: MiAddress,
    mut options: ConversationOptions,
    slot: Slot,
    mut called: Called,
) {
    let greeted = tokio::select! {
        // A nickname that has come is accepted even if the agent ends.
        biased;
        greeted = connection.next() => greeted,
        () = options.shutdown.begun() => connection.give_up(&mut options.shutdown).await,
        () = called.closed() => connection.give_up(&mut options.shutdown).await,
    };
    match greeted {
        ConversationOutput::Greeted(nickname) => {
            let peer = Peer { address: Some(to), ..Peer::new(nickname, connection.remote) };
            let (conversation, talk) = talk::pair(peer, slot, options.outstanding);
            // If the caller has gone, this drops the conversation, which hangs up.
            _ = called.send(Ok(conversation));
            talk::converse(connection, talk, options.shutdown).await;
        }
        ConversationOutput::Failed(failure) => {
            let error = match failure {
                GreetingFailure::GivenUp => LocateError::Ended.into(),
                _ => CallError::NotAccepted { to, error: connection.greeting_error(failure, "given up") },
            };
            fails(&slot, called, error);
            connection.finish(options.shutdown).await;
        }
        _ => connection.finish(options.shutdown).await,
    }
}

/// Reports a failure. The slot is free before that: the program may call again at once.
fn fails(slot: &Slot, called: Called, error: CallError) {
    slot.free();
    _ = called.send(Err(error));
}

/// Returns the limit of calls that have a connection: those of all conversations, and [`MAX_ENDING`].
pub(crate) fn most_calls(most_conversations: usize) -> usize {
    most_conversations.saturating_add(MAX_ENDING).min(Semaphore::MAX_PERMITS)
}

/// The limit of connections that are being ended because their call came to nothing. A program that gives calls up
/// has made them, so the next call waits. None is closed early: its peer may not have seen a line (protocol.md §7,
/// row 21).
const MAX_ENDING: usize = 64;

/// The time that a connection has to open once nobody waits for it. The kernel reports an open one at once.
const LAST_CHANCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::shutdown::Shutdown;
    use super::*;

    /// Its end may not have begun when it becomes urgent.
    #[tokio::test(start_paused = true)]
    async fn a_callee_that_reads_nothing_does_not_hold_up_a_hurried_end() {
        let shutdown = Shutdown::new();
        let (ours, _theirs) = tokio::io::duplex(4);
        let remote = SocketAddr::from(([192, 0, 2, 1], 4456));
        let nickname = Nickname::new("laura").unwrap();
        let connection = Connection::new(ours, remote, Side::Caller, nickname, Duration::ZERO, None);
        let options = ConversationOptions {
            pace: Duration::ZERO,
            intake: None,
            outstanding: Arc::default(),
            shutdown: shutdown.watch(),
            tap: None,
        };
        let slot = Slot::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap());
        let (sender, _called) = oneshot::channel();
        tokio::spawn(greet(connection, "joya@cc.com".parse().unwrap(), options, slot, sender));
        shutdown.assert_hurries().await;
    }
}
