//! The phases of a session, one after the other.

use std::convert::Infallible;
use std::future;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mi_agent_core::{Agent, AgentBuilder, ConversationId, DeregisterError, Events, StartError};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::{self, Instant};

use crate::signals::HURRY;

/// A phase of a session.
pub(super) enum Phase {
    Starting {
        start: BoxFuture<'static, Result<(Agent, Events), StartError>>,
        /// Dropped to interrupt the start.
        interrupt: Option<oneshot::Sender<Infallible>>,
    },
    /// The node was not there. The next start begins at `until`.
    Waiting {
        until: Instant,
    },
    Open,
    /// The conversations up to `last` end, after everything that was said has been sent. Later ones are not
    /// waited for: callers could otherwise keep the user from leaving.
    HangingUp {
        last: Option<ConversationId>,
    },
    Deregistering {
        deregistered: BoxFuture<'static, Result<(), DeregisterError>>,
        /// The time until which last words of peers are waited for, if it is in a hurry.
        hurried_until: Option<Instant>,
    },
    /// The deregistration is over, and the last words of peers are still to be returned.
    HearingOut {
        deregistered: Result<(), DeregisterError>,
        until: Instant,
    },
    Over,
}

/// The result of a phase.
pub(super) enum Outcome {
    StartAgain,
    Started(Result<(Agent, Events), StartError>),
    Deregistered(Result<(), DeregisterError>),
    HeardOut,
}

impl Phase {
    /// Creates the phase that registers, once [`Phase::outcome`] is called.
    pub(super) fn starting(builder: AgentBuilder) -> Self {
        let (interrupt, mut interrupted) = oneshot::channel::<Infallible>();
        let start = async move {
            // A node that has heard nothing needs no deregistration.
            if interrupted.try_recv() == Err(TryRecvError::Closed) {
                return Err(StartError::Interrupted);
            }
            builder.start_unless(async { _ = interrupted.await }, HURRY).await
        };
        Self::Starting { start: Box::pin(start), interrupt: Some(interrupt) }
    }

    /// Ends `agent`: in order, or in a hurry.
    pub(super) fn deregistering(agent: Agent, hurried_until: Option<Instant>) -> Self {
        let mut deregistered: BoxFuture<'static, _> = match hurried_until {
            Some(_) => Box::pin(async move { agent.shutdown_within(HURRY).await }),
            None => Box::pin(async move { agent.shutdown().await }),
        };
        // The node is asked at once: a front end that is held at its output asks for the outcome late.
        if let Some(outcome) = (&mut deregistered).now_or_never() {
            deregistered = Box::pin(future::ready(outcome));
        }
        Self::Deregistering { deregistered, hurried_until }
    }

    /// Waits for the end of a phase that needs nobody to end it. Never ready in the others. Cancel safe.
    pub(super) async fn outcome(&mut self) -> Outcome {
        match self {
            Self::Starting { start, .. } => Outcome::Started(start.await),
            Self::Waiting { until } => {
                time::sleep_until(*until).await;
                Outcome::StartAgain
            }
            Self::Deregistering { deregistered, .. } => Outcome::Deregistered(deregistered.await),
            Self::HearingOut { until, .. } => {
                time::sleep_until(*until).await;
                Outcome::HeardOut
            }
            Self::Open | Self::HangingUp { .. } | Self::Over => future::pending().await,
        }
    }
}
