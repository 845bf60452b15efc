//! Starts that are repeated until the node is there.

use std::time::Duration;

use mi_agent_core::{AgentBuilder, StartError};

/// The next start of an agent after its node was not there.
pub(super) struct Retry {
    builder: AgentBuilder,
    pause: Duration,
    /// The reason for the last failure, as it was reported.
    reported: Option<String>,
}

impl Retry {
    pub(super) fn new(builder: AgentBuilder) -> Self {
        Self { builder, pause: FIRST_PAUSE, reported: None }
    }

    pub(super) fn builder(&self) -> AgentBuilder {
        self.builder.clone()
    }

    /// Returns the pause before the next start. `None` if it would fail in the same way.
    pub(super) fn next_pause(&mut self, error: &StartError) -> Option<Duration> {
        let may_pass = matches!(
            error,
            StartError::NoAnswer { .. } | StartError::Domain { .. } | StartError::Unreachable { .. }
        );
        let pause = self.pause;
        self.pause = (2 * pause).min(MAX_PAUSE);
        may_pass.then_some(pause)
    }

    /// Returns whether the user does not know this reason yet.
    pub(super) fn is_news(&mut self, error: &StartError) -> bool {
        let reason = error.to_string();
        let is_news = self.reported.as_ref() != Some(&reason);
        self.reported = Some(reason);
        is_news
    }
}

/// The pause after the first failure. Each one is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause: the interval at which a registration is refreshed.
const MAX_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute_and_a_reason_is_news_once() {
        let address = "laura@bb.com".parse().unwrap();
        let mut retry = Retry::new(mi_agent_core::Agent::builder(address));
        let silent = StartError::NoAnswer { node: "127.0.0.2:3344".parse().unwrap(), unsent: None };
        let pauses: Vec<_> = (0..6).map(|_| retry.next_pause(&silent).unwrap().as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        assert_eq!(retry.next_pause(&StartError::NoSuchUser), None);
        assert_eq!(retry.next_pause(&StartError::Interrupted), None);
        let other = StartError::NoAnswer { node: "127.0.0.3:3344".parse().unwrap(), unsent: None };
        let news = [&silent, &silent, &other, &silent].map(|error| retry.is_news(error));
        assert_eq!(news, [true, false, true, true]);
    }
}
