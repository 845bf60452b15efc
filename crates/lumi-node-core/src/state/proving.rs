//! Registrations of users who have a key: challenges and proofs (protocol.md §9, §12).

use std::time::Instant;

use plumi_proto::{Extension, MiAddress, Proof, Registrant, UserName, Verb};

use super::bindings::{Change, Request};
use super::credentials::Verified;
use super::dropped::DropReason;
use super::notice::Notice;
use super::party::Party;
use super::registration::{Answer, Registrar, own_user};
use super::settings::Auth;
use super::users::Granted;

impl Registrar<'_> {
    /// Answers a request for a challenge. Of a user without a key, it is a plain request.
    ///
    /// # Errors
    /// The same as those of [`Registrar::register`].
    pub(super) fn challenge(
        mut self,
        now: Instant,
        from: Party,
        verb: Verb,
        address: &MiAddress,
    ) -> Result<Answer, DropReason> {
        let registrant = Registrant::Address(*address);
        let user = own_user(self.domain, &registrant).filter(|user| self.users.has_key(user));
        let Some(user) = user else {
            return match verb {
                Verb::Register => self.register(now, from, &registrant),
                Verb::Deregister => Ok(self.deregister(from, &registrant)),
            };
        };
        let is_within = self.is_within(now, from, user);
        let challenge = is_within.then(|| self.credentials.challenge(now, address, from.address)).flatten();
        Ok(Answer::refusal(verb, challenge.map_or(Extension::NONE, |challenge| challenge.extension())))
    }

    /// Answers a proof.
    ///
    /// # Errors
    /// [`DropReason::UnknownProof`], [`DropReason::TooManyProofs`], [`DropReason::Ignored`].
    pub(super) fn prove(mut self, now: Instant, from: Party, proof: &Proof) -> Result<Answer, DropReason> {
        if self.settings.auth == Auth::Off {
            return Err(DropReason::UnknownProof);
        }
        let (mut first, mut is_charged) = (None, false);
        for index in 0.. {
            // Users with the same handle are tried in turn: the signature tells them apart.
            let Some(user) = self.credentials.holder(&proof.handle, index) else { break };
            if !self.users.has_key(&user) {
                continue;
            }
            first = first.or(Some(user));
            if !self.is_within(now, from, user) {
                continue;
            }
            if self.credentials.repeats(now, &user, proof, from.address)
                && self.stands(&user, proof.verb, from)
            {
                self.credentials.count_repetition();
                return Ok(Answer::Granted(Request::proved(user, proof), None));
            }
            let Ok(address) = MiAddress::new(&user, self.domain) else { continue };
            match self.credentials.verify(now, &address, proof, from.address, &mut is_charged) {
                Verified::By(key) => {
                    let granted = match proof.verb {
                        Verb::Register => self.bind(now, from, user, true)?,
                        Verb::Deregister => self.users.unbind(&user, from.address, true, self.events),
                    };
                    let Some(Granted { change }) = granted else {
                        return Ok(Answer::refusal(proof.verb, Extension::NONE));
                    };
                    let is_bound = proof.verb == Verb::Register;
                    let before = self.credentials.proved_by(&user);
                    self.credentials.accept(now, &user, key, proof, from.address, is_bound);
                    // The store has the key, because the binding ends with it.
                    let is_same_key = self.credentials.proved_by(&user) == before;
                    let change = change.or((!is_same_key && is_bound).then_some(Change::Moved));
                    return Ok(Answer::Granted(Request::proved(user, proof), change));
                }
                Verified::No => {}
                Verified::TooMany => return Err(DropReason::TooManyProofs),
            }
        }
        let user = first.ok_or(DropReason::UnknownProof)?;
        if let Some(failures) = self.credentials.fail(now, &user) {
            self.events.notices.push(Notice::CannotProve { user, from: from.address, failures });
        }
        Ok(Answer::refusal(proof.verb, Extension::NONE))
    }

    /// Returns whether the effect of a proof from there still stands.
    fn stands(&self, user: &UserName, verb: Verb, from: Party) -> bool {
        let bound = self.users.registered_at(user);
        match verb {
            Verb::Register => bound == Some(from.address),
            Verb::Deregister => bound.is_none(),
        }
    }
}

impl Request {
    /// A proof of a user.
    fn proved(user: UserName, proof: &Proof) -> Self {
        Self { user, verb: proof.verb, proof: Some(*proof) }
    }
}
