//! What a session and its front end say to each other.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4};

use mi_agent_core::{
    Admission, CallError, ConversationError, ConversationId, DeregisterError, Peer, PeerText, RefreshError,
    Refusal, SayError, StartError,
};
use plumi_proto::{MiAddress, MiSocketAddress};

use super::calls::CallId;
use crate::store::contacts::Contacts;
use crate::store::history::Entry;
use crate::store::keeper::KeeperEvent;

/// An event of a session.
#[derive(Debug)]
pub(crate) enum Happened {
    /// The user is registered at `node`, and callers find it at `listening`.
    Started { node: SocketAddrV4, listening: MiSocketAddress },
    /// The registration failed, and the session is over.
    NotStarted(StartError),
    /// A conversation has begun: by a call of this user, or else by one of the peer.
    Begun { id: ConversationId, peer: Peer, call: Option<CallId> },
    /// A call of this user led to no conversation.
    CallFailed { call: CallId, to: MiAddress, error: CallError },
    /// The peer said `text`.
    Line { id: ConversationId, nickname: PeerText, text: PeerText },
    /// The conversation takes the next line: everything that was said is handed over, or never will be.
    HandedOver(ConversationId),
    /// Something went wrong in a conversation. Its end follows.
    ConversationFailed { id: ConversationId, nickname: PeerText, error: ConversationError },
    /// A conversation is over.
    Ended {
        id: ConversationId,
        nickname: PeerText,
        /// Neither side ended it.
        is_lost: bool,
        /// Lines that were said and not sent.
        unsaid: usize,
    },
    /// Somebody called, and was told that the user is busy.
    Refused {
        nickname: PeerText,
        remote: SocketAddr,
        address: Option<MiAddress>,
        reason: Refusal,
        /// The caller has not been reported by [`Happened::Missed`] just before.
        is_news: bool,
    },
    /// Somebody asked where the user is, and was told that the user is busy.
    Missed {
        from: MiAddress,
        reason: Refusal,
        /// The user does not know the reason anyway.
        is_news: bool,
    },
    /// Others may not find the user any more. The session tries to register again.
    RegistrationLost(RefreshError),
    /// Others find the user again.
    RegistrationRegained { node: SocketAddrV4 },
    /// The last lines of earlier conversations with a peer, the oldest first.
    Recalled(MiAddress, Vec<Entry>),
    /// Something could not be kept or read.
    NotKept(String),
    /// The deregistration is over, and so is the session.
    Left(Result<(), DeregisterError>),
}

/// Something that a front end wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    Call(MiAddress),
    GiveUp(CallId),
    Say {
        id: ConversationId,
        text: String,
    },
    /// To end a conversation, after everything that was said has been sent.
    HangUp(ConversationId),
    SetAdmission(Admission),
    SaveContacts(Contacts),
    /// To add something that was said to the history.
    Remember {
        peer: MiAddress,
        entry: Entry,
    },
    /// To read the history of a peer; [`Happened::Recalled`] answers if there is any.
    Recall(MiAddress),
}

/// The answer to a wish that is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// [`Happened::Begun`] or [`Happened::CallFailed`] follows.
    Calling(CallId),
    /// So many lines wait in the conversation, this one among them. [`Happened::HandedOver`] follows when none does.
    Queued { waiting: usize },
    /// Nothing follows.
    AtOnce,
}

/// Why a wish is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The user is not registered yet, or leaves.
    NotNow,
    TooManyCalls,
    NoConversation,
    NotSaid(SayError),
    /// It is carried out, but not kept.
    NotKept(&'static str),
}

/// How to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leave {
    /// Everything that was said is sent first.
    InOrder,
    /// Within [`HURRY`](crate::signals::HURRY), whatever the node and the peers do.
    Hurried,
}

impl Happened {
    /// Whether the session is over.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::NotStarted(_) | Self::Left(_))
    }
}

impl From<KeeperEvent> for Happened {
    fn from(event: KeeperEvent) -> Self {
        match event {
            KeeperEvent::Recalled(peer, entries) => Self::Recalled(peer, entries),
            KeeperEvent::Trouble(trouble) => Self::NotKept(trouble),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNow => f.write_str("not while the agent starts or ends"),
            Self::TooManyCalls => f.write_str("too many calls at a time"),
            Self::NoConversation => f.write_str("there is no such conversation, or it is ending"),
            Self::NotSaid(error) => error.fmt(f),
            Self::NotKept(reason) => f.write_str(reason),
        }
    }
}
