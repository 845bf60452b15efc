//! The decisions of an agent that is up: which front is told what, and what becomes of its orders.
//!
//! It knows no socket. Every front has a [`Listener`], as if it were the only program of the agent.

use std::collections::{BTreeMap, VecDeque};
use std::process;

use mi_agent_core::ConversationId;
use plumi_proto::MiAddress;

use super::fronts::{FrontId, TooLong};
use super::kept::{History, Kept};
use super::lines::{More, OfFront, as_text, is_down, told};
use crate::clock;
use crate::headless::commands::{self, Command, MAX_LINE, NoCommand, Order};
use crate::headless::listener::Listener;
use crate::line_by_line::{self, FrontEnd};
use crate::report::{Reference, Report, SafeText};
use crate::session::post::PostId;
use crate::session::{Done, Happened, Leave, Refused, Wish};

/// The fronts of an agent, and what they have to know.
pub(super) struct Hub {
    own: MiAddress,
    fronts: BTreeMap<FrontId, Front>,
    /// The fronts whose wishes are on their way to the disk, the oldest first.
    of_keys: VecDeque<FrontId>,
    /// The fronts whose requests to the outbox were not answered yet.
    posts: BTreeMap<PostId, FrontId>,
    kept: Kept,
    history: History,
    /// The registration, once there was one.
    registered: Option<Report>,
    /// Set while the user is not registered.
    lost: Option<Report>,
    effects: VecDeque<Effect>,
}

struct Front {
    listener: Listener,
    /// The lines that it gave.
    given: u64,
}

/// An effect that the hub asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Queue a line, without its end, for a front.
    Tell(FrontId, String),
    /// Let a front go, once it has its lines.
    Close(FrontId),
    /// Carry out a wish of a front, and pass the answer to [`Hub::answered`].
    Wish(FrontId, Wish),
    /// Keep something. Nobody waits for the answer.
    Keep(Wish),
    Leave(Leave),
}

impl Hub {
    pub(super) fn new(own: MiAddress, history: History) -> Self {
        let (fronts, of_keys, posts, kept, effects) = Default::default();
        Self { own, fronts, of_keys, posts, kept, history, registered: None, lost: None, effects }
    }

    /// Takes a front, and tells it how things are.
    pub(super) fn came(&mut self, id: FrontId) {
        let listener = Listener::attached(self.own, self.kept.ids());
        self.fronts.insert(id, Front { listener, given: 0 });
        let attached = OfFront::Attached {
            at: as_text(clock::now()),
            address: SafeText::new(self.own),
            version: env!("CARGO_PKG_VERSION"),
            pid: process::id(),
        };
        let state = [&self.registered, &self.lost].into_iter().flatten();
        let state = state.map(|report| told(clock::now(), report, More::default())).collect::<Vec<_>>();
        let lines = [attached.line()].into_iter().chain(state).chain(self.kept.retold());
        self.effects.extend(lines.map(|line| Effect::Tell(id, line)));
    }

    /// Takes a line of a front.
    pub(super) fn gave(&mut self, id: FrontId, line: Result<Vec<u8>, TooLong>) {
        let Some(front) = self.fronts.get_mut(&id) else { return };
        front.given += 1;
        let order = match line {
            Ok(line) if line.trim_ascii().is_empty() => return,
            Ok(line) if is_down(&line) => {
                self.effects.push_back(Effect::Leave(Leave::Soon));
                return;
            }
            Ok(line) => commands::parse(&line),
            Err(TooLong) => {
                Err(NoCommand { reason: format!("a line has {MAX_LINE} bytes at most"), reference: None })
            }
        };
        if let Ok(Order { command: Command::Quit, reference }) = order {
            self.detach(id, reference);
            return;
        }
        front.listener.typed(Some((front.given, order)));
        self.drain(id);
    }

    /// Takes the end of what a front gives: it wants to go.
    pub(super) fn left(&mut self, id: FrontId) {
        self.detach(id, None);
    }

    /// Takes the loss of a front, which is told no more.
    pub(super) fn gone(&mut self, id: FrontId) {
        self.fronts.remove(&id);
    }

    /// Takes the answer to [`Effect::Wish`].
    pub(super) fn answered(&mut self, id: FrontId, wish: &Wish, answer: Result<Done, Refused>) {
        match &answer {
            Ok(Done::Later) => self.of_keys.push_back(id),
            Ok(Done::Posting(post)) => {
                self.posts.insert(*post, id);
            }
            _ => {}
        }
        if let (Wish::Say { id: conversation, text }, Ok(Done::Queued { waiting })) = (wish, &answer) {
            self.said(id, *conversation, text, *waiting);
        }
        if let Some(front) = self.fronts.get_mut(&id) {
            front.listener.answered(answer);
        }
        self.drain(id);
    }

