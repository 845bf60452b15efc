//! The roster of a domain, and its text, `nodelumi.cfg`.
//!
//! ```text
//! bb.com          the first line that is not blank: the domain
//! laura           every other line: the name of a user, without the domain
//! pere
//! ```
//!
//! Blank lines, blanks around a name, CRLF and a byte order mark are accepted, and are kept when the text is
//! edited. There are no comments: `#maria` is a user.

use std::ops::ControlFlow;

use plumi_proto::{AddressError, Domain, MiAddress, NameError, UserName};

use super::admin::RosterChange;
use super::name_table::{NameTable, Named};
use super::user::User;

/// The domain of a node and the names of its users.
#[derive(Clone, Debug)]
pub struct Roster {
    pub(super) domain: Domain,
    pub(super) users: NameTable<User>,
}

impl Roster {
    /// Creates the roster of a domain without users.
    pub fn new(domain: Domain) -> Self {
        Self::with_capacity(domain, 0)
    }

    fn with_capacity(domain: Domain, users: usize) -> Self {
        Self { domain, users: NameTable::with_capacity(users) }
    }

    /// Reads the text of a `nodelumi.cfg`.
    ///
    /// # Errors
    /// The first line that cannot be accepted, and the reason. A roster is accepted whole or not at all.
    pub fn parse(text: &[u8]) -> Result<Self, RosterError> {
        let mut first = None;
        let roster = Self::read(text, |error, _| {
            first = Some(error);
            ControlFlow::Break(())
        });
        match first {
            Some(error) => Err(error),
            None => roster.ok_or(NO_DOMAIN),
        }
    }

    /// Returns every line of a `nodelumi.cfg` that cannot be accepted, with the reason, in order: none if
    /// [`Roster::parse`] accepts the text. Also returns the domain, if it is valid.
    ///
    /// If the domain is not valid, names that are too long beside it are not reported.
    pub fn errors(text: &[u8]) -> (Option<Domain>, Vec<RosterError>) {
        let mut errors = Vec::new();
        let mut domain_is_right = true;
        let roster = Self::read(text, |error, is_domain| {
            domain_is_right &= !is_domain;
            errors.push(error);
            ControlFlow::Continue(())
        });
        if roster.is_none() {
            errors.push(NO_DOMAIN);
        }
        (roster.filter(|_| domain_is_right).map(|roster| roster.domain), errors)
    }

    /// Returns the acceptable part of `text`, or `None` if all of it is blank. Calls `wrong` with each other
    /// line and whether it is the domain's, and ends if that returns `Break`.
    fn read(text: &[u8], mut wrong: impl FnMut(RosterError, bool) -> ControlFlow<()>) -> Option<Self> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let lines = text.iter().filter(|&&byte| byte == b'\n').count();
        let mut roster = None;
        for (line, text) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let name = str::from_utf8(text).map(str::trim).map_err(|_| RosterReason::NotUtf8);
            if name == Ok("") {
                continue;
            }
            let is_domain = roster.is_none();
            let read = match &mut roster {
                Some(roster) => name.and_then(|name| Self::add(roster, name)),
                None => {
                    let domain = name.and_then(|name| Domain::new(name).map_err(RosterReason::Domain));
                    roster = Some(Self::with_capacity(domain.unwrap_or_else(|_| shortest()), lines));
                    domain.map(drop)
                }
            };
            if let Err(reason) = read
                && wrong(RosterError { line, reason }, is_domain).is_break()
            {
                break;
            }
        }
        roster
    }

    /// Returns the domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Returns the number of users in the domain.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Returns whether the domain has no users.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether `user` belongs to the domain.
    pub fn contains(&self, user: &UserName) -> bool {
        self.users.contains(user)
    }

    /// Returns the users of the domain, in no order.
    pub fn users(&self) -> impl Iterator<Item = &UserName> {
        self.users.iter().map(Named::name)
    }

    /// Adds a user to the domain. For rosters that come from elsewhere than a `nodelumi.cfg`.
    ///
    /// # Errors
    /// [`RosterReason::TooLong`], [`RosterReason::Duplicate`]; the roster is as it was.
    ///
    /// ```
    /// use lumi_node_core::Roster;
    ///
    /// let mut roster = Roster::new("bb.com".parse()?);
    /// for user in ["laura", "pere"] {
    ///     roster.insert(user.parse()?)?;
    /// }
    /// assert_eq!(roster.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert(&mut self, user: UserName) -> Result<(), RosterReason> {
        MiAddress::new(&user, &self.domain).map_err(RosterReason::TooLong)?;
        if self.users.insert(User::offline(user)) { Ok(()) } else { Err(RosterReason::Duplicate) }
    }

    /// Makes `change` in the text of a `nodelumi.cfg`. All other lines stay as they were.
    pub fn edit(text: &str, change: &RosterChange) -> String {
        match change {
            RosterChange::Add(user) => {
                let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
                let missing_end = if text.is_empty() || text.ends_with('\n') { "" } else { line_end };
                format!("{text}{missing_end}{user}{line_end}")
            }
            RosterChange::Remove(user) => {
                let mut domain_seen = false;
                text.split_inclusive('\n')
                    .filter(|line| {
                        let name = line.trim();
                        // The name of a user can be that of the domain.
                        let stays = !domain_seen || name != user.as_str();
                        domain_seen |= !name.trim_start_matches('\u{feff}').is_empty();
                        stays
                    })
                    .collect()
            }
        }
    }

    fn add(&mut self, name: &str) -> Result<(), RosterReason> {
        if name.contains('@') {
            return Err(RosterReason::Address);
        }
        self.insert(UserName::new(name).map_err(RosterReason::User)?)
    }
}

/// The reason why a text is not a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
#[non_exhaustive]
pub struct RosterError {
    /// The line, counted from 1.
    pub line: usize,
    /// The reason.
    pub reason: RosterReason,
}

/// The reason why a line of a roster cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RosterReason {
    /// All lines are blank.
    #[error("the domain is missing, it is the first line")]
    NoDomain,
    /// The first line is not a domain.
    #[error("the domain {0}")]
    Domain(NameError),
    /// A user is listed by address.
    #[error("a user is listed by name alone, without '@' and domain")]
    Address,
    /// A line is not a user name.
    #[error("the user name {0}")]
    User(NameError),
    /// The user's address, which has the domain, is too long for a message.
    #[error("with the domain of the roster, {0}")]
    TooLong(AddressError),
    /// The user is already listed.
    #[error("the user is listed twice")]
    Duplicate,
    /// The line is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// Returns a stand-in for an invalid domain, so that the users can be read: every name fits beside it.
fn shortest() -> Domain {
    Domain::new("x").expect("it is a name")
}

const NO_DOMAIN: RosterError = RosterError { line: 1, reason: RosterReason::NoDomain };

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
