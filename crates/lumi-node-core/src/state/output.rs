//! The effects that a node asks for.

use lumi_bindings::{BindingChange, Entry, SaveId};
use plumi_proto::{Domain, HostIp, Message, UdpAddress, UserName};

use super::admin::{AdminId, AdminReply, RosterChange};
#[cfg(feature = "proof")]
use super::enrolment::EnrolRequest;
use super::lookups::LookupId;

/// An effect that a [`Node`](crate::Node) asks for. Every effect leaves a node this way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send this message.
    Transmit {
        /// The receiver.
        to: UdpAddress,
        /// The address of this host to send from: the one that the receiver sent to, see
        /// [`Party::heard_at`](crate::Party::heard_at). `None` leaves the choice to the kernel.
        source: Option<HostIp>,
        /// The message.
        message: Message,
    },
    /// Find the node of this domain, and pass the result to
    /// [`Node::handle_resolved`](crate::Node::handle_resolved).
    Resolve {
        /// Identifies the look-up.
        id: LookupId,
        /// The domain.
        domain: Domain,
        /// The look-up that is given up for it, if too many were under way. Its result is not wanted any
        /// more.
        instead_of: Option<LookupId>,
    },
    /// Save this change of the roster durably, and pass the result to
    /// [`Node::handle_roster_saved`](crate::Node::handle_roster_saved).
    SaveRoster {
        /// The command that the change belongs to.
        id: AdminId,
        /// The change.
        change: RosterChange,
    },
    /// Read the roster again, and pass it to [`Node::handle_roster_read`](crate::Node::handle_roster_read).
    ReadRoster {
        /// The command that asks for it.
        id: AdminId,
    },
    /// Save this enrolment, and pass the result to
    /// [`Node::handle_credentials`](crate::Node::handle_credentials) and
    /// [`Node::handle_enrolled`](crate::Node::handle_enrolled). If it cannot be saved, do nothing: the agent
    /// asks again.
    #[cfg(feature = "proof")]
    Enrol {
        /// The enrolment.
        request: Box<EnrolRequest>,
    },
    /// Save this change of a binding, and pass the result to
    /// [`Node::handle_binding_saved`](crate::Node::handle_binding_saved). Only a node of
    /// [`Node::save_bindings`](crate::Node::save_bindings) asks for this. The numbers ascend, and changes are
    /// to be saved in their order.
    SaveBinding {
        /// The number of the change.
        id: SaveId,
        /// The change.
        change: BindingChange,
    },
    /// Claim this entry in the directory of the domain. Only a node of
    /// [`Node::share_domain`](crate::Node::share_domain) asks for this. A claim that loses comes back to
    /// [`Node::handle_directory`](crate::Node::handle_directory).
    Claim {
        /// The user.
        user: UserName,
        /// The entry.
        entry: Entry,
    },
    /// Answer the administrator. The next command may be handled from now on.
    Answer {
        /// The command that is answered.
        id: AdminId,
        /// The answer.
        reply: Box<AdminReply>,
    },
}

/// The change asked for by [`Output::SaveBinding`] was not saved. The caller keeps the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the change of a binding was not saved")]
pub struct BindingNotSaved;

/// A node that shares its domain needs one address at port 3344.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node that shares its domain needs one address, and port 3344")]
pub struct NotOneAddress;

#[cfg(test)]
mod tests {
    use super::*;

    /// The two effects that a datagram can have. Millions of them pass through a queue.
    #[expect(dead_code, reason = "only its size matters")]
    enum OfDatagram {
        Transmit { to: UdpAddress, source: Option<HostIp>, message: Message },
        Resolve { id: LookupId, domain: Domain, instead_of: Option<LookupId> },
    }

    #[test]
    fn an_administrators_effects_make_no_output_larger() {
        assert_eq!(size_of::<Output>(), size_of::<OfDatagram>());
    }
}
