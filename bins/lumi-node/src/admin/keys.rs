//! The keys of users: added, removed and listed by administrators, and read again.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use jiff::Zoned;
use lumi_node_core::{Administrator, Auth, KeyFile, KeyOrigin, Keys, Node, PublicKey, UserKey};
use plumi_proto::{Domain, UserName};
use tokio::task;

/// The file of keys of a running node. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct KeyRing {
    file: Arc<Mutex<KeyFile>>,
    domain: Domain,
}

/// The keys that a reload has read, to be taken over with the roster.
#[derive(Debug)]
pub(crate) struct ReadKeys(KeyFile);

impl KeyRing {
    /// Reads the keys beside the roster at `roster`, and has `node` require proofs of them.
    ///
    /// # Errors
    /// They cannot be read, or a line is wrong. A missing file is none: then nobody has a key.
    pub(crate) fn open(roster: &Path, node: &mut Node, auth: Auth) -> anyhow::Result<Self> {
        let file = KeyFile::open(roster)?;
        node.challenge_with(tokio::time::Instant::now().into_std(), &lumi_node_core::random()?);
        node.handle_keys(file.keys());
        if !file.exists() && auth == Auth::Required {
            let path = file.path().display();
            tracing::warn!("auth is required, and there are no keys at {path}, so nobody can register");
        } else if file.exists() {
            tracing::info!("keys of {} users at {}", file.keys().len(), file.path().display());
        }
        Ok(Self { file: Arc::new(Mutex::new(file)), domain: *node.domain() })
    }

    /// Reads the file again. Nothing changes until [`KeyRing::take`].
    ///
    /// # Errors
    /// As [`KeyRing::open`].
    pub(crate) async fn read_again(&self) -> anyhow::Result<ReadKeys> {
        let this = self.clone();
        task::spawn_blocking(move || Ok(ReadKeys(this.lock().reopen()?))).await?
    }

    /// Takes over what was read. A file that is missing now changes nothing; the answer is what to say about that.
    ///
    /// # Errors
    /// The node has ended.
    pub(crate) async fn take(
        &self,
        ReadKeys(read): ReadKeys,
        administrator: &Administrator,
    ) -> anyhow::Result<Option<String>> {
        let keys = {
            let mut file = self.lock();
            if file.exists() && !read.exists() {
                let path = file.path().display();
                return Ok(Some(format!("the keys {path} are missing, so those before hold on")));
            }
            *file = read;
            Arc::new(file.keys().clone())
        };
        administrator.handle().keys_changed(keys).await?;
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
        self.change(administrator, move |file| file.add(user, key)).await?;
        Ok(format!("added a key of {user}, who has to prove a registration from now on"))
    }

    /// Removes a key of a user.
    ///
    /// # Errors
    /// The user has no such key, or the change cannot be saved.
    pub(crate) async fn remove(
        &self,
        administrator: &Administrator,
        user: UserName,
        key: PublicKey,
    ) -> anyhow::Result<String> {
        self.change(administrator, move |file| file.remove(user, &key)).await?;
        let left = self.lock().keys().of(&user).len();
        let more = if left == 0 { ", who registers without a proof from now on" } else { "" };
        Ok(format!("removed a key of {user}{more}"))
    }

    /// Lists all keys as a table.
    ///
    /// # Errors
    /// The node has ended.
    pub(crate) async fn list(&self, administrator: &Administrator) -> anyhow::Result<String> {
        let proven = administrator.handle().proven_keys().await?;
        let keys = self.lock().keys().clone();
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
        let (keys, domain) = (self.lock().keys().clone(), self.domain);
        let lines = sorted(&keys).filter(|(user, key)| proven.contains(&(*user, key.key)));
        let lines =
            lines.map(|(user, key)| format!("{user}@{domain} ed25519 {} introduced {}", key.key, key.since));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Makes a change in the file, and then in the node.
    async fn change(
        &self,
        administrator: &Administrator,
        change: impl FnOnce(&mut KeyFile) -> Result<(), lumi_node_core::KeyFileError> + Send + 'static,
    ) -> anyhow::Result<()> {
        let this = self.clone();
        let changed = move || {
            let mut file = this.lock();
            change(&mut file)?;
            Ok::<_, anyhow::Error>(Arc::new(file.keys().clone()))
        };
        // The disk may be slow.
        let keys = task::spawn_blocking(changed).await?.context("nothing has changed")?;
        Ok(administrator.handle().keys_changed(keys).await?)
    }

    fn lock(&self) -> MutexGuard<'_, KeyFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
