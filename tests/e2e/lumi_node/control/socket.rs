//! The control socket as a file: its place, its owner, and what a killed node leaves.

use super::*;

#[test]
fn the_socket_is_its_owners_alone_and_goes_with_the_node() {
    let mut node = start("bb.com", &[], &[]);
    let path = node.folder().join(SOCKET);
    let found = fs::metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
    assert!(!path.exists());
}

#[test]
fn other_users_are_refused_even_if_the_mode_lets_them_in() {
    let node = start("bb.com", &[], &[]);
    let as_nobody = |mode| {
        fs::set_permissions(node.folder(), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(node.folder().join(SOCKET), Permissions::from_mode(mode)).unwrap();
        let script = "exec setpriv --reuid 65534 --clear-groups \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(executable(NODE)).args(["ctl", "--socket", SOCKET, "list"]);
        command.current_dir(node.folder()).output().unwrap()
    };
    let output = as_nobody(0o600);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("setpriv") || said.contains("not found") {
        skipped(&format!("no other user can be taken on here: {said}"));
        return;
    }
    assert!(said.contains("permission denied; ask as the user whose node it is, or as root"), "{said}");
    let output = as_nobody(0o666);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "lumi-node: user 65534 is neither the owner of this node nor root\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_socket_that_a_killed_node_left_is_taken_and_nothing_else_is() {
    let folder = folder_with("bb.com\n");
    let path = folder.path().join(SOCKET);
    let mut killed = NodeProgram::start_in(folder.path(), &["--control-socket", SOCKET]);
    killed.kill();
    assert!(path.exists());
    let node = NodeProgram::start_in(folder.path(), &["--control-socket", SOCKET]);
    assert_eq!(done(&node, &["list"]).lines().count(), 1);

    let another = ["--listen", "127.0.0.1:0", "--bindings", "off", "--control-socket", SOCKET];
    let there = format!(
        "cannot listen on the control socket {SOCKET}: another node listens there; name another place with --control-socket"
    );
    assert_eq!(failure(folder.path(), &another), (1, there));
    assert_eq!(done(&node, &["list"]).lines().count(), 1, "it is still that of the first one");

    drop(node);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    let (code, reason) = failure(folder.path(), &another);
    assert!(
        code == 1 && reason.contains("something else is there, which is left as it is"),
        "{code} {reason}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let nowhere = ["--listen", "127.0.0.1:0", "--control-socket", "none/ctl.sock"];
    assert_eq!(
        failure(folder.path(), &nowhere),
        (1, "cannot listen on the control socket none/ctl.sock: no such file or directory".into())
    );
}

#[test]
fn a_node_that_has_nowhere_to_make_a_socket_warns_and_check_and_ctl_say_what_to_do() {
    let folder = folder_with("localhost\nlaura\n");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(executable(NODE));
        let output = at_home(&mut command, folder.path())
            .args(arguments)
            .env_remove("XDG_RUNTIME_DIR")
            .output()
            .unwrap();
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    let start = |arguments: &[&str]| {
        let mut command = Command::new(executable(NODE));
        at_home(&mut command, folder.path()).args(["--listen", "127.0.0.1:0"]).args(arguments);
        NodeProgram::ready(Program::start_command(command.env_remove("XDG_RUNTIME_DIR")), folder.path())
    };
    let warned = start(&[]).wait_for_diagnostic("WARN");
    let expected = "no control socket, so `lumi-node ctl` and `lumi-node watch` do not reach this node: neither \
                    RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set; --control-socket PATH makes one, and \
                    --control-socket off does without";
    assert!(warned.ends_with(expected), "{warned}");
    let mut without = start(&["--control-socket", "off"]);
    without.signal(Signal::Terminate);
    assert_eq!((without.wait_exit(), without.stderr()), (0, vec![]));

    // A host with the packaged service has another one to ask.
    if !Path::new("/run/lumi-node/ctl.sock").exists() {
        let line = "skip control socket: none, as neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set here; \
                    --control-socket PATH makes one\n";
        let [checked, _] = run(&["check"]);
        assert!(checked.ends_with(line), "{checked}");
        let [_, asked] = run(&["ctl", "status"]);
        assert_eq!(
            asked,
            "lumi-node: no node answers at /run/lumi-node/ctl.sock: no such file or directory; is it running? A node \
             started without XDG_RUNTIME_DIR has no socket: give it --control-socket PATH, and --socket PATH here\n"
        );
    }
}

/// The default control socket is only a convenience.
#[test]
fn of_two_nodes_of_one_user_the_second_warns_and_serves() {
    let runtime = tempfile::tempdir().unwrap();
    let start = |folder: &Path| {
        let mut command = Command::new(executable(NODE));
        at_home(&mut command, folder)
            .args(["--listen", "127.0.0.1:0"])
            .env("XDG_RUNTIME_DIR", runtime.path());
        NodeProgram::ready(Program::start_command(&mut command), folder)
    };
    let (of_bb, of_cc) = (folder_with("bb.com\nlaura\n"), folder_with("cc.com\njoya\n"));
    let (first, second) = (start(of_bb.path()), start(of_cc.path()));
    second.wait_for_diagnostic("another node listens there");
    assert_eq!(User::of(&second).ask("PRjoya"), "RR0");
    let ctl = |folder: &Path, arguments: &[&str]| {
        let mut command = Command::new(executable(NODE));
        let output = at_home(&mut command, folder)
            .args(arguments)
            .env("XDG_RUNTIME_DIR", runtime.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(ctl(of_cc.path(), &["ctl", "status"]).starts_with("domain     bb.com\n"));
    // The settings name another socket.
    write_settings(of_bb.path(), "control-socket = 'other.sock'\n");
    assert_eq!(ctl(of_bb.path(), &["ctl", "status"]), "");
    drop(first);
}

#[test]
fn a_socket_that_a_killed_node_left_does_not_hide_the_one_of_another_place() {
    let (user, service) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = start("bb.com", &["laura"], &[]);
    std::os::unix::fs::symlink(node.folder().join(SOCKET), user.path().join("lumi-node.sock")).unwrap();
    drop(UnixListener::bind(service.path().join("ctl.sock")).unwrap());
    let mut command = Command::new(executable(NODE));
    let command = at_home(&mut command, node.folder()).args(["ctl", "list", "--json"]);
    let command = command.env("RUNTIME_DIRECTORY", service.path()).env("XDG_RUNTIME_DIR", user.path());
    let output = command.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("laura"), "{output:?}");
}
