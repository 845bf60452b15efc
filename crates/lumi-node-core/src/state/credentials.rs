//! The proofs of users who have a key: challenges, their verification, and its limits (protocol.md §9, §12).
//!
//! Nothing is kept for a challenge. Its nonce follows from a secret, the time and the number of the last
//! proof, so a proof is checked by computing the nonce again.
//!
//! ```text
//!   PR…:A  ─►  nonce(epoch, n, user, source)       an epoch is 30 s; n changes with every accepted proof of the user
//!   PK     ─►  nonce(epoch), nonce(epoch - 1)      one begins with the hint ─► verified against each key of the user
//! ```

use std::collections::HashMap;
use std::mem;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use lumi_proof::{NonceSecret, handle, key_tag, verify};
use plumi_proto::{Challenge, Domain, HANDLE_LENGTH, MiAddress, Proof, UdpAddress, UserName};

use super::keys::{Keys, PublicKey};
use super::limiter::{Bucket, Limiter, RateLimit};
use super::notice::NOTICE_INTERVAL;
use super::source::Source;
use super::status::ProofCounts;

/// The users who have a key, and what they proved.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    /// `None` until the node has a secret. Until then nobody has to prove anything.
    challenger: Option<Challenger>,
    users: HashMap<UserName, Credential>,
    by_handle: HashMap<[u8; HANDLE_LENGTH], Vec<UserName>>,
    /// The number of proofs that were accepted, of all users. It never repeats for a user who lost all keys
    /// and has one again.
    accepted: u64,
    limits: Limits,
    counts: ProofCounts,
    /// Failed proofs that no notice was given about.
    unreported: u64,
}

/// The keys of one user, and the last proof.
#[derive(Debug)]
struct Credential {
    keys: Vec<PublicKey>,
    /// Those of them that have proved something since the node was started.
    proven: Vec<PublicKey>,
    /// The key that proved the user's binding.
    proved_by: Option<PublicKey>,
    /// The number of the last accepted proof.
    n: u64,
    last: Option<Accepted>,
    reported_at: Option<Instant>,
}

/// A proof that was accepted.
#[derive(Debug)]
struct Accepted {
    proof: Proof,
    source: UdpAddress,
    at: Instant,
}

#[derive(Debug)]
struct Challenger {
    secret: NonceSecret,
    start: Instant,
}

/// The outcome of a verification.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verified {
    /// This key made it.
    By(PublicKey),
    /// None of the user's keys made it for a challenge that is valid.
    No,
    /// There are too many to verify this one.
    TooMany,
}

impl Credentials {
    /// Begins to challenge, with a secret of this start of the node.
    pub(super) fn challenge_with(&mut self, now: Instant, secret: NonceSecret) {
        self.challenger = Some(Challenger { secret, start: now });
    }

    pub(super) fn is_ready(&self) -> bool {
        self.challenger.is_some()
    }

    pub(super) fn counts(&self) -> ProofCounts {
        self.counts
    }

    /// Replaces the keys of all users. Returns the users whose keys are others than before.
    pub(super) fn replace(&mut self, domain: &Domain, keys: &Keys) -> Vec<UserName> {
        let mut changed = Vec::new();
        self.users.retain(|user, _| {
            let stays = !keys.of(user).is_empty();
            if !stays {
                changed.push(*user);
            }
            stays
        });
        let accepted = self.accepted;
        for (user, of_user) in keys.iter() {
            let of_user: Vec<_> = of_user.iter().map(|known| known.key).collect();
            let credential = self.users.entry(*user).or_insert_with(|| Credential::new(accepted));
            if credential.keys != of_user {
                credential.keys = of_user;
                credential.proved_by = credential.proved_by.filter(|key| credential.keys.contains(key));
                credential.proven.retain(|key| credential.keys.contains(key));
                changed.push(*user);
            }
        }
        self.by_handle.clear();
        for user in self.users.keys() {
            // A user whose address is too long is none of the domain.
            if let Ok(address) = MiAddress::new(user, domain) {
                self.by_handle.entry(handle(&address)).or_default().push(*user);
            }
        }
        changed
    }

