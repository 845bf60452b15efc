//! The parties of a ladder, of which there are only so many.

use std::net::SocketAddrV4;

use plumi_proto::{Domain, MiAddress, NODE_PORT};

use crate::arrow::{Arrow, Change, Party, PartyId, Role};
use crate::text::shown;

/// What a message tells of the other side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hint {
    pub(crate) role: Option<Role>,
    pub(crate) user: Option<MiAddress>,
    pub(crate) domain: Option<Domain>,
    /// The one whose log it is takes it for what it says it is.
    pub(crate) is_proven: bool,
}

impl Hint {
    /// The side of `user`, seen from the node of `own`: its agent, or the node of its domain.
    pub(crate) fn of(user: MiAddress, own: Domain) -> Self {
        if user.domain() == own {
            Self { role: Some(Role::Agent), user: Some(user), ..Self::default() }
        } else {
            Self::node(user.domain())
        }
    }

    pub(crate) fn node(domain: Domain) -> Self {
        Self { role: Some(Role::Node), domain: Some(domain), ..Self::default() }
    }

    pub(crate) fn proven(self, is_proven: bool) -> Self {
        Self { is_proven, ..self }
    }
}

/// The parties, the one whose log it is first.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    next: u32,
}

#[derive(Clone, Debug)]
struct Column {
    party: Party,
    users: Vec<MiAddress>,
    domains: Vec<Domain>,
    /// It has said more names than are kept.
    has_more: bool,
    is_proven: bool,
    /// How many arrows that are kept have it.
    arrows: usize,
}

impl Columns {
    /// Those of a ladder without arrows.
    pub(crate) fn new(owner: String) -> Self {
        let name = if owner.is_empty() { UNKNOWN.to_owned() } else { owner };
        let this = Party { id: PartyId::THIS, role: Role::This, name, address: None };
        Self { columns: vec![Column::new(this)], next: 1 }
    }

    /// The one whose log it is has another name.
    pub(crate) fn name_this(&mut self, name: String, changes: &mut Vec<Change>) {
        if let Some(this) = self.columns.first_mut() {
            this.party.name = name;
            changes.push(Change::Party(this.party.clone()));
        }
    }

    /// The party at `remote`, of which an arrow is to come that tells `hint`.
    pub(crate) fn of(&mut self, remote: SocketAddrV4, hint: Hint, changes: &mut Vec<Change>) -> PartyId {
        let known = self.columns.iter().position(|column| column.party.address == Some(remote));
        let (at, is_new) = match known {
            Some(at) => (at, false),
            None if self.has_room(hint.is_proven, changes) => (self.add(Role::Agent, Some(remote)), true),
            None => match self.columns.iter().position(|column| column.party.role == Role::Others) {
                Some(at) => (at, false),
                None => (self.add(Role::Others, None), true),
            },
        };
        let column = &mut self.columns[at];
        column.arrows += 1;
        let has_changed = column.party.address.is_some() && column.learn(hint);
        if is_new || has_changed {
            changes.push(Change::Party(column.party.clone()));
        }
        column.party.id
    }

    /// An arrow is kept no longer.
    pub(crate) fn release(&mut self, arrow: &Arrow, changes: &mut Vec<Change>) {
        let other = if arrow.sent { arrow.to } else { arrow.from };
        let Some(at) = self.columns.iter().position(|column| column.party.id == other) else { return };
        let column = &mut self.columns[at];
        column.arrows -= 1;
        if column.arrows == 0 && column.party.role == Role::Others {
            self.remove(at, changes);
        }
    }

    pub(crate) fn parties(&self) -> impl Iterator<Item = &Party> {
        self.columns.iter().map(|column| &column.party)
    }

    pub(crate) fn party(&self, id: PartyId) -> Option<&Party> {
        self.parties().find(|party| party.id == id)
    }

    /// The users whom the party is known to be of.
    pub(crate) fn users(&self, id: PartyId) -> Vec<MiAddress> {
        let column = self.columns.iter().find(|column| column.party.id == id);
        column.map(|column| column.users.clone()).unwrap_or_default()
    }

    /// Whether there can be one more, if necessary after another one has gone. Strangers take no room from the others.
    fn has_room(&mut self, is_proven: bool, changes: &mut Vec<Change>) -> bool {
        let strangers = self.columns[1..].iter().filter(|column| !column.is_proven).count();
        if self.columns.len() < MAX_PARTIES && (is_proven || strangers < MAX_STRANGERS) {
            return true;
        }
        // The first is there for ever.
        let idle = |column: &Column| column.arrows == 0 && (is_proven || !column.is_proven);
        let Some(at) = self.columns[1..].iter().position(idle) else { return false };
        self.remove(at + 1, changes);
        true
    }

    fn add(&mut self, role: Role, address: Option<SocketAddrV4>) -> usize {
        let id = PartyId(self.next);
        self.next = self.next.wrapping_add(1).max(1);
        let is_node = address.is_some_and(|address| address.port() == NODE_PORT);
        let name = address.map_or_else(|| OTHERS.to_owned(), |address| address.to_string());
        let role = if is_node { Role::Node } else { role };
        self.columns.push(Column::new(Party { id, role, name, address }));
        self.columns.len() - 1
    }

    fn remove(&mut self, at: usize, changes: &mut Vec<Change>) {
        changes.push(Change::Gone(self.columns.remove(at).party.id));
    }
}

impl Column {
    fn new(party: Party) -> Self {
        Self { party, users: Vec::new(), domains: Vec::new(), has_more: false, is_proven: false, arrows: 0 }
    }

    /// Whether it has another role or name by what `hint` says.
    fn learn(&mut self, hint: Hint) -> bool {
        self.is_proven |= hint.is_proven;
        // What a stranger says changes nothing about one who is known.
        let role = hint.role.filter(|_| hint.is_proven || !self.is_proven || self.is_nameless());
        let role = role.unwrap_or(self.party.role);
        let before = (self.party.role, self.party.name.clone());
        self.party.role = role;
        if let Some(user) = hint.user.filter(|user| role == Role::Agent && !self.users.contains(user)) {
            if self.users.len() < MAX_NAMES {
                self.users.push(user);
            } else {
                self.has_more = true;
            }
        }
        if let Some(domain) =
            hint.domain.filter(|domain| role == Role::Node && !self.domains.contains(domain))
        {
            if self.domains.len() < MAX_NAMES { self.domains.push(domain) } else { self.has_more = true }
        }
        self.party.name = self.name();
        before != (self.party.role, self.party.name.clone())
    }

    fn is_nameless(&self) -> bool {
        self.users.is_empty() && self.domains.is_empty()
    }

    fn name(&self) -> String {
        let mut names: Vec<_> = if self.party.role == Role::Node {
            self.domains.iter().map(|domain| shown(domain.as_str())).collect()
        } else {
            self.users.iter().map(|user| shown(user.as_str())).collect()
        };
        if names.is_empty() {
            return self.party.address.map(|address| address.to_string()).unwrap_or_default();
        }
        if self.has_more {
            names.push("…".into());
        }
        names.join(", ")
    }
}

/// The most columns: many more than can be looked at together, few enough to be gone through for each message.
pub(crate) const MAX_PARTIES: usize = 64;

/// The most columns of those whom the one whose log it is has not answered: enough for who has just begun, too few to
/// hide the others among them.
pub(crate) const MAX_STRANGERS: usize = 8;

/// The most names of one party. One has one; a program that tests may use a socket for several.
const MAX_NAMES: usize = 3;

const OTHERS: &str = "others";

/// Whose log it is, as long as nothing tells.
const UNKNOWN: &str = "?";
