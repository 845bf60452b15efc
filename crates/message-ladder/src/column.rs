//! The parties of a ladder, of which there are only so many.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use plumi_proto::{Domain, MiAddress, NODE_PORT, UdpAddress};

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
    columns: BTreeMap<PartyId, Column>,
    by_address: HashMap<UdpAddress, PartyId>,
    others: Option<PartyId>,
    /// Those that are not proven, of which there are only so many.
    strangers: BTreeSet<PartyId>,
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
        let columns = BTreeMap::from([(PartyId::THIS, Column::new(this))]);
        Self { columns, by_address: HashMap::new(), others: None, strangers: BTreeSet::new(), next: 1 }
    }

    /// The one whose log it is has another name.
    pub(crate) fn name_this(&mut self, name: String, changes: &mut Vec<Change>) {
        if let Some(this) = self.columns.get_mut(&PartyId::THIS) {
            this.party.name = name;
            changes.push(Change::Party(this.party.clone()));
        }
    }

    /// The party at `remote`, of which an arrow is to come that tells `hint`.
    pub(crate) fn of(&mut self, remote: UdpAddress, hint: Hint, changes: &mut Vec<Change>) -> PartyId {
        let known = self.by_address.get(&remote).copied();
        let id = match known {
            Some(id) => id,
            None if self.has_room(hint.is_proven, changes) => self.add(Role::Agent, Some(remote)),
            None => self.others.unwrap_or_else(|| self.add(Role::Others, None)),
        };
        let column = self.columns.get_mut(&id).expect("it is known, or was added just now");
        let is_new = column.arrows == 0 && known.is_none();
        column.arrows += 1;
        let has_changed = column.party.address.is_some() && column.learn(hint);
        if column.is_proven {
            self.strangers.remove(&id);
        }
        if is_new || has_changed {
            changes.push(Change::Party(column.party.clone()));
        }
        id
    }

    /// An arrow is kept no longer.
    pub(crate) fn release(&mut self, arrow: &Arrow, changes: &mut Vec<Change>) {
        let other = if arrow.sent { arrow.to } else { arrow.from };
        let Some(column) = self.columns.get_mut(&other) else { return };
        column.arrows -= 1;
        let is_idle = column.arrows == 0;
        if is_idle && (column.party.role == Role::Others || self.columns.len() > MAX_IDLE) {
            self.remove(other, changes);
        }
    }

    pub(crate) fn parties(&self) -> impl Iterator<Item = &Party> {
        self.columns.values().map(|column| &column.party)
    }

    pub(crate) fn party(&self, id: PartyId) -> Option<&Party> {
        self.columns.get(&id).map(|column| &column.party)
    }

    /// The users whom the party is known to be of.
    pub(crate) fn users(&self, id: PartyId) -> Vec<MiAddress> {
        self.columns.get(&id).map(|column| column.users.clone()).unwrap_or_default()
    }

    /// Whether there can be one more, if necessary after another one has gone. Strangers take no room from
    /// the others, who have as much as arrows that are kept need.
    fn has_room(&mut self, is_proven: bool, changes: &mut Vec<Change>) -> bool {
        if is_proven || self.strangers.len() < MAX_STRANGERS {
            return true;
        }
        let is_idle = |id: &&PartyId| self.columns.get(id).is_some_and(|column| column.arrows == 0);
        let idle = self.strangers.iter().find(is_idle).copied();
        if let Some(idle) = idle {
            self.remove(idle, changes);
        }
        idle.is_some()
    }

    fn add(&mut self, role: Role, address: Option<UdpAddress>) -> PartyId {
        let id = PartyId(self.next);
        self.next = self.next.wrapping_add(1).max(1);
        let is_node = address.is_some_and(|address| address.port() == NODE_PORT);
        let name = address.map_or_else(|| OTHERS.to_owned(), |address| address.to_string());
        match address {
            Some(address) => _ = self.by_address.insert(address, id),
            None => self.others = Some(id),
        }
        let role = if is_node { Role::Node } else { role };
        self.strangers.insert(id);
        self.columns.insert(id, Column::new(Party { id, role, name, address }));
        id
    }

    fn remove(&mut self, id: PartyId, changes: &mut Vec<Change>) {
        let Some(column) = self.columns.remove(&id) else { return };
        self.strangers.remove(&id);
        match column.party.address {
            Some(address) => _ = self.by_address.remove(&address),
            None => self.others = None,
        }
        changes.push(Change::Gone(id));
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

/// Beyond so many columns, none is kept that no arrow has. The others are no more than the arrows.
const MAX_IDLE: usize = 64;

/// The most columns of those whom the one whose log it is has not answered: enough for who has just begun, too few to
/// hide the others among them.
pub(crate) const MAX_STRANGERS: usize = 8;

/// The most names of one party. One has one; a program that tests may use a socket for several.
const MAX_NAMES: usize = 3;

const OTHERS: &str = "others";

/// Whose log it is, as long as nothing tells.
const UNKNOWN: &str = "?";
