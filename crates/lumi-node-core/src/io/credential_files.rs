//! Keys, invitations and the node's own key on the disk, and enrolments, which change two of these files.
//!
//! ```text
//! nodelumi.cfg.invites    1. the invitation is being used, by this key      3. it is used
//! nodelumi.cfg.keys       2. the user has this key                           4. the answer
//! ```
//!
//! After a crash between 1 and 2, the key is added when the files are read again. After one between 2 and 3,
//! it is there. A key that an administrator removes later does not come back.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::BASE64;
use lumi_proof::{Code, NoRandomness, Signer, random};
use plumi_proto::{Domain, UserName};

use super::durable::{self, Outcome};
use super::key_file::{KeyFile, KeyFileError};
use crate::state::enrolment::{CredentialState, EnrolRequest, Enrolled};
use crate::state::invitations::{Invitations, InvitationsError, Used, Verdict, day};
use crate::state::keys::{KeyOrigin, MAX_KEYS, PublicKey, UserKey, is_comment};

/// The files of keys, invitations and the node's own key, beside a roster. All calls block for as long as the
/// disk takes.
#[derive(Debug)]
pub struct CredentialFiles {
    domain: Domain,
    keys: KeyFile,
    invites: PathBuf,
    /// The file of invitations as it was last read or written. `None` if there was none.
    seen: Option<Vec<u8>>,
    invitations: Invitations,
    identity: PathBuf,
    node_key: Option<PublicKey>,
}

impl CredentialFiles {
    /// Reads the files beside the roster of `domain` at `roster`, and completes an enrolment that a crash cut
    /// off.
    ///
    /// # Errors
    /// One cannot be read, a line is wrong, or that enrolment cannot be completed. Missing files are no error.
    pub fn open(roster: &Path, domain: Domain) -> Result<Self, CredentialFilesError> {
        Self::read(KeyFile::open(roster)?, domain, beside(roster, ".invites"), beside(roster, ".identity"))
    }

    /// Reads the files again. What is returned is to take this one's place.
    ///
    /// # Errors
    /// The same as those of [`CredentialFiles::open`].
    pub fn reopen(&self) -> Result<Self, CredentialFilesError> {
        Self::read(self.keys.reopen()?, self.domain, self.invites.clone(), self.identity.clone())
    }

    /// Returns the file of keys.
    pub fn keys(&self) -> &KeyFile {
        &self.keys
    }

    /// Returns the file of keys, to change it.
    pub fn keys_mut(&mut self) -> &mut KeyFile {
        &mut self.keys
    }

    /// Returns the invitations.
    pub fn invitations(&self) -> &Invitations {
        &self.invitations
    }

    /// Returns all that a node takes over. `now` is in seconds since 1970.
    pub fn state(&self, now: i64) -> CredentialState {
        let (keys, invitations) = (self.keys.keys().clone(), self.invitations.clone());
        CredentialState::new(Arc::new(keys), Arc::new(invitations), self.node_key, now)
    }

    /// Invites users, who belong to the domain, to enrol a key each until `expires`, all with one write, and
    /// returns their codes in the same order. Both times are in seconds since 1970. The first invitation
    /// makes the node's own key. Nothing is written if there are no users.
    ///
    /// # Errors
    /// [`CredentialFilesError::TooMany`], [`CredentialFilesError::TooManyAtOnce`], [`CredentialFilesError::Comment`]; a file
    /// cannot be written, or somebody else changed it. Nobody is invited then.
    pub fn invite(
        &mut self,
        users: &[UserName],
        now: i64,
        expires: i64,
    ) -> Result<Vec<(UserName, Code)>, CredentialFilesError> {
        if users.len() > MAX_INVITED {
            return Err(CredentialFilesError::TooManyAtOnce { users: users.len() });
        }
        let (mut invitations, mut invited) = (self.invitations.clone(), Vec::new());
        let mut open = self.invitations.open(now);
        for user in users {
            if is_comment(user) {
                return Err(CredentialFilesError::Comment { user: *user });
            }
            let open = open.entry(*user).or_default();
            if self.keys.keys().of(user).len() + *open >= MAX_KEYS {
                return Err(CredentialFilesError::TooMany { user: *user });
            }
            *open += 1;
            let code = Code::from_random(random()?);
            invitations.add(*user, code, expires);
            invited.push((*user, code));
        }
        if invited.is_empty() {
            return Ok(invited);
        }
        if self.node_key.is_none() {
            self.create_identity()?;
        }
        self.write_invitations(&invitations, now)?;
        Ok(invited)
    }

