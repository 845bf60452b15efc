//! The places where nodes run: cron, a service of systemd, a container, a connection that breaks, any stdin.

use integration_tests::raw_user::uninterrupted;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use integration_tests::places::{Contained, Service, of_cron};
use integration_tests::programs::{
    DEADLINE, NODE, NodeProgram, Program, Signal, at_home, eventually, executable, write_roster,
};
use integration_tests::skipped;
use pty_process::blocking;

use super::{User, folder_with};

/// cron starts it like this for @reboot: `cd` is the home, and there is no terminal. There is no folder for
/// sockets either.
#[test]
fn a_node_of_cron_serves_until_it_is_told_to_end() {
    let folder = folder_with("bb.com\nlaura\n");
    let mut node = Command::new(executable(NODE));
    of_cron(&mut node, folder.path()).args(["--listen", "127.0.0.1:0", "--control-socket", "ctl.sock"]);
    let node = Program::start_with_stdin(&mut node, Stdio::null());
    let mut node = NodeProgram::ready(node, folder.path());
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
    node.signal(Signal::Terminate);
    assert_eq!((node.wait_exit(), node.stderr()), (0, vec![]));
    assert_eq!(node.log().len(), 2);
}

/// The unit in contrib has it like this: the node writes roster, log and control socket in folders of its
/// own, and nowhere else.
#[test]
fn a_service_with_a_user_of_its_own_writes_in_its_state_alone() {
    let Some(service) = Service::new() else { return };
    let state = service.state();
    write_roster(&state, "bb.com\nlaura\n");
    for path in ["config", "config/nodelumi.cfg"] {
        chown(state.join(path), Some(65534), Some(65534)).expect("root may");
    }
    let manager = UnixDatagram::bind(state.join("notify")).expect("a socket");
    manager.set_read_timeout(Some(DEADLINE)).expect("is not 0");
    fs::set_permissions(state.join("notify"), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let hear = || {
        let mut told = [0; 1024];
        let length = uninterrupted(|| manager.recv(&mut told)).expect("it is told");
        String::from_utf8_lossy(&told[..length]).into_owned()
    };
    let place = |name: &str| state.join(name).to_str().expect("UTF-8").to_owned();
    let [roster, log, control] = ["config/nodelumi.cfg", "bb.log", "ctl.sock"].map(place);
    let arguments =
        ["--roster", &roster, "--log", &log, "--control-socket", &control, "--listen", "127.0.0.1:0"];
    let notify = state.join("notify");
    let node = service.start(NODE, &arguments, &[("NOTIFY_SOCKET", notify.as_os_str())]);
    let mut node = NodeProgram::ready(node, &state);
    assert_eq!(hear(), "READY=1\n");
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
    let ctl = |arguments: &[&str]| {
        let mut ctl = service.start(NODE, &[&["ctl", "--socket", &control], arguments].concat(), &[]);
        (ctl.wait_exit(), ctl.stdout().concat(), ctl.stderr().concat())
    };
    assert_eq!(ctl(&["register", "pere"]), (0, "registered pere".into(), String::new()));
    assert_eq!(node.roster(), "bb.com\nlaura\npere\n");
    // The roster's folder becomes one that it may only read, as /etc is.
    fs::set_permissions(state.join("config"), fs::Permissions::from_mode(0o555)).expect("root may");
    let (code, _, told) = ctl(&["register", "joan"]);
    assert_eq!(code, 1);
    assert!(
        told.contains("cannot register joan: nothing has changed") && told.contains("permission denied"),
        "{told}"
    );
    assert_eq!(User::of(&node).ask("PRpere"), "RR0", "it goes on");
    node.signal(Signal::Terminate);
    assert_eq!(hear(), "STOPPING=1\n");
    assert_eq!((node.wait_exit(), node.stderr()), (0, vec![]));

    // A node without options looks for its files where it starts, and can write none there.
    let mut node = service.start(NODE, &["--roster", &roster, "--listen", "127.0.0.1:0"], &[]);
    assert_eq!(node.wait_exit(), 1);
    let [told] = &node.stderr()[..] else { panic!("{:?}", node.stderr()) };
    assert!(told.contains("nodelumi-bb.com.log") && told.contains("read-only file system"), "{told}");
}

/// The kernel gives the first process only the signals that it has handlers for.
#[test]
fn the_first_process_of_a_container_ends_when_it_is_told_to() {
    let folder = folder_with("bb.com\nlaura\n");
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let arguments = ["--listen", "127.0.0.1:0", "--log", "-"];
        let node = Contained::start(&executable(NODE), folder.path(), &arguments, Stdio::null());
        let Some(mut node) = node else { return };
        node.0.expect_line("lumi-node: domain bb.com, listening on 127.0.0.1:");
        node.signal(Signal::HangUp);
        write_roster(folder.path(), "bb.com\n@\n");
        node.signal(Signal::HangUp);
        node.0.wait_for_diagnostic("cannot reload");
        write_roster(folder.path(), "bb.com\nlaura\n");
        node.signal(signal);
        assert_eq!(node.0.wait_exit(), 0, "{signal:?}");
    }
}

