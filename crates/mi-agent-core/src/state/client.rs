//! The agent's side of PLUMI (protocol.md §4): requests to its node, and answers to the node's questions.

mod proofs;

use std::collections::VecDeque;
use std::time::Instant;

use plumi_proto::{
    DeregisterCode, Extension, Locate, LocateOutcome, Message, MiAddress, MiSocketAddress, NodeAddress,
    RegisterCode, Registrant, Verb,
};

use self::proofs::Proofs;
use super::admission::{Admission, Refusal};
use super::askers::Askers;
use super::client_settings::ClientSettings;
use super::nodes::Nodes;
use super::output::LumiOutput;
use super::proving::Reply;
use super::refresh::Refresh;
use super::request::{LumiAnswer, LumiRequest, Request, RequestId, RequestSchedule};
use super::tls_offers::{TlsOffers, offers_tls};

/// An agent's LUMI client, without its socket.
///
/// Report what happened with [`LumiClient::request`] or a `handle_*` method. After each of these calls, carry
/// out every [`LumiOutput`] until [`LumiClient::poll_output`] returns `None`. [`LumiClient::poll_timeout`]
/// returns the time at which [`LumiClient::handle_timeout`] is next due.
#[derive(Debug)]
pub struct LumiClient {
    address: MiAddress,
    registrant: Registrant,
    nodes: Nodes,
    listening: MiSocketAddress,
    schedule: RequestSchedule,
    busy: bool,
    admission: Admission,
    registered: bool,
    registered_at: Option<Whereabouts>,
    refresh: Refresh,
    requests: Vec<Request>,
    requested: u64,
    askers: Askers,
    /// `None` if calls are not encrypted.
    tls_offers: Option<TlsOffers>,
    /// `None` if nothing can be proved.
    proofs: Option<Proofs>,
    outputs: VecDeque<LumiOutput>,
    strays: u64,
}

/// The places of an agent in the network, which change while hosts move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Whereabouts {
    /// The node that it asks.
    pub node: NodeAddress,
    /// The address that callers get.
    pub listening: MiSocketAddress,
}

impl LumiClient {
    /// Creates a client that has not asked anything yet.
    pub fn new(settings: ClientSettings) -> Self {
        let ClientSettings {
            address,
            bare,
            node,
            listening,
            schedule,
            refresh,
            finds_node,
            offers_tls,
            proofs,
        } = settings;
        let schedule = schedule.bounded();
        let registrant = if bare { Registrant::User(address.user()) } else { Registrant::Address(address) };
        let refresh = Refresh::new(Message::Register(registrant), schedule, refresh);
        Self {
            address,
            registrant,
            nodes: Nodes::new(node, finds_node),
            listening,
            schedule,
            busy: false,
            admission: Admission::default(),
            registered: false,
            registered_at: None,
            refresh,
            requests: Vec::new(),
            requested: 0,
            askers: Askers::default(),
            tls_offers: offers_tls.then(TlsOffers::default),
            proofs: proofs.filter(|_| !bare).map(Proofs::new),
            outputs: VecDeque::new(),
            strays: 0,
        }
    }

    /// Starts a request. Its first message is sent at once and then repeated on `schedule`, or on the
    /// schedule of the settings if there is none.
    ///
    /// A registration that has succeeded is refreshed until a deregistration is requested. A deregistration
    /// also ends the registrations under way, which would undo it. It replaces an earlier deregistration:
    /// both end with the result of the new one.
    ///
    /// If the registration is refreshed, the first two messages of a location request follow a `PR`, which a
    /// registered user sends once an interval of the schedule at most: a node sends nothing on for a user
    /// that is online elsewhere.
    ///
    /// If a location request is not answered, such a user sends a `PR`, and the node gets one more interval
    /// to answer that. [`LumiAnswer::PeerSilent`] distinguishes the two cases.
    pub fn request(
        &mut self,
        now: Instant,
        kind: LumiRequest,
        schedule: Option<RequestSchedule>,
    ) -> RequestId {
        let in_a_hurry = schedule.is_some();
        let schedule = schedule.map_or(self.schedule, RequestSchedule::bounded);
        match kind {
            LumiRequest::Register => {
                self.refresh.yield_to_request();
                self.refresh.sent(now);
            }
            LumiRequest::Deregister => {
                self.refresh.end();
                self.end_requests(|kind| *kind == LumiRequest::Register, LumiAnswer::None);
                for before in self.requests.iter_mut().filter(|request| request.kind == kind) {
                    before.attempts_left = 0;
                    before.next_attempt = now + schedule.interval * u32::from(schedule.attempts.get());
                }
            }
            LumiRequest::Locate(_) => self.doubt(now),
        }
        let is_proving = self.proves_from_the_start(now, kind, schedule, in_a_hurry);
        self.requested += 1;
        let id = RequestId(self.requested);
        self.requests.push(Request {
            id,
            kind,
            is_repeated: false,
            asks_node: false,
            is_proving,
            attempts_left: schedule.attempts.get() - 1,
            interval: schedule.interval,
            next_attempt: now + schedule.interval,
        });
        if !is_proving {
            self.outputs.push_back(LumiOutput::Transmit(self.message(kind)));
        }
        id
    }

