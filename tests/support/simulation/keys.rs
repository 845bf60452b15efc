//! The keys of agents: their own, those that they know of others, and what their users say about these.

use fastrand::Rng;
use mi_agent_core::key_rules::{Candidate, accept, pinned_by_call, verify};
use mi_agent_core::{
    Day, KeyGuard, LumiRequest, MemoryTrust, MiAddress, Pin, PublicKey, Security, TrustStore,
};

use super::agents::Stage;
use super::laws::{KeyLaws, Violation};
use super::scenario::Program;
use super::world::World;

/// The keys of one agent, as far as its host keeps them, and its memory of keys while it runs.
#[derive(Debug)]
pub(super) struct Keyring {
    security: Security,
    own: Option<PublicKey>,
    pub(super) trust: MemoryTrust,
    pub(super) guard: KeyGuard,
    pub(super) laws: KeyLaws,
}

impl Keyring {
    /// Draws a user's keys and level. Deployed programs have none.
    pub(super) fn draw(rng: &mut Rng, program: Program) -> Self {
        let own = (program == Program::Ours && rng.u8(0..100) < 75).then(|| draw_key(rng));
        let security = match own {
            // Higher levels need a key.
            None if rng.bool() => Security::Off,
            None => Security::Offer,
            Some(_) => *rng.choice(LEVELS).expect("not empty"),
        };
        let (guard, laws) = (KeyGuard::new(security, own), KeyLaws::new(security, own));
        Self { security, own, trust: MemoryTrust::default(), guard, laws }
    }

    /// The program is started again; now and then on a new machine, with a new key and what is known of
    /// others.
    pub(super) fn restart(&mut self, rng: &mut Rng) {
        if self.own.is_some() && rng.u8(0..NEW_MACHINE) == 0 {
            self.own = Some(draw_key(rng));
        }
        self.guard = KeyGuard::new(self.security, self.own);
        self.laws.restarted(self.own);
    }

    /// Returns the key that callers meet, if they may encrypt.
    pub(super) fn offered(&self) -> Option<PublicKey> {
        self.own.filter(|_| self.security != Security::Off)
    }

    pub(super) fn pins(&self, of: &MiAddress) -> Vec<Pin> {
        self.trust.pins(of).expect("it is in memory")
    }

    pub(super) fn candidates(&self, users: &[MiAddress]) -> Vec<Candidate> {
        users.iter().map(|user| (*user, self.pins(user))).collect()
    }

    /// A conversation that the user wanted with `to` has begun. A `new` key becomes a pin.
    pub(super) fn begins(
        &mut self,
        to: MiAddress,
        key: Option<PublicKey>,
        is_new: bool,
    ) -> Result<(), Violation> {
        self.guard.begun(&to);
        if let (Some(key), true) = (key, is_new) {
            self.change(&to, |pins| pinned_by_call(pins, key, today()));
        }
        self.laws.begun(to, key);
        self.are_kept(&to)
    }

    /// The user knows `to` from before.
    fn has_known(&mut self, to: MiAddress, key: PublicKey, is_verified: bool) {
        let (day, seen) = (today(), Pin::seen(key, today()));
        self.change(&to, |pins| pins.push(if is_verified { seen.verified(day) } else { seen }));
        match is_verified {
            true => self.laws.verifies(to, key),
            false => self.laws.accepts(to, key),
        }
    }

    /// The user trusts the key that was refused, if it may be.
    fn accepts_refused(&mut self, to: MiAddress) -> Result<(), Violation> {
        let Some(key) = self.guard.refused_key(&to) else { return Ok(()) };
        self.change(&to, |pins| _ = accept(pins, key, today()));
        self.guard.trusted(&to);
        self.laws.accepts(to, key);
        self.are_kept(&to)
    }

    /// The user has compared the words of `key`, which is the other user's.
    fn verifies(&mut self, to: MiAddress, key: PublicKey) -> Result<(), Violation> {
        self.change(&to, |pins| _ = verify(pins, key, today()));
        self.guard.trusted(&to);
        self.laws.verifies(to, key);
        self.are_kept(&to)
    }

