//! The limits and distances of a conversation.

use std::time::Duration;

/// The limit for each half of the greeting: a nickname is one small frame, sent at once.
pub(crate) const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit for a decision about a caller. The caller waits and reads nothing meanwhile.
pub(super) const DECISION_TIMEOUT: Duration = Duration::from_secs(30);

/// The time after which a peer that takes nothing counts as gone, once the conversation ends. It begins again
/// with each byte that the peer takes.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The same before the conversation ends. The peer's program may be suspended, or wait for its user, and its
/// host still answers: the kernel notices within 30 s if that does not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// The time that a peer without a nickname has in a hurry until our FIN; otherwise it has [`LINGER`].
pub(super) const HURRIED_GRACE: Duration = Duration::from_millis(400);

/// The distance of the empty line before our FIN from the frame before it.
pub(super) const FAREWELL: Duration = Duration::from_millis(200);

/// The value of [`FAREWELL`] in a hurry.
pub(super) const HURRIED_FAREWELL: Duration = Duration::from_millis(100);

/// The distance of our FIN from the empty line before it (protocol.md §7, row 21).
pub(super) const FIN_DISTANCE: Duration = Duration::from_millis(20);

/// The time that the peer has for its FIN after ours.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// The value of [`LINGER`] in a hurry. It is spent up to four times: on the write that is out, on our FIN, on
/// the peer's FIN, and on draining bytes. Together that is less than the time a program has when it must end.
pub(crate) const HURRIED_LINGER: Duration = Duration::from_millis(150);
