//! The real programs as child processes of a test: input, output, signals, and waiting with a deadline.

mod output;
mod process;
mod terminal;
mod tmux;
mod xterm;

use std::fs;
use std::net::{SocketAddr, SocketAddrV4};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use lumi_testkit::network::address_of_its_own;
use tempfile::TempDir;

pub use lumi_testkit::DEADLINE;
pub use output::eventually;
pub use process::{CONFIG, DATA, Program, Signal, at_home, executable, executable_for_everybody};
pub use terminal::{Key, Screen, Terminal, Wheel};
pub use tmux::Tmux;
pub use xterm::Xterm;

/// A running `lumi-node`, by default in a folder of its own.
#[derive(Debug)]
pub struct NodeProgram {
    program: Program,
    domain: String,
    address: SocketAddrV4,
    folder: PathBuf,
    /// The folder is removed last, after everything in it has ended.
    _own_folder: Option<TempDir>,
}

impl NodeProgram {
    /// Starts the node of `domain` and its `users`, with a console, and waits until it is ready. The node
    /// listens at an [address of its own](address_of_its_own) unless `arguments` say otherwise.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(domain: &str, users: &[&str], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there can be temporary folders");
        write_roster(folder.path(), &([&[domain], users].concat().join("\n") + "\n"));
        let console: &[_] = if arguments.contains(&"--console") { &[] } else { &["--console"] };
        let node = Self::start_in(folder.path(), &[arguments, console].concat());
        Self { _own_folder: Some(folder), ..node }
    }

    /// Starts a node in `folder`, which has its roster, and waits until it is ready. The node listens at an
    /// address of its own unless `arguments` say otherwise.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        let program = if arguments.contains(&"--listen") {
            Program::start(NODE, folder, arguments)
        } else {
            let address = address_of_its_own().to_string();
            Program::start(NODE, folder, &[arguments, &["--listen", &address]].concat())
        };
        Self::ready(program, folder)
    }

    /// Waits until `program`, a node that was started in `folder`, is ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn ready(mut program: Program, folder: &Path) -> Self {
        let line = program.expect_line("lumi-node: domain ");
        let mut parts = line["lumi-node: domain ".len()..].split(", ");
        let domain = parts.next().expect("a split has a first part").to_owned();
        let address = parts.next().and_then(|part| part.strip_prefix("listening on ")?.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        Self { program, domain, address, folder: folder.to_owned(), _own_folder: None }
    }

    /// The UDP address on which it listens.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Its working directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Types `list` at its console and returns the answer, one line for each user.
    ///
    /// # Panics
    /// If it does not answer, or has no console.
    pub fn list(&mut self) -> Vec<String> {
        self.type_line("list");
        // The answer to an unknown command marks the end of the table.
        self.type_line("end-of-list");
        self.expect_line("USER ");
        let mut users = Vec::new();
        loop {
            let line = self.wait_for(|_| true);
            if line.starts_with("! there is no command 'end-of-list'") {
                return users;
            }
            users.push(line);
        }
    }

    /// Returns whether `list` reports `user` as online.
    ///
    /// # Panics
    /// Like [`NodeProgram::list`], and if there is no such user.
    pub fn is_online(&mut self, user: &str) -> bool {
        let users = self.list();
        let mut words = users.iter().map(|line| line.split_whitespace());
        let state = words.find_map(|mut words| (words.next() == Some(user)).then(|| words.next())?);
        state.unwrap_or_else(|| panic!("there is no {user}: {users:?}")) == "online"
    }

    /// The text of its roster, at the place where [`NodeProgram::start`] puts it.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn roster(&self) -> String {
        fs::read_to_string(self.folder.join(ROSTER)).expect("there is a roster")
    }

    /// Returns the number of datagrams with lines in its message log that begin with `start`. Those that are
    /// left out, and only counted there once their second is over, are among them.
    ///
    /// # Panics
    /// Like [`NodeProgram::log`].
    pub fn logged(&self, start: &str) -> usize {
        let left_out = |line: &String| line.strip_suffix(" more, 0")?.rsplit_once("...")?.1.parse().ok();
        let log = self.log();
        log.iter().filter(|line| line.starts_with(start)).map(|line| left_out(line).unwrap_or(1)).sum()
    }

    /// The lines of its message log, at the default place.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn log(&self) -> Vec<String> {
        lines(&self.log_text())
    }

    /// Waits until its message log, at the default place, has this many lines or more, and returns them. A
    /// thread writes them, so what the node has answered may come into the log a moment later.
    ///
    /// # Panics
    /// If there are fewer after a generous time.
    pub fn log_of(&self, count: usize) -> Vec<String> {
        eventually(&format!("the log has {count} lines"), || self.log().len() >= count);
        self.log()
    }

    /// The text of its message log, at the default place.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn log_text(&self) -> String {
        read_log(&self.folder.join(message_log::node_log_name(&self.domain)))
    }
}

