//! The rules for admitting callers.

use std::collections::HashSet;

use plumi_proto::MiAddress;

use crate::security::Security;

/// The users that may call a user: by default everybody.
///
/// A caller that may not call gets the same answer as everybody while the user is in a conversation: busy. A
/// caller is recognized by the address that asked for the user just before. Nobody proves that address, so a
/// block keeps out only callers that do not hide.
///
/// ```
/// use mi_agent_core::{Admission, Refusal};
/// use plumi_proto::MiAddress;
///
/// let (laura, joya): (MiAddress, MiAddress) = ("laura@bb.com".parse()?, "joya@cc.com".parse()?);
/// let mut admission = Admission::default();
/// assert_eq!(admission.refusal(Some(&joya)), None);
/// admission.block(joya)?;
/// assert_eq!(admission.refusal(Some(&joya)), Some(Refusal::Blocked));
/// admission.unblock(&joya);
/// admission.allow_only([laura])?;
/// assert_eq!(admission.refusal(Some(&laura)), None);
/// assert_eq!(admission.refusal(Some(&joya)), Some(Refusal::NotAllowed));
/// assert_eq!(admission.refusal(None), Some(Refusal::NotAllowed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    blocked: HashSet<MiAddress>,
    /// `None` is everybody.
    allowed: Option<HashSet<MiAddress>>,
}

/// The reason for answering a caller that the user is busy. Continues "joya@cc.com was refused: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The user has as many conversations as there may be.
    #[error("you are busy")]
    Busy,
    /// The user has blocked the caller.
    #[error("blocked")]
    Blocked,
    /// Only some may call, and the caller is none of them, or not known.
    #[error("not among those who may call")]
    NotAllowed,
    /// The call is not as secure as it must be: at this level.
    #[error("{}", of_level(*.security, *.is_encrypted))]
    NotSecure {
        /// The level.
        security: Security,
        /// The call is encrypted, with a key that is not enough.
        is_encrypted: bool,
    },
    /// The words of the user's key were compared, and the call does not show it.
    #[error("the call does not show the key that was verified")]
    Unproved,
    /// Another key is known of the asker.
    #[error("somebody called as {0} with another key")]
    KeyChanged(MiAddress),
    /// The call shows this agent's own key.
    #[error("the call shows your own key")]
    OwnKey,
}

impl Refusal {
    /// Returns the line that the caller hears. Only about keys and encryption it hears the reason: a blocked
    /// one need not know the difference.
    pub(super) fn line(&self) -> String {
        match self {
            Self::NotSecure { security, is_encrypted } => of_level(*security, *is_encrypted),
            Self::KeyChanged(address) => format!("{KEY}another one is known here for {address}"),
            Self::OwnKey => format!("{KEY}it is this agent's own"),
            Self::Busy | Self::Blocked | Self::NotAllowed | Self::Unproved => BUSY.to_owned(),
        }
    }

    /// Returns whether `line` is one with which an agent of this library refuses a call.
    pub(super) fn is_line(line: &str, is_encrypted: bool) -> bool {
        line == BUSY || is_encrypted && line.starts_with(KEY) || is_of_level(line)
    }
}

fn of_level(security: Security, is_encrypted: bool) -> String {
    match is_encrypted {
        true => format!("{TAKES}{security} keys{ONLY}"),
        false => format!("{TAKES}encrypted calls{ONLY}"),
    }
}

/// Returns whether `line` says that a call is not as secure as its callee wants it.
pub(crate) fn is_of_level(line: &str) -> bool {
    line.strip_prefix(TAKES).is_some_and(|rest| rest.ends_with(ONLY))
}

/// The line for a refused caller.
const BUSY: &str = "busy: in another conversation, please call again later";

/// The beginning of a line about the caller's key.
pub(crate) const KEY: &str = "key: ";

/// The beginning and the end of a line about the level.
const TAKES: &str = "this agent takes ";
const ONLY: &str = " only";

impl Admission {
    /// Blocks `address`: it may not call, even if it is on the list of allowed callers. Returns `false` if it
    /// is blocked already.
    ///
    /// # Errors
    /// [`AdmissionFull`]; it is not blocked.
    pub fn block(&mut self, address: MiAddress) -> Result<bool, AdmissionFull> {
        if self.blocked.len() >= MAX_ADMISSION_ENTRIES && !self.blocked.contains(&address) {
            return Err(AdmissionFull);
        }
        Ok(self.blocked.insert(address))
    }

    /// Unblocks `address`. Returns `false` if it is not blocked.
    pub fn unblock(&mut self, address: &MiAddress) -> bool {
        self.blocked.remove(address)
    }

    /// Allows only `addresses` to call, in place of the previous list. With none, nobody may call.
    ///
    /// # Errors
    /// [`AdmissionFull`]; nothing has changed.
    pub fn allow_only(
        &mut self,
        addresses: impl IntoIterator<Item = MiAddress>,
    ) -> Result<(), AdmissionFull> {
        let mut allowed = HashSet::new();
        for address in addresses {
            allowed.insert(address);
            if allowed.len() > MAX_ADMISSION_ENTRIES {
                return Err(AdmissionFull);
            }
        }
        self.allowed = Some(allowed);
        Ok(())
    }

    /// Allows everybody to call, except blocked users.
    pub fn allow_everybody(&mut self) {
        self.allowed = None;
    }

