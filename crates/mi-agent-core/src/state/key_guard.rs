//! The decisions of one agent about keys, from its level, its own key and its memory.

use std::time::Instant;

use plumi_proto::MiAddress;

use super::key_memory::KeyMemory;
use super::trust::{
    CallPlan, CallerRefused, Candidate, Identified, KeyRefused, NotSecure, Trust, identify_caller,
    judge_callee, plain_caller, plan_call,
};
use crate::key::PublicKey;
use crate::pin::Pin;
use crate::security::Security;

/// An agent's decisions about keys, without the store of pins and without a clock.
///
/// The caller passes in the pins of the address in question, freshly read:
///
/// ```text
/// own call      plan ──► judge ──► begun
/// other's call  identify ──► begun
/// user          permit_plain, refused_key, trusted
/// ```
#[derive(Debug)]
pub struct KeyGuard {
    security: Security,
    /// `None` for an agent without an identity.
    own: Option<PublicKey>,
    memory: KeyMemory,
}

impl KeyGuard {
    /// Creates the guard of an agent that has met no key yet. `own` is its key, if it has an identity.
    pub fn new(security: Security, own: Option<PublicKey>) -> Self {
        Self { security, own, memory: KeyMemory::default() }
    }

    /// Returns whether a call of `to` is plain whatever is known of its keys: they need not be read.
    pub fn ignores_keys(&self, now: Instant, to: &MiAddress) -> bool {
        self.security == Security::Off || self.memory.permits_plain(now, to)
    }

    /// Returns the way to call `to`, by its known `pins` and by whether its agent announces encryption.
    pub fn plan(&self, now: Instant, to: &MiAddress, pins: &[Pin], announces_tls: bool) -> CallPlan {
        if self.ignores_keys(now, to) {
            return CallPlan::Plain;
        }
        plan_call(self.security, self.own.is_some(), pins, announces_tls)
    }

    /// Decides about the key that the callee `to`, with the known `pins`, proved to have.
    ///
    /// # Errors
    /// [`KeyRefused`]: nothing may be said.
    pub fn judge(&mut self, to: MiAddress, pins: &[Pin], key: PublicKey) -> Result<Trust, KeyRefused> {
        let own = self.own.ok_or(KeyRefused::NotSecure(NotSecure::NoIdentity))?;
        let judged = judge_callee(self.security, &own, pins, &key);
        if let Err(KeyRefused::Changed(_) | KeyRefused::NotSecure(NotSecure::TooWeak { .. })) = judged {
            self.memory.refused(to, key);
        }
        judged
    }

    /// Handles the beginning of a conversation with `peer`: a permit for a plain one is used up.
    pub fn begun(&mut self, peer: &MiAddress) {
        self.memory.use_permit(peer);
    }

    /// Identifies the caller with `key`, or in plain text, after `candidates` asked. `holders` are the users
    /// with the known key `key`.
    ///
    /// # Errors
    /// [`CallerRefused`].
    pub fn identify(
        &mut self,
        now: Instant,
        key: Option<PublicKey>,
        holders: &[(MiAddress, Pin)],
        candidates: &[Candidate],
    ) -> Result<Identified, CallerRefused> {
        let Some((key, own)) = key.zip(self.own) else {
            let is_permitted = matches!(candidates, [(only, _)] if self.memory.permits_plain(now, only));
            return plain_caller(self.security, is_permitted, candidates);
        };
        let identified = identify_caller(self.security, &own, &key, holders, candidates);
        match &identified {
            Ok(Identified { candidates, trust: Some(Trust::New), .. }) => {
                if let [only] = candidates[..] {
                    self.memory.claimed(only, key);
                }
            }
            Err(CallerRefused::KeyChanged(address)) => self.memory.refused_caller(*address, key),
            _ => {}
        }
        identified
    }

    /// Returns whether the user is to be told that somebody called as `address` with another key: once in a
    /// while.
    pub fn tells(&mut self, now: Instant, address: MiAddress) -> bool {
        self.memory.tells(now, address)
    }

    /// Permits one plain conversation with `address` within 10 minutes.
    pub fn permit_plain(&mut self, now: Instant, address: MiAddress) {
        self.memory.permit_plain(now, address);
    }

    /// Returns the key that answered the last call to `address` and was refused.
    pub fn refused_key(&self, address: &MiAddress) -> Option<PublicKey> {
        self.memory.refused_key(address)
    }

    /// Returns the key of a new caller that is `address` as far as anybody knows.
    pub fn claimed_key(&self, address: &MiAddress) -> Option<PublicKey> {
        self.memory.claimed_key(address)
    }

    /// Returns the key with which somebody called as `address` last, and was refused.
    pub fn refused_caller_key(&self, address: &MiAddress) -> Option<PublicKey> {
        self.memory.refused_caller_key(address)
    }

    /// Forgets the keys of `address` that are not pinned: one of them is trusted.
    pub fn trusted(&mut self, address: &MiAddress) {
        self.memory.forget(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;
    use crate::pin::{Day, Strength};

    fn key(number: u8) -> PublicKey {
        PublicKey::from_bytes([number; 32])
    }

    fn seen(number: u8) -> Pin {
        Pin::seen(key(number), Day::today())
    }

    fn joya() -> MiAddress {
        "joya@cc.com".parse().unwrap()
    }

    #[test]
    fn a_permit_is_for_the_next_conversation_of_either_side() {
        let (mut guard, now) = (KeyGuard::new(Security::Verified, Some(key(1))), any_time());
        let pins = [seen(2).verified(Day::today())];
        let candidates = [(joya(), pins.to_vec())];
        let refused = Err(CallerRefused::NotSecure(Security::Verified));
        assert_eq!(guard.identify(now, None, &[], &candidates), refused);
        guard.permit_plain(now, joya());
        assert_eq!(guard.plan(now, &joya(), &pins, true), CallPlan::Plain);
        assert!(guard.identify(now, None, &[], &candidates).is_ok());
        guard.begun(&joya());
        assert_ne!(guard.plan(now, &joya(), &pins, false), CallPlan::Plain);
        assert_eq!(guard.identify(now, None, &[], &candidates), refused);
    }

    #[test]
    fn refused_and_claimed_keys_are_remembered() {
        let (mut guard, now) = (KeyGuard::new(Security::Offer, Some(key(1))), any_time());
        assert_eq!(guard.judge(joya(), &[seen(2)], key(3)), Err(KeyRefused::Changed(seen(2))));
        assert_eq!(guard.refused_key(&joya()), Some(key(3)));
        assert!(guard.identify(now, Some(key(4)), &[], &[(joya(), Vec::new())]).is_ok());
        assert_eq!(guard.claimed_key(&joya()), Some(key(4)));
        let refused = guard.identify(now, Some(key(5)), &[], &[(joya(), vec![seen(2)])]);
        assert_eq!(refused, Err(CallerRefused::KeyChanged(joya())));
        assert_eq!(guard.refused_caller_key(&joya()), Some(key(5)));
        guard.trusted(&joya());
        assert_eq!((guard.refused_key(&joya()), guard.claimed_key(&joya())), (None, None));
    }

    #[test]
    fn an_agent_without_an_identity_accepts_no_key() {
        let mut guard = KeyGuard::new(Security::Offer, None);
        let refused = Err(KeyRefused::NotSecure(NotSecure::NoIdentity));
        assert_eq!(
            guard.judge(joya(), &[Pin { strength: Strength::Introduced, ..seen(2) }], key(2)),
            refused
        );
    }
}
