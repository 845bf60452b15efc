//! The file `known_peers`: the keys of other users.
//!
//! ```text
//! joya@cc.com ed25519 BASE64 seen 2026-11-29 verified 2026-12-01
//! ```
//!
//! One key on each line, up to [`MAX_KEYS`] of a user. There are no comments.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use plumi_proto::MiAddress;
use rustix::fs::{FlockOperation, flock};

use crate::key::PublicKey;
use crate::pin::{Day, Pin, Strength, TrustStore};
use crate::state::trust::MAX_KEYS;

/// A [`TrustStore`] on a file, which several programs may use at the same time.
///
/// A file that cannot be read is never taken for one without keys: damage to the file must not make other
/// keys trusted. It is read again once it has changed, and replaced as a whole under a lock of its own,
/// `known_peers.lock`.
#[derive(Debug)]
pub struct KnownPeers {
    path: PathBuf,
    read: Mutex<Option<(Version, Pins)>>,
}

type Pins = BTreeMap<MiAddress, Vec<Pin>>;

/// The marks of a file that tell it from the next one at the same path; `None` if there is none.
type Version = Option<(u64, SystemTime, u64)>;

impl KnownPeers {
    /// Opens the store at `path`, where no file needs to be: its folder exists.
    ///
    /// # Errors
    /// [`KnownPeersError`]: the file cannot be read, or has a line that is none.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KnownPeersError> {
        let store = Self { path: path.into(), read: Mutex::default() };
        store.with(|_| ())?;
        Ok(store)
    }

    /// Returns the keys of all users, in the order of their addresses.
    ///
    /// # Errors
    /// As for [`KnownPeers::open`].
    pub fn all(&self) -> Result<Vec<(MiAddress, Pin)>, KnownPeersError> {
        self.with(all)
    }

    /// Reads keys in the form of the file, in the order of their addresses.
    ///
    /// # Errors
    /// [`KnownPeersError::Line`].
    pub fn parse(text: &str) -> Result<Vec<(MiAddress, Pin)>, KnownPeersError> {
        parse(text).map(|pins| all(&pins))
    }

    /// Returns the line of a key in the file, without its end.
    pub fn line(address: &MiAddress, pin: &Pin) -> String {
        let how = if pin.strength == Strength::Introduced { "introduced" } else { "seen" };
        let verified = pin.verified.map_or_else(String::new, |on| format!(" verified {on}"));
        format!("{} ed25519 {} {how} {}{verified}", address.as_str(), pin.key, pin.since)
    }

    /// Looks at the keys in the file as it is now.
    fn with<R>(&self, look: impl FnOnce(&Pins) -> R) -> Result<R, KnownPeersError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let version = version(&self.path).map_err(KnownPeersError::Io)?;
        match &*read {
            Some((same, pins)) if *same == version => Ok(look(pins)),
            _ => {
                let pins = parse(&contents(&self.path).map_err(KnownPeersError::Io)?)?;
                Ok(look(&read.insert((version, pins)).1))
            }
        }
    }
}

impl TrustStore for KnownPeers {
    fn pins(&self, address: &MiAddress) -> io::Result<Vec<Pin>> {
        Ok(self.with(|pins| pins.get(address).cloned().unwrap_or_default())?)
    }

    fn holders(&self, key: &PublicKey) -> io::Result<Vec<(MiAddress, Pin)>> {
        let mut all = self.all()?;
        all.retain(|(_, pin)| pin.key == *key);
        Ok(all)
    }

