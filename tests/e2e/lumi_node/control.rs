//! `lumi-node ctl` and the control socket.

mod keys;
mod killed_enrolments;
mod moves;
mod proved_agent;
mod socket;

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use integration_tests::programs::{
    NODE, NodeProgram, Program, Signal, at_home, executable, write_roster, write_settings,
};
use integration_tests::skipped;
use serde_json::Value;

use super::{User, failure, folder_with, words};

#[test]
fn users_come_and_go_through_the_socket() {
    let node = start("bb.com", &["pere"], &[]);
    let laura = User::of(&node);
    assert_eq!(done(&node, &["register", "laura"]), "registered laura\n");
    assert_eq!(node.roster(), "bb.com\npere\nlaura\n", "it is saved before it is confirmed");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");

    let table = done(&node, &["list"]);
    let [header, of_laura, of_pere] = &table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
    assert_eq!(words(header), ["USER", "STATE", "ADDRESS", "SINCE"]);
    let [user, state, address, _, _] = words(of_laura);
    assert_eq!([&*user, &state, &address], ["laura", "online", &laura.address().to_string()]);
    assert_eq!(words(of_pere), ["pere", "offline", "-", "-"]);

    assert_eq!(done(&node, &["baixa", "laura"]), "deregistered laura\n", "as at the console");
    assert_eq!(node.roster(), "bb.com\npere\n");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR1");
    assert_eq!(done(&node, &["llistar"]).lines().count(), 2);
}

