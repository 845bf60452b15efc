//! The settings file of a user, and `config`, which tells about it.

use integration_tests::programs::{CONFIG, DATA, write_agent_settings};

use super::*;

/// Starts an agent in `folder`, with nothing but the settings there and `arguments`.
fn agent(folder: &Path, arguments: &[&str]) -> Program {
    Program::start(AGENT, folder, arguments)
}

/// Returns the output of a program that ends by itself, and its exit code.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut agent = agent(folder, arguments);
    let code = agent.wait_exit();
    (code, agent.stdout().join("\n"), agent.stderr().join("\n"))
}

#[test]
fn an_address_that_is_set_is_enough() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let settings = format!(
        "address = 'laura@bb.com'\nnick = 'Na Laura'\nnode = '{}'\nadvertise = '127.0.0.9'\nbare-user = true\n\
        log = 'set.log'\n",
        node.address()
    );
    write_agent_settings(folder.path(), &settings);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let mut laura = agent(folder.path(), &[]);
    laura.expect_line("* registered laura@bb.com");
    laura.expect_line("* listening for conversations on 127.0.0.9:");
    laura.type_line("/call pere@bb.com");
    pere.expect_line("* in conversation with Na Laura (laura@bb.com)");
    laura.close_stdin();
    assert_eq!(laura.wait_exit(), 0);
    let log = fs::read_to_string(folder.path().join("set.log")).expect("a log where it is set");
    assert!(log.contains(", PRlaura, 7\n"), "{log}");
}

#[test]
fn flags_win_over_what_is_set() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let folder = tempfile::tempdir().expect("a folder");
    let settings = format!(
        "address = 'laura@bb.com'\nnick = 'Na Laura'\nnode = '{}'\nport = 1\nadvertise = '192.0.2.1'\nlog = 'set.log'\n",
        silent.local_addr().expect("its address")
    );
    write_agent_settings(folder.path(), &settings);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let at = node.address().to_string();
    let flags = ["--node", &at, "--port", "0", "--advertise", "127.0.0.8", "--nick", "L", "--log", "-"];
    let mut laura = agent(folder.path(), &flags);
    laura.expect_line("* listening for conversations on 127.0.0.8:");
    laura.type_line("/call pere@bb.com");
    pere.expect_line("* in conversation with L (laura@bb.com)");
    laura.close_stdin();
    assert_eq!(laura.wait_exit(), 0);
    // Another thread writes the log to a pipe.
    assert!(laura.stdout().iter().any(|line| line.starts_with("E: ")));
    assert!(!folder.path().join("set.log").exists());
}

#[test]
fn what_belongs_to_an_address_is_not_taken_for_another() {
    let node = NodeProgram::start("bb.com", &["laura", "pere", "joan"], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "address = 'laura@bb.com'\nnick = 'Na Laura'\nnode = '127.0.0.1:9'\nport = 1\n\
        advertise = '192.0.2.1'\nbare-user = true\nlog = 'set.log'\n";
    write_agent_settings(folder.path(), settings);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    pere.expect_line("* listening");
    let mut joan = agent(folder.path(), &["joan@bb.com", "--node", &node.address().to_string()]);
    joan.expect_line("* listening for conversations on 127.0.0.1:");
    joan.type_line("/call pere@bb.com");
    pere.expect_line("* in conversation with joan (joan@bb.com)");
    joan.close_stdin();
    assert_eq!(joan.wait_exit(), 0);
    let log = fs::read_to_string(folder.path().join("set.log")).expect("what is everybody's is taken");
    assert!(log.contains(", PRjoan@bb.com, 13\n"), "{log}");
}

#[test]
fn settings_that_are_wrong_end_the_start_and_say_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(CONFIG).join("mi-agent/config.toml");
    for (text, told) in [
        ("\nnik = 'L'", "line 2: unknown field `nik`, expected one of `address`, `nick`"),
        ("address = 'laura'", "line 1, address: an address is user@domain, and there is no '@'"),
        ("\"\\u001b[2J\\u202e\" = 1", "line 1: unknown field `\\x1b[2J\\u{202e}`, expected one of"),
        ("bell = \u{9b}", "line 1: "),
    ] {
        write_agent_settings(folder.path(), text);
        for arguments in [&["laura@bb.com"][..], &["config", "show"]] {
            let (code, stdout, stderr) = run(folder.path(), arguments);
            let expected = format!("mi-agent: the settings {} are wrong: {told}", path.display());
            assert!(stderr.starts_with(&expected), "{text:?}: {stderr:?}");
            assert!(!stderr.contains(char::is_control), "{stderr:?}");
            assert_eq!((code, stdout.as_str()), (1, ""), "{text:?}");
        }
    }
    fs::remove_file(&path).and_then(|()| fs::create_dir(&path)).expect("a folder in its place");
    let (code, _, stderr) = run(folder.path(), &["laura@bb.com"]);
    assert!(
        stderr.starts_with(&format!("mi-agent: cannot read the settings {}: ", path.display())),
        "{stderr}"
    );
    assert_eq!(code, 1);
    assert!(!folder.path().join(DATA).exists(), "nothing is kept of what did not start");
}