    fn change(&self, address: &MiAddress, change: &mut dyn FnMut(&mut Vec<Pin>)) -> io::Result<()> {
        let lock = beside(&self.path, ".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(OWNER_ONLY).open(lock)?;
        // The kernel unlocks it when it is closed.
        flock(&lock, FlockOperation::LockExclusive)?;
        let mut pins = parse(&contents(&self.path)?)?;
        let of_address = pins.entry(*address).or_default();
        let before = of_address.clone();
        change(of_address);
        if *of_address == before {
            return Ok(());
        }
        replace(&self.path, &text(&pins))
    }
}

/// The reason why the keys of other users are not known. Continues "FILE ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownPeersError {
    /// The file cannot be read.
    #[error("cannot be read")]
    Io(#[source] io::Error),
    /// A line is wrong.
    #[error("is wrong in line {line}: {reason}")]
    Line {
        /// The number of the line, from 1 on.
        line: usize,
        /// The fault.
        reason: &'static str,
    },
}

impl From<KnownPeersError> for io::Error {
    fn from(error: KnownPeersError) -> Self {
        match error {
            KnownPeersError::Io(error) => error,
            line => Self::new(io::ErrorKind::InvalidData, line),
        }
    }
}

fn all(pins: &Pins) -> Vec<(MiAddress, Pin)> {
    pins.iter().flat_map(|(address, pins)| pins.iter().map(|pin| (*address, *pin))).collect()
}

/// Reads the keys of a file.
///
/// # Errors
/// [`KnownPeersError::Line`].
fn parse(text: &str) -> Result<Pins, KnownPeersError> {
    let mut pins = Pins::new();
    for (line, number) in text.lines().zip(1..) {
        let wrong = |reason| KnownPeersError::Line { line: number, reason };
        let (address, pin) = parse_line(line).map_err(wrong)?;
        let of_address = pins.entry(address).or_default();
        if of_address.iter().any(|other| other.key == pin.key) {
            return Err(wrong("the key is there twice"));
        }
        if of_address.len() == MAX_KEYS {
            return Err(wrong("a user has more than 4 keys"));
        }
        of_address.push(pin);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(KnownPeersError::Line { line: text.lines().count(), reason: "it is cut off" });
    }
    Ok(pins)
}

/// Reads one line: `joya@cc.com ed25519 BASE64 seen 2026-11-29 verified 2026-12-01`.
fn parse_line(line: &str) -> Result<(MiAddress, Pin), &'static str> {
    let words: Vec<_> = line.split(' ').collect();
    let [address, kind, key, how, since, ref rest @ ..] = words[..] else {
        return Err("it needs an address, `ed25519`, a key, `seen` or `introduced`, and a day");
    };
    let address = address.parse().map_err(|_| "it does not begin with an address")?;
    if kind != "ed25519" {
        return Err("the kind of the key is not `ed25519`");
    }
    let key = key.parse().map_err(|_| "the key is not 44 characters of base64")?;
    let day = |text: &str| text.parse::<Day>().map_err(|_| "a day is not of the form 2026-11-29");
    let strength = match how {
        "seen" => Strength::Seen,
        "introduced" => Strength::Introduced,
        _ => return Err("the fourth word is neither `seen` nor `introduced`"),
    };
    let pin = Pin { strength, ..Pin::seen(key, day(since)?) };
    match rest {
        [] => Ok((address, pin)),
        ["verified", on] => Ok((address, pin.verified(day(on)?))),
        _ => Err("the sixth word is not `verified`, or no single day follows"),
    }
}

/// Returns the contents of a file with `pins`.
fn text(pins: &Pins) -> String {
    let all = pins.iter().flat_map(|(address, pins)| pins.iter().map(move |pin| (address, pin)));
    all.map(|(address, pin)| KnownPeers::line(address, pin) + "\n").collect()
}

/// Returns the contents of the file at `path`; nothing if there is none.
fn contents(path: &Path) -> io::Result<String> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    if file.take(MAX_SIZE + 1).read_to_string(&mut text)? as u64 > MAX_SIZE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    Ok(text)
}

fn version(path: &Path) -> io::Result<Version> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        metadata => {
            metadata.and_then(|metadata| Ok(Some((metadata.ino(), metadata.modified()?, metadata.len()))))
        }
    }
}

