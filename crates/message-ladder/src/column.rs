//! The parties of a ladder: users and nodes by name, and a bounded number of sockets without a name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use plumi_proto::{Domain, MiAddress, NODE_PORT, UdpAddress};

use crate::arrow::{Arrow, Change, Party, PartyId, Role};
use crate::text::shown;

/// The name of a party, of which there is one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    User(MiAddress),
    Node(Domain),
    /// The program `lumi-node check`.
    Check,
}

/// The information that a message gives about the other side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hint {
    pub(crate) role: Option<Role>,
    pub(crate) name: Option<Name>,
    /// The owner of the log accepts that the other side has this name.
    pub(crate) is_proven: bool,
    /// The other side asks for a registration or its end, or is answered: anyone may do that for any name.
    pub(crate) is_registration: bool,
}

impl Hint {
    /// Describes the side of `user`, seen from the node of `own`: its agent, or the node of its domain.
    pub(crate) fn of(user: MiAddress, own: Domain) -> Self {
        if user.domain() == own { Self::user(user) } else { Self::node(user.domain()) }
    }

    pub(crate) fn user(user: MiAddress) -> Self {
        Self { role: Some(Role::Agent), name: Some(Name::User(user)), ..Self::default() }
    }

    pub(crate) fn node(domain: Domain) -> Self {
        Self { role: Some(Role::Node), name: Some(Name::Node(domain)), ..Self::default() }
    }

    pub(crate) fn check() -> Self {
        Self { role: Some(Role::Check), name: Some(Name::Check), ..Self::default() }
    }

    pub(crate) fn proven(self, is_proven: bool) -> Self {
        Self { is_proven, ..self }
    }

    pub(crate) fn registration(self) -> Self {
        Self { is_registration: true, ..self }
    }
}

/// The parties, the owner of the log first.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    columns: BTreeMap<PartyId, Column>,
    by_name: HashMap<Name, PartyId>,
    /// The parties of each socket, the one that used it last at the end.
    by_address: HashMap<UdpAddress, Vec<Use>>,
    others: Option<PartyId>,
    /// The parties that are not proven, at most [`MAX_STRANGERS`].
    strangers: BTreeSet<PartyId>,
    next: u32,
}

/// A party at a socket.
#[derive(Clone, Copy, Debug)]
struct Use {
    party: PartyId,
    /// The owner of the log accepts that this party is there.
    is_proven: bool,
}

#[derive(Clone, Debug)]
struct Column {
    party: Party,
    /// The party as it was reported last.
    told: Option<Party>,
    name: Option<Name>,
    is_proven: bool,
    /// The number of kept arrows to and from it.
    arrows: usize,
    /// Its sockets, each with the number of kept arrows: those that have one, and the latest.
    sockets: HashMap<UdpAddress, usize>,
}

impl Columns {
    /// Creates the columns of a ladder without arrows.
    pub(crate) fn new(owner: String) -> Self {
        let name = if owner.is_empty() { UNKNOWN.to_owned() } else { owner };
        let this = Column::new(PartyId::THIS, Role::This, name, None);
        Self {
            columns: BTreeMap::from([(PartyId::THIS, this)]),
            by_name: HashMap::new(),
            by_address: HashMap::new(),
            others: None,
            strangers: BTreeSet::new(),
            next: 1,
        }
    }

    /// Gives the owner of the log another name.
    pub(crate) fn name_this(&mut self, name: String, changes: &mut Vec<Change>) {
        if let Some(this) = self.columns.get_mut(&PartyId::THIS) {
            this.party.name = name;
            changes.push(Change::Party(this.party.clone()));
        }
    }

    /// Returns the party of the next arrow, which is to or from `remote`. Its message gives `hint`.
    pub(crate) fn of(&mut self, remote: UdpAddress, hint: Hint, changes: &mut Vec<Change>) -> PartyId {
        let id = self.find(remote, hint, changes);
        let has_sockets = self.columns.get(&id).is_some_and(Column::has_sockets);
        let is_accepted = has_sockets && self.comes_from(id, remote, hint.is_proven);
        let column = self.columns.get_mut(&id).expect("it is known, or was added just now");
        column.arrows += 1;
        let left = if has_sockets { column.comes_from(remote, hint, is_accepted) } else { None };
        column.tell(changes);
        if column.is_proven {
            self.strangers.remove(&id);
        }
        if let Some(left) = left {
            self.forget(left, id);
        }
        id
    }

