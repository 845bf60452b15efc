//! The events of an agent, for the program that embeds it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use plumi_proto::MiAddress;
use tokio::sync::mpsc;

use crate::error::RefreshError;
use crate::incoming::Incoming;
#[cfg(feature = "secure")]
use crate::pin::Day;
use crate::safe_text::PeerText;
use crate::state::admission::Refusal;
use crate::state::client::Whereabouts;

/// Something that happened to an agent and that the program did not ask for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Somebody calls, and waits for a decision. [`Incoming::withdrawn`] returns if the caller leaves
    /// meanwhile.
    Incoming(Incoming),
    /// Somebody called and heard that the user is busy, or the reason if it concerns keys: the agent had as
    /// many conversations as it may, the caller may not call, or the call is not secure enough. If the
    /// address is known, [`Event::Missed`] may have come before.
    ///
    /// There is none for a caller that the program itself refused. For a caller that has another key than the
    /// one that is known of the address, it is returned once a minute for each address.
    Refused {
        /// The caller's nickname.
        nickname: PeerText,
        /// The TCP address of the caller.
        remote: SocketAddr,
        /// The address that asked for this user just before, if one did. If several did, any of them may have
        /// called.
        address: Option<MiAddress>,
        /// The reason.
        reason: Refusal,
    },
    /// This number of callers gave their nickname, gave way to others, and heard that the user is busy: more
    /// call than have their turn, see [`Turns`](crate::Turns). There is no [`Event::Refused`] for them.
    ///
    /// It is returned once a minute at most, with the number of callers since the last time.
    GaveWay {
        /// Their number.
        callers: u64,
    },
    /// Somebody located the user and was answered that the user is busy. Most do not call then.
    ///
    /// It is returned once a minute for each asker and reason, and for 32 of them in all.
    Missed {
        /// The asker.
        from: MiAddress,
        /// The reason.
        reason: Refusal,
    },
    /// The user seems to be registered no more, or for another reason than was returned before. Others may
    /// not find the user.
    ///
    /// The agent goes on trying, every [`RETRY`](crate::RETRY). Conversations go on.
    RegistrationLost {
        /// The reason.
        reason: RefreshError,
    },
    /// The user is registered again.
    RegistrationRegained,
    /// The node asked for no proof of the registration, though it did so before: another one may answer for
    /// the domain.
    ///
    /// The user is registered nevertheless. It is returned once until the next proof, and never with
    /// [`AgentBuilder::accept_unproved`](crate::AgentBuilder::accept_unproved).
    #[cfg(feature = "secure")]
    Unproved {
        /// The day of the last proof, or of the enrolment.
        since: Day,
    },
    /// The user is registered at another address of the node, or callers get another address of this host.
    /// One of the two has moved.
    Moved(Whereabouts),
}

/// The events of one agent, in their order.
///
/// They are bounded. While [`MAX_EVENTS`] wait to be read, or after this is dropped, the user is busy: it is
/// not found, and callers are refused. A caller in an event keeps the agent busy, as a conversation does.
#[derive(Debug)]
pub struct Events(pub(crate) mpsc::Receiver<Event>);

impl Events {
    /// Returns the next event, or `None` once the agent has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// Returns an event that has come, without waiting; `None` if there is none now.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.try_recv().ok()
    }
}

/// The events, until the agent has ended.
impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(cx)
    }
}

/// The limit of events that wait to be read.
pub const MAX_EVENTS: usize = 64;
