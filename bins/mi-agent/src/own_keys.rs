//! The keys that an agent starts with: the user's own one, and those of other users.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use mi_agent_core::{EnrolmentFile, Identity, IdentityError, KnownPeers};
use plumi_proto::MiAddress;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time;
use zeroize::Zeroizing;

use crate::options::settings::Settings;
use crate::reason::Reason;
use crate::store::folder::{self, DataFolder};

/// The keys of a user.
pub(crate) struct OwnKeys {
    /// The user's own key, or the reason why there can be none.
    pub(crate) identity: Result<Identity, String>,
    /// The keys of other users; `None` if there is no place for them.
    pub(crate) known_peers: Option<KnownPeers>,
}

/// Loads the keys of the user at `address`. If the default file of the own key is not there, it is created.
///
/// # Errors
/// A key that somebody chose is not there or wrong; the default one is wrong; the keys of other users cannot
/// be read.
pub(crate) async fn load(settings: &Settings, address: &MiAddress) -> anyhow::Result<OwnKeys> {
    let folder = DataFolder::of(address);
    let identity = identity(settings, folder.as_ref()).await?;
    let known_peers = match &folder {
        // Where no key of this user can be, there are none of others.
        Some(folder) if identity.is_ok() || folder.path().is_dir() => Some(known_peers(folder)?),
        _ => None,
    };
    Ok(OwnKeys { identity, known_peers })
}

/// Loads the key of the user of this `folder`, or returns the reason why there can be none.
///
/// # Errors
/// Those of [`load`].
pub(crate) async fn identity(
    settings: &Settings,
    folder: Option<&DataFolder>,
) -> anyhow::Result<Result<Identity, String>> {
    if let Some(path) = &settings.identity {
        return load_chosen(path).map(Ok);
    }
    if let [program, arguments @ ..] = &settings.key_command[..] {
        return printed_by(program, arguments).await.map(Ok);
    }
    let Some(folder) = folder else {
        return Ok(Err("there is no place for a key, because HOME is not set".into()));
    };
    load_default(folder)
}

/// Opens the keys of other users that the user of this `folder` knows.
///
/// # Errors
/// They cannot be read.
pub(crate) fn known_peers(folder: &DataFolder) -> anyhow::Result<KnownPeers> {
    let path = known_peers_path(folder);
    KnownPeers::open(&path).map_err(|error| anyhow!("{} {}", path.display(), Reason(&error)))
}

/// Returns the file that remembers which nodes ask for proofs, beside the user's own key.
pub(crate) fn enrolment_file(folder: &DataFolder) -> EnrolmentFile {
    EnrolmentFile::new(folder.path().join("enrolled"))
}

fn known_peers_path(folder: &DataFolder) -> PathBuf {
    folder.path().join("known_peers")
}

/// Loads the key in a file that the user named.
fn load_chosen(path: &Path) -> anyhow::Result<Identity> {
    match Identity::load(path) {
        Err(IdentityError::Io(error)) if error.kind() == io::ErrorKind::NotFound => bail!(
            "there is no identity {}; without --identity and the key `identity`, one is created automatically",
            path.display()
        ),
        loaded => loaded.map_err(|error| about(path, &error)),
    }
}

/// Loads the key in the `folder` of its user, or creates it there.
fn load_default(folder: &DataFolder) -> anyhow::Result<Result<Identity, String>> {
    let path = folder.path().join("identity.pem");
    // A key that is there must not be left unused.
    if fs::symlink_metadata(&path).is_ok() {
        return Identity::load(&path).map(Ok).map_err(|error| about(&path, &error));
    }
    // This is asked before there is a key, because another program of this user may meet somebody with it at
    // once.
    let has_met_peers = known_peers_path(folder).exists();
    let created =
        folder::make(folder.path()).map_err(IdentityError::Io).and_then(|()| Identity::load_or_create(&path));
    match created {
        Ok((identity, is_new)) => {
            if is_new && has_met_peers {
                tracing::warn!(
                    "{} is a new key; users who know your old one are warned when they call you",
                    path.display()
                );
            }
            Ok(Ok(identity))
        }
        Err(IdentityError::Io(error)) => {
            Ok(Err(format!("there is no key, because {} cannot be written: {error}", path.display())))
        }
        Err(error) => Err(about(&path, &error)),
    }
}

fn about(path: &Path, error: &IdentityError) -> anyhow::Error {
    anyhow!("the identity in {} {}", path.display(), Reason(error))
}

/// Returns the key that `program` prints.
async fn printed_by(program: &str, arguments: &[String]) -> anyhow::Result<Identity> {
    let running = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut running = running.with_context(|| format!("key-command: cannot run {program}"))?;
    let stdout = running.stdout.take().context("key-command: it has no stdout")?;
    // Room for all of it, so that no copy of the secret is left behind.
    let mut pem = Zeroizing::new(Vec::with_capacity(MAX_PEM));
    let ended = time::timeout(KEY_COMMAND_LIMIT, async {
        stdout.take(MAX_PEM as u64).read_to_end(&mut pem).await?;
        running.wait().await
    });
    let ended = ended.await.map_err(|_| {
        anyhow!("key-command: {program} has not ended after {} s", KEY_COMMAND_LIMIT.as_secs())
    })?;
    let status = ended.with_context(|| format!("key-command: cannot read from {program}"))?;
    if !status.success() {
        bail!("key-command: {program} ended with {status}");
    }
    let pem = str::from_utf8(&pem).map_err(|_| IdentityError::NoKey);
    let identity = pem.and_then(Identity::from_pem);
    identity.map_err(|error| anyhow!("key-command: what {program} prints {}", Reason(&error)))
}

/// The time that a program has to print the key. It may have to ask another one, but nobody at a keyboard.
const KEY_COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// The most bytes of a printed key that are read: as many as of a file.
const MAX_PEM: usize = 16 * 1024;
