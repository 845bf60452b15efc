//! The ladder: turns log entries into parties and arrows.

use std::collections::VecDeque;
use std::time::SystemTime;

use message_log::{Direction, Entry, printable};
use plumi_proto::{Domain, LocateOutcome, MAX_MESSAGE, Message, MiAddress, RegisterCode};

use crate::arrow::{Arrow, CHECK_USER, Change, MALFORMED, Party, PartyId, Role, SHORT_CHECK_USER};
use crate::column::{Columns, Hint};
use crate::notes::Notes;
use crate::text::shown;

/// The latest messages as arrows, and the parties between which they went.
///
/// The arrows, the parties and the remembered requests are bounded, so no remote host can make it grow.
#[derive(Clone, Debug)]
pub struct Ladder {
    owner: Owner,
    capacity: usize,
    columns: Columns,
    arrows: VecDeque<Arrow>,
    notes: Notes,
    next: u64,
}

/// The party that wrote the log.
#[derive(Clone, Debug)]
struct Owner {
    /// The domain of the node, or of the agent's user. `None` if it is not known.
    domain: Option<Domain>,
    is_agent: bool,
}

impl Ladder {
    /// Creates the ladder of the node of the domain `owner`, or of the agent of the address `owner`.
    ///
    /// It keeps the last `capacity` arrows, but at least one. If `owner` is neither, the first registration
    /// that succeeds shows which party wrote the log. Until then, sockets on the port of nodes count as
    /// nodes.
    pub fn new(owner: &str, capacity: usize) -> Self {
        let agent = owner.parse::<MiAddress>();
        let is_agent = agent.is_ok();
        let domain = agent.map_or_else(|_| owner.parse().ok(), |address| Some(address.domain()));
        Self {
            owner: Owner { domain, is_agent },
            capacity: capacity.max(1),
            columns: Columns::new(shown(owner)),
            arrows: VecDeque::new(),
            notes: Notes::default(),
            next: 1,
        }
    }

    /// Adds the next entry, which passed at `at`. Returns the changes; the last one is the entry's arrow.
    pub fn push(&mut self, at: Option<SystemTime>, entry: &Entry) -> Vec<Change> {
        let mut changes = Vec::new();
        while self.arrows.len() >= self.capacity {
            if let Some(oldest) = self.arrows.pop_front() {
                self.columns.release(&oldest, &mut changes);
            }
        }
        let (sent, remote) = (entry.direction() == Direction::Sent, entry.remote());
        let is_whole = entry.length() <= entry.message().len();
        let decoded = if entry.is_left_out() {
            Err("dropped or refused, and not logged one by one".to_owned())
        } else if is_whole {
            Message::decode(entry.message()).map_err(|error| error.to_string())
        } else {
            Err(format!("not a PLUMI message: {} bytes, {MAX_MESSAGE} are the most", entry.length()))
        };
        if self.next == 1 && decoded.as_ref().is_ok_and(is_answer) {
            // The log begins in the middle: it is a file that was put aside, or the end of one.
            self.notes.unsure();
        }
        let unowned = decoded.as_ref().ok().filter(|_| self.owner.domain.is_none());
        let told = unowned.and_then(|message| self.notes.granted(sent, remote, message));
        if let Some(address) = told {
            self.learn_owner(!sent, address, &mut changes);
        }
        let hint = decoded.as_ref().map_or(Hint::default(), |message| {
            let registrant = self.notes.registrant(sent, remote, message, self.owner.domain.as_ref());
            self.owner.hint(sent, message, registrant)
        });
        let other = self.columns.of(remote, hint, &mut changes);
        let (from, to) = if sent { (PartyId::THIS, other) } else { (other, PartyId::THIS) };
        let (kind, words, users, note) = match &decoded {
            Ok(message) => {
                let to_agent = self.columns.party(other).is_some_and(|party| party.role != Role::Node);
                let domain = self.owner.domain;
                let noted = self.notes.take(sent, remote, message, domain.as_ref(), to_agent);
                let words = message.in_words().of(noted.users.first().copied()).to_string();
                (kind(entry.message()), words, noted.users, noted.text)
            }
            Err(error) => {
                let users = self.columns.user(other).into_iter().collect();
                (MALFORMED.to_owned(), error.clone(), users, None)
            }
        };
        let arrow = Arrow {
            number: self.next,
            at,
            from,
            to,
            remote,
            sent,
            kind,
            message: printable(entry.message()).to_string() + if is_whole { "" } else { "..." },
            length: entry.length(),
            words: shown(&words),
            users,
            note: note.map(|note| shown(&note)),
        };
        self.next = self.next.saturating_add(1);
        changes.push(Change::Arrow(arrow.clone()));
        self.arrows.push_back(arrow);
        changes
    }

