//! An agent that stays up, and the programs that are attached to it.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::Stdio;

use integration_tests::programs::DATA;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::send::command;
use super::*;

/// A user with an agent that is up, and the node of bb.com, which also has pere.
struct Home {
    node: NodeProgram,
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let node = NodeProgram::start("bb.com", &["laura", "pere", "../x"], &[]);
        Self { node, folder: tempfile::tempdir().expect("a folder") }
    }

    fn up(&self) -> Program {
        let mut up = self.start(&["up", "laura@bb.com", "--node", &self.node.address().to_string()]);
        up.expect_line("mi-agent: laura@bb.com is up");
        up
    }

    fn start(&self, arguments: &[&str]) -> Program {
        Program::start_with_stdin(&mut command(self.folder.path(), arguments), Stdio::piped())
    }

    fn front(&self) -> Front {
        Front(self.start(&["listen", "--from", "laura@bb.com", "--json"]))
    }

    /// Starts pere's agent, which calls laura.
    fn pere(&self) -> AgentProgram {
        let mut pere = AgentProgram::start("pere@bb.com", self.node.address(), &[]);
        pere.expect_line("* listening");
        pere.type_line("/call laura@bb.com");
        pere.expect_line("* in conversation with laura");
        pere
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(DATA).join("mi-agent/laura@bb.com/up.sock")
    }

    fn down(&self, mut up: Program) {
        let mut down = self.start(&["down", "laura@bb.com"]);
        assert_eq!(down.wait_exit(), 0, "{:?}", down.stderr());
        assert_eq!(down.stdout(), ["mi-agent: laura@bb.com is down"]);
        assert_eq!(up.wait_exit(), 0, "{:?}", up.stderr());
        assert!(!self.socket().exists());
    }
}

/// A program that is attached.
struct Front(Program);

impl Front {
    fn give(&mut self, command: &Value) {
        self.0.type_line(&command.to_string());
    }

    /// Waits for the next event of this name, and skips the events before it.
    fn expect(&mut self, event: &str) -> Value {
        let parsed = |line: &str| serde_json::from_str::<Value>(line).expect("an object");
        parsed(&self.0.wait_for(|line| parsed(line)["event"] == event))
    }

    fn quit(mut self) {
        self.give(&json!({"quit": true, "ref": "bye"}));
        assert_eq!(self.expect("detached")["ref"], "bye");
        assert_eq!(self.0.wait_exit(), 0, "{:?}", self.0.stderr());
    }
}

