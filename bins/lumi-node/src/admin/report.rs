//! Reports of users and of the node's state, for people and for programs.

use std::fmt::Write;
use std::time::{Duration, Instant};

use diagnostics::escaped;
use jiff::tz::TimeZone;
use jiff::{SpanRound, Timestamp, Unit, Zoned};
use lumi_node_core::{
    BindingCounts, LocationTimes, MessageCounts, NodeStatus, ServerStatus, UdpAddress, UserStatus,
};
use plumi_proto::UserName;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time;
use unicode_width::UnicodeWidthStr;

/// Formats users as a table, with columns aligned by their width on the screen.
pub(crate) fn table(users: &[UserStatus]) -> String {
    let time_of = times();
    let row = |UserStatus { user, presence, moved_repeatedly, has_key, is_restored, .. }: &UserStatus| {
        let marks = [(*is_restored, "restored"), (*has_key, "key"), (*moved_repeatedly, "moved")];
        let marks: Vec<_> = marks.iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| *mark).collect();
        let state = |state: &str| match &marks[..] {
            [] => state.to_owned(),
            marks => format!("{state} ({})", marks.join(", ")),
        };
        match presence {
            Some(presence) => {
                let since = time_of(presence.online_since).strftime("%Y-%m-%d %H:%M:%S");
                [user.to_string(), state("online"), presence.address.to_string(), since.to_string()]
            }
            None => [user.to_string(), state("offline"), "-".into(), "-".into()],
        }
    };
    let rows = || std::iter::once(HEADER.map(String::from)).chain(users.iter().map(row));
    // Every row is made twice: for a million users, time is cheaper than memory.
    let widths = rows().fold([0; HEADER.len()], |widths: [usize; HEADER.len()], row| {
        std::array::from_fn(|column| widths[column].max(row[column].width()))
    });
    let mut text = String::new();
    for row in rows() {
        let start = text.len();
        for (cell, width) in row.iter().zip(widths) {
            text += cell;
            text.extend(std::iter::repeat_n(' ', width - cell.width() + GAP));
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// Formats users as a JSON array, one user to a line.
pub(crate) fn users_json(users: &[UserStatus]) -> String {
    let time_of = times();
    let mut text = String::from("[");
    for (number, UserStatus { user, presence, moved_repeatedly, has_key, is_restored, .. }) in
        users.iter().enumerate()
    {
        let row = Row {
            user: user.as_str(),
            online: presence.is_some(),
            address: presence.map(|presence| presence.address),
            since: presence
                .map(|presence| whole_seconds(time_of(presence.online_since).timestamp()).to_string()),
            moved: *moved_repeatedly,
            key: *has_key,
            restored: *is_restored,
        };
        let row = serde_json::to_string(&row).unwrap_or_default();
        _ = write!(text, "{}\n  {row}", if number > 0 { "," } else { "" });
    }
    text + "\n]"
}

/// A user in JSON.
#[derive(Serialize)]
struct Row<'a> {
    user: &'a str,
    online: bool,
    /// `null` if the user is offline.
    address: Option<UdpAddress>,
    since: Option<String>,
    /// There only if it is `true`, see [`UserStatus::moved_repeatedly`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    moved: bool,
    /// There only if it is `true`, see [`UserStatus::has_key`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    key: bool,
    /// There only if it is `true`, see [`UserStatus::is_restored`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    restored: bool,
}

/// Figures of the program that its server does not have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    /// The number of lines of the message log that could not be written.
    pub(crate) lines_lost: u64,
    /// The number of diagnostics that could not be written.
    pub(crate) diagnostics_lost: u64,
}

/// Formats the node's state, one line for each figure.
pub(crate) fn status(status: &ServerStatus, process: Process) -> String {
    let ServerStatus { node, local, uptime, unreceived, lines_left_out, early_answers, unsent, .. } = status;
    let lookups = node.lookups;
    let counts = |counts: &MessageCounts| {
        listed(
            counts
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(kind, count)| format!("{} {count}", kind.name())),
        )
    };
    let dropped = node.dropped.iter().filter(|(_, count)| *count > 0);
    let locations = locations(status).into_iter().filter_map(|(outcome, times)| {
        average(&times).map(|average| {
            format!("{outcome} {} ({:.1} ms on average)", times.count(), average.as_secs_f64() * 1e3)
        })
    });
    let since = now().saturating_sub(*uptime).strftime("%Y-%m-%d %H:%M:%S");
    let lines = [
        ("domain", node.domain.to_string()),
        ("address", local.to_string()),
        ("up", format!("The node has been up for {}, since {since}.", in_words(*uptime))),
        ("program", format!("lumi-node {VERSION}, process {}", std::process::id())),
        ("users", of_users(node)),
        ("bindings", of_bindings(status)),
        ("proofs", of_proofs(node)),
        ("received", counts(&node.received)),
        ("sent", counts(&node.sent)),
        ("dropped", listed(dropped.map(|(reason, count)| format!("{reason} {count}")))),
        ("locations", listed(locations)),
        (
            "pending",
            format!(
                "{} locations wait for an answer, {} got none, and {} gave way to others.",
                node.pendings, node.unanswered, node.displaced
            ),
        ),
        (
            "DNS",
            format!(
                "{} look-ups found a node, {} found none, {} got no answer, {} got one that is unusable, and {} gave way to \
                 others; {} are under way. {} answers are kept, and have answered {} requests.",
                lookups.found,
                lookups.not_found,
                lookups.no_answer,
                lookups.unusable,
                lookups.displaced,
                lookups.in_flight,
                lookups.kept,
                lookups.from_kept
            ),
        ),
        (
            "log",
            format!(
                "{lines_left_out} lines about messages that were dropped or refused were left out, and {early_answers} \
                 answers left before their lines were written."
            ),
        ),
        (
            "errors",
            format!(
                "{unreceived} receptions failed, {unsent} messages could not be sent, and {} lines of the log and {} \
                 diagnostics are lost.",
                process.lines_lost, process.diagnostics_lost
            ),
        ),
    ];
    lines.map(|(name, value)| format!("{name:<11}{value}")).join("\n")
}

