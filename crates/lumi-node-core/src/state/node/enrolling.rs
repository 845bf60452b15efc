//! Enrolments: keys that users bring with an invitation (protocol.md §12).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use plumi_proto::{Extension, KeyAndMac, Message, MiAddress, RegisterCode, Registrant, UserName};

use super::Node;
use crate::state::dropped::DropReason;
use crate::state::enrolment::{CredentialState, EnrolRequest, Enrolled};
use crate::state::invitations::{Invitations, Verdict};
use crate::state::keys::PublicKey;
use crate::state::notice::{NOTICE_INTERVAL, Notice};
use crate::state::output::Output;
use crate::state::party::Party;
use crate::state::registration::own_user;

/// The invitations and the own key of a node, by which it judges enrolments.
#[derive(Debug, Default)]
pub(super) struct Enrolling {
    invitations: Arc<Invitations>,
    /// The node's own key, with which it answers.
    node_key: Option<PublicKey>,
    /// A time by the clock on the wall, in seconds since 1970, and the same by the node's clock.
    wall: Option<(i64, Instant)>,
    /// The time of the last notice about each user whose invitation was tried again.
    noticed: HashMap<UserName, Instant>,
}

impl Node {
    /// Takes the keys and the invitations as they are on the disk now, in the place of those before. See
    /// [`Node::handle_keys`].
    pub fn handle_credentials(&mut self, now: Instant, state: &CredentialState) {
        self.note_time(now);
        self.handle_keys(&state.keys);
        let enrolling = &mut self.enrolling;
        enrolling.invitations = Arc::clone(&state.invitations);
        (enrolling.node_key, enrolling.wall) = (state.node_key, Some((state.wall, now)));
    }

    /// Answers enrolments that were saved. Call [`Node::handle_credentials`] first.
    pub fn handle_enrolled(&mut self, enrolled: &[Enrolled]) {
        for Enrolled { request: EnrolRequest { from, address, .. }, answer } in enrolled {
            let (user, from) = (address.user(), *from);
            // The administrator may have removed the user meanwhile.
            if self.users.contains(&user) {
                self.credentials.count_enrolment();
                self.events.notices.push(Notice::Enrolled { user, from: from.address });
                self.answer_enrolment(from, answer.extension(), RegisterCode::Registered);
            }
        }
    }

    /// Handles a request to enrol a key: registers nobody, whatever comes of it.
    pub(super) fn enrol(
        &mut self,
        now: Instant,
        from: Party,
        address: MiAddress,
        enrolment: KeyAndMac,
    ) -> Result<(), DropReason> {
        let user = own_user(&self.domain, &Registrant::Address(address));
        let user = user.filter(|user| self.users.contains(user));
        let user = user.filter(|user| self.registrar().is_within(now, from, *user));
        let (Some(user), Some(node_key)) = (user, self.enrolling.node_key) else {
            self.answer_enrolment(from, Extension::NONE, RegisterCode::NoSuchUser);
            return Ok(());
        };
        match self.enrolling.invitations.judge(&address, &enrolment, self.enrolling.wall(now)) {
            Verdict::Open(_) => {
                let request = Box::new(EnrolRequest { from, address, enrolment });
                self.outputs.push_back(Output::Enrol { request });
            }
            Verdict::Again(code) => {
                let answer = code.answer(&address, node_key.0);
                self.answer_enrolment(from, answer.extension(), RegisterCode::Registered);
            }
            verdict @ (Verdict::Used | Verdict::Expired | Verdict::Unknown) => {
                if verdict == Verdict::Used && self.enrolling.is_due(now, user) {
                    self.events.notices.push(Notice::InvitationTriedAgain { user, from: from.address });
                }
                self.answer_enrolment(from, Extension::NONE, RegisterCode::NoSuchUser);
            }
        }
        Ok(())
    }

    fn answer_enrolment(&mut self, to: Party, extension: Extension, code: RegisterCode) {
        self.transmit(to, Message::RegisterReply { code, extension });
    }
}

impl Enrolling {
    /// Returns the time by the clock on the wall, in seconds since 1970.
    fn wall(&self, now: Instant) -> i64 {
        self.wall.map_or(i64::MAX, |(wall, at)| {
            let passed = now.saturating_duration_since(at).as_secs();
            wall.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
        })
    }

    /// Returns whether a notice about a second use is due. Only users who were invited are noted down.
    fn is_due(&mut self, now: Instant, user: UserName) -> bool {
        let is_due = self.noticed.get(&user).is_none_or(|last| now >= *last + NOTICE_INTERVAL);
        if is_due {
            self.noticed.insert(user, now);
        }
        is_due
    }
}
