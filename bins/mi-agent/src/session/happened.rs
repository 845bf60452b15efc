//! Messages between a session and its front end.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use mi_agent_core::{
    Admission, CallError, ConversationError, ConversationId, Day, DeregisterError, GaveWay, KeyWords,
    LeaveError, OutboxItem, Peer, PeerText, PublicKey, RefreshError, Refusal, SayError, StartError,
};
use plumi_proto::{MiAddress, MiSocketAddress, NodeAddress};

use super::calls::CallId;
use super::post::{PostId, PostWish};
use crate::store::contacts::Contacts;
use crate::store::history::{Entry, Mark, Recalled, Talk};
use crate::store::keeper::KeeperEvent;

/// An event of a session.
#[derive(Debug)]
pub(crate) enum Happened {
    /// The user is registered at `node`, and callers find it at `listening`.
    Started { node: NodeAddress, listening: MiSocketAddress },
    /// The node is not there. The session tries to register again after `pause`.
    StartDelayed {
        error: StartError,
        pause: Duration,
        /// Set if the reason has changed.
        is_news: bool,
    },
    /// The registration failed, and the session is over.
    NotStarted(StartError),
    /// A conversation has begun. `call` is set if this user called, and not if the peer did.
    Begun { id: ConversationId, peer: Peer, call: Option<CallId> },
    /// A call of this user led to no conversation.
    CallFailed { call: CallId, to: MiAddress, error: CallError },
    /// The peer said `text`.
    Line { id: ConversationId, nickname: PeerText, text: PeerText },
    /// The conversation takes the next line: everything that was said is handed over, or never will be.
    HandedOver(ConversationId),
    /// Something went wrong in a conversation. Its end follows.
    ConversationFailed { id: ConversationId, nickname: PeerText, error: ConversationError },
    /// The callee refused this user's key: it knows another one for the user. The end of the conversation
    /// follows.
    KeyRefused { id: ConversationId, nickname: PeerText, to: Option<MiAddress> },
    /// The session leaves, and this number of lines was not sent: the peer does not read them, or too slowly.
    NotSent { id: ConversationId, nickname: PeerText, lines: usize },
    /// A conversation is over.
    Ended {
        id: ConversationId,
        nickname: PeerText,
        end: End,
        /// The number of lines that were said and not sent.
        unsaid: usize,
    },
    /// A caller was answered that the user is busy.
    Refused {
        nickname: PeerText,
        remote: SocketAddr,
        address: Option<MiAddress>,
        reason: Refusal,
        /// Set if the caller has another key than the one that is known.
        keys: Option<ChangedKeys>,
        /// Set unless [`Happened::Missed`] has just reported the caller.
        is_news: bool,
    },
    /// This number of callers gave way to others, and were answered that the user is busy.
    GaveWay { callers: u64 },
    /// An asker was answered that the user is busy.
    Missed {
        from: MiAddress,
        reason: Refusal,
        /// Set unless the user knows the reason anyway.
        is_news: bool,
    },
    /// Others may no longer find the user. The session tries to register again.
    RegistrationLost(RefreshError),
    /// Others find the user again.
    RegistrationRegained { node: NodeAddress },
    /// The node asked for no proof of the registration, though it did so until the day `since`.
    Unproved { since: Day },
    /// The node or this host has moved: the user is registered at `node`, and callers find it at `listening`.
    Moved { node: NodeAddress, listening: MiSocketAddress },
    /// Lines of earlier conversations with a peer.
    Recalled(MiAddress, Recalled),
    /// The last lines with a text in conversations with a peer, the oldest first.
    Found(MiAddress, String, Vec<Entry>),
    /// The answer to the oldest wish that was answered by [`Done::Later`].
    Answered(Result<Done, Refused>),
    /// A request to the outbox is carried out, or not. If a message was left, it is here.
    Posted { post: PostId, answer: Result<Option<OutboxItem>, LeaveError> },
    /// A message for somebody is new in the outbox, or in another state.
    Mail(OutboxItem),
    /// More was said in a conversation than is kept.
    LeftOut(ConversationId),
    /// Something could not be kept or read.
    NotKept(String),
    /// Something is kept again, for the first time since then.
    KeptAgain,
    /// The deregistration is over, and so is the session.
    Left(Result<(), DeregisterError>),
}

