//! The peers of past conversations, most recent first, in `contacts.json`: a list with one object each.
//!
//! ```text
//! {"address":"joya@cc.com","nickname":"Joya","way":"called","at":"2026-11-25T15:40:00Z"}
//! ```

use std::io;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use mi_agent_core::safe_text;
use plumi_proto::MiAddress;
use serde::{Deserialize, Serialize};

use super::file;
use super::folder::DataFolder;
use super::json::{as_text, as_texts, in_a_line};

/// The peers of past conversations. By default there are none, and no file to keep them in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Contacts {
    /// Most recent first.
    contacts: Vec<Contact>,
    path: Option<PathBuf>,
    /// The file could be neither read nor put aside.
    is_in_the_way: bool,
}

impl Contacts {
    /// Reads the contacts in `folder`. Without a file there are none.
    ///
    /// A file that cannot be read is put aside as `contacts.json.bad`, or with a number appended if that name is taken.
    /// There are no contacts then, and the text has the reason.
    pub(crate) fn load(folder: &DataFolder) -> (Self, Option<String>) {
        let path = folder.file("contacts.json");
        let read = file::read(&path, MAX_FILE).and_then(|text| {
            text.map_or(Ok(Vec::new()), |text| Ok(serde_json::from_slice::<Vec<Contact>>(&text)?))
        });
        match read {
            Ok(mut contacts) => {
                contacts.truncate(MAX_CONTACTS);
                (Self { contacts, path: Some(path), is_in_the_way: false }, None)
            }
            Err(error) => {
                let aside = file::put_aside(&path);
                let is_in_the_way = aside.is_err();
                let becomes = match aside {
                    Ok(()) => "it is put aside".to_owned(),
                    Err(error) => format!("it cannot be put aside: {error}"),
                };
                // The reason quotes the file, which may contain anything.
                let reason = error.to_string();
                let reason = safe_text(&reason);
                let why = format!("cannot read the contacts {}: {reason}; {becomes}", path.display());
                (Self { contacts: Vec::new(), path: Some(path), is_in_the_way }, Some(why))
            }
        }
    }

    /// Records a conversation with `address` that began `at` that time.
    ///
    /// Without a `nickname`, the previous one stays. The oldest contact is dropped if there are more than
    /// [`MAX_CONTACTS`].
    pub(crate) fn met(&mut self, address: MiAddress, nickname: Option<&str>, way: Way, at: Timestamp) {
        let known = self.contacts.iter().position(|contact| contact.address == address);
        let known = known.map(|index| self.contacts.remove(index));
        let nickname = nickname.map(str::to_owned).or_else(|| known?.nickname);
        self.insert(Contact { address, nickname, way, at, missed: Vec::new() });
    }

    /// Records a call of `address` that was not taken. Returns whether it is another one than the last.
    ///
    /// An agent first asks for the user, and may then call all the same.
    pub(crate) fn missed(&mut self, address: MiAddress, at: Timestamp) -> bool {
        let known = self.contacts.iter().position(|contact| contact.address == address);
        let known = known.map(|index| self.contacts.remove(index));
        let new = Contact { address, nickname: None, way: Way::CalledBy, at, missed: Vec::new() };
        let mut contact = known.unwrap_or(new);
        let is_same = contact.missed.last().is_some_and(|last| at.duration_since(*last) < SAME_CALL);
        if !is_same {
            if contact.missed.len() == MAX_MISSED {
                contact.missed.remove(0);
            }
            contact.missed.push(at);
        }
        self.insert(contact);
        !is_same
    }

    /// Adds `address`, unless it is a contact already. Returns whether it was added.
    pub(crate) fn add(&mut self, address: MiAddress, at: Timestamp) -> bool {
        let is_new = self.contacts.iter().all(|contact| contact.address != address);
        if is_new {
            self.insert(Contact { address, nickname: None, way: Way::Added, at, missed: Vec::new() });
        }
        is_new
    }

    /// Removes the contact with this index, if there is one.
    pub(crate) fn remove(&mut self, index: usize) {
        if index < self.contacts.len() {
            self.contacts.remove(index);
        }
    }

    fn insert(&mut self, contact: Contact) {
        self.contacts.insert(0, contact);
        self.contacts.truncate(MAX_CONTACTS);
    }

    /// Iterates over the contacts, most recent first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter()
    }

    /// Writes the contacts to disk.
    ///
    /// # Errors
    /// Those of the operating system; an old file that could be neither read nor put aside. The old file is unchanged
    /// then.
    pub(crate) fn save(&self) -> io::Result<()> {
        if self.is_in_the_way {
            return Err(io::Error::other("the contacts that could not be read are still there"));
        }
        let path = self.path.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let contacts = self.contacts.iter().map(in_a_line).collect::<io::Result<Vec<_>>>()?;
        file::replace(path, format!("[\n{}\n]\n", contacts.join(",\n")).as_bytes())
    }
}

/// A peer of a past conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contact {
    #[serde(with = "as_text")]
    pub(crate) address: MiAddress,
    /// The nickname as it was received; show it only as [`safe_text`].
    pub(crate) nickname: Option<String>,
    /// The direction of the last call.
    pub(crate) way: Way,
    /// The time of the last call.
    #[serde(with = "as_text")]
    pub(crate) at: Timestamp,
    /// The times of calls since then that were not taken, the last [`MAX_MISSED`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "as_texts")]
    pub(crate) missed: Vec<Timestamp>,
}

/// The origin of a contact: the side that began a conversation, or the user, who added it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    Called,
    CalledBy,
    Added,
}

/// The most contacts, more than anybody looks through.
pub(crate) const MAX_CONTACTS: usize = 500;

