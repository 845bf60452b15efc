//! Administrators who change the keys of users, by which these prove their registrations.

use std::time::Duration;

use fastrand::Rng;
use lumi_node_core::{Auth, KeyOrigin, Keys, PublicKey, UserKey};
use plumi_proto::UserName;

use super::laws::Violation;
use super::proofs::draw_signer;
use super::scenario::{DomainPlan, Program, UserPlan};
use super::world::{Event, World};

/// The changes of keys in a world.
#[derive(Debug)]
pub(super) struct KeyChanges {
    rng: Rng,
    /// Set in half of the worlds.
    are_made: bool,
}

impl KeyChanges {
    pub(super) fn draw(mut rng: Rng) -> Self {
        let are_made = rng.bool();
        Self { rng, are_made }
    }

    /// Draws the nodes that want a proof of every user. Programs of L and S have no keys, so none of them is
    /// a user there.
    pub(super) fn draw_auth(&mut self, domains: &mut [DomainPlan], users: &[UserPlan]) {
        for (home, plan) in domains.iter_mut().enumerate() {
            let mut of_domain = users.iter().filter(|user| user.home == home);
            let can_prove =
                plan.program == Program::Ours && of_domain.all(|user| user.program == Program::Ours);
            if can_prove && self.rng.u8(0..3) == 0 {
                plan.settings.auth = Auth::Required;
            }
        }
    }
}

impl World {
    /// The administrators begin, if they do anything.
    pub(super) fn begin_key_changes(&mut self) {
        if self.key_changes.are_made {
            self.after(Duration::from_secs(2), Event::Keys);
        }
    }

    /// An administrator changes the keys of a user.
    pub(super) fn change_keys(&mut self) -> Result<(), Violation> {
        if self.ending.wants_quiet() {
            return Ok(());
        }
        let rng = &mut self.key_changes.rng;
        let next = Duration::from_millis(rng.u64(500..8_000));
        let (number, change) = (rng.usize(0..self.agents.len()), rng.u8(0..4));
        self.after(next, Event::Keys);
        let agent = &mut self.agents[number];
        let (user, home) = (agent.address().user(), agent.home());
        let Some(prover) = agent.prover.as_mut().filter(|_| self.nodes[home].program() == Program::Ours)
        else {
            return Ok(());
        };
        let mut keys = self.nodes[home].keys().clone();
        let what = match change {
            0 => {
                let of_user: Vec<_> = keys.of(&user).iter().map(|known| known.key).collect();
                let Some(removed) = self.key_changes.rng.choice(&of_user) else { return Ok(()) };
                keys.remove(&user, removed);
                "key removed"
            }
            1 => {
                give(&mut keys, user, prover.public_key(), KeyOrigin::Added);
                "key added"
            }
            2 => {
                // The user enrols from another machine, or after the old one was lost.
                prover.replace(draw_signer(&mut self.key_changes.rng));
                give(&mut keys, user, prover.public_key(), KeyOrigin::Invited);
                "new key by an invitation"
            }
            _ => {
                keys.of(&user).to_vec().iter().for_each(|known| _ = keys.remove(&user, &known.key));
                prover.replace(draw_signer(&mut self.key_changes.rng));
                give(&mut keys, user, prover.public_key(), KeyOrigin::Invited);
                "all keys replaced by an invitation"
            }
        };
        self.statistics.fault(what);
        self.trace.note(self.now, format_args!("{what}: {}", self.agents[number].address()));
        self.set_keys(home, keys)
    }

    /// Gives the user of this agent a key that the agent has, if the node wants one that it has not.
    pub(super) fn help_with_key(&mut self, number: usize) -> Result<(), Violation> {
        let agent = &self.agents[number];
        let (user, home) = (agent.address().user(), agent.home());
        let node = &self.nodes[home];
        let Some(prover) = agent.prover.as_ref().filter(|_| node.program() == Program::Ours) else {
            return Ok(());
        };
        let key = prover.public_key();
        let known = node.keys().of(&user);
        let is_wanted = !known.is_empty() || node.settings().auth == Auth::Required;
        if !is_wanted || known.iter().any(|known| known.key == key) {
            return Ok(());
        }
        let mut keys = node.keys().clone();
        give(&mut keys, user, key, KeyOrigin::Added);
        self.set_keys(home, keys)
    }
}

/// Adds a key of `user`, in the place of the oldest one if there are too many.
fn give(keys: &mut Keys, user: UserName, key: PublicKey, origin: KeyOrigin) {
    if keys.of(&user).len() >= MOST {
        let oldest = keys.of(&user)[0].key;
        keys.remove(&user, &oldest);
    }
    // An error: the user has it.
    _ = keys.add(user, UserKey::new(key, "2026-11-30", origin));
}

/// The most keys of a user here: each proof is verified against all of them.
const MOST: usize = 3;