    /// Tells the other fronts what one has said, and keeps it.
    fn said(&mut self, by: FrontId, conversation: ConversationId, text: &str, waiting: usize) {
        let now = clock::now();
        let report = Report::Said { conversation: conversation.into(), waiting, reference: None };
        let shown = SafeText::new(text);
        let line = told(now, &report, More { text: Some(&shown), ..More::default() });
        let others = self.fronts.keys().filter(|&&front| front != by);
        self.effects.extend(others.map(|&front| Effect::Tell(front, line.clone())));
        self.kept.add(now, conversation, &report, Some(&shown));
        let wishes = self.history.said(&self.kept, now, conversation, text);
        self.effects.extend(wishes.into_iter().map(Effect::Keep));
    }

    /// Takes an event of the session, and tells those fronts whom it concerns.
    pub(super) fn happened(&mut self, happened: &Happened, is_leaving: bool) {
        self.learn(happened);
        if is_leaving && !line_by_line::is_of_the_end(happened) {
            return;
        }
        let to = match happened {
            Happened::Answered(_) => self.of_keys.pop_front(),
            // Others do not know what failed.
            Happened::Posted { post, answer: Err(_) } => self.posts.remove(post),
            Happened::Posted { post, .. } => {
                self.posts.remove(post);
                None
            }
            _ => None,
        };
        let is_of_one = matches!(happened, Happened::Answered(_) | Happened::Posted { answer: Err(_), .. });
        let ids: Vec<_> =
            if is_of_one { to.into_iter().collect() } else { self.fronts.keys().copied().collect() };
        for id in ids {
            if let Some(front) = self.fronts.get_mut(&id) {
                front.listener.happened(happened);
            }
            self.drain(id);
        }
        if let Happened::Ended { id, .. } = happened {
            self.kept.end(*id);
        }
    }

    /// Keeps what later fronts and the history have to know.
    fn learn(&mut self, happened: &Happened) {
        let now = clock::now();
        match happened {
            Happened::Started { node, listening } | Happened::Moved { node, listening } => {
                self.registered = Some(Report::Registered {
                    address: SafeText::new(self.own),
                    node: SafeText::new(node),
                    listening: SafeText::new(listening),
                });
                self.lost = None;
            }
            Happened::RegistrationRegained { .. } => self.lost = None,
            Happened::RegistrationLost(_) | Happened::StartDelayed { is_news: true, .. } => {
                self.lost = Report::of(self.own, happened, None);
            }
            Happened::Begun { id, peer, call } => {
                let Some(report) = Report::of(self.own, happened, None) else { return };
                self.effects.extend(self.history.begun(now, peer, call.is_some()).map(Effect::Keep));
                self.kept.begin(now, *id, report, peer.clone(), call.is_some());
            }
            Happened::Line { id, text, .. } => {
                let Some(report) = Report::of(self.own, happened, None) else { return };
                self.kept.add(now, *id, &report, None);
                let wish = self.history.heard(&self.kept, now, *id, text);
                self.effects.extend(wish.map(Effect::Keep));
            }
            _ => {}
        }
    }

    /// Lets a front go with its last event. Its conversations go on.
    fn detach(&mut self, id: FrontId, reference: Option<Reference>) {
        if self.fronts.remove(&id).is_some() {
            let address = SafeText::new(self.own);
            let detached = OfFront::Detached { at: as_text(clock::now()), address, reference };
            self.effects.push_back(Effect::Tell(id, detached.line()));
        }
        self.effects.push_back(Effect::Close(id));
    }

    /// Takes over the effects of a front.
    fn drain(&mut self, id: FrontId) {
        let Some(Front { listener, .. }) = self.fronts.get_mut(&id) else { return };
        while let Some(effect) = listener.poll_effect() {
            self.effects.push_back(match effect {
                line_by_line::Effect::Print(line) => Effect::Tell(id, line),
                line_by_line::Effect::Wish(wish) => Effect::Wish(id, wish),
                // A front leaves alone, which its quit has done.
                line_by_line::Effect::Leave(_) => continue,
            });
        }
    }

    /// Tells all fronts that the agent ends at once, without an answer of its node.
    pub(super) fn left_at_once(&mut self) {
        for id in self.fronts.keys().copied().collect::<Vec<_>>() {
            if let Some(front) = self.fronts.get_mut(&id) {
                front.listener.left_at_once();
            }
            self.drain(id);
        }
    }

    /// Returns the next effect; `None` when everything is done.
    pub(super) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }
}
