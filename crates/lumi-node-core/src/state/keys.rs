//! The public keys of users, and their text, `nodelumi.cfg.keys`.
//!
//! ```text
//! # a comment
//! laura ed25519 GCw5CTyqS9WmDEb9UEpj5n1xV4gbH4CBWV0Cq4IQx1w= 2026-11-29 invited
//! └user   │     └ base64, 44 characters                      └ since    └ invited or added
//!         └ the only kind
//! ```

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use plumi_proto::{KEY_LENGTH, NameError, UserName};

/// The public keys of the users of a domain. A user has [`MAX_KEYS`] at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(HashMap<UserName, Vec<UserKey>>);

/// A public key of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserKey {
    /// The key.
    pub key: PublicKey,
    /// The day on which it came, `2026-11-29`, for people.
    pub since: String,
    /// The way in which it came.
    pub origin: KeyOrigin,
}

/// A public key of Ed25519 (RFC 8032). Its text is base64 with padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; KEY_LENGTH]);

/// The way in which a key came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyOrigin {
    /// The user enrolled it by an invitation.
    Invited,
    /// An administrator added it.
    Added,
}

impl Keys {
    /// Reads the text of a file of keys.
    ///
    /// # Errors
    /// The first line that cannot be accepted, and the reason. It is accepted whole or not at all.
    pub fn parse(text: &[u8]) -> Result<Self, KeysError> {
        let mut keys = Self::default();
        for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let wrong = |reason| KeysError { line, reason };
            let text = str::from_utf8(text).map_err(|_| wrong(KeysReason::NotUtf8))?.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (user, key) = read_line(text).map_err(wrong)?;
            keys.add(user, key).map_err(|refusal| wrong(KeysReason::Refused(refusal)))?;
        }
        Ok(keys)
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`KeyRefusal`]. Nothing has changed.
    pub fn add(&mut self, user: UserName, key: UserKey) -> Result<(), KeyRefusal> {
        if is_comment(&user) {
            return Err(KeyRefusal::Comment(user));
        }
        let of_user = self.0.entry(user).or_default();
        if of_user.iter().any(|known| known.key == key.key) {
            return Err(KeyRefusal::Known(user));
        }
        if of_user.len() >= MAX_KEYS {
            return Err(KeyRefusal::TooMany(user));
        }
        of_user.push(key);
        Ok(())
    }

    /// Removes a key. Returns whether the user had it.
    pub fn remove(&mut self, user: &UserName, key: &PublicKey) -> bool {
        let Some(of_user) = self.0.get_mut(user) else { return false };
        let before = of_user.len();
        of_user.retain(|known| known.key != *key);
        let is_removed = of_user.len() < before;
        if of_user.is_empty() {
            self.0.remove(user);
        }
        is_removed
    }

    /// Returns `text`, the text of a file, with one more line at its end.
    pub(crate) fn with_line(text: &str, line: &str) -> String {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        format!("{text}{end}{line}\n")
    }

    /// Returns `text`, the text of a file, without the line of this key. All other bytes stay.
    pub(crate) fn without_key(text: &str, user: &UserName, key: &PublicKey) -> String {
        let is_other = |line: &&str| {
            let read = read_line(line.trim());
            read.map_or(true, |(of, known)| (of, known.key) != (*user, *key))
        };
        text.split_inclusive('\n').filter(is_other).collect()
    }

    /// Returns the keys that several users have, in no order: none of those proves whose it is.
    pub fn shared(&self) -> HashMap<PublicKey, Vec<UserName>> {
        let mut holders = HashMap::<_, Vec<_>>::new();
        for (user, keys) in &self.0 {
            keys.iter().for_each(|known| holders.entry(known.key).or_default().push(*user));
        }
        holders.retain(|_, users| users.len() > 1);
        holders.values_mut().for_each(|users| users.sort_unstable());
        holders
    }

    /// Returns the keys of a user.
    pub fn of(&self, user: &UserName) -> &[UserKey] {
        self.0.get(user).map_or(&[], Vec::as_slice)
    }

    /// Returns each user with the user's keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&UserName, &[UserKey])> {
        self.0.iter().map(|(user, keys)| (user, keys.as_slice()))
    }

    /// Returns the number of users who have a key.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether nobody has a key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl UserKey {
    /// A key that came on the day `since`, which is written `2026-11-29`.
    pub fn new(key: PublicKey, since: impl Into<String>, origin: KeyOrigin) -> Self {
        Self { key, since: since.into(), origin }
    }

    /// Returns the line of this key of `user`, without its end.
    pub fn line(&self, user: &UserName) -> String {
        format!("{user} {KIND} {} {} {}", self.key, self.since, self.origin)
    }
}

/// Returns whether the lines of `user` in a file of keys or invitations would be comments.
pub(crate) fn is_comment(user: &UserName) -> bool {
    user.as_str().starts_with('#')
}

fn read_line(line: &str) -> Result<(UserName, UserKey), KeysReason> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let [user, kind, key, since, origin] = fields[..] else { return Err(KeysReason::Fields) };
    let user = user.parse().map_err(KeysReason::User)?;
    if kind != KIND {
        return Err(KeysReason::Kind);
    }
    let key = key.parse().map_err(|PublicKeyError| KeysReason::Key)?;
    let is_day = since.len() == 10
        && since.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !is_day {
        return Err(KeysReason::Day);
    }
    let origin = match origin {
        "invited" => KeyOrigin::Invited,
        "added" => KeyOrigin::Added,
        _ => return Err(KeysReason::Origin),
    };
    Ok((user, UserKey::new(key, since, origin)))
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Invited => "invited",
            Self::Added => "added",
        })
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let key = BASE64.decode(text.as_bytes()).map_err(|_| PublicKeyError)?;
        key.try_into().map(Self).map_err(|_| PublicKeyError)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A text is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 44 characters of base64")]
pub struct PublicKeyError;

/// The reason why a key is not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRefusal {
    /// The user has it already.
    #[error("{0} has that key already")]
    Known(UserName),
    /// The user has as many as a user may have.
    #[error("{0} has {MAX_KEYS} keys, which are the most; remove one first")]
    TooMany(UserName),
    /// The line of the user would be a comment, and the key would be lost with the node.
    #[error("a line that begins with # is a comment, so {0} can have no key")]
    Comment(UserName),
}

/// A line of a file of keys that cannot be accepted. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
#[non_exhaustive]
pub struct KeysError {
    /// The line.
    pub line: usize,
    /// The reason.
    pub reason: KeysReason,
}

/// The reason why a line of a file of keys cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysReason {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It has not five fields.
    #[error("a line is a user, `{KIND}`, a key, a day, and `invited` or `added`")]
    Fields,
    /// The first field is not the name of a user.
    #[error("the user name {0}")]
    User(NameError),
    /// The second field is not `ed25519`.
    #[error("the second word of a line is `{KIND}`")]
    Kind,
    /// The third field is not a key.
    #[error("the third word of a line is a key, 44 characters of base64")]
    Key,
    /// The fourth field is not a day.
    #[error("the fourth word of a line is a day as 2026-11-29")]
    Day,
    /// The fifth field is another word.
    #[error("the fifth word of a line is `invited` or `added`")]
    Origin,
    /// The key is not accepted beside those before it.
    #[error(transparent)]
    Refused(KeyRefusal),
}

/// The limit of the keys of a user: one for each device, and a node verifies a proof against each.
pub const MAX_KEYS: usize = 4;

const KIND: &str = "ed25519";
