//! The reasons why operations of an agent fail: one enum for each operation.
//!
//! One rule covers causes: an error that returns a cause by [`Error::source`](std::error::Error::source) does
//! not name it in its own text, so that a program prints each cause once. A cause that ends the sentence of
//! its error, such as a [`TextError`], is in the text, and is not returned.

use std::fmt;
use std::io;

use lumi_dns::LookupError;
use mi_proto::TextError;
use plumi_proto::{DecodeError, Domain, MiAddress, MiSocketAddress, NodeAddress, TcpAddress};

#[cfg(feature = "secure")]
use crate::key::PublicKey;
#[cfg(feature = "secure")]
use crate::pin::Pin;
use crate::safe_text::PeerText;
#[cfg(feature = "secure")]
use crate::security::Security;
use crate::state::admission::{KEY, is_of_level};
use crate::state::conversation_slots::GaveWay;
use crate::state::source::SeenElsewhere;
#[cfg(feature = "secure")]
use crate::state::trust::NotSecure;

/// The reason why an agent did not start. Continues "cannot register laura@bb.com: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The node answered `RR1`.
    #[error("no such user at its node")]
    NoSuchUser,
    /// The node answered `RR1` to a request for a challenge, too. An invitation helps if the user exists.
    #[error("no such user at its node, or the node does not know this agent's key")]
    NotAdmitted,
    /// The node refused every proof, because it knows other keys of the user.
    #[error("the node does not know this agent's key")]
    KeyNotKnown,
    /// The node saw this agent elsewhere than it is, so nothing was proved.
    #[error(transparent)]
    SeenElsewhere(SeenElsewhere),
    /// The node of the user's domain was not found.
    #[error("domain {domain} {error}")]
    Domain {
        /// The domain.
        domain: Domain,
        /// The reason.
        error: LookupError,
    },
    /// The node was asked as often as the schedule says.
    #[error("node {node} does not answer{}", after(.unsent))]
    NoAnswer {
        /// The node.
        node: NodeAddress,
        /// The reason why the last attempt could not be sent, if it could not.
        unsent: Option<SystemError>,
    },
    /// The TCP port for conversations is not available.
    #[error("cannot listen for conversations on {address}")]
    Listen {
        /// The address of [`AgentBuilder::listen`](crate::AgentBuilder::listen).
        address: TcpAddress,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// This process may open no more sockets. An agent needs two.
    #[error("cannot open a socket")]
    Socket(#[source] io::Error),
    /// There is no route to the node from this host.
    #[error("cannot reach node {node}")]
    Unreachable {
        /// The node.
        node: NodeAddress,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// The nickname cannot be sent.
    #[error("the nickname {0}")]
    Nickname(TextError),
    /// The level of [`AgentBuilder::security`](crate::AgentBuilder::security) needs an identity.
    #[cfg(feature = "secure")]
    #[error("security is `{0}`, and there is no identity to encrypt with")]
    NoIdentity(Security),
    /// The start was interrupted before the node answered, see
    /// [`AgentBuilder::start_unless`](crate::AgentBuilder::start_unless).
    #[error("interrupted")]
    Interrupted,
    /// The runtime of the agent ends.
    #[error("the agent has ended")]
    Ended,
}

/// The reason why a user has not enrolled. Continues "cannot enrol laura@bb.com: ".
#[cfg(feature = "secure")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The node answered `RR1`.
    #[error("the invitation was not taken: mistyped, used already, or too old; ask for another")]
    NotTaken,
    /// The node registered the sender instead, as deployed nodes do. The user has been deregistered.
    #[error("this node does not know invitations")]
    NotSupported,
    /// The node was not found or not reached, or gave no valid answer: a reason of a start.
    #[error(transparent)]
    Node(#[from] StartError),
    /// There is no [`AgentBuilder::identity`](crate::AgentBuilder::identity).
    #[error("there is no identity to enrol")]
    NoIdentity,
}

/// The reason why a registration ended. Continues "registration lost: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// The node answered `RR1`: the node does not let this agent take over from one that has registered
    /// since, the user was removed, or the node's settings no longer let the user register from here.
    #[error("somebody else is registered as you, or you were taken off the roster")]
    NoSuchUser,
    /// The node refused every proof: it no longer knows this agent's key.
    #[error("the node does not know this agent's key")]
    KeyNotKnown,
    /// The node saw this agent elsewhere than it is, so nothing was proved.
    #[error(transparent)]
    SeenElsewhere(SeenElsewhere),
    /// The node was asked as often as the schedule says.
    #[error("node {node} does not answer{}", after(.unsent))]
    NoAnswer {
        /// The node.
        node: NodeAddress,
        /// The reason why the last attempt could not be sent, if it could not.
        unsent: Option<SystemError>,
    },
}

/// The reason why a user was not located. Continues "cannot reach joya@cc.com: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// The answer was `RL1`.
    #[error("user is busy")]
    Busy,
    /// The answer was `RL2`.
    #[error("no such user or domain")]
    NoSuchUser,
    /// The answer was `RL3`.
    #[error("user is offline")]
    Offline,
    /// The node was asked as often as the schedule says.
    #[error("node {node} does not answer{}", after(.unsent))]
    NoAnswer {
        /// This agent's node, not the node of the user.
        node: NodeAddress,
        /// The reason why the last attempt could not be sent, if it could not.
        unsent: Option<SystemError>,
    },
    /// The node was asked as often as the schedule says, and answers: the node or the agent of the user is
    /// silent.
    #[error("no answer from its node or agent (node {node} answers)")]
    PeerSilent {
        /// This agent's node.
        node: NodeAddress,
    },
    /// The user's agent published an address that nobody has: 0.0.0.0, multicast, broadcast.
    #[error("the user's agent gave {0} as its address, which cannot be called")]
    Unusable(MiSocketAddress),
    /// The user's agent published a loopback address, and the node is not at one. A service of this host
    /// could be there.
    #[error("the user's agent gave {0} as its address, which leads back to this host")]
    Loopback(MiSocketAddress),
    /// The user's agent published an address outside of [`AgentBuilder::dial`](crate::AgentBuilder::dial).
    #[error("the user's agent gave {0} as its address, which you do not call")]
    NotAmongDialled(MiSocketAddress),
    /// The answer cannot be read.
    #[error("the answer cannot be used: {0}")]
    Malformed(DecodeError),
    /// The agent has been shut down.
    #[error("the agent has ended")]
    Ended,
}

