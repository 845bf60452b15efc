//! Enrolments on their way to the disk and back, and what the disk has.

use std::sync::Arc;

use plumi_proto::{KeyAndMac, MiAddress, UdpAddress};

use super::invitations::Invitations;
use super::keys::{Keys, PublicKey};
use super::party::Party;

/// The invitations, the keys and the node's own key as they are on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialState {
    /// The keys of all users.
    pub keys: Arc<Keys>,
    /// The invitations.
    pub invitations: Arc<Invitations>,
    /// The node's own key. There is one once somebody was invited.
    pub node_key: Option<PublicKey>,
    /// The time by the clock on the wall, in seconds since 1970.
    pub wall: i64,
}

impl CredentialState {
    /// The state of a domain.
    pub fn new(
        keys: Arc<Keys>,
        invitations: Arc<Invitations>,
        node_key: Option<PublicKey>,
        wall: i64,
    ) -> Self {
        Self { keys, invitations, node_key, wall }
    }
}

/// A request to enrol a key by an invitation that is open. [`Output::Enrol`](crate::Output::Enrol) asks for
/// it to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnrolRequest {
    /// The sender, who is answered once the key is saved.
    pub from: Party,
    /// The user.
    pub address: MiAddress,
    /// The key, and the proof that the sender has the invitation.
    pub enrolment: KeyAndMac,
}

impl EnrolRequest {
    /// A request from there.
    pub fn new(from: UdpAddress, address: MiAddress, enrolment: KeyAndMac) -> Self {
        Self { from: from.into(), address, enrolment }
    }
}

/// An enrolment that was saved, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enrolled {
    /// The request.
    pub request: EnrolRequest,
    /// The answer.
    pub answer: KeyAndMac,
}

impl Enrolled {
    /// An enrolment with its answer.
    pub fn new(request: EnrolRequest, answer: KeyAndMac) -> Self {
        Self { request, answer }
    }
}
