//! The keys of users and their invitations: added, removed and listed by administrators, and read again.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use jiff::{Timestamp, Zoned};
use lumi_node_core::{
    AdminError, AdminRefusal, Administrator, Auth, CredentialFiles, CredentialFilesError, Invitation,
    KeyOrigin, Keys, Node, PublicKey, Server, UserKey,
};
use plumi_proto::{Domain, UserName};
use serde_json::{Value, json};
use tokio::task;

use super::invitation::{Invited, Validity, time_text};

/// The files of keys and invitations of a running node. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct KeyRing {
    files: Arc<Mutex<CredentialFiles>>,
    domain: Domain,
}

/// The keys that a reload has read, to be taken over with the roster.
#[derive(Debug)]
pub(crate) struct ReadKeys(CredentialFiles);

impl KeyRing {
    /// Reads the keys beside the roster at `roster`, and has `node` require proofs of them.
    ///
    /// # Errors
    /// They cannot be read, or a line is wrong. A missing file is none: then nobody has a key.
    pub(crate) fn open(roster: &Path, node: &mut Node, auth: Auth) -> anyhow::Result<Self> {
        let files = CredentialFiles::open(roster, *node.domain())?;
        let now = tokio::time::Instant::now().into_std();
        node.challenge_with(now, &lumi_node_core::random()?);
        node.handle_credentials(now, &files.state(wall()));
        let file = files.keys();
        if !file.exists() && auth == Auth::Required {
            let path = file.path().display();
            tracing::warn!("auth is required, and there are no keys at {path}, so nobody can register");
        } else if file.exists() {
            tracing::info!("keys of {} users at {}", file.keys().len(), file.path().display());
        }
        Ok(Self { files: Arc::new(Mutex::new(files)), domain: *node.domain() })
    }

    /// Has the enrolments of `server` saved.
    ///
    /// # Errors
    /// There is no thread for them.
    pub(crate) fn save_enrolments(
        &self,
        server: &mut Server,
        administrator: &Administrator,
    ) -> anyhow::Result<()> {
        let (files, handle) = (Arc::clone(&self.files), administrator.handle().clone());
        Ok(server.enrolments().save_in(files, handle, wall)?)
    }

    /// Reads the file again. Nothing changes until [`KeyRing::take`].
    ///
    /// # Errors
    /// The same as those of [`KeyRing::open`].
    pub(crate) async fn read_again(&self) -> anyhow::Result<ReadKeys> {
        let this = self.clone();
        task::spawn_blocking(move || Ok(ReadKeys(this.lock().reopen()?))).await?
    }

    /// Takes over what was read. A file that is missing now changes nothing; the answer is what to say about
    /// that.
    ///
    /// # Errors
    /// The node has ended.
    pub(crate) async fn take(
        &self,
        ReadKeys(read): ReadKeys,
        administrator: &Administrator,
    ) -> anyhow::Result<Option<String>> {
        let state = {
            let mut files = self.lock();
            if files.keys().exists() && !read.keys().exists() {
                let path = files.keys().path().display();
                return Ok(Some(format!("the keys {path} are missing, so those before hold on")));
            }
            *files = read;
            files.state(wall())
        };
        administrator.handle().credentials_changed(state).await?;
        Ok(None)
    }

    /// Adds a key of a user of the domain.
    ///
    /// # Errors
    /// There is no such user, or the key cannot be added or saved.
    pub(crate) async fn add(
        &self,
        administrator: &Administrator,
        user: UserName,
        key: PublicKey,
    ) -> anyhow::Result<String> {
        if !administrator.list().await?.iter().any(|status| status.user == user) {
            bail!("{user} does not belong to the domain; register the user first");
        }
        let key = UserKey::new(key, today(), KeyOrigin::Added);
        self.change(administrator, move |files| Ok(files.keys_mut().add(user, key)?)).await?;
        Ok(format!("added a key of {user}, who has to prove a registration from now on"))
    }

    /// Removes a key of a user, or all of them.
    ///
    /// # Errors
    /// The user has no such key, or none, or the change cannot be saved.
    pub(crate) async fn remove(
        &self,
        administrator: &Administrator,
        user: UserName,
        key: Option<PublicKey>,
    ) -> anyhow::Result<String> {
        let remove = move |files: &mut CredentialFiles| match key {
            Some(key) => Ok(files.keys_mut().remove(user, &key)?),
            None => Ok(files.keys_mut().remove_all(user)?),
        };
        self.change(administrator, remove).await?;
        let what = if key.is_some() { "a key" } else { "all keys" };
        let left = self.lock().keys().keys().of(&user).len();
        let more = if left == 0 { ", who registers without a proof from now on" } else { "" };
        Ok(format!("removed {what} of {user}{more}"))
    }

    /// Lists all keys, as a table or as a JSON array.
    ///
    /// # Errors
    /// The node has ended.
    pub(crate) async fn list(&self, administrator: &Administrator, json: bool) -> anyhow::Result<String> {
        let proven = administrator.handle().proven_keys().await?;
        let keys = self.lock().keys().keys().clone();
        if json {
            let rows = sorted(&keys).map(|(user, key)| {
                let proved = proven.contains(&(user, key.key));
                json!({
                    "user": user.as_str(),
                    "key": key.key.to_string(),
                    "since": key.since,
                    "origin": key.origin.to_string(),
                    "proved": proved,
                })
            });
            return Ok(json_rows(rows));
        }
        let mut text = String::from("USER  KEY  SINCE  ORIGIN  PROVED");
        for (user, key) in sorted(&keys) {
            let proved = if proven.contains(&(user, key.key)) { "yes" } else { "not yet" };
            _ = write!(text, "\n{user}  {}  {}  {}  {proved}", key.key, key.since, key.origin);
        }
        Ok(text)
    }

