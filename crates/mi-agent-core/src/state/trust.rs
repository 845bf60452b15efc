//! The decisions about keys: whether a call is encrypted, which user's key it meets, and whether that is
//! enough.
//!
//! ```text
//! RL0 … [:T] ──► plan_call ──► Plain · Tls · EndAtOnce        before a connection
//! handshake  ──► judge_callee ──► Trust, or why not           before our nickname is sent
//! N          ──► pinned_by_call                               a new key becomes a pin
//! a caller   ──► identify_caller, plain_caller                its identity, and whether it may talk
//! ```

use std::fmt;

use plumi_proto::MiAddress;

use super::admission::Refusal;
use crate::key::PublicKey;
use crate::pin::{Day, Pin, Strength};
use crate::security::Security;

/// The belief in a key that a peer proved to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// Nobody knows its owner.
    New,
    /// It is known since this day.
    Known(Day),
    /// The node of the peer's domain says that it is the peer's.
    Introduced,
    /// The words were compared on this day.
    Verified(Day),
}

impl Trust {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known(_) => "known",
            Self::Introduced => "introduced",
            Self::Verified(_) => "verified",
        }
    }

    /// Returns whether it is enough for `security`.
    fn is_enough(self, security: Security) -> bool {
        let needed = match security {
            Security::Off | Security::Offer | Security::Encrypted => return true,
            Security::Known => Strength::Seen,
            Security::Introduced => Strength::Introduced,
            Security::Verified => Strength::Verified,
        };
        self.strength().is_some_and(|strength| strength >= needed)
    }

    fn strength(self) -> Option<Strength> {
        match self {
            Self::New => None,
            Self::Known(_) => Some(Strength::Seen),
            Self::Introduced => Some(Strength::Introduced),
            Self::Verified(_) => Some(Strength::Verified),
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New | Self::Introduced => f.pad(self.as_str()),
            Self::Known(since) => write!(f, "known since {since}"),
            Self::Verified(on) => write!(f, "verified on {on}"),
        }
    }
}

impl From<Pin> for Trust {
    fn from(pin: Pin) -> Self {
        match pin.strength {
            Strength::Seen => Self::Known(pin.since),
            Strength::Introduced => Self::Introduced,
            Strength::Verified => Self::Verified(pin.verified.unwrap_or(pin.since)),
        }
    }
}

/// The way to call a user that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPlan {
    /// The call is plain, as deployed programs make it.
    Plain,
    /// Encrypted.
    Tls,
    /// The call is begun in plain text and ended at once, for this reason, because some programs hear nothing
    /// more until somebody calls them (protocol.md §7, row 22). Nothing is said.
    EndAtOnce(NotSecure),
}

/// The reason why a conversation would not be as secure as it must be. Continues "cannot reach joya@cc.com:
/// ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSecure {
    /// A key is known of the peer, and the peer does not offer to show it.
    #[error("it offers no encryption, and it has a key")]
    HasKey,
    /// The peer does not offer encryption.
    #[error("it cannot encrypt, and security is `{0}`")]
    CannotEncrypt(Security),
    /// The peer's key is believed less than the level says.
    #[error("its key is {}, and security is `{security}`", trust.as_str())]
    TooWeak {
        /// The belief in the key.
        trust: Trust,
        /// The level.
        security: Security,
    },
    /// The peer proved to have this agent's key.
    #[error("it has your own key")]
    OwnKey,
    /// The peer said that it encrypts, and does not.
    #[error("it answers in plain text, though it said that it can encrypt")]
    AnswersPlain,
    /// The peer encrypts in another way.
    #[error("it cannot agree on encryption")]
    NoAgreement,
    /// A key is known of the peer, and this agent has none to encrypt with.
    #[error("it has a key, and this agent has none")]
    NoIdentity,
}

/// The reason why the key of a callee is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// It is not the one that is known: this one.
    #[error("it is not the one known since {}", .0.since)]
    Changed(Pin),
    /// It is not enough.
    #[error(transparent)]
    NotSecure(NotSecure),
}

