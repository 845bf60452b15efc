//! The laws that must hold after every event, whatever the network and attackers do (protocol.md §9).
//!
//! Each law is checked from outside: by what a program received and sent, and by what it reports of itself.

mod agent;
mod conversation;
mod keys;
mod limiter;
mod lookups;
mod node;
mod offers;
mod owed;
mod proofs;
mod registrations;
mod requests;
mod step;

use std::fmt;

pub(super) use agent::{AgentLaws, Cause};
pub(super) use conversation::ConversationLaws;
pub(super) use keys::KeyLaws;
pub(super) use node::{NodeLaws, Promise};

/// A law of the simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// No program of ours panics.
    NoPanic,
    /// A user is online where it registered, if the rules allow that, and nowhere else.
    OneOwner,
    /// Only the address at which a user is online can take the user offline.
    NoForeignDeregistration,
    /// Five requests without an answer, each some time after the one before, take a user offline. Any sign of
    /// life brings the user back.
    Strikes,
    /// No more `RL`s go out than `PL`s came in for each pair of names and each asker, and each while the `PL`
    /// lives.
    OneReplyPerRequest,
    /// An `RL` passes only if it comes from where the `PL` was sent.
    ReplyFromWhereAsked,
    /// An `RL` that answers a pending request comes back to its asker.
    RepliesPass,
    /// An online user who asks is answered, whatever others do. The module `owed` says exactly when.
    AskersAreAnswered,
    /// An agent that answers is never taken for gone: not by a question if an answer of the agent has come to
    /// the host of the node since the strike before, even if a flood from the agent's address keeps it out.
    AnswerersStayOnline,
    /// A `PL` goes to another node only if it comes from the address of an online user of this node.
    NoOpenProxy,
    /// An `RL` for a user of a node who is online goes to that user's address only, and nobody else asks in
    /// the user's name.
    OneAsker,
    /// A user with a key is online only where a key of the node's file has proved it: for a challenge that
    /// was given to that very socket, since the last accepted proof of the user and not long ago.
    OnlyProvenBindings,
    /// An `RL` for a user with a key goes only where a proof has bound the user.
    OnlyBindingsAreAnswered,
    /// A `PL` goes from node to node at most once, and never back to the node that sends it.
    OneHop,
    /// A message that must not be answered is not answered, and changes nothing.
    Silence,
    /// One datagram leads to at most one, which is not much longer.
    NoAmplification,
    /// No message is longer than 100 bytes.
    ShortMessages,
    /// Tables stay within their bounds.
    Bounds,
    /// The world of a seed ends within the time that its runner allows.
    SeedTimeout,
    /// The number of datagrams in flight has a bound, so no datagram leads to more and more of them.
    InFlight,
    /// A name is looked up once at a time. Results and failures are remembered, but not too long.
    LookUps,
    /// A source is admitted as often as the rate limit says, no more and no less.
    RateLimit,
    /// An agent's address is never passed on as 0.0.0.0.
    KnownAddress,
    /// The log has one line for each message.
    OneLinePerMessage,
    /// Requests end once and in time, and are repeated no more often than allowed.
    RequestsEnd,
    /// An answer is accepted only if it comes from the node and names what was asked.
    RightAnswer,
    /// An agent answers every asker: with its address, or that it is busy. A blocked asker always hears that
    /// it is busy.
    AgentsAnswer,
    /// A blocked asker never learns where an agent is. The agent's user learns of the refusal, once a minute.
    Refusals,
    /// A lookup without interference gives the address of the user that was looked for.
    RightAddress,
    /// Nothing that our programs send ends an emulator.
    NoDeathByUs,
    /// Every line of a conversation is heard, whole and in order, and the conversation ends.
    NoLineLost,
    /// A conversation in which something goes wrong ends, and within the bounds that it has.
    ConversationsEnd,
    /// Each line that is handed over is written or reported as unsent, and each other one as unsaid.
    LinesAreCounted,
    /// A connection that breaks in a conversation is reported as lost, and no other one is.
    LossIsReported,
    /// Only the caller that waits longest loses its slot, and only if its address or all callers have too
    /// many. Callers reach the program unless they are blocked or it is busy, and a blocked caller takes no
    /// room.
    CallersAreHeard,
    /// A frame is complete within 10 s of its first byte. Otherwise the conversation ends. Other bytes do not
    /// wait.
    FramesEnd,
    /// No bytes are unread when a connection is closed. The kernel would send RST instead of FIN.
    NoReset,
    /// A frame or a FIN is written only after the one before it has been written.
    OneWrite,
    /// Once the network has healed, agents of ours register again automatically.
    AgentsComeBack,
    /// Once the network has healed, the agents of every live pair find each other within 6 s.
    PairsFindEachOther,
    /// An administrator's changes to the roster take effect.
    Administration,
    /// The answer to a change leaves once the change is saved, and each is given once and in order. A store
    /// that is slow or fails costs the promise and not the answer.
    SavedBeforeAnswered,
    /// No question, and nothing else, reaches an agent between its request and the answer.
    NothingBeforeAnswer,
    /// Nothing that an agent was promised is lost by a crash.
    AnsweredIsKept,
    /// An agent begins to encrypt only if the answer of the callee has just offered it.
    TlsIsOffered,
    /// Nobody talks in plain text with a user whose key is known, or is told so, unless the user permits it
    /// or keys are off.
    NoPlainText,
    /// A user whose key is known is only whoever proves to have it, in calls of both directions.
    KeysProveUsers,
    /// A conversation has at least the protection that the level says.
    LevelsHold,
    /// The keys that are known of a user change only by the first call and by the word of the agent's user.
    KeysStay,
    /// Neither keys nor levels end a call that they allow.
    KeysKeepNobodyOut,
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
            Self::AskersAreAnswered => "an online user who asks is answered, whatever others do",
            Self::AnswerersStayOnline => "an agent that answers is never taken for gone",
            Self::NoOpenProxy => "a PL is proxied only for online users",
            Self::OneAsker => "only the user asks in the user's name",
            Self::OnlyProvenBindings => "a user with a key is where a proof says",
            Self::OnlyBindingsAreAnswered => "an RL for a user with a key goes to its binding",
            Self::OneHop => "a PL goes from node to node at most once",
            Self::Silence => "what is not to be answered is not, and changes nothing",
            Self::NoAmplification => "one datagram for one",
            Self::ShortMessages => "no message has more than 100 bytes",
            Self::Bounds => "tables have their bounds",
            Self::SeedTimeout => "a seed ends in its time",
            Self::InFlight => "what is in flight has its bound",
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
            Self::ConversationsEnd => "a conversation ends in its time",
            Self::LinesAreCounted => "what is handed over is written or reported",
            Self::LossIsReported => "a loss is reported, and is one",
            Self::CallersAreHeard => "callers keep their slots and are heard",
            Self::FramesEnd => "a frame that has begun ends in its time",
            Self::NoReset => "a connection is closed when everything has been read",
            Self::OneWrite => "one write at a time",
            Self::AgentsComeBack => "agents are registered again once the network has healed",
            Self::PairsFindEachOther => "pairs find each other once the network has healed",
            Self::Administration => "an administrator's changes hold",
            Self::SavedBeforeAnswered => "a change is saved before it is answered, once and in order",
            Self::NothingBeforeAnswer => "nothing comes between a request and its answer",
            Self::AnsweredIsKept => "a crash loses nothing that was promised",
            Self::TlsIsOffered => "encryption begins only where it was offered",
            Self::NoPlainText => "a user whose key is known is not talked with in plain text",
            Self::KeysProveUsers => "a user whose key is known is nobody without it",
            Self::LevelsHold => "a conversation is as protected as the level says",
            Self::KeysStay => "known keys change by a first call and by the user's word",
            Self::KeysKeepNobodyOut => "keys end no call that they allow",
        })
    }
}

/// A broken law and its details.
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