    /// Gives up a location request: it is not repeated and has no result. An answer that still comes is a
    /// stray. Requests of another kind go on.
    pub fn give_up(&mut self, id: RequestId) {
        self.requests.retain(|request| request.id != id || !matches!(request.kind, LumiRequest::Locate(_)));
    }

    /// Returns whether another request may be started: [`MAX_REQUESTS`] may be under way.
    pub fn has_room(&self) -> bool {
        self.requests.len() < MAX_REQUESTS
    }

    /// Returns whether no request is under way. A refresh does not count.
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    /// Returns whether the node may have the user as online: it said so, or has not answered yet.
    pub fn may_be_registered(&self) -> bool {
        self.registered || self.refresh.is_asking() || self.is_registering()
    }

    /// Sets whether callers are answered that the user is busy.
    pub fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Sets which users may call. All others are answered that the user is busy.
    pub fn set_admission(&mut self, admission: Admission) {
        self.admission = admission;
    }

    /// Registers a registered user again: another agent of the user has registered meanwhile, and is done.
    ///
    /// A `PR` is sent at once or an interval of the schedule after the last one, and repeated like a refresh.
    pub fn register_again(&mut self, now: Instant) {
        if self.registered && !self.is_registering() {
            self.refresh.ask_again(now, &mut self.outputs);
        }
    }

    /// Returns the reason why a caller that is one of `candidates` may not call, if there is one.
    pub fn refusal(&self, candidates: &[MiAddress]) -> Option<Refusal> {
        self.admission.refusal_among(candidates)
    }

    /// Sets whether somebody looks at the state of the registration. A registered user then sends a `PR`
    /// whenever the node has been silent for 15 s.
    pub fn set_watched(&mut self, is_watched: bool) {
        self.refresh.set_watched(is_watched);
    }

    /// Returns the node that the messages are for, with [`LumiOutput::Transmit`].
    pub fn node(&self) -> NodeAddress {
        self.nodes.current()
    }

    /// Returns the node that last registered the user, and the address that callers were told then. `None`
    /// before the first registration.
    pub fn registered_at(&self) -> Option<Whereabouts> {
        self.registered_at
    }

    /// Returns whether `from` is an address of the node. Datagrams from elsewhere are dropped.
    pub fn is_node(&self, from: NodeAddress) -> bool {
        self.nodes.contains(from)
    }

    /// Returns the address that callers get.
    pub fn listening(&self) -> MiSocketAddress {
        self.listening
    }

    /// Sets the address that callers get, from the next question on.
    pub fn set_listening(&mut self, listening: MiSocketAddress) {
        self.listening = listening;
    }

    /// Handles a change of this host's own address or of its way to the node: a registered user registers
    /// again at once, because the node knows the user by the old address.
    pub fn handle_moved(&mut self, now: Instant) {
        self.register_at_once(now);
    }

    /// Handles the addresses at which the node may be, in their order, 8 at most; none change nothing.
    ///
    /// If the node is silent and not among them, it has moved: a registered user registers at the first one.
    pub fn handle_found(&mut self, now: Instant, nodes: &[NodeAddress]) {
        let answers = self.refresh.has_just_heard(now);
        if self.nodes.found(now, nodes, answers) {
            self.register_at_once(now);
        }
    }

    /// Takes the users that the caller of the conversation that begins now most likely is: those behind the
    /// latest location request for this user, and behind the others within 10 s before it.
    ///
    /// A single one is returned once. Several are returned until they are 30 s old, as each of them may still
    /// call. There are none if nobody has asked, or more than 64 users have. A user that may not call is
    /// returned only if there is nobody else.
    pub fn take_askers(&mut self, now: Instant) -> Vec<MiAddress> {
        let candidates = self.askers.take(now);
        if let ([caller], Some(offers)) = (&candidates[..], &mut self.tls_offers) {
            offers.called(caller);
        }
        candidates
    }

    /// Records that a caller begins to encrypt: if a single user has asked, the answer's offer has arrived.
    pub fn handle_encrypted_call(&mut self, now: Instant) {
        // One of several calls, and the others may ask again because their answers were dropped.
        if let (Some(caller), Some(offers)) = (self.askers.only_one(now), &mut self.tls_offers) {
            offers.arrived(&caller);
        }
    }

