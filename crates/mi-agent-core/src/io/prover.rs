//! The key of an agent as it proves registrations, and what it remembers of its node.

use plumi_proto::{Challenge, Message, MiAddress, Verb};
use tokio::task;
use tracing::debug;

use super::enrolment_file::{Enrolment, EnrolmentFile};
use crate::identity::Identity;
use crate::pin::Day;

/// Signs challenges, and keeps the day of the last proof.
#[derive(Debug)]
pub(crate) struct Prover {
    address: MiAddress,
    identity: Identity,
    /// `None` if nothing is remembered.
    file: Option<EnrolmentFile>,
    enrolment: Option<Enrolment>,
    accepts_unproved: bool,
    /// The program knows that the node stopped asking for proofs.
    has_told: bool,
}

impl Prover {
    /// Creates the prover of the user at `address`. `enrolment` is what `file` says.
    pub(crate) fn new(
        address: MiAddress,
        identity: Identity,
        file: Option<EnrolmentFile>,
        enrolment: Option<Enrolment>,
        accepts_unproved: bool,
    ) -> Self {
        Self { address, identity, file, enrolment, accepts_unproved, has_told: false }
    }

    /// Returns the proof for a challenge.
    pub(crate) fn prove(&self, verb: Verb, challenge: &Challenge) -> Message {
        Message::Prove(self.identity.prove(verb, &self.address, challenge))
    }

    /// Remembers that the node asked for a proof today. A thread writes that.
    pub(crate) fn proved(&mut self) {
        self.has_told = false;
        let today = Day::today();
        if self.enrolment.is_some_and(|enrolment| enrolment.day == today) {
            return;
        }
        let enrolment = Enrolment::proved(self.enrolment, today);
        self.enrolment = Some(enrolment);
        if let Some(file) = self.file.clone() {
            let address = self.address;
            task::spawn_blocking(move || {
                if let Err(error) = file.write(&address, enrolment) {
                    // The next start asks for a challenge once it is refused.
                    debug!(?file, %error, "the day of a proof is not kept");
                }
            });
        }
    }

    /// Handles a registration for which the node asked no proof. Returns the day of the last one if the
    /// program is to hear of it.
    pub(crate) fn unproved(&mut self) -> Option<Day> {
        let since = self.enrolment.filter(|_| !self.accepts_unproved && !self.has_told)?.day;
        self.has_told = true;
        Some(since)
    }
}
