//! The effects of a [`LumiClient`](crate::LumiClient).

use plumi_proto::{Challenge, Message, MiAddress, NodeAddress, Verb};

use super::admission::Refusal;
use super::request::{LumiAnswer, RequestId};
use super::source::SeenElsewhere;

/// An effect that a [`LumiClient`](crate::LumiClient) asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LumiOutput {
    /// Send this message to the node, which is at [`LumiClient::node`](crate::LumiClient::node) now.
    Transmit(Message),
    /// Sign this challenge with the user's key, and send the proof to exactly this address.
    ///
    /// Returned only with [`ClientSettings::proofs`](crate::ClientSettings::proofs).
    Prove {
        /// The sender of the challenge.
        node: NodeAddress,
        /// The request that is proved.
        verb: Verb,
        /// The challenge.
        challenge: Challenge,
    },
    /// The node has asked for a proof, and registered the user by it: it knows the user's key.
    Proved,
    /// The node was asked for a challenge, and registered the user without one.
    Unproved,
    /// The node is silent. Look its domain up again, and pass what is found to
    /// [`LumiClient::handle_found`](crate::LumiClient::handle_found).
    ///
    /// Returned every [`RETRY`](crate::RETRY) at most, and only with
    /// [`ClientSettings::finds_node`](crate::ClientSettings::finds_node).
    FindNode,
    /// This request has ended.
    Done(RequestId, LumiAnswer),
    /// The registration was lost or regained without a request of the user.
    Registration(RegistrationChange),
    /// A user asked for this one and was answered "busy".
    ///
    /// Reported once a minute for each asker and reason, and for so few askers that they do not fill the
    /// events of an agent.
    Missed {
        /// The asker.
        from: MiAddress,
        /// The reason for the answer.
        reason: Refusal,
    },
}

/// A change of the registration that the agent noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationChange {
    /// As far as the agent knows, nobody can find the user. The agent tries again every
    /// [`RETRY`](crate::RETRY).
    Lost(LossReason),
    /// The user is registered again.
    Regained,
}

/// The reason why a registration is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossReason {
    /// `RR1`: the user was removed, or another agent has registered since and the node does not allow
    /// takeovers.
    NoSuchUser,
    /// The node did not answer any attempt of the schedule.
    NoAnswer,
    /// `RR1` to every proof: the node does not know this agent's key.
    KeyNotKnown,
    /// The node saw this agent elsewhere than it is, so nothing was proved.
    SeenElsewhere(SeenElsewhere),
}
