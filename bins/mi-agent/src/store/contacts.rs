//! The peers of past conversations, most recent first, in `contacts.json`: a list with one object each.
//!
//! ```text
//! {"address":"joya@cc.com","nickname":"Joya","way":"called","at":"2026-11-25T15:40:00Z"}
//! {"address":"eva@bb.com","nickname":"Eva","way":"called-by","at":"2026-11-25T15:39:00Z","only-called":true}
//! ```
//!
//! `"only-called":true` marks a peer that the user never called, answered or added. Anybody can call under
//! any name, so these peers have room of their own, and never take that of others.

use std::io;
use std::net::IpAddr;
use std::ops::Not;
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
    /// A file that cannot be read is put aside as `contacts.json.bad`, or with a number appended if that name
    /// is taken. There are no contacts then, and the text has the reason.
    pub(crate) fn load(folder: &DataFolder) -> (Self, Option<String>) {
        let path = folder.file("contacts.json");
        let read = file::read(&path, MAX_FILE).and_then(|text| {
            text.map_or(Ok(Vec::new()), |text| Ok(serde_json::from_slice::<Vec<Contact>>(&text)?))
        });
        match read {
            Ok(read) => {
                let mut contacts = Self { contacts: Vec::new(), path: Some(path), is_in_the_way: false };
                read.into_iter().rev().for_each(|contact| contacts.insert(contact));
                (contacts, None)
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

    /// Records a conversation with `address` that began `at` that time; `remote` is the host of a caller.
    ///
    /// Without a `nickname`, the previous one stays.
    pub(crate) fn met(
        &mut self,
        address: MiAddress,
        nickname: Option<&str>,
        way: Way,
        remote: Option<IpAddr>,
        at: Timestamp,
    ) {
        let mut contact = self.take(address, at);
        contact.nickname = nickname.map(str::to_owned).or(contact.nickname);
        contact.only_called &= way == Way::CalledBy;
        self.insert(Contact { way, remote, at, missed: Vec::new(), ..contact });
    }

    /// Records a call of `address`, from `remote` if that is known, that was not taken. Returns whether it is
    /// another one than the last.
    ///
    /// An agent first asks for the user, and may then call regardless of the answer.
    pub(crate) fn missed(&mut self, address: MiAddress, remote: Option<IpAddr>, at: Timestamp) -> bool {
        let mut contact = self.take(address, at);
        contact.remote = remote.or(contact.remote);
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

    /// Records that the user said a line to `address`, a caller. Returns whether that is news.
    pub(crate) fn answered(&mut self, address: MiAddress, nickname: &str, at: Timestamp) -> bool {
        let is_new = !self.is_of_the_user(&address);
        if is_new {
            let mut contact = self.take(address, at);
            contact.nickname.get_or_insert_with(|| nickname.to_owned());
            self.insert(Contact { only_called: false, ..contact });
        }
        is_new
    }

    /// Adds `address`, unless the user has called, answered or added it already. Returns whether it was
    /// added.
    pub(crate) fn add(&mut self, address: MiAddress, at: Timestamp) -> bool {
        let is_new = !self.is_of_the_user(&address);
        if is_new {
            let contact = self.take(address, at);
            self.insert(Contact { way: Way::Added, only_called: false, ..contact });
        }
        is_new
    }

    /// Returns whether `address` is a contact that the user called, answered or added.
    pub(crate) fn is_of_the_user(&self, address: &MiAddress) -> bool {
        self.contacts.iter().any(|contact| contact.address == *address && !contact.only_called)
    }

    /// Removes the contact with this index, if there is one.
    pub(crate) fn remove(&mut self, index: usize) {
        if index < self.contacts.len() {
            self.contacts.remove(index);
        }
    }

    /// Takes the contact with this address out, or makes a new one of a peer that calls.
    fn take(&mut self, address: MiAddress, at: Timestamp) -> Contact {
        match self.contacts.iter().position(|contact| contact.address == address) {
            Some(index) => Contact { address, ..self.contacts.remove(index) },
            None => Contact {
                address,
                nickname: None,
                way: Way::CalledBy,
                at,
                missed: Vec::new(),
                only_called: true,
                remote: None,
            },
        }
    }

    /// Adds a contact as the most recent one. If there are too many of its kind, the oldest of them is
    /// dropped.
    fn insert(&mut self, contact: Contact) {
        let (only_called, remote) = (contact.only_called, contact.remote);
        self.contacts.insert(0, contact);
        if only_called {
            if remote.is_some() {
                self.keep(MAX_CALLERS_OF_ONE_REMOTE, |other| other.only_called && other.remote == remote);
            }
            self.keep(MAX_CALLERS, |other| other.only_called);
        } else {
            self.keep(MAX_CONTACTS, |other| !other.only_called);
        }
    }

    /// Keeps the `most` recent contacts of a kind, of which there is one more at the most.
    fn keep(&mut self, most: usize, is_of_kind: impl Fn(&Contact) -> bool) {
        let oldest = self.contacts.iter().enumerate().filter(|(_, other)| is_of_kind(other)).nth(most);
        if let Some((oldest, _)) = oldest {
            self.contacts.remove(oldest);
        }
    }

    /// Iterates over the contacts, most recent first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter()
    }

    /// Writes the contacts to disk.
    ///
    /// # Errors
    /// Those of the operating system; an old file that could be neither read nor put aside. The old file is
    /// unchanged then.
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
    /// The user has never called, answered or added it. Files of older versions do not say so of anybody.
    #[serde(default, rename = "only-called", skip_serializing_if = "Not::not")]
    only_called: bool,
    /// The host that it called from, while the program runs.
    #[serde(skip)]
    remote: Option<IpAddr>,
}

/// The origin of a contact: the side that began a conversation, or the user adding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    Called,
    CalledBy,
    Added,
}

/// The most contacts that the user called, answered or added, more than anybody looks through.
pub(crate) const MAX_CONTACTS: usize = 500;

/// The most contacts that only called: the callers of a busy day, which are still seen among the others.
const MAX_CALLERS: usize = 100;

/// The most of them that called from one host: more than share a host, and a tenth of the room.
const MAX_CALLERS_OF_ONE_REMOTE: usize = 10;

/// The most missed calls of a contact that are kept.
pub(crate) const MAX_MISSED: usize = 5;

/// The time within which two missed calls of somebody are one. An agent reports an asker once a minute.
const SAME_CALL: SignedDuration = SignedDuration::from_secs(30);

/// The most bytes of the file, several times what [`MAX_CONTACTS`] and [`MAX_CALLERS`] need.
const MAX_FILE: u64 = 2 << 20;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use proptest::prelude::*;

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
        contacts.met(address("joya@cc.com"), Some("Joya"), Way::Called, None, at(0));
        contacts.met(address("pere@bb.com"), None, Way::CalledBy, None, at(1));
        contacts.met(address("joya@CC.com"), None, Way::CalledBy, None, at(2));
        contacts.met(address("pere@bb.com"), Some("\u{1b}[2J"), Way::Called, None, at(1));
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
        assert!(contacts.missed(joya, None, at(60)));
        assert!(!contacts.missed(joya, None, at(61)), "the call after the question");
        for n in 2..=MAX_MISSED + 1 {
            assert!(contacts.missed(joya, None, at(60 * n)));
        }
        contacts.save().unwrap();
        let (mut again, why) = Contacts::load(&folder);
        assert_eq!((&again.contacts, why), (&contacts.contacts, None));
        let first = again.iter().next().unwrap();
        assert_eq!((first.address, first.missed.len(), first.missed[0]), (joya, MAX_MISSED, at(120)));
        again.met(joya, Some("Joya"), Way::Called, None, at(1_000));
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
            for (way, letter) in [(Way::Called, 'a'), (Way::CalledBy, 'b')] {
                let longest = format!("{letter}{number:026}@cc.com.x");
                contacts.met(address(&longest), Some(&"\u{1}".repeat(99)), way, None, at(number));
            }
        }
        let count = |way| contacts.iter().filter(|contact| contact.way == way).count();
        assert_eq!((count(Way::Called), count(Way::CalledBy)), (MAX_CONTACTS, MAX_CALLERS));
        assert!(contacts.iter().all(|contact| contact.at > at(0)));
        contacts.save().unwrap();
        let (again, why) = Contacts::load(&folder);
        assert_eq!((again.contacts, why), (contacts.contacts, None));
    }

    #[test]
    fn contacts_of_older_versions_stay_whoever_calls() {
        let (_data, folder) = folder();
        let line = |n| {
            format!(
                "{{\"address\":\"u{n}@cc.com\",\"nickname\":null,\"way\":\"called-by\",\"at\":\"2026-11-25T15:40:00Z\"}}"
            )
        };
        let lines: Vec<_> = (0..MAX_CONTACTS).map(line).collect();
        fs::write(folder.file("contacts.json"), format!("[{}]", lines.join(","))).unwrap();
        let (mut contacts, _) = Contacts::load(&folder);
        for n in 0..1_000 {
            contacts.met(address(&format!("x{n}@cc.com")), None, Way::CalledBy, None, at(n));
        }
        assert_eq!(
            contacts.iter().filter(|contact| contact.address.user().as_str().starts_with('u')).count(),
            MAX_CONTACTS
        );
        assert_eq!(contacts.iter().count(), MAX_CONTACTS + MAX_CALLERS);
    }

    /// A call, or something that the user does about a peer.
    #[derive(Clone, Copy, Debug)]
    enum Deed {
        Called,
        CalledBy(u8),
        Missed(Option<u8>),
        Answered,
        Added,
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            1 => Just(Deed::Called),
            9 => (0..30_u8).prop_map(Deed::CalledBy),
            4 => proptest::option::of(0..30_u8).prop_map(Deed::Missed),
            1 => Just(Deed::Answered),
            1 => Just(Deed::Added),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn callers_never_push_out_what_the_user_did(
            deeds in proptest::collection::vec((deed(), 0..400_usize), 0..2_000)
        ) {
            let mut contacts = Contacts::default();
            let mut of_the_user = BTreeSet::new();
            let host = |n: u8| IpAddr::from([10, 0, 0, n]);
            for (second, &(deed, who)) in deeds.iter().enumerate() {
                let (peer, now) = (address(&format!("u{who}@cc.com")), at(second));
                match deed {
                    Deed::Called => contacts.met(peer, None, Way::Called, None, now),
                    Deed::CalledBy(from) => {
                        contacts.met(peer, Some("x"), Way::CalledBy, Some(host(from)), now);
                    }
                    Deed::Missed(from) => _ = contacts.missed(peer, from.map(host), now),
                    Deed::Answered => _ = contacts.answered(peer, "x", now),
                    Deed::Added => _ = contacts.add(peer, now),
                }
                if matches!(deed, Deed::Called | Deed::Answered | Deed::Added) {
                    of_the_user.insert(who);
                }
            }
            let is_caller = |contact: &&Contact| contact.only_called;
            let own = contacts.iter().filter(|contact| !contact.only_called);
            let own: BTreeSet<_> = own.map(|contact| contact.address.to_string()).collect();
            let expected: BTreeSet<_> = of_the_user.iter().map(|who| format!("u{who}@cc.com")).collect();
            prop_assert_eq!(own, expected);
            prop_assert!(contacts.iter().filter(is_caller).count() <= MAX_CALLERS);
            for n in 0..30 {
                let from = |contact: &&Contact| contact.remote == Some(host(n));
                prop_assert!(contacts.iter().filter(is_caller).filter(from).count() <= MAX_CALLERS_OF_ONE_REMOTE);
            }
        }
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
            contacts.met(address("joya@cc.com"), None, Way::Called, None, at(0));
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
