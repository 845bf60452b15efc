//! Attackers who want to be registered as a user with a key, which they do not have.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;

use fastrand::Rng;
use lumi_proof::{Signer, handle};
use plumi_proto::{KEY_LENGTH, KeyAndMac, MAC_LENGTH, Message, MiAddress, Proof, SIGNATURE_LENGTH, Verb};

use super::World;
use crate::simulation::network::{Datagram, Sender};
use crate::simulation::proofs::draw_signer;

/// The means of these attackers.
#[derive(Debug)]
pub(in crate::simulation) struct ProofAttackers {
    pub(in crate::simulation) rng: Rng,
    /// A key of their own. No node knows it.
    signer: Signer,
    /// The proofs that passed last.
    overheard: VecDeque<Datagram>,
    /// The user whose challenge they asked for last, by their own address.
    asked_for: HashMap<SocketAddrV4, MiAddress>,
}

impl ProofAttackers {
    pub(in crate::simulation) fn new(mut rng: Rng) -> Self {
        let signer = draw_signer(&mut rng);
        Self { rng, signer, overheard: VecDeque::new(), asked_for: HashMap::new() }
    }

    pub(in crate::simulation) fn overhear(&mut self, datagram: &Datagram) {
        if datagram.bytes.starts_with(b"PK") {
            if self.overheard.len() >= MAX_OVERHEARD {
                self.overheard.pop_front();
            }
            self.overheard.push_back(datagram.clone());
        }
    }

    fn verb(&mut self) -> Verb {
        if self.rng.u8(0..4) == 0 { Verb::Deregister } else { Verb::Register }
    }

    /// A signature of the right length, with a hint that may be right.
    fn forge(&mut self, address: &MiAddress) -> Vec<u8> {
        let mut signature = [0; SIGNATURE_LENGTH];
        self.rng.fill(&mut signature);
        let nonce = plumi_proto::Nonce::new([self.rng.u8(..); 12]);
        let proof = Proof { verb: self.verb(), hint: nonce.hint(), handle: handle(address), signature };
        Message::Prove(proof).encode().to_vec()
    }
}

impl World {
    /// Attacks a user with a key, if there is one.
    pub(super) fn attack_proofs(&mut self) {
        let own = self.attackers.own();
        let with_key = self.agents.iter().filter(|agent| agent.prover.is_some());
        let victims: Vec<_> = with_key.map(|agent| (agent.address(), agent.at(), agent.home())).collect();
        let Some(&(user, at, home)) = self.proof_attackers.rng.choice(&victims) else { return };
        let node = self.nodes[home].at();
        if !self.is_ours(Sender::Node(home)) {
            return;
        }
        // An attacker who has the user's source address can be told from the user by a proof alone.
        let can_pose = self.dangers.spoofers && self.proof_attackers.rng.bool();
        let from = if can_pose { at } else { own };
        match self.proof_attackers.rng.u8(0..100) {
            0..35 => {
                let verb = self.proof_attackers.verb();
                self.proof_attackers.asked_for.insert(from, user);
                let asks = Message::RequestChallenge { verb, address: user }.encode().to_vec();
                self.forge("challenge asked for in another's name", from, node, asks);
            }
            35..60 => self.replay_proof(own),
            60..70 => {
                let bytes = self.proof_attackers.forge(&user);
                self.forge("forged proof", from, node, bytes);
            }
            70..80 => {
                self.forge("PR of a user with a key", own, node, format!("PR{user}").into_bytes());
            }
            80..90 => {
                self.forge("PD of a user with a key", from, node, format!("PD{user}").into_bytes());
            }
            90..97 => {
                let to = self.attackers.user();
                self.forge("PL of a user with a key", own, node, format!("PL{user}:{to}").into_bytes());
            }
            _ => {
                let key =
                    KeyAndMac { key: [self.proof_attackers.rng.u8(..); KEY_LENGTH], mac: [0; MAC_LENGTH] };
                let enrols = Message::Enrol { address: user, key }.encode().to_vec();
                self.forge("enrolment without an invitation", from, node, enrols);
            }
        }
    }

    /// A user asks for a challenge, which some attackers overhear. They ask at once as well, to have theirs
    /// signed.
    pub(in crate::simulation) fn attackers_hurry(&mut self, asks: &Datagram) {
        let Ok(Message::RequestChallenge { address, .. }) = Message::decode(&asks.bytes) else { return };
        let is_attacked = self.dangers.spoofers && !self.ending.wants_quiet();
        if is_attacked && asks.sender != Sender::Attacker && self.proof_attackers.rng.u8(0..3) == 0 {
            let own = self.attackers.own();
            self.proof_attackers.asked_for.insert(own, address);
            self.forge("challenge asked for to relay it", own, asks.to, asks.bytes.clone());
        }
    }

    /// Sends a proof that passed once more: from where it was or from elsewhere, for the same or for the
    /// other request.
    fn replay_proof(&mut self, own: SocketAddrV4) {
        let overheard: Vec<_> = self.proof_attackers.overheard.iter().collect();
        let Some(mut proof) = self.proof_attackers.rng.choice(overheard).cloned() else { return };
        if !self.dangers.spoofers || self.proof_attackers.rng.bool() {
            proof.from = own;
        }
        if self.proof_attackers.rng.u8(0..4) == 0
            && let Some(verb) = proof.bytes.get_mut(2)
        {
            *verb = if *verb == b'R' { b'D' } else { b'R' };
        }
        self.forge("replayed proof", proof.from, proof.to, proof.bytes);
    }

    /// Attackers who asked for a challenge in the name of a user have got it: they sign it with a key of
    /// their own, or have the user's agent sign it.
    pub(super) fn attackers_are_challenged(&mut self, datagram: &Datagram) {
        let Ok(message) = Message::decode(&datagram.bytes) else { return };
        let (Some((verb, challenge)), own) = (message.challenge(), datagram.to) else { return };
        let Some(&user) = self.proof_attackers.asked_for.get(&own) else { return };
        let Some(victim) = self.agents.iter().find(|agent| agent.address() == user) else { return };
        let at = victim.at();
        if self.dangers.spoofers && self.proof_attackers.rng.bool() {
            return self.forge("relayed challenge", datagram.from, at, datagram.bytes.clone());
        }
        let proof = self.proof_attackers.signer.prove(verb, &user, &challenge);
        let bytes = Message::Prove(proof).encode().to_vec();
        self.forge("proof by another key", own, datagram.from, bytes);
    }
}

/// Proofs are rare, and older ones are the better ones to replay.
const MAX_OVERHEARD: usize = 16;