/// Replaces the file at `path`, so that a crash leaves the old one or the new one. Nobody else does so
/// meanwhile.
pub(super) fn replace(path: &Path, contents: &str) -> io::Result<()> {
    let new = beside(path, ".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&new)?;
    file.write_all(contents.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// The largest file that is read: a hundred thousand users.
const MAX_SIZE: u64 = 16 << 20;

/// Read and write permission for the user only.
const OWNER_ONLY: u32 = 0o600;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::*;

    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn seen(n: u8) -> Pin {
        Pin::seen(key(n), "2026-11-29".parse().unwrap())
    }

    fn address(text: &str) -> MiAddress {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_kept_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_peers");
        let store = KnownPeers::open(&path).unwrap();
        let (joya, pere) = (address("joya@cc.com"), address("pere@bb.com"));
        assert_eq!(store.pins(&joya).unwrap(), []);
        let of_joya = [
            seen(1).verified("2026-12-01".parse().unwrap()),
            Pin { strength: Strength::Introduced, ..seen(2) },
        ];
        store.change(&joya, &mut |pins| pins.extend(of_joya)).unwrap();
        store.change(&pere, &mut |pins| pins.push(seen(1))).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let introduced = key(2);
        assert_eq!(
            text,
            format!(
                "pere@bb.com ed25519 {KEY} seen 2026-11-29\n\
                 joya@cc.com ed25519 {KEY} seen 2026-11-29 verified 2026-12-01\n\
                 joya@cc.com ed25519 {introduced} introduced 2026-11-29\n"
            )
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let again = KnownPeers::open(&path).unwrap();
        assert_eq!(again.pins(&address("joya@CC.com.")).unwrap(), of_joya);
        assert_eq!(again.holders(&key(1)).unwrap(), [(pere, seen(1)), (joya, of_joya[0])]);
        // Another program changes it.
        again.change(&pere, &mut Vec::clear).unwrap();
        assert_eq!(store.pins(&pere).unwrap(), []);
        assert_eq!(store.all().unwrap().len(), 2);
    }

    #[test]
    fn changes_of_several_programs_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_peers");
        std::thread::scope(|scope| {
            for program in 0..4 {
                let store = Arc::new(KnownPeers::open(&path).unwrap());
                for n in 0..10 {
                    let store = Arc::clone(&store);
                    let user = address(&format!("u{program}{n}@cc.com"));
                    scope.spawn(move || store.change(&user, &mut |pins| pins.push(seen(n))).unwrap());
                }
            }
        });
        assert_eq!(KnownPeers::open(&path).unwrap().all().unwrap().len(), 40);
    }

    #[test]
    fn a_wrong_line_is_named_and_nothing_is_taken_for_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_peers");
        let good = format!("joya@cc.com ed25519 {KEY} seen 2026-11-29");
        let same = format!("{good}\n{good}\n");
        let keys: String =
            (1..=5).map(|n| format!("joya@cc.com ed25519 {} seen 2026-11-29\n", key(n))).collect();
        for (text, line, reason) in [
            ("\n".to_owned(), 1, "it needs an address, `ed25519`, a key, `seen` or `introduced`, and a day"),
            (
                format!("{good}\n# joya\n"),
                2,
                "it needs an address, `ed25519`, a key, `seen` or `introduced`, and a day",
            ),
            (good.clone(), 1, "it is cut off"),
            (format!("{}\n", good.replace("joya@cc.com", "joya")), 1, "it does not begin with an address"),
            (format!("{}\n", good.replace("ed25519", "rsa")), 1, "the kind of the key is not `ed25519`"),
            (format!("{}\n", good.replace("AQE=", "AQ==")), 1, "the key is not 44 characters of base64"),
            (
                format!("{}\n", good.replace("seen", "met")),
                1,
                "the fourth word is neither `seen` nor `introduced`",
            ),
            (format!("{}\n", good.replace("11-29", "11-31")), 1, "a day is not of the form 2026-11-29"),
            (format!("{good} verified\n"), 1, "the sixth word is not `verified`, or no single day follows"),
            (
                format!("{good} verified 2026-12-01 twice\n"),
                1,
                "the sixth word is not `verified`, or no single day follows",
            ),
            (same, 2, "the key is there twice"),
            (keys, 5, "a user has more than 4 keys"),
        ] {
            fs::write(&path, &text).unwrap();
            let error = KnownPeers::open(&path).unwrap_err();
            assert_eq!(error.to_string(), format!("is wrong in line {line}: {reason}"), "{text}");
        }
        let store = {
            fs::write(&path, format!("{good}\n")).unwrap();
            KnownPeers::open(&path).unwrap()
        };
        fs::write(&path, "nonsense\n").unwrap();
        let joya = address("joya@cc.com");
        store.pins(&joya).unwrap_err();
        store.holders(&key(1)).unwrap_err();
        store.change(&joya, &mut Vec::clear).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense\n", "it is not replaced");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(KnownPeers::open(&path), Err(KnownPeersError::Io(_))));
    }

    /// A program was killed while it wrote.
    #[test]
    fn what_a_killed_program_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_peers");
        fs::write(beside(&path, ".new"), "half of").unwrap();
        let store = KnownPeers::open(&path).unwrap();
        store.change(&address("joya@cc.com"), &mut |pins| pins.push(seen(1))).unwrap();
        assert!(!beside(&path, ".new").exists());
    }
}
