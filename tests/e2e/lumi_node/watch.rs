//! `lumi-node watch`: of files, of nodes that run, and through their socket.

mod columns;
mod screen;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use integration_tests::captured::{LOG_OF_PC_C, LOG_OF_PC_D, write_log_of_pc_c};
use integration_tests::programs::{
    DEADLINE, NODE, NodeProgram, Program, Signal, at_home, eventually, executable,
};
use rustix::fs::{CWD, FileType, mknodat};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use super::User;

#[test]
fn the_captured_exchange_is_drawn_from_the_logs_of_its_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_log_of_pc_c(folder.path());
    let log = log.to_str().unwrap();
    let text = done(folder.path(), &["--file", log, "--text"]);
    assert_eq!(text, include_str!("../../../crates/message-ladder/tests/captured/PC-c.txt"), "{text}");
    assert_eq!(done(folder.path(), &["--file", log]), text, "without a terminal it is text");
    let diagram = done(folder.path(), &["--file", log, "--mermaid"]);
    assert_eq!(diagram, include_str!("../../../crates/message-ladder/tests/captured/PC-c.mmd"), "{diagram}");

    fs::write(folder.path().join("nodelumi-PC-d.log"), LOG_OF_PC_D).unwrap();
    let diagram = done(folder.path(), &["--file", "nodelumi-PC-d.log", "--mermaid"]);
    assert_eq!(diagram, include_str!("../../../crates/message-ladder/tests/captured/PC-d.mmd"), "{diagram}");
    let text = done(folder.path(), &["--file", "nodelumi-PC-d.log", "--text", "--user", "u1@pc-c"]);
    let drawn = include_str!("../../../crates/message-ladder/tests/captured/PC-d.txt").lines();
    let about_u1 = drawn.enumerate().filter(|(at, _)| !matches!(at, 2 | 3 | 8 | 9)).map(|(_, line)| line);
    assert_eq!(text.lines().collect::<Vec<_>>(), about_u1.collect::<Vec<_>>());
}

#[test]
fn a_log_is_read_from_stdin_and_says_itself_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("log"), LOG_OF_PC_C.replace('\n', "\r\n")).unwrap();
    let mut command = Command::new(executable(NODE));
    at_home(&mut command, folder.path()).args(["watch", "--file", "-", "--mermaid"]);
    let output = command.stdin(fs::File::open(folder.path().join("log")).unwrap()).output().unwrap();
    let diagram = String::from_utf8(output.stdout).unwrap();
    let drawn = include_str!("../../../crates/message-ladder/tests/captured/PC-c.mmd");
    assert_eq!(diagram, drawn);
    assert!(output.status.success());
}

#[test]
fn lines_that_are_none_of_a_log_are_told_and_the_others_shown() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(10_000);
    let wrong = format!("{long}\n{LOG_OF_PC_C}E: 1.2.3.4:UDP:5, RR0, 4\n\n");
    fs::write(folder.path().join("nodelumi-PC-c.log"), wrong).unwrap();
    let (code, text, told) = watch(folder.path(), &["--file", "nodelumi-PC-c.log", "--text"]);
    assert_eq!((code, text.lines().count()), (0, 10), "{text}");
    assert_eq!(
        told,
        "\
lumi-node: line 1 is no line of a message log: it has more than 4096 bytes
lumi-node: line 10 is no line of a message log: the message is not 4 bytes long, as its end says
lumi-node: line 11 is no line of a message log: it begins with neither \"E: \" nor \"R: \"
"
    );

    fs::write(folder.path().join("other"), b"\xff\x1b[2J\n".repeat(30)).unwrap();
    let (code, text, told) = watch(folder.path(), &["--file", "other", "--text"]);
    assert_eq!((code, &*text), (1, ""));
    let told: Vec<_> = told.lines().collect();
    assert_eq!((told.len(), told[0]), (22, "lumi-node: line 1 is no line of a message log: it is not UTF-8"));
    assert_eq!(
        told[20..],
        [
            "lumi-node: 30 lines in all are no lines of a message log",
            "lumi-node: nothing of it is a message log"
        ]
    );

    let (code, _, told) = watch(folder.path(), &["--file", "missing"]);
    let reason = "lumi-node: cannot read the log missing: no such file or directory\n";
    assert_eq!((code, &*told), (1, reason));
    let (code, _, told) = watch(folder.path(), &["--socket", "missing"]);
    let reason = "lumi-node: no node answers at missing: no such file or directory; is it running? --socket names \
                  another place\n";
    assert_eq!((code, &*told), (1, reason));
    assert_eq!(watch(folder.path(), &["--text", "--mermaid"]).0, 2);
}

