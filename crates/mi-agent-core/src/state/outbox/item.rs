//! A message that waits for its receiver.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use plumi_proto::MiAddress;

use crate::security::Security;

/// A time of an outbox, in milliseconds since 1970 UTC, by a clock that counts the sleep of the host and never
/// goes back, see [`OutboxClock`](crate::OutboxClock).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxTime(pub u64);

impl Add<Duration> for OutboxTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub for OutboxTime {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Names one message of an outbox: 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

impl ItemId {
    /// Returns one that no other message has, as far as chance allows.
    pub fn random() -> Self {
        // The keys of the hash are random. Nobody gains anything by guessing them.
        let mut hash = RandomState::new().build_hasher();
        hash.write_u8(0);
        Self(hash.finish())
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ItemId {
    type Err = ItemIdError;

    fn from_str(text: &str) -> Result<Self, ItemIdError> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or(ItemIdError)
    }
}

/// A text is no [`ItemId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the id of a message, which has 16 hexadecimal digits")]
pub struct ItemIdError;

/// A message of an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxItem {
    /// The name of the message.
    pub id: ItemId,
    /// Its receiver.
    pub to: MiAddress,
    /// The time at which it was written.
    pub at: OutboxTime,
    /// The time until which it is delivered.
    pub until: OutboxTime,
    /// Its text, of 1 to [`MAX_ITEM`] bytes.
    pub text: String,
    /// The least protection of the conversation that carries it. The agent's own level holds as well.
    pub needs: Security,
    /// What has become of it.
    pub state: ItemState,
}

impl OutboxItem {
    /// Creates a message that is queued at `at` and kept for so long, within [`SHORTEST_KEEP`] and
    /// [`LONGEST_KEEP`].
    pub fn new(to: MiAddress, text: String, at: OutboxTime, keep: Duration) -> Self {
        let until = at + keep.clamp(SHORTEST_KEEP, LONGEST_KEEP);
        let (id, needs, state) = (ItemId::random(), Security::Off, ItemState::Queued);
        Self { id, to, at, until, text, needs, state }
    }

    /// Returns the lines that a peer gets who has no frames for a whole message. If it is late, the first one
    /// begins with the time at which the message was written, as `time` words it.
    pub fn lines(&self, now: OutboxTime, time: impl FnOnce(OutboxTime) -> String) -> Vec<String> {
        let mut lines: Vec<_> =
            self.text.lines().flat_map(|line| line.split('\r')).map(str::to_owned).collect();
        if now - self.at > LATE
            && let Some(first) = lines.first_mut()
        {
            *first = format!("[{}] {first}", time(self.at));
        }
        lines
    }
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ItemState {
    /// It waits for its receiver.
    Queued,
    /// It is being delivered.
    Trying,
    /// All of it was sent, and the receiver's program has read it to the end, or has ended the conversation in
    /// order.
    Sent,
    /// The conversation broke while it was sent, or this program ended. It may have arrived. It is not sent
    /// again unless the user says so.
    Unsure,
    /// It was kept for as long as it should be.
    Expired,
    /// The domain has no such user.
    Undeliverable,
    /// The user has dropped it.
    Forgotten,
}

impl ItemState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Trying,
        Self::Sent,
        Self::Unsure,
        Self::Expired,
        Self::Undeliverable,
        Self::Forgotten,
    ];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Trying => "trying",
            Self::Sent => "sent",
            Self::Unsure => "unsure",
            Self::Expired => "expired",
            Self::Undeliverable => "undeliverable",
            Self::Forgotten => "forgotten",
        }
    }

    /// Returns whether nothing comes after it: the message leaves the outbox.
    pub fn is_last(self) -> bool {
        matches!(self, Self::Sent | Self::Expired | Self::Forgotten)
    }
}

impl FromStr for ItemState {
    type Err = ItemStateError;

    fn from_str(text: &str) -> Result<Self, ItemStateError> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(ItemStateError)
    }
}

/// A text is no [`ItemState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no state of a message")]
pub struct ItemStateError;

impl fmt::Display for ItemState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The most bytes of the text of a message.
pub const MAX_ITEM: usize = 4_096;

/// The time for which a message is kept, unless its writer says otherwise.
pub const DEFAULT_KEEP: Duration = Duration::from_secs(72 * 60 * 60);

/// The shortest time for which a message is kept.
pub const SHORTEST_KEEP: Duration = Duration::from_secs(60 * 60);

/// The longest time for which a message is kept.
pub const LONGEST_KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The age from which on a message says when it was written.
const LATE: Duration = Duration::from_secs(120);
