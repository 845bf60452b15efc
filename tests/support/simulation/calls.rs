//! Calls of agents: plain or encrypted as their keys say, and answered by the callee or by somebody in the
//! middle.
//!
//! Nothing is encrypted here. A handshake is its result: the keys that both sides have proved, or none. The
//! decisions are those that ship, and this carries them out as `io/protection.rs` and `io/listener.rs` of
//! `mi-agent-core` do.

use mi_agent_core::{CallPlan, Identified, MiAddress, PublicKey, Trust, TrustStore};

use super::agents::Process;
use super::laws::Violation;
use super::middle::Impostor;
use super::scenario::Program;
use super::talks::Manner;
use super::world::World;

/// The party that answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answerer {
    /// The agent of this number.
    Agent(usize),
    /// Somebody in the middle.
    Impostor(Impostor),
}

impl World {
    /// The user of an agent of ours calls `to`, whose answer `offered` encryption or did not. Returns whether
    /// both talked.
    pub(super) fn call(
        &mut self,
        caller: usize,
        to: MiAddress,
        answerer: Answerer,
        offered: bool,
    ) -> Result<bool, Violation> {
        let (now, instant) = (self.now, self.instant());
        let keys = &mut self.agents[caller].keys;
        let pins = if keys.guard.ignores_keys(instant, &to) { Vec::new() } else { keys.pins(&to) };
        let plan = keys.guard.plan(instant, &to, &pins, offered);
        keys.laws.planned(now, &to, offered, plan)?;
        let talks = match plan {
            CallPlan::Plain => self.plain_call(caller, to, answerer, true)?,
            CallPlan::Tls => self.encrypted_call(caller, to, answerer)?,
            CallPlan::EndAtOnce(_) => {
                let ended = self.plain_call(caller, to, answerer, false)?;
                self.user_is_refused(caller, to)?;
                ended
            }
        };
        Ok(talks)
    }

    /// A deployed program calls an agent, in plain text as always. Returns whether both talked.
    pub(super) fn is_called_by_another_program(
        &mut self,
        caller: usize,
        callee: usize,
    ) -> Result<bool, Violation> {
        let is_refused = self.refuses_caller(callee, None)?;
        let programs = [caller, callee].map(|number| self.agents[number].program());
        self.converse(programs, Manner { is_refused, ..Manner::default() })?;
        Ok(!is_refused)
    }

    fn plain_call(
        &mut self,
        caller: usize,
        to: MiAddress,
        answerer: Answerer,
        is_wanted: bool,
    ) -> Result<bool, Violation> {
        let mut manner = Manner { says_nothing: !is_wanted, ..Manner::default() };
        let programs = match answerer {
            Answerer::Agent(callee) => {
                manner.is_refused = self.refuses_caller(callee, None)?;
                [caller, callee].map(|number| self.agents[number].program())
            }
            // It may be as good as any.
            Answerer::Impostor(_) => [Program::Ours; 2],
        };
        self.calls(if is_wanted { "plain" } else { "plain, ended at once" });
        if is_wanted {
            self.agents[caller].keys.begins(to, None, false)?;
        }
        self.converse(programs, manner)?;
        Ok(is_wanted && !manner.is_refused)
    }

    fn encrypted_call(
        &mut self,
        caller: usize,
        to: MiAddress,
        answerer: Answerer,
    ) -> Result<bool, Violation> {
        let Some(key) = self.proves_key(&to, answerer) else {
            self.calls("encrypted, without a handshake");
            return Ok(false);
        };
        let keys = &mut self.agents[caller].keys;
        let own = keys.offered().expect("it encrypts");
        let judged = keys.guard.judge(to, &keys.pins(&to), key);
        keys.laws.judged(&to, key, &judged)?;
        let Ok(trust) = judged else {
            self.calls("encrypted, with a key that was refused");
            self.user_is_refused(caller, to)?;
            return Ok(false);
        };
        let is_refused = match answerer {
            Answerer::Agent(callee) => self.refuses_caller(callee, Some(own))?,
            Answerer::Impostor(_) => {
                self.is_relayed(&to)?;
                false
            }
        };
        let is_new = trust == Trust::New;
        self.calls(if is_new { "encrypted, new key" } else { "encrypted, known key" });
        self.agents[caller].keys.begins(to, Some(key), is_new)?;
        let manner = Manner { is_encrypted: true, is_refused, ..Manner::default() };
        self.converse([Program::Ours; 2], manner)?;
        if !is_refused {
            self.user_has_met(caller, to, key)?;
        }
        Ok(!is_refused)
    }

    /// Returns the key that whoever answers a call to `to` proves to have.
    fn proves_key(&self, to: &MiAddress, answerer: Answerer) -> Option<PublicKey> {
        match answerer {
            Answerer::Impostor(Impostor::Encrypts) => Some(self.middle.key),
            Answerer::Impostor(Impostor::Plain) => None,
            // One that is called by another name aborts the handshake.
            Answerer::Agent(callee) => {
                let callee = &self.agents[callee];
                callee.keys.offered().filter(|_| callee.address() == *to)
            }
        }
    }

    /// Somebody in the middle calls the user `to`, who was called, with its own key.
    fn is_relayed(&mut self, to: &MiAddress) -> Result<(), Violation> {
        let key = self.middle.key;
        let is_called = |agent: &super::agents::Agent| {
            agent.address() == *to
                && agent.is_running()
                && !agent.is_frozen()
                && agent.keys.offered().is_some()
        };
        let Some(callee) = self.agents.iter().position(is_called) else { return Ok(()) };
        let is_refused = self.refuses_caller(callee, Some(key))?;
        self.calls(if is_refused { "relayed, refused" } else { "relayed" });
        Ok(())
    }

    /// A caller with `key`, or in plain text, has given its nickname. Returns whether `callee` refuses it.
    fn refuses_caller(&mut self, callee: usize, key: Option<PublicKey>) -> Result<bool, Violation> {
        let (now, instant) = (self.now, self.instant());
        let agent = &mut self.agents[callee];
        let (keys, Some(Process::Ours { client, laws, .. })) = (&mut agent.keys, &mut agent.process) else {
            return Ok(false);
        };
        let holders = key.map(|key| keys.trust.holders(&key).expect("it is in memory")).unwrap_or_default();
        if key.is_some() {
            client.handle_encrypted_call(instant);
            laws.somebody_encrypts();
        }
        let candidates = match holders[..] {
            [(holder, _)] => {
                client.take_known_caller(&holder);
                laws.encrypts(&holder);
                vec![holder]
            }
            _ => {
                let candidates = client.take_askers(instant);
                laws.is_called_by(&candidates);
                candidates
            }
        };
        let identified = keys.guard.identify(instant, key, &holders, &keys.candidates(&candidates));
        keys.laws.identified(now, key, &candidates, &identified)?;
        if let Ok(Identified { candidates, .. }) = &identified
            && let [only] = candidates[..]
        {
            keys.guard.begun(&only);
            keys.laws.was_called(&only);
        }
        Ok(identified.is_err())
    }

    /// Counts a call.
    fn calls(&mut self, kind: &'static str) {
        *self.statistics.calls.entry(kind).or_default() += 1;
        self.trace.note(self.now, format_args!("a call: {kind}"));
    }
}