    /// Returns those of `users` who have neither a key nor an invitation that is open at `now`, in seconds
    /// since 1970. Users who can have none are left out.
    pub fn new_among(&self, users: impl IntoIterator<Item = UserName>, now: i64) -> Vec<UserName> {
        let open = self.invitations.open(now);
        let has_key = |user: &UserName| !self.keys.keys().of(user).is_empty();
        let is_new = |user: &UserName| !has_key(user) && !open.contains_key(user) && !is_comment(user);
        users.into_iter().filter(is_new).collect()
    }

    /// Saves enrolments, all with one write of each file, and returns those that were saved. `now` is in seconds since
    /// 1970. Others are left out: since they were judged, their invitation was used or the user's keys have become too
    /// many.
    ///
    /// # Errors
    /// A file cannot be written, or somebody else changed it. No invitation is used then, unless the second write failed:
    /// the next call completes it.
    pub fn enrol(
        &mut self,
        requests: &[EnrolRequest],
        now: i64,
    ) -> Result<Vec<Enrolled>, CredentialFilesError> {
        self.complete()?;
        let Some(node_key) = self.node_key else { return Ok(Vec::new()) };
        let (mut invitations, mut enrolled) = (self.invitations.clone(), Vec::new());
        for request in requests {
            let (user, key) = (request.address.user(), PublicKey(request.enrolment.key));
            let code = match invitations.judge(&request.address, &request.enrolment, now) {
                Verdict::Open(code) if self.has_room(&user, &key, &enrolled) => {
                    invitations.mark_used(&user, &code, Used { at: now, key, is_saved: false });
                    code
                }
                Verdict::Again(code) => code,
                Verdict::Open(_) | Verdict::Used | Verdict::Expired | Verdict::Unknown => continue,
            };
            enrolled.push(Enrolled::new(*request, code.answer(&request.address, node_key.0)));
        }
        if invitations != self.invitations {
            self.write_invitations(&invitations, now)?;
            self.complete()?;
            // If this fails, the next write or the next start says it.
            _ = self.write_invitations(&self.invitations.clone(), now);
        }
        Ok(enrolled)
    }

    /// Returns whether the user may have this key beside the ones of now and of `enrolled`.
    fn has_room(&self, user: &UserName, key: &PublicKey, enrolled: &[Enrolled]) -> bool {
        let keys = self.keys.keys().of(user);
        let more = enrolled.iter().filter(|other| other.request.address.user() == *user).count();
        keys.iter().any(|known| known.key == *key) || keys.len() + more < MAX_KEYS
    }

    fn read(
        keys: KeyFile,
        domain: Domain,
        invites: PathBuf,
        identity: PathBuf,
    ) -> Result<Self, CredentialFilesError> {
        let seen = read_if_there(&invites)?;
        let invitations = match &seen {
            Some(text) => Invitations::parse(text)
                .map_err(|error| CredentialFilesError::Wrong { path: invites.clone(), error })?,
            None => Invitations::default(),
        };
        let node_key = match read_if_there(&identity)? {
            Some(pem) => {
                Some(public_key(&pem).ok_or(CredentialFilesError::NoIdentity { path: identity.clone() })?)
            }
            None => None,
        };
        let mut files = Self { domain, keys, invites, seen, invitations, identity, node_key };
        files.complete()?;
        Ok(files)
    }

    /// Gives each user the keys that an invitation of theirs is being used by.
    fn complete(&mut self) -> Result<(), CredentialFilesError> {
        let unsaved = self.invitations.unsaved();
        let missing: Vec<_> = unsaved
            .into_iter()
            .filter(|(user, key, _)| self.keys.keys().of(user).iter().all(|known| known.key != *key))
            // Somebody may have added others by hand since a crash, which must not keep the node from
            // starting.
            .filter(|(user, ..)| self.keys.keys().of(user).len() < MAX_KEYS)
            .map(|(user, key, at)| (user, UserKey::new(key, day(at), KeyOrigin::Invited)))
            .collect();
        self.keys.add_all(missing)?;
        self.invitations.all_saved();
        Ok(())
    }