fn of_users(NodeStatus { users, online, moves, .. }: &NodeStatus) -> String {
    let belong = if *users == 1 { "belongs" } else { "belong" };
    let are = if *online == 1 { "is" } else { "are" };
    format!(
        "{users} {belong} to the domain, and {online} {are} online. {} moved to another host, and {} to another port.",
        moves.to_host, moves.to_port
    )
}

fn of_bindings(ServerStatus { node, bindings_failure, .. }: &ServerStatus) -> String {
    let Some(BindingCounts { restored, unsaved, waiting, unpromised, is_failing, .. }) = node.bindings else {
        return "They are not saved, so users are offline after a restart.".to_owned();
    };
    let failing = match bindings_failure {
        Some(reason) if is_failing => format!(" THEY CANNOT BE SAVED: {}.", escaped(reason)),
        None if is_failing => " THEY CANNOT BE SAVED: it takes too long.".to_owned(),
        _ => String::new(),
    };
    format!(
        "{restored} were restored at the start, {unsaved} are not saved yet, {waiting} answers wait for that, and {unpromised} \
         did not wait.{failing}"
    )
}

fn of_proofs(NodeStatus { proofs, .. }: &NodeStatus) -> String {
    format!(
        "{} challenges were sent, {} proofs were accepted, {} came again, and {} were refused. {} keys were enrolled.",
        proofs.challenges, proofs.accepted, proofs.repeated, proofs.failed, proofs.enrolled
    )
}

/// Formats the node's state as one JSON object.
pub(crate) fn status_json(status: &ServerStatus, process: Process) -> String {
    let ServerStatus { node, local, uptime, unreceived, lines_left_out, early_answers, unsent, .. } = status;
    let lookups = node.lookups;
    let counts = |counts: &MessageCounts| -> Map<String, Value> {
        counts.iter().map(|(kind, count)| (kind.name().to_owned(), count.into())).collect()
    };
    let dropped: Map<String, Value> =
        node.dropped.iter().map(|(reason, count)| (reason.to_owned(), count.into())).collect();
    let locations: Map<String, Value> = locations(status)
        .into_iter()
        .map(|(outcome, times)| {
            (outcome.to_owned(), json!({ "count": times.count(), "seconds": times.sum().as_secs_f64() }))
        })
        .collect();
    let bindings = node.bindings.map(|counts| {
        json!({
            "restored": counts.restored,
            "unsaved": counts.unsaved,
            "waiting": counts.waiting,
            "unpromised": counts.unpromised,
            "failing": counts.is_failing,
            "failure": status.bindings_failure.as_deref(),
        })
    });
    let status = json!({
        "domain": node.domain.to_string(),
        "address": local.to_string(),
        "since": whole_seconds(now().timestamp() - *uptime).to_string(),
        "uptime-seconds": uptime.as_secs(),
        "version": VERSION,
        "process": std::process::id(),
        "users": node.users,
        "online": node.online,
        "moved": { "host": node.moves.to_host, "port": node.moves.to_port },
        "bindings": bindings,
        "proofs": {
            "challenges": node.proofs.challenges,
            "accepted": node.proofs.accepted,
            "repeated": node.proofs.repeated,
            "refused": node.proofs.failed,
        },
        "enrolled": node.proofs.enrolled,
        "received": counts(&node.received),
        "sent": counts(&node.sent),
        "dropped": dropped,
        "locations": locations,
        "pending": node.pendings,
        "unanswered": node.unanswered,
        "displaced": node.displaced,
        "dns": {
            "found": lookups.found,
            "not-found": lookups.not_found,
            "no-answer": lookups.no_answer,
            "unusable": lookups.unusable,
            "displaced": lookups.displaced,
            "in-flight": lookups.in_flight,
            "kept": lookups.kept,
            "answered-by-kept": lookups.from_kept,
        },
        "unreceived": unreceived,
        "unsent": unsent,
        "early-answers": early_answers,
        "log-lines-left-out": lines_left_out,
        "log-lines-lost": process.lines_lost,
        "diagnostics-lost": process.diagnostics_lost,
    });
    format!("{status:#}")
}

