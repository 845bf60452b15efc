//! Users with a key: which agents may register them, and ask in their name (protocol.md §9, §12).

mod challenges;
mod enrolments;
mod keys;
mod limits;
mod orders;

use lumi_node_core::{Auth, DropReason, Keys, NodeSettings, Output};
use lumi_proof::Signer;
use plumi_proto::{Challenge, Message, Verb};

use crate::{TestNode, address};

const SECRET: [u8; 32] = [9; 32];

/// A node at which laura has a key, and pere has none.
pub(crate) fn proving() -> TestNode {
    proving_with(NodeSettings::default())
}

fn proving_with(settings: NodeSettings) -> TestNode {
    let mut node = TestNode::with(settings);
    node.node.challenge_with(node.now, &SECRET);
    node.node.handle_keys(&keys(&[("laura", 1)]));
    node
}

/// These users' keys, by the numbers of their secrets.
pub(crate) fn keys(of_users: &[(&str, u8)]) -> Keys {
    let lines: Vec<_> = of_users.iter().map(|(user, number)| line(user, *number)).collect();
    Keys::parse(lines.join("\n").as_bytes()).expect("keys")
}

fn line(user: &str, number: u8) -> String {
    let key = lumi_node_core::PublicKey(signer(number).public_key());
    format!("{user} ed25519 {key} 2026-11-29 invited")
}

fn signer(number: u8) -> Signer {
    Signer::from_seed(&[number; 32]).expect("a seed")
}

impl TestNode {
    /// Asks for a challenge from there.
    pub(crate) fn challenge(&mut self, from: &str, verb: Verb, user: &str) -> Challenge {
        let asks = Message::RequestChallenge { verb, address: user.parse().expect("an address") }.encode();
        match self.receive(from, str::from_utf8(&asks).expect("a text"))[..] {
            [Output::Transmit { to, message, .. }] if to == address(from) => {
                let (of, challenge) = message.challenge().expect("a challenge");
                assert_eq!((of, challenge.seen), (verb, address(from)));
                assert!(message.encode().len() <= asks.len());
                challenge
            }
            ref outputs => panic!("{outputs:?}"),
        }
    }

    /// Proves with the key of this number, and returns the answer.
    fn prove(&mut self, from: &str, verb: Verb, user: &str, key: u8) -> String {
        let challenge = self.challenge(from, verb, user);
        self.answer(from, &proof(verb, user, key, &challenge)).expect("it is not dropped")
    }

    fn register_with_proof(&mut self, from: &str) {
        assert_eq!(self.prove(from, Verb::Register, "laura@bb.com", 1), "RR0");
        assert_eq!(self.address_of("laura"), Some(address(from)));
    }

    /// Returns the answer to a message, which goes to its sender.
    fn answer(&mut self, from: &str, message: &str) -> Result<String, DropReason> {
        match self.try_receive(from, message)?[..] {
            [Output::Transmit { to, message, .. }] if to == address(from) => {
                Ok(String::from_utf8(message.encode().to_vec()).expect("a text"))
            }
            ref outputs => panic!("{message}: {outputs:?}"),
        }
    }

    fn set_auth(&mut self, auth: Auth) {
        self.node.handle_settings(NodeSettings::default().auth(auth));
    }
}

pub(crate) fn proof(verb: Verb, user: &str, key: u8, challenge: &Challenge) -> String {
    let proof = signer(key).prove(verb, &user.parse().expect("an address"), challenge);
    String::from_utf8(Message::Prove(proof).encode().to_vec()).expect("a text")
}
