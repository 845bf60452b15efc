//! The decisions about callers, without a socket and without a clock: which connections are waited for, which
//! callers reach the program, and whether the agent is busy.

use std::net::IpAddr;

use super::admission::Refusal;
use super::connection_slots::{CallerId, ConnectionSlots};

/// The connections of callers that have no conversation.
///
/// A connection takes a slot with [`AcceptorState::handle_connected`] when it has its turn (see
/// [`Turns`](super::turns::Turns)), until
/// [`AcceptorState::handle_greeted`]. One that ends without a conversation takes another with
/// [`AcceptorState::handle_leaving`]. [`AcceptorState::handle_gone`] is the last call for every connection.
#[derive(Debug)]
pub struct AcceptorState {
    /// The callers without a nickname so far.
    waiting: ConnectionSlots,
    /// The connections that are being ended.
    leaving: ConnectionSlots,
    connected: u64,
}

/// The facts on which a decision about a caller depends, apart from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The agent ends, and takes no more callers.
    pub ends: bool,
    /// There is room for another conversation.
    pub has_slot: bool,
    /// There is room for the event of a caller, and the program reads events.
    pub is_heard: bool,
}

/// The decision about a caller with a nickname.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<R> {
    /// The program decides. The caller has this room.
    Ask(R),
    /// The caller hears that the user is busy.
    Refuse(Refusal),
    /// The connection ends in order.
    LetGo,
}

impl AcceptorState {
    /// Creates the slots of an agent that nobody calls.
    pub fn new() -> Self {
        Self {
            waiting: ConnectionSlots::new(MAX_WAITING, MAX_WAITING_OF_ONE_IP),
            leaving: ConnectionSlots::new(MAX_LEAVING, MAX_LEAVING),
            connected: 0,
        }
    }

    /// Handles a connection from `ip` when its turn has come. Returns its caller, and the one that loses its
    /// slot.
    ///
    /// Give up the greeting of a caller that loses its slot, unless its nickname has come.
    pub fn handle_connected(&mut self, ip: IpAddr) -> (CallerId, Option<CallerId>) {
        let caller = self.new_caller();
        (caller, self.waiting.take(caller, ip))
    }

    /// Returns the caller of a connection that takes no slot: its nickname has come before its turn, or it
    /// has no turn.
    pub fn new_caller(&mut self) -> CallerId {
        self.connected += 1;
        CallerId(self.connected)
    }

    /// Records that the greeting of `caller` is over, whether or not its nickname has come.
    pub fn handle_greeted(&mut self, caller: CallerId) {
        self.waiting.give_back(caller);
    }

    /// Records that the connection of `caller` is being ended. Returns the caller that loses its slot.
    ///
    /// Close the connection of a caller that loses its slot as it is.
    pub fn handle_leaving(&mut self, caller: CallerId, ip: IpAddr) -> Option<CallerId> {
        self.waiting.give_back(caller);
        self.leaving.take(caller, ip)
    }

    /// Records that the connection of `caller` is closed, or has become a conversation.
    pub fn handle_gone(&mut self, caller: CallerId) {
        self.waiting.give_back(caller);
        self.leaving.give_back(caller);
    }

    /// Returns the number of callers that have a slot: those without a nickname, and those that leave.
    pub fn taken(&self) -> [usize; 2] {
        [self.waiting.len(), self.leaving.len()]
    }
}

impl Default for AcceptorState {
    fn default() -> Self {
        Self::new()
    }
}

impl Capacity {
    /// Returns whether location requests for the user are answered with "busy". As callers, they would be
    /// refused.
    pub fn is_busy(self) -> bool {
        self.ends || !self.has_slot || !self.is_heard
    }

    /// Decides about a caller that may not call for the reason `refusal`, if there is one.
    ///
    /// The end of the agent comes first: no caller is reported then. A caller that may not call is refused
    /// for that reason, whether or not the user is busy. Only for others, `take_room` takes the room of a
    /// conversation and of its event, or returns what was left: a refused caller makes the agent busy for
    /// nobody.
    pub fn decide<R>(
        self,
        refusal: Option<Refusal>,
        take_room: impl FnOnce() -> Result<R, Self>,
    ) -> Verdict<R> {
        if self.ends {
            return Verdict::LetGo;
        }
        if let Some(reason) = refusal {
            return Verdict::Refuse(reason);
        }
        match take_room() {
            Ok(room) => Verdict::Ask(room),
            Err(Self { ends: true, .. }) => Verdict::LetGo,
            Err(_) => Verdict::Refuse(Refusal::Busy),
        }
    }
}

/// The limit of connections without a nickname: many more than honest callers need at a time.
pub(crate) const MAX_WAITING: usize = 8;

/// The limit for one IP address, which a whole household may share.
pub(crate) const MAX_WAITING_OF_ONE_IP: usize = 2;

/// The limit of connections that are being ended: a small part of the files that a process may open.
pub(crate) const MAX_LEAVING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Capacity = Capacity { ends: false, has_slot: true, is_heard: true };
    const FULL: Capacity = Capacity { has_slot: false, ..FREE };
    const UNHEARD: Capacity = Capacity { is_heard: false, ..FREE };
    const ENDING: Capacity = Capacity { ends: true, ..FREE };

    #[test]
    fn the_first_reason_counts() {
        let takes = || Ok(());
        assert_eq!(FREE.decide(None, takes), Verdict::Ask(()));
        for full in [FULL, UNHEARD] {
            assert_eq!(full.decide(None, || Err::<(), _>(full)), Verdict::Refuse(Refusal::Busy));
        }
        let untouched = || -> Result<(), Capacity> { unreachable!("it takes no room") };
        assert_eq!(FULL.decide(Some(Refusal::Blocked), untouched), Verdict::Refuse(Refusal::Blocked));
        assert_eq!(ENDING.decide(Some(Refusal::Blocked), untouched), Verdict::LetGo);
        assert_eq!(FREE.decide(None, || Err::<(), _>(ENDING)), Verdict::LetGo, "it ends meanwhile");
    }

    #[test]
    fn an_agent_is_busy_if_it_would_refuse_a_caller() {
        assert!(!FREE.is_busy());
        for busy in [FULL, UNHEARD, ENDING] {
            assert!(busy.is_busy(), "{busy:?}");
        }
    }

    #[test]
    fn a_caller_has_one_slot_at_a_time() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let mut state = AcceptorState::new();
        let (caller, _) = state.handle_connected(ip);
        assert_eq!(state.taken(), [1, 0]);
        assert_eq!(state.handle_leaving(caller, ip), None);
        assert_eq!(state.taken(), [0, 1]);
        state.handle_gone(caller);
        assert_eq!(state.taken(), [0, 0]);
        let (caller, _) = state.handle_connected(ip);
        state.handle_greeted(caller);
        assert_eq!(state.taken(), [0, 0]);
    }
}
