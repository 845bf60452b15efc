//! What an agent tells the program that embeds it.

use std::net::SocketAddr;

use plumi_proto::MiAddress;
use tokio::sync::mpsc;

use crate::conversation::Conversation;
use crate::error::RefreshError;
use crate::safe_text::PeerText;
use crate::state::admission::Refusal;

/// Something that happened to an agent without its asking.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Somebody called, and the conversation has begun.
    Incoming(Conversation),
    /// Somebody called and was told that the user is busy: the agent had as many conversations as it may, or the caller
    /// may not call. Of one whose address is known, [`Event::Missed`] may have come before.
    Refused {
        /// The caller's nickname.
        nickname: PeerText,
        /// Where the call came from.
        remote: SocketAddr,
        /// Who asked for the user just before, if anybody did.
        address: Option<MiAddress>,
        /// Why.
        reason: Refusal,
    },
    /// Somebody asked where the user is and was told that the user is busy; most do not call then. Told once a minute for
    /// each asker and reason, and of 32 in all.
    Missed {
        /// Who asked.
        from: MiAddress,
        /// Why.
        reason: Refusal,
    },
    /// The user is registered no longer, as far as the agent can tell, or for another reason than was told before:
    /// others may not find the user. The agent goes on trying, every [`RETRY`](crate::RETRY); conversations go on.
    RegistrationLost {
        /// Why.
        reason: RefreshError,
    },
    /// The user is registered again.
    RegistrationRegained,
}

/// The events of one agent, in their order.
///
/// They are bounded: while [`MAX_EVENTS`] wait to be read, callers are refused as if the agent were busy. A caller
/// who waits in an event that nobody reads keeps the agent busy, as any conversation does. A program that takes no
/// calls drops its `Events`: then every caller is refused.
#[derive(Debug)]
pub struct Events(pub(crate) mpsc::Receiver<Event>);

impl Events {
    /// The next event; `None` once the agent has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

/// Events that may wait to be read.
pub const MAX_EVENTS: usize = 64;
