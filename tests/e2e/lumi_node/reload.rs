//! A roster that is changed by hand while its node serves.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use integration_tests::programs::{
    NODE, NodeProgram, Program, Signal, at_home, eventually, executable, write_roster,
};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{User, folder_with};

#[test]
fn a_change_by_hand_is_taken_over_and_nobody_else_notices() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let (laura, pere) = (User::of(&node), User::of(&node));
    assert_eq!((&*laura.ask("PRlaura"), &*pere.ask("PRpere")), ("RR0", "RR0"));
    write_roster(node.folder(), "\u{feff}bb.com\r\njoan\r\npere");
    assert_eq!(laura.ask("PRjoan"), "RR1", "not before it is told to");

    node.type_line("reload");
    assert_eq!(node.expect_line("reload"), "reloaded, 2 users: new joan; gone laura, who was online");
    // Pere is where he was, laura is nowhere, and joan can come.
    assert_eq!(laura.ask("PLjoya@cc.com:laura@bb.com"), "RL2joya@cc.com:laura@bb.com");
    laura.say(b"PLjoya@cc.com:pere@bb.com");
    assert_eq!(pere.hear(), "PLjoya@cc.com:pere@bb.com");
    assert_eq!(laura.ask("PDlaura"), "RD1");
    assert_eq!(laura.ask("PRjoan"), "RR0");
    assert_eq!(node.roster(), "\u{feff}bb.com\r\njoan\r\npere", "nothing is written");
}

#[test]
fn what_stands_in_the_way_of_a_change_can_be_taken_over() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &[]);
    write_roster(node.folder(), "bb.com\nlaura\njoan\n");
    node.type_line("register pere");
    let told = node.expect_line("! cannot register pere: nothing has changed: ");
    assert!(told.ends_with("; 'reload' takes that change over"), "{told}");
    for (line, answer) in [
        ("/reload", "reloaded, 2 users: new joan"),
        ("register pere", "registered pere"),
        ("register joan", "! cannot register joan: joan belongs to the domain already"),
        ("deregister laura", "deregistered laura"),
        ("reload", "reloaded, 2 users"),
        ("reload now", "! 'now' is one word too many"),
    ] {
        node.type_line(line);
        assert_eq!(node.wait_for(|_| true), answer, "{line}");
    }
    assert_eq!(node.roster(), "bb.com\njoan\npere\n");
}

#[test]
fn a_roster_that_cannot_be_taken_leaves_the_old_one() {
    let mut node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura"), "RR0");
    for (roster, answer) in [
        (
            "bb.com\nlaura\n\nlaura\n",
            "! cannot reload: nothing has changed: the roster config/nodelumi.cfg is wrong: line 4: the user is listed twice",
        ),
        (
            "",
            "! cannot reload: nothing has changed: the roster config/nodelumi.cfg is wrong: line 1: the domain is missing, it is the first line",
        ),
        (
            "cc.com\nlaura\n",
            "! cannot reload: nothing has changed: the roster names the domain cc.com, and this is the node of bb.com; correct its first line, or restart the node if it is to serve cc.com",
        ),
    ] {
        write_roster(node.folder(), roster);
        node.type_line("reload");
        assert_eq!(node.wait_for(|_| true), answer);
        // The next change is not made in the roster that was refused.
        node.type_line("deregister pere");
        let told = node.expect_line("! cannot deregister pere: nothing has changed: ");
        assert!(told.contains("was changed by somebody else"), "{told}");
        assert_eq!(node.roster(), roster);
    }
    fs::remove_file(node.folder().join("config/nodelumi.cfg")).unwrap();
    node.type_line("reload");
    let answer = "! cannot reload: nothing has changed: cannot read the roster config/nodelumi.cfg: no such file or directory";
    assert_eq!(node.wait_for(|_| true), answer);

    laura.say(b"PLjoya@cc.com:laura@bb.com");
    assert_eq!(laura.hear(), "PLjoya@cc.com:laura@bb.com", "she is where she was");
    write_roster(node.folder(), "bb.com\nlaura\npere\n");
    node.type_line("deregister pere");
    assert_eq!(node.wait_for(|_| true), "deregistered pere", "it is what the node knows");
}

#[test]
fn a_hang_up_reloads_and_its_result_is_told() {
    let folder = folder_with("bb.com\nlaura\n");
    let node = NodeProgram::start_in(folder.path(), &["-v"]);
    write_roster(folder.path(), "bb.com\nlaura\n@\n");
    node.signal(Signal::HangUp);
    let told = node.wait_for_diagnostic("cannot reload");
    assert!(
        told.ends_with(
            "cannot reload: nothing has changed: the roster config/nodelumi.cfg is wrong: line 3: a user is listed by name alone, without '@' and domain"
        ),
        "{told}"
    );
    let pere = User::of(&node);
    assert_eq!(pere.ask("PRpere"), "RR1");
    write_roster(folder.path(), "bb.com\nlaura\npere\n");
    node.signal(Signal::HangUp);
    let told = node.wait_for_diagnostic("reloaded");
    assert!(told.ends_with("reloaded, 2 users: new pere"), "{told}");
    assert_eq!(pere.ask("PRpere"), "RR0");
}

#[test]
fn a_reload_that_is_under_way_does_not_put_off_the_end() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &[]);
    for _ in 0..100 {
        node.type_line("reload");
        node.signal(Signal::HangUp);
    }
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
    assert_eq!(node.stderr(), [""; 0]);
}

/// A window that is closed takes its terminal with it.
#[test]
fn a_hang_up_of_its_terminal_ends_it() {
    let folder = folder_with("bb.com\nlaura\n");
    let window = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&window).unwrap();
    unlockpt(&window).unwrap();
    let name = ptsname(&window, Vec::new()).unwrap().into_string().unwrap();
    let no_controlling_terminal = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
    let terminal =
        OpenOptions::new().read(true).write(true).custom_flags(no_controlling_terminal).open(name).unwrap();
    let mut command = Command::new(executable(NODE));
    at_home(&mut command, folder.path()).args(["-v", "--listen", "127.0.0.1:0"]);
    let mut node = NodeProgram::ready(Program::start_with_stdin(&mut command, terminal), folder.path());
    node.signal(Signal::HangUp);
    let told = node.wait_for_diagnostic("reloaded, ");
    assert!(told.ends_with("reloaded, 1 user"), "{told}");
    drop((window, command));
    // Another test may start a program just then, which has the window until it runs.
    eventually("a node without its terminal ends", || {
        node.signal(Signal::HangUp);
        node.has_ended()
    });
    assert_eq!(node.wait_exit(), 0);
}
