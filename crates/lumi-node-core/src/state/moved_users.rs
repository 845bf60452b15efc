//! The users who were moved to another host lately (protocol.md §9).

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use plumi_proto::UserName;

use super::notice::NOTICE_INTERVAL;

/// The users who were moved to another host within [`REMEMBERED`].
///
/// If it is full, the user who has not been moved for longest is forgotten.
#[derive(Debug, Default)]
pub(super) struct MovedUsers {
    by_user: HashMap<UserName, LastMove>,
    by_time: BTreeSet<(Instant, UserName)>,
    /// The time until which nobody is reported who is not in the table: it may be a user who was reported,
    /// and has been forgotten since.
    quiet_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct LastMove {
    at: Instant,
    reported_at: Option<Instant>,
    /// Set if the one before it was within [`REMEMBERED`].
    is_repeated: bool,
}

impl MovedUsers {
    /// Adds a move of `user`. Returns whether it is to be reported: at most one a minute of each user is.
    pub(super) fn add(&mut self, now: Instant, user: UserName) -> bool {
        self.expire(now);
        let before = self.forget(&user);
        if before.is_none() && self.by_user.len() >= MAX_USERS {
            self.make_room();
        }
        let is_due = match before {
            Some(before) => before.reported_at.is_none_or(|at| now >= at + NOTICE_INTERVAL),
            None => self.quiet_until.is_none_or(|until| now >= until),
        };
        let reported_at = if is_due { Some(now) } else { before.and_then(|before| before.reported_at) };
        self.by_user.insert(user, LastMove { at: now, reported_at, is_repeated: before.is_some() });
        self.by_time.insert((now, user));
        is_due
    }

    /// Returns whether the last two moves of `user` were within [`REMEMBERED`] of each other, and the last
    /// one is not longer ago. This is as of the last call of [`MovedUsers::expire`].
    pub(super) fn has_repeatedly(&self, user: &UserName) -> bool {
        self.by_user.get(user).is_some_and(|last| last.is_repeated)
    }

    /// Forgets the moves that are too long ago.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(&(at, user)) = self.by_time.first()
            && now >= at + REMEMBERED
        {
            self.forget(&user);
        }
    }

    /// Forgets the moves of `user`.
    pub(super) fn remove(&mut self, user: &UserName) {
        self.forget(user);
    }

    fn forget(&mut self, user: &UserName) -> Option<LastMove> {
        let last = self.by_user.remove(user)?;
        self.by_time.remove(&(last.at, *user));
        Some(last)
    }

    fn make_room(&mut self) {
        let Some(&(_, oldest)) = self.by_time.first() else { return };
        let reported_at = self.forget(&oldest).and_then(|last| last.reported_at);
        self.quiet_until = self.quiet_until.max(reported_at.map(|at| at + NOTICE_INTERVAL));
    }
}

/// The time for which a move is remembered. Two of a user within it may be of two who hold the name in turn.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// The limit of users: about 1 MiB.
const MAX_USERS: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_time;

    #[test]
    fn a_user_is_reported_once_a_minute_however_often_they_move() {
        let (mut moved, start) = (MovedUsers::default(), any_time());
        let reported: Vec<_> =
            (0..=150).filter(|&second| moved.add(start + Duration::from_secs(second), user(1))).collect();
        assert_eq!(reported, [0, 60, 120]);
        assert!(moved.add(start + Duration::from_secs(150), user(2)), "another user is another matter");
    }

    #[test]
    fn two_moves_within_ten_minutes_are_marked_for_as_long() {
        let (mut moved, start) = (MovedUsers::default(), any_time());
        let at = |seconds| start + Duration::from_secs(seconds);
        moved.add(at(0), user(1));
        assert!(!moved.has_repeatedly(&user(1)), "once is an honest move");
        moved.add(at(600), user(1));
        assert!(!moved.has_repeatedly(&user(1)), "the other one is 10 min ago");
        moved.add(at(1_199), user(1));
        assert!(moved.has_repeatedly(&user(1)));
        assert!(!moved.has_repeatedly(&user(2)));
        moved.expire(at(1_798));
        assert!(moved.has_repeatedly(&user(1)));
        moved.expire(at(1_799));
        assert!(!moved.has_repeatedly(&user(1)));
        assert!(moved.by_user.is_empty() && moved.by_time.is_empty());
    }

    #[test]
    fn a_full_table_forgets_the_oldest_and_reports_nobody_twice_for_that() {
        let (mut moved, start) = (MovedUsers::default(), any_time());
        let at = |millis| start + Duration::from_millis(millis);
        let max = u64::try_from(MAX_USERS).expect("it is small");
        assert!((0..max).all(|n| moved.add(at(n), user(n))));
        assert!(!moved.add(at(max), user(max)), "user 0 is forgotten, and may be back");
        assert!(!moved.add(at(max + 1), user(0)), "user 0 was reported 4 s ago");
        assert_eq!((moved.by_user.len(), moved.by_time.len()), (MAX_USERS, MAX_USERS));
        assert!(!moved.add(at(max + 2), user(max - 1)), "who is in the table is known");
        assert!(
            !moved.add(at(60_001), user(max + 1)),
            "user 2 is forgotten, who was reported a minute ago less 1 ms"
        );
        assert!(
            moved.add(at(60_003), user(max + 2)),
            "by now, all who are forgotten were reported a minute ago"
        );
    }

    fn user(number: u64) -> UserName {
        format!("u{number}").parse().expect("a name")
    }
}
