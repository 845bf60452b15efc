//! The limits for what the peer of a conversation says.

use super::conversation::ConversationState;
use super::intake::{Intake, Limited};

impl ConversationState {
    /// Limits the pace at which the peer is read. The default is no limit.
    pub fn set_intake(&mut self, intake: Option<Intake>) {
        self.deliveries.intake.intake = intake;
    }

    /// Returns for how long the peer has said as much as the limits of [`ConversationState::set_intake`]
    /// allow. `None` if it did not when it said something last.
    pub fn limited(&self) -> Option<Limited> {
        self.deliveries.intake.limited
    }
}
