//! Encrypted conversations, and keys, as users and scripts meet them.

mod changed;
mod events;
mod files;
mod levels;
mod subcommands;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use integration_tests::programs::DATA;
use tempfile::TempDir;

use super::send::command;

use super::*;

/// The home of a user on one machine. Programs that are started there have the same key and know the same
/// keys.
pub(super) struct Home {
    pub(super) address: &'static str,
    folder: TempDir,
}

impl Home {
    pub(super) fn of(address: &'static str) -> Self {
        Self { address, folder: tempfile::tempdir().expect("a folder") }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The file or folder `name` in the user's data.
    pub(super) fn data(&self, name: &str) -> PathBuf {
        self.path().join(DATA).join("mi-agent").join(self.address).join(name)
    }

    /// Starts a chat in line mode, and waits until it can be called.
    pub(super) fn chat(&self, node: &NodeProgram, arguments: &[&str]) -> Program {
        let at = node.address().to_string();
        let arguments = [&["--log", "off", "--node", &at, self.address], arguments].concat();
        let mut program = Program::start(AGENT, self.path(), &arguments);
        program.expect_line("* listening");
        program
    }

    /// Runs a program to its end, and returns its exit code, its output, and its messages on stderr.
    pub(super) fn run(&self, arguments: &[&str]) -> (i32, Vec<String>, Vec<String>) {
        let mut program = Program::start_command(&mut command(self.path(), arguments));
        program.close_stdin();
        (program.wait_exit(), program.stdout(), program.stderr())
    }

    /// Runs `mi-agent send`, and returns its exit code and its messages.
    pub(super) fn send(&self, node: &NodeProgram, arguments: &[&str]) -> (i32, Vec<String>) {
        let at = node.address().to_string();
        let arguments = [&["send", "--from", self.address, "--node", &at], arguments].concat();
        let (code, stdout, stderr) = self.run(&arguments);
        (code, [stdout, stderr].concat())
    }

    /// Returns what `mi-agent key show` prints with this flag.
    pub(super) fn key(&self, form: &str) -> String {
        let (code, stdout, stderr) = self.run(&["key", "show", "--from", self.address, form]);
        assert_eq!((code, &stderr[..]), (0, &[][..]));
        stdout.join("\n")
    }

    /// Returns the lines of the keys that the user knows.
    pub(super) fn known(&self) -> Vec<String> {
        let known = fs::read_to_string(self.data("known_peers")).unwrap_or_default();
        known.lines().map(str::to_owned).collect()
    }
}

/// A node of bb.com with laura, pere and joan, and the homes of laura and pere.
pub(super) fn node_and_homes() -> (NodeProgram, Home, Home) {
    let node = NodeProgram::start("bb.com", &["laura", "pere", "joan"], &[]);
    (node, Home::of("laura@bb.com"), Home::of("pere@bb.com"))
}

/// Calls from `caller`, and returns the line about the protection that follows the beginning of the
/// conversation.
pub(super) fn call(caller: &mut Program, to: &str) -> String {
    caller.type_line(&format!("/call {to}"));
    begun(caller)
}

/// Returns the line about the protection of the next conversation.
pub(super) fn begun(agent: &mut Program) -> String {
    agent.expect_line("* in conversation with ");
    agent.wait_for(|_| true)
}

/// Ends the conversation of `agent` with the user of `peer`, and waits for its end on both sides.
pub(super) fn end(agent: &mut Program, peer: &mut Program) {
    agent.type_line("/bye");
    agent.expect_line("* conversation with ");
    peer.expect_line("* conversation with ");
}

/// Replaces the day in `line`, which is another one every day.
pub(super) fn undated(line: &str) -> String {
    let is_day = |word: &str| {
        let form: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        form == "0000-00-00"
    };
    let words = line.split(' ').map(|word| match word.strip_suffix([':', ';']) {
        Some(day) if is_day(day) => word.replace(day, "DAY"),
        None if is_day(word) => "DAY".into(),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

pub(super) const NEW_PERE: &str = "* encrypted, new key: /verify pere@bb.com compares words";
pub(super) const NEW_LAURA: &str = "* encrypted, new key: /verify laura@bb.com compares words";
pub(super) const KNOWN_PERE: &str = "* encrypted, key known since DAY: /verify pere@bb.com compares words";
pub(super) const PLAIN: &str = "* plain: anyone on the way can read and change this";

/// Nobody has to do anything about keys.
#[test]
fn two_users_who_know_nothing_of_keys_are_encrypted_and_know_each_other_the_next_time() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    let mut laura_talks = laura.chat(&node, &[]);
    assert_eq!(call(&mut laura_talks, "pere@bb.com"), NEW_PERE);
    assert_eq!(begun(&mut pere_talks), NEW_LAURA);
    laura_talks.type_line("hola");
    assert_eq!(pere_talks.expect_line("<"), "<laura> hola");
    pere_talks.type_line("hola, què tal?");
    assert_eq!(laura_talks.expect_line("<"), "<pere> hola, què tal?");
    end(&mut laura_talks, &mut pere_talks);
    assert_eq!(undated(&call(&mut laura_talks, "pere@bb.com")), KNOWN_PERE);
    assert_eq!(begun(&mut pere_talks), NEW_LAURA, "she called him, and he has not called her");
    end(&mut pere_talks, &mut laura_talks);

    let line = |home: &Home| format!("{} seen DAY", home.key("--line"));
    let known: Vec<_> = laura.known().iter().map(|line| undated(line)).collect();
    assert_eq!(known, [line(&pere)]);
    assert_eq!(pere.known(), [""; 0], "a caller proves no address");
    for (home, files) in [(&laura, &["identity.pem", "known_peers"][..]), (&pere, &["identity.pem"])] {
        for file in files {
            let mode = fs::metadata(home.data(file)).expect("it is there").permissions().mode() & 0o7777;
            assert_eq!(mode, 0o600, "{file}");
        }
        let folder = fs::metadata(home.data("")).expect("it is there").permissions().mode() & 0o7777;
        assert_eq!(folder, 0o700);
    }
    assert!(node.log().iter().any(|line| line.contains(", RL0") && line.contains(":T, ")));
    // A later run has the same key.
    drop(pere_talks);
    let mut pere_talks = pere.chat(&node, &[]);
    assert_eq!(undated(&call(&mut laura_talks, "pere@bb.com")), KNOWN_PERE);
    begun(&mut pere_talks);
    for program in [&laura_talks, &pere_talks] {
        assert_eq!(program.stderr(), [""; 0]);
    }
}

/// The user of `agent`, with the address `whose`, reads out the words of the key, and that of `other` types
/// them.
fn compare(agent: &mut Program, other: &mut Program, whose: &str) {
    agent.type_line("/words");
    let words = agent.expect_line("* your words: ")["* your words: ".len()..].to_owned();
    let words: Vec<_> = words.split(' ').collect();
    assert_eq!(words.len(), 8);
    // A slip of the pen, and a word that was heard wrong.
    other.type_line(&format!("/verify {whose} {}", words[1..].join(" ")));
    assert_eq!(other.expect_line("!"), "! these words are 7, and a key has 8");
    let mut wrong = words.clone();
    wrong[2] = if words[2] == "zoo" { "able" } else { "zoo" };
    other.type_line(&format!("/verify {whose} {}", wrong.join(" ")));
    let told = other.expect_line("!");
    let expected = format!("! the key of {whose} is not trusted: word 3, `{}`, is another one; ", wrong[2]);
    assert!(told.starts_with(&expected) && !told.contains(&format!("`{}`", words[2])), "{told}");
    other.type_line(&format!("/verify {whose} {}", words.join(" ").to_uppercase()));
    let right = format!("* the words are right: the key of {whose} is verified from now on");
    assert_eq!(other.expect_line("* the words"), right);
}

#[test]
fn words_that_are_read_out_and_typed_verify_a_key() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    let mut laura_talks = laura.chat(&node, &[]);
    call(&mut laura_talks, "pere@bb.com");
    begun(&mut pere_talks);
    compare(&mut pere_talks, &mut laura_talks, "pere@bb.com");
    compare(&mut laura_talks, &mut pere_talks, "laura@bb.com");
    end(&mut laura_talks, &mut pere_talks);
    let verified = "* encrypted, key verified on DAY";
    assert_eq!(undated(&call(&mut laura_talks, "pere@bb.com")), verified);
    assert_eq!(undated(&begun(&mut pere_talks)), verified);
    assert!(laura.known()[0].contains(" verified ") && pere.known()[0].contains(" verified "));
    laura_talks.type_line("/bye");
    laura_talks.expect_line("* conversation with ");
    laura_talks.type_line("/verify joan@bb.com zoo zoo zoo zoo zoo zoo zoo zoo");
    let told = laura_talks.expect_line("!");
    assert_eq!(told, "! the key of joan@bb.com is not trusted: no key of it is known: call it first");
}

/// Every line that a script sends arrives, and nothing is printed.
#[test]
fn a_script_sends_encrypted_and_is_told_nothing() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    for expected in [NEW_LAURA; 2] {
        assert_eq!(laura.send(&node, &["pere@bb.com", "hola\nadeu"]), (0, vec![]));
        assert_eq!(begun(&mut pere_talks), expected);
        assert_eq!(pere_talks.expect_line("<"), "<laura> hola");
        assert_eq!(pere_talks.expect_line("<"), "<laura> adeu");
        pere_talks.expect_line("* conversation with ");
    }
    assert_eq!(laura.known().len(), 1);
    // `listen` says the same in words.
    let at = node.address().to_string();
    let listens = ["listen", "--from", "joan@bb.com", "--node", &at];
    let joan = Home::of("joan@bb.com");
    let mut joan_listens = Program::start_command(&mut command(joan.path(), &listens));
    joan_listens.expect_line("* listening");
    assert_eq!(laura.send(&node, &["joan@bb.com", "hola"]), (0, vec![]));
    assert_eq!(begun(&mut joan_listens), NEW_LAURA);
}
