//! All orders of up to six messages of an agent and of an eavesdropper, against a model of the rules.

use lumi_node_core::NodeSettings;
use plumi_proto::Verb;

use super::{proof, proving_with};
use crate::{LAURA, STRANGER, address};

/// A message of the agent of laura, or of somebody else with what the agent sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    /// Asks for a challenge, which the next proof answers.
    Asks,
    Registers,
    Deregisters,
    PlainRegisters,
    PlainDeregisters,
    /// The last proof of the agent, from another socket.
    IsReplayed,
    /// The first proof of the agent, from the agent's socket.
    IsOld,
    StrangerRegisters,
}

const EVENTS: [Event; 8] = [
    Event::Asks,
    Event::Registers,
    Event::Deregisters,
    Event::PlainRegisters,
    Event::PlainDeregisters,
    Event::IsReplayed,
    Event::IsOld,
    Event::StrangerRegisters,
];

#[test]
fn laura_is_bound_where_a_fresh_proof_came_from_and_nowhere_else() {
    let mut signatures = Signatures::default();
    // Each order begins with a question of the agent: nothing that it sends before that is a proof.
    for number in 0..EVENTS.len().pow(5) {
        let rest = (0..5_u32).map(|place| EVENTS[number / EVENTS.len().pow(place) % EVENTS.len()]);
        let order: Vec<_> = std::iter::once(Event::Asks).chain(rest).collect();
        play(&order, &mut signatures);
    }
}

fn play(order: &[Event], signatures: &mut Signatures) {
    let mut node = proving_with(NodeSettings::default().rate_limit(None));
    let mut challenge = None;
    let mut proofs: Vec<String> = Vec::new();
    let (mut accepted, mut challenged_at) = (0_usize, None);
    let mut last_accepted: Option<(String, Verb)> = None;
    let mut is_bound = false;
    for (number, event) in order.iter().enumerate() {
        let shown = || format!("{:?}", &order[..=number]);
        match event {
            Event::Asks => {
                challenge = Some(node.challenge(LAURA, Verb::Register, "laura@bb.com"));
                challenged_at = Some(accepted);
            }
            Event::Registers | Event::Deregisters => {
                let Some(challenge) = &challenge else { continue };
                let verb = if *event == Event::Registers { Verb::Register } else { Verb::Deregister };
                let proof = signatures.get(verb, challenge);
                let is_fresh = challenged_at == Some(accepted);
                let stands = is_bound == (verb == Verb::Register);
                let is_repeated = last_accepted.as_ref() == Some(&(proof.clone(), verb)) && stands;
                let answer = node.answer(LAURA, &proof).expect("it is not dropped");
                assert_eq!(answer.ends_with('0'), is_fresh || is_repeated, "{}", shown());
                if is_fresh {
                    accepted += 1;
                    is_bound = verb == Verb::Register;
                    last_accepted = Some((proof.clone(), verb));
                }
                proofs.push(proof);
            }
            Event::PlainRegisters => {
                let answer = node.answer(LAURA, "PRlaura@bb.com").expect("an answer");
                assert_eq!(answer == "RR0", is_bound, "{}", shown());
            }
            Event::PlainDeregisters => {
                let answer = node.answer(LAURA, "PDlaura@bb.com").expect("an answer");
                assert_eq!(answer == "RD0", !is_bound, "{}", shown());
            }
            Event::IsReplayed => {
                let Some(proof) = proofs.last() else { continue };
                let answer = node.answer(STRANGER, proof).expect("an answer");
                assert!(answer.ends_with('1'), "{}", shown());
            }
            Event::IsOld => {
                let Some(proof) = proofs.first().cloned() else { continue };
                let verb = if proof.starts_with("PKR") { Verb::Register } else { Verb::Deregister };
                let stands = is_bound == (verb == Verb::Register);
                let is_repeated = last_accepted.as_ref() == Some(&(proof.clone(), verb)) && stands;
                let answer = node.answer(LAURA, &proof).expect("an answer");
                assert_eq!(answer.ends_with('0'), is_repeated, "{}", shown());
            }
            Event::StrangerRegisters => {
                let answer = node.answer(STRANGER, "PRlaura@bb.com").expect("an answer");
                assert_eq!(answer, "RR1", "{}", shown());
            }
        }
        assert_eq!(node.address_of("laura"), is_bound.then(|| address(LAURA)), "{}", shown());
    }
}

/// Proofs that were made already: making one takes longer than all the rest.
#[derive(Default)]
struct Signatures(std::collections::HashMap<(bool, plumi_proto::Nonce), String>);

impl Signatures {
    fn get(&mut self, verb: Verb, challenge: &plumi_proto::Challenge) -> String {
        let key = (verb == Verb::Register, challenge.nonce);
        let make = || proof(verb, "laura@bb.com", 1, challenge);
        self.0.entry(key).or_insert_with(make).clone()
    }
}
