//! The decision about a caller whose nickname is known, before the program is asked.

use super::admission::Refusal;

/// The facts on which a decision about a caller depends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The agent ends, and takes no more callers.
    pub(crate) ends: bool,
    /// The reason why this caller may not call, if there is one.
    pub(crate) refusal: Option<Refusal>,
    /// There is room for another conversation.
    pub(crate) has_slot: bool,
    /// There is room for the event, and somebody who reads it.
    pub(crate) is_heard: bool,
}

/// The decision about a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The program decides.
    Ask,
    /// The caller hears that the user is busy.
    Refuse(Refusal),
    /// The connection ends in order.
    LetGo,
}

impl Call {
    /// Decides. The end of the agent comes first: nobody is told of a caller then. A caller who may not call is
    /// refused for that reason, whether or not the user is busy.
    pub(crate) fn decide(self) -> Verdict {
        match self {
            Self { ends: true, .. } => Verdict::LetGo,
            Self { refusal: Some(reason), .. } => Verdict::Refuse(reason),
            Self { has_slot: true, is_heard: true, .. } => Verdict::Ask,
            _ => Verdict::Refuse(Refusal::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts() {
        let free = Call { ends: false, refusal: None, has_slot: true, is_heard: true };
        assert_eq!(free.decide(), Verdict::Ask);
        let busy = Verdict::Refuse(Refusal::Busy);
        assert_eq!(Call { has_slot: false, ..free }.decide(), busy);
        assert_eq!(Call { is_heard: false, ..free }.decide(), busy);
        let blocked = Call { refusal: Some(Refusal::Blocked), has_slot: false, ..free };
        assert_eq!(blocked.decide(), Verdict::Refuse(Refusal::Blocked));
        assert_eq!(Call { ends: true, ..blocked }.decide(), Verdict::LetGo);
    }
}
