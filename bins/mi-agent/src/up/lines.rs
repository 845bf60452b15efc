//! The lines that only fronts get: the objects of docs/events.md with more fields, and events of their own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::report::{Reference, Report, SafeText};
use crate::store::json::in_a_line;

/// A report with the fields that a front needs beside it.
#[derive(Serialize)]
struct Told<'a> {
    at: String,
    #[serde(flatten)]
    report: &'a Report,
    #[serde(flatten)]
    more: More<'a>,
}

/// What a front has to know beside a report.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct More<'a> {
    /// The time at which a conversation began, if the front came later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<&'a str>,
    /// The front came later.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) earlier: bool,
    /// The text that another front has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a SafeText>,
}

/// Returns the line of `report`, without its end.
pub(super) fn told(at: Timestamp, report: &Report, more: More<'_>) -> String {
    in_a_line(&Told { at: as_text(at), report, more }).expect("nothing in it can fail")
}

/// An event of a front itself.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum OfFront<'a> {
    Attached {
        at: String,
        address: SafeText,
        version: &'a str,
        pid: u32,
    },
    Detached {
        at: String,
        address: SafeText,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
}

impl OfFront<'_> {
    /// Returns its line, without the end.
    pub(super) fn line(&self) -> String {
        in_a_line(self).expect("nothing in it can fail")
    }
}

pub(super) fn as_text(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The fields of an event that this program needs to know as a front.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) event: String,
    pub(super) version: Option<String>,
    pub(super) reason: Option<String>,
}

/// The order of `mi-agent down`. Programs end the agent with it, and not with `quit`, which ends a front.
pub(super) const DOWN: &str = r#"{"down":true}"#;

/// Returns whether `line` is [`DOWN`].
pub(super) fn is_down(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Down {
        down: bool,
    }
    line.trim_ascii_start().starts_with(b"{") && serde_json::from_slice(line).is_ok_and(|Down { down }| down)
}
