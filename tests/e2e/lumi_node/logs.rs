//! The message log, and the diagnostics apart from it.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use integration_tests::programs::{
    NODE, NodeProgram, Program, Signal, at_home, eventually, executable, write_settings,
};
use message_log::{Entry, is_visible};
use serde_json::Value;

use super::{User, folder_with};

#[test]
fn every_message_is_in_the_log() {
    let node = NodeProgram::start("bb.com", &["laura"], &["-qq"]);
    let laura = User::of(&node);
    laura.say(b"\xff\n\x1b[2J");
    laura.say(&[b'x'; 300]);
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(laura.ask("PDlaura@bb.com"), "RD0");
    let from = format!("127.0.0.1:UDP:{}", laura.address().port());
    let expected = [
        format!("R: {from}, \\xff\\x0a\\x1b[2J, 6"),
        format!("R: {from}, {}..., 300", "x".repeat(100)),
        format!("R: {from}, PRlaura@bb.com, 14"),
        format!("E: {from}, RR0, 3"),
        format!("R: {from}, PDlaura@bb.com, 14"),
        format!("E: {from}, RD0, 3"),
    ];
    assert_eq!(node.log_of(expected.len()), expected);
    assert_eq!(node.stderr(), [""; 0]);
}

#[test]
fn what_is_dropped_or_refused_pushes_nothing_out_of_the_log_and_is_counted_there() {
    let flags = ["--rate-limit", "off", "--control-socket", "ctl.sock"];
    let node = NodeProgram::start("bb.com", &["laura"], &flags);
    let (laura, stranger) = (User::of(&node), User::at("127.0.0.77", &node));
    let left_out = |node: &NodeProgram| {
        let mut ctl =
            Program::start(NODE, node.folder(), &["ctl", "--socket", "ctl.sock", "status", "--json"]);
        assert_eq!(ctl.wait_exit(), 0);
        let status: Value = serde_json::from_str(&ctl.stdout().concat()).expect("it is JSON");
        status["log-lines-left-out"].as_u64().expect("it is a figure")
    };
    assert_eq!(left_out(&node), 0);
    // Fewer than the lines of a minute could show.
    for _ in 0..500 {
        stranger.say(b"rubbish");
        assert_eq!(stranger.ask("PRnobody@bb.com"), "RR1");
    }
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    eventually("each has its line or is counted", || node.logged("R: 127.0.0.77:") == 1000);
    let log = node.log();
    let count = |start: &str, part: &str| {
        log.iter().filter(|line| line.starts_with(start) && line.contains(part)).count()
    };
    assert!(count("R: 127.0.0.77:", " more, 0") > 0, "some are only counted");
    let (requests, refusals) = (count("R: 127.0.0.77:", "PRnobody"), count("E: 127.0.0.77:", "RR1"));
    assert!(requests > 0 && requests == refusals, "{requests} with {refusals}: both are there or neither");
    // A request that is refused would have had two lines.
    let lines = 500 - count("R: 127.0.0.77:", "rubbish") + 2 * (500 - requests);
    assert_eq!(usize::try_from(left_out(&node)), Ok(lines));
    assert_eq!((count("R: 127.0.0.1:", "PRlaura"), count("E: 127.0.0.1:", "RR0")), (1, 1));
    for line in log {
        Entry::parse("bb.com", &line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

/// Each of them waits for a look-up, of an address where no node can be.
#[test]
fn questions_for_unknown_domains_push_nothing_out_of_the_log() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &["--rate-limit", "off"]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    for n in 0..500 {
        let names = format!("laura@bb.com:x@0.0.{}.{}", n / 250, n % 250);
        assert_eq!(laura.ask(&format!("PL{names}")), format!("RL2{names}"));
    }
    let from = format!("127.0.0.1:UDP:{}", laura.address().port());
    // The registration, the questions, and the refusals that were counted.
    eventually("each has its line or is counted", || node.logged(&format!("R: {from}")) > 500);
    let log = node.log();
    let count = |start: &str| log.iter().filter(|line| line.starts_with(start)).count();
    let (questions, refusals) = (count(&format!("R: {from}, PL")), count(&format!("E: {from}, RL2")));
    assert!((1..500).contains(&questions), "{questions}");
    assert!(refusals < 500, "{refusals}");
    assert_eq!(count(&format!("E: {from}, RR0")), 1);
}

#[test]
fn the_log_can_be_stdout_and_diagnostics_stay_apart() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &["--log", "-", "-vvv"]);
    let laura = User::of(&node);
    laura.say(b"rubbish");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    let from = format!("127.0.0.1:UDP:{}", laura.address().port());
    for line in [
        format!("R: {from}, rubbish, 7"),
        format!("R: {from}, PRlaura@bb.com, 14"),
        format!("E: {from}, RR0, 3"),
    ] {
        assert_eq!(node.wait_for(|_| true), line);
    }
    node.wait_for_diagnostic("dropped a datagram");
    assert!(node.stderr().iter().all(|line| !line.contains("plumi::message")), "{:?}", node.stderr());
    assert!(!node.folder().join("nodelumi-bb.com.log").exists());
}

