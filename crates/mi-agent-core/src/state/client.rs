//! The agent's side of PLUMI (protocol.md §4): its requests to its node, and its answers to it.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use plumi_proto::{
    DecodeError, DeregisterCode, Locate, LocateOutcome, Message, MiAddress, MiSocketAddress, RegisterCode,
    Registrant,
};

/// An agent's LUMI client, without its socket.
///
/// Tell it what happened with [`LumiClient::request`] or a `handle_*` method, then carry out every
/// [`LumiOutput`] until [`LumiClient::poll_output`] returns `None`, after each one of them.
/// [`LumiClient::poll_timeout`] says when [`LumiClient::handle_timeout`] is next due.
#[derive(Debug)]
pub struct LumiClient {
    address: MiAddress,
    registrant: Registrant,
    node: SocketAddrV4,
    listening: MiSocketAddress,
    schedule: RequestSchedule,
    busy: bool,
    registered: bool,
    requests: Vec<Request>,
    requested: u64,
    /// Who was last told where this agent listens, and when.
    asked_by: Option<(MiAddress, Instant)>,
    outputs: VecDeque<LumiOutput>,
    strays: u64,
}

/// How often a request is sent, and how far apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSchedule {
    /// How often it is sent in all.
    pub attempts: NonZeroU8,
    /// How long an answer is waited for before the request is sent again, and after it was sent last.
    pub interval: Duration,
}

impl Default for RequestSchedule {
    /// 5 times, 1000 ms apart.
    fn default() -> Self {
        Self { attempts: NonZeroU8::new(5).expect("is not 0"), interval: Duration::from_secs(1) }
    }
}

/// What an agent asks its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LumiRequest {
    /// Register the agent's user.
    Register,
    /// Deregister the agent's user.
    Deregister,
    /// Where is this user?
    Locate(MiAddress),
}

/// Names one request, from [`LumiClient::request`] to [`LumiOutput::Done`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LumiAnswer {
    /// To [`LumiRequest::Register`].
    Register(RegisterCode),
    /// To [`LumiRequest::Deregister`].
    Deregister(DeregisterCode),
    /// To [`LumiRequest::Locate`].
    Locate(LocateOutcome),
    /// It was answered, but what the answer carries is not well-formed.
    Malformed(DecodeError),
    /// It was not answered, as often as it was sent.
    None,
}

/// What a [`LumiClient`] wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LumiOutput {
    /// Send this to the node.
    Transmit(Message),
    /// This request has ended.
    Done(RequestId, LumiAnswer),
}

#[derive(Debug)]
struct Request {
    id: RequestId,
    kind: LumiRequest,
    attempts_left: u8,
    next_attempt: Instant,
}

impl LumiClient {
    /// The client of the user at `address`, whose node is at `node` and who listens for conversations at
    /// `listening`. With `bare`, it registers as `PRuser`, without domain (protocol.md §7, row 2).
    pub fn new(
        address: MiAddress,
        bare: bool,
        node: SocketAddrV4,
        listening: MiSocketAddress,
        schedule: RequestSchedule,
    ) -> Self {
        let registrant = if bare { Registrant::User(address.user()) } else { Registrant::Address(address) };
        Self {
            address,
            registrant,
            node,
            listening,
            schedule,
            busy: false,
            registered: false,
            requests: Vec::new(),
            requested: 0,
            asked_by: None,
            outputs: VecDeque::new(),
            strays: 0,
        }
    }

    /// Starts a request. Its first message is sent at once, at most `attempts` in all (by default as many as the
    /// schedule says).
    ///
    /// A deregistration ends the registrations under way, which would undo it.
    pub fn request(&mut self, now: Instant, kind: LumiRequest, attempts: Option<NonZeroU8>) -> RequestId {
        if kind == LumiRequest::Deregister {
            self.end_requests(|kind| *kind == LumiRequest::Register, LumiAnswer::None);
        }
        self.requested += 1;
        let id = RequestId(self.requested);
        let attempts = attempts.unwrap_or(self.schedule.attempts).get();
        self.requests.push(Request {
            id,
            kind,
            attempts_left: attempts - 1,
            next_attempt: now + self.schedule.interval,
        });
        self.outputs.push_back(LumiOutput::Transmit(self.message(kind)));
        id
    }

    /// Whether another request may be started: [`MAX_REQUESTS`] may be under way.
    pub fn has_room(&self) -> bool {
        self.requests.len() < MAX_REQUESTS
    }

    /// Whether no request is under way.
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    /// Whether the node may have the user as online: it said so, or has not answered yet.
    pub fn may_be_registered(&self) -> bool {
        self.registered || self.requests.iter().any(|request| request.kind == LumiRequest::Register)
    }