    fn change(&self, of: &MiAddress, change: impl Fn(&mut Vec<Pin>)) {
        self.trust.change(of, &mut |pins| change(pins)).expect("it is in memory");
    }

    fn are_kept(&self, of: &MiAddress) -> Result<(), Violation> {
        self.laws.are_kept(of, &self.pins(of))
    }
}

impl World {
    /// Draws which users with keys know each other from before. Some have got another key since, or have none
    /// any more.
    pub(super) fn draw_acquaintances(&mut self) {
        let others: Vec<_> =
            self.agents.iter().map(|agent| (agent.address(), agent.keys.offered())).collect();
        let rng = &mut self.middle.rng;
        for agent in self.agents.iter_mut().filter(|agent| agent.keys.own.is_some()) {
            let own = agent.address();
            for &(to, key) in others.iter().filter(|(to, _)| *to != own) {
                let met = match (key, rng.u8(0..20)) {
                    (Some(key), 0..10) => key,
                    (Some(_), 10..12) | (None, 0) => draw_key(rng),
                    _ => continue,
                };
                agent.keys.has_known(to, met, rng.u8(0..3) == 0);
            }
        }
    }

    /// The user could not talk with `to`, whose key was refused or missing, and may do something about it.
    pub(super) fn user_is_refused(&mut self, number: usize, to: MiAddress) -> Result<(), Violation> {
        let (now, instant) = (self.now, self.instant());
        let true_key = self.true_key(&to);
        let action = self.middle.rng.u8(0..10);
        let keys = &mut self.agents[number].keys;
        match action {
            0 | 1 => keys.accepts_refused(to),
            // The words of an impostor's key differ.
            2 | 3 if true_key.is_some() && keys.guard.refused_key(&to) == true_key => {
                keys.verifies(to, true_key.expect("there is one"))
            }
            4..8 => {
                keys.guard.permit_plain(instant, to);
                keys.laws.permits(now, to);
                self.calls_again(number, to)
            }
            _ => Ok(()),
        }
    }

    /// The user calls `to` again at once, if nothing is in the way.
    fn calls_again(&mut self, number: usize, to: MiAddress) -> Result<(), Violation> {
        let agent = &self.agents[number];
        let asks = LumiRequest::Locate(to);
        if agent.stage() == Stage::On && agent.may_ask() && !agent.is_asking(asks) {
            return self.ask(number, asks);
        }
        Ok(())
    }

    /// The user has talked with `to` in an encrypted conversation, and may compare the words of its `key`.
    pub(super) fn user_has_met(
        &mut self,
        number: usize,
        to: MiAddress,
        key: PublicKey,
    ) -> Result<(), Violation> {
        let compares = self.middle.rng.u8(0..6) == 0;
        if compares && self.true_key(&to) == Some(key) {
            return self.agents[number].keys.verifies(to, key);
        }
        Ok(())
    }

    /// Returns the key that the user `to` would read out.
    fn true_key(&self, to: &MiAddress) -> Option<PublicKey> {
        self.agents.iter().find(|agent| agent.address() == *to).and_then(|agent| agent.keys.offered())
    }
}

/// Draws a key. Nobody signs anything here, so any bytes are one.
pub(super) fn draw_key(rng: &mut Rng) -> PublicKey {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    PublicKey::from_bytes(bytes)
}

/// A day. The laws do not depend on it.
fn today() -> Day {
    "2026-11-29".parse().expect("a day")
}

/// The levels of users with keys. Most keep the default.
const LEVELS: &[Security] = &[
    Security::Offer,
    Security::Offer,
    Security::Offer,
    Security::Offer,
    Security::Off,
    Security::Encrypted,
    Security::Known,
    Security::Verified,
];

/// One start of so many is on a new machine.
const NEW_MACHINE: u8 = 12;