#[test]
fn a_list_can_be_json_and_of_some_users_only() {
    let node = start("bb.com", &["laura", "laia", "pere", "Ünal"], &[]);
    let laura = User::of(&node);
    laura.ask("PRlaura@bb.com");
    let users: Value = serde_json::from_str(&done(&node, &["list", "--json", "la*"])).unwrap();
    let [laia, online] = &users.as_array().unwrap()[..] else { panic!("{users}") };
    assert_eq!(laia.to_string(), r#"{"address":null,"online":false,"since":null,"user":"laia"}"#);
    assert_eq!((&online["user"], &online["online"]), (&"laura".into(), &true.into()));
    assert_eq!(online["address"], laura.address().to_string());
    let since = online["since"].as_str().unwrap();
    assert!(since.len() == "2026-01-31T23:59:59Z".len() && since.ends_with('Z'), "{since}");
    assert_eq!(done(&node, &["list", "--json", "joan"]), "[\n]\n");
    let named = |pattern| {
        done(&node, &["list", pattern])
            .lines()
            .skip(1)
            .map(|line| words::<4>(line)[0].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(named("??ia"), ["laia"]);
    assert_eq!(named("*er*"), ["pere"]);
    assert_eq!(named("?nal"), ["Ünal"], "a letter is one character");
    assert_eq!(named("er"), [""; 0], "the whole name has to match");
}

#[test]
fn the_status_tells_every_message_and_every_drop() {
    let node = start("bb.com", &["laura", "pere"], &[]);
    let status = || serde_json::from_str::<Value>(&done(&node, &["status", "--json"])).unwrap();
    let before = status();
    assert_eq!(
        (&before["domain"], &before["users"], &before["online"]),
        (&"bb.com".into(), &2.into(), &0.into())
    );
    assert_eq!(
        (&before["address"], &before["process"]),
        (&node.address().to_string().into(), &node.pid().as_raw_nonzero().get().into())
    );
    let laura = User::of(&node);
    laura.ask("PRlaura@bb.com");
    laura.say(b"rubbish");
    laura.say(b"RR0");
    laura.ask("PLlaura@bb.com:pere@bb.com");
    laura.ask("PLlaura@bb.com:joan@bb.com");
    let after = status();
    let now = |path: &str| after.pointer(path).unwrap_or_else(|| panic!("no {path} in {after}")).clone();
    for (path, count) in [
        ("/online", 1),
        ("/received/PR", 1),
        ("/received/PL", 2),
        ("/received/RR0", 1),
        ("/sent/RR0", 1),
        ("/sent/RL2", 1),
        ("/sent/RL3", 1),
        ("/dropped/malformed", 1),
        ("/dropped/unexpected", 1),
        ("/locations/offline/count", 1),
        ("/locations/no-such-user/count", 1),
        ("/pending", 0),
        ("/dns/found", 0),
        ("/log-lines-left-out", 0),
        ("/early-answers", 0),
        ("/log-lines-lost", 0),
        ("/diagnostics-lost", 0),
    ] {
        assert_eq!(now(path), count, "{path}");
    }
    let text = done(&node, &["status"]);
    let line = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
        line.trim().to_owned()
    };
    assert_eq!(
        line("users"),
        "2 belong to the domain, and 1 is online. 0 moved to another host, and 0 to another port."
    );
    assert_eq!(line("pending"), "0 locations wait for an answer, 0 got none, and 0 gave way to others.");
    assert_eq!(
        line("errors"),
        "0 receptions failed, 0 messages could not be sent, and 0 lines of the log and 0 diagnostics are lost."
    );
    assert_eq!(line("received"), "PR 1, RR0 1, PL 2");
    assert_eq!(line("sent"), "RR0 1, RL2 1, RL3 1");
    assert_eq!(line("dropped"), "malformed 1, unexpected 1");
    assert!(
        line("locations").starts_with("no-such-user 1 (") && line("up").contains("s, since 20"),
        "{text}"
    );
}

#[test]
fn one_user_is_counted_in_the_singular() {
    let node = start("bb.com", &["laura"], &[]);
    assert_eq!(done(&node, &["reload"]), "reloaded, 1 user\n");
    assert!(done(&node, &["status"]).contains("1 belongs to the domain, and 0 are online."));
}

#[test]
fn what_cannot_be_done_is_told_by_reason_and_exit_code() {
    let node = start("bb.com", &["laura"], &[]);
    for (arguments, reason) in [
        (&["register", "laura"][..], "cannot register laura: laura belongs to the domain already"),
        (&["deregister", "pere"], "cannot deregister pere: pere does not belong to the domain"),
    ] {
        assert_eq!(ctl(&node, arguments), (1, String::new(), format!("lumi-node: {reason}\n")));
    }
    for misuse in [&["register", "pere@bb.com"][..], &["register"], &["drop"], &["exit"], &["log"], &[]] {
        let (code, stdout, stderr) = ctl(&node, misuse);
        assert_eq!((code, &*stdout), (2, ""), "{misuse:?}: {stderr}");
        assert!(stderr.contains("Usage") || stderr.contains("--help"), "{stderr}");
    }
    assert_eq!(node.roster(), "bb.com\nlaura\n");

    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(folder.path(), &["ctl", "--socket", "none.sock", "list"]);
    let expected = "lumi-node: no node answers at none.sock: no such file or directory; is it running? --socket names another place\n";
    assert_eq!((code, &*stdout, &*stderr), (1, "", expected));
}

#[test]
fn a_reload_takes_over_the_settings_too() {
    let mut node = start("bb.com", &["laura"], &["--rate-limit", "off"]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura"), "RR0");
    write_roster(node.folder(), "bb.com\nlaura\npere\n");
    write_settings(
        node.folder(),
        "allow = ['192.0.2.0/24']\nrate-limit = 1\nlisten = '127.0.0.1:1'\n[peers]\n'cc.com' = '127.0.0.9:1'\n",
    );
    let said = done(&node, &["reload"]);
    // The command line has set the address and the rate limit already.
    assert_eq!(said, "reloaded, 2 users: new pere\n");
    assert_eq!(laura.ask("PRpere"), "RR1", "not from here");
    assert!(done(&node, &["list", "laura"]).contains("online"), "she stays where she is");
    (0..100).for_each(|_| assert_eq!(laura.ask("PRjoan"), "RR1"));

    write_settings(node.folder(), "roster = 'other.cfg'\nlog = 'other.log'\n");
    let said = done(&node, &["reload"]);
    assert_eq!(said, "reloaded, 2 users; the node has to be restarted for the new roster, log\n");
    assert_eq!(laura.ask("PRpere"), "RR0");
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
}

#[test]
fn a_reload_of_what_is_wrong_changes_nothing() {
    let node = start("bb.com", &["laura"], &[]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura"), "RR0");
    let settings = "allow = ['192.0.2.0/24']\n";
    for (roster, settings, reason) in [
        (
            "bb.com\npere\n",
            "rate-limit = 0\n",
            "nothing has changed: the settings config/lumi-node.toml are wrong: line 1: a rate limit is `off` or a number from 1 on",
        ),
        (
            "bb.com\npere\n",
            "[peers]\n'cc.com' = '0.0.0.0:1'\n",
            "nothing has changed: the node of domain cc.com cannot be at 0.0.0.0:1",
        ),
        (
            "bb.com\npe:re\n",
            settings,
            "nothing has changed: the roster config/nodelumi.cfg is wrong: line 2: the user name has ':' at byte 3, which may not stand there",
        ),
        (
            "cc.com\npere\n",
            settings,
            "nothing has changed: the roster names the domain cc.com, and this is the node of bb.com; correct its first line, or restart the node if it is to serve cc.com",
        ),
    ] {
        write_roster(node.folder(), roster);
        write_settings(node.folder(), settings);
        let refused = (1, String::new(), format!("lumi-node: cannot reload: {reason}\n"));
        assert_eq!(ctl(&node, &["reload"]), refused);
        assert_eq!((&*laura.ask("PRlaura"), &*laura.ask("PRpere")), ("RR0", "RR1"));
    }
}

#[test]
fn what_is_no_request_is_refused_and_who_is_stuck_holds_nobody() {
    let node = start("bb.com", &["laura"], &[]);
    let path = node.folder().join(SOCKET);
    let stuck: Vec<_> = (0..8).map(|_| UnixStream::connect(&path).unwrap()).collect();
    assert_eq!(done(&node, &["list"]).lines().count(), 2, "once they had their 5 s");
    drop(stuck);
    let too_long = format!("{}\n", "x".repeat(5000));
    for (request, reason) in [
        ("\n", "the request is not understood"),
        ("\"exit\"\n", "the request is not understood"),
        ("{\"register\":{\"user\":\"a b\"}}\n", "the request is not understood"),
        ("{\"list\":{}}", "the request is cut off"),
        (&too_long, "the request is cut off, or has more than 4096 bytes"),
    ] {
        let mut stream = UnixStream::connect(&path).unwrap();
        // The node may hang up before it has read everything.
        _ = stream.write_all(request.as_bytes());
        _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        _ = stream.read_to_string(&mut answer);
        assert!(answer.starts_with("refused ") && answer.contains(reason), "{request:.40}: {answer:?}");
    }
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"{\"list\":{}}\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "done 57\nUSER   STATE    ADDRESS  SINCE\nlaura  offline  -        -");
    assert_eq!(node.roster(), "bb.com\nlaura\n");
}

#[test]
fn a_node_that_does_not_answer_is_told_from_one_that_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
    let answer = |answer: &'static str| {
        let listener = listener.try_clone().unwrap();
        let node = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            stream.read_to_string(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            request
        });
        let (code, stdout, stderr) = run(folder.path(), &["ctl", "--socket", SOCKET, "register", "laura"]);
        assert_eq!(node.join().unwrap(), "{\"register\":{\"user\":\"laura\"}}\n");
        assert_eq!((code, &*stdout), (1, ""));
        stderr
    };
    let start = "lumi-node: the node at ctl.sock has not answered: whether it was done cannot be told: ";
    assert_eq!(answer(""), format!("{start}it has hung up\n"));
    assert_eq!(answer("done 9\nregist"), format!("{start}its answer is cut off\n"));
    assert_eq!(
        answer("220 mail\n"),
        format!("{start}it is no node that is there: invalid digit found in string\n")
    );
    assert_eq!(answer("refused 2\nno"), "lumi-node: no\n");
}

/// Its owner may have stopped it.
#[test]
fn a_node_that_accepts_nobody_holds_up_neither_ctl_nor_another_node() {
    let folder = folder_with("bb.com\n");
    let path = folder.path().join(SOCKET);
    let _listener = UnixListener::bind(&path).unwrap();
    // Connect until the queue is full.
    let mut waiting = Vec::new();
    loop {
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::NONBLOCK,
            None,
        )
        .unwrap();
        match rustix::net::connect(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()) {
            Ok(()) => waiting.push(socket),
            Err(error) => break assert_eq!(error, rustix::io::Errno::AGAIN),
        }
        assert!(waiting.len() < 100_000, "the kernel has a limit for that");
    }
    let (code, stdout, stderr) = run(folder.path(), &["ctl", "--socket", SOCKET, "list"]);
    let expected = "lumi-node: the node at ctl.sock does not accept connections\n";
    assert_eq!((code, &*stdout, &*stderr), (1, "", expected));
    let another = ["--listen", "127.0.0.1:0", "--control-socket", SOCKET];
    assert!(failure(folder.path(), &another).1.contains("another node listens there"));
}

