//! The output and the exit code of `lumi-node check`, when all is well and when not.

mod network;

use std::fs::{self, DirEntry, Permissions};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use integration_tests::dns_server::DnsServer;
use integration_tests::emulators::Program::{L, S};
use integration_tests::emulators::sockets::EmulatedNode;
use integration_tests::programs::{
    NODE, NodeProgram, Program, at_home, executable_for_everybody, write_settings,
};
use rustix::process::geteuid;
use tempfile::TempDir;

use super::folder_with;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_runs_and_finds_others_is_well() {
    let lab = Lab::new("bb.com\nlaura\npere\n").await;
    lab.dns.set("bb.com", [127, 0, 0, 1].into());
    let (bb, cc) = (lab.node(), NodeProgram::start("cc.com", &["joya"], &[]));
    let peers = format!("[peers]\n'cc.com' = '{}'\n'dd.com' = '127.0.0.1:9'\n", cc.address());
    lab.set(&format!("listen = '{}'\n{peers}", bb.address()));
    let bystander = NodeProgram::start("bb.com", &["laura"], &[]);
    let (files, roster) = (lab.files(), fs::read_to_string(lab.path().join("config/nodelumi.cfg")).unwrap());
    let folder = lab.path().join("config").canonicalize().unwrap();
    let user = user();
    let (code, mut lines) = lab.check(&["--peer-domain", "cc.com", "--peer-domain", "dd.com"]);
    let bindings = lines.remove(3);
    let bound = "ok   bindings config/nodelumi.cfg.bindings: 0 users bound, a node was last alive at 20";
    assert!(bindings.starts_with(bound), "{bindings}");
    assert_eq!(
        (code, lines),
        (
            1,
            vec![
                "ok   settings config/lumi-node.toml: every key is right".to_owned(),
                "ok   roster config/nodelumi.cfg: domain bb.com, 2 users".to_owned(),
                format!("ok   roster's folder {}: changes of the roster can be saved, by {user}", folder.display()),
                format!("ok   message log nodelumi-bb.com.log: it can be written to, by {user}"),
                "ok   domain bb.com: resolves to 127.0.0.1: programs on this host find it there, and no others".to_owned(),
                format!(
                    "ok   port {}: in use by the node of bb.com, which answers, but other nodes and agents use 3344 \
                     unless they are told this one",
                    bb.address()
                ),
                format!("ok   peer cc.com: its node answers at {}", cc.address()),
                "FAIL peer dd.com: no program listens at 127.0.0.1:9; have who runs it start it; if 127.0.0.1 is \
                 not the address of its host, have its A record corrected, or name its node in the settings, under \
                 [peers]: \"dd.com\" = \"IP:PORT\""
                    .to_owned(),
            ]
        )
    );
    let (code, lines) = lab.check(&["--peer-domain", "cc.com"]);
    assert_eq!((code, lines.len()), (0, 8), "{lines:?}");
    assert_eq!(lab.files(), files, "nothing is left behind");
    assert_eq!(fs::read_to_string(lab.path().join("config/nodelumi.cfg")).unwrap(), roster);
    assert_eq!(bystander.log(), [""; 0], "nobody else is asked");
    assert!(cc.log().len() <= 20, "a few messages, each of them small: {:?}", cc.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_there_yet_is_well() {
    let lab = Lab::new("bb.com\n").await;
    lab.dns.set("bb.com", [127, 0, 0, 8].into());
    lab.set("listen = '127.0.0.8:0'\nlog = '-'\n");
    let (code, lines) = lab.check(&[]);
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(lines[4], "ok   message log: goes to stdout");
    let port = "ok   port 127.0.0.8:0: free: any other one at each start, and other nodes and agents have to be \
                told which";
    assert_eq!(lines[6..], [port]);
    assert_eq!(lab.files(), ["config", "lumi-node.toml", "nodelumi.cfg"]);

    // There is no settings file, so the defaults hold. This host may or may not have their port free.
    fs::remove_file(lab.path().join("config/lumi-node.toml")).unwrap();
    let (_, lines) = lab.check(&[]);
    let none = "ok   settings config/lumi-node.toml: there is no such file, so the defaults hold";
    assert_eq!(lines[0], none);
    assert_eq!(lines[4], format!("ok   message log nodelumi-bb.com.log: it can be made, by {}", user()));
    assert!(
        lines[6].starts_with("ok   port 0.0.0.0:3344: ") || lines[6].starts_with("FAIL port"),
        "{lines:?}"
    );
}

#[test]
fn every_wrong_line_is_told_and_the_rest_is_checked_all_the_same() {
    let folder = folder_with("bb.com\nlaura\n\njoya@cc.com\nlaura\n");
    let settings = "name-servers = ['here']\nport = 3344\nlisten = '127.0.0.1'\nlog = 'x.log'\n";
    write_settings(folder.path(), settings);
    let (code, lines) = check(folder.path(), &["--peer-domain", "cc.com"]);
    assert_eq!(code, 1);
    let starts = [
        "FAIL settings config/lumi-node.toml, line 1, name-servers: an IP address and a port look ",
        "FAIL settings config/lumi-node.toml, line 2, port: unknown field `port`, expected one of `roster`, ",
        "FAIL settings config/lumi-node.toml, line 3, listen: an IPv4 address and a port look ",
        "FAIL roster config/nodelumi.cfg, line 4: a user is listed by name alone, without '@' and domain; write ",
        "FAIL roster config/nodelumi.cfg, line 5: the user is listed twice; remove that line",
        "ok   roster's folder ",
        "ok   bindings config/nodelumi.cfg.bindings: it can be made, by ",
        "ok   message log x.log: it can be made, by ",
        "skip domain bb.com: not checked until the settings are right about peers and name servers",
        "skip port: not checked until the settings are right",
        "skip peer cc.com: not checked until the settings are right about peers and name servers",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn what_looks_like_a_comment_is_a_user() {
    let folder = folder_with("localhost\nlaura\n#pere\n");
    let (_, lines) = check(folder.path(), &[]);
    let expected = "ok   roster config/nodelumi.cfg: domain localhost, 2 users; a roster has no comments, so #pere is a user";
    assert_eq!(lines[1], expected);
}

/// A misspelled user would be registered from anywhere.
#[test]
fn users_with_ranges_have_to_be_in_the_roster() {
    let folder = folder_with("localhost\nlaura\npere\n");
    let lines_about_users = |users: &str| {
        write_settings(folder.path(), &format!("listen = '127.0.0.1:0'\n[users]\n{users}"));
        let (code, lines) = check(folder.path(), &[]);
        (code, lines.into_iter().filter(|line| line[5..].starts_with("users")).collect::<Vec<_>>())
    };
    assert_eq!(lines_about_users(""), (0, vec![]));
    let well = "ok   users: ranges of addresses for 2, and the roster has each".to_owned();
    let both = "laura = ['10.0.0.0/8']\npere = ['10.0.0.1']\n";
    assert_eq!(lines_about_users(both), (0, vec![well]));
    let wrong = |user| {
        format!(
            "FAIL users, {user}: the roster has no such user; correct the name under [users] in the settings, register \
             the user, or take the line out"
        )
    };
    let misspelled = "Laura = ['10.0.0.0/8']\njoan = ['10.0.0.1']\n";
    assert_eq!(lines_about_users(misspelled), (1, vec![wrong("Laura"), wrong("joan")]));
}

#[test]
fn what_else_a_node_is_set_to_is_checked() {
    let folder = folder_with("localhost\nlaura\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    fs::write(folder.path().join("precious"), "").unwrap();
    let settings = |log: &str, control: &str, web: &str| {
        let text =
            format!("listen = '127.0.0.1:0'\nlog = '{log}'\ncontrol-socket = '{control}'\nweb = '{web}'\n");
        write_settings(folder.path(), &text);
        let (code, lines) = check(folder.path(), &[]);
        let about =
            |line: &&String| ["message log", "control", "web"].iter().any(|what| line[5..].starts_with(what));
        (code, lines.iter().filter(about).cloned().collect::<Vec<_>>())
    };
    let (code, lines) = settings("x.log", "ctl.sock", "127.0.0.1:0");
    assert_eq!(code, 0, "{lines:?}");
    assert!(lines[1].starts_with("ok   control socket ctl.sock: it can be made, by "), "{lines:?}");
    assert_eq!(lines[2], "ok   web 127.0.0.1:0: free");

    let (code, lines) = settings("config/nodelumi.cfg", "precious", &format!("127.0.0.1:{port}"));
    assert_eq!(code, 1);
    assert_eq!(
        lines,
        [
            "FAIL message log config/nodelumi.cfg: that is the roster, which its lines would destroy; name another file \
             with the key log"
                .to_owned(),
            "FAIL control socket precious: something else is there; name another place with the key control-socket, or \
             take away what is there"
                .to_owned(),
            format!(
                "FAIL web 127.0.0.1:{port}: address already in use; ss -tlpn 'sport = :{port}' tells which program has \
                 it: end it, or set web to another address"
            ),
        ]
    );
    // The node itself gives the same reason.
    let (code, reason) = super::failure(folder.path(), &["--listen", "127.0.0.1:0"]);
    let expected =
        "cannot open the message log config/nodelumi.cfg: that is the roster, which its lines would destroy";
    assert_eq!((code, &*reason), (1, expected));
    assert_eq!(fs::read_to_string(folder.path().join("config/nodelumi.cfg")).unwrap(), "localhost\nlaura\n");

    let (_, lines) = settings("", "nowhere/ctl.sock", "192.0.2.1:80");
    assert!(lines[0].starts_with("FAIL message log : it has no name; "), "{lines:?}");
    assert!(lines[1].ends_with("; make the folder nowhere"), "{lines:?}");
    assert!(lines[2].contains("this host has no such address: set web to one that it has"), "{lines:?}");
}

#[test]
fn files_that_are_missing_or_no_such_files_are_told() {
    let folder = folder_with("");
    let arguments = ["--config", "no\x1b.toml", "--roster", "no.cfg"];
    assert_eq!(
        check(folder.path(), &arguments),
        (
            1,
            [
                r"FAIL settings no\u{1b}.toml: no such file or directory; name another file with --config",
                "FAIL roster no.cfg: no such file or directory; `lumi-node init DOMAIN USER...` writes one; or name \
                 another with --roster, or write it: the domain on the first line, then a user name on each line",
                "skip bindings: not checked until the settings and the roster are right",
                "skip message log: not checked until the settings and the roster are right",
                "skip domain: not checked until the roster is right",
                "skip port: not checked until the settings are right",
            ]
            .map(str::to_owned)
            .into()
        )
    );
    write_settings(folder.path(), "listen = \nroster = 'x.cfg'\n");
    let (code, lines) = check(folder.path(), &[]);
    assert_eq!(code, 1);
    assert!(lines[0].starts_with("FAIL settings config/lumi-node.toml, line 1: "), "{lines:?}");
    assert!(lines.contains(&"skip roster: not checked until the settings are right".to_owned()), "{lines:?}");

    // The flag takes precedence, as it does for a node.
    let (_, lines) = check(folder.path(), &["--roster", "config/nodelumi.cfg"]);
    let missing = "FAIL roster config/nodelumi.cfg, line 1: the domain is missing, it is the first line; write it \
                   there, such as bb.com, and below it a user name on each line";
    assert!(lines.contains(&missing.to_owned()), "{lines:?}");

    write_settings(folder.path(), "log = 'no/such.log'\nlisten = '127.0.0.1:0'\n");
    let log = format!(
        "FAIL message log no/such.log: no such file or directory (tried as {}); make the folder no",
        user()
    );
    assert!(check(folder.path(), &[]).1.contains(&log));
}

#[test]
fn of_very_many_errors_the_first_are_told() {
    let folder = folder_with(&("bb.com\n".to_owned() + &"no user\n".repeat(1_000)));
    write_settings(folder.path(), "listen = '127.0.0.1:0'\npeers = { 'bb.com' = '127.0.0.1:1' }\n");
    let (code, lines) = check(folder.path(), &[]);
    let failed: Vec<_> = lines.iter().filter(|line| line.starts_with("FAIL ")).collect();
    assert_eq!((code, failed.len()), (1, 21));
    let more = "FAIL roster config/nodelumi.cfg: … and 980 more lines are wrong; correct those above first";
    assert_eq!(failed[20], more);
}

/// The check runs as a user without permissions. Root has all of them, so the test runs it as nobody then.
#[test]
fn who_may_not_write_or_read_is_told() {
    let folder = folder_with("bb.com\n");
    let (root, config) = (folder.path(), folder.path().join("config"));
    let settings = "listen = '127.0.0.1:0'\n[peers]\n'bb.com' = '127.0.0.1:1'\n";
    write_settings(root, settings);
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let node = executable_for_everybody(NODE, root);
    set(root, 0o555);
    set(&config, 0o555);
    let check = || {
        let mut command = Command::new(&node);
        at_home(&mut command, root).arg("check");
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        result(Program::start_command(&mut command))
    };
    let (code, lines) = check();
    assert_eq!(code, 1);
    let at = config.canonicalize().unwrap();
    let start = format!("FAIL roster's folder {}: permission denied (tried as user ", at.display());
    let end = |place: &str| {
        format!("let it write to {place} (chown, chmod), or name another place in the settings")
    };
    assert!(lines[2].starts_with(&start) && lines[2].ends_with(&end(&at.display().to_string())), "{lines:?}");
    let start = "FAIL message log nodelumi-bb.com.log: permission denied (tried as user ";
    assert!(lines[4].starts_with(start) && lines[4].ends_with(&end(".")), "{lines:?}");
    let start = "FAIL bindings config/nodelumi.cfg.bindings: permission denied (tried as user ";
    assert!(lines[3].starts_with(start) && lines[3].ends_with(&end("config")), "{lines:?}");
    assert!(lines[5..].iter().all(|line| line.starts_with("ok ")), "{lines:?}");

    set(&config.join("nodelumi.cfg"), 0o000);
    set(&config.join("lumi-node.toml"), 0o000);
    let (code, lines) = check();
    assert_eq!(code, 1);
    for (line, file) in lines.iter().zip(["settings config/lumi-node.toml", "skip roster"]) {
        assert!(line.contains(file), "{lines:?}");
    }
    assert!(
        lines[0].contains(": permission denied; user ") && lines[0].contains(" tried: run this as "),
        "{lines:?}"
    );
    set(&config.join("lumi-node.toml"), 0o444);
    let (_, lines) = check();
    let start = "FAIL roster config/nodelumi.cfg: permission denied; user ";
    assert!(lines[1].starts_with(start) && lines[1].contains(" tried: run this as "), "{lines:?}");
    // The folder could not be removed otherwise.
    set(root, 0o755);
    set(&config, 0o755);
}

#[test]
fn what_is_sent_is_shown_if_asked_for() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let settings = format!("listen = '{0}'\n[peers]\n'bb.com' = '{0}'\n", node.address());
    write_settings(node.folder(), &settings);
    let mut check = Program::start(NODE, node.folder(), &["check", "-v"]);
    assert_eq!(check.wait_exit(), 0, "{:?}", check.stdout());
    for message in ["PDlumi-node-check@bb.com", "RD1", "RL2lumi-node-check@bb.com:lumi-node-check@bb.com"] {
        assert!(check.stderr().iter().any(|line| line.ends_with(message)), "{:?}", check.stderr());
    }
}

#[test]
fn misuse_is_no_failure_of_a_check() {
    let folder = folder_with("bb.com\n");
    for arguments in [&["check", "--peer-domain", "a..b"][..], &["check", "bb.com"], &["-v", "check"]] {
        let mut check = Program::start(NODE, folder.path(), arguments);
        assert_eq!(check.wait_exit(), 2, "{arguments:?}");
        assert_eq!(check.stdout(), [""; 0]);
    }
}

/// A folder in which a node can be started, and its name server.
struct Lab {
    folder: TempDir,
    dns: DnsServer,
}

impl Lab {
    async fn new(roster: &str) -> Self {
        Self { folder: folder_with(roster), dns: DnsServer::start().await.expect("a DNS server") }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes these `settings`, and the name server's address.
    fn set(&self, settings: &str) {
        write_settings(self.path(), &format!("name-servers = ['{}']\n{settings}", self.dns.address()));
    }

    fn node(&self) -> NodeProgram {
        NodeProgram::start_in(self.path(), &["--listen", "127.0.0.1:0"])
    }

    fn check(&self, arguments: &[&str]) -> (i32, Vec<String>) {
        check(self.path(), arguments)
    }

    /// The names of the files in it and in its folder `config`.
    fn files(&self) -> Vec<String> {
        let folders = [self.path().to_owned(), self.path().join("config")];
        let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("it is there"));
        let name = |entry: DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<_> = entries.map(|entry| name(entry.expect("it can be read"))).collect();
        names.sort();
        names
    }
}

fn check(folder: &Path, arguments: &[&str]) -> (i32, Vec<String>) {
    result(Program::start(NODE, folder, &[&["check"], arguments].concat()))
}

fn result(mut program: Program) -> (i32, Vec<String>) {
    let code = program.wait_exit();
    assert_eq!(program.stderr(), [""; 0]);
    (code, program.stdout())
}

/// The name of the current user, in the words of the check.
fn user() -> String {
    let name = Command::new("id").arg("-un").output().expect("POSIX has it").stdout;
    format!("user {}", String::from_utf8_lossy(&name).trim())
}

/// The user `nobody` of many systems, which owns nothing.
const NOBODY: u32 = 65534;
