//! The start and the end of a node, and the reasons why it does not start.

use std::fs;
use std::net::UdpSocket;

use integration_tests::programs::{NODE, NodeProgram, Program, Signal, write_settings};

use super::{failure, folder_with};

#[test]
fn it_says_when_it_is_ready() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let address = node.address();
    assert_eq!(node.stdout(), [format!("lumi-node: domain bb.com, listening on {address}, 2 users")]);
    let one = NodeProgram::start("localhost", &["laura"], &["--listen", "127.0.0.9:0"]);
    assert!(one.stdout()[0].ends_with(", 1 users"), "scripts rely on the form: {:?}", one.stdout());
    assert_eq!(one.address().ip().octets(), [127, 0, 0, 9]);
    assert_eq!(one.stderr(), [""; 0]);
}

#[test]
fn its_port_is_free_once_it_has_ended() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let mut node = NodeProgram::start("bb.com", &["laura"], &[]);
        node.signal(signal);
        assert_eq!(node.wait_exit(), 0, "{signal:?}");
        UdpSocket::bind(node.address()).unwrap();
    }
}

#[test]
fn a_port_in_use_is_told() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = folder_with("bb.com\n");
    let reason = format!(
        "cannot listen on {address}: address already in use; a node may be running already: `lumi-node ctl status` asks \
         it, and `lumi-node check` says who has the port"
    );
    assert_eq!(failure(folder.path(), &["--listen", &address]), (1, reason));
}

#[test]
fn a_roster_that_cannot_be_taken_is_told_by_its_line() {
    let folder = folder_with("bb.com\nlaura\n\njoya@cc.com\n");
    let reason = "the roster config/nodelumi.cfg is wrong: line 4: a user is listed by name alone, without '@' and domain";
    assert_eq!(failure(folder.path(), &[]), (1, reason.to_owned()));
    let (code, reason) = failure(folder.path(), &["--roster", "no/such.cfg"]);
    assert_eq!(code, 1);
    assert!(
        reason.starts_with("cannot read the roster no/such.cfg: no such file or directory; "),
        "{reason}"
    );
    assert!(reason.contains("--roster") && reason.contains("the domain on the first line"), "{reason}");
    let reason = "cannot read the roster config: is a directory";
    assert_eq!(failure(folder.path(), &["--roster", "config"]), (1, reason.to_owned()));
}

#[test]
fn settings_that_are_wrong_are_told_by_their_line() {
    let folder = folder_with("bb.com\n");
    write_settings(folder.path(), "listen = '127.0.0.1:0'\n\nport = 3344\n");
    let (code, reason) = failure(folder.path(), &[]);
    let expected =
        "the settings config/lumi-node.toml are wrong: line 3: unknown field `port`, expected one of ";
    assert!(code == 1 && reason.starts_with(expected), "{code}: {reason}");
    write_settings(
        folder.path(),
        "listen = '127.0.0.1:0'\nallow = [\n  '10.0.0.0/8',\n  '10.0.0.0/64',\n]\n",
    );
    let reason = "the settings config/lumi-node.toml are wrong: line 4: after the '/' of a range of addresses stands how many bits they share, 0 to 32";
    assert_eq!(failure(folder.path(), &[]), (1, reason.to_owned()));
    let reason = "cannot read the settings other.toml: no such file or directory";
    assert_eq!(failure(folder.path(), &["--config", "other.toml"]), (1, reason.to_owned()));
}

#[test]
fn a_log_that_cannot_be_opened_is_told() {
    let folder = folder_with("bb.com\n");
    let reason = "cannot open the message log no/such.log: no such file or directory";
    assert_eq!(failure(folder.path(), &["--log", "no/such.log"]), (1, reason.to_owned()));
}

