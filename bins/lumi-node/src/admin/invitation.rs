//! `invite`: its options, and the codes as they are printed.
//!
//! ```text
//! laura@bb.com KQ7M-2XTN-9D4V-W3RH                          a line each, for scripts
//!
//! ADDRESS       CODE                                        table, for paper
//! laura@bb.com  KQ7M-2XTN-9D4V-W3RH
//!
//! address,code,expires                                      csv (RFC 4180), for spreadsheets
//! laura@bb.com,KQ7M-2XTN-9D4V-W3RH,2026-11-30T18:00:00Z
//! ```
//!
//! With `--qr`, a code for cameras follows each of the lines for scripts. It holds the address and the code
//! as `mi:laura@bb.com?code=KQ7M2XTN9D4VW3RH`.

use std::error::Error;
use std::fmt::{self, Write};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use full_screen::camera_code;
use jiff::Timestamp;
use lumi_node_core::Code;
use plumi_proto::{Domain, MiAddress, UserName};
use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthStr;

use super::typed_name::{self, user};

/// A code for each user, by which the user enrols a key; adds users, if necessary
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct InviteArgs {
    /// By name alone, without the domain
    #[arg(value_name = "USER", value_parser = user, required_unless_present = "all_new")]
    #[serde(with = "typed_name::many")]
    pub(crate) users: Vec<UserName>,
    /// Every user who has neither a key nor an open invitation
    #[arg(long, conflicts_with = "users")]
    pub(crate) all_new: bool,
    /// For paper or for a spreadsheet [default: a line ADDRESS CODE for each user]
    #[arg(long, value_enum)]
    pub(crate) format: Option<InviteFormat>,
    /// Draws a code for cameras below each line: mi:ADDRESS?code=CODE
    #[arg(long, conflicts_with = "format")]
    // The program at the terminal draws, and the node need not know.
    #[serde(skip)]
    pub(crate) qr: bool,
    /// How long the codes hold, from 5min to 30d [default: 24h]
    #[arg(long, visible_alias = "for", value_name = "TIME")]
    pub(crate) valid: Option<Validity>,
}

/// The time for which an invitation is open. Its text is a number and a unit, `min`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Validity {
    minutes: u32,
}

/// A form in which codes are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InviteFormat {
    /// Addresses and codes in columns, and until when they hold
    Table,
    /// A header line, then address, code and end of each
    Csv,
}

/// Invited users and their codes.
#[derive(Debug)]
pub(crate) struct Invited {
    pub(crate) domain: Domain,
    pub(crate) codes: Vec<(UserName, Code)>,
    /// The end of all codes, in seconds since 1970.
    pub(crate) expires: i64,
}

impl Validity {
    pub(crate) fn seconds(self) -> i64 {
        60 * i64::from(self.minutes)
    }
}

impl Default for Validity {
    fn default() -> Self {
        Self { minutes: DAY_MINUTES }
    }
}

impl FromStr for Validity {
    type Err = ValidityError;

    fn from_str(text: &str) -> Result<Self, ValidityError> {
        let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match unit {
            "min" => 1,
            "h" => 60,
            "d" => DAY_MINUTES,
            _ => return Err(ValidityError),
        };
        let minutes = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
        let minutes = minutes.filter(|minutes| (MIN_MINUTES..=MAX_MINUTES).contains(minutes));
        minutes.map(|minutes| Self { minutes }).ok_or(ValidityError)
    }
}

impl TryFrom<String> for Validity {
    type Error = ValidityError;

    fn try_from(text: String) -> Result<Self, ValidityError> {
        text.parse()
    }
}

impl From<Validity> for String {
    fn from(Validity { minutes }: Validity) -> Self {
        format!("{minutes}min")
    }
}

/// A text is no time for which an invitation can be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValidityError;

impl fmt::Display for ValidityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("give a time from 5min to 30d, such as 90min, 24h or 7d")
    }
}

impl Error for ValidityError {}

impl Invited {
    /// Returns the users, in order.
    pub(crate) fn users(&self) -> impl Iterator<Item = UserName> {
        self.codes.iter().map(|(user, _)| *user)
    }

    /// Formats the addresses and codes. Only the users may see them.
    pub(crate) fn text(&self, format: Option<InviteFormat>) -> String {
        match format {
            Some(InviteFormat::Csv) => self.csv(),
            _ if self.codes.is_empty() => NOBODY.into(),
            Some(InviteFormat::Table) => self.table(),
            None => {
                let lines: Vec<_> = self.rows().map(|(address, code)| format!("{address} {code}")).collect();
                lines.join("\n")
            }
        }
    }

    fn table(&self) -> String {
        let rows = || {
            let header = (String::from("ADDRESS"), String::from("CODE"));
            std::iter::once(header).chain(self.rows())
        };
        let width = rows().map(|(address, _)| address.width()).max().unwrap_or_default();
        let mut text = String::new();
        for (address, code) in rows() {
            let gap = " ".repeat(width - address.width() + GAP);
            _ = writeln!(text, "{address}{gap}{code}");
        }
        _ = write!(text, "\nEach code lets one key in, until {}.", time_text(self.expires));
        text
    }

    fn csv(&self) -> String {
        let mut text = String::from("address,code,expires");
        let expires = time_text(self.expires);
        for (address, code) in self.rows() {
            _ = write!(text, "\n{},{code},{expires}", csv_field(&address));
        }
        text
    }