    /// Lists the keys that have proved a registration since the start, as agents import them.
    ///
    /// # Errors
    /// The node has ended.
    pub(crate) async fn known_peers(&self, administrator: &Administrator) -> anyhow::Result<String> {
        let proven = administrator.handle().proven_keys().await?;
        let (keys, domain) = (self.lock().keys().keys().clone(), self.domain);
        let lines = sorted(&keys).filter(|(user, key)| proven.contains(&(*user, key.key)));
        let lines =
            lines.map(|(user, key)| format!("{user}@{domain} ed25519 {} introduced {}", key.key, key.since));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Invites `users` to enrol a key each, and adds them to the roster if necessary. Nobody else gets to see
    /// the codes.
    ///
    /// # Errors
    /// A user cannot be added, or may have no more keys, or the change cannot be saved. Nobody is invited
    /// then.
    pub(crate) async fn invite(
        &self,
        administrator: &Administrator,
        users: Vec<UserName>,
        valid: Validity,
    ) -> anyhow::Result<Invited> {
        for user in &users {
            match administrator.add_user(*user).await {
                Ok(()) | Err(AdminError::Refused(AdminRefusal::AlreadyUser(_))) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot add {user}")),
            }
        }
        self.invite_those(administrator, valid, move |_, _| users).await
    }

    /// Invites every user of the roster that has neither a key nor an open invitation.
    ///
    /// # Errors
    /// They are too many, or the change cannot be saved. Nobody is invited then.
    pub(crate) async fn invite_all_new(
        &self,
        administrator: &Administrator,
        valid: Validity,
    ) -> anyhow::Result<Invited> {
        let users = administrator.list().await?;
        let users = users.into_iter().map(|status| status.user);
        self.invite_those(administrator, valid, move |files, now| files.new_among(users, now)).await
    }

    /// Invites the users that `choose` returns when nobody else can change the files.
    async fn invite_those(
        &self,
        administrator: &Administrator,
        valid: Validity,
        choose: impl FnOnce(&CredentialFiles, i64) -> Vec<UserName> + Send + 'static,
    ) -> anyhow::Result<Invited> {
        let now = wall();
        let expires = now + valid.seconds();
        let invite = move |files: &mut CredentialFiles| files.invite(&choose(files, now), now, expires);
        let codes = self.change(administrator, invite).await?;
        Ok(Invited { domain: self.domain, codes, expires })
    }

    /// Lists the invitations without their codes, as a table or as a JSON array.
    pub(crate) fn invitations(&self, json: bool) -> String {
        let now = wall();
        let files = self.lock();
        let rows = files.invitations().iter().map(|invitation| {
            let Invitation { user, expires, used, .. } = invitation;
            let (state, time) = match used {
                Some(used) => ("used", used.at),
                None if invitation.is_open(now) => ("open", *expires),
                None => ("expired", *expires),
            };
            (user, state, time_text(time))
        });
        if json {
            return json_rows(
                rows.map(
                    |(user, state, time)| json!({ "user": user.as_str(), "state": state, "time": time }),
                ),
            );
        }
        let mut text = String::from("USER  STATE  TIME");
        for (user, state, time) in rows {
            let until = if state == "open" { " until" } else { "" };
            _ = write!(text, "\n{user}  {state}{until}  {time}");
        }
        text
    }

    /// Makes a change in the files, and then in the node.
    async fn change<T: Send + 'static>(
        &self,
        administrator: &Administrator,
        change: impl FnOnce(&mut CredentialFiles) -> Result<T, CredentialFilesError> + Send + 'static,
    ) -> anyhow::Result<T> {
        let this = self.clone();
        let changed = move || {
            let mut files = this.lock();
            let changed = change(&mut files)?;
            Ok::<_, anyhow::Error>((changed, files.state(wall())))
        };
        // The disk may be slow.
        let (changed, state) = task::spawn_blocking(changed).await?.context("nothing has changed")?;
        administrator.handle().credentials_changed(state).await?;
        Ok(changed)
    }

    fn lock(&self) -> MutexGuard<'_, CredentialFiles> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Formats a JSON array, one row to a line.
fn json_rows(rows: impl Iterator<Item = Value>) -> String {
    let rows: Vec<_> = rows.map(|row| format!("\n  {row}")).collect();
    format!("[{}\n]", rows.join(","))
}

fn sorted(keys: &Keys) -> impl Iterator<Item = (UserName, &UserKey)> {
    let mut users: Vec<_> = keys.iter().collect();
    users.sort_unstable_by_key(|(user, _)| **user);
    users.into_iter().flat_map(|(user, keys)| keys.iter().map(move |key| (*user, key)))
}

#[expect(clippy::disallowed_methods, reason = "people read the day; nothing is decided by it")]
fn today() -> String {
    Zoned::now().date().to_string()
}

/// Returns the time by the clock on the wall, in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "people agree on a day until which an invitation is good")]
fn wall() -> i64 {
    Timestamp::now().as_second()
}