    /// Returns the users who have a key, in no order.
    pub(super) fn users(&self) -> impl Iterator<Item = UserName> {
        self.users.keys().copied()
    }

    pub(super) fn has_key(&self, user: &UserName) -> bool {
        self.users.contains_key(user)
    }

    /// Returns whether a key that the user still has proved the user's binding.
    pub(super) fn is_proved(&self, user: &UserName) -> bool {
        self.users.get(user).is_some_and(|credential| credential.proved_by.is_some())
    }

    /// Returns the keys that have proved something since the node was started, in no order.
    pub(super) fn proven(&self) -> Vec<(UserName, PublicKey)> {
        let all = self.users.iter();
        all.flat_map(|(user, credential)| credential.proven.iter().map(|key| (*user, *key))).collect()
    }

    /// Returns the tag of the key that proved the user's binding.
    pub(super) fn proved_by(&self, user: &UserName) -> Option<[u8; 8]> {
        self.users.get(user)?.proved_by.map(|PublicKey(key)| key_tag(&key))
    }

    /// Returns whether the user has the key with this tag.
    pub(super) fn has_tagged(&self, user: &UserName, tag: Option<[u8; 8]>) -> bool {
        let keys = self.users.get(user).map_or(&[][..], |credential| &credential.keys);
        keys.iter().any(|key| tag == Some(key_tag(&key.0)))
    }

    /// Takes over that the key with this tag proved the user's binding.
    pub(super) fn restore(&mut self, user: &UserName, tag: Option<[u8; 8]>) {
        let Some(credential) = self.users.get_mut(user) else { return };
        credential.proved_by = credential.keys.iter().copied().find(|key| tag == Some(key_tag(&key.0)));
    }

    /// Notes that the user has no binding that was proved.
    pub(super) fn forget_binding(&mut self, user: &UserName) {
        if let Some(credential) = self.users.get_mut(user) {
            credential.proved_by = None;
        }
    }

    /// Forgets all bindings that were proved: nothing has to be proved any more.
    pub(super) fn forget_bindings(&mut self) {
        self.users.values_mut().for_each(|credential| credential.proved_by = None);
    }

    /// Returns the challenge to `address`, a user who has a key, at `source`.
    pub(super) fn challenge(
        &mut self,
        now: Instant,
        address: &MiAddress,
        source: UdpAddress,
    ) -> Option<Challenge> {
        let credential = self.users.get(&address.user())?;
        let challenge = self.challenger.as_ref()?.challenge(now, 0, credential, address, source)?;
        self.counts.challenges += 1;
        Some(challenge)
    }

    /// Returns the user number `index` of those with this handle.
    pub(super) fn holder(&self, handle: &[u8; HANDLE_LENGTH], index: usize) -> Option<UserName> {
        self.by_handle.get(handle)?.get(index).copied()
    }

    /// Returns whether this is the last accepted proof of the user once more, from the same source and soon
    /// after.
    pub(super) fn repeats(&self, now: Instant, user: &UserName, proof: &Proof, source: UdpAddress) -> bool {
        let last = self.users.get(user).and_then(|credential| credential.last.as_ref());
        last.is_some_and(|last| (&last.proof, last.source) == (proof, source) && now <= last.at + REPETITION)
    }

    /// Counts an enrolment that was saved.
    pub(super) fn count_enrolment(&mut self) {
        self.counts.enrolled += 1;
    }

    /// Counts a proof that is answered again.
    pub(super) fn count_repetition(&mut self) {
        self.counts.repeated += 1;
    }

    /// Verifies a proof of the user with this address. `is_charged` is whether its sender has paid for it.
    pub(super) fn verify(
        &mut self,
        now: Instant,
        address: &MiAddress,
        proof: &Proof,
        source: UdpAddress,
        is_charged: &mut bool,
    ) -> Verified {
        let (Some(challenger), Some(credential)) = (&self.challenger, self.users.get(&address.user())) else {
            return Verified::No;
        };
        let challenges = [0, 1].map(|ago| challenger.challenge(now, ago, credential, address, source));
        for challenge in challenges.iter().flatten().filter(|known| known.nonce.hint() == proof.hint) {
            if !*is_charged && !self.limits.admit_sender(now, source) {
                return Verified::TooMany;
            }
            *is_charged = true;
            for key in &credential.keys {
                if !self.limits.admit_one(now) {
                    return Verified::TooMany;
                }
                if verify(&key.0, address, challenge, proof) {
                    return Verified::By(*key);
                }
            }
        }
        Verified::No
    }

