//! The output and the exit code of `lumi-node check`, when all is well and when not.

use std::fs::{self, DirEntry, Permissions};
use std::net::UdpSocket;
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
    assert_eq!(
        lab.check(&["--peer-domain", "cc.com", "--peer-domain", "dd.com"]),
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
    assert_eq!((code, lines.len()), (0, 7), "{lines:?}");
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
    assert_eq!(lines[3], "ok   message log: goes to stdout");
    let port = "ok   port 127.0.0.8:0: free: any other one at each start, and other nodes and agents have to be \
                told which";
    assert_eq!(lines[5..], [port]);
    assert_eq!(lab.files(), ["config", "lumi-node.toml", "nodelumi.cfg"]);

    // There is no settings file, so the defaults hold. This host may or may not have their port free.
    fs::remove_file(lab.path().join("config/lumi-node.toml")).unwrap();
    let (_, lines) = lab.check(&[]);
    let none = "ok   settings config/lumi-node.toml: there is no such file, so the defaults hold";
    assert_eq!(lines[0], none);
    assert_eq!(lines[3], format!("ok   message log nodelumi-bb.com.log: it can be made, by {}", user()));
    assert!(
        lines[5].starts_with("ok   port 0.0.0.0:3344: ") || lines[5].starts_with("FAIL port"),
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
                "FAIL roster no.cfg: no such file or directory; name another with --roster, or write it: the domain on \
                 the first line, then a user name on each line",
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
    assert!(lines[3].starts_with(start) && lines[3].ends_with(&end(".")), "{lines:?}");
    assert!(lines[4..].iter().all(|line| line.starts_with("ok ")), "{lines:?}");

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

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_does_not_lead_here_is_told() {
    let lab = Lab::new("bb.com\n").await;
    lab.set("listen = '127.0.0.1:0'\n");
    let line = |checked: (i32, Vec<String>)| {
        assert_eq!(checked.0, 1);
        assert!(checked.1[5].starts_with("ok   port"), "what comes after is checked: {:?}", checked.1);
        checked.1[4].clone()
    };
    let missing = line(lab.check(&[]));
    let start = "FAIL domain bb.com: not found; give bb.com an A record with the address of this host";
    assert!(missing.starts_with(start), "{missing}");

    lab.dns.set("bb.com", [198, 51, 100, 7].into());
    let elsewhere = line(lab.check(&[]));
    let start = "FAIL domain bb.com: it resolves to 198.51.100.7, which is no address of this host";
    assert!(elsewhere.starts_with(start), "{elsewhere}");
    for part in ["; correct the A record of bb.com or ", "have it forward UDP port 3344 to "] {
        assert!(elsewhere.contains(part), "{elsewhere}");
    }

    lab.dns.set("bb.com", [127, 0, 0, 8].into());
    assert_eq!(
        line(lab.check(&[])),
        "FAIL domain bb.com: it resolves to 127.0.0.8, and the node listens on 127.0.0.1:0 alone; set listen to \
         127.0.0.8:3344, or to 0.0.0.0:3344, or correct the A record of bb.com"
    );
    lab.dns.set("bb.com", [224, 0, 0, 1].into());
    assert_eq!(
        line(lab.check(&[])),
        "FAIL domain bb.com: resolves to 224.0.0.1, where no node can be; correct the A record of bb.com, or its line \
         in the hosts file of this host"
    );
    lab.dns.set_silent(true);
    assert_eq!(
        line(lab.check(&[])),
        "FAIL domain bb.com: cannot be resolved: the name servers give no answer; look at the network of this host, \
         and at /etc/resolv.conf or the key name-servers of the settings"
    );
}

/// The hosts file of a Debian host PC-c has the line `127.0.1.1 PC-c`.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_at_loopback_is_wrong_for_a_node_that_others_reach() {
    let lab = Lab::new("PC-c\n").await;
    lab.dns.set("PC-c", [127, 0, 1, 1].into());
    let line = |listen: &str| {
        lab.set(&format!("listen = '{listen}'\n"));
        lab.check(&[]).1[4].clone()
    };
    let here = "ok   domain PC-c: resolves to 127.0.1.1: programs on this host find it there, and no others";
    assert_eq!(line("127.0.1.1:0"), here);
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    let expected = match own {
        Ok(own) if !own.ip().is_loopback() => format!(
            "FAIL domain PC-c: it resolves to 127.0.1.1 on this host, so agents here publish a loopback address, and \
             nobody on another host can call them; write {} instead of 127.0.1.1 into the line of PC-c in the hosts \
             file; if the node is for programs on this host alone, set listen to 127.0.1.1:3344",
            own.ip()
        ),
        // This host has no network, so there are no others.
        _ => here.to_owned(),
    };
    assert_eq!(line("0.0.0.0:0"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_not_to_be_had_is_told() {
    let lab = Lab::new("bb.com\n").await;
    lab.dns.set("bb.com", [127, 0, 0, 1].into());
    let line = |listen: &str| {
        lab.set(&format!("listen = '{listen}'\n"));
        let (code, lines) = lab.check(&[]);
        assert_eq!(code, 1, "{lines:?}");
        lines[5].clone()
    };
    let program = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = program.local_addr().unwrap();
    let who = |port: u16| {
        format!(
            "; ss -ulpn 'sport = :{port}' tells which program that is: end it, or set listen to another address of this host; if it is systemd, that waits to start the node: journalctl -u lumi-node tells why it has ended"
        )
    };
    let silent =
        format!("FAIL port {address}: it is in use, and no node answers at {address}{}", who(address.port()));
    assert_eq!(line(&address.to_string()), silent);
    // This is all addresses of this host, and the port of one is in use.
    let silent = line(&format!("0.0.0.0:{}", address.port()));
    assert!(silent.contains(&format!(": it is in use, and no node answers at {address}; ")), "{silent}");

    // A program that answers need not be a node.
    let echo = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = echo.local_addr().unwrap();
    let echoing = tokio::spawn(async move {
        let mut buffer = [0; 100];
        while let Ok((length, from)) = echo.recv_from(&mut buffer).await {
            echo.send_to(&buffer[..length], from).await.unwrap();
        }
    });
    let echoed = line(&at.to_string());
    assert!(echoed.contains(": it is in use, and no node answers at "), "{echoed}");
    echoing.abort();

    let other = NodeProgram::start("cc.com", &["joya"], &[]);
    let expected = format!(
        "FAIL port {0}: it is in use by a node that is not that of bb.com{1}",
        other.address(),
        who(other.address().port())
    );
    assert_eq!(line(&other.address().to_string()), expected);
    let foreign = "198.51.100.7:3344";
    assert_eq!(
        line(foreign),
        "FAIL port 198.51.100.7:3344: cannot assign requested address; this host has no such address: set listen to \
         one that it has, or to 0.0.0.0:3344"
    );

    fs::write(lab.path().join("config/nodelumi.cfg"), "b b\n").unwrap();
    lab.set(&format!("listen = '{address}'\n"));
    let unknown = "in use; whether by this domain's node is not checked until the roster is right";
    assert!(lab.check(&[]).1.contains(&format!("skip port {address}: {unknown}")));
}

/// A deployed node of another domain would forward a `PL` to itself forever, or end because of the answer.
#[tokio::test(flavor = "multi_thread")]
async fn deployed_nodes_are_told_from_ours_and_live() {
    let lab = Lab::new("bb.com\nlaura\n").await;
    lab.dns.set("bb.com", [127, 0, 0, 1].into());
    for (program, domain) in [(L, "bb.com"), (S, "bb.com"), (L, "cc.com"), (S, "cc.com")] {
        let node = EmulatedNode::start(program, domain, &["laura"]).await;
        let real = NodeProgram::start("bb.com", &["laura"], &[]);
        if domain == "cc.com" {
            node.add_peer("bb.com", real.address()).await;
            node.add_peer("dd.com", node.address).await;
        }
        let at = node.address;
        lab.set(&format!("listen = '{at}'\n[peers]\n'cc.com' = '{at}'\n'dd.com' = '{at}'\n"));
        let (code, lines) = lab.check(&["--peer-domain", "cc.com", "--peer-domain", "dd.com"]);
        assert_eq!(code, 1);
        let foreign = format!("FAIL port {at}: it is in use by a node of another program; ss -ulpn ");
        assert!(lines[5].starts_with(&foreign), "{lines:?}");
        for (line, peer) in lines[6..].iter().zip(["cc.com", "dd.com"]) {
            let answers = "it is another program, and not asked of which domain it is";
            assert_eq!(*line, format!("ok   peer {peer}: a node answers at {at}; {answers}"));
        }
        assert_eq!(real.log(), [""; 0], "nothing is forwarded");
        node.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_not_found_or_does_not_answer_is_told() {
    let lab = Lab::new("bb.com\n").await;
    lab.dns.set("bb.com", [127, 0, 0, 1].into());
    lab.dns.set("ff.com", [0, 0, 0, 0].into());
    let (other, program) = (NodeProgram::start("cc.com", &[], &[]), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (at, silent) = (other.address(), program.local_addr().unwrap());
    lab.set(&format!("listen = '127.0.0.1:0'\n[peers]\n'dd.com' = '{at}'\n'ee.com' = '{silent}'\n"));
    let peers = [
        "--peer-domain",
        "nn.com",
        "--peer-domain",
        "ff.com",
        "--peer-domain",
        "dd.com",
        "--peer-domain",
        "ee.com",
    ];
    let (code, lines) = lab.check(&peers);
    assert_eq!(code, 1);
    let named = |peer| format!("name its node in the settings, under [peers]: \"{peer}\" = \"IP:PORT\"");
    let record = |peer| {
        format!(
            "if 127.0.0.1 is not the address of its host, have its A record corrected, or {}",
            named(peer)
        )
    };
    let expected = [
        format!(
            "FAIL peer nn.com: not found; look at the spelling; have who runs it give it an A record, or {}",
            named("nn.com")
        ),
        format!(
            "FAIL peer ff.com: resolves to 0.0.0.0, where no node can be; have who runs it correct its A record, or {}",
            named("ff.com")
        ),
        format!("FAIL peer dd.com: at {at} there is the node of another domain; {}", record("dd.com")),
        format!(
            "FAIL peer ee.com: no node answers at {silent}; see that it runs, and that firewalls here and there let UDP \
             port {} through both ways; {}",
            silent.port(),
            record("ee.com")
        ),
    ];
    assert_eq!(lines[6..], expected);

    lab.dns.set_refusing(true);
    let (_, lines) = lab.check(&["--peer-domain", "nn.com"]);
    let start = "FAIL peer nn.com: cannot be resolved: the name servers give no answer; look at the network of this host";
    assert!(lines[6].starts_with(start), "{lines:?}");
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
        NodeProgram::start_in(self.path(), &[])
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
