//! Command line, settings file and defaults.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use integration_tests::programs::{DEADLINE, NODE, NodeProgram, Program, eventually, write_settings};

use super::{User, failure, folder_with, receive};

#[test]
fn flags_win_over_settings_and_settings_over_defaults() {
    let folder = folder_with("cc.com\npere\n");
    fs::write(folder.path().join("bb.cfg"), "bb.com\nlaura\n").unwrap();
    let settings =
        "roster = 'bb.cfg'\nlisten = '127.0.0.8:0'\nlog = 'bb.log'\nrate-limit = 5\nconsole = true\n";
    write_settings(folder.path(), settings);
    let as_set = || Program::start(NODE, folder.path(), &[]);
    let mut node = NodeProgram::ready(as_set(), folder.path());
    assert!(node.stdout()[0].starts_with("lumi-node: domain bb.com, listening on 127.0.0.8:"));
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
    node.type_line("exit");
    assert_eq!(node.wait_exit(), 0);
    let log = fs::read_to_string(folder.path().join("bb.log")).unwrap();
    assert_eq!(log.lines().count(), 2);

    let flags = [
        "--roster",
        "config/nodelumi.cfg",
        "--rate-limit",
        "off",
        "--log",
        "cc.log",
        "--listen",
        "127.0.0.9:0",
    ];
    let node = NodeProgram::start_in(folder.path(), &flags);
    let user = User::of(&node);
    assert_eq!(node.address().ip().octets(), [127, 0, 0, 9]);
    for _ in 0..100 {
        assert_eq!(user.ask("PRpere"), "RR0");
    }
    assert_eq!(fs::read_to_string(folder.path().join("cc.log")).unwrap().lines().count(), 200);

    fs::write(folder.path().join("other.toml"), "roster = 'no.cfg'").unwrap();
    let (code, reason) = failure(folder.path(), &["--config", "other.toml"]);
    assert!(code == 1 && reason.starts_with("cannot read the roster no.cfg"), "{reason}");
}