    /// Drops an arrow that is no longer kept.
    pub(crate) fn release(&mut self, arrow: &Arrow, changes: &mut Vec<Change>) {
        let other = if arrow.sent { arrow.to } else { arrow.from };
        let are_many = self.columns.len() > MAX_IDLE;
        let Some(column) = self.columns.get_mut(&other) else { return };
        column.arrows -= 1;
        if column.arrows == 0 && (!column.has_sockets() || are_many) {
            return self.remove(other, changes);
        }
        if column.leaves(arrow.remote) {
            column.tell(changes);
            self.forget(arrow.remote, other);
        }
    }

    pub(crate) fn parties(&self) -> impl Iterator<Item = &Party> {
        self.columns.values().map(|column| &column.party)
    }

    pub(crate) fn party(&self, id: PartyId) -> Option<&Party> {
        self.columns.get(&id).map(|column| &column.party)
    }

    /// Returns the user of a party, if it is known.
    pub(crate) fn user(&self, id: PartyId) -> Option<MiAddress> {
        match self.columns.get(&id)?.name? {
            Name::User(user) => Some(user),
            Name::Node(_) | Name::Check => None,
        }
    }

    /// Finds or adds the party at `remote`.
    ///
    /// A message is from or to the party that it names. At a socket with a proven user or node, this holds
    /// only for what is proven there too, and for registrations.
    fn find(&mut self, remote: UdpAddress, hint: Hint, changes: &mut Vec<Change>) -> PartyId {
        let here = self.by_address.get(&remote).map(Vec::as_slice).unwrap_or_default();
        let named = hint.name.and_then(|name| self.by_name.get(&name)).copied();
        let has_name =
            |party: &&Use| self.columns.get(&party.party).is_some_and(|column| column.name.is_some());
        let is_believed = hint.is_proven
            || hint.is_registration
            || here.iter().filter(has_name).all(|party| !party.is_proven)
            || here.iter().any(|party| party.is_proven && Some(party.party) == named);
        if let Some(name) = hint.name.filter(|_| is_believed) {
            if let Some(known) = named {
                return known;
            }
            let nameless = here.iter().rfind(|party| !has_name(party)).filter(|_| name != Name::Check);
            if let Some(nameless) = nameless.map(|party| party.party) {
                self.name(nameless, name);
                return nameless;
            }
            return self.add_if_room(remote, Some(name), hint.is_proven, changes);
        }
        let last = here.iter().rev().find(|party| party.is_proven).or(here.last());
        match last.map(|party| party.party) {
            Some(known) => known,
            None => self.add_if_room(remote, None, hint.is_proven, changes),
        }
    }

    /// Adds a party, or returns the one of all others.
    fn add_if_room(
        &mut self,
        remote: UdpAddress,
        name: Option<Name>,
        is_proven: bool,
        changes: &mut Vec<Change>,
    ) -> PartyId {
        if name == Some(Name::Check) {
            let id = self.add(Role::Check, CHECK.to_owned(), None);
            self.name(id, Name::Check);
            return id;
        }
        if !self.has_room(is_proven, changes) {
            if let Some(others) = self.others {
                return others;
            }
            let others = self.add(Role::Others, OTHERS.to_owned(), None);
            self.others = Some(others);
            return others;
        }
        let role = if remote.port() == NODE_PORT { Role::Node } else { Role::Agent };
        let id = self.add(role, remote.to_string(), Some(remote));
        self.strangers.insert(id);
        if let Some(name) = name {
            self.name(id, name);
        }
        id
    }

    fn add(&mut self, role: Role, name: String, address: Option<UdpAddress>) -> PartyId {
        let id = PartyId(self.next);
        self.next = self.next.wrapping_add(1).max(1);
        self.columns.insert(id, Column::new(id, role, name, address));
        id
    }

