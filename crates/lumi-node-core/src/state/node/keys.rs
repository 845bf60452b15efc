//! The keys of users: who has to prove a registration, and whose registration ends because of that.

use std::time::Instant;

use lumi_proof::NonceSecret;
use plumi_proto::UserName;

use super::Node;
use crate::state::event::GoneReason;
use crate::state::keys::Keys;
use crate::state::settings::Auth;

impl Node {
    /// Begins to require proofs of users who have a key. `secret` are random bytes, others at each start: a
    /// proof for another secret is none.
    ///
    /// Keys have no effect until this is called. Call it before [`Node::handle_keys`].
    pub fn challenge_with(&mut self, now: Instant, secret: &[u8; 32]) {
        self.credentials.challenge_with(now, NonceSecret::new(secret));
        self.apply_all_keys();
    }

    /// Replaces the keys of all users.
    ///
    /// A user who gets a first key, or loses the key that proved the registration, is not registered any
    /// more, and the requests by and for that user are forgotten. Nobody else is affected. Keys of names that
    /// are not in the roster wait until they are.
    pub fn handle_keys(&mut self, keys: &Keys) {
        for user in self.credentials.replace(&self.domain, keys) {
            self.apply_keys(&user);
        }
    }

    /// Lets the keys of `user` take effect, who may have other ones, or may have come to the roster.
    pub(super) fn apply_keys(&mut self, user: &UserName) {
        let is_off = self.settings.auth == Auth::Off || !self.credentials.is_ready();
        let had_key = self.users.has_key(user);
        let has_key = !is_off && self.credentials.has_key(user);
        self.users.set_has_key(user, has_key);
        let is_unproved = has_key && !self.credentials.is_proved(user);
        let has_lost_all = had_key && !has_key && !is_off;
        if is_unproved || has_lost_all {
            self.drop_binding(user);
        }
    }

    pub(super) fn apply_all_keys(&mut self) {
        let users: Vec<_> = self.credentials.users().collect();
        users.iter().for_each(|user| self.apply_keys(user));
    }

    /// Lets another [`NodeSettings::auth`](crate::NodeSettings::auth) than `before` take effect.
    pub(super) fn apply_auth(&mut self, before: Auth) {
        if self.settings.auth == before {
            return;
        }
        if self.settings.auth == Auth::Off {
            // A plain registration may move the user from now on.
            self.credentials.forget_bindings();
        }
        self.apply_all_keys();
        if self.settings.auth == Auth::Required {
            let without_key = self.users.registered_without_key();
            without_key.iter().for_each(|user| self.drop_binding(user));
        }
    }

    /// Ends the registration of a user as if the user had left the roster.
    fn drop_binding(&mut self, user: &UserName) {
        self.credentials.forget_binding(user);
        let events = self.events.len();
        if self.users.drop_binding(user, GoneReason::Unproved, &mut self.events) {
            self.save_end(user, events);
            self.location.forget(&self.domain, |other| other == user);
        }
    }
}