#[test]
fn a_node_elsewhere_sends_to_its_own_host_only_where_a_peer_is_named() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let named = format!("named.com={}", peer.local_addr().unwrap());
    let node = NodeProgram::start("bb.com", &["laura"], &["--listen", "0.0.0.0:0", "--peer", &named]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura"), "RR0");
    for domain in ["127.0.0.1", "localhost", "169.254.1.1"] {
        let names = format!("laura@bb.com:joya@{domain}");
        assert_eq!(laura.ask(&format!("PL{names}")), format!("RL2{names}"));
    }
    laura.say(b"PLlaura@bb.com:joya@named.com");
    assert_eq!(receive(&peer), "PLlaura@bb.com:joya@named.com");

    let node = NodeProgram::start("bb.com", &["laura"], &["--literal-domains", "off"]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura"), "RR0");
    assert_eq!(laura.ask("PLlaura@bb.com:joya@127.0.0.1"), "RL2laura@bb.com:joya@127.0.0.1");
}

#[test]
fn one_address_may_send_so_much_and_no_more() {
    let node = NodeProgram::start("bb.com", &["laura"], &["--rate-limit", "5"]);
    let eager = User::of(&node);
    for _ in 0..100 {
        eager.say(b"PRlaura");
    }
    // Datagrams are taken in their order: with this answer the ones before have been, too.
    assert_eq!(User::at("127.0.0.2", &node).ask("PRlaura@bb.com"), "RR0");
    let taken = node.log().iter().filter(|line| line.starts_with("R: 127.0.0.1:")).count();
    assert!((10..100).contains(&taken), "{taken} of 100 at once were taken");
    node.wait_for_diagnostic("more datagrams than the rate limit allows");
}

#[test]
fn other_nodes_are_where_peer_says() {
    let cc = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = format!("CC.com=127.0.0.1:{}", cc.local_addr().unwrap().port());
    let folder = folder_with("bb.com\nlaura\n");
    write_settings(folder.path(), "[peers]\n'cc.com' = '127.0.0.1:9'\n'dd.com' = '127.0.0.1:9'\n");
    let node = NodeProgram::start_in(folder.path(), &["--peer", &peer]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    laura.say(b"PLlaura@bb.com:joya@cc.com");
    cc.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(receive(&cc), "PLlaura@bb.com:joya@cc.com");
    cc.send_to(b"RL3laura@bb.com:joya@cc.com", node.address()).unwrap();
    assert_eq!(laura.hear(), "RL3laura@bb.com:joya@cc.com");
}

#[test]
fn a_peer_with_several_addresses_asks_from_each_and_is_asked_at_each() {
    let folder = folder_with("bb.com\nlaura\n");
    for is_in_file in [true, false] {
        let [first, second] = ["127.0.0.2", "127.0.0.3"].map(|ip| UdpSocket::bind((ip, 0)).unwrap());
        let [one, other] = [&first, &second].map(|socket| socket.local_addr().unwrap().to_string());
        let flags = [&one, &other].map(|address| ["--peer".to_owned(), format!("cc.com={address}")]).concat();
        let node = if is_in_file {
            write_settings(folder.path(), &format!("[peers]\n'cc.com' = ['{one}', '{other}']\n"));
            NodeProgram::start_in(folder.path(), &[])
        } else {
            write_settings(folder.path(), "");
            NodeProgram::start_in(folder.path(), &flags.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let laura = User::of(&node);
        assert_eq!(laura.ask("PRlaura"), "RR0");
        for socket in [&first, &second] {
            User::of(&node).say(b"PLjan@cc.com:laura@bb.com");
            socket.send_to(b"PLjoya@cc.com:laura@bb.com", node.address()).unwrap();
            assert_eq!(laura.hear(), "PLjoya@cc.com:laura@bb.com", "the other one was dropped");
        }
        let question = "PLlaura@bb.com:joya@cc.com";
        let is_asked = |socket: &UdpSocket| {
            socket.set_nonblocking(true).unwrap();
            let mut buffer = [0; 100];
            std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count() > 0
        };
        laura.say(question.as_bytes());
        eventually("the first address is asked", || is_asked(&first));
        eventually("the second address is asked", || {
            laura.say(question.as_bytes());
            is_asked(&second)
        });
    }
}

#[test]
fn only_askers_count_that_the_settings_let() {
    let cc = UdpSocket::bind("127.0.0.2:0").unwrap();
    let peer = format!("cc.com={}", cc.local_addr().unwrap());
    let folder = folder_with("bb.com\nlaura\npere\n");
    write_settings(folder.path(), "ask = 'bound'\n");
    for (flags, drops) in [
        (&["--ask", "any"][..], &[][..]),
        (&[], &["PLpere@bb.com:laura@bb.com"]),
        (&["--ask", "nodes"], &["PLpere@bb.com:laura@bb.com", "PLeva@dd.com:laura@bb.com"]),
    ] {
        let node = NodeProgram::start_in(folder.path(), &[flags, &["--peer", &peer]].concat());
        let (laura, stranger) = (User::of(&node), User::of(&node));
        assert_eq!(laura.ask("PRlaura"), "RR0");
        for question in ["PLpere@bb.com:laura@bb.com", "PLeva@dd.com:laura@bb.com"] {
            stranger.say(question.as_bytes());
            if !drops.contains(&question) {
                assert_eq!(laura.hear(), question, "{flags:?}");
            }
        }
        cc.send_to(b"PLjoya@cc.com:laura@bb.com", node.address()).unwrap();
        assert_eq!(laura.hear(), "PLjoya@cc.com:laura@bb.com", "{flags:?}");
    }
}

#[test]
fn the_sample_settings_work_as_they_stand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("config")).unwrap();
    for file in ["config/lumi-node.toml", "config/nodelumi.cfg.sample"] {
        fs::copy(root.join(file), folder.path().join(file)).unwrap();
    }
    let node = NodeProgram::start_in(folder.path(), &[]);
    assert!(node.stdout()[0].starts_with("lumi-node: domain localhost, "));
    assert!(node.stdout()[0].ends_with(", 2 users"));
    assert_eq!(User::of(&node).ask("PRjoya@localhost"), "RR0");
    let told =
        "lumi-node: config/nodelumi.cfg is new, a copy of config/nodelumi.cfg.sample; it is yours to change";
    node.wait_for_diagnostic(told);
    assert_eq!(node.stderr(), [told]);
}

#[test]
fn users_register_from_where_it_is_allowed_and_keep_their_names_if_told_to() {
    let folder = folder_with("bb.com\nlaura\n");
    write_settings(folder.path(), "allow = ['127.0.0.1', '127.0.1.0/24']\ntakeover = 'deny'\n");
    let node = NodeProgram::start_in(folder.path(), &[]);
    let laura = User::at("127.0.1.7", &node);
    assert_eq!(User::at("127.0.0.2", &node).ask("PRlaura"), "RR1", "not allowed");
    assert_eq!(laura.ask("PRlaura"), "RR0");
    assert_eq!(User::of(&node).ask("PRlaura"), "RR1", "denied while she is online");
    assert_eq!(User::of(&node).ask("PDlaura"), "RD1");
    assert_eq!(laura.ask("PDlaura"), "RD0");
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
    drop(node);

    let flags = ["--allow", "127.0.0.2", "--allow", "127.0.0.3/32", "--takeover", "last"];
    let node = NodeProgram::start_in(folder.path(), &flags);
    assert_eq!(User::of(&node).ask("PRlaura"), "RR1", "the flags take the place of what is set");
    assert_eq!(User::at("127.0.0.2", &node).ask("PRlaura"), "RR0");
    assert_eq!(User::at("127.0.0.3", &node).ask("PRlaura"), "RR0", "she has moved");
}

#[test]
fn a_user_with_ranges_registers_from_there_and_attempts_from_elsewhere_are_reported() {
    let folder = folder_with("bb.com\nlaura\npere\n");
    let ranges = |ranges: &str| write_settings(folder.path(), &format!("[users]\nlaura = [{ranges}]\n"));
    ranges("'127.0.0.7', '127.0.1.0/24'");
    let mut node = NodeProgram::start_in(folder.path(), &["--console"]);
    let (laura, thief) = (User::at("127.0.1.7", &node), User::of(&node));
    assert_eq!(thief.ask("PRlaura"), "RR1");
    let told = node.wait_for_diagnostic("other addresses only");
    assert!(told.contains(&format!("user=laura from={}", thief.address())), "{told}");
    assert_eq!(laura.ask("PRlaura"), "RR0");
    assert_eq!((thief.ask("PRlaura"), thief.ask("PRpere")), ("RR1".into(), "RR0".into()));
    assert_eq!(node.stderr().len(), 1, "once a minute: {:?}", node.stderr());

    ranges("'127.0.0.1'");
    node.type_line("reload");
    node.expect_line("reloaded");
    assert_eq!((laura.ask("PRlaura"), thief.ask("PRlaura")), ("RR1".into(), "RR0".into()));
}

#[test]
fn one_socket_has_so_many_users_if_told_to() {
    let folder = folder_with("bb.com\nlaura\npere\njoan\n");
    write_settings(folder.path(), "users-per-socket = 2\n");
    for (flags, third) in [(&[][..], "RR1"), (&["--users-per-socket", "off"], "RR0")] {
        let node = NodeProgram::start_in(folder.path(), flags);
        let many = User::of(&node);
        let answers = ["PRlaura", "PRpere", "PRjoan", "PRlaura"].map(|message| many.ask(message));
        assert_eq!(answers, ["RR0", "RR0", third, "RR0"], "{flags:?}");
        assert_eq!(User::of(&node).ask("PRjoan"), "RR0", "another socket has its own");
    }
}

#[test]
fn who_is_exempt_may_send_any_number() {
    let folder = folder_with("bb.com\nlaura\n");
    write_settings(folder.path(), "rate-limit = 1\nexempt = ['127.0.0.9']\n");
    for flags in [&[][..], &["--exempt", "127.0.0.0/29", "--exempt", "127.0.0.9"]] {
        let node = NodeProgram::start_in(folder.path(), flags);
        let eager = User::at("127.0.0.9", &node);
        for _ in 0..100 {
            assert_eq!(eager.ask("PRlaura"), "RR0");
        }
    }
}

#[test]
fn each_location_request_is_a_strike_if_told_to() {
    let folder = folder_with("bb.com\nlaura\n");
    write_settings(folder.path(), "strike-interval = 0\n");
    for (flags, is_offline) in [(&[][..], true), (&["--strike-interval", "600000"], false)] {
        let node = NodeProgram::start_in(folder.path(), flags);
        let (laura, joya) = (User::of(&node), User::at("127.0.0.2", &node));
        assert_eq!(laura.ask("PRlaura"), "RR0");
        for number in 0..4 {
            let question = format!("PLu{number}@cc.com:laura@bb.com");
            joya.say(question.as_bytes());
            assert_eq!(laura.hear(), question);
        }
        let question = "PLjoya@cc.com:laura@bb.com";
        joya.say(question.as_bytes());
        if is_offline {
            assert_eq!(joya.hear(), "RL3joya@cc.com:laura@bb.com");
        } else {
            assert_eq!(laura.hear(), question);
        }
    }
}
