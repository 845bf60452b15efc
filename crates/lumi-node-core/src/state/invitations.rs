//! Invitations, by which users enrol a key, and their text, `nodelumi.cfg.invites`.
//!
//! ```text
//! laura KQ7M-2XTN-9D4V-W3RH 2026-11-30T18:00:00Z                                       open until then
//! pere H4XK-90TN-1D4V-W3RJ 2026-11-30T18:00:00Z used 2026-11-29T18:20:11Z GCw5CTyqS9W…=  by this key
//!                                               using: the same, until the user's keys have it
//! ```
//!
//! Times are those of the clock on the wall, because people agree on a day. The caller passes them in.

use std::collections::HashMap;
use std::fmt::Write;

use jiff::Timestamp;
use lumi_proof::Code;
use plumi_proto::{KeyAndMac, MiAddress, UserName};

use super::keys::PublicKey;

/// The invitations of a domain, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invitations(Vec<Invitation>);

/// An invitation of one user, for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invitation {
    /// The user.
    pub user: UserName,
    /// The code. Whoever has it may have a key accepted for the user.
    pub code: Code,
    /// The end of its validity, in seconds since 1970.
    pub expires: i64,
    /// Its use, if it was used.
    pub used: Option<Used>,
}

/// The use of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Used {
    /// The time, in seconds since 1970.
    pub at: i64,
    /// The key that was accepted.
    pub key: PublicKey,
    /// Set once the user's keys have it. Until then, a crash may have come between.
    pub is_saved: bool,
}

/// The verdict on an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This open invitation lets the key in.
    Open(Code),
    /// This invitation let this very key in a moment ago.
    Again(Code),
    /// The invitation was used before.
    Used,
    /// The invitation is too old.
    Expired,
    /// There is none with that code.
    Unknown,
}

impl Invitations {
    /// Reads the text of a file of invitations.
    ///
    /// # Errors
    /// The first line that cannot be accepted. It is accepted whole or not at all. The error does not show the line,
    /// which may have a code.
    pub fn parse(text: &[u8]) -> Result<Self, InvitationsError> {
        let mut all = Vec::new();
        for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let text = str::from_utf8(text).map_err(|_| InvitationsError { line })?.trim();
            if !text.is_empty() && !text.starts_with('#') {
                all.push(read_line(text).ok_or(InvitationsError { line })?);
            }
        }
        Ok(Self(all))
    }

    /// Returns the text of the file at `now`, in seconds since 1970. Uses that are 30 days old, and
    /// invitations that ended as long ago, are left out.
    pub fn text(&self, now: i64) -> String {
        let mut text = HEADER.to_owned();
        for Invitation { user, code, expires, used } in &self.0 {
            if now.saturating_sub(used.map_or(*expires, |used| used.at)) > KEPT_SECONDS {
                continue;
            }
            _ = write!(text, "{user} {code} {}", time(*expires));
            if let Some(Used { at, key, is_saved }) = used {
                let word = if *is_saved { "used" } else { "using" };
                _ = write!(text, " {word} {} {key}", time(*at));
            }
            text.push('\n');
        }
        text
    }

    /// Returns the invitations, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Invitation> {
        self.0.iter()
    }

    /// Returns the number of open invitations of each user who has one.
    pub(crate) fn open(&self, now: i64) -> HashMap<UserName, usize> {
        let mut open = HashMap::new();
        for known in self.0.iter().filter(|known| known.is_open(now)) {
            *open.entry(known.user).or_default() += 1;
        }
        open
    }

    pub(crate) fn add(&mut self, user: UserName, code: Code, expires: i64) {
        self.0.push(Invitation { user, code, expires, used: None });
    }

    /// Notes the use of the invitation with this code.
    pub(crate) fn mark_used(&mut self, user: &UserName, code: &Code, used: Used) {
        let mut of_user = self.0.iter_mut().filter(|known| known.user == *user && known.code == *code);
        if let Some(invitation) = of_user.next() {
            invitation.used = Some(used);
        }
    }

    /// Returns the keys that may be missing among those of their users, and the times of their enrolment.
    pub(crate) fn unsaved(&self) -> Vec<(UserName, PublicKey, i64)> {
        let used =
            self.0.iter().filter_map(|known| Some((known.user, known.used.filter(|used| !used.is_saved)?)));
        used.map(|(user, Used { at, key, .. })| (user, key, at)).collect()
    }

    /// Notes that the users have all keys by which invitations were used.
    pub(crate) fn all_saved(&mut self) {
        self.0.iter_mut().filter_map(|known| known.used.as_mut()).for_each(|used| used.is_saved = true);
    }

    /// Decides about an enrolment of the user with this address, at `now`, in seconds since 1970.
    pub(crate) fn judge(&self, address: &MiAddress, enrolment: &KeyAndMac, now: i64) -> Verdict {
        let user = address.user();
        let mut of_user = self.0.iter().filter(|known| known.user == user);
        let Some(found) = of_user.find(|known| known.code.has_enrolled(address, enrolment)) else {
            return Verdict::Unknown;
        };
        match found.used {
            None if now < found.expires => Verdict::Open(found.code),
            None => Verdict::Expired,
            Some(used)
                if used.key.0 == enrolment.key && now.saturating_sub(used.at) <= REPETITION_SECONDS =>
            {
                Verdict::Again(found.code)
            }
            Some(_) => Verdict::Used,
        }
    }
}

impl Invitation {
    /// Returns whether it can be used at `now`, in seconds since 1970.
    pub fn is_open(&self, now: i64) -> bool {
        self.used.is_none() && now < self.expires
    }
}

fn read_line(line: &str) -> Option<Invitation> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let (user, code, expires, used) = match fields[..] {
        [user, code, expires] => (user, code, expires, None),
        [user, code, expires, word @ ("used" | "using"), at, key] => {
            let used = Used { at: seconds(at)?, key: key.parse().ok()?, is_saved: word == "used" };
            (user, code, expires, Some(used))
        }
        _ => return None,
    };
    Some(Invitation { user: user.parse().ok()?, code: code.parse().ok()?, expires: seconds(expires)?, used })
}

fn seconds(time: &str) -> Option<i64> {
    time.parse().ok().map(Timestamp::as_second)
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

/// Returns the day of a time in seconds since 1970, `2026-11-29`, in UTC.
pub(crate) fn day(seconds: i64) -> String {
    let mut text = time(seconds);
    text.truncate(10);
    text
}

/// A line of a file of invitations that cannot be accepted. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: an invitation is a user, a code and a time, and perhaps `used`, a time and a key")]
#[non_exhaustive]
pub struct InvitationsError {
    /// The line.
    pub line: usize,
}

const HEADER: &str =
    "# The invitations of users. The node writes this file; whoever reads it can register as them.\n";

/// The time for which a used or ended invitation is kept, so that a second use is told from a mistake: 30
/// days.
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;

/// The time in which the same enrolment is answered again.
const REPETITION_SECONDS: i64 = 10 * 60;