/// Returns the way to call a user with the known `pins`. `announces_tls`: it said that it encrypts.
pub fn plan_call(security: Security, has_identity: bool, pins: &[Pin], announces_tls: bool) -> CallPlan {
    match (security, pins, announces_tls) {
        (Security::Off, ..) => CallPlan::Plain,
        (_, [_, ..], _) if !has_identity => CallPlan::EndAtOnce(NotSecure::NoIdentity),
        (_, [_, ..], false) => CallPlan::EndAtOnce(NotSecure::HasKey),
        (Security::Offer, [], encrypts) if !(encrypts && has_identity) => CallPlan::Plain,
        (_, [], encrypts) if !(encrypts && has_identity) => {
            CallPlan::EndAtOnce(NotSecure::CannotEncrypt(security))
        }
        // The key that is met decides.
        _ => CallPlan::Tls,
    }
}

/// Decides about the key that a callee proved to have. Its `pins` are those of the address that was called.
///
/// # Errors
/// [`KeyRefused`]: nothing may be said.
pub fn judge_callee(
    security: Security,
    own: &PublicKey,
    pins: &[Pin],
    offered: &PublicKey,
) -> Result<Trust, KeyRefused> {
    let trust = match (pins.iter().find(|pin| pin.key == *offered), strongest(pins)) {
        _ if offered == own => return Err(KeyRefused::NotSecure(NotSecure::OwnKey)),
        (Some(&pin), _) => pin.into(),
        (None, Some(known)) => return Err(KeyRefused::Changed(known)),
        (None, None) => Trust::New,
    };
    match trust.is_enough(security) {
        true => Ok(trust),
        false => Err(KeyRefused::NotSecure(NotSecure::TooWeak { trust, security })),
    }
}

/// Adds the key that a call of this agent met to the pins of the callee, if none is known.
pub fn pinned_by_call(pins: &mut Vec<Pin>, key: PublicKey, today: Day) {
    // Another call may have met a key meanwhile.
    if pins.is_empty() {
        pins.push(Pin::seen(key, today));
    }
}

/// A user that may be the caller, with the user's known keys.
pub type Candidate = (MiAddress, Vec<Pin>);

/// A caller that may talk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The users that the caller may be; none if nobody knows.
    pub candidates: Vec<MiAddress>,
    /// The belief in its key; `None` if the call is plain.
    pub trust: Option<Trust>,
    /// The call is plain, and a key is known of the one candidate.
    pub lacks_key: bool,
}

/// The reason why a caller may not talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallerRefused {
    /// Another key is known of the asker.
    #[error("another one is known of {0}")]
    KeyChanged(MiAddress),
    /// The words of this user's key were compared, and the call is plain.
    #[error("the call does not show the key of {0}")]
    Unproved(MiAddress),
    /// The call is plain, or its key is not enough: this is the level.
    #[error("security is `{0}`")]
    NotSecure(Security),
    /// The caller proved to have this agent's key.
    #[error("it is your own")]
    OwnKey,
}

impl CallerRefused {
    /// Returns the reason, for the user and the caller.
    pub(crate) fn reason(self, is_encrypted: bool) -> Refusal {
        match self {
            Self::KeyChanged(address) => Refusal::KeyChanged(address),
            Self::Unproved(_) => Refusal::Unproved,
            Self::NotSecure(security) => Refusal::NotSecure { security, is_encrypted },
            Self::OwnKey => Refusal::OwnKey,
        }
    }
}

/// Identifies the caller with `key`, of which `holders` are known, after `candidates` asked.
///
/// # Errors
/// [`CallerRefused`].
pub fn identify_caller(
    security: Security,
    own: &PublicKey,
    key: &PublicKey,
    holders: &[(MiAddress, Pin)],
    candidates: &[Candidate],
) -> Result<Identified, CallerRefused> {
    if key == own {
        return Err(CallerRefused::OwnKey);
    }
    let (who, trust) = match holders {
        [] => (without_keys(candidates)?, Trust::New),
        [(address, pin)] => (vec![*address], (*pin).into()),
        // A peer that can answer at several addresses proves none of them.
        several => (among(several, candidates), Trust::New),
    };
    match trust.is_enough(security) {
        true => Ok(Identified { candidates: who, trust: Some(trust), lacks_key: false }),
        false => Err(CallerRefused::NotSecure(security)),
    }
}