    /// Takes `caller` instead of [`LumiClient::take_askers`], because its key shows that it begins the
    /// conversation. Other users that have asked may still call.
    pub fn take_known_caller(&mut self, caller: &MiAddress) {
        self.askers.take_known(caller);
        if let Some(offers) = &mut self.tls_offers {
            offers.arrived(caller);
        }
    }

    /// Handles a datagram. It is dropped and counted unless it answers a request or asks for this user.
    pub fn handle_datagram(&mut self, now: Instant, from: NodeAddress, datagram: &[u8]) {
        let expected = self.is_node(from)
            && match Message::decode(datagram) {
                Ok(message @ Message::RegisterReply { code, .. }) => {
                    let reply = Reply::of(&message, code == RegisterCode::Registered);
                    self.handle_proof_reply(now, from, Verb::Register, reply)
                        .unwrap_or_else(|| reply.is_plain() && self.handle_registered(now, from, code))
                }
                Ok(message @ Message::DeregisterReply { code, .. }) => {
                    let reply = Reply::of(&message, code == DeregisterCode::Deregistered);
                    self.handle_proof_reply(now, from, Verb::Deregister, reply)
                        .unwrap_or_else(|| reply.is_plain() && self.handle_deregistered(code))
                }
                Ok(Message::LocateReply { locate, outcome, extension }) => {
                    let address = self.address;
                    let answered = |kind: &LumiRequest| {
                        locate.from == address && *kind == LumiRequest::Locate(locate.to)
                    };
                    let answer = LumiAnswer::Locate { outcome, offers_tls: offers_tls(&extension) };
                    let ended = self.end_requests(answered, answer);
                    // A node that has restarted answers so about users that have not registered again yet.
                    if ended && matches!(outcome, LocateOutcome::NoSuchUser | LocateOutcome::Offline) {
                        self.doubt(now);
                    }
                    ended
                }
                // A domain may have several names, and the asker may use any of them.
                Ok(Message::Locate(locate)) if locate.to.user() == self.address.user() => {
                    self.tell_where(now, locate);
                    true
                }
                Ok(_) => false,
                Err(error) => {
                    let address = self.address;
                    let answered = |kind: &LumiRequest| is_answer_for(datagram, address, kind);
                    self.end_requests(answered, LumiAnswer::Malformed(error))
                }
            };
        if expected {
            self.refresh.heard(now);
            self.end_where(|request| request.asks_node, LumiAnswer::PeerSilent);
        } else {
            self.strays += 1;
        }
    }

