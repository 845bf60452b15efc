//! No more files and sockets can be opened.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use integration_tests::programs::{
    AGENT, AgentProgram, DEADLINE, NODE, NodeProgram, Program, at_home, executable, write_roster,
};
use integration_tests::raw_user::RawUser;

#[test]
fn a_node_that_can_open_too_few_files_says_so_or_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    write_roster(folder.path(), "bb.com\nlaura\n");
    starts_or_says_why(NODE, folder.path(), &["--listen", "127.0.0.1:0"], "lumi-node: domain bb.com, ");
}

#[test]
fn an_agent_that_can_open_too_few_files_says_so_or_starts() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["--node", &node.address().to_string(), "laura@bb.com"];
    starts_or_says_why(AGENT, folder.path(), &arguments, "* registered laura@bb.com");
}

/// Starts the program with ever more files that it may open, until it is ready.
fn starts_or_says_why(package: &'static str, folder: &Path, arguments: &[&str], ready: &str) {
    for files in FEWEST..MANY {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {files} && exec \"$0\" \"$@\"")).arg(executable(package));
        let mut program = Program::start_command(at_home(&mut shell, folder).args(arguments));
        if program.try_expect_line(ready).is_some() {
            assert!(files > FEWEST, "this shows nothing");
            return;
        }
        let told = [program.stdout(), program.stderr()].concat().join("\n");
        let code = program.wait_exit();
        // 101 where the runtime gives no error and panics.
        assert!([1, 101].contains(&code), "with {files} files it ended with {code}: {told}");
        assert!(told.to_lowercase().contains("too many open files"), "with {files} files: {told}");
    }
    panic!("{MANY} files are not enough");
}

#[test]
fn a_node_that_can_open_no_file_changes_nothing_and_recovers() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &["--name-server", "127.0.0.1:9"]);
    let laura = RawUser::new(node.address());
    node.limit_files(NONE);
    node.type_line("register pere");
    let told = node.expect_line("! cannot register pere: nothing has changed: ");
    assert!(told.ends_with("too many open files"), "{told}");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(laura.ask("PLlaura@bb.com:joya@cc.com"), "RL2laura@bb.com:joya@cc.com");
    assert_eq!(node.roster(), "bb.com\nlaura\n");
    node.limit_files(MANY);
    node.type_line("register pere");
    node.expect_line("registered pere");
    assert_eq!(laura.ask("PRpere@bb.com"), "RR0");
}

#[test]
fn an_agent_that_can_take_no_call_waits_and_takes_it_later() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &[]);
    let at = pere.expect_line("* listening for conversations on ");
    let at: SocketAddr = at["* listening for conversations on ".len()..].parse().expect("an address");
    pere.limit_files(NONE);
    let mut caller = TcpStream::connect(at).expect("the kernel takes it");
    caller.write_all(b"N05laura").expect("written");
    pere.wait_for_diagnostic("Too many open files");
    // Meanwhile it says where it is.
    let laura = RawUser::new(node.address());
    assert_eq!(laura.ask("PLlaura@bb.com:pere@bb.com"), format!("RL0laura@bb.com:pere@bb.com:{at}:T"));
    pere.limit_files(MANY);
    let mut greeting = [0; 7];
    caller.set_read_timeout(Some(DEADLINE)).expect("it is not 0");
    caller.read_exact(&mut greeting).expect("a nickname");
    assert_eq!(&greeting, b"N04pere");
    pere.expect_line("* in conversation with laura");
}

/// The three streams, and one to load the program with.
const FEWEST: usize = 4;

/// The three streams: whatever is open stays so, and nothing more can be opened.
const NONE: usize = 3;

const MANY: usize = 100;