/// Formats a number of users.
pub(crate) fn counted_users(count: usize) -> String {
    format!("{count} {}", if count == 1 { "user" } else { "users" })
}

/// Returns a note if one of these users looks like a comment: `#laura` is a valid name (protocol.md §2).
pub(crate) fn commented_out<'u>(mut users: impl Iterator<Item = &'u UserName>) -> Option<String> {
    let user = users.find(|user| user.as_str().starts_with('#'))?;
    Some(format!("a roster has no comments, so {user} is a user"))
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

fn locations(status: &ServerStatus) -> [(&'static str, LocationTimes); 4] {
    let locations = status.node.locations;
    [
        ("found", locations.found),
        ("busy", locations.busy),
        ("no-such-user", locations.no_such_user),
        ("offline", locations.offline),
    ]
}

fn average(times: &LocationTimes) -> Option<Duration> {
    // A count that does not fit would take 136 years to reach.
    times.sum().checked_div(u32::try_from(times.count()).unwrap_or(u32::MAX))
}

/// Formats a duration as `3h 2m 5s`.
pub(crate) fn in_words(time: Duration) -> String {
    let round = SpanRound::new().largest(Unit::Day).smallest(Unit::Second).days_are_24_hours();
    let span = jiff::Span::try_from(time).and_then(|span| span.round(round));
    span.map(|span| format!("{span:#}")).unwrap_or_else(|_| format!("{} s", time.as_secs()))
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[expect(clippy::disallowed_methods, reason = "people read the time of day; nothing is decided by it")]
fn now() -> Zoned {
    Zoned::now()
}

/// Returns the clock on the wall at times of the node's clock. Both are read at once, so that the time of an
/// event is the same in each report.
#[expect(clippy::disallowed_methods, reason = "people read the time of day; nothing is decided by it")]
fn times() -> impl Fn(Instant) -> Zoned {
    // It may be read from files, which takes longer than one clock may be read after the other.
    let zone = TimeZone::system();
    let (wall, node) = (Timestamp::now().to_zoned(zone), time::Instant::now().into_std());
    move |then| wall.saturating_sub(node.saturating_duration_since(then))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

const HEADER: [&str; 4] = ["USER", "STATE", "ADDRESS", "SINCE"];

/// The number of blanks between two columns.
const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_as_they_are_seen() {
        let user = |name: &str| UserStatus::new(name.parse().unwrap(), None);
        let expected =
            "USER    STATE    ADDRESS  SINCE\n漢字    offline  -        -\nlaura9  offline  -        -";
        assert_eq!(table(&[user("漢字"), user("laura9")]), expected);
        assert_eq!(table(&[]), "USER  STATE  ADDRESS  SINCE");
    }

    #[test]
    fn who_was_moved_twice_and_who_has_a_key_is_marked() {
        let (mut moved, other) = (UserStatus::new("laura".parse().unwrap(), None), "pere".parse().unwrap());
        moved.moved_repeatedly = true;
        let mut keyed = UserStatus::new("joya".parse().unwrap(), None);
        keyed.has_key = true;
        let mut both = keyed;
        both.moved_repeatedly = true;
        let users = [moved, UserStatus::new(other, None)];
        assert_eq!(
            table(&users),
            "USER   STATE            ADDRESS  SINCE\nlaura  offline (moved)  -        -\npere   offline          -        -"
        );
        let offline = r#""online":false,"address":null,"since":null"#;
        assert_eq!(
            users_json(&users),
            format!(
                "[\n  {{\"user\":\"laura\",{offline},\"moved\":true}},\n  {{\"user\":\"pere\",{offline}}}\n]"
            )
        );
        assert_eq!(
            table(&[keyed, both]),
            "USER  STATE                 ADDRESS  SINCE\njoya  offline (key)         -        -\njoya  offline (key, moved)  -        -"
        );
        let mut restored = keyed;
        restored.is_restored = true;
        assert_eq!(
            table(&[restored]),
            "USER  STATE                    ADDRESS  SINCE\njoya  offline (restored, key)  -        -"
        );
        let marked = users_json(&[restored]);
        assert_eq!(marked, format!("[\n  {{\"user\":\"joya\",{offline},\"key\":true,\"restored\":true}}\n]"));
        assert_eq!(users_json(&[keyed]), format!("[\n  {{\"user\":\"joya\",{offline},\"key\":true}}\n]"));
    }
}