    /// Returns the blocked users, in the order of their texts.
    pub fn blocked(&self) -> impl Iterator<Item = MiAddress> {
        sorted(&self.blocked)
    }

    /// Returns the only users that may call, in the order of their texts; `None` is everybody.
    pub fn allowed(&self) -> Option<impl Iterator<Item = MiAddress>> {
        self.allowed.as_ref().map(sorted)
    }

    /// Returns the reason why a caller that is one of `candidates` may not call, or `None` if each of them
    /// may. With none, it is an unknown caller.
    pub fn refusal_among(&self, candidates: &[MiAddress]) -> Option<Refusal> {
        if candidates.is_empty() {
            return self.refusal(None);
        }
        candidates.iter().find_map(|candidate| self.refusal(Some(candidate)))
    }

    /// Returns the reason why `caller` may not call, or `None` if it may. An unknown caller may, unless only
    /// some may.
    pub fn refusal(&self, caller: Option<&MiAddress>) -> Option<Refusal> {
        let is_in = |addresses: &HashSet<MiAddress>| caller.is_some_and(|caller| addresses.contains(caller));
        if is_in(&self.blocked) {
            Some(Refusal::Blocked)
        } else if self.allowed.as_ref().is_some_and(|allowed| !is_in(allowed)) {
            Some(Refusal::NotAllowed)
        } else {
            None
        }
    }
}

fn sorted(addresses: &HashSet<MiAddress>) -> impl Iterator<Item = MiAddress> + use<> {
    let mut addresses: Vec<_> = addresses.iter().copied().collect();
    addresses.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    addresses.into_iter()
}

/// There are [`MAX_ADMISSION_ENTRIES`] addresses already, and one more does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no more than {MAX_ADMISSION_ENTRIES} addresses can be blocked or allowed")]
pub struct AdmissionFull;

/// Addresses that may be blocked, and those that may be allowed: more than a person keeps in order, and still
/// nothing to copy.
pub const MAX_ADMISSION_ENTRIES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> MiAddress {
        format!("u{number}@bb.com").parse().unwrap()
    }

    #[test]
    fn a_block_holds_whoever_is_allowed() {
        let mut admission = Admission::default();
        let joya = "joya@cc.com".parse().unwrap();
        assert_eq!(admission.block(joya), Ok(true));
        assert_eq!(admission.block("joya@CC.com.".parse().unwrap()), Ok(false), "the same domain");
        admission.allow_only([joya, address(1)]).unwrap();
        assert_eq!(admission.refusal(Some(&"joya@Cc.com".parse().unwrap())), Some(Refusal::Blocked));
        assert_eq!(admission.refusal(Some(&"Joya@cc.com".parse().unwrap())), Some(Refusal::NotAllowed));
        assert_eq!(admission.refusal(Some(&address(1))), None);
        admission.allow_everybody();
        assert_eq!(admission.refusal(Some(&joya)), Some(Refusal::Blocked));
        assert_eq!(admission.refusal(None), None);
        assert!(admission.unblock(&joya));
        assert!(!admission.unblock(&joya));
        assert_eq!(admission, Admission::default());
        admission.allow_only([]).unwrap();
        assert_eq!(admission.refusal(Some(&joya)), Some(Refusal::NotAllowed));
    }

    #[test]
    fn each_candidate_has_to_be_one_who_may_call() {
        let [laura, joya, joan] = [1, 2, 3].map(address);
        let mut admission = Admission::default();
        assert_eq!(admission.refusal_among(&[laura, joya]), None);
        admission.block(joya).unwrap();
        assert_eq!(admission.refusal_among(&[laura, joya]), Some(Refusal::Blocked));
        assert_eq!(admission.refusal_among(&[joya, laura]), Some(Refusal::Blocked));
        assert_eq!(admission.refusal_among(&[laura, joan]), None);
        assert_eq!(admission.refusal_among(&[]), None);
        admission.allow_only([laura, joan]).unwrap();
        assert_eq!(admission.refusal_among(&[laura, joan]), None);
        assert_eq!(admission.refusal_among(&[laura, address(4)]), Some(Refusal::NotAllowed));
        assert_eq!(admission.refusal_among(&[]), Some(Refusal::NotAllowed));
    }

    #[test]
    fn lists_are_in_order_and_have_a_bound() {
        let mut admission = Admission::default();
        assert!(admission.allowed().is_none());
        for number in (0..MAX_ADMISSION_ENTRIES).rev() {
            assert_eq!(admission.block(address(number)), Ok(true));
        }
        let full = admission.block(address(MAX_ADMISSION_ENTRIES)).unwrap_err();
        assert_eq!(full.to_string(), "no more than 1000 addresses can be blocked or allowed");
        assert_eq!(admission.block(address(7)), Ok(false));
        let blocked: Vec<_> = admission.blocked().map(|address| address.to_string()).collect();
        assert!(blocked.is_sorted() && blocked.len() == MAX_ADMISSION_ENTRIES);

        admission.allow_only([address(2), address(1), address(2)]).unwrap();
        admission.allow_only((0..=MAX_ADMISSION_ENTRIES).map(address)).unwrap_err();
        assert!(admission.allowed().unwrap().eq([address(1), address(2)]));
        admission.allow_only((0..MAX_ADMISSION_ENTRIES).map(address)).unwrap();
    }
}
