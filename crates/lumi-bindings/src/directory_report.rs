//! The reports of the directory to its node. They are values without a runtime, so that a state machine can
//! decide by them.

use std::time::{Duration, Instant};

use plumi_proto::{HostIp, UserName};

use crate::binding::UnixMillis;
use crate::entry::Entry;

/// Something that the directory did or saw.
///
/// A session with the engine begins with [`Lease`](Self::Lease), goes on with either [`Joining`](Self::Joining)
/// pieces and [`Joined`](Self::Joined), or [`Resumed`](Self::Resumed), and ends with
/// [`CutOff`](Self::CutOff).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectoryReport {
    /// The state of the lease of this node's serving address.
    Lease(LeaseReport),
    /// Entries that the engine has, at most [`MAX_PIECE`]. They may be older than entries reported before:
    /// each is to be merged by [`Entry::beats`].
    Joining(Vec<(UserName, Entry)>),
    /// Everything that the engine has was reported. Now the owner claims all of its own entries, so that the
    /// engine has those that it lost: an entry that is there already costs one comparison.
    Joined,
    /// The engine is the one known before, and every change since the last report follows. Nothing has to be
    /// loaded.
    Resumed,
    /// Entries that were changed by any node, this one included, at most [`MAX_PIECE`].
    Changed(Vec<(UserName, Entry)>),
    /// Claims of this node that are in the engine now.
    Claimed(Vec<(UserName, Entry)>),
    /// Claims of this node that lost, each user with the entry that won. It is to be applied at once.
    Refused(Vec<(UserName, Entry)>),
    /// All nodes of the domain except this one, each 2 s.
    Siblings(Vec<Sibling>),
    /// The wall clock of the engine, and the monotonic time of this host at which it was asked for.
    Time {
        /// The time of the engine.
        engine: UnixMillis,
        /// The time here.
        at: Instant,
    },
    /// The engine is away, or refuses to work. The next session is tried until it begins.
    CutOff {
        /// The reason, in words of the engine or of the system.
        reason: String,
    },
    /// A setting of the engine with which entries can be lost, once for each session.
    Warning(EngineWarning),
    /// This engine cannot be used. The thread has ended.
    Unusable {
        /// The reason.
        reason: String,
    },
}

/// The state of the lease of a serving address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseReport {
    /// This process holds the lease, and the fence has its epoch.
    Taken {
        /// The epoch, which is larger than those of all earlier holders.
        epoch: u64,
        /// The monotonic time at which the lease was asked for. It lasts for [`LEASE`] from then.
        at: Instant,
    },
    /// The lease was renewed, each 2 s.
    Renewed {
        /// The monotonic time at which it was asked for.
        at: Instant,
    },
    /// Another process holds it. It is asked for again each second.
    HeldByAnother {
        /// The time for which the lease lasts if its holder does not renew it.
        left: Duration,
    },
    /// A process with a later epoch has this serving address. This node must send and save nothing from now
    /// on. The thread has ended.
    Fenced {
        /// The later epoch. `None` if another process was found to hold the lease.
        epoch: Option<u64>,
    },
}

/// Another node of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sibling {
    /// Its serving address. Its port is 3344.
    pub serving: HostIp,
    /// Its epoch.
    pub epoch: u64,
    /// Set if nobody serves the address: its lease has been missing, and the engine has answered without a
    /// break, for [`GONE_AFTER`]. An engine that was away or came back empty ends nobody's lease.
    pub is_gone: bool,
}

/// A setting of the engine that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineWarning {
    /// A restart of the engine loses everything.
    #[error("the engine keeps nothing on its disk; set \"appendonly yes\"")]
    NoAppendOnlyFile,
    /// The engine may remove entries when its memory is full.
    #[error("the engine removes entries when its memory is full; set \"maxmemory-policy noeviction\"")]
    Evicts,
    /// The account may not read the engine's settings.
    #[error("the settings of the engine cannot be read; allow \"config|get\" to have them checked")]
    Unchecked,
    /// Entries can be read and changed on their way.
    #[error("the engine is on another host and is not asked over TLS")]
    NotEncrypted,
    /// Entries in the engine that could not be read were ignored.
    #[error("{count} entries in the engine are malformed; they are ignored")]
    Malformed {
        /// Their number in this session.
        count: u64,
    },
}

/// The limit of entries in one report: what a node applies in one turn.
pub const MAX_PIECE: usize = 256;

/// The time for which a lease lasts unless it is renewed.
pub const LEASE: Duration = Duration::from_secs(10);

/// The time for which a lease has to be missing from an engine that answers before it counts as gone. It is
/// longer than a lease.
pub const GONE_AFTER: Duration = Duration::from_secs(12);