/// The connection of ssh breaks. A node with its console there ends with it, and one without a terminal
/// stays.
#[test]
fn a_terminal_that_is_gone_ends_the_node_in_order() {
    for shell in [&[][..], &["sh", "-c", "\"$@\"; true", "sh"]] {
        let folder = folder_with("bb.com\nlaura\n");
        let node = executable(NODE);
        let port =
            std::net::UdpSocket::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        let at = port.to_string();
        let words = [shell, &[node.to_str().expect("UTF-8"), "--listen", &at]].concat();
        let (line, program_side) = blocking::open().expect("there are terminals");
        let mut command = Command::new(words[0]);
        at_home(&mut command, folder.path()).env("TERM", "xterm-256color").args(&words[1..]);
        let mut node = blocking::Command::from(command).spawn(program_side).expect("it starts");
        let log = folder.path().join("nodelumi-bb.com.log");
        let laura = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        eventually("it serves", || {
            laura.send_to(b"PRlaura", &at).expect("sent");
            fs::read_to_string(&log).is_ok_and(|log| log.contains("RR0"))
        });
        drop(line);
        eventually("it is gone", || node.try_wait().expect("it is a child").is_some());
        // Its port is free, so nothing of it is left.
        eventually("its port is free", || std::net::UdpSocket::bind(&at).is_ok());
    }
}

/// The node serves whatever its console reads.
#[test]
fn the_console_reads_any_stdin() {
    for (kind, stdin) in kinds("register pere\n") {
        let folder = folder_with("bb.com\nlaura\n");
        let mut command = Command::new("sh");
        let script = if kind == "closed" { "exec \"$@\" <&-" } else { "exec \"$@\"" };
        at_home(&mut command, folder.path()).args(["-c", script, "sh"]).arg(executable(NODE));
        command.args(["--listen", "127.0.0.1:0", "--console"]);
        let mut node = NodeProgram::ready(Program::start_with_stdin(&mut command, stdin), folder.path());
        match kind {
            "file" | "socket" => {
                node.expect_line("registered pere");
            }
            "directory" => {
                node.wait_for_diagnostic("stdin cannot be read");
            }
            _ => {}
        }
        assert_eq!(User::of(&node).ask("PRlaura"), "RR0", "{kind}");
        node.signal(Signal::Terminate);
        assert_eq!(node.wait_exit(), 0, "{kind}");
    }
}

fn kinds(text: &str) -> Vec<(&'static str, Stdio)> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(text.as_bytes()).and_then(|()| file.rewind()).expect("written");
    let (mut ours, theirs) = UnixStream::pair().expect("a socket");
    ours.write_all(text.as_bytes()).expect("written");
    let directory = File::open("/").expect("there is one");
    vec![
        ("file", file.into()),
        ("socket", OwnedFd::from(theirs).into()),
        ("nothing", Stdio::null()),
        ("closed", Stdio::null()),
        ("directory", directory.into()),
    ]
}

/// The units name the program of the package; here it is another one.
#[test]
fn systemd_understands_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/systemd");
    let mut paths = Vec::new();
    for name in ["lumi-node.service", "lumi-node.socket"] {
        let unit = fs::read_to_string(units.join(name)).expect("it is there");
        let unit = unit.replace("/usr/bin/lumi-node", executable(NODE).to_str().expect("UTF-8"));
        let path = folder.path().join(name);
        fs::write(&path, unit).expect("written");
        paths.push(path);
    }
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&paths).output();
    let verified = match verified {
        Ok(verified) => verified,
        Err(error) => return skipped(&format!("the units are not verified: systemd-analyze: {error}")),
    };
    assert_eq!(String::from_utf8_lossy(&verified.stderr), "");
    assert!(verified.status.success(), "{}", verified.status);
}