#[test]
fn what_was_just_before_and_what_passes_is_seen_by_each_who_watches() {
    let mut node = start(&["laura", "pere"]);
    let (laura, pere) = (User::of(&node), User::of(&node));
    laura.ask("PRlaura@bb.com");
    let mut all = start_watch(&node, &["--text"]);
    all.expect_line_with("PRlaura@bb.com  14 B  register laura@bb.com");
    all.expect_line_with("RR0  3 B  registered");
    pere.ask("PRpere");
    let mut of_pere = start_watch(&node, &["--text", "--user", "pere"]);
    of_pere.expect_line_with("PRpere  6 B  register pere");
    laura.say(b"PLlaura@bb.com:pere@bb.com");
    pere.hear();
    pere.say(b"RL1laura@bb.com:pere@bb.com");
    laura.hear();
    laura.ask("PDlaura@bb.com");
    // Nothing of it is about Pere.
    for watching in [&mut all, &mut of_pere] {
        watching.expect_line_with("PLlaura@bb.com:pere@bb.com  26 B");
        watching
            .expect_line_with("RL1laura@bb.com:pere@bb.com  27 B  pere@bb.com is busy, in a conversation");
    }
    all.expect_line_with("PDlaura@bb.com");
    all.expect_line_with("RD0  3 B");
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
    for mut watching in [all, of_pere] {
        assert_eq!(watching.0.wait_exit(), 0);
        assert_eq!(watching.0.stderr(), ["lumi-node: the node has ended, or has given this watcher up"]);
        let lines = watching.0.stdout();
        let times = lines.iter().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
        let times: Vec<_> = times.map(|line| line.split_once(' ').unwrap().0).collect();
        assert!(times.is_sorted() && times.iter().all(|time| time.len() == 12), "{times:?}");
        let is_all = times.len() == 10;
        assert_eq!(times.len(), if is_all { 10 } else { 6 }, "{lines:?}");
        assert_eq!(lines.iter().any(|line| line.contains("PDlaura")), is_all, "{lines:?}");
    }
}

#[test]
fn a_diagram_of_what_passes_is_printed_when_it_is_ended() {
    let node = start(&["laura"]);
    let laura = User::of(&node);
    laura.ask("PRlaura@bb.com");
    let mut watching = start_watch(&node, &["--mermaid"]).0;
    watching.wait_for_diagnostic("the diagram is printed at the end: Ctrl-C ends it");
    // It has its place by then, and reads on.
    let mut other = start_watch(&node, &["--text"]);
    laura.ask("PDlaura@bb.com");
    other.expect_line_with("deregistered");
    watching.signal(Signal::Interrupt);
    assert_eq!(watching.wait_exit(), 0);
    let diagram = watching.stdout();
    assert_eq!(diagram[0], "sequenceDiagram");
    assert!(diagram.iter().any(|line| line.contains("PRlaura@bb.com (14 B)")), "{diagram:?}");
    other.0.signal(Signal::Terminate);
    assert_eq!(other.0.wait_exit(), 0);
}

#[test]
fn the_stream_is_made_for_programs_and_others_have_their_place() {
    let node = start(&["laura"]);
    let laura = User::of(&node);
    laura.ask("PRlaura@bb.com");
    laura.say(b"\x1b[2J\"\n");
    let mut streams: Vec<_> = (0..WATCHERS).map(|_| connect(&node)).collect();
    for stream in &mut streams {
        let mut told = || serde_json::from_str::<Value>(&line(stream)).unwrap();
        assert_eq!(told(), serde_json::json!({ "owner": "bb.com" }));
        let first = told();
        assert_eq!(first["number"], 1);
        assert_eq!(first["line"], format!("R: 127.0.0.1:UDP:{}, PRlaura@bb.com, 14", laura.address().port()));
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        assert!(since - u128::from(first["at"].as_u64().unwrap()) < DEADLINE.as_millis());
        assert_eq!(told()["number"], 2);
    }
    // One more is too many, and others are served as before.
    let mut refused = UnixStream::connect(node.folder().join(SOCKET)).unwrap();
    refused.write_all(b"{\"watch\":{}}\n").unwrap();
    let mut answer = String::new();
    refused.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "refused 39\n64 watch already, no more can be served");
    let (code, list, _) = run(node.folder(), &["ctl", "--socket", SOCKET, "list"]);
    assert_eq!((code, list.lines().count()), (0, 2));
    let (code, _, told) = watch(node.folder(), &["--socket", SOCKET, "--text"]);
    assert_eq!((code, &*told), (1, "lumi-node: 64 watch already, no more can be served\n"));
    // There is room for another once one has gone.
    streams.pop();
    eventually("there is room", || try_connect(&node).is_ok());
    // It is no command.
    let (code, _, _) = run(node.folder(), &["ctl", "--socket", SOCKET, "watch"]);
    assert_eq!(code, 2);
}

