//! The identity of a user: a secret key, and the file that has it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use lumi_proof::{handle, signed_text};
use plumi_proto::{Challenge, MiAddress, Proof, Verb};
use zeroize::Zeroizing;

use crate::io::file_access::others_have_access;
use crate::io::tls::SecretKey;
use crate::key::PublicKey;

/// The secret key that proves a user's identity.
///
/// Anybody with this key passes for the user. It is in a file that only the user may read, without a
/// passphrase: PKCS#8 in PEM, which OpenSSL and GnuTLS read and write as well.
///
/// ```
/// use mi_agent_core::Identity;
///
/// let identity = Identity::generate()?;
/// let again = Identity::from_pem(&identity.to_pem())?;
/// assert_eq!(again.public_key(), identity.public_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Identity(SecretKey);

impl Identity {
    /// Creates an identity that is nowhere but here.
    ///
    /// # Errors
    /// [`IdentityError::Io`]: the system has no randomness.
    pub fn generate() -> Result<Self, IdentityError> {
        SecretKey::generate().map(Self).map_err(IdentityError::Io)
    }

    /// Reads the identity in the file at `path`.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        let file = File::open(path).map_err(IdentityError::Io)?;
        let metadata = file.metadata().map_err(IdentityError::Io)?;
        if !metadata.is_file() {
            return Err(IdentityError::Io(io::Error::other("it is not a regular file")));
        }
        if others_have_access(&file).map_err(IdentityError::Io)? {
            return Err(IdentityError::Readable { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
        }
        let mut pem = Zeroizing::new(String::with_capacity(MAX_PEM));
        let read = file.take(MAX_PEM as u64).read_to_string(&mut pem);
        match read {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(IdentityError::NoKey),
            read => read.map_err(IdentityError::Io)?,
        };
        Self::from_pem(&pem)
    }

    /// Reads the identity in the file at `path`, or creates it there: its folder exists. Returns whether it
    /// was created.
    ///
    /// The file is there as a whole or not at all. If two programs do this at the same time, both have the
    /// same identity.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load_or_create(path: &Path) -> Result<(Self, bool), IdentityError> {
        match Self::load(path) {
            Err(IdentityError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded.map(|identity| (identity, false)),
        }
        let identity = Self::generate()?;
        match identity.create(path) {
            Ok(()) => Ok((identity, true)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::load(path).map(|identity| (identity, false))
            }
            Err(error) => Err(IdentityError::Io(error)),
        }
    }

    /// Reads an identity from its PEM.
    ///
    /// # Errors
    /// [`IdentityError::NoKey`].
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        let body = pem.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(body, _)| body);
        let body: Zeroizing<String> =
            Zeroizing::new(body.ok_or(IdentityError::NoKey)?.split_ascii_whitespace().collect());
        let der = Zeroizing::new(BASE64.decode(body.as_bytes()).map_err(|_| IdentityError::NoKey)?);
        SecretKey::from_pkcs8(der).map(Self).ok_or(IdentityError::NoKey)
    }

    /// Returns the identity as PEM, with the secret.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let body = Zeroizing::new(BASE64.encode(self.0.to_pkcs8()));
        Zeroizing::new([BEGIN, "\n", &body, "\n", END, "\n"].concat())
    }

    /// Returns the key that others know of this user.
    pub fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    /// Returns the proof of `address` for `challenge` (protocol.md §12).
    pub(crate) fn prove(&self, verb: Verb, address: &MiAddress, challenge: &Challenge) -> Proof {
        let signature = self.0.sign(&signed_text(verb, address, challenge));
        Proof { verb, hint: challenge.nonce.hint(), handle: handle(address), signature }
    }

    pub(crate) fn secret(&self) -> &SecretKey {
        &self.0
    }

    /// Writes a file that is not there yet: it has another name until it is whole.
    fn create(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
        // Several threads may do this, too.
        name.push(format!(".{}.{:?}.new", std::process::id(), std::thread::current().id()));
        let new = folder.join(name);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&new)?;
        let written = file.write_all(self.to_pem().as_bytes()).and_then(|()| file.sync_all());
        // A link, unlike a new name, does not replace the file of another program.
        let created = written.and_then(|()| fs::hard_link(&new, path));
        // The outcome of the creation says more.
        _ = fs::remove_file(&new);
        created?;
        File::open(folder)?.sync_all()
    }
}

