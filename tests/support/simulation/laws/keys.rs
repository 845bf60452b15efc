//! The laws of keys, seen by the user of one agent: what the user has met and said decides who may be talked
//! with.

use std::collections::BTreeMap;
use std::time::Duration;

use mi_agent_core::{
    CallPlan, CallerRefused, Identified, KeyRefused, MiAddress, Pin, PublicKey, Security, Strength, Trust,
};

use super::{Violation, ensure};

/// The keys that a user knows, from calls and from the user's own word.
#[derive(Debug)]
pub(in crate::simulation) struct KeyLaws {
    security: Security,
    own: Option<PublicKey>,
    known: BTreeMap<MiAddress, Vec<(PublicKey, Strength)>>,
    /// Each plain conversation that the user permits, and until when.
    permits: BTreeMap<MiAddress, Duration>,
}

impl KeyLaws {
    /// The user knows nobody, and has the key `own` if there is one.
    pub(in crate::simulation) fn new(security: Security, own: Option<PublicKey>) -> Self {
        Self { security, own, known: BTreeMap::new(), permits: BTreeMap::new() }
    }

    /// The program was started again, perhaps on a new machine with another key.
    pub(in crate::simulation) fn restarted(&mut self, own: Option<PublicKey>) {
        self.own = own;
        self.permits.clear();
    }

    /// The agent calls `to`, which has `offered` encryption in its answer or has not, in this way.
    pub(in crate::simulation) fn planned(
        &self,
        now: Duration,
        to: &MiAddress,
        offered: bool,
        plan: CallPlan,
    ) -> Result<(), Violation> {
        let begins_tls = plan == CallPlan::Tls;
        ensure!(offered || !begins_tls, TlsIsOffered, "{to} has offered nothing, and is called so: {plan:?}");
        let (is_known, is_permitted) = (!self.known(to).is_empty(), self.permits_plain(now, to));
        let may_be_plain = is_permitted
            || self.security == Security::Off
            || self.security == Security::Offer && !is_known && !(offered && self.own.is_some());
        ensure!(may_be_plain || plan != CallPlan::Plain, NoPlainText, "{to} is called in plain text");
        let may_be_encrypted = offered && self.own.is_some();
        let ends = matches!(plan, CallPlan::EndAtOnce(_));
        ensure!(
            !ends || !(may_be_plain || may_be_encrypted),
            KeysKeepNobodyOut,
            "the call of {to} ends at once: {plan:?}"
        );
        Ok(())
    }

    /// The agent has decided about the key that the callee `to` proved to have.
    pub(in crate::simulation) fn judged(
        &self,
        to: &MiAddress,
        key: PublicKey,
        judged: &Result<Trust, KeyRefused>,
    ) -> Result<(), Violation> {
        let known = self.known(to);
        let strength = strength_of(known, key);
        let is_right = known.is_empty() || strength.is_some();
        ensure!(is_right || judged.is_err(), KeysProveUsers, "{to} is talked with under another key");
        let is_enough = self.is_enough(strength);
        ensure!(is_enough || judged.is_err(), LevelsHold, "{to} is talked with: {judged:?}");
        if let Ok(trust) = judged {
            ensure!(strength_in(*trust) == strength, KeysProveUsers, "the key of {to} counts as {trust}");
        }
        let may_talk = is_right && is_enough && self.own != Some(key);
        ensure!(!may_talk || judged.is_ok(), KeysKeepNobodyOut, "the key of {to} is refused: {judged:?}");
        Ok(())
    }

    /// The agent has decided who calls with `key`, or in plain text, after `candidates` asked.
    pub(in crate::simulation) fn identified(
        &self,
        now: Duration,
        key: Option<PublicKey>,
        candidates: &[MiAddress],
        identified: &Result<Identified, CallerRefused>,
    ) -> Result<(), Violation> {
        match key {
            Some(key) => self.encrypted_caller(key, candidates, identified),
            None => self.plain_caller(now, candidates, identified),
        }
    }

    fn encrypted_caller(
        &self,
        key: PublicKey,
        candidates: &[MiAddress],
        identified: &Result<Identified, CallerRefused>,
    ) -> Result<(), Violation> {
        let holders: Vec<_> =
            self.known.iter().filter_map(|(who, known)| Some((who, strength_of(known, key)?))).collect();
        if let Ok(Identified { candidates: who, trust, .. }) = identified {
            ensure!(self.own != Some(key), KeysProveUsers, "somebody calls with our own key");
            let impostor = who.iter().find(|user| {
                let known = self.known(user);
                !known.is_empty() && strength_of(known, key).is_none()
            });
            ensure!(impostor.is_none(), KeysProveUsers, "{impostor:?} calls with another key");
            let strength = trust.and_then(strength_in);
            let is_proved = match holders[..] {
                [(holder, known)] => who == &[*holder] && strength == Some(known),
                // A key of several users, or a new one, proves none of their names.
                _ => trust.is_some() && strength.is_none(),
            };
            ensure!(is_proved, KeysProveUsers, "{who:?} call, believed as {trust:?}, holders: {holders:?}");
            ensure!(self.is_enough(strength), LevelsHold, "{who:?} may talk, believed as {trust:?}");
        }
        let (strength, is_somebody) = match holders[..] {
            [(_, strength)] => (Some(strength), true),
            [] => (None, candidates.is_empty() || candidates.iter().any(|user| self.known(user).is_empty())),
            _ => (None, true),
        };
        let may_talk = self.own != Some(key) && is_somebody && self.is_enough(strength);
        ensure!(
            !may_talk || identified.is_ok(),
            KeysKeepNobodyOut,
            "a caller with a key of {holders:?} is refused: {identified:?}"
        );
        Ok(())
    }

