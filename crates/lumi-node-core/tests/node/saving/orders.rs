//! All orders of requests and commits: each request is answered once and in order, and nothing that was
//! promised is lost.
//!
//! A node without a store says what each request is answered. The node that saves gives the same answers,
//! later.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lumi_node_core::{BindingChange, BindingNotSaved, DropReason, Output, SaveId};
use plumi_proto::{Message, UdpAddress, UserName};
use proptest::prelude::*;

use super::name;
use crate::{LAURA, OTHER_NODE, STRANGER, TestNode, address};

/// Something that happens to a node.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request of one of two sockets, for laura: `PR`, `PD`.
    Asks(usize, usize),
    /// The store commits so many of the changes that it has.
    Commits(usize),
    /// The store fails to commit what it has.
    Fails,
    /// Time passes, in milliseconds.
    Passes(u64),
    /// Somebody asks for laura while an answer waits.
    Question,
}

/// An answer that is waited for.
#[derive(Clone, Debug)]
struct Expected {
    request: (usize, usize),
    /// The change that it waits for.
    id: u64,
    text: String,
    asked_at: Duration,
}

/// A node that saves, one that does not, and the store.
struct Both {
    saving: TestNode,
    plain: TestNode,
    passed: Duration,
    store: BTreeMap<UserName, Option<UdpAddress>>,
    /// The changes that the store has been given.
    given: VecDeque<(SaveId, BindingChange)>,
    committed: u64,
    last_id: u64,
    waiting: VecDeque<Expected>,
    /// Set while answers need not be promised.
    is_failing: bool,
    /// The answers that were sent although nothing was saved.
    unpromised: u64,
}

const SOCKETS: [&str; 2] = [LAURA, STRANGER];
const REQUESTS: [&str; 2] = ["PRlaura@bb.com", "PDlaura@bb.com"];
const WAIT: Duration = Duration::from_millis(250);

impl Both {
    fn new() -> Self {
        Self {
            saving: TestNode::saving(),
            plain: TestNode::new(),
            passed: Duration::ZERO,
            store: BTreeMap::new(),
            given: VecDeque::new(),
            committed: 0,
            last_id: 0,
            waiting: VecDeque::new(),
            is_failing: false,
            unpromised: 0,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Asks(socket, request) => self.asks((socket, request)),
            Step::Commits(count) => {
                let commit: Vec<_> = self.given.drain(..count.min(self.given.len())).collect();
                let Some((last, _)) = commit.last().copied() else { return };
                for (_, change) in commit {
                    self.store.insert(*change.user(), change.stored().map(|stored| stored.agent));
                }
                (self.committed, self.is_failing) = (last.0, false);
                self.saving.node.handle_binding_saved(self.saving.now, last, Ok(()));
                self.sees_answers();
            }
            Step::Fails => {
                let Some((last, _)) = self.given.back().copied() else { return };
                self.given.clear();
                self.is_failing = true;
                self.saving.node.handle_binding_saved(self.saving.now, last, Err(BindingNotSaved));
                self.sees_answers();
            }
            Step::Passes(millis) => {
                self.passed += Duration::from_millis(millis);
                self.saving.now += Duration::from_millis(millis);
                self.plain.now = self.saving.now;
                let is_overdue =
                    self.waiting.front().is_some_and(|first| self.passed >= first.asked_at + WAIT);
                self.is_failing |= is_overdue;
                if self.saving.node.poll_timeout().is_some_and(|due| due <= self.saving.now) {
                    self.saving.node.handle_timeout(self.saving.now);
                }
                self.plain.node.handle_timeout(self.plain.now);
                self.sees_answers();
            }
            Step::Question => {
                if !self.waiting.is_empty() {
                    let asked = self.saving.try_receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
                    assert_eq!(asked, Err(DropReason::BeingSaved), "{:?} wait", self.waiting);
                }
            }
        }
    }

