//! Notes on a message that follow from the messages before it.

use std::collections::VecDeque;

use plumi_proto::{
    DeregisterCode, Domain, Locate, LocateOutcome, Message, MiAddress, Proof, RegisterCode, Registrant,
    UdpAddress, Verb,
};

/// The memory of earlier messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    asked: VecDeque<Asked>,
    silent: VecDeque<Silent>,
    /// The number of next messages that may answer a request that was not seen.
    unsure: usize,
}

/// A note on a message, and the users that the message is about.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) text: Option<String>,
    pub(crate) users: Vec<MiAddress>,
}

/// A request, with its repetitions and answers.
#[derive(Clone, Debug)]
struct Asked {
    remote: UdpAddress,
    sent: bool,
    request: Request,
    times: u32,
    answers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Request {
    Register(Registrant),
    Deregister(Registrant),
    Locate(Locate),
    Challenge(Verb, MiAddress),
    /// A proof and its user, if that is known.
    Prove(Proof, Option<MiAddress>),
    Enrol(MiAddress),
}

/// An agent that was asked and has been silent since.
#[derive(Clone, Debug)]
struct Silent {
    remote: UdpAddress,
    user: MiAddress,
    times: u32,
}

impl Notes {
    /// Notes that some messages were not seen.
    pub(crate) fn unsure(&mut self) {
        self.unsure = MAX_ASKED;
    }

    /// Returns the address that `message` registers or deregisters, if it was asked for by address.
    pub(crate) fn granted(&self, sent: bool, remote: UdpAddress, message: &Message) -> Option<MiAddress> {
        let is_it = |asked: &&Asked| asked.remote == remote && asked.sent != sent;
        let is_granted = matches!(
            message,
            Message::RegisterReply { code: RegisterCode::Registered, .. }
                | Message::DeregisterReply { code: DeregisterCode::Deregistered, .. }
        );
        let answered = self.asked.iter().filter(is_it).filter(|asked| asked.request.is_answered(message));
        answered.filter(|_| is_granted).find_map(|asked| match asked.request.registrant() {
            Some(Registrant::Address(address)) => Some(address),
            _ => None,
        })
    }

    /// Returns the user that `message` registers or deregisters at the node of `own`, or did the request that
    /// it answers.
    pub(crate) fn registrant(
        &self,
        sent: bool,
        remote: UdpAddress,
        message: &Message,
        own: Option<&Domain>,
    ) -> Option<MiAddress> {
        let registrant = match *message {
            Message::Register(registrant) | Message::Deregister(registrant) => registrant,
            Message::RequestChallenge { address, .. } | Message::Enrol { address, .. } => {
                return Some(address);
            }
            Message::Prove(_) => return self.prover(sent, remote),
            Message::RegisterReply { .. } | Message::DeregisterReply { .. } => {
                let asked =
                    &self.asked[self.answered(sent, remote, |request| request.is_answered(message))?];
                asked.request.registrant()?
            }
            _ => return None,
        };
        address(registrant, own)
    }

    /// Takes the next message to or from `remote`, seen in the domain `own`.
    pub(crate) fn take(
        &mut self,
        sent: bool,
        remote: UdpAddress,
        message: &Message,
        own: Option<&Domain>,
        with_agent: bool,
    ) -> Noted {
        self.unsure = self.unsure.saturating_sub(1);
        if !sent {
            self.silent.retain(|silent| silent.remote != remote);
        }
        let registrant = |registrant| address(registrant, own).into_iter().collect();
        match *message {
            Message::Register(who) => {
                let users: Vec<_> = registrant(who);
                self.is_back(Verb::Register, users.first().copied());
                Noted { text: again(self.ask(sent, remote, Request::Register(who))), users }
            }
            Message::Deregister(who) => Noted {
                text: again(self.ask(sent, remote, Request::Deregister(who))),
                users: registrant(who),
            },
            Message::RequestChallenge { verb, address } => {
                self.is_back(verb, Some(address));
                let request = Request::Challenge(verb, address);
                Noted { text: again(self.ask(sent, remote, request)), users: vec![address] }
            }
            Message::Prove(proof) => {
                let prover = self.prover(sent, remote);
                self.is_back(proof.verb, prover);
                let times = self.ask(sent, remote, Request::Prove(proof, prover));
                Noted { text: again(times), users: prover.into_iter().collect() }
            }
            Message::Enrol { address, .. } => {
                let text = again(self.ask(sent, remote, Request::Enrol(address)));
                Noted { text, users: vec![address] }
            }
            Message::RegisterReply { .. } | Message::DeregisterReply { .. } => {
                let (text, request) = self.answer(sent, remote, |request| request.is_answered(message));
                let users = request.and_then(Request::registrant).map_or_else(Vec::new, registrant);
                Noted { text, users }
            }
            Message::Locate(locate) => {
                let times = self.ask(sent, remote, Request::Locate(locate));
                let times = if sent && with_agent { self.keeps_silent(remote, locate.to) } else { times };
                Noted { text: again(times), users: users(locate) }
            }
            Message::LocateReply { locate, outcome, .. } => {
                let (text, _) = self.answer(sent, remote, |request| request.is_answered(message));
                let taken_offline =
                    if sent && outcome == LocateOutcome::Offline { self.given_up(locate.to) } else { None };
                Noted { text: taken_offline.or(text), users: users(locate) }
            }
            _ => Noted { text: None, users: Vec::new() },
        }
    }

