//! A node with its roster and log on a disk that becomes full, and has room again.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::programs::{NODE, NodeProgram, Program, eventually, executable, write_roster};
use integration_tests::skipped;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::{User, words};

#[test]
fn a_node_on_a_full_file_system_serves_and_loses_no_user() {
    let folder = tempfile::tempdir().unwrap();
    if let Err(reason) = try_to_mount(folder.path()) {
        skipped(&format!("no tmpfs of 1 MiB can be mounted here: {reason}"));
        return;
    }
    // Only this node, and programs that reach through it, see the file system; it ends with the node.
    let mount = format!("{MOUNT} && mkdir config && printf 'bb.com\\nlaura\\n' > config/nodelumi.cfg");
    let (node, pid) =
        start(Command::new("unshare").arg("--map-root-user").arg("--mount"), &mount, folder.path());
    let seen = PathBuf::from(format!("/proc/{pid}/root")).join(folder.path().strip_prefix("/").unwrap());
    let node = NodeProgram::ready(node, &seen);
    let filler = seen.join("filler");
    let fill = |_: &NodeProgram| {
        let mut filler = File::create(&filler).unwrap();
        let full = std::iter::repeat_with(|| filler.write_all(&[0; 4096])).take(1000).find_map(Result::err);
        assert_eq!(full.expect("1 MiB is full by now").kind(), ErrorKind::StorageFull);
    };
    serve_on(node, fill, || fs::remove_file(&filler).unwrap(), "no space left on device");
}

#[test]
fn a_node_whose_files_may_not_grow_serves_and_loses_no_user() {
    let folder = tempfile::tempdir().unwrap();
    // Longer than the log will be: it may not be written anew.
    let others: String = (0..200).map(|number| format!("user-{number}\n")).collect();
    write_roster(folder.path(), &format!("bb.com\nlaura\n{others}"));
    // A write beyond the limit is then an error, and the end of nobody.
    let (node, pid) = start(&mut Command::new("env"), "trap '' XFSZ", folder.path());
    let node = NodeProgram::ready(node, folder.path());
    let given = getrlimit(Resource::Fsize);
    let limit = |current| {
        let limit = Rlimit { current, ..given };
        prlimit(Pid::from_raw(pid), Resource::Fsize, limit).expect("it is this user's process");
    };
    // Within the next line.
    let fill = |node: &NodeProgram| limit(Some(log(node).len() as u64 + 10));
    serve_on(node, fill, || limit(given.current), "file too large");
}

/// Has `node`, of bb.com and its user laura, serve before its disk is full, then, and when there is room
/// again.
fn serve_on(mut node: NodeProgram, fill: impl FnOnce(&NodeProgram), free: impl FnOnce(), reason: &str) {
    let laura = User::of(&node);
    let from = format!("127.0.0.1:UDP:{}", laura.address().port());
    let both = format!("R: {from}, PRlaura@bb.com, 14\nE: {from}, RR0, 3\n");
    let roster = node.roster();
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(log(&node), both);

    fill(&node);
    // Many times what room may be left in the last page of the log.
    for _ in 0..1000 {
        assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    }
    node.wait_for_diagnostic("lines of the message log are lost, ");
    assert_eq!(node.stderr().len(), 1, "{:?}", node.stderr());
    for (command, user) in [("register", "pere"), ("deregister", "laura"), ("register", "joan")] {
        node.type_line(&format!("{command} {user}"));
        let refused = node.wait_for(|_| true);
        let start = format!(
            "! cannot {command} {user}: nothing has changed: cannot write the roster config/nodelumi.cfg, which is as it was: "
        );
        assert!(refused.starts_with(&start) && refused.to_lowercase().contains(reason), "{refused}");
        assert_eq!(node.roster(), roster);
        assert_eq!(names(&node.folder().join("config")), ["nodelumi.cfg"], "nothing else is left beside it");
    }
    node.type_line("list");
    node.expect_line("USER");
    let listed: Vec<_> = roster.lines().skip(1).map(|_| node.wait_for(|_| true)).collect();
    assert!(listed.iter().all(|line| !line.starts_with("pere") && !line.starts_with("joan")), "{listed:?}");
    let laura_listed = listed.iter().find(|line| line.starts_with("laura")).expect("she is a user as before");
    let [_, state, ..] = words::<5>(laura_listed);
    assert_eq!(state, "online");
    assert_eq!(laura.ask("PRpere@bb.com"), "RR1");

    // The first registration, the thousand, and the one that was refused.
    let told = 2 * (1 + 1000 + 1);
    eventually("each line is written or lost", || {
        node.type_line("status");
        let errors = node.expect_line("errors");
        let (_, lost) = errors.split_once("could not be sent, and ").expect("it says so");
        let lost: usize = lost.split(' ').next().and_then(|lost| lost.parse().ok()).expect("a number");
        // The end of a torn line may be there as well.
        log(&node).matches('\n').count() + lost >= told
    });
    let full = log(&node);
    free();
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    // A line that could not be written whole stays by itself.
    let end = if full.ends_with('\n') { "" } else { "\n" };
    assert_eq!(log(&node), format!("{full}{end}{both}"));
    let torn: Vec<_> = log(&node)
        .lines()
        .filter(|line| !both.lines().any(|whole| whole == *line))
        .map(str::to_owned)
        .collect();
    assert!(
        torn.len() <= 1 && torn.iter().all(|torn| both.lines().any(|whole| whole.starts_with(torn))),
        "{torn:?}"
    );

    node.type_line("register pere");
    node.expect_line("registered pere");
    node.type_line("deregister laura");
    node.expect_line("deregistered laura");
    assert_eq!(node.roster(), roster.replace("laura\n", "") + "pere\n");
    assert_eq!(laura.ask("PRpere@bb.com"), "RR0");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR1");
    assert_eq!(node.stderr().len(), 1, "{:?}", node.stderr());
}

/// Starts a node in `folder` by way of `wrapper` and a shell that does `first`; with its process.
fn start(wrapper: &mut Command, first: &str, folder: &Path) -> (Program, i32) {
    let script = format!("{first} && echo \"process $$\" && exec \"$@\"");
    let shell = wrapper.args(["sh", "-c", &script]).arg(folder).arg(executable(NODE));
    let node = shell.args([
        "--listen",
        "127.0.0.1:0",
        "--console",
        "--rate-limit",
        "off",
        "--control-socket",
        "off",
        // Their disk is full in a test of its own.
        "--bindings",
        "off",
    ]);
    let mut node = Program::start_command(node.current_dir(folder).env_remove("RUST_LOG"));
    let line = node.expect_line("process ");
    (node, line["process ".len()..].parse().expect("a shell knows its number"))
}

fn try_to_mount(folder: &Path) -> Result<(), String> {
    let mut mount = Command::new("unshare");
    mount.args(["--map-root-user", "--mount", "sh", "-c", MOUNT]).arg(folder);
    let output = mount.output().map_err(|error| format!("unshare: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn log(node: &NodeProgram) -> String {
    fs::read_to_string(node.folder().join("nodelumi-bb.com.log")).expect("there is a log")
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("it is there").file_name().into_string();
    fs::read_dir(folder).expect("a folder").map(|entry| name(entry).expect("UTF-8")).collect()
}

/// The mount is in a namespace of its own, and everybody with the right to make one may mount there.
const MOUNT: &str = "mount -t tmpfs -o size=1m none \"$0\" && cd \"$0\"";