/// The most missed calls of a contact that are kept.
pub(crate) const MAX_MISSED: usize = 5;

/// The time within which two missed calls of somebody are one. An agent reports an asker once a minute.
const SAME_CALL: SignedDuration = SignedDuration::from_secs(30);

/// The most bytes of the file, several times what [`MAX_CONTACTS`] need.
const MAX_FILE: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> (tempfile::TempDir, DataFolder) {
        let (data, folder) = DataFolder::temporary();
        super::super::folder::make(&folder.file("")).unwrap();
        (data, folder)
    }

    fn at(second: usize) -> Timestamp {
        Timestamp::from_second(1_795_621_200 + i64::try_from(second).unwrap()).unwrap()
    }

    fn address(text: &str) -> MiAddress {
        text.parse().unwrap()
    }

    #[test]
    fn the_most_recent_is_first_and_all_are_there_again() {
        let (_data, folder) = folder();
        let (mut contacts, why) = Contacts::load(&folder);
        assert_eq!((contacts.iter().count(), why), (0, None));
        contacts.met(address("joya@cc.com"), Some("Joya"), Way::Called, at(0));
        contacts.met(address("pere@bb.com"), None, Way::CalledBy, at(1));
        contacts.met(address("joya@CC.com"), None, Way::CalledBy, at(2));
        contacts.met(address("pere@bb.com"), Some("\u{1b}[2J"), Way::Called, at(1));
        contacts.save().unwrap();
        assert_eq!(
            fs::read_to_string(folder.file("contacts.json")).unwrap(),
            "[\n{\"address\":\"pere@bb.com\",\"nickname\":\"\\u001b[2J\",\"way\":\"called\",\"at\":\"2026-11-25T15:40:01Z\"},\n\
            {\"address\":\"joya@CC.com\",\"nickname\":\"Joya\",\"way\":\"called-by\",\"at\":\"2026-11-25T15:40:02Z\"}\n]\n"
        );
        let (again, why) = Contacts::load(&folder);
        assert_eq!((&again.contacts, why), (&contacts.contacts, None));
    }

    #[test]
    fn missed_calls_are_kept_until_there_is_a_conversation() {
        let (_data, folder) = folder();
        let (mut contacts, _) = Contacts::load(&folder);
        let joya = address("joya@cc.com");
        assert!(contacts.add(joya, at(0)) && !contacts.add(joya, at(0)));
        contacts.add(address("pere@bb.com"), at(1));
        assert!(contacts.missed(joya, at(60)));
        assert!(!contacts.missed(joya, at(61)), "the call after the question");
        for n in 2..=MAX_MISSED + 1 {
            assert!(contacts.missed(joya, at(60 * n)));
        }
        contacts.save().unwrap();
        let (mut again, why) = Contacts::load(&folder);
        assert_eq!((&again.contacts, why), (&contacts.contacts, None));
        let first = again.iter().next().unwrap();
        assert_eq!((first.address, first.missed.len(), first.missed[0]), (joya, MAX_MISSED, at(120)));
        again.met(joya, Some("Joya"), Way::Called, at(1_000));
        assert_eq!(again.iter().next().unwrap().missed, []);
        again.remove(0);
        again.remove(7);
        assert_eq!(again.iter().map(|contact| contact.address).collect::<Vec<_>>(), [address("pere@bb.com")]);
    }

    #[test]
    fn the_oldest_goes_and_the_largest_file_is_read() {
        let (_data, folder) = folder();
        let (mut contacts, _) = Contacts::load(&folder);
        for number in 0..=MAX_CONTACTS {
            let longest = format!("{number:027}@cc.com.x");
            contacts.met(address(&longest), Some(&"\u{1}".repeat(99)), Way::CalledBy, at(number));
        }
        assert_eq!(contacts.iter().count(), MAX_CONTACTS);
        assert!(contacts.iter().all(|contact| contact.at > at(0)));
        contacts.save().unwrap();
        let (again, why) = Contacts::load(&folder);
        assert_eq!((again.contacts, why), (contacts.contacts, None));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_kept_aside() {
        let (_data, folder) = folder();
        let path = folder.file("contacts.json");
        for (text, aside) in [
            ("[{}]", "contacts.json.bad"),
            ("[", "contacts.json.bad.2"),
            ("", "contacts.json.bad.3"),
            (r#"[{"way":"\u001b[2J"}]"#, "contacts.json.bad.4"),
        ] {
            fs::write(&path, text).unwrap();
            let (mut contacts, why) = Contacts::load(&folder);
            let why = why.unwrap();
            assert!(why.starts_with(&format!("cannot read the contacts {}: ", path.display())), "{why}");
            assert!(why.ends_with("; it is put aside") && !why.contains(char::is_control), "{why:?}");
            assert_eq!(fs::read_to_string(folder.file(aside)).unwrap(), text);
            contacts.met(address("joya@cc.com"), None, Way::Called, at(0));
            contacts.save().unwrap();
            assert_eq!(Contacts::load(&folder).0.iter().count(), 1);
        }
    }

    #[test]
    fn a_file_that_is_in_the_way_is_not_written_over() {
        let (_data, folder) = folder();
        for number in 1..=10 {
            let suffix = if number > 1 { format!(".{number}") } else { String::new() };
            fs::write(folder.file(&format!("contacts.json.bad{suffix}")), "").unwrap();
        }
        fs::write(folder.file("contacts.json"), "precious").unwrap();
        let (contacts, why) = Contacts::load(&folder);
        assert!(why.unwrap().ends_with("it cannot be put aside: 10 of them are put aside already"));
        contacts.save().unwrap_err();
        assert_eq!(fs::read_to_string(folder.file("contacts.json")).unwrap(), "precious");
    }
}