    /// Returns the user in the last request for a challenge from this side of `remote`. A proof does not name
    /// its user.
    fn prover(&self, sent: bool, remote: UdpAddress) -> Option<MiAddress> {
        let mut theirs = self.asked.iter().rev().filter(|asked| (asked.sent, asked.remote) == (sent, remote));
        theirs.find_map(|asked| match asked.request {
            Request::Challenge(_, address) => Some(address),
            _ => None,
        })
    }

    /// Notes that a user registers again, and is no longer silent.
    fn is_back(&mut self, verb: Verb, user: Option<MiAddress>) {
        self.silent.retain(|silent| verb != Verb::Register || Some(silent.user) != user);
    }

    /// Remembers a request. Returns how often it was sent without an answer.
    fn ask(&mut self, sent: bool, remote: UdpAddress, request: Request) -> u32 {
        let same = |asked: &Asked| (asked.remote, asked.sent, asked.request) == (remote, sent, request);
        let mut times = 1;
        if let Some(at) = self.asked.iter().rposition(same)
            && let Some(before) = self.asked.remove(at)
            && before.answers == 0
        {
            times += before.times;
        }
        if self.asked.len() == MAX_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(Asked { remote, sent, request, times, answers: 0 });
        times
    }

    /// Counts an answer. Returns a note, if there is one, and the request that it answers.
    fn answer(
        &mut self,
        sent: bool,
        remote: UdpAddress,
        is_it: impl Fn(&Request) -> bool,
    ) -> (Option<String>, Option<Request>) {
        let Some(at) = self.answered(sent, remote, is_it) else {
            let text = (self.unsure == 0).then(|| "answers nothing that was asked".to_owned());
            return (text, None);
        };
        let asked = &mut self.asked[at];
        asked.answers += 1;
        let text = (asked.answers > asked.times).then(|| "was answered before".to_owned());
        (text, Some(asked.request))
    }

    /// Returns the place of the request that a message answers: the first one that waits, or the last one.
    fn answered(&self, sent: bool, remote: UdpAddress, is_it: impl Fn(&Request) -> bool) -> Option<usize> {
        let fits = |asked: &Asked| asked.remote == remote && asked.sent != sent && is_it(&asked.request);
        let waiting = self.asked.iter().position(|asked| fits(asked) && asked.answers < asked.times);
        waiting.or_else(|| self.asked.iter().rposition(fits))
    }

    /// Counts a question to the agent of `user` at `remote`. Returns how often it was asked since it was last
    /// heard.
    fn keeps_silent(&mut self, remote: UdpAddress, user: MiAddress) -> u32 {
        let same = |silent: &&mut Silent| silent.remote == remote && silent.user == user;
        if let Some(silent) = self.silent.iter_mut().find(same) {
            silent.times += 1;
            return silent.times;
        }
        if self.silent.len() == MAX_SILENT {
            self.silent.pop_front();
        }
        self.silent.push_back(Silent { remote, user, times: 1 });
        1
    }

    /// Handles an answer that `user` is offline. Returns a note if the reason is that the agent was silent.
    fn given_up(&mut self, user: MiAddress) -> Option<String> {
        let at = self.silent.iter().position(|silent| silent.user == user)?;
        let silent = self.silent.remove(at)?;
        let times = silent.times;
        Some(format!("taken offline: its agent, asked {times} times, was not heard"))
    }
}

impl Request {
    /// Returns whether `message` is an answer to this request.
    fn is_answered(&self, message: &Message) -> bool {
        match (self, message) {
            (_, Message::RegisterReply { .. }) => self.verb() == Some(Verb::Register),
            (_, Message::DeregisterReply { .. }) => self.verb() == Some(Verb::Deregister),
            (Self::Locate(asked), Message::LocateReply { locate, .. }) => asked == locate,
            _ => false,
        }
    }

    fn verb(&self) -> Option<Verb> {
        match self {
            Self::Register(_) | Self::Enrol(_) => Some(Verb::Register),
            Self::Deregister(_) => Some(Verb::Deregister),
            Self::Challenge(verb, _) | Self::Prove(Proof { verb, .. }, _) => Some(*verb),
            Self::Locate(_) => None,
        }
    }

    fn registrant(self) -> Option<Registrant> {
        match self {
            Self::Register(registrant) | Self::Deregister(registrant) => Some(registrant),
            Self::Challenge(_, address) | Self::Enrol(address) => Some(Registrant::Address(address)),
            Self::Prove(_, prover) => prover.map(Registrant::Address),
            Self::Locate(_) => None,
        }
    }
}

/// Returns the address of a registrant at the node of `own`.
fn address(registrant: Registrant, own: Option<&Domain>) -> Option<MiAddress> {
    match registrant {
        Registrant::Address(address) => Some(address),
        Registrant::User(user) => MiAddress::new(&user, own?).ok(),
    }
}

fn users(locate: Locate) -> Vec<MiAddress> {
    if locate.from == locate.to { vec![locate.from] } else { vec![locate.from, locate.to] }
}

fn again(times: u32) -> Option<String> {
    let ending = match (times % 10, times % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    (times > 1).then(|| format!("no answer yet, {times}{ending} time"))
}

/// The limit of remembered requests, waiting and answered.
const MAX_ASKED: usize = 512;

/// The limit of remembered silent agents.
const MAX_SILENT: usize = 64;