#[test]
fn rust_log_wins_and_does_not_touch_the_message_log() {
    let folder = folder_with("bb.com\nlaura\n");
    let start = |rust_log: &str, flag: &str| {
        let mut command = Command::new(executable(NODE));
        let command = at_home(&mut command, folder.path()).args(["--listen", "127.0.0.1:0", flag]);
        NodeProgram::ready(Program::start_command(command.env("RUST_LOG", rust_log)), folder.path())
    };
    let quiet = start("off", "-vv");
    let laura = User::of(&quiet);
    laura.say(b"rubbish");
    assert_eq!(laura.ask("PRlaura"), "RR0");
    assert_eq!(quiet.log_of(3).len(), 3);
    assert_eq!(quiet.stderr(), [""; 0]);
    drop(quiet);
    let loud = start("off,plumi::message=info", "-qq");
    assert_eq!(User::of(&loud).ask("PRlaura"), "RR0");
    loud.wait_for_diagnostic("plumi::message");
    assert_eq!(loud.log_of(5).len(), 5);
}

#[test]
fn diagnostics_can_be_json() {
    let folder = folder_with("bb.com\nlaura\n");
    write_settings(folder.path(), "diagnostics-format = 'json'\n");
    // It says nothing, and the resolver much about that.
    let name_server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let asks = name_server.local_addr().unwrap().to_string();
    let node = NodeProgram::start_in(folder.path(), &["-vvv", "--name-server", &asks]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura"), "RR0");
    laura.say(b"rubbish\n\x1b[2J\xff");
    laura.say(b"PLlaura@bb.com:joya@cc.com");
    let dropped = node.wait_for_diagnostic("dropped a datagram");
    node.wait_for_diagnostic("hickory");
    let dropped: Value = serde_json::from_str(&dropped).unwrap();
    assert_eq!(dropped["level"], "DEBUG");
    assert_eq!(dropped["fields"]["from"], laura.address().to_string());
    let reason = dropped["fields"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("not a PLUMI message: "), "{reason}");
    for line in node.stderr() {
        let object: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let keys = ["timestamp", "level", "target", "fields"];
        assert!(keys.iter().all(|&key| object.get(key).is_some()), "{line}");
    }
    assert_eq!(node.log_of(4).len(), 4);
}

#[test]
fn what_strangers_send_is_shown_in_diagnostics_but_does_nothing_there() {
    for format in ["text", "json"] {
        let node = NodeProgram::start("bb.com", &["laura"], &["-vv", "--diagnostics-format", format]);
        let stranger = User::of(&node);
        // Blank Braille, which looks like nothing and is told as the character that may not stand there.
        stranger.say("PRla\u{2800}ura".as_bytes());
        let told = node.wait_for_diagnostic("dropped a datagram");
        assert!(told.contains("{2800}"), "{told}");
        assert!(node.stderr().iter().all(|line| line.chars().all(is_visible)), "{:?}", node.stderr());
    }
}

#[test]
fn after_a_hang_up_messages_go_to_a_new_file_and_the_renamed_one_has_all_before() {
    let folder = folder_with("bb.com\nlaura\n");
    let node = NodeProgram::start_in(folder.path(), &["--log", "bb.log", "-v"]);
    let laura = User::of(&node);
    let from = format!("127.0.0.1:UDP:{}", laura.address().port());
    let both = format!("R: {from}, PRlaura@bb.com, 14\nE: {from}, RR0, 3\n");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    fs::rename(folder.path().join("bb.log"), folder.path().join("old.log")).unwrap();
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(read(folder.path(), "old.log"), both.repeat(2));

    node.signal(Signal::HangUp);
    let told = node.wait_for_diagnostic("reopened");
    assert!(told.ends_with("reopened the message log bb.log"), "{told}");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(
        (read(folder.path(), "old.log"), read(folder.path(), "bb.log")),
        (both.repeat(2), both.clone())
    );

    // A file that cannot be opened leaves the one that is open.
    fs::rename(folder.path().join("bb.log"), folder.path().join("older.log")).unwrap();
    fs::create_dir(folder.path().join("bb.log")).unwrap();
    node.signal(Signal::HangUp);
    let told = node.wait_for_diagnostic("cannot reopen");
    let reason = "the message log bb.log, it goes on in the file that it had: there is no regular file now";
    assert!(told.ends_with(reason), "{told}");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(read(folder.path(), "older.log"), both.repeat(2));
}

#[test]
fn a_hang_up_leaves_a_log_on_stdout_where_it_is() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &["--log", "-", "-v"]);
    node.signal(Signal::HangUp);
    node.wait_for_diagnostic("the message log is on stdout, and has no file to reopen");
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
    node.expect_line("E: 127.0.0.1:UDP:");
}

