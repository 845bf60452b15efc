//! Who belongs to the domain, and the text of `nodelumi.cfg` that says so.
//!
//! ```text
//! bb.com          the first line that is not blank: the domain
//! laura           every other one: a user of it, by name alone
//! pere
//! ```
//!
//! Blank lines, blanks around a name, CRLF and a byte order mark are accepted, and stay where they are when
//! the text is edited.

use std::ops::ControlFlow;

use plumi_proto::{AddressError, Domain, MiAddress, NameError, UserName};

use super::admin::RosterChange;
use super::name_table::NameTable;
use super::users::User;

/// The domain of a node and the names of its users.
#[derive(Clone, Debug)]
pub struct Roster {
    pub(super) domain: Domain,
    pub(super) users: NameTable<User>,
}

impl Roster {
    /// A domain without users.
    pub fn new(domain: Domain) -> Self {
        Self::with_capacity(domain, 0)
    }

    fn with_capacity(domain: Domain, users: usize) -> Self {
        Self { domain, users: NameTable::with_capacity(users) }
    }

    /// Reads the text of a `nodelumi.cfg`.
    ///
    /// # Errors
    /// The first line that cannot be accepted, and why: a roster is taken whole or not at all.
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

    /// Every line of the text of a `nodelumi.cfg` that cannot be accepted, and why, in their order: none, if
    /// [`Roster::parse`] takes it. With them comes the domain, if that is right.
    ///
    /// If it is wrong, whether the users have room beside it is not known, and not told.
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

    /// What can be accepted of `text`; `None` if all of it is blank. Tells `wrong` of each line that cannot, and
    /// whether that is the domain's, and ends where it says so.
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

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// How many users belong to the domain.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody belongs to the domain.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `user` belongs to the domain.
    pub fn contains(&self, user: &UserName) -> bool {
        self.users.contains(user)
    }

    /// The text of a `nodelumi.cfg` with `change` made in it, all other lines as they were.
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
                        // A user may be called what the domain is called.
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
        let user = UserName::new(name).map_err(RosterReason::User)?;
        MiAddress::new(&user, &self.domain).map_err(RosterReason::TooLong)?;
        if self.users.insert(User::offline(user)) { Ok(()) } else { Err(RosterReason::Duplicate) }
    }
}

/// Why a text is no roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
#[non_exhaustive]
pub struct RosterError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: RosterReason,
}

/// What is wrong with a line of a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RosterReason {
    /// There is no line but blank ones.
    #[error("the domain is missing, it is the first line")]
    NoDomain,
    /// The first line is no domain.
    #[error("the domain {0}")]
    Domain(NameError),
    /// A user is given by address.
    #[error("a user is listed by name alone, without '@' and domain")]
    Address,
    /// A user is given by what is no user name.
    #[error("the user name {0}")]
    User(NameError),
    /// With the domain, the user's address has no room in a message.
    #[error("with the domain of the roster, {0}")]
    TooLong(AddressError),
    /// The user is listed before.
    #[error("the user is listed twice")]
    Duplicate,
    /// The line is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// Takes the place of a domain that is wrong, so that the users can be read: every name has room beside it.
fn shortest() -> Domain {
    Domain::new("x").expect("it is a name")
}

const NO_DOMAIN: RosterError = RosterError { line: 1, reason: RosterReason::NoDomain };

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
