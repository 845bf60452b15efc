//! The bounds of a history, and the room that each conversation still has. It knows no file and reads no
//! clock.

use std::collections::BTreeMap;
use std::mem;

use mi_agent_core::ConversationId;

/// The bounds of a history, in bytes unless they count files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A file of a peer that the user called or answered. Two of them are kept.
    pub(super) file: u64,
    /// All these files.
    pub(super) total: u64,
    /// The number of these files.
    pub(super) files: usize,
    /// A file of a peer that only called.
    pub(super) caller_file: u64,
    /// The number of these files.
    pub(super) caller_files: usize,
    /// A file of what was said in the name of such a peer, by an unknown caller, while the user said nothing.
    /// Two of them are kept, and a conversation takes one of them at most.
    pub(super) unanswered_file: u64,
    /// The number of these files.
    pub(super) unanswered_files: usize,
    /// A conversation in which the user says nothing.
    pub(super) conversation: u64,
    /// The bytes that each line of the user adds to that.
    pub(super) line: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file: super::MAX_FILE,
            total: MAX_TOTAL
                - MAX_CALLER_FILES as u64 * MAX_CALLER_FILE
                - MAX_UNANSWERED_FILES as u64 * MAX_UNANSWERED_FILE,
            files: MAX_FILES - MAX_CALLER_FILES - MAX_UNANSWERED_FILES,
            caller_file: MAX_CALLER_FILE,
            caller_files: MAX_CALLER_FILES,
            unanswered_file: MAX_UNANSWERED_FILE,
            unanswered_files: MAX_UNANSWERED_FILES,
            conversation: MAX_UNANSWERED,
            line: MAX_FOR_A_LINE,
        }
    }
}

/// The conversations of this run, and the room that each of them still has.
#[derive(Debug, Default)]
pub(super) struct Allowances(BTreeMap<ConversationId, Allowance>);

impl Allowances {
    /// Returns the allowance of a conversation. `is_sure` says that the peer's identity is certain.
    pub(super) fn of(&mut self, id: ConversationId, is_sure: bool, limits: &Limits) -> &mut Allowance {
        if self.0.len() == MAX_ALLOWANCES && !self.0.contains_key(&id) {
            self.0.pop_first();
        }
        let first =
            if is_sure { limits.conversation } else { limits.conversation.min(limits.unanswered_file) };
        let held = limits.conversation - first;
        let new = Allowance { left: first, held, credit: ADVANCE, is_answered: false, is_over: false };
        self.0.entry(id).or_insert(new)
    }
}

/// The room that a conversation still has.
#[derive(Debug)]
pub(super) struct Allowance {
    /// The bytes that may still be added.
    left: u64,
    /// The bytes that the first line of the user adds to that.
    held: u64,
    /// The bytes that may still be added before the peer sends more: [`MAX_RATIO`] for each that it has sent,
    /// less those that were added.
    credit: u64,
    /// The user has said a line.
    is_answered: bool,
    /// Something was left out since then.
    is_over: bool,
}

impl Allowance {
    /// The user says a line, which is kept in any case.
    pub(super) fn answer(&mut self, limits: &Limits) {
        self.left = self.left.saturating_add(limits.line + mem::take(&mut self.held));
        self.credit = self.credit.saturating_add(limits.line);
        self.is_answered = true;
        self.is_over = false;
    }

    /// The peer has sent so many bytes.
    pub(super) fn earn(&mut self, bytes: u64) {
        self.credit = self.credit.saturating_add(bytes.saturating_mul(MAX_RATIO));
    }

    /// Returns whether so many bytes of the peer may be kept.
    pub(super) fn admits(&self, bytes: u64) -> bool {
        !self.is_over && bytes <= self.left && bytes <= self.credit
    }

    /// Records that so many bytes are kept.
    pub(super) fn spend(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
        self.credit = self.credit.saturating_sub(bytes);
    }

    /// Leaves out what the peer says until the user says another line. Returns whether that is new.
    pub(super) fn end(&mut self) -> bool {
        !mem::replace(&mut self.is_over, true)
    }

    pub(super) fn is_answered(&self) -> bool {
        self.is_answered
    }
}

/// The bytes of all files: a hundred years of daily conversations, and a small part of a disk.
const MAX_TOTAL: u64 = 200 << 20;

/// The number of all files: more than anybody has friends, and few enough to be listed at once.
const MAX_FILES: usize = 1_000;

/// The bytes of a peer that only called: several hundred lines, and at most 6.4 MB of all such peers.
const MAX_CALLER_FILE: u64 = 64 << 10;

/// The number of peers that only called, as many as there are among the contacts.
const MAX_CALLER_FILES: usize = 100;

/// The bytes of a file of what was said in the name of a peer: two thousand lines.
const MAX_UNANSWERED_FILE: u64 = 256 << 10;

/// The number of these files, two for each of 40 peers, and 20 MiB of all.
const MAX_UNANSWERED_FILES: usize = 80;

/// The most bytes that are kept for each byte that a peer sends, in the long run.
const MAX_RATIO: u64 = 22;

/// The bytes that are kept before that counts: some short lines, with their time and the nickname of the
/// speaker.
const ADVANCE: u64 = 4 << 10;

/// The bytes of a conversation in which the user says nothing: ten thousand lines.
const MAX_UNANSWERED: u64 = 1 << 20;

/// The bytes for each line of the user: several hundred lines, a long answer.
const MAX_FOR_A_LINE: u64 = 64 << 10;

/// The most conversations with a known allowance, many times what there may be at a time. The oldest one has
/// a new allowance then, which it would have had with a new call, too.
const MAX_ALLOWANCES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_the_user_allows_more() {
        let limits = Limits { conversation: 100, unanswered_file: 30, line: 10, ..Limits::default() };
        let mut allowances = Allowances::default();
        let one = allowances.of(1.into(), true, &limits);
        assert!(one.admits(100) && !one.admits(101) && !one.is_answered());
        one.spend(95);
        assert!(!one.admits(6) && one.end() && !one.end());
        assert!(!one.admits(1), "nothing after that is kept, be it short");
        one.answer(&limits);
        assert!(one.admits(15) && !one.admits(16) && one.is_answered());
        one.spend(1_000);
        assert!(!one.admits(1) && one.end());
        assert!(allowances.of(2.into(), true, &limits).admits(100), "another conversation has its own");
        let unsure = allowances.of(3.into(), false, &limits);
        assert!(unsure.admits(30) && !unsure.admits(31));
        unsure.answer(&limits);
        assert!(unsure.admits(110) && !unsure.admits(111), "the user talks with whoever it is");
        for n in 4..=2 * MAX_ALLOWANCES as u64 {
            allowances.of(n.into(), true, &limits);
        }
        assert_eq!(allowances.0.len(), MAX_ALLOWANCES);
    }
}
