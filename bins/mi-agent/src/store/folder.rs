//! The folder of a user, `mi-agent/ADDRESS` in the user's data, which no other user can read.
//!
//! ```text
//! contacts.json        peers of past conversations
//! rules.toml           rules for calls
//! history/             lines of past conversations, one file for each peer
//! outbox/              messages that wait for their receivers, one file for each peer
//! identity.pem         secret key of the user
//! enrolled             whether the node asks for a proof of that key
//! known_peers          keys of other users, with known_peers.lock
//! lock, senders        locks of the address
//! agent.sock           socket of the agent that runs
//! up.sock              socket of `up`, if there is no other place
//! ```

use std::fmt::Write;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;
use plumi_proto::MiAddress;

/// The folder of a user. It is created when its first file is written.
#[derive(Clone, Debug)]
pub(crate) struct DataFolder(PathBuf);

impl DataFolder {
    /// Returns the folder of the user with the address `own`, or `None` if HOME is not set.
    pub(crate) fn of(own: &MiAddress) -> Option<Self> {
        Xdg::new().ok().map(|folders| Self::in_data(&folders.data_dir(), own))
    }

    /// Does the same as [`DataFolder::of`], with the user's data in `data`.
    pub(crate) fn in_data(data: &Path, own: &MiAddress) -> Self {
        Self(data.join("mi-agent").join(safe_name(own)))
    }

    /// Returns the path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the file or folder `name` in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

#[cfg(test)]
impl DataFolder {
    /// Returns the folder of laura@bb.com in a folder of its own, which goes with the first value.
    pub(crate) fn temporary() -> (tempfile::TempDir, Self) {
        let data = tempfile::tempdir().unwrap();
        let folder = Self::in_data(data.path(), &"laura@bb.com".parse().unwrap());
        (data, folder)
    }
}

/// Creates `folder` and its parents if necessary, accessible to the user only.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Returns the name of a file or folder for `address`. Names are equal if and only if the addresses are.
///
/// The name is the address, with the domain in lower case and without a trailing dot. It consists of ASCII
/// letters, digits, `.`, `_`, `@` and `-`, and does not begin with a dot; other bytes, in UTF-8, are written
/// as `%XX`.
pub(crate) fn safe_name(address: &MiAddress) -> String {
    let (user, domain) = (address.user(), address.domain());
    let domain = domain.as_str().strip_suffix('.').unwrap_or(domain.as_str()).to_ascii_lowercase();
    let mut name = String::new();
    for (at, byte) in format!("{user}@{domain}").bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'-') || byte == b'.' && at > 0 {
            name.push(byte.into());
        } else {
            // Writing to a String cannot fail.
            _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(address: &str) -> String {
        safe_name(&address.parse().unwrap())
    }

    #[test]
    fn a_name_is_safe_and_still_the_address() {
        for (address, expected) in [
            ("laura@bb.com", "laura@bb.com"),
            ("Laura@BB.com.", "Laura@bb.com"),
            ("u-1_x@PC-c", "u-1_x@pc-c"),
            (".x@bb.com", "%2Ex@bb.com"),
            ("..@bb.com", "%2E.@bb.com"),
            ("../x@bb.com", "%2E.%2Fx@bb.com"),
            ("a%2Fb@bb.com", "a%252Fb@bb.com"),
            ("~*?$'\"@bb.com", "%7E%2A%3F%24%27%22@bb.com"),
            ("núria@bb.com", "n%C3%BAria@bb.com"),
        ] {
            assert_eq!(name(address), expected);
        }
        let longest = format!("{}@b", "é".repeat(17));
        assert_eq!(
            name(&longest).len(),
            17 * 6 + 2,
            "and with what follows it fits a file name of 255 bytes"
        );
    }

    #[test]
    fn names_are_equal_as_addresses_are() {
        let addresses = [
            "a@b",
            "A@b",
            "a@B",
            "a@B.",
            "a@b.c",
            ".a@b",
            "%2Ea@b",
            "%a@b",
            "/a@b",
            "%2Fa@b",
            "%2fa@b",
            "é@b",
            "É@b",
            "e\u{301}@b",
            "a.b@c",
            "a@b.jsonl",
            "a@b-c",
            "%C3%A9@b",
            "a/b@c",
            "a\\b@c",
        ];
        for one in addresses.iter().filter_map(|one| one.parse::<MiAddress>().ok()) {
            for other in addresses.iter().filter_map(|other| other.parse::<MiAddress>().ok()) {
                assert_eq!(safe_name(&one) == safe_name(&other), one == other, "{one} {other}");
            }
        }
    }

    #[test]
    fn the_folder_is_made_for_its_user_alone() {
        let (data, folder) = DataFolder::temporary();
        let path = data.path().join("mi-agent/laura@bb.com");
        assert_eq!(folder.file("x"), path.join("x"));
        assert!(!path.exists(), "there is nothing to be kept yet");
        for _ in 0..2 {
            make(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
        }
        fs::write(data.path().join("mi-agent/joya@cc.com"), "").unwrap();
        make(&data.path().join("mi-agent/joya@cc.com")).unwrap_err();
    }
}
