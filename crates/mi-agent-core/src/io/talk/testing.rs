//! Conversations over streams in memory.

use std::sync::Arc;
use std::time::Duration;

use mi_proto::Nickname;
use plumi_proto::{HostIp, TcpAddress};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

use super::{converse, now, pair};
use crate::conversation::{Conversation, Peer};
use crate::io::connection::Connection;
use crate::io::shutdown::Shutdown;
use crate::io::slot::Slot;
use crate::state::conversation_events::{ConversationOutput, Side};

/// Begins a conversation as its caller, with a peer that gives its nickname.
pub(crate) async fn call<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    pace: Duration,
    shutdown: &Shutdown,
    slot: OwnedSemaphorePermit,
) -> Conversation {
    begin(stream, Side::Caller, pace, shutdown, slot).await
}

/// Begins a conversation, with a peer that gives its nickname.
pub(crate) async fn begin<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    side: Side,
    pace: Duration,
    shutdown: &Shutdown,
    slot: OwnedSemaphorePermit,
) -> Conversation {
    let ours = Nickname::new("ours").unwrap();
    carry_on_with(Connection::new(stream, REMOTE.into(), side, ours, pace, None), shutdown, slot).await
}

/// Begins a conversation on a connection, with a peer that gives its nickname.
pub(crate) async fn carry_on_with<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    mut connection: Connection<S>,
    shutdown: &Shutdown,
    slot: OwnedSemaphorePermit,
) -> Conversation {
    let greeted = connection.next().await;
    let ConversationOutput::Greeted(nickname) = greeted else { panic!("{greeted:?}") };
    connection.state.handle_admitted(now(), Ok(()));
    let peer = Peer::new(nickname, REMOTE.into());
    let (conversation, talk) = pair(peer, Slot::new(slot), Arc::default());
    tokio::spawn(converse(connection, talk, shutdown.watch()));
    conversation
}

pub(crate) const REMOTE: TcpAddress = TcpAddress::new(HostIp::new(192, 0, 2, 7), 4456);