    /// Notes that a proof by `key` was accepted: every other proof of the user is void. `is_bound` is whether
    /// the user is bound by it.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        user: &UserName,
        key: PublicKey,
        proof: &Proof,
        source: UdpAddress,
        is_bound: bool,
    ) {
        self.accepted += 1;
        self.counts.accepted += 1;
        if let Some(credential) = self.users.get_mut(user) {
            credential.n = self.accepted;
            if !credential.proven.contains(&key) {
                credential.proven.push(key);
            }
            credential.proved_by = is_bound.then_some(key);
            credential.last = Some(Accepted { proof: *proof, source, at: now });
        }
    }

    /// Counts a proof of `user` that failed. Returns the number of failures to report, if a report is due: at
    /// most one a minute for each user. The failures that were not reported are counted in the next one.
    pub(super) fn fail(&mut self, now: Instant, user: &UserName) -> Option<u64> {
        self.counts.failed += 1;
        self.unreported += 1;
        let credential = self.users.get_mut(user)?;
        if credential.reported_at.is_some_and(|last| now < last + NOTICE_INTERVAL) {
            return None;
        }
        credential.reported_at = Some(now);
        Some(mem::take(&mut self.unreported))
    }
}

impl Credential {
    fn new(n: u64) -> Self {
        Self { keys: Vec::new(), proven: Vec::new(), proved_by: None, n, last: None, reported_at: None }
    }
}

impl Challenger {
    /// Returns the challenge of the current epoch, or of one `ago`.
    fn challenge(
        &self,
        now: Instant,
        ago: u64,
        credential: &Credential,
        address: &MiAddress,
        source: UdpAddress,
    ) -> Option<Challenge> {
        let epoch = now.saturating_duration_since(self.start).as_secs() / EPOCH.as_secs();
        let nonce = self.secret.nonce(epoch.checked_sub(ago)?, credential.n, address, source);
        Some(Challenge { nonce, seen: source })
    }
}

/// The limits of verifications, which cost much more than anything else that a datagram can cause.
#[derive(Debug)]
struct Limits {
    of_host: Limiter<Source>,
    of_socket: Limiter<UdpAddress>,
    all: Option<Bucket>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { of_host: Limiter::new(of_host()), of_socket: Limiter::new(of_socket()), all: None }
    }
}

impl Limits {
    /// Returns whether the sender of a proof may have it verified.
    fn admit_sender(&mut self, now: Instant, source: UdpAddress) -> bool {
        // A socket that has spent its share must not spend that of its neighbours.
        self.of_socket.admit(now, source) && self.of_host.admit(now, source.into())
    }

    /// Returns whether one more verification is admitted.
    fn admit_one(&mut self, now: Instant) -> bool {
        let all = self.all.get_or_insert_with(|| Bucket::full(now, of_all()));
        all.fill(now, of_all());
        all.take()
    }
}

/// Returns the limit of one IPv4 address: a class of 30 with 5 tries each starts at once.
fn of_host() -> RateLimit {
    limit(100, 160)
}

/// Returns the limit of one socket, so that a neighbour behind the same NAT cannot use up the share of its
/// address.
fn of_socket() -> RateLimit {
    limit(2, 10)
}

/// Returns the limit of all verifications, one for each key: a quarter of a processor, and 25 ms at once.
fn of_all() -> RateLimit {
    limit(4_000, 400)
}

fn limit(per_second: u32, burst: u32) -> RateLimit {
    let number = |number| NonZeroU32::new(number).expect("is not 0");
    RateLimit::new(number(per_second)).with_burst(number(burst))
}

/// The time after which another nonce holds. The one before holds for as long again: five tries of an agent
/// fit.
const EPOCH: Duration = Duration::from_secs(30);

/// The time in which an accepted proof that comes again is answered again.
const REPETITION: Duration = Duration::from_secs(10);
