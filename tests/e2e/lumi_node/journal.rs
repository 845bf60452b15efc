//! Diagnostics in the journal of the host, which the test plays.

use integration_tests::raw_user::uninterrupted;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use integration_tests::programs::{DEADLINE, NODE, NodeProgram, Program, Signal, at_home, executable};
use integration_tests::skipped;

use super::unread::{SOCKET, lost};
use super::{User, folder_with};

#[test]
fn diagnostics_are_in_the_journal_with_their_fields() {
    let folder = folder_with("bb.com\nlaura\n");
    let Some(journal) = Journal::start(folder.path()) else { return };
    let node = journal.node(folder.path(), "", &["-vv", "--diagnostics-format", "journald"]);
    let laura = User::of(&node);
    // Blank Braille, which looks like nothing.
    laura.say("PRla\u{2800}ura".as_bytes());
    let from = laura.address().to_string();
    let dropped = journal.entry("dropped a datagram");
    let reason = dropped.field("F_REASON");
    assert!(reason.contains(r"'\u{2800}'"), "{reason}");
    for (field, value) in [
        ("MESSAGE", &*format!("dropped a datagram from={from} reason={reason}")),
        ("PRIORITY", "7"),
        ("SYSLOG_IDENTIFIER", "lumi-node"),
        ("TARGET", "lumi_node_core::io::task"),
        ("F_FROM", &from),
    ] {
        assert_eq!(dropped.field(field), value);
    }
    assert_eq!(laura.ask("PRlaura"), "RR0");
    assert_eq!(node.log_of(3).len(), 3, "the message log is another matter");
    assert_eq!(node.stderr(), [""; 0]);
}

#[test]
fn the_journal_is_chosen_where_stderr_goes_there_anyway() {
    let folder = folder_with("bb.com\nlaura\n");
    let Some(journal) = Journal::start(folder.path()) else { return };
    let same = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)";
    let node = journal.node(folder.path(), &format!("{same} && unset XDG_RUNTIME_DIR"), &["-v"]);
    let started = journal.entry("starting");
    assert_eq!((started.field("PRIORITY"), started.field("F_ROSTER")), ("6", "config/nodelumi.cfg"));
    journal.entry("no control socket");
    journal.entry("domain bb.com, listening on ");
    assert_eq!(node.stderr(), [""; 0]);
    drop(node);
    // Redirected since, said otherwise, or with no journal that listens.
    let other = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/1)";
    journal.node(folder.path(), other, &["-v"]).wait_for_diagnostic("starting");
    let asked = ["-v", "--diagnostics-format", "text"];
    journal.node(folder.path(), same, &asked).wait_for_diagnostic("starting");
    let gone = format!("{same} && rm /run/systemd/journal");
    journal.node(folder.path(), &gone, &["-v"]).wait_for_diagnostic("starting");
    assert!(journal.is_silent());
}

#[test]
fn a_journal_that_is_asked_for_and_not_there_is_a_failure_that_says_what_to_do() {
    let folder = folder_with("bb.com\nlaura\n");
    let Some(journal) = Journal::start(folder.path()) else { return };
    let mut node =
        journal.program(folder.path(), "rm /run/systemd/journal", &["--diagnostics-format", "journald"]);
    assert_eq!(node.wait_exit(), 1);
    let reason = "lumi-node: there is no journal to write diagnostics to; set diagnostics-format to text or json, \
        or do not set it: cannot reach /run/systemd/journal/socket: no such file or directory";
    assert_eq!(node.stderr(), [reason]);
    assert!(!folder.path().join("nodelumi-bb.com.log").exists());
}

#[test]
fn a_journal_that_hangs_holds_nobody_up() {
    let user = "l".repeat(29);
    let folder = folder_with(&format!("bb.com\n{user}\n"));
    let Some(journal) = Journal::start(folder.path()) else { return };
    let arguments =
        ["-vv", "--diagnostics-format", "journald", "--control-socket", SOCKET, "--rate-limit", "off"];
    let mut node = journal.node(folder.path(), "", &arguments);
    let laura = User::of(&node);
    let register = format!("PR{user}@bb.com");
    // Nobody takes the entries. Each is a few hundred bytes, and the socket and the queue hold about 1 MiB.
    let mut said = 0;
    while lost(folder.path(), "diagnostics-lost") == 0 {
        assert!(said < 20_000, "nothing is lost");
        for _ in 0..500 {
            laura.say(b"rubbish");
            assert_eq!(laura.ask(&register), "RR0");
        }
        said += 500;
    }
    for _ in 0..20 {
        assert_eq!(laura.ask(&register), "RR0");
    }
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
    journal.entry("dropped a datagram");
}

