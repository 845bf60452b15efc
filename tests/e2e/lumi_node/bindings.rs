//! Users who are found after a restart of their node without registering again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::emulators::Program::{L, S};
use integration_tests::emulators::sockets::EmulatedAgent;
use integration_tests::programs::{
    NODE, NodeProgram, Program, Signal, at_home, eventually, executable, write_roster,
};
use integration_tests::skipped;
use serde_json::Value;

use super::{User, failure, folder_with};

/// None of them registers again by itself, and an agent of L ends on whatever it does not expect.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_deployed_agents_are_found_after_a_kill_and_a_restart() {
    let names: Vec<_> = (0..AGENTS).map(|number| format!("u{number}")).collect();
    let folder = folder_with(&format!("bb.com\nlaura\n{}\n", names.join("\n")));
    let mut node = start(folder.path(), &[]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    let mut agents = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let program = if number % 4 == 0 { S } else { L };
        agents.push(EmulatedAgent::start(program, &format!("{name}@bb.com"), node.address()).await);
    }
    node.kill();

    let node = start_at(&node, &[]);
    assert_eq!(node.stderr(), [""; 0]);
    let online = users(&node);
    assert_eq!(online.iter().filter(|user| user["restored"] == true).count(), AGENTS + 1, "{online:?}");
    for (name, agent) in names.iter().zip(&agents) {
        let answer = laura.ask(&format!("PLlaura@bb.com:{name}@bb.com"));
        assert_eq!(answer, format!("RL0laura@bb.com:{name}@bb.com:{}", agent.listening));
    }
    let heard = users(&node);
    assert!(heard.iter().all(|user| user["online"] == true && user["restored"].is_null()), "{heard:?}");
    for agent in agents {
        agent.end().await;
    }
}

#[test]
fn what_was_answered_holds_after_a_restart() {
    let folder = folder_with("bb.com\nlaura\npere\njoan\n");
    let mut node = start(folder.path(), &[]);
    let (laura, elsewhere, pere, joan) = (User::of(&node), User::of(&node), User::of(&node), User::of(&node));
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(elsewhere.ask("PRlaura@bb.com"), "RR0", "she has moved");
    assert_eq!((pere.ask("PRpere@bb.com"), pere.ask("PDpere@bb.com")), ("RR0".into(), "RD0".into()));
    assert_eq!(joan.ask("PRjoan@bb.com"), "RR0");
    assert_eq!(ctl(&node, &["deregister", "joan"]).1, "deregistered joan\n");
    assert_eq!(ctl(&node, &["register", "joan"]).1, "registered joan\n");
    for end in [None, Some(Signal::Terminate), Some(Signal::Interrupt)] {
        match end {
            None => node.kill(),
            Some(signal) => {
                node.signal(signal);
                assert_eq!((node.wait_exit(), node.stderr()), (0, vec![]), "{signal:?}");
                assert!(!beside(&node, "-wal").exists(), "it was closed");
            }
        }
        node = start_at(&node, &[]);
        let lines = list(&node);
        assert!(lines[1].starts_with("joan   offline"), "{lines:?}");
        let address = elsewhere.address();
        assert!(lines[2].starts_with(&format!("laura  online (restored)  {address}")), "{lines:?}");
        assert!(lines[3].starts_with("pere   offline"), "{lines:?}");
        elsewhere.say(b"PLlaura@bb.com:laura@bb.com");
        assert_eq!(elsewhere.hear(), "PLlaura@bb.com:laura@bb.com");
    }
    assert_eq!(elsewhere.ask("PRlaura@bb.com"), "RR0");
    assert!(list(&node)[2].starts_with("laura  online   "), "she was heard");
}

