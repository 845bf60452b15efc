//! The events of the node, as server-sent events for the page
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! ```text
//! event: snapshot   {"parties":[…],"arrows":[…]}           first; all that the page had before is outdated
//! event: ladder     [{"party":{…}} | {"gone":3} | {"arrow":{…}} | {"missed":8}, …]
//! event: status     {"domain":"bb.com","address":…}        once a second
//! event: users      {"users":3,"online":1,"shown":[…]}     when it has become another
//! event: trouble    "the node has not answered for 5 s"    instead of one of the two before
//! ```
//!
//! There is no id: a client that reconnects gets a new snapshot, which repeats nothing.

use std::convert::Infallible;
use std::fmt::Write;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use lumi_node_core::{MessageCounts, ServerStatus, UdpAddress};
use message_ladder::{Arrow, Party, Watch, Watcher};
use serde::{Serialize, Serializer};
use tokio::time::{self, Instant, Interval, MissedTickBehavior};

use crate::figures::{Figures, Unknown};
use crate::users::Users;

/// The content type of [`events`].
pub(crate) const CONTENT_TYPE: &str = "text/event-stream";

/// The events for one viewer, until the viewer has gone. `guard` is dropped then.
pub(crate) fn events<G: Send + 'static>(
    watch: &Watch,
    figures: Arc<Figures>,
    guard: G,
) -> impl Stream<Item = Result<String, Infallible>> + use<G> {
    let messages = Messages { watcher: watch.subscribe(), next: None, _guard: guard };
    let messages =
        stream::unfold(messages, |mut messages| async { Some((Ok(messages.next().await), messages)) });
    let mut every = time::interval(INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let state = State { figures, every, is_status_told: false, users: None };
    let state = stream::unfold(state, |mut state| async { Some((Ok(state.next().await), state)) });
    // Neither waits for the other one: a node that saves its roster says nothing of itself, and serves.
    stream::select(Box::pin(messages), Box::pin(state))
}

/// The messages as events.
struct Messages<G> {
    watcher: Watcher,
    /// The time before which no event is sent; `None` before the snapshot.
    next: Option<Instant>,
    _guard: G,
}

impl<G> Messages<G> {
    async fn next(&mut self) -> String {
        let Some(next) = self.next else {
            self.next = Some(Instant::now());
            return self.snapshot();
        };
        time::sleep_until(next).await;
        let changes = self.watcher.next().await;
        self.next = Some(Instant::now() + BATCH);
        event("ladder", &changes)
    }

    fn snapshot(&mut self) -> String {
        // All that is kept. What passes meanwhile can wait for the next event.
        for _ in 0..MAX_KEPT / message_ladder::MAX_NEWS {
            if self.watcher.changes().is_empty() {
                break;
            }
        }
        let ladder = self.watcher.ladder();
        let snapshot = Snapshot { parties: ladder.parties().collect(), arrows: ladder.arrows().collect() };
        format!("retry: {}\n", RETRY.as_millis()) + &event("snapshot", &snapshot)
    }
}

/// The state of the node and its users, as events.
struct State {
    figures: Arc<Figures>,
    every: Interval,
    /// Users are next.
    is_status_told: bool,
    /// The users as they were told last.
    users: Option<Arc<Users>>,
}

impl State {
    async fn next(&mut self) -> String {
        loop {
            // Each is sent as soon as it is known: a page that hears nothing for some time considers the
            // connection lost.
            let news = if mem::take(&mut self.is_status_told) {
                self.users().await
            } else {
                self.every.tick().await;
                self.status().await.map(Some)
            };
            match news {
                Ok(Some(news)) => return news,
                Ok(None) => {}
                Err(unknown) => return event("trouble", &unknown.to_string()),
            }
        }
    }

    async fn status(&mut self) -> Result<String, Unknown> {
        let status = self.figures.status().await?;
        self.is_status_told = true;
        Ok(event("status", &StatusJson::new(&status)))
    }

    /// `None`: they are as they were told last.
    async fn users(&mut self) -> Result<Option<String>, Unknown> {
        let users = self.figures.users().await?;
        if self.users.as_ref() == Some(&users) {
            return Ok(None);
        }
        let news = event_of("users", &users.to_json(Instant::now()));
        self.users = Some(users);
        Ok(Some(news))
    }
}

#[derive(Serialize)]
struct Snapshot<'a> {
    parties: Vec<&'a Party>,
    arrows: Vec<&'a Arrow>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StatusJson {
    domain: String,
    address: UdpAddress,
    version: &'static str,
    /// Milliseconds.
    uptime: u128,
    users: usize,
    online: usize,
    #[serde(serialize_with = "in_order")]
    received: Vec<(&'static str, u64)>,
    #[serde(serialize_with = "in_order")]
    sent: Vec<(&'static str, u64)>,
    #[serde(serialize_with = "in_order")]
    dropped: Vec<(&'static str, u64)>,
    proofs: ProofsJson,
}

/// The figures of proofs of registrations.
#[derive(Serialize)]
struct ProofsJson {
    challenges: u64,
    accepted: u64,
    repeated: u64,
    refused: u64,
    enrolled: u64,
}

impl StatusJson {
    fn new(status: &ServerStatus) -> Self {
        let node = &status.node;
        let by_kind =
            |counts: &MessageCounts| counts.iter().map(|(kind, count)| (kind.name(), count)).collect();
        Self {
            domain: node.domain.as_str().to_owned(),
            address: status.local.into(),
            version: env!("CARGO_PKG_VERSION"),
            uptime: status.uptime.as_millis(),
            users: node.users,
            online: node.online,
            received: by_kind(&node.received),
            sent: by_kind(&node.sent),
            dropped: node.dropped.iter().collect(),
            proofs: ProofsJson {
                challenges: node.proofs.challenges,
                accepted: node.proofs.accepted,
                repeated: node.proofs.repeated,
                refused: node.proofs.failed,
                enrolled: node.proofs.enrolled,
            },
        }
    }
}

/// Writes an object with its names in the order of `counts`.
fn in_order<S: Serializer>(counts: &[(&'static str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().copied())
}

fn event(name: &str, data: &impl Serialize) -> String {
    event_of(name, &serde_json::to_string(data).expect("it has texts and numbers only"))
}

/// `json` has no line end in it, whatever strangers have said: JSON escapes them.
fn event_of(name: &str, json: &str) -> String {
    let mut event = String::with_capacity(name.len() + json.len() + 16);
    _ = write!(event, "event: {name}\ndata: {json}\n\n");
    event
}

/// The interval between two reports of the node's state.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time for which messages are gathered: ten times a second is as often as somebody sees a difference.
/// With the most news at a time that is 640 messages a second, and those that pass beside them are missed: a
/// flood drowns no browser.
const BATCH: Duration = Duration::from_millis(100);

/// The time after which a page that has lost its connection comes again, at first.
const RETRY: Duration = Duration::from_secs(1);

/// The most messages of a snapshot, twice what a node keeps.
const MAX_KEPT: usize = 1024;

#[cfg(test)]
mod tests;
