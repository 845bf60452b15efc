//! The requests of an agent to its node, and their outcomes.

use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use plumi_proto::{DecodeError, DeregisterCode, LocateOutcome, MiAddress, RegisterCode};

use super::source::SeenElsewhere;

/// The number of attempts of a request, and the interval between them, a minute at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestSchedule {
    /// The number of times that a request is sent, in all.
    pub attempts: NonZeroU8,
    /// The wait for an answer before the request is sent again, and after it was sent last.
    pub interval: Duration,
}

impl RequestSchedule {
    /// Creates the schedule of a request that is sent `attempts` times, `interval` apart.
    pub const fn new(attempts: NonZeroU8, interval: Duration) -> Self {
        Self { attempts, interval }
    }
}

impl Default for RequestSchedule {
    /// 5 times, 1000 ms apart.
    fn default() -> Self {
        Self { attempts: NonZeroU8::new(5).expect("is not 0"), interval: Duration::from_secs(1) }
    }
}

impl RequestSchedule {
    /// The schedule with an interval that can be added to any time.
    pub(crate) fn bounded(self) -> Self {
        Self { interval: self.interval.min(LONGEST_INTERVAL), ..self }
    }
}

/// Longer intervals are of no use, and the longest ones lead beyond what a clock can show.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// A request of an agent to its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LumiRequest {
    /// Register the agent's user.
    Register,
    /// Deregister the agent's user.
    Deregister,
    /// Asks where this user is.
    Locate(MiAddress),
}

/// Names one request, from [`LumiClient::request`](crate::LumiClient::request) to
/// [`LumiOutput::Done`](crate::LumiOutput::Done).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub(super) u64);

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LumiAnswer {
    /// The answer to [`LumiRequest::Register`].
    Register(RegisterCode),
    /// The answer to [`LumiRequest::Deregister`].
    Deregister(DeregisterCode),
    /// The answer to [`LumiRequest::Locate`].
    Locate {
        /// The place of the user, or the reason why there is none.
        outcome: LocateOutcome,
        /// The user's agent takes encrypted calls, too.
        offers_tls: bool,
    },
    /// The node refused to register the user, asked for a challenge, too: there is no such user, or it does
    /// not know the agent's key.
    NotAdmitted,
    /// The node refused every proof: it does not know the agent's key.
    KeyNotKnown,
    /// The node saw the agent elsewhere than it is, so nothing was proved.
    SeenElsewhere(SeenElsewhere),
    /// It was answered, but what the answer carries is not well-formed.
    Malformed(DecodeError),
    /// A location request was not answered, as often as it was sent, and the agent's node answers: the node
    /// or the agent of the user is silent.
    PeerSilent,
    /// It was not answered, as often as it was sent, and nothing else came from the agent's node.
    None,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: RequestId,
    pub(super) kind: LumiRequest,
    /// It has been sent more than once.
    pub(super) is_repeated: bool,
    /// It has been sent for the last time without an answer. Whether the node answers at all decides how it
    /// ends.
    pub(super) asks_node: bool,
    /// A dialogue of proofs repeats it, and decides how it ends.
    pub(super) is_proving: bool,
    pub(super) attempts_left: u8,
    pub(super) interval: Duration,
    pub(super) next_attempt: Instant,
}

impl Request {
    /// Returns whether an attempt or the end is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next_attempt <= now && !self.is_proving
    }
}