#[test]
fn one_who_does_not_read_holds_nobody_up_and_learns_what_was_missed() {
    let node = start(&["laura"]);
    let laura = User::of(&node);
    let mut stream = connect(&node);
    let mut stopped = start_watch(&node, &["--text"]);
    laura.ask("PRlaura@bb.com");
    stopped.expect_line_with("registered");
    stopped.0.signal(Signal::Stop);
    // Several at once: one who reads nothing for 30 s would be dropped, which a busy machine needs for them.
    for _ in 0..5_000 / TOGETHER {
        for number in 0..TOGETHER {
            laura.say(if number % 2 == 0 { b"PRlaura@bb.com" } else { b"PDlaura@bb.com" });
        }
        (0..TOGETHER).for_each(|_| drop(laura.hear()));
    }
    laura.say(b"PLlaura@bb.com:the-end@bb.com");
    let (mut last, mut missed) = (0, 0);
    loop {
        let told: Value = serde_json::from_str(&line(&mut stream)).unwrap();
        if let Some(count) = told["missed"].as_u64() {
            (last, missed) = (last + count, missed + count);
        } else if let Some(number) = told["number"].as_u64() {
            last += 1;
            assert_eq!(number, last, "none is missed or told twice without a word");
        }
        if told["line"].as_str().is_some_and(|line| line.contains("the-end")) {
            break;
        }
    }
    assert!(missed > 0 && last == 10_003, "{missed} of {last}");
    stopped.0.signal(Signal::Continue);
    stopped.expect_line_with("the-end");
    let lines = stopped.0.stdout();
    let missed = lines.iter().find_map(|line| line.strip_suffix(" messages passed too fast to be shown)"));
    let missed = missed.and_then(|line| line.strip_prefix('(')).map(str::parse::<usize>);
    assert!(matches!(missed, Some(Ok(1..10_000))), "{missed:?}");
}

/// Follows a node until it has ended.
fn follow_to_the_end() -> (NodeProgram, Watching) {
    let mut node = start(&["laura"]);
    let mut watching = start_watch(&node, &["--text", "--follow"]);
    User::of(&node).ask("PRlaura@bb.com");
    watching.expect_line_with("register laura@bb.com");
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
    (node, watching)
}

#[test]
fn a_node_that_is_followed_is_waited_for() {
    let (node, mut watching) = follow_to_the_end();
    let away = "lumi-node: the node has ended; waiting until it is back";
    assert_eq!(watching.0.wait_for_diagnostic("the node has ended"), away);
    let arguments = ["--control-socket", SOCKET, "--rate-limit", "off"];
    let again = NodeProgram::start_in(node.folder(), &arguments);
    watching.0.wait_for_diagnostic("lumi-node: the node is back");
    User::of(&again).ask("PDlaura@bb.com");
    watching.expect_line_with("deregister laura@bb.com");
    // A node that is killed says no goodbye.
    let mut again = again;
    again.kill();
    eventually("it is missed", || watching.0.stderr().iter().filter(|line| *line == away).count() == 2);
    watching.0.signal(Signal::Interrupt);
    assert_eq!(watching.0.wait_exit(), 0);

    // Another domain is another node.
    let (node, mut watching) = follow_to_the_end();
    fs::write(node.folder().join("config/nodelumi.cfg"), "cc.com\n").expect("written");
    let _other = NodeProgram::start_in(node.folder(), &arguments);
    watching.0.wait_for_diagnostic("lumi-node: the node that runs there now is that of cc.com");
    assert_eq!(watching.0.wait_exit(), 1);
    let (code, ..) = watch(node.folder(), &["--follow", "--file", "some.log"]);
    assert_eq!(code, 2);
}

/// Each of very many agents has a column, where it has a part in something.
#[test]
fn of_many_agents_each_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let users = (0..300).map(|number| {
        format!(
            "R: 10.0.0.1:UDP:{port}, PRu{number:03}@bb.com, 13\nE: 10.0.0.1:UDP:{port}, RR0, 3\n",
            port = 4000 + number
        )
    });
    fs::write(folder.path().join("nodelumi-bb.com.log"), users.collect::<String>()).expect("it is written");
    for user in ["u000", "u123@bb.com", "u299"] {
        for how in ["--text", "--mermaid"] {
            let shown = done(folder.path(), &["--file", "nodelumi-bb.com.log", how, "--user", user]);
            let lines = shown.lines().count();
            assert!(shown.contains(&user[..4]) && !shown.contains("others") && lines <= 5, "{shown}");
        }
    }
    let text = done(folder.path(), &["--file", "nodelumi-bb.com.log", "--text"]);
    let longest = text.lines().map(str::len).max();
    assert!(!text.contains("others") && longest < Some(1000), "{longest:?}");
    // It is not drawn for each of them, as they come.
    assert!(text.lines().filter(|line| line.contains("this node")).count() < 30, "{text}");
}

