//! The number of users who are online, in all and at each socket.

use std::collections::HashMap;
use std::num::NonZeroU32;

use plumi_proto::UdpAddress;

/// Counts the users who are online.
#[derive(Debug, Default)]
pub(super) struct Online {
    count: usize,
    sockets: Option<Sockets>,
}

/// The users at each socket. They are counted only if there is a limit, since nobody else asks.
#[derive(Debug)]
struct Sockets {
    limit: NonZeroU32,
    /// No socket is here without users.
    users: HashMap<UdpAddress, u32>,
}

impl Online {
    /// Returns the number of users.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Handles a user who comes online at `address`.
    pub(super) fn came(&mut self, address: UdpAddress) {
        self.count += 1;
        if let Some(sockets) = &mut self.sockets {
            sockets.add(address);
        }
    }

    /// Handles a user who was online at `address`, and is not any more.
    pub(super) fn left(&mut self, address: UdpAddress) {
        self.count -= 1;
        if let Some(sockets) = &mut self.sockets {
            sockets.remove(address);
        }
    }

    /// Handles a user who moves from one address to another.
    pub(super) fn moved(&mut self, from: UdpAddress, to: UdpAddress) {
        if let Some(sockets) = &mut self.sockets {
            sockets.remove(from);
            sockets.add(to);
        }
    }

    /// Returns whether one user more may be online at `address`.
    pub(super) fn has_room(&self, address: UdpAddress) -> bool {
        let Some(Sockets { limit, users }) = &self.sockets else { return true };
        users.get(&address).is_none_or(|count| *count < limit.get())
    }

    /// Sets the limit of users at one socket. `addresses` are those of all users who are online; more than
    /// the limit stay so.
    pub(super) fn set_limit(
        &mut self,
        limit: Option<NonZeroU32>,
        addresses: impl Iterator<Item = UdpAddress>,
    ) {
        self.sockets = limit.map(|limit| {
            let mut sockets = Sockets { limit, users: HashMap::new() };
            addresses.for_each(|address| sockets.add(address));
            sockets
        });
    }
}

impl Sockets {
    fn add(&mut self, address: UdpAddress) {
        *self.users.entry(address).or_default() += 1;
    }

    fn remove(&mut self, address: UdpAddress) {
        if let Some(count) = self.users.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_without_users_is_forgotten() {
        let mut online = Online::default();
        let [one, other] = [1, 2].map(|port| UdpAddress::new([10, 0, 0, 1].into(), port));
        online.came(one);
        online.set_limit(NonZeroU32::new(1), [one].into_iter());
        online.came(other);
        assert!(!online.has_room(one) && !online.has_room(other));
        online.moved(one, other);
        assert_eq!(online.sockets.as_ref().map(|sockets| sockets.users.len()), Some(1));
        online.left(other);
        assert!(online.has_room(one) && !online.has_room(other), "the one who moved is left");
        online.left(other);
        assert_eq!(online.count(), 0);
        assert!(online.sockets.as_ref().is_some_and(|sockets| sockets.users.is_empty()));
    }
}