    /// Takes the owner of the log from a registration that succeeded.
    ///
    /// It is one that the owner `asked` for, or one at the owner. A registration that was refused shows
    /// nothing.
    fn learn_owner(&mut self, asked: bool, address: MiAddress, changes: &mut Vec<Change>) {
        let domain = address.domain();
        self.owner = Owner { domain: Some(domain), is_agent: asked };
        self.columns.name_this(shown(if asked { address.as_str() } else { domain.as_str() }), changes);
    }

    /// Sets the number of the next entry. The entries between were not seen.
    pub fn skip_to(&mut self, number: u64) {
        if number != self.next {
            self.next = number;
            self.notes.unsure();
        }
    }

    /// Returns the parties in the order of their columns: agents in the order in which they were seen, the
    /// owner of the log, other nodes. If the owner is an agent, it comes first.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        let mut parties: Vec<_> = self.columns.parties().collect();
        let is_agent = self.owner.is_agent;
        let place = |role| if is_agent && role == Role::This { Role::Agent } else { role };
        parties.sort_by_key(|party| (place(party.role), party.id));
        parties.into_iter()
    }

    /// Returns a party, if it is still there.
    pub fn party(&self, id: PartyId) -> Option<&Party> {
        self.columns.party(id)
    }

    /// Returns the arrows that are kept, the oldest first.
    pub fn arrows(&self) -> impl DoubleEndedIterator<Item = &Arrow> + ExactSizeIterator {
        self.arrows.iter()
    }

    /// Returns whether it is the log of an agent.
    pub fn is_of_agent(&self) -> bool {
        self.owner.is_agent
    }
}

impl Owner {
    /// Returns the information that `message` gives about the other side. `registrant` is the user that it
    /// registers or deregisters, or that the request did which it answers.
    fn hint(&self, sent: bool, message: &Message, registrant: Option<MiAddress>) -> Hint {
        let Some(own) = self.domain else { return Hint { is_proven: sent, ..Hint::default() } };
        if self.is_agent {
            // An agent talks only to its node.
            return Hint::node(own).proven(true);
        }
        match *message {
            Message::Register(_)
            | Message::Deregister(_)
            | Message::RequestChallenge { .. }
            | Message::Prove(_)
            | Message::Enrol { .. }
                if sent =>
            {
                Hint { role: Some(Role::Agent), ..Hint::default() }
            }
            Message::Deregister(_) | Message::DeregisterReply { .. } if registrant.is_some_and(is_check) => {
                Hint::check()
            }
            Message::Register(_)
            | Message::RegisterReply { .. }
            | Message::Deregister(_)
            | Message::DeregisterReply { .. }
            | Message::RequestChallenge { .. }
            | Message::Prove(_)
            | Message::Enrol { .. } => {
                let hint = Hint { role: Some(Role::Agent), ..Hint::default() };
                // An enrolment registers nobody.
                let is_granted =
                    matches!(message, Message::RegisterReply { code: RegisterCode::Registered, .. })
                        && message.enrolled().is_none();
                registrant.map_or(hint, Hint::user).registration().proven(sent && is_granted)
            }
            Message::Locate(locate) if sent => Hint::of(locate.to, own).proven(true),
            Message::Locate(locate) if is_check(locate.from) && is_check(locate.to) => Hint::check(),
            Message::Locate(locate) => Hint::of(locate.from, own),
            Message::LocateReply { locate, .. } if sent && is_check(locate.from) && is_check(locate.to) => {
                Hint::check()
            }
            Message::LocateReply { locate, outcome, .. } if sent => Hint::of(locate.from, own)
                .proven(matches!(outcome, LocateOutcome::Found(_) | LocateOutcome::Busy)),
            Message::LocateReply { locate, .. } => Hint::of(locate.to, own),
            _ => Hint { is_proven: sent, ..Hint::default() },
        }
    }
}

/// Returns whether `lumi-node check` asks in the name of this user.
fn is_check(address: MiAddress) -> bool {
    let has_room = |name: &str| {
        let name = name.parse().ok();
        name.is_some_and(|name| MiAddress::new(&name, &address.domain()).is_ok())
    };
    match address.user().as_str() {
        CHECK_USER => true,
        SHORT_CHECK_USER => !has_room(CHECK_USER),
        _ => false,
    }
}

fn is_answer(message: &Message) -> bool {
    matches!(
        message,
        Message::RegisterReply { .. } | Message::DeregisterReply { .. } | Message::LocateReply { .. }
    )
}

/// Returns the letters of a message, with its code.
fn kind(message: &[u8]) -> String {
    let letters = if message.starts_with(b"R") { 3 } else { 2 };
    String::from_utf8_lossy(&message[..message.len().min(letters)]).into_owned()
}