    fn plain_caller(
        &self,
        now: Duration,
        candidates: &[MiAddress],
        identified: &Result<Identified, CallerRefused>,
    ) -> Result<(), Violation> {
        let is_permitted = matches!(candidates, [only] if self.permits_plain(now, only));
        if self.security == Security::Off || is_permitted {
            ensure!(identified.is_ok(), KeysKeepNobodyOut, "a plain call is refused: {identified:?}");
            return Ok(());
        }
        let is_verified =
            |user: &MiAddress| self.known(user).iter().any(|(_, strength)| *strength == Strength::Verified);
        if let Ok(Identified { candidates: who, lacks_key, .. }) = identified {
            ensure!(self.security <= Security::Offer, LevelsHold, "{who:?} may talk in plain text");
            let verified = who.iter().find(|user| is_verified(user));
            ensure!(verified.is_none(), NoPlainText, "{verified:?} may talk in plain text");
            let has_key = matches!(&who[..], [only] if !self.known(only).is_empty());
            ensure!(*lacks_key == has_key, NoPlainText, "{who:?} has a key, and nobody is told");
        }
        let is_somebody = candidates.is_empty() || !candidates.iter().all(is_verified);
        let may_talk = self.security <= Security::Offer && is_somebody;
        ensure!(
            !may_talk || identified.is_ok(),
            KeysKeepNobodyOut,
            "a plain call is refused: {identified:?}"
        );
        Ok(())
    }

    /// A conversation that the agent wanted with `to` has begun: in TLS with `key`, or in plain text.
    pub(in crate::simulation) fn begun(&mut self, to: MiAddress, key: Option<PublicKey>) {
        self.permits.remove(&to);
        if let Some(key) = key
            && self.known(&to).is_empty()
        {
            self.known.insert(to, vec![(key, Strength::Seen)]);
        }
    }

    /// The user permits one plain conversation with `to`.
    pub(in crate::simulation) fn permits(&mut self, now: Duration, to: MiAddress) {
        self.permits.insert(to, now + PERMIT);
    }

    /// A conversation with `who`, who called, has begun.
    pub(in crate::simulation) fn was_called(&mut self, who: &MiAddress) {
        self.permits.remove(who);
    }

    /// The user trusts `key`, whose words nobody compared.
    pub(in crate::simulation) fn accepts(&mut self, to: MiAddress, key: PublicKey) {
        let known = self.known.entry(to).or_default();
        let is_held = known.iter().any(|(other, strength)| *strength == Strength::Verified && *other != key);
        if !is_held && strength_of(known, key).is_none() {
            *known = vec![(key, Strength::Seen)];
        }
    }

    /// The user has compared the words of `key`.
    pub(in crate::simulation) fn verifies(&mut self, to: MiAddress, key: PublicKey) {
        let known = self.known.entry(to).or_default();
        known.retain(|(other, strength)| *strength == Strength::Verified && *other != key);
        if known.len() < MAX_KEYS {
            known.push((key, Strength::Verified));
        }
    }

    /// Checks that exactly these keys of `to` are kept.
    pub(in crate::simulation) fn are_kept(&self, to: &MiAddress, pins: &[Pin]) -> Result<(), Violation> {
        let mut kept: Vec<_> = pins.iter().map(|pin| (pin.key, pin.strength)).collect();
        let mut known = self.known(to).to_vec();
        kept.sort_unstable_by_key(|(key, _)| *key.as_bytes());
        known.sort_unstable_by_key(|(key, _)| *key.as_bytes());
        ensure!(kept == known, KeysStay, "of {to}, {kept:?} are kept instead of {known:?}");
        Ok(())
    }

    fn known(&self, user: &MiAddress) -> &[(PublicKey, Strength)] {
        self.known.get(user).map_or(&[], Vec::as_slice)
    }

    fn permits_plain(&self, now: Duration, user: &MiAddress) -> bool {
        self.permits.get(user).is_some_and(|until| now < *until)
    }

    /// Returns whether a key of this strength, or a new one, is enough for the level.
    fn is_enough(&self, strength: Option<Strength>) -> bool {
        match self.security {
            Security::Known => strength.is_some(),
            Security::Introduced => strength >= Some(Strength::Introduced),
            Security::Verified => strength == Some(Strength::Verified),
            _ => true,
        }
    }
}

fn strength_of(known: &[(PublicKey, Strength)], key: PublicKey) -> Option<Strength> {
    known.iter().find(|(other, _)| *other == key).map(|(_, strength)| *strength)
}

fn strength_in(trust: Trust) -> Option<Strength> {
    match trust {
        Trust::New => None,
        Trust::Known(_) => Some(Strength::Seen),
        Trust::Introduced => Some(Strength::Introduced),
        Trust::Verified(_) => Some(Strength::Verified),
        other => unreachable!("{other:?} is new"),
    }
}

/// The time in which a plain conversation that the user permits has to begin.
const PERMIT: Duration = Duration::from_secs(600);

/// The verified keys of a user.
const MAX_KEYS: usize = 4;
