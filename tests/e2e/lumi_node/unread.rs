//! A node with output that nobody reads: a pager that was left open, a terminal after Ctrl-S, a collector
//! that hangs.

use std::fs::File;
use std::net::{SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::Command;

use integration_tests::programs::{DEADLINE, NODE, Program, Signal, at_home, executable};
use lumi_testkit::network::address_of_its_own;
use serde_json::Value;
use tempfile::TempDir;

use super::{User, folder_with};

#[test]
fn a_message_log_that_nobody_reads_holds_nobody_up() {
    let mut node = UnreadNode::start(">", &["--log", "-", "-v"]);
    node.program.wait_for_diagnostic("listening on");
    let laura = node.user();
    node.lose_some("log-lines-lost", || assert_eq!(laura.ask(&node.register), "RR0"));
    node.program.wait_for_diagnostic("lines of the message log are lost");
    node.serve_and_end();
}

#[test]
fn diagnostics_that_nobody_reads_hold_nobody_up() {
    let mut node = UnreadNode::start("2>", &["-vv"]);
    node.program.expect_line("lumi-node: domain ");
    let laura = node.user();
    node.lose_some("diagnostics-lost", || {
        laura.say(b"rubbish");
        assert_eq!(laura.ask(&node.register), "RR0");
    });
    node.serve_and_end();
}

/// A node with a stream that leads to a pipe without a reader. The test holds both ends.
struct UnreadNode {
    program: Program,
    address: SocketAddrV4,
    /// The registration of its user, with a name of the greatest length.
    register: String,
    folder: TempDir,
    _unread: File,
}

impl UnreadNode {
    /// Starts a node with a stream that the shell's `redirection` redirects.
    fn start(redirection: &str, arguments: &[&str]) -> Self {
        let user = "l".repeat(29);
        let folder = folder_with(&format!("bb.com\n{user}\n"));
        let unread = folder.path().join("unread");
        assert!(Command::new("mkfifo").arg(&unread).status().expect("coreutils has it").success());
        let unread = File::options().read(true).write(true).open(unread).expect("it is the test's own");
        let address = address_of_its_own();
        let mut command = Command::new("sh");
        at_home(&mut command, folder.path()).args(["-c", &format!("exec \"$0\" \"$@\" {redirection}unread")]);
        command.arg(executable(NODE)).args(arguments).args(["--listen", &address.to_string()]);
        command.args(["--control-socket", SOCKET, "--rate-limit", "off"]);
        let program = Program::start_command(&mut command);
        Self { program, address, register: format!("PR{user}@bb.com"), folder, _unread: unread }
    }

    fn user(&self) -> User {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        socket.connect(self.address).expect("a loopback address");
        socket.set_read_timeout(Some(DEADLINE)).expect("is not 0");
        User(socket)
    }

    /// Has `act` happen until the figure `name` of the status grows, and some more.
    fn lose_some(&self, name: &str, act: impl Fn()) {
        // More than a pipe and the queue take, at a hundred bytes each time.
        let mut done = 0;
        while lost(self.folder.path(), name) == 0 {
            assert!(done < 100_000, "nothing is lost");
            (0..2_000).for_each(|_| act());
            done += 2_000;
        }
    }

    /// Checks that the node answers each of 20 registrations, and ends when it is told to.
    fn serve_and_end(&mut self) {
        let laura = self.user();
        for _ in 0..20 {
            assert_eq!(laura.ask(&self.register), "RR0");
        }
        self.program.signal(Signal::Terminate);
        assert_eq!(self.program.wait_exit(), 0);
    }
}

/// The figure `name` in the status of the node in `folder`.
pub(super) fn lost(folder: &Path, name: &str) -> u64 {
    let mut command = Command::new(executable(NODE));
    let ctl = at_home(&mut command, folder).args(["ctl", "--socket", SOCKET, "status", "--json"]);
    let output = ctl.output().expect("it starts");
    let status: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    status[name].as_u64().expect("it is a figure")
}

pub(super) const SOCKET: &str = "ctl.sock";
