//! The outbox of a session: messages for users who are not there.

use std::future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mi_agent_core::{
    Agent, DEFAULT_KEEP, Event, ItemId, LeaveError, Outbox, OutboxError, OutboxEvent, OutboxEvents,
    OutboxItem, OutboxOptions, OutboxTime, Security,
};
use plumi_proto::MiAddress;

use crate::options::settings::Settings;
use crate::store::outbox::OutboxFiles;

/// Names one request to the outbox, from [`Done::Posting`](super::Done::Posting) to
/// [`Happened::Posted`](super::Happened::Posted).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PostId(u64);

/// The outbox, from the beginning of the session on.
#[derive(Default)]
pub(super) struct Post {
    /// Until the agent is registered.
    files: Option<OutboxFiles>,
    settings: PostSettings,
    opening: Option<Opening>,
    open: Option<(Outbox, OutboxEvents)>,
    /// The number of requests so far.
    requests: u64,
    /// Requests that wait until the outbox is open.
    waiting: Vec<(PostId, PostWish)>,
    answers: FuturesUnordered<Answer>,
}

/// The settings that messages go by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PostSettings {
    /// Receivers are asked for on signs of life only.
    pub(crate) is_quiet: bool,
    /// The level of the conversations that carry messages.
    pub(crate) needs: Security,
}

impl From<&Settings> for PostSettings {
    fn from(settings: &Settings) -> Self {
        Self { is_quiet: settings.outbox_quiet, needs: settings.security }
    }
}

type Opening = Pin<Box<dyn Future<Output = io::Result<(Outbox, OutboxEvents)>> + Send>>;

type Answer = Pin<Box<dyn Future<Output = (PostId, Result<Option<OutboxItem>, LeaveError>)> + Send>>;

/// Something that has happened to the outbox.
pub(super) enum PostEvent {
    Event(OutboxEvent),
    /// A request is carried out, with the message that was left, or refused.
    Answered(PostId, Result<Option<OutboxItem>, LeaveError>),
    /// The outbox cannot be used.
    Unusable(io::Error),
}

/// A request to the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PostWish {
    /// Leaves a message.
    Later { to: MiAddress, text: String, keep: Duration },
    /// Sends a message again.
    Resend(ItemId),
    /// Drops a message.
    Forget(ItemId),
}

impl Post {
    /// An outbox in these files.
    pub(super) fn of(files: OutboxFiles, settings: PostSettings) -> Self {
        Self { files: Some(files), settings, ..Self::default() }
    }

    /// Opens the outbox for an agent that is registered.
    pub(super) fn open(&mut self, agent: &Agent) {
        if let Some(files) = self.files.take() {
            let (agent, options) =
                (agent.clone(), OutboxOptions::default().quiet(self.settings.is_quiet).time_of(time_of));
            self.opening = Some(Box::pin(async move { Outbox::open(&agent, files, options).await }));
        }
    }

    /// Notes what an event of the agent shows.
    pub(super) fn note(&self, event: &Event) {
        if let Some((outbox, _)) = &self.open {
            outbox.note(event);
        }
    }

    /// Notes that this user is there.
    pub(super) fn note_user(&self, user: Option<MiAddress>) {
        if let (Some((outbox, _)), Some(user)) = (&self.open, user) {
            outbox.note_user(user);
        }
    }

    /// Makes a request; `None` while there is no outbox, or if there are too many.
    pub(super) fn ask(&mut self, wish: PostWish) -> Option<PostId> {
        let is_there = self.open.is_some() || self.opening.is_some();
        if !is_there || self.answers.len() + self.waiting.len() >= MAX_REQUESTS {
            return None;
        }
        self.requests += 1;
        let id = PostId(self.requests);
        self.waiting.push((id, wish));
        self.begin();
        Some(id)
    }

    /// Begins the requests that wait, if the outbox is open.
    fn begin(&mut self) {
        let Some((outbox, _)) = &self.open else { return };
        for (id, wish) in self.waiting.drain(..) {
            let (outbox, needs) = (outbox.clone(), self.settings.needs);
            self.answers.push(Box::pin(async move {
                let done = match wish {
                    PostWish::Later { to, text, keep } => {
                        let mut item = outbox.draft(to, text, keep);
                        item.needs = needs;
                        outbox.put(item).await.map(Some)
                    }
                    PostWish::Resend(item) => outbox.resend(item).await.map(|()| None),
                    PostWish::Forget(item) => outbox.forget(item).await.map(|()| None),
                };
                (id, done)
            }));
        }
    }

    /// Waits for the next event; never ready without an outbox. Cancel safe.
    pub(super) async fn next(&mut self) -> PostEvent {
        if let Some(opening) = &mut self.opening {
            let opened = opening.await;
            self.opening = None;
            match opened {
                Ok(open) => {
                    self.open = Some(open);
                    self.begin();
                }
                Err(error) => {
                    for (id, _) in self.waiting.drain(..) {
                        self.answers.push(Box::pin(future::ready((id, Err(LeaveError::Ended)))));
                    }
                    return PostEvent::Unusable(error);
                }
            }
        }
        let Self { open, answers, .. } = self;
        tokio::select! {
            Some((id, answer)) = answers.next(), if !answers.is_empty() => PostEvent::Answered(id, answer),
            Some(event) = next_event(open) => PostEvent::Event(event),
            // There is no outbox, or the agent has ended.
            else => future::pending().await,
        }
    }
}

/// Returns the next event of the outbox, if there is one. Cancel safe.
async fn next_event(open: &mut Option<(Outbox, OutboxEvents)>) -> Option<OutboxEvent> {
    match open {
        Some((_, events)) => events.next().await,
        None => None,
    }
}

/// The request for a message that is kept for as long as usual.
pub(crate) fn later(to: MiAddress, text: &str) -> PostWish {
    PostWish::Later { to, text: text.to_owned(), keep: DEFAULT_KEEP }
}

/// Returns the time of a message as people write it: the hour, and the day if that was another one.
pub(crate) fn time_of(at: OutboxTime, now: OutboxTime) -> String {
    let zoned = |OutboxTime(millis)| {
        let timestamp = Timestamp::from_millisecond(i64::try_from(millis).unwrap_or(i64::MAX));
        timestamp.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::system())
    };
    let (at, now) = (zoned(at), zoned(now));
    let pattern = if at.date() == now.date() { "%H:%M" } else { "%-d %b %H:%M" };
    at.strftime(pattern).to_string()
}

/// Returns a word for a refusal. Programs rely on these words.
pub(crate) fn kind_of(error: &LeaveError) -> &'static str {
    match error {
        LeaveError::Refused(OutboxError::Full | OutboxError::FullForPeer) => "full",
        LeaveError::Refused(OutboxError::Text(_) | OutboxError::Characters) => "text",
        LeaveError::Refused(OutboxError::Yourself) => "yourself",
        LeaveError::Refused(OutboxError::NoSuchItem) => "no-such-message",
        LeaveError::Refused(OutboxError::BeingDelivered) => "being-delivered",
        _ => "other",
    }
}

/// Requests at a time.
const MAX_REQUESTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_day_if_that_is_not_today() {
        let day = |days: u64| OutboxTime(1_796_000_000_000 + days * 24 * 60 * 60 * 1_000);
        assert_eq!(time_of(day(0), day(0)).len(), "15:40".len());
        let earlier = time_of(day(0), day(3));
        assert!(earlier.len() > "15:40".len() && earlier.ends_with(&time_of(day(0), day(0))), "{earlier}");
    }
}
