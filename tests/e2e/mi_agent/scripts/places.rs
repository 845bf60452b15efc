//! cron, a service of systemd, a container, a connection that breaks.

use std::os::fd::OwnedFd;

use integration_tests::places::{Contained, Service, of_cron};
use pty_process::blocking;

use super::*;

/// cron sends a mail if a job prints something.
#[test]
fn a_job_of_cron_prints_nothing_unless_it_fails() {
    let (mut node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let home = tempfile::tempdir().expect("a folder");
    let job = |arguments: &str| {
        let mut shell = process::Command::new("/bin/sh");
        let script = format!("exec {} {arguments} 2>&1", executable(AGENT).display());
        Program::start_with_stdin(of_cron(&mut shell, home.path()).args(["-c", &script]), Stdio::null())
    };
    let mut laura = job(&format!("send --from laura@bb.com --node {at} pere@bb.com 'còpia feta'"));
    assert_eq!((laura.wait_exit(), laura.stdout()), (0, vec![]));
    assert_eq!(pere.expect_line("<"), "<laura> còpia feta");
    pere.expect_line("* conversation with laura ended");
    let mut laura = job(&format!("send --from laura@bb.com --node {at} anna@bb.com hola"));
    let told = ["! cannot reach anna@bb.com: user is offline"];
    assert_eq!((laura.wait_exit(), &laura.stdout()[..]), (4, &told.map(str::to_owned)[..]));
    // The output of another command, of which there is none.
    let mut laura = job(&format!("send --from laura@bb.com --node {at} pere@bb.com < /dev/null"));
    assert_eq!((laura.wait_exit(), laura.stdout()), (0, vec![]));

    // cron starts it like this for @reboot.
    let mut laura = job(&format!("listen --from laura@bb.com --node {at}"));
    laura.expect_line("* listening");
    pere.type_line("/call laura@bb.com");
    laura.expect_line("* in conversation with pere");
    laura.signal(Signal::Terminate);
    pere.expect_line("* conversation with laura ended");
    eventually("laura is gone", || !node.is_online("laura"));
    // A chat has neither a terminal nor input, and leaves.
    let mut laura = job(&format!("--node {at} --log off laura@bb.com"));
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(laura.stdout().last().expect("a line"), "* deregistered laura@bb.com");
    assert_eq!(names_in(home.path()), [".local"], "the locks are in the data folder");
}

/// Nothing is left to write to, and there is no home.
#[test]
fn a_service_with_a_user_of_its_own_writes_nowhere() {
    let Some(service) = Service::new() else { return };
    let (mut node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let mut laura = service.start(AGENT, &["listen", "--json", "--from", "laura@bb.com", "--node", &at], &[]);
    laura.wait_for(|line| line.contains(r#""event":"registered""#));
    pere.type_line("/call laura@bb.com");
    laura.wait_for(|line| line.contains(r#""event":"begun""#));
    let mut anna =
        service.start(AGENT, &["send", "--from", "anna@bb.com", "--node", &at, "laura@bb.com", "hola"], &[]);
    assert_eq!((anna.wait_exit(), anna.stdout()), (0, vec![]));
    assert_has_no_key(&anna);
    laura.wait_for(|line| line.contains(r#""text":"hola""#));
    laura.signal(Signal::Terminate);
    laura.wait_for(|line| line.contains(r#""event":"deregistered""#));
    assert_eq!(laura.wait_exit(), 0);
    assert_has_no_key(&laura);
    assert!(!node.is_online("laura"));
    assert_eq!(names_in(&service.state()), [""; 0]);
    // Its state is a place for data, and then the address is locked there.
    let data = service.state();
    let listen = || {
        let arguments = ["listen", "--from", "laura@bb.com", "--node", &at];
        service.start(AGENT, &arguments, &[("XDG_DATA_HOME", data.as_os_str())])
    };
    let mut laura = listen();
    laura.expect_line("* listening");
    let mut second = listen();
    assert_eq!(second.wait_exit(), 1);
    let told = second.stderr().concat();
    assert!(told.starts_with("mi-agent: another agent of laura@bb.com runs here (pid "), "{told}");
    laura.signal(Signal::Terminate);
    assert_eq!(laura.wait_exit(), 0);
}

/// The kernel gives the first process only the signals that it has handlers for.
#[test]
fn the_first_process_of_a_container_ends_when_it_is_told_to() {
    let (mut node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    for signal in [Signal::Terminate, Signal::Interrupt] {
        for arguments in [
            &["listen", "--from", "laura@bb.com", "--node", &at][..],
            &["--node", &at, "--log", "off", "laura@bb.com"],
            &["send", "--from", "laura@bb.com", "--node", &at, "pere@bb.com"],
        ] {
            let laura = Contained::start(&executable(AGENT), folder.path(), arguments, Stdio::piped());
            let Some(mut laura) = laura else { return };
            if arguments[0] == "send" {
                laura.0.type_line("hola");
                pere.expect_line("<laura> hola");
            } else {
                laura.0.expect_line("* listening");
            }
            laura.signal(signal);
            let code = laura.0.wait_exit();
            assert_eq!(code, i32::from(arguments[0] == "send"), "{arguments:?}");
            assert!(!node.is_online("laura"), "{arguments:?}");
        }
    }
    assert_eq!(names_in(folder.path()), [""; 0]);
}

/// The connection of ssh breaks: sshd closes the terminal, and the kernel tells the program or its shell.
#[test]
fn a_terminal_that_is_gone_ends_the_program_in_order() {
    let (mut node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let agent = executable(AGENT);
    let agent = agent.to_str().expect("UTF-8");
    // She has the same key each time.
    let folder = tempfile::tempdir().expect("a folder");
    for shell in [&[][..], &["sh", "-c", "\"$@\"; true", "sh"]] {
        for arguments in [
            &["--node", &at, "--log", "off", "laura@bb.com"][..],
            &["--node", &at, "--log", "off", "--plain", "laura@bb.com"],
            &["listen", "--from", "laura@bb.com", "--node", &at],
            &["listen", "--json", "--from", "laura@bb.com", "--node", &at],
        ] {
            let words = [shell, &[agent], arguments].concat();
            let (line, program_side) = blocking::open().expect("there are terminals");
            line.resize(pty_process::Size::new(24, 90)).expect("it is a terminal");
            let mut first = process::Command::new(words[0]);
            at_home(&mut first, folder.path()).env("TERM", "xterm-256color").args(&words[1..]);
            let mut laura = blocking::Command::from(first).spawn(program_side).expect("it starts");
            eventually("laura is registered", || node.is_online("laura"));
            pere.type_line("/call laura@bb.com");
            pere.expect_line("* in conversation with laura");
            drop(line);
            pere.expect_line("* conversation with laura ended");
            eventually("it is gone", || laura.try_wait().expect("it is a child").is_some());
            eventually("laura is deregistered", || !node.is_online("laura"));
            // A lock would be held by a program that goes on.
            let mut again = command(folder.path(), &["listen", "--from", "laura@bb.com", "--node", &at]);
            eventually("nothing of it is left", || {
                let mut again = Program::start_with_stdin(&mut again, Stdio::null());
                let is_free = again.try_expect_line("* listening").is_some();
                if is_free {
                    again.signal(Signal::Terminate);
                    assert_eq!(again.wait_exit(), 0);
                }
                is_free
            });
        }
    }
}

/// The typed lines are sent, and the end of the terminal is the end of input.
#[test]
fn a_send_at_a_terminal_that_is_gone_ends_in_order() {
    let (mut node, mut pere) = node_and_pere();
    let at = node.address().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let (line, program_side) = blocking::open().expect("there are terminals");
    let mut send = process::Command::new(executable(AGENT));
    at_home(&mut send, folder.path()).args(["send", "--from", "laura@bb.com", "--node", &at, "pere@bb.com"]);
    let mut send = blocking::Command::from(send).spawn(program_side).expect("it starts");
    let mut keyboard = File::from(OwnedFd::from(line));
    keyboard.write_all(b"hola\n").expect("written");
    assert_eq!(pere.expect_line("<"), "<laura> hola");
    drop(keyboard);
    pere.expect_line("* conversation with laura ended");
    eventually("it is gone", || send.try_wait().expect("it is a child").is_some());
    assert!(!node.is_online("laura"));
}

/// Without a home there is no place for a key, which is said once, and nothing else is.
pub(super) fn assert_has_no_key(agent: &Program) {
    let [told] = &agent.stderr()[..] else { panic!("one line: {:?}", agent.stderr()) };
    let plain = "; conversations are plain, and users whose key is known are not called";
    assert!(told.contains("there is no key, because ") && told.ends_with(plain), "{told}");
}
