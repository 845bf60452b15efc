//! A node that is killed while its users enrol, with real agents.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use integration_tests::programs::{AGENT, DEADLINE};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;

/// A student with a code, on a machine of their own.
struct Student {
    address: String,
    code: String,
    home: TempDir,
}

impl Student {
    fn new(address: &str, code: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        Self { address: address.to_owned(), code: code.to_owned(), home }
    }

    fn starts_to_enrol(&self, node: &str) -> Program {
        let arguments = ["enrol", &self.address, &self.code, "--node", node];
        Program::start_command(self.command().args(arguments))
    }

    /// Returns the key that others see.
    fn key(&self) -> String {
        let shown = self.command().args(["key", "show", "--line", "--from", &self.address]).output();
        let line = String::from_utf8(shown.expect("it starts").stdout).expect("it is text");
        line.trim_end().rsplit_once(' ').expect("ADDRESS ed25519 KEY").1.to_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(executable(AGENT));
        at_home(&mut command, self.home.path());
        command
    }
}

/// The files change at each step of an enrolment, so the number of changes before a kill is a place between
/// two of them.
#[test]
fn a_node_that_is_killed_while_a_class_enrols_forgets_nobody_and_locks_nobody_out() {
    let class: Vec<_> = (1..=20).map(|number| format!("pupil{number}")).collect();
    let folder = folder_with(&format!("bb.com\n{}\n", class.join("\n")));
    let begin = |listen: &str| {
        NodeProgram::start_in(folder.path(), &["--listen", listen, "--control-socket", SOCKET])
    };
    let mut node = begin("127.0.0.1:0");
    let at = node.address().to_string();
    let invited = done(&node, &["invite", "--all-new"]);
    let students: Vec<_> = invited
        .lines()
        .map(|line| line.split_once(' ').expect("ADDRESS CODE"))
        .map(|(address, code)| Student::new(address, code))
        .collect();
    assert_eq!(students.len(), 20);

    let mut rng = fastrand::Rng::with_seed(7);
    let mut agents: Vec<_> = students.iter().map(|student| student.starts_to_enrol(&at)).collect();
    let mut kills = 0;
    // On a busy machine several enrolments share a write, and fewer changes are seen. There is always one.
    while kills < MAX_KILLS
        && wait_for_changes(&node, if kills == 0 { 1 } else { rng.usize(1..8) }, &mut agents)
    {
        node.kill();
        node = begin(&at);
        kills += 1;
    }
    assert!(kills > 0, "nobody enrolled before the end");

    let codes: Vec<_> = agents.iter_mut().map(Program::wait_exit).collect();
    // 6 is no answer, so nobody knows.
    assert!(codes.iter().all(|code| [0, 6].contains(code)), "{codes:?} after {kills} kills");
    for (student, code) in students.iter().zip(&codes) {
        let keys = keys_of(&node, student);
        if *code == 0 {
            assert_eq!(keys, [student.key()], "{} was told so", student.address);
        }
        assert!(keys.len() <= 1, "{keys:?}");
    }
    let mut again: Vec<_> = students.iter().map(|student| student.starts_to_enrol(&at)).collect();
    for (student, agent) in students.iter().zip(&mut again) {
        assert_eq!(agent.wait_exit(), 0, "{}: {:?}", student.address, agent.stderr());
        assert_eq!(keys_of(&node, student), [student.key()]);
    }
    let thieves: Vec<_> =
        students.iter().map(|student| Student::new(&student.address, &student.code)).collect();
    let mut thefts: Vec<_> = thieves.iter().map(|thief| thief.starts_to_enrol(&at)).collect();
    for theft in &mut thefts {
        assert_eq!(theft.wait_exit(), 3, "{:?}", theft.stderr());
    }
    assert_eq!(done(&node, &["keys"]).lines().count(), 1 + 20);
    assert_eq!(done(&node, &["invites"]).matches("  used  ").count(), 20);
}

/// Waits until the files of the node have changed so often. Returns `false` if all agents end before that.
fn wait_for_changes(node: &NodeProgram, changes: usize, agents: &mut [Program]) -> bool {
    let (mut before, mut seen, begun) = (files(node), 0, Instant::now());
    while seen < changes {
        let now = files(node);
        if now != before {
            seen += 1;
            before = now;
        } else if agents.iter_mut().all(Program::has_ended) {
            return false;
        }
        assert!(begun.elapsed() < DEADLINE, "neither do the files change nor do the agents end");
        std::thread::yield_now();
    }
    true
}

/// The files of keys and invitations, also those that are being written.
fn files(node: &NodeProgram) -> BTreeSet<(PathBuf, u64, u64, i64)> {
    let entries = fs::read_dir(node.folder().join("config")).expect("a folder");
    let files = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        // It may be gone by now.
        let metadata = fs::symlink_metadata(&path).ok()?;
        Some((path, metadata.ino(), metadata.len(), metadata.mtime_nsec()))
    });
    files.collect()
}

/// Returns the keys that the node has of a student.
fn keys_of(node: &NodeProgram, student: &Student) -> Vec<String> {
    let (user, _) = student.address.split_once('@').expect("an address");
    let listed = done(node, &["keys"]);
    let rows = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[0] == user).map(|row| row[1].to_owned()).collect()
}

/// The most kills: agents ask five times, a second apart, and are to be answered in the end.
const MAX_KILLS: usize = 6;