#[test]
fn nothing_is_kept_if_told_so() {
    let folder = folder_with("bb.com\nlaura\n");
    let mut node = start(folder.path(), &["--bindings", "off"]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
    assert_eq!(files(&folder.path().join("config")), ["nodelumi.cfg"]);
    let node = start_at(&node, &["--bindings", "off"]);
    assert!(list(&node)[1].starts_with("laura  offline"));
    let status = ctl(&node, &["status"]).1;
    assert!(status.contains("They are not saved, so users are offline after a restart."), "{status}");
}

#[test]
fn a_node_that_was_away_for_long_finds_nobody() {
    let folder = folder_with("bb.com\nlaura\n");
    let mut node = start(folder.path(), &[]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    node.kill();
    let mut node = start_at(&node, &["--restore-within", "0s"]);
    node.wait_for_diagnostic("so the bindings of 1 user are too old (restore-within); ");
    assert!(list(&node)[1].starts_with("laura  offline"));
    node.kill();
    // The heartbeat is a new one now, and the binding is as old as before.
    let node = start_at(&node, &[]);
    assert!(list(&node)[1].starts_with("laura  offline"));
    assert_eq!(node.stderr(), [""; 0]);
}

#[test]
fn a_second_node_with_the_same_roster_says_what_to_do() {
    let folder = folder_with("bb.com\nlaura\n");
    let mut node = start(folder.path(), &[]);
    let reason = "another node has the bindings config/nodelumi.cfg.bindings; `lumi-node ctl status` asks that node; give this \
                  one another roster, or name another file with --bindings";
    assert_eq!(failure(folder.path(), &["--listen", "127.0.0.1:0"]), (1, reason.to_owned()));
    for other in ["off", "other.bindings"] {
        let listen = ["--listen", "127.0.0.1:0", "--control-socket", "off", "--bindings", other];
        drop(NodeProgram::start_in(folder.path(), &listen));
    }
    assert!(folder.path().join("other.bindings").exists());
    node.kill();
    drop(start(folder.path(), &[]));
}

#[test]
fn a_file_that_is_something_else_is_left_alone() {
    let folder = folder_with("bb.com\nlaura\n");
    let roster = fs::read(folder.path().join("config/nodelumi.cfg")).unwrap();
    let cannot = |file: &str, reason: &str| (1, format!("cannot open the bindings {file}: {reason}"));
    let failure = |file: &str| {
        failure(folder.path(), &["--listen", "127.0.0.1:0", "--log", "x.log", "--bindings", file])
    };
    assert_eq!(failure("config/nodelumi.cfg"), cannot("config/nodelumi.cfg", "it is the roster"));
    assert_eq!(failure("x.log"), cannot("x.log", "it is the message log"));
    assert_eq!(fs::read(folder.path().join("config/nodelumi.cfg")).unwrap(), roster);
    let remedy = "; name another file with --bindings, or say `off`";
    assert_eq!(failure("config"), cannot("config", &format!("is a directory{remedy}")));
    assert_eq!(failure("no/such"), cannot("no/such", &format!("no such file or directory{remedy}")));
}

#[test]
fn a_database_that_is_broken_or_damaged_costs_what_it_had() {
    let folder = folder_with("bb.com\nlaura\n");
    let database = folder.path().join("config/nodelumi.cfg.bindings");
    fs::write(&database, "no database ".repeat(100)).unwrap();
    let node = start(folder.path(), &[]);
    let told =
        node.wait_for_diagnostic("the bindings config/nodelumi.cfg.bindings cannot be used: it is broken: ");
    assert!(told.contains("they are in config/nodelumi.cfg.bindings.broken-1 now"), "{told}");
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    let (code, lines) = check(folder.path());
    assert!(
        lines[3].starts_with(
            "ok   bindings config/nodelumi.cfg.bindings: 1 user bound, a node was last alive at 20"
        ),
        "{lines:?}"
    );
    assert_eq!(code, 1, "the domain leads nowhere: {lines:?}");
    let mut node = node;
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);

    fs::write(folder.path().join("config/nodelumi.cfg"), "cc.com\nlaura\n").unwrap();
    let (_, lines) = check(folder.path());
    let other = "FAIL bindings config/nodelumi.cfg.bindings: it belongs to the domain bb.com; a node that starts moves it aside ";
    assert!(lines[3].starts_with(other), "{lines:?}");
    let node = start(folder.path(), &[]);
    node.wait_for_diagnostic("cannot be used: it belongs to the domain bb.com; they are in config/nodelumi.cfg.bindings.broken-2 now");
}

#[test]
fn check_tells_where_bindings_will_be() {
    let folder = folder_with("bb.com\nlaura\n");
    let told = |arguments: &str| {
        integration_tests::programs::write_settings(folder.path(), arguments);
        let (_, lines) = check(folder.path());
        lines.into_iter().find(|line| line[5..].starts_with("bindings")).expect("it is checked")
    };
    assert!(told("").starts_with("ok   bindings config/nodelumi.cfg.bindings: it can be made, by "));
    let off = "skip bindings: off, so users are offline after a restart until they register again";
    assert_eq!(told("bindings = 'off'"), off);
    assert!(told("bindings = 'no/such'").starts_with("FAIL bindings no/such: no such file or directory "));
    assert!(
        told("bindings = 'config/nodelumi.cfg'")
            .starts_with("FAIL bindings config/nodelumi.cfg: it is the roster; ")
    );
    assert_eq!(
        told("bindings = 3"),
        "skip bindings: not checked until the settings and the roster are right"
    );
}

#[test]
fn a_full_disk_costs_the_promise_and_not_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = |script: &str| {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--map-root-user", "--mount", "sh", "-c", &format!("{MOUNT} && {script}")])
            .arg(folder.path());
        unshare
    };
    if !mounted("true").output().is_ok_and(|output| output.status.success()) {
        skipped("no tmpfs of 1 MiB can be mounted here");
        return;
    }
    write_roster(folder.path(), "bb.com\nlaura\npere\n");
    let mut shell = mounted("echo \"process $$\" && exec \"$@\"");
    shell.arg(executable(NODE)).args(["--listen", "127.0.0.1:0", "--bindings", "disk/bb", "--console"]);
    let mut program = Program::start_command(at_home(&mut shell, folder.path()));
    let pid = program.expect_line("process ")["process ".len()..].to_owned();
    let mut node = NodeProgram::ready(program, folder.path());
    let disk = PathBuf::from(format!("/proc/{pid}/root"))
        .join(folder.path().strip_prefix("/").unwrap())
        .join("disk");
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    let mut filler = File::create(disk.join("filler")).unwrap();
    std::iter::repeat_with(|| filler.write_all(&[0; 4096]))
        .take(1000)
        .find_map(Result::err)
        .expect("it is full");
    // A few more may fit into the room that is left in the last pages.
    let mut elsewhere = User::of(&node);
    eventually("the node tells that it cannot save", || {
        elsewhere = User::of(&node);
        assert_eq!(elsewhere.ask("PRlaura@bb.com"), "RR0");
        node.stderr().iter().any(|line| line.contains("bindings are not saved, so users registered since"))
    });
    let status = |node: &NodeProgram| ctl(node, &["status"]).1;
    assert!(status(&node).contains("THEY CANNOT BE SAVED: "), "{}", status(&node));
    assert_eq!(elsewhere.ask("PLlaura@bb.com:pere@bb.com"), "RL3laura@bb.com:pere@bb.com", "it serves");
    drop(filler);
    fs::remove_file(disk.join("filler")).unwrap();
    eventually("all is saved", || {
        let status: Value = serde_json::from_str(&ctl(&node, &["status", "--json"]).1).unwrap();
        status["bindings"]["unsaved"] == 0 && status["bindings"]["failing"] == false
    });
    let copy = folder.path().join("config/nodelumi.cfg.bindings");
    for part in ["", "-wal"] {
        fs::copy(with(&disk.join("bb"), part), with(&copy, part)).unwrap();
    }
    node.kill();
    let node = start_at(&node, &[]);
    assert!(list(&node)[1].contains(&elsewhere.address().to_string()), "{:?}", list(&node));
}

