//! What must hold after every event, whatever the network and its strangers do (protocol.md §9).
//!
//! Each law is checked from outside: by what a program received and sent, and by what it says of itself.

mod agent;
mod limiter;
mod lookups;
mod node;
mod registrations;
mod requests;

use std::fmt;

pub(super) use agent::{AgentLaws, Cause};
pub(super) use node::NodeLaws;

/// A law of the simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// No program of ours panics.
    NoPanic,
    /// A user is online where it registered, if the rules let it, and nowhere else.
    OneOwner,
    /// Only the address that a user is online at takes the user offline.
    NoForeignDeregistration,
    /// Five questions without an answer, each some time after the one before, take a user offline, and any sign of
    /// life brings the user back.
    Strikes,
    /// For every pair of names and asker, no more `RL`s go out than `PL`s came in, and each while the `PL` lives.
    OneReplyPerRequest,
    /// An `RL` passes only from where the `PL` was sent to.
    ReplyFromWhereAsked,
    /// An `RL` that answers a question that is pending comes back to its asker.
    RepliesPass,
    /// A `PL` goes to another node only for a user of this one, who is online where it comes from.
    NoOpenProxy,
    /// A `PL` goes from one node to another at most once, and never to the node that sends it.
    OneHop,
    /// What is not to be answered is not, and changes nothing.
    Silence,
    /// One datagram for one, and not much longer.
    NoAmplification,
    /// No message has more than 100 bytes.
    ShortMessages,
    /// Tables have their bounds.
    Bounds,
    /// A name is looked up once at a time; what was found and what failed are remembered, and not for too long.
    LookUps,
    /// A source is let in as often as the rate limit says, no more and no less.
    RateLimit,
    /// An agent's address is never handed on as 0.0.0.0.
    KnownAddress,
    /// One line in the log for every message.
    OneLinePerMessage,
    /// Requests end once and in their time, and are sent as often as they may be.
    RequestsEnd,
    /// An answer is believed only if it comes from the node and names what was asked.
    RightAnswer,
    /// An agent tells every asker where it is, or that it is busy, as it says to whom its user blocks.
    AgentsAnswer,
    /// Who is blocked is never told where an agent is, and its user hears of a refusal, once a minute.
    Refusals,
    /// A lookup that nobody interfered with gives the address of who was looked for.
    RightAddress,
    /// Nothing that our programs send ends an emulator.
    NoDeathByUs,
    /// In a conversation, what was said is heard, whole and in order.
    NoLineLost,
    /// Once the network has healed, agents of ours are registered again by themselves.
    AgentsComeBack,
    /// Once the network has healed, every live pair finds each other within 6 s.
    PairsFindEachOther,
    /// An administrator's changes of the roster hold.
    Administration,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPanic => "no program of ours panics",
            Self::OneOwner => "a user is online where it registered, and nowhere else",
            Self::NoForeignDeregistration => "only the address that a user is online at takes it offline",
            Self::Strikes => {
                "five spaced questions without an answer are needed, and a sign of life undoes them"
            }
            Self::OneReplyPerRequest => "one RL for a PL, while it lives",
            Self::ReplyFromWhereAsked => "an RL passes only from where the PL was sent",
            Self::RepliesPass => "an RL that is waited for passes",
            Self::NoOpenProxy => "a PL is proxied only for online users",
            Self::OneHop => "a PL goes from node to node at most once",
            Self::Silence => "what is not to be answered is not, and changes nothing",
            Self::NoAmplification => "one datagram for one",
            Self::ShortMessages => "no message has more than 100 bytes",
            Self::Bounds => "tables have their bounds",
            Self::LookUps => "look-ups are one at a time and remembered",
            Self::RateLimit => "the rate limit is kept, and is fair",
            Self::KnownAddress => "0.0.0.0 is never handed on",
            Self::OneLinePerMessage => "one line in the log for every message",
            Self::RequestsEnd => "requests end once and in their time",
            Self::RightAnswer => "an answer is believed only if it is one",
            Self::AgentsAnswer => "agents answer who asks",
            Self::Refusals => "who is blocked is told nothing, and its user of it",
            Self::RightAddress => "a lookup gives the right address",
            Self::NoDeathByUs => "nothing we send ends an emulator",
            Self::NoLineLost => "what was said is heard",
            Self::AgentsComeBack => "agents are registered again once the network has healed",
            Self::PairsFindEachOther => "pairs find each other once the network has healed",
            Self::Administration => "an administrator's changes hold",
        })
    }
}

/// A law that was broken, and how.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) law: Law,
    pub(super) what: String,
}

/// Returns a [`Violation`] of this law unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $law:ident, $($what:tt)+) => {
        if !$holds {
            return Err($crate::simulation::laws::Violation {
                law: $crate::simulation::laws::Law::$law,
                what: format!($($what)+),
            });
        }
    };
}
pub(super) use ensure;