    fn asks(&mut self, request @ (socket, kind): (usize, usize)) {
        let (from, text) = (SOCKETS[socket], REQUESTS[kind]);
        let [Output::Transmit { message, .. }] = self.plain.receive(from, text)[..] else {
            panic!("one answer")
        };
        let answer = String::from_utf8(message.encode().to_vec()).expect("a text");
        self.saving
            .node
            .handle_datagram(self.saving.now, address(from), text.as_bytes())
            .expect("it is not dropped");
        let mut outputs = self.saving.drain();
        if answer.ends_with('1') {
            assert_eq!(texts(&outputs), [(address(from), answer)], "a refusal does not wait");
            return;
        }
        if let [Output::SaveBinding { id, change }, ..] = outputs[..] {
            self.last_id = id.0;
            self.given.push_back((id, change));
            outputs.remove(0);
        }
        let joins = |waits: &Expected| (waits.request, waits.id) == (request, self.last_id);
        let waits_for_somebody = self.waiting.iter().map(|waits| waits.id).max();
        if !texts(&outputs).is_empty() {
            // Nothing of hers waits, or nothing has to.
            assert_eq!(texts(&outputs), [(address(from), answer)]);
            assert!(
                self.is_failing || waits_for_somebody.is_none(),
                "{request:?} overtakes {:?}",
                self.waiting
            );
            return;
        }
        if self.waiting.iter().any(joins) {
            return;
        }
        assert!(self.last_id > self.committed, "{request:?} waits for nothing");
        let (id, asked_at) = (self.last_id, self.passed);
        self.waiting.push_back(Expected { request, id, text: answer, asked_at });
    }

    /// Checks the answers that left, and saves what is to be saved again.
    fn sees_answers(&mut self) {
        for output in self.saving.drain() {
            match output {
                Output::SaveBinding { id, change } => {
                    self.last_id = id.0;
                    self.given.push_back((id, change));
                }
                Output::Transmit { to, ref message, .. } => {
                    let expected = self.waiting.pop_front().expect("nobody else waits");
                    let text = text(message);
                    assert_eq!((to, text), (address(SOCKETS[expected.request.0]), expected.text));
                    if expected.id > self.committed {
                        assert!(self.is_failing, "{:?} is answered before it is saved", expected.request);
                        self.unpromised += 1;
                    }
                }
                output => panic!("{output:?}"),
            }
        }
        let ready = self.waiting.front().is_some_and(|first| self.is_failing || first.id <= self.committed);
        assert!(!ready, "{:?} could be answered", self.waiting.front());
    }

    /// Checks that the store has what the node has, once everything is committed.
    fn ends(mut self) {
        for _ in 0..4 {
            self.take(Step::Commits(usize::MAX));
            self.take(Step::Passes(1_000));
        }
        assert!(self.waiting.is_empty() && self.given.is_empty(), "{:?} {:?}", self.waiting, self.given);
        let laura = name("laura");
        let at = self.plain.node.bindings(self.plain.now).next().map(|binding| binding.party.address);
        let of_saving =
            self.saving.node.bindings(self.saving.now).next().map(|binding| binding.party.address);
        assert_eq!(of_saving, at, "the two nodes agree");
        let stored = self.store.get(&laura).copied().flatten();
        assert_eq!(stored.filter(|agent| agent.port() != 0), at, "the store has it");
        assert_eq!(self.saving.counts().unsaved, 0);
    }
}

fn texts(outputs: &[Output]) -> Vec<(UdpAddress, String)> {
    let of = |output: &Output| match output {
        Output::Transmit { to, message, .. } => (*to, text(message)),
        output => panic!("{output:?}"),
    };
    outputs.iter().map(of).collect()
}

fn text(message: &Message) -> String {
    String::from_utf8(message.encode().to_vec()).expect("a text")
}

#[test]
fn every_order_of_requests_and_commits() {
    let steps = [
        Step::Asks(0, 0),
        Step::Asks(0, 1),
        Step::Asks(1, 0),
        Step::Asks(1, 1),
        Step::Commits(1),
        Step::Commits(usize::MAX),
    ];
    let length = 5;
    for mut number in 0..steps.len().pow(length) {
        let mut both = Both::new();
        for _ in 0..length {
            both.take(steps[number % steps.len()]);
            number /= steps.len();
        }
        both.ends();
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize, 0..2_usize).prop_map(|(socket, request)| Step::Asks(socket, request)),
        2 => (1..4_usize).prop_map(Step::Commits),
        1 => Just(Step::Fails),
        2 => (0..400_u64).prop_map(Step::Passes),
        1 => Just(Step::Question),
    ]
}

proptest! {
    #[test]
    fn a_store_that_hangs_and_fails_costs_promises_and_no_answer(steps in prop::collection::vec(any_step(), 0..60)) {
        let mut both = Both::new();
        steps.into_iter().for_each(|step| both.take(step));
        both.ends();
    }
}
