//! Calls to other agents.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use mi_proto::Nickname;
use plumi_proto::{MiAddress, MiSocketAddress, TcpAddress};
use tokio::sync::Semaphore;
use tokio::time;

use super::call::{Call, Called};
use super::connection;
#[cfg(not(feature = "secure"))]
use super::connection::TEND_TCP;
#[cfg(feature = "secure")]
use super::protection::Protection;
use super::slot::Slot;
use super::talk::ConversationOptions;
use crate::error::{CallError, LocateError};
#[cfg(not(feature = "secure"))]
use crate::peer_security::PeerSecurity;

/// A call to the agent at a certain address.
pub(crate) struct Dial {
    pub(crate) found: MiSocketAddress,
    /// The callee takes encrypted calls.
    #[cfg(feature = "secure")]
    pub(crate) offers_tls: bool,
    #[cfg(feature = "secure")]
    pub(crate) protection: Protection,
    pub(crate) to: MiAddress,
    pub(crate) nickname: Nickname,
    pub(crate) options: ConversationOptions,
    pub(crate) slot: Slot,
}

impl Dial {
    /// Begins a conversation and carries it on until it has ended. If the caller has gone meanwhile, the
    /// connection ends in order.
    pub(crate) async fn run(self, mut called: Called) {
        let remote = SocketAddr::from(TcpAddress::from(self.found));
        let (to, mut options) = (self.to, self.options);
        let mut opening = pin!(connection::open(remote));
        let opened = tokio::select! {
            opened = &mut opening => Some(opened),
            () = options.shutdown.begun() => None,
            () = called.closed() => None,
        };
        let opened = match opened {
            Some(opened) => opened.map_err(|error| CallError::NotAccepted { to, error }),
            // The callee may already have the connection, and some programs end if a connection closes
            // without a nickname.
            None => match time::timeout(LAST_CHANCE, opening).await {
                Ok(Ok(stream)) => Ok(stream),
                _ => Err(LocateError::Ended.into()),
            },
        };
        let call = Call { to, nickname: self.nickname, options, slot: self.slot, called };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => return call.fails(error),
        };
        #[cfg(feature = "secure")]
        return self.protection.call(call, stream, remote, self.offers_tls).await;
        #[cfg(not(feature = "secure"))]
        {
            let mut call = call;
            let connection = call.connection(stream, remote, TEND_TCP);
            call.greet(connection, async { PeerSecurity::Plain { lacks_key: false } }).await;
        }
    }
}

/// Returns the limit of calls that have a connection: those of all conversations, and [`MAX_ENDING`].
pub(crate) fn most_calls(most_conversations: usize) -> usize {
    most_conversations.saturating_add(MAX_ENDING).min(Semaphore::MAX_PERMITS)
}

/// The limit of connections that are being ended because their call came to nothing. A program that gives
/// calls up has made them, so the next call waits. None is closed early: its peer may not have seen a line
/// (protocol.md §7, row 21).
const MAX_ENDING: usize = 64;

/// The time that a connection has to open once nobody waits for it. The kernel reports an open one at once.
const LAST_CHANCE: Duration = Duration::from_millis(100);