#[test]
fn what_something_else_says_there_does_not_reach_the_terminal_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
    let answer = |answer: &'static str| {
        let (listener, arguments) = (listener.try_clone().unwrap(), ["ctl", "--socket", SOCKET, "list"]);
        let node = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_to_string(&mut String::new()).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let said = run(folder.path(), &arguments);
        node.join().unwrap();
        said
    };
    assert_eq!(answer("done 7\na\u{1b}[2J\nb"), (0, "a\\u{1b}[2J\nb\n".into(), String::new()));
    assert_eq!(answer("refused 5\n\u{1b}[2Jx"), (1, String::new(), "lumi-node: \\u{1b}[2Jx\n".into()));
}

#[test]
fn a_log_that_was_put_aside_is_begun_anew() {
    let node = start("bb.com", &["laura"], &[]);
    let laura = User::of(&node);
    laura.ask("PRlaura@bb.com");
    let old = node.folder().join("old.log");
    fs::rename(node.folder().join("nodelumi-bb.com.log"), &old).unwrap();
    laura.ask("PRlaura@bb.com");
    assert_eq!(done(&node, &["log", "reopen"]), "reopened the message log nodelumi-bb.com.log\n");
    laura.ask("PDlaura@bb.com");
    let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    assert_eq!((lines(&old), node.log_of(2).len()), (4, 2));
}

/// A node with a control socket.
fn start(domain: &str, users: &[&str], arguments: &[&str]) -> NodeProgram {
    NodeProgram::start(domain, users, &[arguments, &["--control-socket", SOCKET]].concat())
}

/// The output of `ctl` with `arguments`, which succeeds.
fn done(node: &NodeProgram, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = ctl(node, arguments);
    assert_eq!((code, &*stderr), (0, ""), "{arguments:?}");
    stdout
}

fn ctl(node: &NodeProgram, arguments: &[&str]) -> (i32, String, String) {
    run(node.folder(), &[&["ctl", "--socket", SOCKET], arguments].concat())
}

/// Runs the program, and returns exit code, stdout and stderr.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(executable(NODE));
    let output = at_home(&mut command, folder).args(arguments).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

const SOCKET: &str = "ctl.sock";
