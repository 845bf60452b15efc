//! The time limits of a conversation that depend on more than its phase.

use std::time::Instant;

use super::conversation::ConversationState;
use super::conversation_events::Side;
use super::conversation_phases::Phase;
use super::conversation_times::GREETING_TIMEOUT;

impl ConversationState {
    /// Lets a caller wait for its turn: its nickname has no limit until [`ConversationState::handle_turn`].
    pub fn handle_waiting(&mut self) {
        if self.has_to_be_greeted() {
            self.phase_ends = None;
        }
    }

    /// Records that it is the turn of a caller that waited. The time for its nickname begins now.
    pub fn handle_turn(&mut self, now: Instant) {
        if self.has_to_be_greeted() {
            self.phase_ends = Some(now + GREETING_TIMEOUT);
        }
    }

    /// Returns whether this is a callee to which no nickname has come.
    fn has_to_be_greeted(&self) -> bool {
        self.side == Side::Callee && self.phase == Phase::Greeting && self.greeted.is_none()
    }
}
