//! Registrations of users who have a key: challenges and proofs (protocol.md §9, §12).

use std::time::Instant;

use plumi_proto::{
    DeregisterCode, Extension, Message, MiAddress, Proof, RegisterCode, Registrant, UserName, Verb,
};

use super::credentials::Verified;
use super::dropped::DropReason;
use super::notice::Notice;
use super::party::Party;
use super::registration::{Registrar, own_user};
use super::settings::Auth;

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
    ) -> Result<Message, DropReason> {
        let registrant = Registrant::Address(*address);
        let user = own_user(self.domain, &registrant).filter(|user| self.users.has_key(user));
        let Some(user) = user else {
            return Ok(match verb {
                Verb::Register => registered(self.register(now, from, &registrant)?, Extension::NONE),
                Verb::Deregister => deregistered(self.deregister(from, &registrant), Extension::NONE),
            });
        };
        let is_within = self.is_within(now, from, user);
        let challenge = is_within.then(|| self.credentials.challenge(now, address, from.address)).flatten();
        Ok(refused(verb, challenge.map_or(Extension::NONE, |challenge| challenge.extension())))
    }

    /// Answers a proof.
    ///
    /// # Errors
    /// [`DropReason::UnknownProof`], [`DropReason::TooManyProofs`], [`DropReason::Ignored`].
    pub(super) fn prove(mut self, now: Instant, from: Party, proof: &Proof) -> Result<Message, DropReason> {
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
                return Ok(granted(proof.verb));
            }
            let Ok(address) = MiAddress::new(&user, self.domain) else { continue };
            match self.credentials.verify(now, &address, proof, from.address, &mut is_charged) {
                Verified::By(key) => {
                    let is_granted = match proof.verb {
                        Verb::Register => self.bind(now, from, user, true)? == RegisterCode::Registered,
                        Verb::Deregister => self.users.unbind(&user, from.address, true, self.events),
                    };
                    if !is_granted {
                        return Ok(refused(proof.verb, Extension::NONE));
                    }
                    let is_bound = proof.verb == Verb::Register;
                    self.credentials.accept(now, &user, key, proof, from.address, is_bound);
                    return Ok(granted(proof.verb));
                }
                Verified::No => {}
                Verified::TooMany => return Err(DropReason::TooManyProofs),
            }
        }
        let user = first.ok_or(DropReason::UnknownProof)?;
        if let Some(failures) = self.credentials.fail(now, &user) {
            self.events.notices.push(Notice::CannotProve { user, from: from.address, failures });
        }
        Ok(refused(proof.verb, Extension::NONE))
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

fn granted(verb: Verb) -> Message {
    match verb {
        Verb::Register => registered(RegisterCode::Registered, Extension::NONE),
        Verb::Deregister => deregistered(DeregisterCode::Deregistered, Extension::NONE),
    }
}

fn refused(verb: Verb, extension: Extension) -> Message {
    match verb {
        Verb::Register => registered(RegisterCode::NoSuchUser, extension),
        Verb::Deregister => deregistered(DeregisterCode::NoSuchUser, extension),
    }
}

fn registered(code: RegisterCode, extension: Extension) -> Message {
    Message::RegisterReply { code, extension }
}

fn deregistered(code: DeregisterCode, extension: Extension) -> Message {
    Message::DeregisterReply { code, extension }
}
