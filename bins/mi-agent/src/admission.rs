//! The commands that decide whose calls are taken.

use mi_agent_core::{Admission, AdmissionFull};
use plumi_proto::MiAddress;

/// A change to the rules for calls, or the question what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AdmissionCommand {
    Ask,
    Block(MiAddress),
    Unblock(MiAddress),
    AllowOnly(Vec<MiAddress>),
    AllowEverybody,
}

impl AdmissionCommand {
    /// Changes `admission`, and returns a sentence about the result.
    ///
    /// # Errors
    /// There are too many addresses. Nothing is changed.
    pub(crate) fn carry_out(self, admission: &mut Admission) -> Result<String, AdmissionFull> {
        match self {
            Self::Ask => Ok(words(admission)),
            Self::Block(whom) => {
                admission.block(whom)?;
                Ok(format!(
                    "{whom} is blocked, and is told that you are busy; a conversation that has begun goes on"
                ))
            }
            Self::Unblock(whom) if admission.unblock(&whom) => Ok(format!("{whom} is blocked no longer")),
            Self::Unblock(whom) => Ok(format!("{whom} was not blocked")),
            Self::AllowOnly(these) => {
                admission.allow_only(these)?;
                Ok(words(admission))
            }
            Self::AllowEverybody => {
                admission.allow_everybody();
                Ok(words(admission))
            }
        }
    }
}

fn words(admission: &Admission) -> String {
    let list = |addresses: &mut dyn Iterator<Item = MiAddress>| {
        let addresses: Vec<_> = addresses.map(|address| address.to_string()).collect();
        if addresses.is_empty() { "nobody".to_owned() } else { addresses.join(", ") }
    };
    let blocked = list(&mut admission.blocked());
    match admission.allowed() {
        Some(mut allowed) => format!("blocked: {blocked}; calls are taken of {} only", list(&mut allowed)),
        None => format!("blocked: {blocked}; calls are taken of everybody else"),
    }
}
