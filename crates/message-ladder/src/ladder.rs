//! From entries to parties and arrows.

use std::collections::VecDeque;
use std::time::SystemTime;

use message_log::{Direction, Entry, printable};
use plumi_proto::{Domain, LocateOutcome, MAX_MESSAGE, Message, MiAddress, RegisterCode};

use crate::arrow::{Arrow, Change, MALFORMED, Party, PartyId, Role};
use crate::column::{Columns, Hint};
use crate::notes::{Notes, address};
use crate::text::shown;

/// Who sent which message to whom: the last arrows, and the parties that they are between.
///
/// Strangers cannot make it grow: besides the arrows, the parties are bounded, and what is known of requests is.
#[derive(Clone, Debug)]
pub struct Ladder {
    owner: Owner,
    capacity: usize,
    columns: Columns,
    arrows: VecDeque<Arrow>,
    notes: Notes,
    next: u64,
}

/// Whose log it is.
#[derive(Clone, Debug)]
struct Owner {
    /// The domain of a node; of an agent, that of its user. `None` if it is not known.
    domain: Option<Domain>,
    is_agent: bool,
}

impl Ladder {
    /// The ladder of the node of the domain `owner`, or of the agent of the address `owner`, which keeps the last
    /// `capacity` arrows, one at least. Whose log it is that has another `owner`, or none, the first registration in it
    /// that succeeds tells; until then, sockets on the port of nodes are nodes.
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

    /// Takes the next entry, which passed at `at`, and says what has become another by it; its arrow is the last change.
    pub fn push(&mut self, at: Option<SystemTime>, entry: &Entry) -> Vec<Change> {
        let mut changes = Vec::new();
        while self.arrows.len() >= self.capacity {
            if let Some(oldest) = self.arrows.pop_front() {
                self.columns.release(&oldest, &mut changes);
            }
        }
        let (sent, remote) = (entry.direction() == Direction::Sent, entry.remote());
        let is_whole = entry.length() <= entry.message().len();
        let decoded = if is_whole {
            Message::decode(entry.message()).map_err(|error| error.to_string())
        } else {
            Err(format!("not a PLUMI message: {} bytes, {MAX_MESSAGE} are the most", entry.length()))
        };
        if self.next == 1 && decoded.as_ref().is_ok_and(is_answer) {
            // It begins in the middle: what was put aside, or the end of a file.
            self.notes.unsure();
        }
        let unowned = decoded.as_ref().ok().filter(|_| self.owner.domain.is_none());
        let told = unowned.and_then(|message| self.notes.granted(sent, remote, message));
        if let Some(address) = told {
            self.learn_owner(!sent, address, &mut changes);
        }
        let mut hint = decoded.as_ref().map_or(Hint::default(), |message| self.owner.hint(sent, message));
        if !self.owner.is_agent {
            // Who it is was not known when it asked.
            hint.user = hint.user.or(told);
        }
        let other = self.columns.of(remote, hint, &mut changes);
        let (from, to) = if sent { (PartyId::THIS, other) } else { (other, PartyId::THIS) };
        let (kind, words, users, note) = match &decoded {
            Ok(message) => {
                let to_agent = self.columns.party(other).is_some_and(|party| party.role != Role::Node);
                let domain = self.owner.domain;
                let noted = self.notes.take(sent, remote, message, domain.as_ref(), to_agent);
                (kind(entry.message()), message.in_words().to_string(), noted.users, noted.text)
            }
            Err(error) => (MALFORMED.to_owned(), error.clone(), self.columns.users(other), None),
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

    /// Who is registered there, or by it if it has `asked` for that, tells whose log it is. What a stranger asks for and is
    /// refused does not.
    fn learn_owner(&mut self, asked: bool, address: MiAddress, changes: &mut Vec<Change>) {
        let domain = address.domain();
        self.owner = Owner { domain: Some(domain), is_agent: asked };
        self.columns.name_this(shown(if asked { address.as_str() } else { domain.as_str() }), changes);
    }

    /// The next entry has this number; those between were not seen.
    pub fn skip_to(&mut self, number: u64) {
        if number != self.next {
            self.next = number;
            self.notes.unsure();
        }
    }

    /// The parties as the columns that they are: agents in the order in which they were seen, the one whose log it is,
    /// other nodes. An agent whose log it is stands first.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        let mut parties: Vec<_> = self.columns.parties().collect();
        let is_agent = self.owner.is_agent;
        let place = |role| if is_agent && role == Role::This { Role::Agent } else { role };
        parties.sort_by_key(|party| (place(party.role), party.id));
        parties.into_iter()
    }

    /// A party that is there.
    pub fn party(&self, id: PartyId) -> Option<&Party> {
        self.columns.party(id)
    }

    /// The arrows that are kept, the oldest first.
    pub fn arrows(&self) -> impl DoubleEndedIterator<Item = &Arrow> + ExactSizeIterator {
        self.arrows.iter()
    }

    /// Whether it is the log of an agent.
    pub fn is_of_agent(&self) -> bool {
        self.owner.is_agent
    }
}

impl Owner {
    /// What `message` tells of the other side.
    fn hint(&self, sent: bool, message: &Message) -> Hint {
        let Some(own) = self.domain else { return Hint { is_proven: sent, ..Hint::default() } };
        if self.is_agent {
            // It talks to no one else.
            return Hint::node(own).proven(true);
        }
        match *message {
            Message::Register(registrant) | Message::Deregister(registrant) => {
                let user = if sent { None } else { address(registrant, Some(&own)) };
                Hint { role: Some(Role::Agent), user, ..Hint::default() }
            }
            Message::RegisterReply(code) => Hint { role: Some(Role::Agent), ..Hint::default() }
                .proven(sent && code == RegisterCode::Registered),
            Message::DeregisterReply(_) => Hint { role: Some(Role::Agent), ..Hint::default() },
            Message::Locate(locate) if sent => Hint::of(locate.to, own).proven(true),
            Message::Locate(locate) => Hint::of(locate.from, own),
            Message::LocateReply { locate, outcome } if sent => Hint::of(locate.from, own)
                .proven(matches!(outcome, LocateOutcome::Found(_) | LocateOutcome::Busy)),
            Message::LocateReply { locate, .. } => Hint::of(locate.to, own),
        }
    }
}

fn is_answer(message: &Message) -> bool {
    matches!(message, Message::RegisterReply(_) | Message::DeregisterReply(_) | Message::LocateReply { .. })
}

/// The letters of a message, and its code.
fn kind(message: &[u8]) -> String {
    let letters = if message.starts_with(b"R") { 3 } else { 2 };
    String::from_utf8_lossy(&message[..message.len().min(letters)]).into_owned()
}
