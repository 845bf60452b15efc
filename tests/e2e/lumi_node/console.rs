//! The administrator at the console.

use std::fs;
use std::io::{Write, pipe};
use std::process::Command;

use integration_tests::programs::{NODE, NodeProgram, Program, Signal, at_home, executable, write_roster};
use rustix::io::ioctl_fionbio;

use super::{User, folder_with, words};

#[test]
fn users_come_and_go_at_the_console() {
    let mut node = NodeProgram::start("bb.com", &["pere"], &[]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR1");

    node.type_line("register laura");
    assert_eq!(node.expect_line("registered"), "registered laura");
    assert_eq!(node.roster(), "bb.com\npere\nlaura\n", "it is saved before it is confirmed");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");

    node.type_line("list");
    node.expect_line("USER   STATE    ADDRESS");
    let [user, state, address, date, time] = words(&node.expect_line("laura"));
    assert_eq!([&*user, &state, &address], ["laura", "online", &laura.address().to_string()]);
    assert!(date.len() == "2026-01-31".len() && time.len() == "23:59:59".len(), "{date} {time}");
    assert_eq!(words(&node.expect_line("pere")), ["pere", "offline", "-", "-"]);

    node.type_line("deregister laura");
    assert_eq!(node.expect_line("deregistered"), "deregistered laura");
    assert_eq!(node.roster(), "bb.com\npere\n");
    assert_eq!(laura.ask("PDlaura@bb.com"), "RD1");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR1");
}

#[test]
fn commands_have_other_names_and_may_begin_with_a_slash() {
    let mut node = NodeProgram::start("bb.com", &[], &[]);
    for (line, answer) in [
        ("alta laura", "registered laura"),
        ("  /alta\tpere  ", "registered pere"),
        ("", "USER"),
        ("llistar", "laura  offline"),
        ("/list\r", "pere   offline"),
        ("baixa laura", "deregistered laura"),
        ("/deregister pere", "deregistered pere"),
        ("/help", "register <user>           (alta)     "),
        ("help", "list [--json] [pattern]   (llistar)  "),
        ("help", "log reopen                           "),
    ] {
        node.type_line(if line.is_empty() { "\n  \nlist" } else { line });
        node.expect_line(answer);
    }
    assert_eq!(node.roster(), "bb.com\n");
    node.type_line("/exit");
    assert_eq!(node.wait_exit(), 0);
}

#[test]
fn what_cannot_be_done_is_told_with_its_reason() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &[]);
    for (line, answer) in [
        ("register laura", "! cannot register laura: laura belongs to the domain already"),
        ("deregister pere", "! cannot deregister pere: pere does not belong to the domain"),
        ("alta pere@bb.com", "! pere@bb.com: give the name of the user alone, without '@' and domain"),
        ("register pe:re", "! pe:re: the user name has ':' at byte 3, which may not stand there"),
        ("register", "! <USER> is missing; type help"),
        ("baixa pere joan", "! 'joan' is one word too many"),
        ("exit now", "! 'now' is one word too many"),
        ("drop\u{1b}[2J laura", "! there is no command 'drop\\u{1b}[2J'; type help"),
    ] {
        node.type_line(line);
        assert_eq!(node.wait_for(|_| true), answer, "{line}");
    }
    let long = "u".repeat(34);
    node.type_line(&format!("register {long}"));
    node.expect_line(&format!("! cannot register {long}: with the domain of this node, "));
    node.type_line(&"x".repeat(100_000));
    node.expect_line("! there is no command 'xxxx");
    node.type_line("list");
    assert!(
        node.wait_for(|_| true).starts_with("USER"),
        "of a line that is too long, the rest is no command"
    );
    assert_eq!(node.roster(), "bb.com\nlaura\n");
}

#[test]
fn a_change_that_cannot_be_saved_is_not_made() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &[]);
    write_roster(node.folder(), "bb.com\nlaura\njoan\n");
    node.type_line("register pere");
    let answer =
        node.expect_line("! cannot register pere: nothing has changed: the roster config/nodelumi.cfg ");
    assert!(answer.contains("was changed by somebody else"), "{answer}");
    assert_eq!(User::of(&node).ask("PRpere@bb.com"), "RR1");
    assert_eq!(node.roster(), "bb.com\nlaura\njoan\n");
}

#[test]
fn the_rest_of_the_roster_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    write_roster(folder.path(), "\u{feff}bb.com\r\n\r\n laura \r\npere");
    let mut node = NodeProgram::start_in(folder.path(), &["--console", "--bindings", "off"]);
    for (line, answer) in [("register joan", "registered joan"), ("deregister pere", "deregistered pere")] {
        node.type_line(line);
        node.expect_line(answer);
    }
    assert_eq!(node.roster(), "\u{feff}bb.com\r\n\r\n laura \r\njoan\r\n");
    let names: Vec<_> =
        fs::read_dir(folder.path().join("config")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["nodelumi.cfg"], "nothing else is left beside it");
}

#[test]
fn the_end_of_input_ends_the_console_and_not_the_node() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &[]);
    node.type_line("register pere");
    node.close_stdin();
    node.expect_line("registered pere");
    let user = User::of(&node);
    assert_eq!(user.ask("PRpere@bb.com"), "RR0");
    assert_eq!(user.ask("PRlaura"), "RR0", "the bare form too");
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
}

#[test]
fn without_a_console_nothing_is_read() {
    let folder = folder_with("bb.com\nlaura\n");
    let mut node = NodeProgram::start_in(folder.path(), &[]);
    node.type_line("exit");
    node.close_stdin();
    assert_eq!(User::of(&node).ask("PRlaura@bb.com"), "RR0");
    node.signal(Signal::Interrupt);
    assert_eq!(node.wait_exit(), 0);
    assert_eq!(node.stdout().len(), 1);
    assert_eq!(node.stderr(), [""; 0]);
}

/// A pipe as Node.js, ssh and some shells leave it.
#[test]
fn a_stdin_that_does_not_wait_is_waited_for() {
    let folder = folder_with("bb.com\nlaura\n");
    let (reader, mut stdin) = pipe().unwrap();
    ioctl_fionbio(&reader, true).unwrap();
    let mut command = Command::new(executable(NODE));
    at_home(&mut command, folder.path()).args(["--listen", "127.0.0.1:0", "--console"]);
    let mut node = NodeProgram::ready(Program::start_with_stdin(&mut command, reader), folder.path());
    for user in ["pere", "joan"] {
        stdin.write_all(b"regis").unwrap();
        stdin.write_all(format!("ter {user}\n").as_bytes()).unwrap();
        assert_eq!(node.expect_line("registered"), format!("registered {user}"));
    }
    stdin.write_all(b"exit\n").unwrap();
    assert_eq!((node.wait_exit(), node.stderr()), (0, vec![]));
}
