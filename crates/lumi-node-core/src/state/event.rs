//! The events of users, for the program around a node.

use std::collections::VecDeque;

use plumi_proto::{LocateOutcome, MiAddress, UdpAddress, UserName};

use super::notice::Notices;

/// A change of who is online, or an answer to a location request. See
/// [`Node::poll_event`](crate::Node::poll_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A user came online: by a registration, or because the agent of a user who had counted as gone was
    /// heard again. A registration that only repeats another one is no event.
    Registered {
        /// The user.
        user: UserName,
        /// The UDP address of the user's agent.
        at: UdpAddress,
    },
    /// An online user registered from another address.
    Moved {
        /// The user.
        user: UserName,
        /// The UDP address before.
        from: UdpAddress,
        /// The UDP address now.
        to: UdpAddress,
    },
    /// An online user went offline.
    Gone {
        /// The user.
        user: UserName,
        /// The UDP address where the user was online.
        from: UdpAddress,
        /// The reason.
        reason: GoneReason,
    },
    /// A location request was answered, by this node or by another node or agent through it.
    Located {
        /// The user who asked.
        from: MiAddress,
        /// The user who was asked for.
        to: MiAddress,
        /// The answer.
        outcome: LocateOutcome,
    },
}

impl NodeEvent {
    /// Returns the user of this node whom it is about, unless it is about a location request.
    pub(super) fn user(&self) -> Option<UserName> {
        match *self {
            Self::Registered { user, .. } | Self::Moved { user, .. } | Self::Gone { user, .. } => Some(user),
            Self::Located { .. } => None,
        }
    }

    /// Returns whether the event may have one of `room` places. A request costs a stranger one datagram, so
    /// requests leave half of the places to what happens to users.
    pub(crate) fn has_room(&self, room: usize) -> bool {
        room > if matches!(self, Self::Located { .. }) { MAX_EVENTS / 2 } else { 0 }
    }
}

/// The reason why a user went offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoneReason {
    /// The user's agent deregistered.
    Deregistered,
    /// The user's agent left too many location requests without an answer.
    Silent,
    /// The user does not belong to the domain any more.
    Removed,
    /// The registration has to be proved, and no key that the user has proved it.
    Unproved,
    /// The user registered later at another node of the domain, or the registration was ended there.
    Elsewhere,
}

/// The events that wait to be polled.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// `None`: nobody listens.
    waiting: Option<VecDeque<NodeEvent>>,
    missed: u64,
    pub(super) notices: Notices,
}

impl Events {
    /// Begins or ends to keep events. What waits is dropped.
    pub(super) fn report(&mut self, is_wanted: bool) {
        self.waiting = is_wanted.then(VecDeque::new);
    }

    /// Keeps an event if somebody listens and there is room.
    pub(super) fn push(&mut self, event: NodeEvent) {
        match &mut self.waiting {
            None => {}
            Some(waiting) if event.has_room(MAX_EVENTS - waiting.len()) => waiting.push_back(event),
            Some(_) => self.missed += 1,
        }
    }

    /// Returns the number of events that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.as_ref().map_or(0, VecDeque::len)
    }

    /// Takes the events back that were kept since there were `len`.
    pub(super) fn take_since(&mut self, len: usize) -> VecDeque<NodeEvent> {
        match &mut self.waiting {
            Some(waiting) if waiting.len() > len => waiting.split_off(len),
            _ => VecDeque::new(),
        }
    }

    pub(super) fn pop(&mut self) -> Option<NodeEvent> {
        self.waiting.as_mut()?.pop_front()
    }

    /// Returns the number of events that found no room.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }
}

/// The limit of events that wait: about 200 KiB. A listener reads them after each datagram, and only a reload
/// that removes more users than this has more at once.
pub(crate) const MAX_EVENTS: usize = 1_024;
