//! What becomes of messages for users who are not there, in words.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mi_agent_core::{ItemState, OutboxItem, OutboxTime};

/// Returns the line about a message, with its sign, or `None` while it is being delivered.
pub(crate) fn words(item: &OutboxItem) -> Option<String> {
    let OutboxItem { id, to, text, .. } = item;
    let text = in_short(text);
    Some(match item.state {
        ItemState::Queued => format!("… {to} gets this later, until {}: {text}", day_and_hour(item.until)),
        ItemState::Sent => format!("↑ sent to {to}: {text}"),
        ItemState::Unsure => format!("? may have arrived at {to}, /resend {id} or /forget {id}: {text}"),
        ItemState::Expired => format!("× {to} was not there in time, so this was not sent: {text}"),
        ItemState::Undeliverable => {
            format!("× there is no user {to}, /resend {id} or /forget {id}: {text}")
        }
        ItemState::Forgotten => format!("forgotten, {to} does not get this: {text}"),
        _ => return None,
    })
}

/// Returns the first line of a text, cut to fit beside something else.
pub(crate) fn in_short(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let is_cut = text.lines().nth(1).is_some() || first.chars().count() > SHORT;
    let shown: String = first.chars().take(SHORT).collect();
    if is_cut { shown + "…" } else { shown }
}

/// Returns a time with its day, as people say it.
pub(crate) fn day_and_hour(OutboxTime(millis): OutboxTime) -> String {
    let at = Timestamp::from_millisecond(i64::try_from(millis).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    at.to_zoned(TimeZone::system()).strftime("%a %-d %b %H:%M").to_string()
}

/// Characters of a text that are shown beside something else.
const SHORT: usize = 60;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(in_short("hola"), "hola");
        assert_eq!(in_short("hola\nadéu"), "hola…");
        assert_eq!(in_short(&"é".repeat(SHORT)), "é".repeat(SHORT));
        assert_eq!(in_short(&"é".repeat(SHORT + 1)), "é".repeat(SHORT) + "…");
    }

    #[test]
    fn every_state_but_one_has_its_words() {
        let to = "joya@cc.com".parse().unwrap();
        let mut item = OutboxItem::new(to, "hola".into(), OutboxTime(1), Duration::from_secs(1));
        for state in ItemState::ALL {
            item.state = state;
            let words = words(&item);
            assert_eq!(words.is_none(), state == ItemState::Trying, "{state}");
            assert!(
                words.is_none_or(|words| words.contains("joya@cc.com") && words.ends_with("hola")),
                "{state}"
            );
        }
    }
}
