//! Notices for the administrator.

use std::collections::VecDeque;
use std::time::Duration;

use plumi_proto::{UdpAddress, UserName};

/// Something that an administrator may want to look into. See
/// [`Node::poll_notice`](crate::Node::poll_notice).
///
/// Anybody can cause one with a datagram, so there is at most one of each kind a minute for each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// An online user registered from another IP address: the user has moved, or somebody else took the name
    /// over.
    Moved {
        /// The user.
        user: UserName,
        /// The UDP address before.
        from: UdpAddress,
        /// The UDP address now.
        to: UdpAddress,
        /// Set if the user's key proved the registration, so that nobody has taken the name over.
        is_proved: bool,
    },
    /// A user's key was accepted, by an invitation.
    Enrolled {
        /// The user.
        user: UserName,
        /// The UDP address that it came from.
        from: UdpAddress,
    },
    /// An invitation was used once more, by another key or long after: somebody else may have it.
    InvitationTriedAgain {
        /// The user.
        user: UserName,
        /// The UDP address that it came from.
        from: UdpAddress,
    },
    /// A proof failed: somebody else tries, or the user's agent has a key that this node does not know.
    CannotProve {
        /// The user.
        user: UserName,
        /// The UDP address that it came from.
        from: UdpAddress,
        /// The number of proofs of all users that failed since the last notice of this kind, this one
        /// included.
        failures: u64,
    },
    /// A registration was refused, because it came from none of the addresses that the user may register
    /// from, see [`NodeSettings::users`](crate::NodeSettings::users).
    OutsideRanges {
        /// The user.
        user: UserName,
        /// The UDP address that it came from.
        from: UdpAddress,
    },
}

/// The notices that wait to be polled.
#[derive(Debug, Default)]
pub(super) struct Notices(VecDeque<Notice>);

impl Notices {
    /// Keeps a notice, if there is room.
    pub(super) fn push(&mut self, notice: Notice) {
        if self.0.len() < MAX_NOTICES {
            self.0.push_back(notice);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Notice> {
        self.0.pop_front()
    }
}

/// The shortest time between two notices of a kind about a user.
pub(super) const NOTICE_INTERVAL: Duration = Duration::from_secs(60);

/// The limit of notices that wait. A datagram causes one at most, and a server polls after each of them.
const MAX_NOTICES: usize = 64;