    /// From now on, who asks where the user is hears that the user is in a conversation, or is not.
    pub fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Who asked for the user just before, once: the caller of the conversation that begins now, most likely.
    pub fn take_asker(&mut self, now: Instant) -> Option<MiAddress> {
        let (asker, asked) = self.asked_by.take()?;
        (now.saturating_duration_since(asked) <= ASKER_LIFE).then_some(asker)
    }

    /// A datagram came. What is neither the answer to a request under way nor a question for this user is
    /// dropped and counted.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddrV4, datagram: &[u8]) {
        let expected = from == self.node
            && match Message::decode(datagram) {
                Ok(Message::RegisterReply(code)) => {
                    self.end_requests(|kind| *kind == LumiRequest::Register, LumiAnswer::Register(code))
                }
                Ok(Message::DeregisterReply(code)) => {
                    self.end_requests(|kind| *kind == LumiRequest::Deregister, LumiAnswer::Deregister(code))
                }
                Ok(Message::LocateReply { locate, outcome }) => {
                    let address = self.address;
                    let answered = |kind: &LumiRequest| {
                        locate.from == address && *kind == LumiRequest::Locate(locate.to)
                    };
                    self.end_requests(answered, LumiAnswer::Locate(outcome))
                }
                // The node knows its user by whichever name of its domain the asker used.
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
        if !expected {
            self.strays += 1;
        }
    }

    /// The time that [`LumiClient::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut kinds = Vec::new();
        self.requests.retain_mut(|request| {
            if request.next_attempt > now {
                return true;
            }
            if request.attempts_left == 0 {
                self.outputs.push_back(LumiOutput::Done(request.id, LumiAnswer::None));
                return false;
            }
            request.attempts_left -= 1;
            // Not counted from when it was due: after a freeze, tries must not follow on each other.
            request.next_attempt = now + self.schedule.interval;
            kinds.push(request.kind);
            true
        });
        for kind in kinds {
            self.outputs.push_back(LumiOutput::Transmit(self.message(kind)));
        }
    }

    /// What to do next; `None` when everything is done.
    pub fn poll_output(&mut self) -> Option<LumiOutput> {
        self.outputs.pop_front()
    }

    /// When [`LumiClient::handle_timeout`] is due, if ever.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.requests.iter().map(|request| request.next_attempt).min()
    }

    /// How many datagrams were neither answers nor questions.
    pub fn strays(&self) -> u64 {
        self.strays
    }

    /// Ends the requests that an answer is for. `false`: there is none.
    fn end_requests(&mut self, answered: impl Fn(&LumiRequest) -> bool, answer: LumiAnswer) -> bool {
        let before = self.requests.len();
        let outputs = &mut self.outputs;
        self.requests.retain(|request| {
            let ends = answered(&request.kind);
            if ends {
                outputs.push_back(LumiOutput::Done(request.id, answer));
            }
            !ends
        });
        let ended = self.requests.len() < before;
        match answer {
            LumiAnswer::Register(code) if ended => self.registered = code == RegisterCode::Registered,
            LumiAnswer::Deregister(_) if ended => self.registered = false,
            _ => {}
        }
        ended
    }

    fn tell_where(&mut self, now: Instant, locate: Locate) {
        let outcome = if self.busy {
            LocateOutcome::Busy
        } else {
            self.asked_by = Some((locate.from, now));
            LocateOutcome::Found(self.listening)
        };
        self.outputs.push_back(LumiOutput::Transmit(Message::LocateReply { locate, outcome }));
    }

    fn message(&self, kind: LumiRequest) -> Message {
        match kind {
            LumiRequest::Register => Message::Register(self.registrant),
            LumiRequest::Deregister => Message::Deregister(self.registrant),
            LumiRequest::Locate(to) => Message::Locate(Locate { from: self.address, to }),
        }
    }
}

/// Whether a datagram that does not decode is the answer to `kind` all the same: an `RL` with the right names
/// and, say, port 0. Whoever asked had better hear that than nothing.
fn is_answer_for(datagram: &[u8], address: MiAddress, kind: &LumiRequest) -> bool {
    let LumiRequest::Locate(to) = kind else { return false };
    let names = format!("{address}:{to}:");
    datagram.starts_with(b"RL") && datagram.get(3..).is_some_and(|rest| rest.starts_with(names.as_bytes()))
}

/// Requests under way at a time: more than a person starts within the 5 s that one takes.
pub const MAX_REQUESTS: usize = 16;

/// A caller dials as soon as it is told where: a conversation that begins later than this is somebody else's.
const ASKER_LIFE: Duration = Duration::from_secs(30);