    fn write_invitations(&mut self, invitations: &Invitations, now: i64) -> Result<(), CredentialFilesError> {
        let text = invitations.text(now).into_bytes();
        write(&self.invites, self.seen.as_deref(), &text)?;
        self.invitations = Invitations::parse(&text)
            .map_err(|error| CredentialFilesError::Wrong { path: self.invites.clone(), error })?;
        self.seen = Some(text);
        Ok(())
    }

    fn create_identity(&mut self) -> Result<(), CredentialFilesError> {
        let seed = random()?;
        let key = Signer::from_seed(&seed).map_err(|_| NoRandomness)?.public_key();
        let der = [PKCS8_PREFIX, &seed].concat();
        let pem = format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", BASE64.encode(&der));
        write(&self.identity, None, pem.as_bytes())?;
        self.node_key = Some(PublicKey(key));
        Ok(())
    }
}

/// Returns the path of the file that belongs to `roster` and ends like this.
fn beside(roster: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(roster);
    name.push(ending);
    name.into()
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, CredentialFilesError> {
    match durable::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CredentialFilesError::Read { path: path.to_owned(), error }),
    }
}

fn write(path: &Path, old: Option<&[u8]>, new: &[u8]) -> Result<(), CredentialFilesError> {
    let outcome = match old {
        Some(old) => durable::replace(path, old, new),
        None => durable::create(path, new, OWNER_ONLY),
    };
    match outcome {
        Ok(Outcome::Replaced) => Ok(()),
        Ok(Outcome::Changed) => Err(CredentialFilesError::Changed { path: path.to_owned() }),
        Err(error) => Err(CredentialFilesError::Write { path: path.to_owned(), error }),
    }
}

/// Returns the public half of a secret key of PKCS#8 in PEM.
fn public_key(pem: &[u8]) -> Option<PublicKey> {
    let body = str::from_utf8(pem).ok()?.trim().strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let der = BASE64.decode(body.trim().as_bytes()).ok()?;
    let seed = der.strip_prefix(PKCS8_PREFIX)?.try_into().ok()?;
    Signer::from_seed(seed).ok().map(|signer| PublicKey(signer.public_key()))
}

/// The reason why one of the files could not be read or changed. It never shows a code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialFilesError {
    /// That of the keys.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// A line of the invitations is wrong.
    #[error("the invitations {} are wrong", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line.
        #[source]
        error: InvitationsError,
    },
    /// The file of the node's own key has none.
    #[error("{} has no secret key of Ed25519 in PEM", path.display())]
    NoIdentity {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written; it is as it was.
    #[error("cannot write {}, which is as it was", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// Somebody else changed a file since the node read or wrote it; it is as they left it.
    #[error("{} was changed by somebody else; 'reload' takes that change over", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The user may have no more keys.
    #[error("{user} has {MAX_KEYS} keys and open invitations, which are the most; remove a key first")]
    TooMany {
        /// The user.
        user: UserName,
    },
    /// The lines of the user would be comments.
    #[error("a line that begins with # is a comment, so {user} can have no key")]
    Comment {
        /// The user.
        user: UserName,
    },
    /// More users are to be invited than one call invites.
    #[error(
        "{users} users are more than the {MAX_INVITED} who are invited at once; invite them by name, some at a time"
    )]
    TooManyAtOnce {
        /// The number of users.
        users: usize,
    },
    /// The system has no randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// The bytes before the 32 of a seed in PKCS#8 (RFC 8410 §7).
const PKCS8_PREFIX: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// The number of users who are invited at once: a large school. Their invitations are read at every
/// enrolment.
const MAX_INVITED: usize = 10_000;

/// The mode of new files. Whoever reads an invitation can have a key accepted.
const OWNER_ONLY: u32 = 0o600;
