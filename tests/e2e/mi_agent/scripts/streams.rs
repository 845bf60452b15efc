//! Every kind of stdin.

use std::io::Seek;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::*;

/// Stdin of each kind, with `text` in it where it can have any.
fn kinds(text: &str) -> Vec<(&'static str, Stdio)> {
    let file = || {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text.as_bytes()).and_then(|()| file.rewind()).expect("written");
        Stdio::from(file)
    };
    let socket = || {
        let (mut ours, theirs) = UnixStream::pair().expect("a socket");
        ours.write_all(text.as_bytes()).and_then(|()| ours.shutdown(Shutdown::Write)).expect("written");
        Stdio::from(OwnedFd::from(theirs))
    };
    let pipe = || {
        let (reader, mut writer) = pipe().expect("a pipe");
        writer.write_all(text.as_bytes()).expect("it has room");
        Stdio::from(reader)
    };
    let directory = File::open("/").expect("there is one");
    vec![
        ("file", file()),
        ("socket", socket()),
        ("pipe", pipe()),
        ("nothing", Stdio::null()),
        ("closed", Stdio::null()),
        ("directory", directory.into()),
    ]
}

/// Starts mi-agent with this stdin.
fn start(kind: &str, stdin: Stdio, folder: &Path, arguments: &[&str]) -> Program {
    let mut command = process::Command::new("sh");
    let script = if kind == "closed" { "exec \"$@\" <&-" } else { "exec \"$@\"" };
    at_home(&mut command, folder).args(["-c", script, "sh"]).arg(executable(AGENT)).args(arguments);
    Program::start_with_stdin(&mut command, stdin)
}

fn has_lines(kind: &str) -> bool {
    matches!(kind, "file" | "socket" | "pipe")
}

/// A script that believes that something was sent would be wrong.
#[test]
fn send_reads_any_stdin_and_tells_what_it_cannot_read() {
    let (node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    for (kind, stdin) in kinds("hola\nadeu") {
        let arguments = ["send", "--from", "laura@bb.com", "--node", &at, "pere@bb.com"];
        let mut laura = start(kind, stdin, folder.path(), &arguments);
        let code = laura.wait_exit();
        let told = match kind {
            "directory" => vec!["! stdin cannot be read: Is a directory (os error 21)".to_owned()],
            _ => vec![],
        };
        assert_eq!((code, laura.stderr()), (i32::from(!told.is_empty()), told), "{kind}");
        if has_lines(kind) {
            assert_eq!(pere.expect_line("<"), "<laura> hola", "{kind}");
            assert_eq!(pere.expect_line("<"), "<laura> adeu", "{kind}");
            pere.expect_line("* conversation with laura ended");
        }
    }
    assert_eq!(pere.stdout().iter().filter(|line| line.starts_with("* in conversation")).count(), 3);
}

#[test]
fn line_mode_reads_any_stdin_and_leaves_at_its_end() {
    let (node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    for (kind, stdin) in kinds("/call pere@bb.com\nhola\n") {
        let mut laura = start(kind, stdin, folder.path(), &["--node", &at, "--log", "off", "laura@bb.com"]);
        assert_eq!(laura.wait_exit(), 0, "{kind}");
        assert_eq!(laura.stdout().last().expect("a line"), "* deregistered laura@bb.com", "{kind}");
        if has_lines(kind) {
            assert_eq!(pere.expect_line("<"), "<laura> hola", "{kind}");
            pere.expect_line("* conversation with laura ended");
        }
        let warnings = laura.stderr();
        assert_eq!(warnings.len(), usize::from(kind == "directory"), "{kind}: {warnings:?}");
        let told = "stdin cannot be read: Is a directory (os error 21); that counts as its end";
        assert!(warnings.iter().all(|warning| warning.ends_with(told)), "{warnings:?}");
    }
}

/// The end of stdin does not end it.
#[test]
fn listen_goes_on_whatever_stdin_is() {
    let (node, _) = node_and_pere();
    let at = node.address().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    for (kind, stdin) in kinds("{\"quit\":true}\n") {
        let arguments = ["listen", "--json", "--from", "laura@bb.com", "--node", &at];
        let mut laura = start(kind, stdin, folder.path(), &arguments);
        laura.wait_for(|line| line.contains(r#""event":"registered""#));
        if kind == "directory" {
            laura.wait_for_diagnostic("stdin cannot be read: Is a directory");
        }
        if !has_lines(kind) {
            laura.signal(Signal::Terminate);
        }
        laura.wait_for(|line| line.contains(r#""event":"deregistered""#));
        assert_eq!(laura.wait_exit(), 0, "{kind}");
    }
}
