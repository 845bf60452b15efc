//! The effects of a [`LumiClient`](crate::LumiClient).

use plumi_proto::{Message, MiAddress};

use super::admission::Refusal;
use super::request::{LumiAnswer, RequestId};

/// What a [`LumiClient`](crate::LumiClient) wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LumiOutput {
    /// Send this to the node.
    Transmit(Message),
    /// This request has ended.
    Done(RequestId, LumiAnswer),
    /// The user is registered no longer, or is again, without having asked.
    Registration(RegistrationChange),
    /// Somebody asked where the user is, and is told that the user is busy. Once a minute for each asker and reason, and
    /// of so many askers that they do not fill the events of an agent.
    Missed {
        /// Who asked.
        from: MiAddress,
        /// Why it is told so.
        reason: Refusal,
    },
}

/// The node has the user as online no longer, or does again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationChange {
    /// The user cannot be found any more, as far as the agent can tell. It goes on trying, every [`RETRY`](crate::RETRY).
    Lost(LossReason),
    /// The user is registered again.
    Regained,
}

/// Why a registration is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// `RR1`: the user was removed, or the node lets nobody take over from an agent that has registered since.
    NoSuchUser,
    /// The node was asked as often as the schedule says.
    NoAnswer,
}
