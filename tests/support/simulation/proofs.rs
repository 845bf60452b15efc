//! The keys with which users prove their registrations (protocol.md §12). All signatures here are real.

use std::net::SocketAddrV4;

use fastrand::Rng;
use lumi_node_core::{Auth, KeyOrigin, Keys, PublicKey, UserKey};
use lumi_proof::Signer;
use mi_agent_core::{ExpectedSource, ProofSettings};
use plumi_proto::{Challenge, Message, MiAddress, Verb};

use super::scenario::{DomainPlan, Program, UserPlan};

/// A user's key, as far as proofs are concerned.
#[derive(Debug)]
pub(super) struct Prover {
    signer: Signer,
    /// The node of the user has the key in its file.
    is_known: bool,
    /// The user's agent remembers that its node asked for a proof.
    pub(super) is_enrolled: bool,
}

impl Prover {
    /// Draws whether a user has a key. Deployed programs have none, and their nodes know none. Where every
    /// user needs one, the user has it.
    pub(super) fn draw(rng: &mut Rng, user: &UserPlan, home: &DomainPlan) -> Option<Self> {
        let is_required = home.settings.auth == Auth::Required;
        let has_key = user.program == Program::Ours && (rng.u8(0..100) < 60 || is_required);
        has_key.then(|| Self {
            signer: draw_signer(rng),
            is_known: home.program == Program::Ours && (rng.u8(0..100) < 85 || is_required),
            is_enrolled: rng.bool(),
        })
    }

    /// Returns the settings of an agent that is started at `at`.
    pub(super) fn settings(&self, rng: &mut Rng, at: SocketAddrV4) -> ProofSettings {
        let source = ExpectedSource { ip: *at.ip(), port: at.port(), is_any_port: false };
        let mut settings = ProofSettings::new(Some(source), rng.u64(..));
        settings.is_enrolled = self.is_enrolled;
        settings
    }

    /// Returns the key that the node has to know.
    pub(super) fn public_key(&self) -> PublicKey {
        PublicKey(self.signer.public_key())
    }

    /// The user has this key from now on, and no other.
    pub(super) fn replace(&mut self, signer: Signer) {
        self.signer = signer;
    }

    /// Returns the answer to a challenge.
    pub(super) fn prove(&self, verb: Verb, address: &MiAddress, challenge: &Challenge) -> Message {
        Message::Prove(self.signer.prove(verb, address, challenge))
    }
}

/// Returns the file of keys of a domain. Some users have another key as well, which is on no host of this
/// world.
pub(super) fn keys_of(rng: &mut Rng, home: usize, users: &[UserPlan], provers: &[Option<Prover>]) -> Keys {
    let mut keys = Keys::default();
    let known = users.iter().zip(provers).filter(|(user, _)| user.home == home);
    for (user, prover) in known.filter_map(|(user, prover)| Some((user, prover.as_ref()?))) {
        if !prover.is_known {
            continue;
        }
        let mut signers = vec![prover.signer.public_key()];
        if rng.u8(0..4) == 0 {
            signers.insert(rng.usize(0..2), draw_signer(rng).public_key());
        }
        for key in signers {
            let key = UserKey::new(PublicKey(key), "2026-11-29", KeyOrigin::Added);
            keys.add(user.address.user(), key).expect("two at most");
        }
    }
    keys
}

pub(super) fn draw_signer(rng: &mut Rng) -> Signer {
    Signer::from_seed(&draw_secret(rng)).expect("any bytes are a seed")
}

pub(super) fn draw_secret(rng: &mut Rng) -> [u8; 32] {
    let mut secret = [0; 32];
    rng.fill(&mut secret);
    secret
}
