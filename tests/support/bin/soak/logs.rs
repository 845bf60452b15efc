//! Logs that strangers fill, and logs that nobody reads.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use integration_tests::loads::at_rate;
use integration_tests::programs::{
    NODE, NodeProgram, Program, Signal, at_home, eventually, executable, write_roster,
};
use integration_tests::raw_user::RawUser;
use lumi_testkit::network::address_of_its_own;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::Options;
use crate::held::{ATTACKER, CALLS, LAURA, first_try};
use crate::honest::{CONTROL, figure};
use crate::report::{Report, in_kib, in_ms};

/// 40,000 datagrams a second of 200 addresses, each of which would take 400 bytes of the log.
pub(crate) fn full_of_noise(_: &Options, report: &mut Report) {
    let node = NodeProgram::start("bb.com", &["laura"], &["-qq"]);
    let laura = RawUser::at(LAURA, node.address());
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    let strangers: Vec<_> =
        (1..=STRANGERS).map(|host| RawUser::at(Ipv4Addr::new(127, 0, 6, host), node.address())).collect();
    let begun = Instant::now();
    at_rate(NOISE_RATE, NOISE_RATE * SECONDS, |number| {
        let stranger = &strangers[number % strangers.len()];
        stranger.say(NOISE);
    });
    let rate = (NOISE_RATE * SECONDS) as f64 / begun.elapsed().as_secs_f64();
    report.figure("datagrams a second of 200 addresses", format!("{rate:.0}"), "40000", rate > 38_000.0);
    let (bytes, is_there) = log_of(&node, &format!("R: {}, PRlaura@bb.com, ", of_log(&laura)));
    report.note("bytes of the log after 60 s", in_kib(bytes));
    report.law("the first registration is in the log", is_there, "true", is_there);
    let registered = (0..CALLS).filter(|_| laura.ask("PRlaura@bb.com") == "RR0").count();
    report.law("registrations answered after it", registered, "20", registered == CALLS);
}

/// The bytes of all files of a node's log, and whether one of their lines begins with `start`.
fn log_of(node: &NodeProgram, start: &str) -> (usize, bool) {
    let name = message_log::node_log_name("bb.com");
    let (mut bytes, mut is_there) = (0, false);
    for entry in fs::read_dir(node.folder()).expect("the folder is the node's") {
        let path = entry.expect("nothing is removed there").path();
        if path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&name)) {
            bytes +=
                usize::try_from(path.metadata().expect("it is there").len()).expect("it is not that long");
            let lines = BufReader::new(File::open(path).expect("it is the node's")).lines();
            is_there |= lines.map_while(Result::ok).any(|line| line.starts_with(start));
        }
    }
    (bytes, is_there)
}

/// The address of a user as the log has it.
fn of_log(user: &RawUser) -> String {
    format!("{}:UDP:{}", user.address().ip(), user.address().port())
}

/// A message log, and then diagnostics, into a pipe that is full and that nobody reads.
pub(crate) fn unread(_: &Options, report: &mut Report) {
    for (what, redirection, arguments, lost) in [
        ("log", ">", &["--log", "-"][..], "log-lines-lost"),
        ("diagnostics", "2>", &["-vv"], "diagnostics-lost"),
    ] {
        let (mut node, address, folder) = start_unread(redirection, arguments);
        let laura = RawUser::at(LAURA, address);
        let stranger = RawUser::at(ATTACKER, address);
        let register = format!("PR{}@bb.com", long_name());
        let mut sent = 0;
        while figure(folder.path(), lost) == 0 && sent < MOST_UNREAD {
            for _ in 0..UNREAD_AT_ONCE {
                stranger.say(NOISE);
                laura.ask(&register);
            }
            sent += 2 * UNREAD_AT_ONCE;
        }
        report.note(&format!("datagrams until the unread {what} lost some"), sent);
        // An agent asks again after a second.
        let is_answered = |_: &usize| {
            laura.say(&register);
            laura.hear_within(Duration::from_secs(1)).is_some_and(|answer| answer == "RR0")
        };
        let answered = (0..CALLS).filter(is_answered).count();
        first_try(report, "registrations answered meanwhile", answered, CALLS);
        let told = Instant::now();
        node.signal(Signal::Terminate);
        let code = node.wait_exit();
        let took = told.elapsed();
        report.law("exit code after SIGTERM", code, "0", code == 0);
        report.figure("time until the exit", in_ms(took), "< 1000 ms", took < Duration::from_secs(1));
    }
}

/// Starts a node with a stream that the shell's `redirection` sends to a pipe that nobody reads.
fn start_unread(redirection: &str, arguments: &[&str]) -> (Program, SocketAddrV4, TempDir) {
    let folder = tempfile::tempdir().expect("there can be temporary folders");
    write_roster(folder.path(), &format!("bb.com\n{}\n", long_name()));
    let pipe = folder.path().join("unread");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("coreutils has it").success());
    let address = address_of_its_own();
    let mut command = Command::new("sh");
    // Both ends are the node's, so that it can open the pipe.
    at_home(&mut command, folder.path())
        .args(["-c", &format!("exec 3<>unread \"$0\" \"$@\" {redirection}&3")]);
    command.arg(executable(NODE)).args(arguments).args(CONTROL).args(["--listen", &address.to_string()]);
    command.args(["--rate-limit", "off"]);
    let program = Program::start_command(&mut command);
    // Nobody reads where it says that it is ready.
    let control = folder.path().join(CONTROL[1]);
    eventually("the node starts", || UnixStream::connect(&control).is_ok());
    (program, address, folder)
}

/// A name as long as an address of bb.com lets it be.
fn long_name() -> String {
    "l".repeat(29)
}

/// Bytes that each take four bytes in the log.
const NOISE: [u8; 100] = [1; 100];

const STRANGERS: u8 = 200;

const NOISE_RATE: usize = 40_000;

const SECONDS: usize = 60;

/// Pairs of datagrams between two looks at what is lost.
const UNREAD_AT_ONCE: usize = 1_000;

/// More than a pipe and the queue of a thread take.
const MOST_UNREAD: usize = 200_000;