/// Decides about a caller in plain text, after `candidates` asked. `is_permitted`: the user wants one plain
/// call.
///
/// # Errors
/// [`CallerRefused`].
pub fn plain_caller(
    security: Security,
    is_permitted: bool,
    candidates: &[Candidate],
) -> Result<Identified, CallerRefused> {
    let all = || candidates.iter().map(|(address, _)| *address).collect();
    if security == Security::Off || is_permitted {
        return Ok(Identified { candidates: all(), trust: None, lacks_key: false });
    }
    if security > Security::Offer {
        return Err(CallerRefused::NotSecure(security));
    }
    // A user with a verified key does not call in plain text, so it is one of the others.
    let is_verified = |pins: &[Pin]| pins.iter().any(|pin| pin.strength == Strength::Verified);
    let mut others = candidates.iter().filter(|(_, pins)| !is_verified(pins)).peekable();
    if let (Some((address, _)), None) = (candidates.last(), others.peek()) {
        return Err(CallerRefused::Unproved(*address));
    }
    let others: Vec<_> = others.collect();
    let lacks_key = matches!(&others[..], [(_, pins)] if !pins.is_empty());
    let candidates = others.into_iter().map(|(address, _)| *address).collect();
    Ok(Identified { candidates, trust: None, lacks_key })
}

/// Returns the candidates without a known key.
fn without_keys(candidates: &[Candidate]) -> Result<Vec<MiAddress>, CallerRefused> {
    let new: Vec<_> =
        candidates.iter().filter(|(_, pins)| pins.is_empty()).map(|(address, _)| *address).collect();
    match candidates.last() {
        Some((address, _)) if new.is_empty() => Err(CallerRefused::KeyChanged(*address)),
        _ => Ok(new),
    }
}

/// Returns the holders of a key that asked, otherwise the one with the strongest pin, if there is one.
fn among(holders: &[(MiAddress, Pin)], candidates: &[Candidate]) -> Vec<MiAddress> {
    let is_holder = |asker: &MiAddress| holders.iter().any(|(holder, _)| holder == asker);
    let asked: Vec<_> = candidates.iter().map(|(asker, _)| *asker).filter(is_holder).collect();
    let most = holders.iter().map(|(_, pin)| pin.strength).max();
    let strongest = holders.iter().filter(|(_, pin)| Some(pin.strength) == most);
    match (&asked[..], &strongest.map(|(address, _)| *address).collect::<Vec<_>>()[..]) {
        ([], [only]) => vec![*only],
        _ => asked,
    }
}

/// Returns the pin that is believed most; of several, the latest.
fn strongest(pins: &[Pin]) -> Option<Pin> {
    pins.iter().max_by_key(|pin| (pin.strength, pin.since)).copied()
}

/// The reason why the keys of a user stay as they are. Continues "the keys of joya@cc.com stay as they are:
/// ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The words of a known key were compared, so those of the new one have to be.
    #[error("its words were compared, so those of the new key have to be, too")]
    NeedsWords,
    /// [`MAX_KEYS`] are known.
    #[error("{MAX_KEYS} keys are known already")]
    TooMany,
    /// Another key of the user is believed because a call met it or its words were compared, see
    /// [`introduce`].
    #[error("a call met another one, or its words were compared; forget that one first")]
    OtherKey,
    /// The key is not known.
    #[error("no such key is known")]
    NotKnown,
    /// The words of the key were compared, and the user did not ask for its removal in particular.
    #[error("the words of a key were compared")]
    IsVerified,
}