    /// Handles the time that [`LumiClient::poll_timeout`] returned.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.leave_silent_node(now);
        self.refresh.handle_timeout(now, &mut self.outputs);
        self.handle_proof_timeout(now);
        let mut kinds = Vec::new();
        let mut is_doubtful = false;
        let (answers, may_answer) = (self.refresh.has_just_heard(now), self.refresh.may_answer());
        self.requests.retain_mut(|request| {
            if !request.is_due(now) {
                return true;
            }
            let is_locate = matches!(request.kind, LumiRequest::Locate(_));
            // The interval begins now, not when the attempt was due: after a freeze, attempts must keep their
            // distance.
            request.next_attempt = now + request.interval;
            if request.attempts_left == 0 {
                let has_asked_node = request.asks_node;
                is_doubtful |= !has_asked_node;
                request.asks_node = is_locate && !has_asked_node && !answers && may_answer;
                if !request.asks_node {
                    let answer = if is_locate && answers { LumiAnswer::PeerSilent } else { LumiAnswer::None };
                    self.outputs.push_back(LumiOutput::Done(request.id, answer));
                }
                return request.asks_node;
            }
            is_doubtful |= is_locate && !request.is_repeated;
            request.is_repeated = true;
            request.attempts_left -= 1;
            kinds.push(request.kind);
            true
        });
        if is_doubtful {
            self.doubt(now);
        }
        for kind in kinds {
            if kind == LumiRequest::Register {
                self.refresh.sent(now);
            }
            self.outputs.push_back(LumiOutput::Transmit(self.message(kind)));
        }
    }

    /// Returns the next effect to carry out, or `None` when there is nothing left to do.
    pub fn poll_output(&mut self) -> Option<LumiOutput> {
        self.outputs.pop_front()
    }

    /// Returns the time at which [`LumiClient::handle_timeout`] is due, if there is one.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let requests =
            self.requests.iter().filter(|request| !request.is_proving).map(|request| request.next_attempt);
        requests.chain(self.refresh.poll_timeout()).chain(self.proof_timeout()).min()
    }

    /// Returns the number of datagrams that were neither answers nor questions.
    pub fn strays(&self) -> u64 {
        self.strays
    }

    fn is_registering(&self) -> bool {
        self.requests.iter().any(|request| request.kind == LumiRequest::Register)
    }

    /// Tries the next address of the node with the repetition that is due, if nothing came from the one so
    /// far. The `PR` goes first: another host does not have the user as online.
    fn leave_silent_node(&mut self, now: Instant) {
        let is_due = |request: &Request| request.is_due(now) && request.attempts_left > 0;
        let repeats = self.refresh.is_repeated(now)
            || self.requests.iter().any(is_due)
            || self.repeats_challenge_request(now);
        if !repeats || self.refresh.has_just_heard(now) {
            return;
        }
        if self.nodes.wants_to_be_found(now) {
            self.outputs.push_back(LumiOutput::FindNode);
        }
        if self.nodes.turn(now, self.schedule.interval) {
            self.register_at_another(now);
        }
    }

    /// Handles an `RR`. It answers the user's own request first, and only then a refresh.
    ///
    /// The host that registered the user is the one that sends questions on (protocol.md §7, row 23).
    fn handle_registered(&mut self, now: Instant, from: NodeAddress, code: RegisterCode) -> bool {
        if code == RegisterCode::NoSuchUser && self.proves_after_refusal(now) {
            return true;
        }
        let answer = LumiAnswer::Register(code);
        let expected = if self.end_requests(|kind| *kind == LumiRequest::Register, answer) {
            self.refresh.decided(now, code, &mut self.outputs);
            true
        } else {
            self.refresh.handle_answer(now, code, &mut self.outputs)
        };
        if expected {
            self.registered = code == RegisterCode::Registered;
            self.nodes.stay_at(from);
        }
        if expected && self.registered {
            self.registered_at = Some(Whereabouts { node: from, listening: self.listening });
        }
        expected
    }

    fn handle_deregistered(&mut self, code: DeregisterCode) -> bool {
        let ended = self.end_requests(|kind| *kind == LumiRequest::Deregister, LumiAnswer::Deregister(code));
        self.registered &= !ended;
        ended
    }

    /// Handles a doubt that the user is registered. The user's own request to register is enough.
    fn doubt(&mut self, now: Instant) {
        if !self.is_registering() {
            self.refresh.doubt(now, &mut self.outputs);
        }
    }

    /// Ends the requests that `answer` answers. Returns whether there were any.
    fn end_requests(&mut self, answered: impl Fn(&LumiRequest) -> bool, answer: LumiAnswer) -> bool {
        self.end_where(|request| answered(&request.kind), answer)
    }

    fn end_where(&mut self, ended: impl Fn(&Request) -> bool, answer: LumiAnswer) -> bool {
        let before = self.requests.len();
        let outputs = &mut self.outputs;
        self.requests.retain(|request| {
            let ends = ended(request);
            if ends {
                outputs.push_back(LumiOutput::Done(request.id, answer));
            }
            !ends
        });
        self.requests.len() < before
    }

    fn tell_where(&mut self, now: Instant, locate: Locate) {
        let from = locate.from;
        let refusal = self.admission.refusal(Some(&from)).or(self.busy.then_some(Refusal::Busy));
        let (outcome, offers) = match refusal {
            Some(_) => (LocateOutcome::Busy, None),
            None => (LocateOutcome::Found(self.listening), self.tls_offers.as_mut()),
        };
        let extension = offers.map_or(Extension::NONE, |offers| offers.extension(now, locate));
        let answer = Message::LocateReply { locate, outcome, extension };
        self.outputs.push_back(LumiOutput::Transmit(answer));
        match refusal {
            None => self.askers.told(now, from),
            Some(reason) if self.askers.refused(now, from, reason) => {
                self.outputs.push_back(LumiOutput::Missed { from, reason });
            }
            Some(_) => {}
        }
    }

    fn message(&self, kind: LumiRequest) -> Message {
        match kind {
            LumiRequest::Register => Message::Register(self.registrant),
            LumiRequest::Deregister => Message::Deregister(self.registrant),
            LumiRequest::Locate(to) => Message::Locate(Locate { from: self.address, to }),
        }
    }
}

/// Returns whether a datagram that does not decode still answers `kind`: an `RL` with the right names and,
/// say, port 0. The caller learns more from that than from no answer.
fn is_answer_for(datagram: &[u8], address: MiAddress, kind: &LumiRequest) -> bool {
    let LumiRequest::Locate(to) = kind else { return false };
    let names = format!("{address}:{to}:");
    datagram.starts_with(b"RL") && datagram.get(3..).is_some_and(|rest| rest.starts_with(names.as_bytes()))
}

/// The limit of requests under way: more than a person starts within the 5 s that a request takes.
pub const MAX_REQUESTS: usize = 16;
