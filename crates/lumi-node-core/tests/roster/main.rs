//! `nodelumi.cfg` (protocol.md §6): which texts are a roster, and what a change leaves of its file.

mod file;

use std::fs;
use std::path::{Path, PathBuf};

use lumi_node_core::{Roster, RosterChange, RosterError, RosterFile, RosterFileError, RosterReason};
use plumi_proto::{AddressError, Domain, NameError, UserName};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tempfile::TempDir;

#[test]
fn odd_texts_that_are_a_roster() {
    let longest = "l".repeat(29);
    let longest_domain = "d".repeat(34);
    let samples: [(&[u8], &str, &[&str]); 22] = [
        (b"bb.com\nlaura\npere\n", "bb.com", &["laura", "pere"]),
        (b"bb.com\r\nlaura\r\npere\r\n", "bb.com", &["laura", "pere"]),
        (b"bb.com\r\nlaura\npere\r\n", "bb.com", &["laura", "pere"]),
        (b"bb.com\nlaura", "bb.com", &["laura"]),
        (b"bb.com", "bb.com", &[]),
        (b"bb.com.\n", "bb.com.", &[]),
        (b"\xef\xbb\xbfbb.com\nlaura\n", "bb.com", &["laura"]),
        (b"\xef\xbb\xbf\r\n\r\nbb.com\r\nlaura\r\n", "bb.com", &["laura"]),
        (b"\n\nbb.com\n\n\nlaura\n\n", "bb.com", &["laura"]),
        (b" bb.com \n\tlaura\t\n  pere\r\r\n", "bb.com", &["laura", "pere"]),
        (b"bb.com\n \t \nlaura\n   ", "bb.com", &["laura"]),
        ("\u{a0}bb.com\u{3000}\n\u{2003}laura\u{85}\n".as_bytes(), "bb.com", &["laura"]),
        (b"bb.com\nlaura\nLaura\n", "bb.com", &["laura", "Laura"]),
        (b"bb.com\nbb.com\n", "bb.com", &["bb.com"]),
        ("bb.com\njosé\nΨυχή\n名前\n".as_bytes(), "bb.com", &["josé", "Ψυχή", "名前"]),
        (b"bb.com\n#laura\n!{}|~\n", "bb.com", &["#laura", "!{}|~"]),
        (b"10.0.0.1\nlaura\n", "10.0.0.1", &["laura"]),
        (b"bb.com\n\t\tlaura\t \t\n\t\n", "bb.com", &["laura"]),
        (b"\x0b\x0cbb.com\x0c\nlaura\x0b\n", "bb.com", &["laura"]),
        (&[b"bb.com\n", &b" \t\r\n".repeat(25_000)[..], b"laura"].concat(), "bb.com", &["laura"]),
        (&[b"bb.com\n", longest.as_bytes(), b"\n"].concat(), "bb.com", &[&longest]),
        (&[longest_domain.as_bytes(), b"\nl\n"].concat(), &longest_domain, &["l"]),
    ];
    for (text, domain, users) in samples {
        let escaped = text.escape_ascii();
        let config = Config::new(text);
        let (_, roster) = RosterFile::open(&config.path).unwrap_or_else(|error| panic!("{escaped}: {error}"));
        assert_eq!(roster.domain().as_str(), domain, "{escaped}");
        assert_eq!(roster.len(), users.len(), "{escaped}");
        assert_eq!(roster.is_empty(), users.is_empty(), "{escaped}");
        for user in users {
            assert!(roster.contains(&name(user)), "{escaped}: {user}");
        }
    }
}