impl Deref for NodeProgram {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for NodeProgram {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}

/// A running `mi-agent` in a folder of its own.
#[derive(Debug)]
pub struct AgentProgram {
    program: Program,
    address: String,
    folder: TempDir,
}

impl AgentProgram {
    /// Starts the agent of `address`, which talks to the node at `node`, without waiting for anything.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(address: &str, node: impl Into<SocketAddr>, arguments: &[&str]) -> Self {
        let node = node.into().to_string();
        let folder = tempfile::tempdir().expect("there can be temporary folders");
        let arguments = [arguments, &["--node", &node, address]].concat();
        let program = Program::start(AGENT, folder.path(), &arguments);
        Self { program, address: address.to_owned(), folder }
    }

    /// Its working directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The lines of its message log, at the default place.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn log(&self) -> Vec<String> {
        lines(&self.log_text())
    }

    /// The text of its message log, at the default place.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn log_text(&self) -> String {
        read_log(&self.folder().join(message_log::agent_log_name(&self.address)))
    }
}

impl Deref for AgentProgram {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for AgentProgram {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}

/// A running `mi-agent` in a folder of its own, at a terminal of its own.
#[derive(Debug)]
pub struct AgentTerminal {
    terminal: Terminal,
    address: String,
    folder: TempDir,
}

impl AgentTerminal {
    /// Starts the agent of `address`, which talks to the node at `node`, at a terminal of `size` (rows,
    /// columns), without waiting for anything.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(address: &str, node: impl Into<SocketAddr>, arguments: &[&str], size: (u16, u16)) -> Self {
        let node = node.into().to_string();
        let folder = tempfile::tempdir().expect("there can be temporary folders");
        let arguments = [arguments, &["--node", &node, address]].concat();
        let terminal = Terminal::start(AGENT, folder.path(), &arguments, size);
        Self { terminal, address: address.to_owned(), folder }
    }

    /// Its working directory, which also has its settings and data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The lines of its message log, at the default place.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn log(&self) -> Vec<String> {
        lines(&read_log(&self.folder().join(message_log::agent_log_name(&self.address))))
    }
}

impl Deref for AgentTerminal {
    type Target = Terminal;

    fn deref(&self) -> &Terminal {
        &self.terminal
    }
}

/// Writes the roster `text` to the place below `folder` where a node started there looks for it.
///
/// # Panics
/// If it cannot be written.
pub fn write_roster(folder: &Path, text: &str) {
    write_file(&folder.join(ROSTER), text);
}

/// Writes the settings `text` to the place below `folder` where a node started there looks for them.
///
/// # Panics
/// If they cannot be written.
pub fn write_settings(folder: &Path, text: &str) {
    write_file(&folder.join(SETTINGS), text);
}

/// Writes the settings `text` for agents that are started in `folder`.
///
/// # Panics
/// If they cannot be written.
pub fn write_agent_settings(folder: &Path, text: &str) {
    write_file(&folder.join(CONFIG).join("mi-agent/config.toml"), text);
}

fn write_file(path: &Path, text: &str) {
    let folder = path.parent().expect("it is in a folder");
    fs::create_dir_all(folder).and_then(|()| fs::write(path, text)).expect("the folder is the test's own");
}

fn read_log(path: &Path) -> String {
    fs::read_to_string(path).expect("there is a message log")
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// The package of the node's program.
pub const NODE: &str = "lumi-node";

/// The package of the agent's program.
pub const AGENT: &str = "mi-agent";

const ROSTER: &str = "config/nodelumi.cfg";

const SETTINGS: &str = "config/lumi-node.toml";