    fn rows(&self) -> impl Iterator<Item = (String, String)> {
        self.codes.iter().map(|(user, code)| (format!("{user}@{}", self.domain), code.to_string()))
    }
}

/// Draws the code for cameras of a line for scripts, `ADDRESS CODE`. Any other line has none, so nothing is
/// drawn.
pub(crate) fn camera_code_of(line: &str, in_colour: bool) -> String {
    let link = || {
        let (address, code) = line.rsplit_once(' ')?;
        let (address, code): (MiAddress, Code) = (address.parse().ok()?, code.parse().ok()?);
        Some(format!("mi:{address}?code={}", code.to_string().replace('-', "")))
    };
    link().and_then(|link| camera_code(&link, in_colour)).unwrap_or_default()
}

/// Quotes a field of CSV if its text needs that. No address has a line end.
fn csv_field(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Names users on one line: [`MAX_NAMED`] at most, and the number of the others.
pub(crate) fn brief_list(users: &[UserName]) -> String {
    let named: Vec<_> = users.iter().take(MAX_NAMED).map(UserName::as_str).collect();
    let more = users.len() - named.len();
    let others = if more > 0 { format!(" and {more} more") } else { String::new() };
    named.join(", ") + &others
}

/// Formats a time in seconds since 1970, in UTC.
pub(super) fn time_text(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

const DAY_MINUTES: u32 = 24 * 60;

/// The shortest time for which an invitation is open. In less, nobody hands a code over and types it.
const MIN_MINUTES: u32 = 5;

/// The longest time, as long as ended invitations are kept. A code found on paper must not work years later.
const MAX_MINUTES: u32 = 30 * DAY_MINUTES;

const NOBODY: &str = "nobody is invited: every user has a key or an open invitation";

/// The most users named in a line: a class.
const MAX_NAMED: usize = 50;

/// The number of blanks between two columns.
const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn invited(users: &[&str]) -> Invited {
        let code = "KQ7M-2XTN-9D4V-W3RH".parse::<Code>().unwrap();
        let codes = users.iter().map(|user| (user.parse().unwrap(), code)).collect();
        Invited { domain: "bb.com".parse().unwrap(), codes, expires: 1_795_975_200 }
    }

    #[test]
    fn codes_are_printed_for_scripts_for_paper_and_for_spreadsheets() {
        let some = invited(&["漢字", "laura"]);
        assert_eq!(some.text(None), "漢字@bb.com KQ7M-2XTN-9D4V-W3RH\nlaura@bb.com KQ7M-2XTN-9D4V-W3RH");
        let expected = "ADDRESS       CODE\n漢字@bb.com   KQ7M-2XTN-9D4V-W3RH\nlaura@bb.com  KQ7M-2XTN-9D4V-W3RH\n\n\
                        Each code lets one key in, until 2026-11-29T18:00:00Z.";
        assert_eq!(some.text(Some(InviteFormat::Table)), expected);
        let expected = "address,code,expires\n\"a,b@bb.com\",KQ7M-2XTN-9D4V-W3RH,2026-11-29T18:00:00Z";
        assert_eq!(invited(&["a,b"]).text(Some(InviteFormat::Csv)), expected);
    }

    #[test]
    fn a_code_for_cameras_is_drawn_of_an_address_with_its_code_alone() {
        let drawn = camera_code_of("laura@bb.com KQ7M-2XTN-9D4V-W3RH", false);
        assert_eq!(Some(drawn), camera_code("mi:laura@bb.com?code=KQ7M2XTN9D4VW3RH", false));
        for line in ["", NOBODY, "laura@bb.com", "laura@bb.com KQ7M", "laura KQ7M-2XTN-9D4V-W3RH"] {
            assert_eq!(camera_code_of(line, false), "", "{line}");
        }
    }

    #[test]
    fn an_invitation_is_open_from_minutes_to_a_month() {
        for (text, seconds) in
            [("5min", 300), ("24h", 86_400), ("1d", 86_400), ("30d", 2_592_000), ("720h", 2_592_000)]
        {
            assert_eq!(text.parse::<Validity>().map(Validity::seconds), Ok(seconds), "{text}");
        }
        for text in ["", "24", "h", "4min", "31d", "721h", "-1h", "1.5h", "24 h", "24H", "4294967295d"] {
            assert_eq!(text.parse::<Validity>(), Err(ValidityError), "{text}");
        }
        assert_eq!(Validity::default().seconds(), 86_400);
    }

    #[test]
    fn a_spreadsheet_of_nobody_has_its_header_only() {
        let nobody = invited(&[]);
        assert_eq!(
            (nobody.text(None), nobody.text(Some(InviteFormat::Table))),
            (NOBODY.into(), NOBODY.into())
        );
        assert_eq!(nobody.text(Some(InviteFormat::Csv)), "address,code,expires");
    }

    #[test]
    fn a_log_line_names_a_class_and_counts_a_school() {
        let users: Vec<UserName> = (0..52).map(|number| format!("u{number}").parse().unwrap()).collect();
        assert_eq!(brief_list(&users[..2]), "u0, u1");
        assert!(brief_list(&users).ends_with(", u49 and 2 more"), "{}", brief_list(&users));
    }
}