/// Believes in a key that a call met, in place of keys that nobody verified.
///
/// # Errors
/// [`TrustError::NeedsWords`].
pub fn accept(pins: &mut Vec<Pin>, key: PublicKey, today: Day) -> Result<(), TrustError> {
    if pins.iter().any(|pin| pin.strength == Strength::Verified && pin.key != key) {
        return Err(TrustError::NeedsWords);
    }
    if !pins.iter().any(|pin| pin.key == key) {
        pins.clear();
        pins.push(Pin::seen(key, today));
    }
    Ok(())
}

/// Trusts a verified key, beside other verified keys and in place of all others.
///
/// # Errors
/// [`TrustError::TooMany`].
pub fn verify(pins: &mut Vec<Pin>, key: PublicKey, today: Day) -> Result<(), TrustError> {
    let before = pins.iter().find(|pin| pin.key == key).copied();
    let is_kept = |pin: &Pin| pin.strength == Strength::Verified && pin.key != key;
    if pins.iter().filter(|pin| is_kept(pin)).count() >= MAX_KEYS {
        return Err(TrustError::TooMany);
    }
    pins.retain(is_kept);
    pins.push(before.unwrap_or(Pin::seen(key, today)).verified(today));
    Ok(())
}

/// Believes in a key that the node of the user's domain introduced, beside others that it introduced.
///
/// A key that is known already is believed at least that much from now on. Nothing is added to a key that a
/// call met or somebody verified: the node relies on its administrator, and on anybody with write access to
/// the file of its keys.
///
/// # Errors
/// [`TrustError::OtherKey`], [`TrustError::TooMany`].
pub fn introduce(pins: &mut Vec<Pin>, key: PublicKey, today: Day) -> Result<(), TrustError> {
    if let Some(pin) = pins.iter_mut().find(|pin| pin.key == key) {
        pin.strength = pin.strength.max(Strength::Introduced);
        return Ok(());
    }
    if pins.iter().any(|pin| pin.strength != Strength::Introduced) {
        return Err(TrustError::OtherKey);
    }
    if pins.len() >= MAX_KEYS {
        return Err(TrustError::TooMany);
    }
    pins.push(Pin { strength: Strength::Introduced, ..Pin::seen(key, today) });
    Ok(())
}

/// Removes `key`, or all keys. Returns what was removed.
///
/// # Errors
/// [`TrustError::NotKnown`]; [`TrustError::IsVerified`], unless `even_verified`.
pub fn forget(
    pins: &mut Vec<Pin>,
    key: Option<&PublicKey>,
    even_verified: bool,
) -> Result<Vec<Pin>, TrustError> {
    let is_meant = |pin: &Pin| key.is_none_or(|key| pin.key == *key);
    let gone: Vec<_> = pins.iter().copied().filter(is_meant).collect();
    if gone.is_empty() {
        return Err(TrustError::NotKnown);
    }
    if !even_verified && gone.iter().any(|pin| pin.strength == Strength::Verified) {
        return Err(TrustError::IsVerified);
    }
    pins.retain(|pin| !is_meant(pin));
    Ok(gone)
}

