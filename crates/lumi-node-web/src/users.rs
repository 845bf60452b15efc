//! The users of a domain as a page shows them.

use lumi_node_core::{Presence, UdpAddress, UserStatus};
use message_log::printable;
use serde::Serialize;
use tokio::time::Instant;

/// The users that are online, and then those that are not: [`MAX_SHOWN`] at most, and how many there are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Users {
    users: usize,
    online: usize,
    shown: Vec<Shown>,
}

#[derive(Debug, PartialEq, Eq)]
struct Shown {
    /// Escaped.
    user: String,
    /// The address, and the time since when.
    online: Option<Presence>,
    has_key: bool,
    is_restored: bool,
}

impl Users {
    /// Those of `list`, which is by name.
    pub(crate) fn new(list: &[UserStatus]) -> Self {
        let online = list.iter().filter(|status| status.presence.is_some());
        let offline = list.iter().filter(|status| status.presence.is_none());
        let shown = |status: &UserStatus| Shown {
            user: printable(status.user.as_str().as_bytes()).to_string(),
            online: status.presence,
            has_key: status.has_key,
            is_restored: status.is_restored,
        };
        Self {
            users: list.len(),
            online: online.clone().count(),
            shown: online.chain(offline).take(MAX_SHOWN).map(shown).collect(),
        }
    }

    /// Returns the users as JSON. Times are milliseconds before `now`, so that no clock has to agree with
    /// another one.
    pub(crate) fn to_json(&self, now: Instant) -> String {
        let shown = self.shown.iter().map(|shown| ShownJson {
            user: &shown.user,
            address: shown.online.map(|presence| presence.address),
            online_for: shown.online.map(|presence| {
                let online_for = now.into_std().saturating_duration_since(presence.online_since);
                online_for.as_millis()
            }),
            key: shown.has_key,
            restored: shown.is_restored,
        });
        let json = UsersJson { users: self.users, online: self.online, shown: shown.collect() };
        serde_json::to_string(&json).expect("it has texts and numbers only")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct UsersJson<'a> {
    users: usize,
    online: usize,
    shown: Vec<ShownJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ShownJson<'a> {
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<UdpAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online_for: Option<u128>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    key: bool,
    /// Set until the agent is heard.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    restored: bool,
}

/// Users of a domain that are shown: more than people look through, and forty kilobytes at most for each
/// viewer.
const MAX_SHOWN: usize = 500;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A user, online since then if at all.
    fn status(user: &str, online_since: Option<Instant>) -> UserStatus {
        let address = "10.0.0.1:4000".parse().unwrap();
        let presence = online_since.map(|since| Presence::new(address, since.into_std()));
        UserStatus::new(user.parse().unwrap(), presence)
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_online_comes_first_and_the_rest_is_counted() {
        let now = Instant::now();
        let mut list: Vec<_> = (0..MAX_SHOWN).map(|number| status(&format!("a{number}"), None)).collect();
        list.push(status("laura", Some(now)));
        let users = Users::new(&list);
        assert_eq!((users.users, users.online, users.shown.len()), (MAX_SHOWN + 1, 1, MAX_SHOWN));
        let json = Users::new(&list[MAX_SHOWN - 1..]).to_json(now + Duration::from_secs(5));
        assert_eq!(
            json,
            r#"{"users":2,"online":1,"shown":[{"user":"laura","address":"10.0.0.1:4000","online-for":5000},{"user":"a499"}]}"#
        );
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_has_become_another_is_another() {
        let now = Instant::now();
        let list = [status("joan", None), status("laura", Some(now))];
        let before = Users::new(&list);
        assert_eq!(Users::new(&list), before);
        for other in [
            vec![status("joan", None), status("laura", Some(now + Duration::from_millis(1)))],
            vec![status("joan", None), status("laura", None)],
            vec![status("joana", None), status("laura", Some(now))],
            vec![status("laura", Some(now))],
        ] {
            assert_ne!(Users::new(&other), before);
        }
    }

    #[tokio::test]
    async fn who_has_a_key_is_marked() {
        let mut keyed = status("laura", None);
        let before = Users::new(&[keyed]);
        keyed.has_key = true;
        let after = Users::new(&[keyed]);
        assert_ne!(after, before);
        let expected = r#"{"users":1,"online":0,"shown":[{"user":"laura","key":true}]}"#;
        assert_eq!(after.to_json(Instant::now()), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_online_from_before_a_restart_is_marked() {
        let now = Instant::now();
        let mut restored = status("laura", Some(now));
        let heard = Users::new(&[restored]);
        restored.is_restored = true;
        let before = Users::new(&[restored]);
        assert_ne!(before, heard);
        let expected = r#"{"users":1,"online":1,"shown":[{"user":"laura","address":"10.0.0.1:4000","online-for":0,"restored":true}]}"#;
        assert_eq!(before.to_json(now), expected);
    }

    #[tokio::test]
    async fn what_cannot_be_seen_in_a_name_is_escaped() {
        let json = Users::new(&[status("a\u{3164}\"<b>", None)]).to_json(Instant::now());
        assert_eq!(json, r#"{"users":1,"online":0,"shown":[{"user":"a\\xe3\\x85\\xa4\"<b>"}]}"#);
    }
}
