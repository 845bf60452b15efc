//! A call of this agent, from its open connection on.

use std::net::SocketAddr;

use mi_proto::Nickname;
use plumi_proto::MiAddress;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

#[cfg(feature = "secure")]
use super::connection::now;
use super::connection::{Connection, Tend};
use super::slot::Slot;
use super::talk::{self, ConversationOptions};
use crate::conversation::{Conversation, Peer};
use crate::error::{CallError, LocateError};
use crate::peer_security::PeerSecurity;
use crate::state::conversation_events::{ConversationOutput, GreetingFailure, Side};

/// The end of a call that the caller still waits for.
pub(super) type Called = oneshot::Sender<Result<Conversation, CallError>>;

/// A call on an open connection.
pub(super) struct Call {
    pub(super) to: MiAddress,
    pub(super) nickname: Nickname,
    pub(super) options: ConversationOptions,
    pub(super) slot: Slot,
    pub(super) called: Called,
}

impl Call {
    /// Returns the connection on `stream`, and has `tend` watch its send queue.
    pub(super) fn connection<S>(
        &mut self,
        stream: S,
        remote: SocketAddr,
        tend: Option<Tend<S>>,
    ) -> Connection<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let ConversationOptions { pace, intake, tap, .. } = &mut self.options;
        let nickname = self.nickname.clone();
        let mut connection = Connection::new(stream, remote, Side::Caller, nickname, *pace, tap.take());
        connection.state.set_intake(*intake);
        connection.tended(tend)
    }

    /// Exchanges nicknames, and carries the conversation on that has `begun` then, with the protection that
    /// this returns.
    pub(super) async fn greet<S>(
        mut self,
        mut connection: Connection<S>,
        begun: impl Future<Output = PeerSecurity>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.greeted(&mut connection).await {
            ConversationOutput::Greeted(nickname) => {
                let peer = Peer {
                    address: Some(self.to),
                    security: begun.await,
                    ..Peer::new(nickname, connection.remote)
                };
                let (conversation, talk) = talk::pair(peer, self.slot, self.options.outstanding);
                // If the caller has gone, this drops the conversation, which hangs up.
                _ = self.called.send(Ok(conversation));
                talk::converse(connection, talk, self.options.shutdown).await;
            }
            ConversationOutput::Failed(failure) => {
                let to = self.to;
                let error = match failure {
                    GreetingFailure::GivenUp => LocateError::Ended.into(),
                    _ => CallError::NotAccepted { to, error: connection.greeting_error(failure, "given up") },
                };
                let shutdown = self.options.shutdown.clone();
                self.fails(error);
                connection.finish(shutdown).await;
            }
            _ => connection.finish(self.options.shutdown).await,
        }
    }

    /// Exchanges nicknames, says nothing, and ends the call, which fails with `error`.
    #[cfg(feature = "secure")]
    pub(super) async fn end_at_once<S>(mut self, mut connection: Connection<S>, error: CallError)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let greeted = self.greeted(&mut connection).await;
        let shutdown = self.options.shutdown.clone();
        self.fails(error);
        if matches!(greeted, ConversationOutput::Greeted(_)) {
            connection.state.handle_hang_up(now());
        }
        connection.finish(shutdown).await;
    }

    async fn greeted<S>(&mut self, connection: &mut Connection<S>) -> ConversationOutput
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tokio::select! {
            // A nickname that has come is accepted even if the agent ends.
            biased;
            greeted = connection.next() => greeted,
            () = self.options.shutdown.begun() => connection.give_up(&mut self.options.shutdown).await,
            () = self.called.closed() => connection.give_up(&mut self.options.shutdown).await,
        }
    }

    /// Reports a failure. The slot is free before that: the program may call again at once.
    pub(super) fn fails(self, error: CallError) {
        self.slot.free();
        _ = self.called.send(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::super::shutdown::Shutdown;
    use super::*;

    /// Its end may not have begun when it becomes urgent.
    #[tokio::test(start_paused = true)]
    async fn a_callee_that_reads_nothing_does_not_hold_up_a_hurried_end() {
        let shutdown = Shutdown::new();
        let (ours, _theirs) = tokio::io::duplex(4);
        let remote = SocketAddr::from(([192, 0, 2, 1], 4456));
        let nickname = Nickname::new("laura").unwrap();
        let connection = Connection::new(ours, remote, Side::Caller, nickname.clone(), Duration::ZERO, None);
        let options = ConversationOptions {
            pace: Duration::ZERO,
            intake: None,
            outstanding: Arc::default(),
            shutdown: shutdown.watch(),
            tap: None,
        };
        let slot = Slot::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap());
        let (sender, _called) = oneshot::channel();
        let to = "joya@cc.com".parse().unwrap();
        let call = Call { to, nickname, options, slot, called: sender };
        tokio::spawn(call.greet(connection, async { PeerSecurity::Plain { lacks_key: false } }));
        shutdown.assert_hurries().await;
    }
}
