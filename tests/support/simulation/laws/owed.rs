//! The answers that a node owes those who ask, whatever others do (protocol.md §9).
//!
//! Nothing here knows of a table or of who gives way in it. A question that the node sent on is owed its
//! answer if the answer comes within 5 s of the question, from where the question went, and
//!
//! - the asker is a user of the domain, who is online where the question came from, both then and when the answer comes, and
//!   nobody else asked anything under this very socket in these 5 s; or it is a node, and nobody else asked anything under
//!   its IP address;
//! - there were at most eight such questions of the user at a time.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use plumi_proto::{Locate, MiAddress, NODE_PORT};

use crate::kept_requests::Asked;

/// The questions that a node sent on and that are owed an answer.
#[derive(Debug, Default)]
pub(super) struct Owed {
    by_locate: HashMap<Locate, Vec<Question>>,
    /// The last questions of others under an address.
    others: HashMap<SocketAddrV4, Duration>,
    others_of_host: HashMap<Ipv4Addr, Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    asker: SocketAddrV4,
    /// The address that it was sent to last.
    sent_to: SocketAddrV4,
    ends_at: Duration,
}

impl Owed {
    /// A question of an attacker, or in the name of a user who is online nowhere, came from `asker`.
    pub(super) fn asked_by_others(&mut self, now: Duration, asker: SocketAddrV4) {
        self.others.insert(asker, now);
        self.others_of_host.insert(*asker.ip(), now);
        let is_shared = |question: &Question| {
            question.asker == asker || is_node(question.asker) && question.asker.ip() == asker.ip()
        };
        self.retain(|_, question| !is_shared(question));
    }

    /// A question, which ends at `ends_at`, was sent on to `sent_to`.
    pub(super) fn sent_on(
        &mut self,
        now: Duration,
        (locate, asker): Asked,
        sent_to: SocketAddrV4,
        ends_at: Duration,
    ) {
        self.ended(&locate, asker);
        let others = match is_node(asker) {
            true => self.others_of_host.get(asker.ip()),
            false => self.others.get(&asker),
        };
        if others.is_some_and(|at| *at + REQUEST_LIFE > now) {
            return;
        }
        self.retain(|_, question| question.ends_at > now);
        self.by_locate.entry(locate).or_default().push(Question { asker, sent_to, ends_at });
        let of_asker = |names: &Locate, question: &Question| {
            names.from == locate.from && question.asker.ip() == asker.ip()
        };
        let ends: BTreeMap<_, _> = self
            .by_locate
            .iter()
            .flat_map(|(names, questions)| questions.iter().map(move |question| (names, question)))
            .filter(|(names, question)| of_asker(names, question))
            .map(|(names, question)| (question.ends_at, (*names, question.asker)))
            .collect();
        if ends.len() > MAX_OF_ASKER
            && let Some((_, (oldest, at))) = ends.into_iter().next()
        {
            self.ended(&oldest, at);
        }
    }

    /// A question was answered, or has come to an end otherwise.
    pub(super) fn ended(&mut self, locate: &Locate, asker: SocketAddrV4) {
        if let Some(questions) = self.by_locate.get_mut(locate) {
            questions.retain(|question| question.asker != asker);
        }
    }

    /// The user belongs to the domain no longer.
    pub(super) fn forget(&mut self, user: &MiAddress) {
        self.by_locate.retain(|locate, _| locate.from != *user && locate.to != *user);
    }

    /// Returns the askers of whom one has to have an answer that comes from `answerer` now. `is_there` tells
    /// whether an asker is where it has to be.
    pub(super) fn to(
        &self,
        now: Duration,
        locate: &Locate,
        answerer: SocketAddrV4,
        is_there: impl Fn(SocketAddrV4) -> bool,
    ) -> Vec<SocketAddrV4> {
        let questions = self.by_locate.get(locate).map_or(&[][..], Vec::as_slice);
        let is_owed = |question: &&Question| {
            question.sent_to == answerer && question.ends_at > now && is_there(question.asker)
        };
        questions.iter().filter(is_owed).map(|question| question.asker).collect()
    }

    fn retain(&mut self, stays: impl Fn(&Locate, &Question) -> bool) {
        self.by_locate.retain(|locate, questions| {
            questions.retain(|question| stays(locate, question));
            !questions.is_empty()
        });
    }
}

fn is_node(asker: SocketAddrV4) -> bool {
    asker.port() == NODE_PORT
}

/// The bounds and times of protocol.md §9.
const REQUEST_LIFE: Duration = Duration::from_secs(5);
const MAX_OF_ASKER: usize = 8;