#[test]
fn config_tells_where_the_settings_are_and_what_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(CONFIG).join("mi-agent/config.toml").display().to_string();
    assert_eq!(run(folder.path(), &["config", "path"]), (0, path.clone(), String::new()));
    let (code, defaults, _) = run(folder.path(), &["config", "show"]);
    assert_eq!((code, defaults.lines().next()), (0, Some(format!("# There is no {path}").as_str())));
    assert!(
        defaults.contains("\n# address is not set\n") && defaults.contains("\nconversations = 8\n"),
        "{defaults}"
    );

    let settings = [
        "address = \"laura@bb.com\"",
        "nick = \"a\\\"b\\\\ \\U0000202E\\U0000001B\"",
        "port = 3500",
        "node = \"127.0.0.2:3344\"",
        "name-servers = [\"127.0.0.3:53\", \"[::1]:53\"]",
        "advertise = \"192.0.2.7\"",
        "refresh = \"off\"",
        "bare-user = true",
        "behind-nat = false",
        "accept-unproved = false",
        "log = \"laura.log\"",
        "conversations = 16",
        "idle = \"90s\"",
        "dial = [\"192.0.2.0/24\", \"198.51.100.7/32\"]",
        "security = \"known\"",
        "outbox-quiet = false",
        "identity = \"laura.pem\"",
        "key-command = [\"pass\", \"mi/laura\"]",
        "history = false",
        "bell = false",
        "mouse = false",
        "plain = true",
    ];
    let settings = settings.join("\n");
    write_agent_settings(folder.path(), &settings);
    assert_eq!(run(folder.path(), &["config", "path"]), (0, path.clone(), String::new()));
    let expected = format!("# Read from {path}\n{settings}");
    assert_eq!(run(folder.path(), &["config", "show"]), (0, expected.clone(), String::new()));
    // The output is a settings file, too, and so are the defaults.
    write_agent_settings(folder.path(), &expected);
    assert_eq!(run(folder.path(), &["config", "show"]).1, expected);
    write_agent_settings(folder.path(), &defaults);
    let again = run(folder.path(), &["config", "show"]).1;
    assert_eq!(again.split_once('\n').map(|parts| parts.1), defaults.split_once('\n').map(|parts| parts.1));
}

/// A path that is not absolute is none, says the specification of those folders.
#[test]
fn a_relative_folder_of_settings_is_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = process::Command::new(executable(AGENT));
    at_home(&mut command, folder.path()).env("XDG_CONFIG_HOME", "here").env("HOME", folder.path());
    let mut agent = Program::start_command(command.args(["config", "path"]));
    assert_eq!(agent.wait_exit(), 0);
    let path = folder.path().join(".config/mi-agent/config.toml");
    assert_eq!(agent.stdout(), [path.display().to_string()]);
}

#[test]
fn config_misused_is_misuse() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [
        &["config"][..],
        &["config", "edit"],
        &["config", "show", "laura@bb.com"],
        &["laura@bb.com", "config", "show"],
        &["--plain", "config", "show"],
        &["laura@bb.com", "--conversations", "0"],
        &["laura@bb.com", "--conversations", "17"],
        &["laura@bb.com", "--idle", "90"],
    ] {
        assert_eq!(run(folder.path(), arguments).0, 2, "{arguments:?}");
    }
}