/// The reason why there is no conversation with a user. Continues "cannot reach joya@cc.com: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The user was not located.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The user's agent was located, but does not accept the connection, or does not give its nickname.
    #[error("{to} does not accept the connection")]
    NotAccepted {
        /// The user that was called.
        to: MiAddress,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// The conversation would not be as secure as it must be. Nothing was said.
    #[cfg(feature = "secure")]
    #[error(transparent)]
    NotSecure(#[from] NotSecure),
    /// The callee proved to have another key than the one that is known. Nothing was said.
    ///
    /// The user may have a new machine, or somebody sits in between: only the user can tell, by the words of
    /// the key.
    #[cfg(feature = "secure")]
    #[error("its key is not the one known since {}", known.since)]
    KeyChanged {
        /// The key that is known; the one believed most, if there are several.
        known: Pin,
        /// The key that the callee has.
        offered: PublicKey,
    },
    /// The keys of other users cannot be read.
    #[cfg(feature = "secure")]
    #[error("the keys that are known cannot be read")]
    Trust(#[source] io::Error),
    /// This agent has as many conversations as it may.
    #[error("you have as many conversations as you may; end one first")]
    Engaged,
    /// The user called is the agent's own.
    #[error("that is your own address")]
    Yourself,
}

impl CallError {
    /// Returns whether the same call may succeed later, without anybody changing an address or a setting: the
    /// user is busy or offline, something did not answer, or this agent is in a conversation.
    ///
    /// A user that the node does not know yet counts as permanent. Wait between two calls, and longer each
    /// time.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Locate(error) => {
                matches!(
                    error,
                    LocateError::Busy
                        | LocateError::Offline
                        | LocateError::NoAnswer { .. }
                        | LocateError::PeerSilent { .. }
                )
            }
            Self::NotAccepted { .. } | Self::Engaged => true,
            Self::Yourself => false,
            #[cfg(feature = "secure")]
            Self::NotSecure(_) | Self::KeyChanged { .. } | Self::Trust(_) => false,
        }
    }
}

