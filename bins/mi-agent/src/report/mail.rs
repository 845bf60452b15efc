//! The reports of messages for users who are not there.

use mi_agent_core::{ItemState, OutboxItem};

use super::{Reference, Report, SafeText};
use crate::headless::outbox::rfc3339;

impl Report {
    /// Creates the report of what has become of a message; `None` while it is being delivered.
    pub(super) fn of_mail(item: &OutboxItem, reference: Option<Reference>) -> Option<Self> {
        let (id, address) = (item.id.to_string(), SafeText::new(item.to));
        Some(match item.state {
            ItemState::Queued => Self::Queued { id, address, until: rfc3339(item.until), reference },
            ItemState::Sent => Self::Sent { id, address },
            ItemState::Unsure => Self::Unsure { id, address },
            ItemState::Expired => Self::Expired { id, address },
            ItemState::Undeliverable => {
                let reason = SafeText::new(format!("there is no user {}", item.to));
                Self::Undeliverable { id, address, reason }
            }
            ItemState::Forgotten => Self::Forgotten { id, address },
            _ => return None,
        })
    }
}
