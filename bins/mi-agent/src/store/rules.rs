//! The rules for calls, in `rules.toml`, which can be edited by hand while no agent of the user runs.

use std::fmt;
use std::io;
use std::path::PathBuf;

use anyhow::Context;
use mi_agent_core::Admission;
use plumi_proto::MiAddress;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use settings_text::quoted;

use super::file;
use super::folder::DataFolder;

/// The file with the rules for calls.
#[derive(Debug)]
pub(crate) struct Rules {
    path: PathBuf,
    /// The contents of the file when it was last read or written.
    known: Option<Vec<u8>>,
}

impl Rules {
    /// Reads the rules in `folder`. Without a file, everybody may call.
    ///
    /// # Errors
    /// The file cannot be read, or has an error. The agent must not start then: a blocked user could call.
    pub(crate) fn load(folder: &DataFolder) -> anyhow::Result<(Self, Admission)> {
        let path = folder.file("rules.toml");
        let unread = || format!("cannot read the rules {}", path.display());
        let known = file::read(&path, MAX_FILE).with_context(unread)?;
        let text = str::from_utf8(known.as_deref().unwrap_or_default()).with_context(unread)?;
        let wrong = || format!("the rules {} are wrong", path.display());
        let Keys { blocked, allow_only } = settings_text::parse(text).with_context(wrong)?;
        let mut admission = Admission::default();
        for Address(address) in blocked {
            admission.block(address).with_context(wrong)?;
        }
        if let Some(allowed) = allow_only {
            admission.allow_only(allowed.into_iter().map(|Address(address)| address)).with_context(wrong)?;
        }
        Ok((Self { path, known }, admission))
    }

    /// Writes the rules to disk.
    ///
    /// # Errors
    /// Those of the operating system; the file was changed since, and stays as it is.
    pub(crate) fn save(&mut self, admission: &Admission) -> io::Result<()> {
        if file::read(&self.path, MAX_FILE)? != self.known {
            let name = self.path.display();
            return Err(io::Error::other(format!(
                "{name} was changed meanwhile; start again to take that over"
            )));
        }
        let mut text = format!("{COMMENT}blocked = {}\n", list(admission.blocked()));
        match admission.allowed() {
            Some(allowed) => text += &format!("{ALLOW_ONLY}allow-only = {}\n", list(allowed)),
            None => text += &format!("{ALLOW_ONLY}# allow-only = []\n"),
        }
        file::replace(&self.path, text.as_bytes())?;
        self.known = Some(text.into_bytes());
        Ok(())
    }
}

/// The keys of the file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    #[serde(default)]
    blocked: Vec<Address>,
    allow_only: Option<Vec<Address>>,
}

struct Address(MiAddress);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AddressVisitor)
    }
}

/// Parses an address while the text is read, so an error has the line of the address and not that of the
/// list.
struct AddressVisitor;

impl Visitor<'_> for AddressVisitor {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
        text.parse().map(Address).map_err(E::custom)
    }
}

/// Formats `addresses` in TOML, one per line, sorted.
fn list(addresses: impl Iterator<Item = MiAddress>) -> String {
    let mut texts: Vec<_> = addresses.map(|address| quoted(address.as_str())).collect();
    texts.sort_unstable();
    if texts.is_empty() { "[]".into() } else { format!("[\n    {},\n]", texts.join(",\n    ")) }
}

const COMMENT: &str = "# Who may call. It can be edited while mi-agent does not run.\n\n\
    # Who calls from here is told that you are busy.\n";

const ALLOW_ONLY: &str = "\n# If it is set, whoever is not in it is told the same.\n";

/// The most bytes of the file, many times what an [`Admission`] has room for.
const MAX_FILE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder() -> (tempfile::TempDir, DataFolder, PathBuf) {
        let (data, folder) = DataFolder::temporary();
        let path = folder.file("rules.toml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        (data, folder, path)
    }

    fn admission(blocked: &[&str], allowed: Option<&[&str]>) -> Admission {
        let mut admission = Admission::default();
        blocked.iter().for_each(|whom| _ = admission.block(whom.parse().unwrap()).unwrap());
        if let Some(allowed) = allowed {
            admission.allow_only(allowed.iter().map(|whom| whom.parse().unwrap())).unwrap();
        }
        admission
    }

    #[test]
    fn rules_are_there_again() {
        let (_data, folder, path) = folder();
        let (mut rules, none) = Rules::load(&folder).unwrap();
        assert_eq!(none, Admission::default());
        for (blocked, allowed) in [
            (&[][..], None),
            (&["joya@cc.com", "\"\\@x"], None),
            (&["núria@bb.com"], Some(&[][..])),
            (&[], Some(&["joya@cc.com", "pere@bb.com"][..])),
        ] {
            let admission = admission(blocked, allowed);
            rules.save(&admission).unwrap();
            assert_eq!(Rules::load(&folder).unwrap().1, admission);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        }
        rules.save(&admission(&["joya@cc.com", "Aina@cc.com"], None)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nblocked = [\n    \"Aina@cc.com\",\n    \"joya@cc.com\",\n]\n"), "{text}");
        assert!(text.ends_with("\n# allow-only = []\n"), "{text}");
    }

    #[test]
    fn who_is_blocked_is_so_however_the_address_is_written() {
        let (_data, folder, path) = folder();
        fs::write(&path, "blocked = ['joya@CC.com.', 'joya@cc.com']\n").unwrap();
        assert_eq!(Rules::load(&folder).unwrap().1, admission(&["joya@cc.com"], None));
    }

    #[test]
    fn a_file_that_is_wrong_is_an_error_and_stays() {
        let (_data, folder, path) = folder();
        let wrong = format!("the rules {} are wrong: ", path.display());
        for (text, told) in [
            (
                "blocked = ['joya@cc.com',\n'joya']",
                "line 2, blocked: an address is user@domain, and there is no '@'",
            ),
            ("block = []", "line 1: unknown field `block`, expected `blocked` or `allow-only`"),
            (
                "blocked = 'joya@cc.com'",
                "line 1, blocked: invalid type: string \"joya@cc.com\", expected a sequence",
            ),
            ("\nallow-only = true", "line 2, allow-only: invalid type: boolean `true`, expected a sequence"),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(format!("{:#}", Rules::load(&folder).unwrap_err()), format!("{wrong}{told}"));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let reason = || format!("{:#}", Rules::load(&folder).unwrap_err());
        let unread = format!("cannot read the rules {}: ", path.display());
        for contents in [b"\xff".to_vec(), vec![b'#'; (1 << 20) + 1]] {
            fs::write(&path, contents).unwrap();
            assert!(reason().starts_with(&unread), "{}", reason());
        }
        fs::remove_file(&path).unwrap();
        symlink("/dev/null", &path).unwrap();
        assert_eq!(reason(), format!("{unread}it is a symbolic link"));
    }

    #[test]
    fn what_was_edited_meanwhile_is_not_written_over() {
        let (_data, folder, path) = folder();
        let (mut rules, _) = Rules::load(&folder).unwrap();
        fs::write(&path, "blocked = ['joya@cc.com']").unwrap();
        let error = rules.save(&admission(&["pere@bb.com"], None)).unwrap_err().to_string();
        assert!(
            error.ends_with("rules.toml was changed meanwhile; start again to take that over"),
            "{error}"
        );
        let (mut rules, joya) = Rules::load(&folder).unwrap();
        assert_eq!(joya, admission(&["joya@cc.com"], None));
        rules.save(&joya).unwrap();
        fs::remove_file(&path).unwrap();
        rules.save(&joya).unwrap_err();
        assert!(!path.exists());
    }
}