#[test]
fn what_comes_by_a_pipe_is_shown_as_it_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, 0o600.into(), 0).expect("it is made");
    let start = || {
        let mut command = Command::new(executable(NODE));
        at_home(&mut command, folder.path()).args(["watch", "--file", "pipe"]);
        Watching(Program::start_command(&mut command))
    };
    let mut watching = start();
    let mut writer = fs::File::options().write(true).open(&pipe).expect("somebody reads");
    writer.write_all(b"R: 10.0.0.1:UDP:4500, PRlaura@bb.com, 14\n").expect("it is written");
    watching.expect_line_with("register laura@bb.com");
    drop(writer);
    assert_eq!(watching.0.wait_exit(), 0);
    // One to which nobody writes keeps nobody from ending it.
    let mut watching = start();
    eventually("it is there", || watching.0.catches(Signal::Interrupt));
    watching.0.signal(Signal::Interrupt);
    assert_eq!(watching.0.wait_exit(), 0);
}

#[test]
fn a_pipe_that_nobody_reads_keeps_nobody_from_ending_it() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("long.log"), LOG_OF_PC_C.repeat(1000)).expect("it is written");
    for how in ["--text", "--mermaid"] {
        let mut command = Command::new(executable(NODE));
        at_home(&mut command, folder.path()).args(["watch", "--file", "long.log", how]);
        let mut watching = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let pipe = watching.stdout.take().expect("it is piped");
        let is_full = || ioctl_fionread(&pipe).expect("it is a pipe") >= PIPE;
        eventually("the pipe is full", is_full);
        kill_process(Pid::from_child(&watching), Signal::Interrupt.into()).expect("it is there");
        eventually("it has ended", || watching.try_wait().expect("it is a child").is_some());
        assert!(watching.wait().expect("it has ended").success(), "{how}");
    }
}

/// The bytes of a pipe that is as good as full: the kernel counts pages, of which the last may have room
/// (pipe(7)).
const PIPE: u64 = 15 * 4096;

#[test]
fn a_user_who_cannot_be_is_no_filter() {
    let folder = tempfile::tempdir().expect("a folder");
    for (user, why) in [
        ("", "the user name is empty"),
        ("la:ura", "the user name has ':' at byte 3"),
        ("laura@", "the domain is empty"),
        ("laura@bb@com", "there is a second '@'"),
    ] {
        let (code, stdout, stderr) = watch(folder.path(), &["--file", "none.log", "--text", "--user", user]);
        assert_eq!((code, &*stdout), (2, ""));
        assert!(stderr.contains(why), "{stderr}");
    }
}

/// A watch of a node, as a process.
struct Watching(Program);

impl Watching {
    fn expect_line_with(&mut self, part: &str) -> String {
        self.0.wait_for(|line| line.contains(part))
    }
}

fn start(users: &[&str]) -> NodeProgram {
    NodeProgram::start("bb.com", users, &["--control-socket", SOCKET, "--rate-limit", "off"])
}

fn start_watch(node: &NodeProgram, arguments: &[&str]) -> Watching {
    let mut command = Command::new(executable(NODE));
    at_home(&mut command, node.folder()).args(["watch", "--socket", SOCKET]).args(arguments);
    Watching(Program::start_command(&mut command))
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = watch(folder, arguments);
    assert_eq!((code, &*stderr), (0, ""), "{arguments:?}");
    stdout
}

fn watch(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    run(folder, &[&["watch"], arguments].concat())
}

/// Exit code, stdout and stderr.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(executable(NODE));
    let output =
        at_home(&mut command, folder).args(arguments).stdin(Stdio::null()).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

/// The stream of a node, after its head.
fn connect(node: &NodeProgram) -> BufReader<UnixStream> {
    try_connect(node).expect("there is room")
}

fn try_connect(node: &NodeProgram) -> Result<BufReader<UnixStream>, String> {
    let mut stream = UnixStream::connect(node.folder().join(SOCKET)).expect("a node listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("is not 0");
    stream.write_all(b"{\"watch\":{}}\n").expect("it is sent");
    let mut stream = BufReader::new(stream);
    let head = line(&mut stream);
    if head == "stream\n" { Ok(stream) } else { Err(head) }
}

fn line(stream: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("something is told");
    line
}

const SOCKET: &str = "ctl.sock";

/// Requests that are sent before their answers are heard.
const TOGETHER: usize = 50;

/// The number of watchers for which the node has places.
const WATCHERS: usize = 64;
