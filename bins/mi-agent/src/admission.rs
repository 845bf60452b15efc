//! The commands that decide which calls are taken.

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
        (!addresses.is_empty()).then(|| addresses.join(", "))
    };
    let blocked = list(&mut admission.blocked());
    let allowed = admission.allowed().map(|mut allowed| list(&mut allowed).unwrap_or("nobody".into()));
    match (blocked, allowed) {
        (None, None) => "nobody is blocked".into(),
        (Some(blocked), None) => format!("blocked: {blocked}; everybody else may call"),
        (None, Some(allowed)) => format!("only these may call: {allowed}"),
        (Some(blocked), Some(allowed)) => format!("only these may call: {allowed}; blocked: {blocked}"),
    }
}