#[test]
fn fronts_come_and_go_and_the_conversation_goes_on() {
    let home = Home::new();
    let up = home.up();
    let mut pere = home.pere();
    pere.type_line("hola");
    // They come after the line, or see it as it comes.
    let mut fronts: Vec<_> = (0..8).map(|_| home.front()).collect();
    for front in &mut fronts {
        assert_eq!(front.expect("attached")["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(front.expect("registered")["address"], "laura@bb.com");
        let begun = front.expect("begun");
        assert!(begun["since"].is_string() && begun["address"] == "pere@bb.com", "{begun}");
        assert_eq!(front.expect("line")["text"], "hola");
    }
    fronts[0].give(&json!({"say": "bon dia", "to": 1, "ref": 7}));
    let said = fronts[0].expect("said");
    assert!(said["ref"] == 7 && said["text"].is_null(), "{said}");
    for front in &mut fronts[1..] {
        let said = front.expect("said");
        assert!(said["ref"].is_null() && said["text"] == "bon dia" && said["conversation"] == 1, "{said}");
    }
    pere.expect_line("<laura> bon dia");
    for front in fronts.drain(1..) {
        front.quit();
    }
    fronts[0].0.signal(Signal::Terminate);
    fronts[0].expect("detached");
    assert_eq!(fronts[0].0.wait_exit(), 0);

    let mut late = home.front();
    late.expect("begun");
    let line = late.expect("line");
    assert!(line["text"] == "hola" && line["earlier"] == true, "{line}");
    let said = late.expect("said");
    assert!(said["text"] == "bon dia" && said["earlier"] == true, "{said}");
    pere.type_line("encara?");
    assert_eq!(late.expect("line")["text"], "encara?");
    home.down(up);
    late.expect("deregistered");
    assert_eq!(late.0.wait_exit(), 0);
    pere.expect_line("* conversation with laura ended by laura");

    let mut history = home.start(&["history", "pere@bb.com", "--from", "laura@bb.com"]);
    assert_eq!(history.wait_exit(), 0);
    let history = history.stdout().join("\n");
    for text in ["hola", "bon dia", "encara?"] {
        assert_eq!(history.matches(text).count(), 1, "{history}");
    }
}

#[test]
fn a_front_that_is_killed_loses_no_line() {
    let home = Home::new();
    let _up = home.up();
    let mut pere = home.pere();
    for round in 0..100 {
        let mut front = home.front();
        front.expect("attached");
        pere.type_line(&format!("line {round}"));
        if round % 2 == 0 {
            while front.expect("line")["text"] != format!("line {round}") {}
        }
        front.0.kill();
    }
    let mut front = home.front();
    for round in 0..100 {
        assert_eq!(front.expect("line")["text"], format!("line {round}"));
    }
}

#[test]
fn a_front_that_reads_nothing_is_in_nobodys_way() {
    let home = Home::new();
    let _up = home.up();
    let mut pere = home.pere();
    let mut front = home.front();
    front.expect("begun");
    let mut silent = UnixStream::connect(home.socket()).expect("the agent is up");
    silent.set_write_timeout(Some(DEADLINE)).expect("a limit");
    // Each line is answered, until the front is too far behind.
    let lines = "no command\n".repeat(1_000);
    let gone = (0..1_000).find_map(|_| silent.write_all(lines.as_bytes()).err()).expect("it is disconnected");
    assert!(matches!(gone.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{gone}");
    front.give(&json!({"say": "hola", "to": 1}));
    pere.expect_line("<laura> hola");
    pere.type_line("bon dia");
    assert_eq!(front.expect("line")["text"], "bon dia");
}

#[test]
fn there_is_a_limit_of_fronts_and_of_a_line() {
    let home = Home::new();
    let up = home.up();
    let attach = || {
        let stream = UnixStream::connect(home.socket()).expect("the agent is up");
        stream.set_read_timeout(Some(DEADLINE)).expect("a limit");
        stream
    };
    let mut fronts: Vec<_> = (0..32).map(|_| attach()).collect();
    let mut told = String::new();
    attach().read_to_string(&mut told).expect("a line");
    assert!(told.contains("\"not-attached\"") && told.contains("32 programs are attached already"), "{told}");
    let mut first = fronts.pop().expect("there are 32");
    first.write_all(&[vec![b'x'; 70_000], b"\n{\"quit\":true}\n".to_vec()].concat()).expect("it reads");
    told.clear();
    first.read_to_string(&mut told).expect("lines");
    assert!(told.contains("a line has 65536 bytes at most") && told.contains("\"detached\""), "{told}");
    home.down(up);
}

/// As root, the test takes on another user.
#[test]
fn other_users_are_refused_even_if_the_mode_lets_them_in() {
    let home = Home::new();
    let _up = home.up();
    let socket = home.socket();
    assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);
    let folder = socket.parent().expect("it has one");
    for part in folder.ancestors().take_while(|part| part.starts_with(home.folder.path())) {
        fs::set_permissions(part, Permissions::from_mode(0o755)).expect("our own");
    }
    fs::set_permissions(folder.join("lock"), Permissions::from_mode(0o644)).expect("our own");
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("our own");
    let agent = command(home.folder.path(), &[]);
    let mut other = process::Command::new("setpriv");
    other.args(["--reuid=65534", "--clear-groups"]).arg(agent.get_program());
    other.args(["listen", "--from", "laura@bb.com", "--json"]);
    at_home(&mut other, home.folder.path());
    let is_there =
        process::Command::new("setpriv").args(["--reuid=65534", "--clear-groups", "true"]).output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        skipped("no other user can be taken on here");
        return;
    }
    let mut other = Program::start_command(&mut other);
    let told = other.wait_for(|_| true);
    assert!(told.contains("this agent is another user's"), "{told}");
    assert_eq!(other.wait_exit(), 1);
}

#[test]
fn the_socket_of_any_name_is_in_the_runtime_folder() {
    let home = Home::new();
    let node = home.node.address().to_string();
    let runtime = tempfile::tempdir().expect("a folder");
    let manager = home.folder.path().join("notify");
    let manager_socket = UnixDatagram::bind(&manager).expect("a socket");
    manager_socket.set_read_timeout(Some(DEADLINE)).expect("a limit");
    let mut command = command(home.folder.path(), &["up", "../x@bb.com", "--node", &node]);
    command.env("XDG_RUNTIME_DIR", runtime.path()).env("NOTIFY_SOCKET", &manager);
    let mut up = Program::start_command(&mut command);
    up.expect_line("mi-agent: ../x@bb.com is up");
    let mut told = [0; 100];
    let length = manager_socket.recv(&mut told).expect("a notification");
    assert_eq!(String::from_utf8_lossy(&told[..length]).trim(), "READY=1");
    let names = || {
        let entries = fs::read_dir(runtime.path().join("mi-agent")).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["%2E.%2Fx@bb.com.sock"]);
    // A program without that environment finds it.
    let mut down = home.start(&["down", "../x@bb.com"]);
    assert_eq!(down.wait_exit(), 0, "{:?}", down.stderr());
    assert_eq!(up.wait_exit(), 0);
    assert!(names().is_empty());
}

#[test]
fn down_says_what_runs_instead() {
    let home = Home::new();
    let told = |home: &Home| {
        let mut down = home.start(&["down", "laura@bb.com"]);
        assert_eq!(down.wait_exit(), 1);
        down.stderr().join("\n")
    };
    assert_eq!(told(&home), "mi-agent: no agent of laura@bb.com is up");
    let node = home.node.address().to_string();
    let mut chat = home.start(&["laura@bb.com", "--node", &node, "--log", "off"]);
    chat.expect_line("* listening");
    let pid = chat.pid().as_raw_nonzero();
    let expected = format!(
        "mi-agent: another agent of laura@bb.com runs here (pid {pid}), and it is not one that `mi-agent up` has started"
    );
    assert_eq!(told(&home), expected);
    chat.close_stdin();
    assert_eq!(chat.wait_exit(), 0);

    // A killed agent leaves its socket and its lock file, and neither is in the way.
    let mut up = home.up();
    up.kill();
    assert_eq!(told(&home), "mi-agent: no agent of laura@bb.com is up");
    let up = home.up();
    let mut second = home.start(&["up", "laura@bb.com", "--node", &node]);
    assert_eq!(second.wait_exit(), 1);
    let running = format!("another agent of laura@bb.com runs here (pid {})", up.pid().as_raw_nonzero());
    assert_eq!(second.stderr(), [format!("mi-agent: {running}")]);
    home.down(up);
}