/// The reason why a caller was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IncomingError {
    /// The caller waited too long, and was refused.
    #[error("the caller waited too long")]
    TooLate,
    /// The caller left without having said anything.
    #[error("the caller has left")]
    CallerLeft,
    /// The agent ends.
    #[error("the agent has ended")]
    Ended,
}

/// The reason why the user was not deregistered. Continues "cannot deregister laura@bb.com: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeregisterError {
    /// The node answered `RD1`: the user was removed, or is registered from elsewhere since, and stays so.
    #[error("no such user at its node, or registered from elsewhere since")]
    NoSuchUser,
    /// The node saw this agent elsewhere than it is, so nothing was proved.
    #[error(transparent)]
    SeenElsewhere(SeenElsewhere),
    /// The node was asked as often as the schedule says.
    #[error("node {node} does not answer{}", after(.unsent))]
    NoAnswer {
        /// The node.
        node: NodeAddress,
        /// The reason why the last attempt could not be sent, if it could not.
        unsent: Option<SystemError>,
    },
    /// The runtime of the agent ended before the node answered.
    #[error("the agent has ended")]
    Ended,
}

/// The reason why a line was not handed over. Nothing of it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The conversation has ended, or this side has hung up.
    #[error("the conversation has ended")]
    Ended,
    /// The line has a byte that no frame may carry, or is longer than [`MAX_LINE`](crate::MAX_LINE).
    #[error("the line {0}")]
    Text(TextError),
}

/// The reason why a line was not handed over or queued, by an operation that does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SayError {
    /// The line has a byte that no frame may carry, or is longer than [`MAX_LINE`](crate::MAX_LINE).
    #[error("the line {0}")]
    Text(TextError),
    /// No more lines may wait.
    #[error("too many lines wait to be sent")]
    Full,
    /// The conversation has ended, or this side has hung up.
    #[error("the conversation has ended")]
    Ended,
}

/// A failure of a conversation that had begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConversationError {
    /// The user's agent refused the call with this text: the user is in another conversation, or does not
    /// want this caller. The conversation is over.
    ///
    /// Only an agent of this library is recognized. Other agents refuse with a line that looks like any
    /// other.
    #[error("the call was refused: {0}")]
    Refused(PeerText),
    /// This agent ended the conversation of a caller, because another one called and this one was silent,
    /// said too much, or was one of many from its address. See
    /// [`AgentBuilder::conversations`](crate::AgentBuilder::conversations).
    #[error("it gave way to another caller: {0}")]
    GaveWay(GaveWay),
    /// The connection broke: neither side ended the conversation.
    #[error("connection lost")]
    Lost(#[source] io::Error),
    /// The peer was gone before everything was sent: this number of frames, of which a long line takes
    /// several.
    #[error("the peer was gone before everything was sent ({0} frames are left)")]
    Unsent(usize),
}

impl ConversationError {
    /// Returns whether the callee refused the key of this agent: it knows another one for the agent's user.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::Refused(text) if text.raw().starts_with(KEY))
    }

    /// Returns whether the callee refused the call because it is not as secure as the callee wants it: plain,
    /// or with a key that is not known well enough there. Waiting does not help.
    pub fn is_about_security(&self) -> bool {
        matches!(self, Self::Refused(text) if is_of_level(text.raw()))
    }
}

/// An error of the system, in its own words: "Network is unreachable (os error 101)".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemError(i32);

impl SystemError {
    /// Returns the error that the system gave as `error`, if it gave one.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.raw_os_error().map(Self)
    }

    /// Returns its number, errno(3).
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

/// Returns the end of a sentence for a reason, if there is one.
fn after(reason: &Option<SystemError>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

impl From<TextError> for SendError {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl From<TextError> for SayError {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl From<SendError> for SayError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Ended => Self::Ended,
            SendError::Text(error) => Self::Text(error),
        }
    }
}