/// A journald, as a program sees it: a socket that takes a datagram for each entry.
struct Journal(UnixDatagram);

impl Journal {
    /// `None` if a program cannot be made to see it, which is told.
    fn start(folder: &Path) -> Option<Self> {
        let socket = UnixDatagram::bind(folder.join("socket")).expect("there is none yet");
        socket.set_read_timeout(Some(DEADLINE)).expect("is not 0");
        let mut mount = Command::new("unshare");
        let output = mount.args(["--map-root-user", "--mount", "sh", "-c", MOUNT]).arg(folder).output();
        let failure = match output {
            Ok(output) if output.status.success() => return Some(Self(socket)),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => format!("unshare: {error}"),
        };
        skipped(&format!("/run cannot be made another one here: {failure}"));
        None
    }

    /// Starts a node in `folder` that sees this journal, after the shell that becomes it has done `first`.
    fn program(&self, folder: &Path, first: &str, arguments: &[&str]) -> Program {
        let mut command = Command::new("unshare");
        let script = format!("{MOUNT}\n{first}\nexec \"$@\"");
        command.args(["--map-root-user", "--mount", "sh", "-e", "-c", &script]).arg(folder);
        command.arg(executable(NODE)).args(["--listen", "127.0.0.1:0"]).args(arguments);
        Program::start_command(at_home(&mut command, folder))
    }

    fn node(&self, folder: &Path, first: &str, arguments: &[&str]) -> NodeProgram {
        NodeProgram::ready(self.program(folder, first, arguments), folder)
    }

    /// The next entry with a message that begins with `start`; those before it are passed over.
    fn entry(&self, start: &str) -> Entry {
        loop {
            let entry = self.next().expect("an entry comes");
            if !entry.0.is_empty() && entry.field("MESSAGE").starts_with(start) {
                return entry;
            }
        }
    }

    fn next(&self) -> io::Result<Entry> {
        let mut buffer = vec![0; 64 * 1024];
        let length = uninterrupted(|| self.0.recv(&mut buffer))?;
        Ok(Entry::parse(&buffer[..length]))
    }

    /// Returns whether nothing more has come.
    fn is_silent(&self) -> bool {
        self.0.set_nonblocking(true).expect("it is a socket");
        // A program that looks whether there is a journal sends an empty one.
        std::iter::from_fn(|| self.next().ok()).all(|entry| entry.0.is_empty())
    }
}

/// The fields of an entry, in its order.
struct Entry(Vec<(String, String)>);

impl Entry {
    /// Reads what a program sends: `NAME=value` on a line, or the name on one, and then how long the value
    /// is, in 8 bytes, the lowest first, the value, and a line end.
    fn parse(mut bytes: &[u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is UTF-8");
        let mut fields = Vec::new();
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if let Some(equals) = line.iter().position(|&byte| byte == b'=') {
                fields.push((text(&line[..equals]), text(&line[equals + 1..])));
                bytes = rest;
            } else {
                let (length, rest) = rest.split_first_chunk().expect("a length of 8 bytes");
                let length = usize::try_from(u64::from_le_bytes(*length)).expect("it fits a datagram");
                fields.push((text(line), text(&rest[..length])));
                assert_eq!(rest[length], b'\n');
                bytes = &rest[length + 1..];
            }
        }
        assert!(bytes.is_empty(), "the last line has no end");
        Self(fields)
    }

    /// The value of `field`, which is there once.
    fn field(&self, field: &str) -> &str {
        let mut values = self.0.iter().filter(|(name, _)| name == field).map(|(_, value)| &**value);
        let value = values.next().unwrap_or_else(|| panic!("there is no {field} in {:?}", self.0));
        assert_eq!(values.next(), None, "{field} is there twice");
        value
    }
}

/// The mount is in a namespace of its own, and everybody with the right to make one may mount there: the
/// folder `$0` is that of the journal's socket.
const MOUNT: &str = "mount -t tmpfs none /run && mkdir /run/systemd && ln -s \"$0\" /run/systemd/journal";