#[test]
fn misuse_is_told_apart() {
    let folder = folder_with("bb.com\n");
    for arguments in [
        &["--no-such-flag"][..],
        &["serve"],
        &["--listen", "localhost:3344"],
        &["--listen", "[::1]:3344"],
        &["--peer", "cc.com"],
        &["--peer", "cc..com=127.0.0.1:3344"],
        &["--peer", "cc.com=127.0.0.1"],
        &["--name-server", "9.9.9.9"],
        &["--rate-limit", "0"],
        &["--rate-limit", "many"],
        &["--log-max-size", "0"],
        &["--log-max-size", "1MB"],
        &["--allow", "bb.com"],
        &["--exempt", "10.0.0.0/33"],
        &["--takeover", "first"],
        &["--strike-interval", "-1"],
        &["--strike-interval", "soon"],
        &["--bindings-sync", "off"],
        &["--restore-within", "15"],
        &["--web", "8344"],
        &["--web", "localhost:8344"],
        &["-v", "-q"],
    ] {
        let mut node = Program::start(NODE, folder.path(), arguments);
        assert_eq!(node.wait_exit(), 2, "{arguments:?}");
        assert!(node.stderr()[0].starts_with("error: "), "{:?}", node.stderr());
        assert_eq!(node.stdout(), [""; 0], "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut version = Program::start(NODE, folder.path(), &["--version"]);
    assert_eq!(
        (version.wait_exit(), version.stdout()),
        (0, vec![format!("lumi-node {}", env!("CARGO_PKG_VERSION"))])
    );
    let mut help = Program::start(NODE, folder.path(), &["--help"]);
    assert_eq!(help.wait_exit(), 0);
    let text = help.stdout().join("\n");
    for flag in
        "config roster listen bindings bindings-sync restore-within log log-max-size name-server peer allow takeover rate-limit exempt strike-interval web console \
         verbose quiet version help"
            .split_whitespace()
    {
        assert!(text.contains(&format!("--{flag}")), "{flag} is missing in:\n{text}");
    }
}

/// The sample of a checkout belongs to git.
#[test]
fn the_sample_of_a_checkout_is_copied_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("nodelumi.cfg.sample"), "localhost\nlaura\n").unwrap();
    write_settings(folder.path(), "listen = '127.0.0.1:0'\n");
    let mut check = Program::start(NODE, folder.path(), &["check"]);
    check.wait_exit();
    let copied =
        "ok   roster config/nodelumi.cfg, a copy of config/nodelumi.cfg.sample: domain localhost, 1 user";
    assert!(check.stdout().iter().any(|line| line == copied), "{:?}", check.stdout());
    assert!(!config.join("nodelumi.cfg").exists(), "a check writes nothing");

    let mut node = NodeProgram::start_in(folder.path(), &["--console"]);
    let told =
        "lumi-node: config/nodelumi.cfg is new, a copy of config/nodelumi.cfg.sample; it is yours to change";
    node.wait_for_diagnostic(told);
    assert_eq!(node.stderr(), [told]);
    node.type_line("register joya");
    node.expect_line("registered joya");
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
    assert_eq!(fs::read_to_string(config.join("nodelumi.cfg.sample")).unwrap(), "localhost\nlaura\n");
    assert_eq!(fs::read_to_string(config.join("nodelumi.cfg")).unwrap(), "localhost\nlaura\njoya\n");
    // The second start finds its own file.
    let node = NodeProgram::start_in(folder.path(), &[]);
    assert!(node.stdout()[0].ends_with(", 2 users") && node.stderr().is_empty(), "{:?}", node.stderr());
    drop(node);
    // Another roster has no sample.
    let (code, reason) = failure(folder.path(), &["--roster", "config/other.cfg"]);
    assert!(code == 1 && reason.contains("cannot read the roster config/other.cfg"), "{reason}");
}

#[test]
fn init_writes_what_a_node_needs_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let init = |arguments: &[&str]| {
        let mut init = Program::start(NODE, folder.path(), &[&["init"], arguments].concat());
        (init.wait_exit(), init.stdout(), init.stderr())
    };
    assert_eq!(init(&[]).0, 2);
    for (arguments, reason) in [
        (&["b b"][..], "the domain has ' ' at byte 2, which may not stand there; give one such as bb.com"),
        (
            &["bb.com", "laura@bb.com"],
            "the user name has '@' at byte 6, which may not stand there; give each user by name alone, such as laura",
        ),
    ] {
        let (code, _, errors) = init(arguments);
        assert!(code == 2 && errors[0].ends_with(reason), "{errors:?}");
    }
    let twice = "lumi-node: that would be no roster: line 3: the user is listed twice";
    assert_eq!(init(&["bb.com", "laura", "laura"]), (1, vec![], vec![twice.to_owned()]));
    assert!(folder.path().read_dir().unwrap().next().is_none(), "nothing is written");

    // No test can say whether the domain leads here.
    let (_, lines, errors) = init(&["PC-c.invalid", "laura", "pere"]);
    assert_eq!(errors, [""; 0]);
    let written = ["wrote config/nodelumi.cfg", "wrote config/lumi-node.toml"];
    assert_eq!(lines[..2], written);
    assert_eq!(lines[2], "ok   settings config/lumi-node.toml: every key is right");
    assert_eq!(lines[3], "ok   roster config/nodelumi.cfg: domain PC-c.invalid, 2 users");
    let read = |name: &str| fs::read_to_string(folder.path().join("config").join(name)).unwrap();
    assert_eq!(read("nodelumi.cfg"), "PC-c.invalid\nlaura\npere\n");
    assert_eq!(read("lumi-node.toml"), include_str!("../../../config/lumi-node.toml"));
    let node = NodeProgram::start_in(folder.path(), &[]);
    assert!(node.stdout()[0].ends_with(", 2 users"), "{:?}", node.stdout());

    let exists = "lumi-node: config/nodelumi.cfg exists already, and init overwrites nothing; remove it, or run init \
                  in another folder";
    assert_eq!(init(&["cc.com"]), (1, vec![], vec![exists.to_owned()]));
    fs::remove_file(folder.path().join("config/nodelumi.cfg")).unwrap();
    assert_eq!(init(&["cc.com"]).2, [exists.replace("nodelumi.cfg", "lumi-node.toml")]);
    assert!(!folder.path().join("config/nodelumi.cfg").exists());
}
