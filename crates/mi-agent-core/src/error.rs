//! Why an operation of an agent failed: one enum each, whose text is the reason in words.

use std::io;
use std::net::SocketAddrV4;

use lumi_dns::LookupError;
use mi_proto::TextError;
use plumi_proto::{DecodeError, Domain, MiAddress, MiSocketAddress};

/// Why an agent did not start. Reads on from "cannot register laura@bb.com: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// `RR1`.
    #[error("no such user at its node")]
    NoSuchUser,
    /// The user's domain has no node that could be found.
    #[error("domain {domain} {error}")]
    Domain {
        /// The domain.
        domain: Domain,
        /// Why not.
        error: LookupError,
    },
    /// The node was asked as often as the schedule says.
    #[error("node {node} does not answer")]
    NoAnswer {
        /// The node.
        node: SocketAddrV4,
    },
    /// The TCP port for conversations cannot be had.
    #[error("cannot listen for conversations on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddrV4,
        /// Why not.
        error: io::Error,
    },
    /// There is no way to the node from this host.
    #[error("cannot reach node {node}: {error}")]
    Unreachable {
        /// The node.
        node: SocketAddrV4,
        /// Why not.
        error: io::Error,
    },
    /// The default nickname, the user's name, was replaced by one that cannot be sent.
    #[error("the nickname {0}")]
    Nickname(TextError),
    /// It was given up before the node answered, see
    /// [`AgentBuilder::start_unless`](crate::AgentBuilder::start_unless).
    #[error("interrupted")]
    Interrupted,
}

/// Why a user is registered no longer. Reads on from "registration lost: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// `RR1`: the user was removed, or the node lets nobody take over from an agent that has registered since.
    #[error("no such user at its node, or registered from elsewhere since")]
    NoSuchUser,
    /// The node was asked as often as the schedule says.
    #[error("node {node} does not answer")]
    NoAnswer {
        /// The node.
        node: SocketAddrV4,
    },
}

/// Why a user could not be located. Reads on from "cannot reach joya@cc.com: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// `RL1`.
    #[error("user is busy")]
    Busy,
    /// `RL2`.
    #[error("no such user or domain")]
    NoSuchUser,
    /// `RL3`.
    #[error("user is offline")]
    Offline,
    /// The node was asked as often as the schedule says.
    #[error("node {node} does not answer")]
    NoAnswer {
        /// This agent's node, not the one of the user.
        node: SocketAddrV4,
    },
    /// The user's agent published an address where nobody can be: 0.0.0.0, multicast, broadcast.
    #[error("the user's agent gave {0} as its address, which cannot be called")]
    Unusable(MiSocketAddress),
    /// The answer cannot be read.
    #[error("the answer cannot be used: {0}")]
    Malformed(DecodeError),
    /// The agent has been shut down.
    #[error("the agent has ended")]
    Ended,
}

/// Why there is no conversation with a user. Reads on from "cannot reach joya@cc.com: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The user was not located.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The user's agent was located, but does not take the connection, or does not give its nickname.
    #[error("{to} does not accept the connection")]
    NotAccepted {
        /// Who was called.
        to: MiAddress,
        /// What went wrong.
        #[source]
        error: io::Error,
    },
    /// This agent has as many conversations as it may.
    #[error("you are in a conversation already")]
    Engaged,
    /// The user called is the agent's own.
    #[error("that is your own address")]
    Yourself,
}

/// Why the user was not deregistered. Reads on from "cannot deregister laura@bb.com: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeregisterError {
    /// `RD1`: the user was removed; or is registered from elsewhere since, and stays so.
    #[error("no such user at its node, or registered from elsewhere since")]
    NoSuchUser,
    /// The node was asked as often as the schedule says.
    #[error("node {node} does not answer")]
    NoAnswer {
        /// The node.
        node: SocketAddrV4,
    },
    /// The agent has been shut down before.
    #[error("the agent has ended")]
    Ended,
}

/// Why a line was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The conversation has ended.
    #[error("the conversation has ended")]
    Ended,
    /// The line has a byte that no frame may carry. Nothing of it was sent.
    #[error("the line {0}")]
    Text(#[from] TextError),
}

/// What went wrong with a conversation that had begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConversationError {
    /// The connection broke: neither side ended the conversation.
    #[error("connection lost: {0}")]
    Lost(#[source] io::Error),
    /// The peer was gone before everything was sent: so many frames, of which a long line takes several.
    #[error("the peer was gone before everything was sent ({0} frames are left)")]
    Unsent(usize),
}