#[test]
fn texts_that_are_no_roster_are_refused_with_the_line_and_the_reason() {
    use RosterReason as R;
    let forbidden = |character, at| NameError::Forbidden { character, at };
    let too_long = "l".repeat(30);
    let far_too_long = "l".repeat(35);
    let samples: [(&[u8], usize, RosterReason); 28] = [
        (b"", 1, R::NoDomain),
        (b"\n\r\n  \n\t", 1, R::NoDomain),
        (b"\xef\xbb\xbf", 1, R::NoDomain),
        (b"\xef\xbb\xbf\xef\xbb\xbfbb.com\n", 1, R::Domain(forbidden('\u{feff}', 0))),
        (b"bb com\nlaura\n", 1, R::Domain(forbidden(' ', 2))),
        (b"laura@bb.com\n", 1, R::Domain(forbidden('@', 5))),
        (b"\n\nbb..com\nlaura\n", 3, R::Domain(NameError::Label { at: 3 })),
        (b"bb.com:3344\n", 1, R::Domain(forbidden(':', 6))),
        ("bücher.example\n".as_bytes(), 1, R::Domain(forbidden('ü', 1))),
        (far_too_long.as_bytes(), 1, R::Domain(NameError::TooLong { length: 35 })),
        // The line ends of old machines make one line of the whole file.
        (b"bb.com\rlaura\r", 1, R::Domain(forbidden('\r', 6))),
        (b"b\0b\0.\0c\0o\0m\0\n\0", 1, R::Domain(forbidden('\0', 1))),
        (b"\xff\xfeb\0b\0", 1, R::NotUtf8),
        (b"bb.com\nlaura\njos\xe9\n", 3, R::NotUtf8),
        (b"bb.com\nlaura@bb.com\n", 2, R::Address),
        (b"bb.com\r\n\r\nlaura\r\npere@\r\n", 4, R::Address),
        (b"bb.com\nla ura\n", 2, R::User(forbidden(' ', 2))),
        (b"bb.com\nlaura:pere\n", 2, R::User(forbidden(':', 5))),
        (b"bb.com\nlaura\0\n", 2, R::User(forbidden('\0', 5))),
        ("bb.com\nlaura\u{202e}\n".as_bytes(), 2, R::User(forbidden('\u{202e}', 5))),
        (&[b"bb.com\n", far_too_long.as_bytes()].concat(), 2, R::User(NameError::TooLong { length: 35 })),
        (&[b"bb.com\n", too_long.as_bytes()].concat(), 2, R::TooLong(AddressError::TooLong { length: 37 })),
        (b"bb.com\nlaura\npere\n\n laura\n", 5, R::Duplicate),
        ("bb.com\nlau\u{feff}ra\n".as_bytes(), 2, R::User(forbidden('\u{feff}', 3))),
        ("bb.com\n\u{feff}laura\n".as_bytes(), 2, R::User(forbidden('\u{feff}', 0))),
        (b"bb.com\nlaura\n\rpere\rjoan\n", 3, R::User(forbidden('\r', 4))),
        (b"bb.com\n@\n", 2, R::Address),
        (
            &[b"bb.com\nlaura\n", &b"l".repeat(100_000)[..]].concat(),
            3,
            R::User(NameError::TooLong { length: 100_000 }),
        ),
    ];
    for (text, line, reason) in samples {
        let escaped = text.escape_ascii();
        let config = Config::new(text);
        let error = RosterFile::open(&config.path).expect_err("no roster");
        let RosterFileError::Wrong { path, error: RosterError { line: at, reason: why, .. } } = &error else {
            panic!("{escaped}: {error}");
        };
        assert_eq!((path, *at, *why), (&config.path, line, reason), "{escaped}");
        assert_eq!(source(&error), format!("line {line}: {reason}"), "{escaped}");
    }
}

#[test]
fn a_refusal_is_told_in_words() {
    let samples: [(&[u8], &str); 6] = [
        (b"", "line 1: the domain is missing, it is the first line"),
        (b"bb com\n", "line 1: the domain has ' ' at byte 3, which may not stand there"),
        (b"bb.com\nlaura@bb.com\n", "line 2: a user is listed by name alone, without '@' and domain"),
        (b"bb.com\nla\x07ura\n", r"line 2: the user name has '\u{7}' at byte 3, which may not stand there"),
        (b"bb.com\nlaura\nlaura\n", "line 3: the user is listed twice"),
        (
            b"bb.com\nlllllllllllllllllllllllllllllllll\n",
            "line 2: with the domain of the roster, the address is 40 bytes long, 36 are the most",
        ),
    ];
    for (text, words) in samples {
        assert_eq!(Roster::parse(text).expect_err("no roster").to_string(), words);
    }
}