fn start(folder: &Path, arguments: &[&str]) -> NodeProgram {
    NodeProgram::start_in(folder, &[arguments, &["--rate-limit", "off"]].concat())
}

/// Starts a node where the one before was, which has ended.
fn start_at(before: &NodeProgram, arguments: &[&str]) -> NodeProgram {
    start(before.folder(), &[arguments, &["--listen", &before.address().to_string()]].concat())
}

fn users(node: &NodeProgram) -> Vec<Value> {
    serde_json::from_str(&ctl(node, &["list", "--json"]).1).expect("a list of users")
}

fn list(node: &NodeProgram) -> Vec<String> {
    ctl(node, &["list"]).1.lines().map(str::to_owned).collect()
}

fn ctl(node: &NodeProgram, arguments: &[&str]) -> (i32, String) {
    let mut ctl = Program::start(NODE, node.folder(), &[&["ctl"], arguments].concat());
    let code = ctl.wait_exit();
    (code, ctl.stdout().iter().map(|line| format!("{line}\n")).collect())
}

fn check(folder: &Path) -> (i32, Vec<String>) {
    let mut check = Program::start(NODE, folder, &["check"]);
    (check.wait_exit(), check.stdout())
}

fn beside(node: &NodeProgram, part: &str) -> PathBuf {
    with(&node.folder().join("config/nodelumi.cfg.bindings"), part)
}

fn with(path: &Path, part: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(part);
    path.into()
}

fn files(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder");
    let name = |file: io::Result<fs::DirEntry>| {
        file.expect("a file").file_name().into_string().expect("a name in UTF-8")
    };
    let mut names: Vec<_> = files.map(name).collect();
    names.sort();
    names
}

const AGENTS: usize = 200;

/// Nobody but this node, and those who reach through it, sees the file system; it ends with the node.
const MOUNT: &str = "mkdir -p \"$0/disk\" && mount -t tmpfs -o size=1m none \"$0/disk\" && cd \"$0\"";
