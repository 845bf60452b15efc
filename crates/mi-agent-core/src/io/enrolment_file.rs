//! The file that remembers which users a node asks for proofs.
//!
//! ```text
//! laura@bb.com 2026-11-29 ed25519 BASE64       day of the last proof or the enrolment; the node's key
//! laura@bb.com 2026-11-29                      the node has named no key
//! ```

use std::fs;
use std::io;
use std::path::PathBuf;

use plumi_proto::MiAddress;

use super::known_peers::replace;
use crate::key::PublicKey;
use crate::pin::Day;

/// A file that remembers, for each address of a user, that its node knows the user's key. It is beside the
/// identity.
///
/// An agent that finds itself in it asks for a challenge first, and reports a node that asks for no proof any
/// more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentFile(PathBuf);

/// A user's enrolment at the node of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enrolment {
    /// The day of the last proof, or of the enrolment.
    pub day: Day,
    /// The key that the node named when the user enrolled by an invitation.
    pub node_key: Option<PublicKey>,
}

impl EnrolmentFile {
    /// Names the file at `path`, where none needs to be: its folder exists.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns what the file says about `address`. A line that is wrong says nothing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, address: &MiAddress) -> io::Result<Option<Enrolment>> {
        let entries = self.entries()?;
        Ok(entries.into_iter().find(|(other, _)| other == address).map(|(_, enrolment)| enrolment))
    }

    /// Has the file say this about `address`. It is replaced as a whole.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn write(&self, address: &MiAddress, enrolment: Enrolment) -> io::Result<()> {
        let mut entries = self.entries()?;
        entries.retain(|(other, _)| other != address);
        entries.push((*address, enrolment));
        // A user has few addresses.
        let from = entries.len().saturating_sub(MAX_ENTRIES);
        let text: String =
            entries[from..].iter().map(|(address, enrolment)| line(address, enrolment)).collect();
        replace(&self.0, &text)
    }

    fn entries(&self) -> io::Result<Vec<(MiAddress, Enrolment)>> {
        match fs::read(&self.0) {
            Ok(text) => Ok(String::from_utf8_lossy(&text).lines().filter_map(parse_line).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

impl Enrolment {
    /// Returns this enrolment with a proof on `day`.
    pub(crate) fn proved(enrolment: Option<Self>, day: Day) -> Self {
        Self { day, node_key: enrolment.and_then(|enrolment| enrolment.node_key) }
    }

    pub(crate) fn of_node(key: PublicKey, day: Day) -> Self {
        Self { day, node_key: Some(key) }
    }
}

fn line(address: &MiAddress, enrolment: &Enrolment) -> String {
    let Enrolment { day, node_key } = enrolment;
    match node_key {
        Some(key) => format!("{address} {day} ed25519 {key}\n"),
        None => format!("{address} {day}\n"),
    }
}

fn parse_line(line: &str) -> Option<(MiAddress, Enrolment)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (address, day, node_key) = match words[..] {
        [address, day] => (address, day, None),
        [address, day, "ed25519", key] => (address, day, Some(key.parse().ok()?)),
        _ => return None,
    };
    Some((address.parse().ok()?, Enrolment { day: day.parse().ok()?, node_key }))
}

/// The most addresses that a file remembers.
const MAX_ENTRIES: usize = 256;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_read_for_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("enrolled");
        let file = EnrolmentFile::new(&path);
        let (laura, pere): (MiAddress, MiAddress) =
            ("laura@bb.com".parse().unwrap(), "pere@cc.com".parse().unwrap());
        assert_eq!(file.read(&laura).unwrap(), None, "there is no file");
        let key = PublicKey::from_bytes([1; 32]);
        let enrolled = Enrolment::of_node(key, "2026-11-29".parse().unwrap());
        file.write(&laura, enrolled).unwrap();
        file.write(&pere, Enrolment { node_key: None, ..enrolled }).unwrap();
        assert_eq!(file.read(&"laura@BB.com.".parse().unwrap()).unwrap(), Some(enrolled));
        let proved = Enrolment::proved(Some(enrolled), "2026-12-01".parse().unwrap());
        file.write(&laura, proved).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("pere@cc.com 2026-11-29\nlaura@bb.com 2026-12-01 ed25519 {key}\n")
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_line_that_is_wrong_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("enrolled");
        let file = EnrolmentFile::new(&path);
        let laura = "laura@bb.com".parse().unwrap();
        for wrong in ["", "laura@bb.com", "laura@bb.com 29-11", "laura@bb.com 2026-11-29 ed25519", "\u{0}"] {
            fs::write(&path, format!("{wrong}\n")).unwrap();
            assert_eq!(file.read(&laura).unwrap(), None, "{wrong}");
        }
        fs::write(&path, b"\xff\nlaura@bb.com 2026-11-29").unwrap();
        assert!(file.read(&laura).unwrap().is_some(), "the others hold");
        assert!(EnrolmentFile::new(folder.path()).read(&laura).is_err(), "a folder");
    }
}