/// The most keys that are known of a user: some have several machines.
pub const MAX_KEYS: usize = 4;

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    const OWN: u8 = 0;

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn day(n: u8) -> Day {
        format!("2026-11-{n:02}").parse().unwrap()
    }

    fn address(text: &str) -> MiAddress {
        text.parse().unwrap()
    }

    fn seen(n: u8) -> Pin {
        Pin::seen(key(n), day(1))
    }

    fn introduced(n: u8) -> Pin {
        Pin { strength: Strength::Introduced, ..seen(n) }
    }

    fn verified(n: u8) -> Pin {
        seen(n).verified(day(2))
    }

    /// Each row: what is known, whether the callee announces encryption, and the plan at each level.
    #[test]
    fn a_call_is_made_as_the_level_says() {
        let plain = CallPlan::Plain;
        let ends = CallPlan::EndAtOnce;
        let cannot = |security| ends(NotSecure::CannotEncrypt(security));
        let [_, _, encrypted, known, of_node, compared] = Security::ALL;
        let silent = [plain, plain, cannot(encrypted), cannot(known), cannot(of_node), cannot(compared)];
        let lacks_key = ends(NotSecure::HasKey);
        let stripped = [plain, lacks_key, lacks_key, lacks_key, lacks_key, lacks_key];
        let tls = CallPlan::Tls;
        let encrypted_if_it_may = [plain, tls, tls, tls, tls, tls];
        for (pins, announces_tls, plans) in [
            (&[][..], false, silent),
            (&[], true, encrypted_if_it_may),
            (&[seen(1)], false, stripped),
            (&[seen(1)], true, encrypted_if_it_may),
            (&[introduced(1)], false, stripped),
            (&[introduced(1)], true, encrypted_if_it_may),
            (&[verified(1), verified(2)], false, stripped),
            (&[verified(1), verified(2)], true, encrypted_if_it_may),
        ] {
            for (security, plan) in Security::ALL.into_iter().zip(plans) {
                let planned = plan_call(security, true, pins, announces_tls);
                assert_eq!(planned, plan, "{security} {pins:?} {announces_tls}");
            }
        }
        let no_identity = ends(NotSecure::NoIdentity);
        for announces_tls in [false, true] {
            assert_eq!(plan_call(Security::Offer, false, &[], announces_tls), plain);
            assert_eq!(plan_call(Security::Off, false, &[seen(1)], announces_tls), plain);
            assert_eq!(plan_call(Security::Offer, false, &[seen(1)], announces_tls), no_identity);
            // An agent does not start so.
            assert_eq!(plan_call(encrypted, false, &[], announces_tls), cannot(encrypted));
            assert_eq!(plan_call(encrypted, false, &[seen(1)], announces_tls), no_identity);
        }
    }

    /// Each row: what is known, the key that is met, and whether it is enough from `offer` up.
    #[test]
    fn a_callee_is_believed_as_far_as_its_key_is_known() {
        let weak = |trust, security| Err(KeyRefused::NotSecure(NotSecure::TooWeak { trust, security }));
        let changed = |pin| [Err(KeyRefused::Changed(pin)); 5];
        let [_, _, _, known, of_node, compared] = Security::ALL;
        let (new, is_known) = (Trust::New, Trust::Known(day(1)));
        let is_new = [Ok(new), Ok(new), weak(new, known), weak(new, of_node), weak(new, compared)];
        let is_seen =
            [Ok(is_known), Ok(is_known), Ok(is_known), weak(is_known, of_node), weak(is_known, compared)];
        let by_node = Ok(Trust::Introduced);
        let is_introduced = [by_node, by_node, by_node, by_node, weak(Trust::Introduced, compared)];
        let is_own = [Err(KeyRefused::NotSecure(NotSecure::OwnKey)); 5];
        for (pins, offered, expected) in [
            (&[][..], 1, is_new),
            (&[seen(1)], 1, is_seen),
            (&[introduced(1)], 1, is_introduced),
            (&[verified(1)], 1, [Ok(Trust::Verified(day(2))); 5]),
            (&[verified(1), verified(2)], 2, [Ok(Trust::Verified(day(2))); 5]),
            (&[seen(1)], 3, changed(seen(1))),
            (&[introduced(1), seen(2)], 3, changed(introduced(1))),
            (&[seen(2), verified(1)], 3, changed(verified(1))),
            (&[], OWN, is_own),
            (&[verified(OWN)], OWN, is_own),
        ] {
            for (security, expected) in Security::ALL.into_iter().skip(1).zip(expected) {
                let judged = judge_callee(security, &key(OWN), pins, &key(offered));
                assert_eq!(judged, expected, "{security} {pins:?} {offered}");
            }
        }
    }

    #[test]
    fn a_caller_is_whom_its_key_is_known_of() {
        let [laura, pere, joan] = ["laura@bb.com", "pere@bb.com", "joan@dd.com"].map(address);
        let who = |holders: &[(MiAddress, Pin)], candidates: &[Candidate]| {
            identify_caller(Security::Offer, &key(OWN), &key(1), holders, candidates)
                .map(|caller| (caller.candidates, caller.trust.unwrap()))
        };
        let known = Trust::Known(day(1));
        for (holders, candidates, expected) in [
            // Nobody knows it.
            (&[][..], &[][..], Ok((vec![], Trust::New))),
            (&[], &[(laura, vec![])], Ok((vec![laura], Trust::New))),
            (&[], &[(laura, vec![]), (pere, vec![])], Ok((vec![laura, pere], Trust::New))),
            (&[], &[(laura, vec![seen(2)])], Err(CallerRefused::KeyChanged(laura))),
            (&[], &[(laura, vec![seen(2)]), (pere, vec![verified(3)])], Err(CallerRefused::KeyChanged(pere))),
            (&[], &[(laura, vec![seen(2)]), (pere, vec![])], Ok((vec![pere], Trust::New))),
            // It is one user's, regardless of the askers.
            (&[(laura, seen(1))], &[], Ok((vec![laura], known))),
            (&[(laura, seen(1))], &[(pere, vec![])], Ok((vec![laura], known))),
            (&[(laura, verified(1))], &[(pere, vec![seen(2)])], Ok((vec![laura], Trust::Verified(day(2))))),
            // It is of several, and proves none of them.
            (&[(laura, seen(1)), (pere, seen(1))], &[(pere, vec![seen(1)])], Ok((vec![pere], Trust::New))),
            (&[(laura, verified(1)), (pere, seen(1))], &[(joan, vec![])], Ok((vec![laura], Trust::New))),
            (&[(laura, seen(1)), (pere, seen(1))], &[(joan, vec![])], Ok((vec![], Trust::New))),
            (&[(laura, seen(1)), (pere, seen(1))], &[], Ok((vec![], Trust::New))),
            (&[(laura, seen(1)), (pere, introduced(1))], &[], Ok((vec![pere], Trust::New))),
            (
                &[(laura, verified(1)), (pere, seen(1))],
                &[(pere, vec![seen(1)]), (joan, vec![]), (laura, vec![verified(1)])],
                Ok((vec![pere, laura], Trust::New)),
            ),
            // It is one user's, and another one with a key of its own asked: nobody passes for that one.
            (&[(laura, introduced(1))], &[(pere, vec![verified(3)])], Ok((vec![laura], Trust::Introduced))),
            (
                &[(laura, verified(1))],
                &[(laura, vec![seen(2), verified(1)])],
                Ok((vec![laura], Trust::Verified(day(2)))),
            ),
        ] {
            assert_eq!(who(holders, candidates), expected, "{holders:?} {candidates:?}");
        }
        for holders in [&[][..], &[(laura, seen(OWN))], &[(laura, verified(OWN)), (pere, verified(OWN))]] {
            let own = identify_caller(Security::Offer, &key(OWN), &key(OWN), holders, &[(laura, vec![])]);
            assert_eq!(own, Err(CallerRefused::OwnKey));
        }
        // A key with several holders is nobody's, however well it is known of each of them.
        let both = [(laura, verified(1)), (pere, verified(1))];
        let shared =
            identify_caller(Security::Known, &key(OWN), &key(1), &both, &[(laura, vec![verified(1)])]);
        assert_eq!(shared, Err(CallerRefused::NotSecure(Security::Known)));
        for (security, pin, is_enough) in [
            (Security::Encrypted, None, true),
            (Security::Known, None, false),
            (Security::Known, Some(seen(1)), true),
            (Security::Introduced, Some(seen(1)), false),
            (Security::Introduced, Some(introduced(1)), true),
            (Security::Verified, Some(introduced(1)), false),
            (Security::Verified, Some(verified(1)), true),
        ] {
            let holders: Vec<_> = pin.map(|pin| (laura, pin)).into_iter().collect();
            let caller = identify_caller(security, &key(OWN), &key(1), &holders, &[(laura, vec![])]);
            let refused = Err(CallerRefused::NotSecure(security));
            assert_eq!(
                caller.map(|caller| caller.trust.is_some()),
                if is_enough { Ok(true) } else { refused }
            );
        }
    }

    #[test]
    fn a_plain_caller_is_nobody_whose_words_were_compared() {
        let [laura, pere] = ["laura@bb.com", "pere@bb.com"].map(address);
        let who = |security, is_permitted, candidates: &[Candidate]| {
            plain_caller(security, is_permitted, candidates).map(|caller| {
                assert_eq!(caller.trust, None);
                (caller.candidates, caller.lacks_key)
            })
        };
        let offer = Security::Offer;
        assert_eq!(who(offer, false, &[]), Ok((vec![], false)));
        assert_eq!(who(offer, false, &[(laura, vec![])]), Ok((vec![laura], false)));
        assert_eq!(who(offer, false, &[(laura, vec![seen(1)])]), Ok((vec![laura], true)));
        assert_eq!(who(offer, false, &[(laura, vec![introduced(1)])]), Ok((vec![laura], true)));
        let compared = (laura, vec![seen(2), verified(1)]);
        assert_eq!(who(offer, false, from_ref(&compared)), Err(CallerRefused::Unproved(laura)));
        assert_eq!(who(offer, true, from_ref(&compared)), Ok((vec![laura], false)));
        assert_eq!(who(Security::Off, false, from_ref(&compared)), Ok((vec![laura], false)));
        assert_eq!(who(offer, false, &[compared, (pere, vec![])]), Ok((vec![pere], false)));
        let both = [(laura, vec![seen(1)]), (pere, vec![])];
        assert_eq!(who(offer, false, &both), Ok((vec![laura, pere], false)));
        for security in Security::ALL.into_iter().skip(2) {
            assert_eq!(who(security, false, &[(laura, vec![])]), Err(CallerRefused::NotSecure(security)));
            assert_eq!(who(security, true, &[(laura, vec![])]), Ok((vec![laura], false)));
        }
    }

    #[test]
    fn keys_are_pinned_by_calls_and_by_hand() {
        let mut pins = Vec::new();
        pinned_by_call(&mut pins, key(1), day(1));
        pinned_by_call(&mut pins, key(2), day(2));
        assert_eq!(pins, [seen(1)]);
        // A new machine of a user that nobody verified.
        accept(&mut pins, key(2), day(1)).unwrap();
        assert_eq!(pins, [seen(2)]);
        verify(&mut pins, key(2), day(2)).unwrap();
        assert_eq!(pins, [verified(2)]);
        assert_eq!(accept(&mut pins, key(3), day(3)), Err(TrustError::NeedsWords));
        accept(&mut pins, key(2), day(3)).unwrap();
        assert_eq!(pins, [verified(2)]);
        for n in 3..=5 {
            verify(&mut pins, key(n), day(2)).unwrap();
        }
        assert_eq!(pins.iter().map(|pin| pin.key).collect::<Vec<_>>(), [2, 3, 4, 5].map(key));
        assert_eq!(verify(&mut pins, key(6), day(3)), Err(TrustError::TooMany));
        assert_eq!(introduce(&mut pins, key(6), day(3)), Err(TrustError::OtherKey));
        verify(&mut pins, key(5), day(3)).unwrap();
        assert_eq!(pins.len(), MAX_KEYS);
        introduce(&mut pins, key(5), day(3)).unwrap();
        assert!(pins.iter().all(|pin| pin.strength == Strength::Verified));
    }

    /// Each row: what is known, a key that the domain's node introduces, and what is known then.
    #[test]
    fn an_introduction_adds_nothing_to_a_key_that_somebody_met() {
        let other = Err(TrustError::OtherKey);
        let four = [1, 2, 3, 4].map(introduced);
        for (pins, introduces, known) in [
            (vec![], 1, Ok(vec![introduced(1)])),
            (vec![seen(1)], 1, Ok(vec![introduced(1)])),
            (vec![introduced(1)], 1, Ok(vec![introduced(1)])),
            (vec![verified(1)], 1, Ok(vec![verified(1)])),
            (vec![introduced(1)], 2, Ok(vec![introduced(1), introduced(2)])),
            (vec![seen(1)], 2, other.clone()),
            (vec![verified(1)], 2, other.clone()),
            (vec![introduced(1), verified(2)], 3, other.clone()),
            (vec![verified(1), introduced(2)], 2, Ok(vec![verified(1), introduced(2)])),
            (four.to_vec(), 5, Err(TrustError::TooMany)),
        ] {
            let mut changed = pins.clone();
            let outcome = introduce(&mut changed, key(introduces), day(1)).map(|()| changed.clone());
            assert_eq!(outcome, known, "{pins:?} and {introduces}");
            assert!(outcome.is_ok() || changed == pins, "a refusal changes nothing");
        }
    }

    /// Each row: what is known, and what is known once another key is accepted, or its words are compared.
    #[test]
    fn a_new_key_takes_the_place_of_those_that_nobody_compared() {
        let compared_now = Pin::seen(key(9), day(2)).verified(day(2));
        for (pins, accepted, compared) in [
            (vec![], Ok(vec![seen(9)]), Ok(vec![compared_now])),
            (vec![seen(1)], Ok(vec![seen(9)]), Ok(vec![compared_now])),
            (vec![introduced(1)], Ok(vec![seen(9)]), Ok(vec![compared_now])),
            (vec![seen(1), introduced(2), introduced(3)], Ok(vec![seen(9)]), Ok(vec![compared_now])),
            (vec![verified(1)], Err(TrustError::NeedsWords), Ok(vec![verified(1), compared_now])),
            (vec![verified(1), seen(2)], Err(TrustError::NeedsWords), Ok(vec![verified(1), compared_now])),
            (
                vec![verified(1), verified(2), verified(3), introduced(4)],
                Err(TrustError::NeedsWords),
                Ok(vec![verified(1), verified(2), verified(3), compared_now]),
            ),
            (
                vec![verified(1), verified(2), verified(3), verified(4)],
                Err(TrustError::NeedsWords),
                Err(TrustError::TooMany),
            ),
            (vec![verified(9)], Ok(vec![verified(9)]), Ok(vec![verified(9)])),
        ] {
            for (change, day, expected) in
                [(accept as fn(&mut _, _, _) -> _, day(1), accepted), (verify, day(2), compared)]
            {
                let mut changed = pins.clone();
                let result = change(&mut changed, key(9), day);
                // A refusal changes nothing.
                let known = if result.is_err() { pins.clone() } else { changed.clone() };
                assert_eq!(changed, known);
                assert_eq!(result.map(|()| changed), expected, "{pins:?}");
            }
        }
    }

    #[test]
    fn keys_are_forgotten_if_that_is_meant() {
        let mut pins = vec![seen(1), verified(2)];
        assert_eq!(forget(&mut pins, Some(&key(3)), true), Err(TrustError::NotKnown));
        assert_eq!(forget(&mut pins, None, false), Err(TrustError::IsVerified));
        assert_eq!(forget(&mut pins, Some(&key(2)), false), Err(TrustError::IsVerified));
        assert_eq!(forget(&mut pins, Some(&key(1)), false), Ok(vec![seen(1)]));
        assert_eq!(forget(&mut pins, None, true), Ok(vec![verified(2)]));
        assert_eq!(forget(&mut pins, None, true), Err(TrustError::NotKnown));
    }

    #[test]
    fn reasons_continue_a_sentence() {
        let reasons = [
            (NotSecure::HasKey, "it offers no encryption, and it has a key"),
            (NotSecure::CannotEncrypt(Security::Encrypted), "it cannot encrypt, and security is `encrypted`"),
            (
                NotSecure::TooWeak { trust: Trust::New, security: Security::Known },
                "its key is new, and security is `known`",
            ),
        ];
        for (reason, text) in reasons {
            assert_eq!(reason.to_string(), text);
        }
    }
}