    /// Names a party that has no name so far.
    fn name(&mut self, id: PartyId, name: Name) {
        let Some(column) = self.columns.get_mut(&id) else { return };
        column.name = Some(name);
        (column.party.role, column.party.name) = match name {
            Name::User(user) => (Role::Agent, shown(user.as_str())),
            Name::Node(domain) => (Role::Node, shown(domain.as_str())),
            Name::Check => (Role::Check, CHECK.to_owned()),
        };
        self.by_name.insert(name, id);
    }

    /// Notes that the party uses this socket now. Returns whether it is proven there.
    fn comes_from(&mut self, id: PartyId, remote: UdpAddress, is_proven: bool) -> bool {
        let here = self.by_address.entry(remote).or_default();
        let known = here.iter().position(|party| party.party == id).map(|at| here.remove(at));
        let is_proven = is_proven || known.is_some_and(|known| known.is_proven);
        here.push(Use { party: id, is_proven });
        is_proven
    }

    /// Forgets that the party was at this socket.
    fn forget(&mut self, remote: UdpAddress, id: PartyId) {
        let Some(here) = self.by_address.get_mut(&remote) else { return };
        here.retain(|party| party.party != id);
        if here.is_empty() {
            self.by_address.remove(&remote);
        }
    }

    /// Returns whether there is room for another party, if necessary after another one has gone.
    ///
    /// Strangers take no room from proven parties, of which there are as many as the kept arrows need.
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

    fn remove(&mut self, id: PartyId, changes: &mut Vec<Change>) {
        let Some(column) = self.columns.remove(&id) else { return };
        self.strangers.remove(&id);
        column.sockets.keys().for_each(|&socket| self.forget(socket, id));
        column.name.and_then(|name| self.by_name.remove(&name));
        if self.others == Some(id) {
            self.others = None;
        }
        changes.push(Change::Gone(id));
    }
}

impl Column {
    fn new(id: PartyId, role: Role, name: String, address: Option<UdpAddress>) -> Self {
        let party = Party { id, role, name, address, addresses: 0 };
        Self { party, told: None, name: None, is_proven: false, arrows: 0, sockets: HashMap::new() }
    }

    /// Returns whether its sockets are known one by one.
    fn has_sockets(&self) -> bool {
        !matches!(self.party.role, Role::This | Role::Others | Role::Check)
    }

    /// Adds an arrow to or from `remote`, where the party `is_accepted` or not.
    ///
    /// Returns the socket that the party has left, if no arrow of it is kept either.
    fn comes_from(&mut self, remote: UdpAddress, hint: Hint, is_accepted: bool) -> Option<UdpAddress> {
        *self.sockets.entry(remote).or_default() += 1;
        self.is_proven |= hint.is_proven;
        if self.name.is_none() && hint.name.is_none() {
            self.party.role = hint.role.unwrap_or(self.party.role);
        }
        let mut left = None;
        if is_accepted || !self.is_proven {
            let earlier = self.party.address.replace(remote);
            left = earlier.filter(|earlier| self.sockets.get(earlier) == Some(&0));
        }
        if let Some(left) = left {
            self.sockets.remove(&left);
        }
        self.party.addresses = self.sockets.len();
        left
    }

    /// Drops an arrow to or from `remote`. Returns whether the party has left that socket.
    fn leaves(&mut self, remote: UdpAddress) -> bool {
        let Some(arrows) = self.sockets.get_mut(&remote) else { return false };
        *arrows -= 1;
        let has_left = *arrows == 0 && self.party.address != Some(remote);
        if has_left {
            self.sockets.remove(&remote);
            self.party.addresses = self.sockets.len();
        }
        has_left
    }

    /// Reports the party if it has changed.
    fn tell(&mut self, changes: &mut Vec<Change>) {
        if self.told.as_ref() != Some(&self.party) {
            self.told = Some(self.party.clone());
            changes.push(Change::Party(self.party.clone()));
        }
    }
}

/// The number of columns above which those without an arrow are dropped. The others are no more than the
/// arrows.
const MAX_IDLE: usize = 64;

/// The limit of columns of parties that the owner of the log has not answered: enough for newcomers, too few
/// to hide the others among them.
pub(crate) const MAX_STRANGERS: usize = 8;

const OTHERS: &str = "others";

const CHECK: &str = "lumi-node check";

/// The name of the owner of the log, as long as nothing shows it.
const UNKNOWN: &str = "?";