#[test]
fn every_line_that_is_wrong_can_be_told() {
    let name: Domain = "bb.com".parse().unwrap();
    let samples: [(&[u8], Option<Domain>, &[&str]); 6] = [
        (b"bb.com\nlaura\n", Some(name), &[]),
        (b"\n \n", None, &["line 1: the domain is missing, it is the first line"]),
        (
            b"\nbb.com\njoya@cc.com\nlaura\n\nla ura\nlaura\npere\n",
            Some(name),
            &[
                "line 3: a user is listed by name alone, without '@' and domain",
                "line 6: the user name has ' ' at byte 3, which may not stand there",
                "line 7: the user is listed twice",
            ],
        ),
        (
            b"bb com\nlaura\nlaura\n",
            None,
            &[
                "line 1: the domain has ' ' at byte 3, which may not stand there",
                "line 3: the user is listed twice",
            ],
        ),
        // The next line is a user nevertheless.
        (b"\xff\nlaura\nlaura\n", None, &["line 1: it is not UTF-8", "line 3: the user is listed twice"]),
        // Every name has room beside a domain that is not known.
        (
            b"b:b\nlllllllllllllllllllllllllllllllll\n",
            None,
            &["line 1: the domain has ':' at byte 2, which may not stand there"],
        ),
    ];
    for (text, domain, words) in samples {
        let (found, errors) = Roster::errors(text);
        assert_eq!(errors.iter().map(RosterError::to_string).collect::<Vec<_>>(), words);
        assert_eq!(found, domain);
        let config = Config::new(text);
        assert_eq!(RosterFile::errors(&config.path).expect("it is there"), (found, errors));
    }
    assert!(matches!(RosterFile::errors("no/such.cfg"), Err(RosterFileError::Read { .. })));
}