#[test]
fn a_node_that_is_asked_again_and_again_loses_no_line() {
    let folder = folder_with("bb.com\nlaura\n");
    let node = NodeProgram::start_in(folder.path(), &["--log", "bb.log"]);
    let laura = User::of(&node);
    let from = format!("127.0.0.1:UDP:{}", laura.address().port());
    let both = format!("R: {from}, PRlaura@bb.com, 14\nE: {from}, RR0, 3\n");
    let log = folder.path().join("bb.log");
    let old: Vec<_> = (0..20).map(|number| folder.path().join(format!("old-{number}"))).collect();
    let mut told = 0;
    for old in &old {
        fs::rename(&log, old).unwrap();
        node.signal(Signal::HangUp);
        // The file is there before the node has it open.
        eventually("lines are in a new log", || {
            assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
            told += 1;
            fs::read_to_string(&log).is_ok_and(|text| !text.is_empty())
        });
    }
    let text: String = old.iter().chain([&log]).map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(text, both.repeat(told));
    assert_eq!(node.stderr(), [""; 0]);
}

#[test]
fn a_log_that_is_full_is_put_aside_and_the_oldest_is_removed() {
    let folder = folder_with("bb.com\nlaura\n");
    write_settings(folder.path(), "log = 'bb.log'\nlog-max-size = '1K'\n");
    let node = NodeProgram::start_in(folder.path(), &[]);
    let laura = User::of(&node);
    let from = format!("127.0.0.1:UDP:{}", laura.address().port());
    // This is not a whole number of files, and many more than are kept.
    let mut expected = String::new();
    for _ in 0..123 {
        assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
        expected += &format!("R: {from}, PRlaura@bb.com, 14\nE: {from}, RR0, 3\n");
    }
    let files =
        ["bb.log.4", "bb.log.3", "bb.log.2", "bb.log.1", "bb.log"].map(|name| read(folder.path(), name));
    assert!(files.iter().all(|file| file.len() <= 1024 && file.ends_with('\n')), "{files:?}");
    assert!(files[..4].iter().all(|file| file.len() > 900), "put aside when it is full, and not before");
    assert!(expected.ends_with(&files.concat()), "{files:?}");
    assert!(!folder.path().join("bb.log.5").exists());
    assert_eq!(node.stderr(), [""; 0]);
}

#[test]
fn a_log_is_put_aside_at_100_mebibytes_unless_that_is_off() {
    let folder = folder_with("bb.com\nlaura\n");
    let full = || File::create(folder.path().join("bb.log")).unwrap().set_len(100 << 20).unwrap();
    full();
    let node = NodeProgram::start_in(folder.path(), &["--log", "bb.log", "--log-max-size", "off"]);
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
    assert!(!folder.path().join("bb.log.1").exists());
    drop(node);

    full();
    let node = NodeProgram::start_in(folder.path(), &["--log", "bb.log"]);
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
    assert_eq!(read(folder.path(), "bb.log").lines().count(), 2);
    // The text that was there ended within a line.
    assert_eq!(fs::metadata(folder.path().join("bb.log.1")).unwrap().len(), (100 << 20) + 1);
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).expect("there is such a file")
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_lines_and_nothing_else() {
    let node = NodeProgram::start("bb.com", &["laura"], &["--log", "/dev/full"]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura"), "RR0");
    assert_eq!(laura.ask("PDlaura"), "RD0");
    node.wait_for_diagnostic("lines of the message log are lost");
    assert_eq!(node.stderr().len(), 1, "{:?}", node.stderr());
}
