//! Notes on a message that follow from the messages before it.

use std::collections::VecDeque;

use plumi_proto::{
    DeregisterCode, Domain, Locate, LocateOutcome, Message, MiAddress, RegisterCode, Registrant, UdpAddress,
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
        self.asked.iter().filter(is_it).find_map(|asked| match (message, asked.request) {
            (
                Message::RegisterReply { code: RegisterCode::Registered, .. },
                Request::Register(Registrant::Address(address)),
            )
            | (
                Message::DeregisterReply { code: DeregisterCode::Deregistered, .. },
                Request::Deregister(Registrant::Address(address)),
            ) => Some(address),
            _ => None,
        })
    }

    /// Returns the user whom `message` registers or deregisters at the node of `own`, or did the request that it
    /// answers.
    pub(crate) fn registrant(
        &self,
        sent: bool,
        remote: UdpAddress,
        message: &Message,
        own: Option<&Domain>,
    ) -> Option<MiAddress> {
        let registrant = match *message {
            Message::Register(registrant) | Message::Deregister(registrant) => registrant,
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
                // A user who registers again is not silent any more.
                self.silent.retain(|silent| !users.contains(&silent.user));
                Noted { text: again(self.ask(sent, remote, Request::Register(who))), users }
            }
            Message::Deregister(who) => Noted {
                text: again(self.ask(sent, remote, Request::Deregister(who))),
                users: registrant(who),
            },
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
            (Self::Register(_), Message::RegisterReply { .. })
            | (Self::Deregister(_), Message::DeregisterReply { .. }) => true,
            (Self::Locate(asked), Message::LocateReply { locate, .. }) => asked == locate,
            _ => false,
        }
    }

    fn registrant(self) -> Option<Registrant> {
        match self {
            Self::Register(registrant) | Self::Deregister(registrant) => Some(registrant),
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
