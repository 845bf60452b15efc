//! Notifications to the service manager, if there is one (sd_notify(3)).

use sd_notify::NotifyState;

/// Reports that the agent is registered.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// Reports that the agent ends.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("cannot notify the service manager, which may take the agent for hung: {error}");
    }
}
