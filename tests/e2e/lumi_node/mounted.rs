//! A roster that is mounted by itself, as a container has it.

use std::fs;
use std::path::Path;
use std::process::Command;

use integration_tests::programs::{NODE, NodeProgram, Program, at_home, executable};
use integration_tests::skipped;

use super::folder_with;

#[test]
fn a_roster_that_cannot_be_replaced_is_refused_with_the_remedy_and_found_by_the_check() {
    let folder = folder_with("bb.com\nlaura\n");
    let mut tried = in_namespace(folder.path(), &["true"]);
    match tried.output() {
        Ok(output) if output.status.success() => {}
        failed => {
            skipped(&format!("nothing can be mounted here: {failed:?}"));
            return;
        }
    }
    let node = executable(NODE);
    let node = node.to_str().unwrap();
    let start = |arguments: &[&str]| {
        let words = [&[node], arguments].concat();
        Program::start_command(&mut in_namespace(folder.path(), &words))
    };
    let program = start(&["--listen", "127.0.0.1:0", "--console", "--bindings", "off"]);
    let mut running = NodeProgram::ready(program, folder.path());
    running.type_line("register pere");
    assert_eq!(
        running.wait_for(|line| line.starts_with('!')),
        "! cannot register pere: nothing has changed: cannot write the roster config/nodelumi.cfg, which is as it \
         was: it is mounted by itself, so it cannot be replaced; mount its folder instead"
    );
    assert_eq!(running.roster(), "bb.com\nlaura\n");
    let names = fs::read_dir(folder.path().join("config")).unwrap().count();
    assert_eq!(names, 1, "nothing is left beside it");

    let mut check = start(&["check"]);
    assert_eq!(check.wait_exit(), 1);
    let wrong = ": config/nodelumi.cfg is mounted by itself, so no change of it can be saved; mount the folder \
                 instead of the file";
    let lines = check.stdout();
    assert!(
        lines.iter().any(|line| line.starts_with("FAIL roster's folder ") && line.ends_with(wrong)),
        "{lines:?}"
    );
}

/// Runs `words` in `folder`, with the roster as a mount point there.
fn in_namespace(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    at_home(command.args(["--map-root-user", "--mount", "sh", "-c", MOUNT, "sh"]), folder).args(words);
    command
}

const MOUNT: &str = "mount --bind config/nodelumi.cfg config/nodelumi.cfg && exec \"$@\"";