#[test]
fn a_file_that_is_no_roster_is_refused_with_its_path_and_the_line() {
    let config = Config::new("bb.com\nlaura\nlaura\n");
    let error = RosterFile::open(&config.path).expect_err("a user is there twice");
    assert!(matches!(error, RosterFileError::Wrong { error: RosterError { line: 3, .. }, .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("the roster {} is wrong", config.path.display()));
    assert_eq!(source(&error), "line 3: the user is listed twice");
}

#[test]
fn a_user_is_added_at_the_end_and_with_the_line_ends_of_the_file() {
    for (before, after) in [
        ("bb.com\n", "bb.com\njoan\n"),
        ("bb.com", "bb.com\njoan\n"),
        ("bb.com\nlaura", "bb.com\nlaura\njoan\n"),
        ("bb.com\nlaura\n\n\n", "bb.com\nlaura\n\n\njoan\n"),
        ("bb.com\nlaura\n  ", "bb.com\nlaura\n  \njoan\n"),
        ("bb.com\r\nlaura\r\n", "bb.com\r\nlaura\r\njoan\r\n"),
        ("bb.com\r\nlaura", "bb.com\r\nlaura\r\njoan\r\n"),
        ("\u{feff}bb.com\r\n", "\u{feff}bb.com\r\njoan\r\n"),
        (" bb.com\t\n\n laura \n", " bb.com\t\n\n laura \njoan\n"),
    ] {
        let config = Config::new(before);
        config.open().apply(&add("joan")).expect("it can be written");
        assert_eq!(config.text(), after);
        config.assert_alone();
    }
}

#[test]
fn a_user_is_removed_with_the_line_and_nothing_else() {
    for (before, user, after) in [
        ("bb.com\nlaura\npere\n", "laura", "bb.com\npere\n"),
        ("bb.com\nlaura\npere", "pere", "bb.com\nlaura\n"),
        ("bb.com\nlaura\npere", "laura", "bb.com\npere"),
        ("bb.com\r\n\r\n laura\t\r\npere\r\n", "laura", "bb.com\r\n\r\npere\r\n"),
        ("bb.com\nlaura\nLaura\nlaura2\n", "laura", "bb.com\nLaura\nlaura2\n"),
        ("bb.com\nbb.com\npere\n", "bb.com", "bb.com\npere\n"),
        ("\u{feff}bb.com\r\nbb.com\r\n", "bb.com", "\u{feff}bb.com\r\n"),
        ("\u{feff}\n\nbb.com\nbb.com", "bb.com", "\u{feff}\n\nbb.com\n"),
        ("bb.com\njosé\n", "josé", "bb.com\n"),
    ] {
        let config = Config::new(before);
        config.open().apply(&remove(user)).expect("it can be written");
        assert_eq!(config.text(), after);
        config.assert_alone();
    }
}

proptest! {
    // Each change is written through to the disk, twice.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The file stays a roster of just the users that a set would have, and no change touches another line
    /// than its own.
    #[test]
    fn the_file_agrees_with_a_set(text in roster_text(), toggled in vec(select(NAMES), 1..12)) {
        let config = Config::new(&text);
        let (mut file, roster) = RosterFile::open(&config.path).expect("a roster");
        let mut users: Vec<_> = NAMES.iter().copied().filter(|user| roster.contains(&name(user))).collect();
        prop_assert_eq!(users.len(), roster.len());
        for user in toggled {
            let before = config.text();
            match users.iter().position(|known| *known == user) {
                Some(known) => {
                    users.remove(known);
                    file.apply(&remove(user)).expect("it can be written");
                    assert_lost(&before, &config.text(), user);
                }
                None => {
                    users.push(user);
                    file.apply(&add(user)).expect("it can be written");
                    assert_gained(&before, &config.text(), user);
                }
            }
            let after = Roster::parse(config.text().as_bytes()).expect("still a roster");
            prop_assert_eq!(after.domain().as_str(), "bb.com");
            prop_assert_eq!(after.len(), users.len());
            for user in &users {
                prop_assert!(after.contains(&name(user)), "{} is missing", user);
            }
        }
        config.assert_alone();
    }

    #[test]
    fn any_bytes_are_a_roster_or_refused_at_a_line_they_have(text in vec(any::<u8>(), 0..200)) {
        assert_line_exists(&text);
    }

    #[test]
    fn any_lines_are_a_roster_or_refused_at_a_line_they_have(text in "\u{feff}?[a-c@. \t\r\n]{0,40}") {
        assert_line_exists(text.as_bytes());
    }
}

/// `after` is `before` without one line, the user's and not the domain's.
fn assert_lost(before: &str, after: &str, user: &str) {
    let (before, after) = (lines(before), lines(after));
    let domain = before.iter().position(|line| !bare(line).is_empty()).expect("a domain");
    let is_users = |at: usize| at > domain && bare(before[at]) == user;
    let lost = (0..before.len()).find(|&at| is_users(at)).expect("the user was there");
    assert_eq!([&before[..lost], &before[lost + 1..]].concat(), after);
}

/// `after` is `before` with its last line ended, and one more line.
fn assert_gained(before: &str, after: &str, user: &str) {
    let line_end = if before.contains("\r\n") { "\r\n" } else { "\n" };
    let ended = if before.ends_with('\n') { before.to_owned() } else { format!("{before}{line_end}") };
    assert_eq!(after, format!("{ended}{user}{line_end}"));
}

fn assert_line_exists(text: &[u8]) {
    let first = Roster::parse(text).err();
    assert_eq!(first, Roster::errors(text).1.first().copied(), "{}", text.escape_ascii());
    if let Err(RosterError { line, .. }) = Roster::parse(text) {
        let lines = text.split(|&byte| byte == b'\n').count();
        assert!((1..=lines).contains(&line), "{}: line {line}", text.escape_ascii());
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn bare(line: &str) -> &str {
    line.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}')
}

/// The text of a roster of bb.com that lists some of [`NAMES`], as odd as rosters get.
fn roster_text() -> impl Strategy<Value = String> {
    let blank = || select(&["", "", "", " ", "\t", " \t "]);
    let end = || select(&["\n", "\n", "\r\n", "\r\n", "\n\n", "\r\n \r\n"]);
    let line = move |text: &'static str| {
        (blank(), blank(), end()).prop_map(move |(before, after, end)| format!("{before}{text}{after}{end}"))
    };
    let listed = proptest::sample::subsequence(NAMES, 0..=NAMES.len()).prop_shuffle();
    let users = listed.prop_flat_map(move |users| users.into_iter().map(line).collect::<Vec<_>>());
    let domain = line("bb.com");
    (any::<bool>(), select(&["", "", "\n", " \r\n"]), domain, users, any::<bool>()).prop_map(
        |(marked, blanks, domain, users, ended)| {
            let mark = if marked { "\u{feff}" } else { "" };
            let text = format!("{mark}{blanks}{domain}{}", users.concat());
            if ended { text } else { text.trim_end().to_owned() }
        },
    )
}

/// A user may be called what the domain is called.
const NAMES: &[&str] = &["laura", "Laura", "laura2", "pere", "josé", "名前", "bb.com", "#"];

/// A `nodelumi.cfg` alone in a folder of its own.
struct Config {
    folder: TempDir,
    path: PathBuf,
}

impl Config {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().canonicalize().expect("a folder").join("nodelumi.cfg");
        fs::write(&path, text).expect("a new folder can be written to");
        Self { folder, path }
    }

    fn open(&self) -> RosterFile {
        RosterFile::open(&self.path).unwrap_or_else(|error| panic!("{}: {error}", source(&error))).0
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("it is there")
    }

    /// No temporary file was left behind.
    fn assert_alone(&self) {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let paths: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(paths, ["nodelumi.cfg"].map(Path::new));
    }
}

fn add(user: &str) -> RosterChange {
    RosterChange::Add(name(user))
}

fn remove(user: &str) -> RosterChange {
    RosterChange::Remove(name(user))
}

fn name(user: &str) -> UserName {
    user.parse().expect("a name")
}

fn source(error: &RosterFileError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
