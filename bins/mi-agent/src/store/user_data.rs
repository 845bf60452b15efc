//! The data of a user, as a program starts with it.

use mi_agent_core::Admission;
use plumi_proto::MiAddress;

use super::contacts::Contacts;
use super::folder::DataFolder;
use super::history::History;
use super::keeper::Keeper;
use super::rules::Rules;

/// The data of a user, and the thread that stores changes.
#[derive(Debug)]
pub(crate) struct UserData {
    pub(crate) admission: Admission,
    pub(crate) contacts: Contacts,
    pub(crate) keeper: Keeper,
    /// Reports about files that could not be read.
    pub(crate) troubles: Vec<String>,
}

impl UserData {
    /// Reads the data of the user at `own`. Lines of conversations are stored only `with_history`.
    ///
    /// Nothing is created on disk until there is something to store.
    ///
    /// # Errors
    /// The rules for calls cannot be read. The agent must not start then: a blocked user could call.
    pub(crate) fn open(own: &MiAddress, with_history: bool) -> anyhow::Result<Self> {
        let Some(folder) = DataFolder::of(own) else {
            let trouble = "nobody knows where data are, so nothing is kept; set HOME".into();
            let keeper = Keeper::start(None, None);
            let (admission, contacts) = Default::default();
            return Ok(Self { admission, contacts, keeper, troubles: vec![trouble] });
        };
        let (rules, admission) = Rules::load(&folder)?;
        let (contacts, trouble) = Contacts::load(&folder);
        let keeper = Keeper::start(Some(rules), with_history.then(|| History::of(&folder)));
        Ok(Self { admission, contacts, keeper, troubles: trouble.into_iter().collect() })
    }
}