/// The reason why there is no identity. Continues "the identity in FILE ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("cannot be read or written")]
    Io(#[source] io::Error),
    /// Others than the user may read the file.
    #[error("can be read by others (mode {mode:04o}): chmod 600 {path}", path = path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file has something else.
    #[error("is not an Ed25519 secret key in PEM (PKCS#8)")]
    NoKey,
}

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// The longest file that is read: keys of programs that write a lot around them.
const MAX_PEM: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Written by `openssl genpkey -algorithm ed25519`; the public key by `openssl pkey -pubout`.
    const OF_OPENSSL: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIApRN1qaKfuHC48i2ocH8Js6EjxXSegNKo/ikjbffg6X
-----END PRIVATE KEY-----
";
    const ITS_PUBLIC_KEY: &str = "3Pm+P1lUM5jQqd6Ibv1i4n3AKCNHzPUvtGG1neM6MIU=";

    #[test]
    fn a_key_of_another_program_is_read_and_written() {
        let identity = Identity::from_pem(OF_OPENSSL).unwrap();
        assert_eq!(identity.public_key().to_string(), ITS_PUBLIC_KEY);
        assert_eq!(*identity.to_pem(), OF_OPENSSL);
        let around = format!("Bag Attributes: none\r\n{}more", OF_OPENSSL.replace('\n', "\r\n"));
        assert_eq!(Identity::from_pem(&around).unwrap().public_key(), identity.public_key());
        assert!(!format!("{identity:?}").contains("Clc="), "no secret");
    }

    #[test]
    fn what_is_no_key_is_none() {
        let cut = &OF_OPENSSL[..60];
        let public = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n";
        let short = OF_OPENSSL.replace("MC4CAQAw", "MC4CAQAx");
        let empty = format!("{BEGIN}\n{END}\n");
        for wrong in ["", cut, public, &short, &empty, &OF_OPENSSL.replace("fg6X", "fg6*")] {
            assert!(matches!(Identity::from_pem(wrong), Err(IdentityError::NoKey)), "{wrong}");
        }
    }

    #[test]
    fn a_file_is_created_once_and_is_the_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.pem");
        let (created, is_new) = Identity::load_or_create(&path).unwrap();
        assert!(is_new);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let (loaded, is_new) = Identity::load_or_create(&path).unwrap();
        assert_eq!((loaded.public_key(), is_new), (created.public_key(), false));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = Identity::load_or_create(&path).unwrap_err();
            let told = format!("can be read by others (mode {mode:04o}): chmod 600 {}", path.display());
            assert_eq!(error.to_string(), told);
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert_eq!(Identity::load(&path).unwrap().public_key(), created.public_key());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(Identity::load_or_create(&path), Err(IdentityError::NoKey)), "it is not replaced");
        assert!(matches!(Identity::load(folder.path()), Err(IdentityError::Io(_))), "a folder");
    }

    /// systemd passes a credential like this; its service cannot change it. The file system may have no such
    /// lists.
    #[test]
    fn a_list_that_names_this_user_alone_is_no_access_of_others() {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = folder.path().join("identity.pem");
        let (created, _) = Identity::load_or_create(&path).unwrap();
        let list = |user: u32| {
            let user = user.to_le_bytes();
            let entries: [[u8; 8]; 5] = [
                [0x01, 0, 4, 0, 0xff, 0xff, 0xff, 0xff],
                [0x02, 0, 4, 0, user[0], user[1], user[2], user[3]],
                [0x04, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
                [0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff],
                [0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            ];
            [&[2, 0, 0, 0][..], entries.as_flattened()].concat()
        };
        let set = |user| {
            rustix::fs::setxattr(
                &path,
                "system.posix_acl_access",
                &list(user),
                rustix::fs::XattrFlags::empty(),
            )
        };
        let own = rustix::process::geteuid().as_raw();
        if set(own) == Err(rustix::io::Errno::NOTSUP) {
            return;
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o440);
        assert_eq!(Identity::load(&path).unwrap().public_key(), created.public_key());
        set(own + 1).unwrap();
        assert!(matches!(Identity::load(&path), Err(IdentityError::Readable { mode: 0o440, .. })));
    }

    /// Two programs that start at the same time.
    #[test]
    fn whoever_comes_second_has_the_same_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.pem");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Identity::load_or_create(&path).unwrap().0.public_key()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
