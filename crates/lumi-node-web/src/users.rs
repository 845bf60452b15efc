//! The users of a domain as a page shows them.

use std::time::Duration;

use lumi_node_core::{UdpAddress, UserStatus};
use message_log::printable;
use serde::Serialize;
use tokio::time::Instant;

/// The users that are online, and then those that are not: [`MAX_SHOWN`] at most, and how many there are.
#[derive(Debug)]
pub(crate) struct Users {
    users: usize,
    online: usize,
    shown: Vec<Shown>,
}

#[derive(Debug)]
struct Shown {
    /// Escaped.
    user: String,
    /// Where, and since when.
    online: Option<(UdpAddress, Instant)>,
}

impl Users {
    /// Those of `list`, which is by name and has been made `now`.
    pub(crate) fn new(list: &[UserStatus], now: Instant) -> Self {
        let online = list.iter().filter(|status| status.presence.is_some());
        let offline = list.iter().filter(|status| status.presence.is_none());
        let shown = |status: &UserStatus| Shown {
            user: printable(status.user.as_str().as_bytes()).to_string(),
            online: status
                .presence
                .map(|presence| (presence.address, now.checked_sub(presence.online_for).unwrap_or(now))),
        };
        Self {
            users: list.len(),
            online: online.clone().count(),
            shown: online.chain(offline).take(MAX_SHOWN).map(shown).collect(),
        }
    }

    /// Returns whether `other` tells the same.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        (self.users, self.online) == (other.users, other.online)
            && self.shown.len() == other.shown.len()
            && self.shown.iter().zip(&other.shown).all(|(one, other)| one.is_as(other))
    }

    /// Returns the users as JSON. Times are milliseconds before `now`, so that no clock has to agree with another
    /// one.
    pub(crate) fn to_json(&self, now: Instant) -> String {
        let shown = self.shown.iter().map(|shown| ShownJson {
            user: &shown.user,
            address: shown.online.map(|(address, _)| address),
            online_for: shown.online.map(|(_, since)| (now - since).as_millis()),
        });
        let json = UsersJson { users: self.users, online: self.online, shown: shown.collect() };
        serde_json::to_string(&json).expect("it has texts and numbers only")
    }
}

impl Shown {
    fn is_as(&self, other: &Self) -> bool {
        let is_same_time = |one: Instant, other: Instant| one.max(other) - one.min(other) < SAME_TIME;
        self.user == other.user
            && match (self.online, other.online) {
                (Some((address, since)), Some((other, also))) => {
                    address == other && is_same_time(since, also)
                }
                (online, other) => online.is_none() && other.is_none(),
            }
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
}

/// Users of a domain that are shown: more than people look through, and forty kilobytes at most for whoever watches.
const MAX_SHOWN: usize = 500;

/// The change of a time that the way to the node and back may cause.
const SAME_TIME: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use lumi_node_core::Presence;

    use super::*;

    fn status(user: &str, online_for: Option<u64>) -> UserStatus {
        let address = "10.0.0.1:4000".parse().unwrap();
        let presence = online_for.map(|seconds| Presence::new(address, Duration::from_secs(seconds)));
        UserStatus::new(user.parse().unwrap(), presence)
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_online_comes_first_and_the_rest_is_counted() {
        let now = Instant::now() + Duration::from_secs(100);
        let mut list: Vec<_> = (0..MAX_SHOWN).map(|number| status(&format!("a{number}"), None)).collect();
        list.push(status("laura", Some(3)));
        let users = Users::new(&list, now);
        assert_eq!((users.users, users.online, users.shown.len()), (MAX_SHOWN + 1, 1, MAX_SHOWN));
        let json = Users::new(&list[MAX_SHOWN - 1..], now).to_json(now + Duration::from_secs(2));
        assert_eq!(
            json,
            r#"{"users":2,"online":1,"shown":[{"user":"laura","address":"10.0.0.1:4000","online-for":5000},{"user":"a499"}]}"#
        );
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_has_become_another_is_another() {
        let now = Instant::now() + Duration::from_secs(100);
        let before = Users::new(&[status("joan", None), status("laura", Some(3))], now);
        let later = now + Duration::from_millis(7001);
        assert!(before.is_as(&Users::new(&[status("joan", None), status("laura", Some(10))], later)));
        for other in [
            vec![status("joan", None), status("laura", Some(2))],
            vec![status("joan", None), status("laura", None)],
            vec![status("joana", None), status("laura", Some(10))],
            vec![status("laura", Some(10))],
        ] {
            assert!(!before.is_as(&Users::new(&other, later)), "{other:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_seen_in_a_name_is_escaped() {
        let now = Instant::now();
        let json = Users::new(&[status("a\u{3164}\"<b>", None)], now).to_json(now);
        assert_eq!(json, r#"{"users":1,"online":0,"shown":[{"user":"a\\xe3\\x85\\xa4\"<b>"}]}"#);
    }
}