/// A request of a front end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    Call(MiAddress),
    GiveUp(CallId),
    Say {
        id: ConversationId,
        text: String,
    },
    /// Ends a conversation, after everything that was said has been sent.
    HangUp(ConversationId),
    SetAdmission(Admission),
    SaveContacts(Contacts),
    /// Adds a line to the history.
    Remember {
        talk: Talk,
        entry: Entry,
    },
    /// Asks for the words of this user's key.
    OwnWords,
    /// Believes in the key of a user that has these words. [`Happened::Answered`] answers, and calls that are
    /// wished meanwhile wait for that.
    Verify {
        address: MiAddress,
        words: KeyWords,
    },
    /// Believes in the key that answered the last call to a user and was refused. It is answered in the same
    /// way.
    Trust(MiAddress),
    /// Permits one plain conversation with a user. A call has to follow.
    PermitPlain(MiAddress),
    /// Asks the outbox for something. [`Happened::Posted`] answers.
    Post(PostWish),
    /// Reads the last lines of the history of a peer. [`Happened::Recalled`] answers.
    Recall(MiAddress),
    /// Reads the lines before that place. [`Happened::Recalled`] answers.
    RecallMore {
        peer: MiAddress,
        before: Mark,
    },
    /// Searches the history of a peer. [`Happened::Found`] answers.
    Find {
        peer: MiAddress,
        text: String,
    },
}

/// The key that is known of a user, and another one with which somebody called as that user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChangedKeys {
    /// The one that is believed most, if there are several.
    pub(crate) known: PublicKey,
    pub(crate) offered: PublicKey,
}

/// The answer to a wish that is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// [`Happened::Begun`] or [`Happened::CallFailed`] follows.
    Calling(CallId),
    /// This number of lines waits, including this one. [`Happened::HandedOver`] follows when none does.
    Queued { waiting: usize },
    /// [`Happened::Posted`] follows.
    Posting(PostId),
    /// [`Happened::Answered`] follows, once the disk has taken it.
    Later,
    /// The words of this user's key.
    OwnWords(KeyWords),
    /// The words of this key of the user were compared.
    Verified { address: MiAddress, key: PublicKey },
    /// This key of the user is known from now on.
    Trusted { address: MiAddress, key: PublicKey },
    /// Nothing follows.
    AtOnce,
}

/// The reason why a wish is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The user is not registered yet, or leaves.
    NotNow,
    TooManyCalls,
    NoConversation,
    NotSaid(SayError),
    /// This agent has no key.
    NoKey,
    /// The keys of a user stay as they are.
    NotTrusted {
        address: MiAddress,
        reason: String,
    },
    /// It is carried out, but not kept.
    NotKept(&'static str),
}

/// The end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    ByYou,
    ByPeer,
    /// The connection broke: neither side ended it.
    Lost,
    /// It gave way to another caller.
    GaveWay(GaveWay),
}

/// The way in which a session leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leave {
    /// Everything that was said is sent first.
    InOrder,
    /// Everything that was said is sent first, if that takes no more than 3 s: a user waits for the end.
    Soon,
    /// The session leaves within [`HURRY`](crate::signals::HURRY), regardless of the node and the peers.
    Hurried,
}

impl Happened {
    /// Returns whether the session is over.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::NotStarted(_) | Self::Left(_))
    }
}

impl From<KeeperEvent> for Happened {
    fn from(event: KeeperEvent) -> Self {
        match event {
            KeeperEvent::Recalled(peer, recalled) => Self::Recalled(peer, recalled),
            KeeperEvent::Found(peer, text, entries) => Self::Found(peer, text, entries),
            KeeperEvent::LeftOut(id) => Self::LeftOut(id),
            KeeperEvent::Trouble(trouble) => Self::NotKept(trouble),
            KeeperEvent::Recovered => Self::KeptAgain,
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
            Self::NoKey => f.write_str("this agent has no key, so it can only talk in plain text"),
            Self::NotTrusted { address, reason } => {
                write!(f, "the key of {address} is not trusted: {reason}")
            }
            Self::NotKept(reason) => f.write_str(reason),
        }
    }
}

/// Says that so many callers gave way to others.
pub(crate) fn of_gave_way(callers: u64) -> String {
    let callers = if callers == 1 { "1 caller".to_owned() } else { format!("{callers} callers") };
    format!("{callers} gave way to others, and heard that you are busy: more call than have their turn")
}
