//! The limits for what the peer of a conversation says.

use std::time::Instant;

use super::conversation::ConversationState;
use super::intake::Intake;

impl ConversationState {
    /// Limits the pace at which the peer is read. The default is no limit.
    pub fn set_intake(&mut self, intake: Option<Intake>) {
        self.deliveries.intake.intake = intake;
    }

    /// Returns the time since which the peer has said as much as the limits of [`ConversationState::set_intake`] allow,
    /// without a longer pause. `None` if it does not.
    pub fn limited_since(&self) -> Option<Instant> {
        self.deliveries.intake.limited_since
    }
}
