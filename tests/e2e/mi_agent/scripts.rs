//! `mi-agent` where scripts run it: folders, streams and signals that are not those of a terminal.

#[cfg(target_os = "linux")]
mod places;
mod streams;

use std::fs::Permissions;
use std::io::{PipeReader, PipeWriter, pipe};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;

use integration_tests::programs::{DATA, executable_for_everybody, write_agent_settings};
use integration_tests::skipped;
use rustix::io::{ioctl_fionbio, ioctl_fionread};

use super::send::command;
use super::*;

/// A node of bb.com with laura, pere and anna, and pere's agent.
fn node_and_pere() -> (NodeProgram, AgentProgram) {
    let node = NodeProgram::start("bb.com", &["laura", "pere", "anna"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    (node, pere)
}

/// Returns the names in `folder`, sorted.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("read").file_name().into_string();
    let mut names: Vec<_> = entries.map(|entry| name(entry).expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn send_and_listen_write_no_log_unless_asked() {
    let (node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    // The locks are in the data folder.
    let data = tempfile::tempdir().expect("a folder");
    for (log, written) in
        [(&[][..], &[][..]), (&["--log", "here.log"], &["here.log"]), (&["--log", "off"], &[])]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = [&["listen", "--from", "anna@bb.com", "--node", &at], log].concat();
        let mut anna = command(folder.path(), &arguments);
        let mut anna = Program::start_command(anna.env("XDG_DATA_HOME", data.path()));
        anna.expect_line("* listening");
        assert_eq!(names_in(folder.path()), written, "listen {log:?}");
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = [&["send", "--from", "laura@bb.com", "--node", &at], log, &["pere@bb.com", "hola"]];
        let mut laura = command(folder.path(), &arguments.concat());
        let mut laura = Program::start_command(laura.env("XDG_DATA_HOME", data.path()));
        assert_eq!(laura.wait_exit(), 0, "{:?}", laura.stderr());
        pere.expect_line("* conversation with laura ended");
        assert_eq!(names_in(folder.path()), written, "send {log:?}");
    }
}

#[test]
fn a_chat_without_a_log_leaves_no_file() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let at = node.address().to_string();
    let [folder, data] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let mut laura = command(folder.path(), &["--node", &at, "laura@bb.com", "--log", "off"]);
    let mut laura = Program::start_command(laura.env("XDG_DATA_HOME", data.path()));
    laura.expect_line("* listening");
    assert_eq!(names_in(folder.path()), [""; 0]);
    laura.close_stdin();
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(laura.stderr(), [""; 0]);
}

/// A key of the settings asks for a log as the option does, and is shown with what is invisible in it.
#[test]
fn a_log_that_cannot_be_opened_is_one_warning() {
    let (node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    write_agent_settings(folder.path(), "log = \"\\u001b[2J/laura.log\"");
    for arguments in [
        &["send", "--from", "laura@bb.com", "--node", &at, "pere@bb.com", "hola"][..],
        &["listen", "--from", "laura@bb.com", "--node", &at],
        &["--node", &at, "laura@bb.com"],
    ] {
        let mut laura = Program::start_command(&mut command(folder.path(), arguments));
        match arguments[0] {
            "send" => drop(pere.expect_line("<laura> hola")),
            "listen" => {
                laura.expect_line("* listening");
                laura.signal(Signal::Terminate);
            }
            _ => {
                laura.expect_line("* listening");
                laura.close_stdin();
            }
        }
        assert_eq!(laura.wait_exit(), 0);
        let [warning] = &laura.stderr()[..] else { panic!("{:?}", laura.stderr()) };
        assert!(warning.contains("WARN") && !warning.contains(char::is_control), "{warning:?}");
        let told = r"cannot open the message log \u{1b}[2J/laura.log: No such file or directory";
        assert!(warning.contains(told) && warning.ends_with("; messages are not logged"), "{warning}");
    }
}

/// The working directory and the data folder belong to somebody else, as under cron or
/// `ProtectSystem=strict`.
#[test]
fn nothing_has_to_be_writable() {
    let (node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let root = tempfile::tempdir().expect("a folder");
    let agent = executable_for_everybody(AGENT, root.path());
    fs::set_permissions(root.path(), Permissions::from_mode(0o755)).expect("it is the test's own");
    let start = |arguments: &[&str]| {
        let mut command = process::Command::new("setpriv");
        at_home(command.args(["--reuid=65534", "--clear-groups"]).arg(&agent), root.path());
        Program::start_command(command.args(arguments))
    };
    let mut laura = start(&["send", "--from", "laura@bb.com", "--node", &at, "pere@bb.com", "hola"]);
    let code = laura.wait_exit();
    if laura.stderr().iter().any(|line| line.starts_with("setpriv:")) {
        skipped(&format!("no other user can be taken on here: {:?}", laura.stderr()));
        return;
    }
    assert_eq!((code, laura.stdout()), (0, vec![]));
    places::assert_has_no_key(&laura);
    assert_eq!(pere.expect_line("<"), "<laura> hola");
    let mut anna = start(&["listen", "--from", "anna@bb.com", "--node", &at]);
    anna.expect_line("* listening");
    anna.signal(Signal::Terminate);
    assert_eq!(anna.wait_exit(), 0);
    places::assert_has_no_key(&anna);
    // A chat has a log by default.
    let mut laura = start(&["--node", &at, "laura@bb.com"]);
    laura.expect_line("* listening");
    laura.type_line("/call pere@bb.com");
    laura.expect_line("* in conversation with pere");
    laura.close_stdin();
    assert_eq!(laura.wait_exit(), 0);
    let [warning, lack] = &laura.stderr()[..] else { panic!("{:?}", laura.stderr()) };
    assert!(lack.contains("there is no key, because "), "{lack}");
    assert!(warning.contains("cannot open the message log mi-agent-laura@bb.com.log: "), "{warning}");
    assert!(!root.path().join(DATA).exists());
    assert_eq!(names_in(root.path()), [AGENT]);
}

/// `nohup` has the program ignore the SIGHUP of a terminal that closes.
#[test]
fn a_hang_up_that_is_ignored_ends_nothing() {
    let (node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    // She has the same key each time.
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in
        [&["listen", "--from", "laura@bb.com", "--node", &at][..], &["--node", &at, "laura@bb.com"]]
    {
        let start = |with: &[&str]| {
            let agent = executable(AGENT);
            let words = [with, &[agent.to_str().expect("UTF-8")], arguments].concat();
            let mut command = process::Command::new(words[0]);
            let mut laura = Program::start_command(at_home(command.args(&words[1..]), folder.path()));
            laura.expect_line("* listening");
            laura
        };
        let mut laura = start(&["nohup"]);
        assert!(!laura.catches(Signal::HangUp));
        laura.signal(Signal::HangUp);
        pere.type_line("/call laura@bb.com");
        laura.expect_line("* in conversation with pere");
        laura.signal(Signal::Terminate);
        assert_eq!(laura.wait_exit(), 0);
        pere.expect_line("* conversation with laura ended");
        // It ends in order without nohup, as before.
        let mut laura = start(&["env"]);
        laura.signal(Signal::HangUp);
        laura.expect_line("* deregistered laura@bb.com");
        assert_eq!(laura.wait_exit(), 0);
    }
}

/// A pipe as Node.js, ssh and some shells leave it: neither end waits.
fn non_blocking_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().expect("a pipe");
    ioctl_fionbio(&reader, true).and_then(|()| ioctl_fionbio(&writer, true)).expect("it is a pipe");
    (reader, writer)
}

#[test]
fn a_stdin_that_does_not_wait_is_waited_for() {
    let (node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let start = |arguments: &[&str]| {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, writer) = non_blocking_pipe();
        let mut agent = command(folder.path(), arguments);
        (Program::start_with_stdin(&mut agent, reader), writer, folder)
    };
    let (mut laura, mut stdin, _folder) =
        start(&["send", "--from", "laura@bb.com", "--node", &at, "pere@bb.com"]);
    // It has found nothing to read by the time that its signals are caught.
    eventually("it is there", || laura.catches(Signal::Terminate));
    stdin.write_all(b"disk ").expect("written");
    stdin.write_all(b"full\n").expect("written");
    assert_eq!(pere.expect_line("<"), "<laura> disk full");
    stdin.write_all(b"and full").expect("written");
    drop(stdin);
    assert_eq!(pere.expect_line("<"), "<laura> and full");
    assert_eq!((laura.wait_exit(), laura.stderr()), (0, vec![]));
    pere.expect_line("* conversation with laura ended");

    let (mut laura, mut stdin, _folder) = start(&["--node", &at, "laura@bb.com"]);
    laura.expect_line("* listening");
    stdin.write_all(b"/call pere@bb.com\n").expect("written");
    laura.expect_line("* in conversation with pere");
    stdin.write_all(b"hola\n").expect("written");
    assert_eq!(pere.expect_line("<"), "<laura> hola");
    drop(stdin);
    assert_eq!(laura.wait_exit(), 0);
    pere.expect_line("* conversation with laura ended");

    let (mut laura, mut stdin, _folder) =
        start(&["listen", "--json", "--from", "laura@bb.com", "--node", &at]);
    laura
        .wait_for(|line| line.contains(r#""event":"listening""#) || line.contains(r#""event":"registered""#));
    stdin.write_all(br#"{"call":"pere"#).expect("written");
    stdin.write_all(b"@bb.com\"}\n").expect("written");
    laura.wait_for(|line| line.contains(r#""event":"begun""#));
    stdin.write_all(b"{\"quit\":true}\n").expect("written");
    assert_eq!(laura.wait_exit(), 0);
}

/// More than a pipe takes comes whole, however late somebody reads it.
#[test]
fn a_stdout_that_does_not_wait_is_waited_for() {
    let node = NodeProgram::start("bb.com", &["laura", "joan"], &[]);
    let at = node.address().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let joan = RawAgent::register("joan@bb.com", node.address());
    let (mut reader, writer) = non_blocking_pipe();
    let mut laura = command(folder.path(), &["send", "--from", "laura@bb.com", "--node", &at, "joan@bb.com"]);
    let laura = laura.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped());
    let mut laura = laura.spawn().expect("started");
    let mut stdin = laura.stdin.take().expect("piped");
    stdin.write_all(b"hola\n").expect("written");
    joan.answer_one_question(&listener.local_addr().expect("bound").to_string());
    let (mut talk, _) = listener.accept().expect("a call");
    let texts: Vec<_> = (0..LINES).map(|number| format!("{number:04} {}", "x".repeat(94))).collect();
    let frames: String = texts.iter().map(|text| format!("L99{text}")).collect();
    let talking = thread::spawn(move || {
        talk.write_all(format!("N04joan{frames}").as_bytes()).expect("laura reads");
        talk
    });
    eventually("the pipe is full", || ioctl_fionread(&reader).expect("it is a pipe") >= PIPE);
    let mut heard = Vec::new();
    eventually("everything is read", || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            heard.extend_from_slice(&buffer[..length]);
        }
        heard.iter().filter(|&&byte| byte == b'\n').count() >= LINES
    });
    let expected: String = texts.iter().map(|text| format!("<joan> {text}\n")).collect();
    assert!(String::from_utf8_lossy(&heard) == expected, "{} bytes", heard.len());
    let mut talk = talking.join().expect("written");
    drop(stdin);
    talk.read_to_end(&mut Vec::new()).expect("FIN");
    drop(talk);
    let output = laura.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(0), ""));
}

/// Several times what a pipe takes.
const LINES: usize = 2000;

/// The bytes of a pipe that is as good as full: the kernel counts pages, of which the last may have room
/// (pipe(7)).
const PIPE: u64 = 15 * 4096;
