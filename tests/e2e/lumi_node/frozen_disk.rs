//! A node with its log on a disk that hangs: a file system on a frozen device, as NFS without its server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::programs::{
    NODE, NodeProgram, Program, Signal, at_home, eventually, executable, write_roster,
};
use integration_tests::skipped;
use serde_json::Value;

use super::User;

#[test]
fn a_log_on_a_disk_that_hangs_holds_nobody_up_and_goes_on_when_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    if let Err(reason) = try_to_freeze(folder.path()) {
        skipped(&format!("no file system can be frozen here: {reason}"));
        return;
    }
    let user = "l".repeat(29);
    write_roster(folder.path(), &format!("bb.com\n{user}\npere\n"));
    let mut node = start(folder.path());
    let disk = Disk::of(&node, folder.path());
    let (laura, pere) = (User::of(&node), User::of(&node));
    let register = format!("PR{user}@bb.com");
    assert_eq!(laura.ask(&register), "RR0");
    assert_eq!(disk.log().lines().count(), 2, "both lines are there before the answer");

    disk.freeze();
    // The first of them waits for its line for as long as it is worth.
    for _ in 0..20 {
        assert_eq!(laura.ask(&register), "RR0");
        assert_eq!(pere.ask("PRpere@bb.com"), "RR0");
        let request = format!("PLpere@bb.com:{user}@bb.com");
        pere.say(request.as_bytes());
        assert_eq!(laura.hear(), request);
        let answer = format!("RL1pere@bb.com:{user}@bb.com");
        laura.say(answer.as_bytes());
        assert_eq!(pere.hear(), answer);
    }
    node.wait_for_diagnostic("the message log takes longer than 250 ms");
    let early = figure(&node, "early-answers");
    assert!((20..=40).contains(&early), "{early} answers have not waited");

    // An administrator waits for the disk, and nobody else does.
    let mut reopening = Program::start(NODE, folder.path(), &["ctl", "--socket", SOCKET, "log", "reopen"]);
    assert_eq!(laura.ask(&register), "RR0");
    assert_eq!(reopening.wait_exit(), 1);
    let said = "cannot reopen the message log disk/bb.log, it goes on in the file that it had: the disk takes too long; the \
                log is reopened when it answers";
    assert!(reopening.stderr().concat().ends_with(said), "{:?}", reopening.stderr());

    // More than may wait for it is lost, and counted.
    let mut asked = 0;
    while figure(&node, "log-lines-lost") == 0 {
        assert!(asked < 100_000, "nothing is lost");
        (0..2_000).for_each(|_| assert_eq!(laura.ask(&register), "RR0"));
        asked += 2_000;
    }
    node.wait_for_diagnostic("1 MiB of them is waiting for the disk, which takes too long or hangs");
    let lost = figure(&node, "log-lines-lost");

    disk.thaw();
    let lines = |log: &str, part: &str| log.lines().filter(|line| line.contains(part)).count();
    // The lines are those of the first one, the pairs, the requests with their answers, the one during the
    // reopening, and the flood.
    let told = 2 * (1 + 40 + 40 + 1 + asked) as u64;
    eventually("all lines but the lost ones are in the log", || {
        disk.log().lines().count() as u64 + lost == told
    });
    let log = disk.log();
    assert_eq!((lines(&log, ", PL"), lines(&log, ", RL1")), (40, 40), "what came first is kept");
    assert!(
        log.ends_with('\n') && log.lines().all(|line| line.starts_with("R: ") || line.starts_with("E: "))
    );
    // The answer waits for its line again.
    let early = figure(&node, "early-answers");
    assert_eq!(laura.ask("PDpere@bb.com"), "RD1");
    assert_eq!(pere.ask("PDpere@bb.com"), "RD0");
    assert!(disk.log().ends_with(", RD0, 3\n") || figure(&node, "early-answers") > early);

    disk.freeze();
    assert_eq!(laura.ask(&register), "RR0");
    node.signal(Signal::Terminate);
    // The kernel ends no process within a write to such a disk.
    disk.thaw();
    assert_eq!(node.wait_exit(), 0);
}

/// A file system in an image, on which only the node has its log.
struct Disk(PathBuf);

impl Disk {
    /// The disk of `node`, in the namespace of the node.
    fn of(node: &NodeProgram, folder: &Path) -> Self {
        let pid = node.pid().as_raw_nonzero();
        Self(PathBuf::from(format!("/proc/{pid}/root{}/disk", folder.display())))
    }

    fn freeze(&self) {
        assert!(self.fsfreeze("-f"), "it could be frozen before");
    }

    fn thaw(&self) {
        assert!(self.fsfreeze("-u"), "it is frozen");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.0.join("bb.log")).expect("there is a log")
    }

    fn fsfreeze(&self, flag: &str) -> bool {
        Command::new("fsfreeze").arg(flag).arg(&self.0).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Disk {
    /// A process that waits for a disk that stays frozen waits for ever, even if it is killed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fsfreeze("-u");
        }
    }
}

fn start(folder: &Path) -> NodeProgram {
    let mut command = in_namespace(folder, MOUNT);
    command.arg(executable(NODE)).args(["--listen", "127.0.0.1:0", "--log", "disk/bb.log"]);
    command.args(["--control-socket", SOCKET, "--rate-limit", "off"]);
    NodeProgram::ready(Program::start_command(&mut command), folder)
}

/// Tries everything that the test needs.
fn try_to_freeze(folder: &Path) -> Result<(), String> {
    let made = "mkdir disk && truncate -s 8M image && mkfs.ext4 -q image";
    for script in [made, &format!("{MOUNT} && fsfreeze -f disk && fsfreeze -u disk")] {
        let output = in_namespace(folder, script).output().map_err(|error| format!("unshare: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
    }
    Ok(())
}

/// Runs `script` in `folder`, in a namespace with mounts that end with it. Arguments that follow are run
/// after it.
fn in_namespace(folder: &Path, script: &str) -> Command {
    let script = format!("{script}\n[ $# = 0 ] || exec \"$@\"");
    let mut command = Command::new("unshare");
    at_home(command.args(["--mount", "sh", "-ec", &script, "sh"]), folder);
    command
}

fn figure(node: &NodeProgram, name: &str) -> u64 {
    let mut command = Command::new(executable(NODE));
    let ctl = at_home(&mut command, node.folder()).args(["ctl", "--socket", SOCKET, "status", "--json"]);
    let status: Value = serde_json::from_slice(&ctl.output().expect("it starts").stdout).expect("it is JSON");
    status[name].as_u64().expect("it is a figure")
}

const MOUNT: &str = "mount -o loop image disk";

const SOCKET: &str = "ctl.sock";
