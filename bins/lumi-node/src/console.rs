//! The administrator's console: commands on stdin, answers on stdout, failures as `! …`.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use comfy_table::{Table, presets};
use jiff::Zoned;
use lumi_node_core::{Administrator, UserStatus};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::commands::{self, Command};
use crate::reason;

/// Reads commands for `administrator` until the end of input; `exit` notifies `exit`. Must run within the runtime
/// of the node.
///
/// It has a thread of its own: a terminal that nobody types at, or that is held by Ctrl-S, does not hold the node.
///
/// # Errors
/// There can be no more threads.
pub(crate) fn start(administrator: Administrator, exit: Arc<Notify>) -> anyhow::Result<()> {
    let node = Node { administrator, runtime: Handle::current() };
    let console = move || match converse(&node) {
        Ok(Ended::ByExit) => exit.notify_one(),
        Ok(Ended::ByInput) => {}
        Err(error) => tracing::warn!(%error, "no more commands: stdin cannot be read"),
    };
    thread::Builder::new().name("console".into()).spawn(console).context("cannot start the console")?;
    Ok(())
}

enum Ended {
    ByExit,
    ByInput,
}

fn converse(node: &Node) -> io::Result<Ended> {
    let mut input = io::stdin().lock();
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if terminal {
        show("type help for the commands\n");
    }
    loop {
        if terminal {
            show("lumi-node> ");
        }
        let Some(line) = next_line(&mut input)? else { break };
        match node.carry_out(&line) {
            Ok(Answer::Nothing) => {}
            Ok(Answer::Text(text)) => show(&format!("{text}\n")),
            Ok(Answer::Exit) => return Ok(Ended::ByExit),
            Err(error) => show(&format!("! {}\n", reason::in_one_line(&error))),
        }
    }
    if terminal {
        show("\nno more commands; the node goes on, Ctrl-C ends it\n");
    }
    Ok(Ended::ByInput)
}

/// The next line, or the first [`MAX_LINE`] bytes of a longer one; `None` at the end of input.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

fn show(text: &str) {
    // Commands are carried out even if nobody reads the answers any more.
    let mut output = io::stdout();
    _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// The running node, as the console's thread reaches it.
struct Node {
    administrator: Administrator,
    runtime: Handle,
}

enum Answer {
    Nothing,
    Text(String),
    Exit,
}

impl Node {
    fn carry_out(&self, line: &str) -> anyhow::Result<Answer> {
        let Some(command) = Command::parse(line)? else { return Ok(Answer::Nothing) };
        let administrator = &self.administrator;
        Ok(Answer::Text(match command {
            Command::Register(user) => {
                let registered = self.runtime.block_on(administrator.register(user));
                registered.with_context(|| format!("cannot register {user}"))?;
                format!("registered {user}")
            }
            Command::Deregister(user) => {
                let deregistered = self.runtime.block_on(administrator.deregister(user));
                deregistered.with_context(|| format!("cannot deregister {user}"))?;
                format!("deregistered {user}")
            }
            Command::List => table(&self.runtime.block_on(administrator.list()).context("cannot list")?),
            Command::Reload => {
                let users = self.runtime.block_on(administrator.reload(None)).context("cannot reload")?;
                format!("reloaded, {users} users")
            }
            Command::Help => commands::help(),
            Command::Exit => return Ok(Answer::Exit),
        }))
    }
}

#[expect(clippy::disallowed_methods, reason = "people read the time of day; nothing is decided by it")]
fn table(users: &[UserStatus]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["USER", "STATE", "ADDRESS", "SINCE"]);
    let now = Zoned::now();
    for UserStatus { user, presence } in users {
        let [state, address, since] = match presence {
            Some(presence) => {
                let since = now.saturating_sub(presence.online_for).strftime("%Y-%m-%d %H:%M:%S");
                ["online".into(), presence.address.to_string(), since.to_string()]
            }
            None => ["offline", "-", "-"].map(String::from),
        };
        table.add_row([user.to_string(), state, address, since]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// The most bytes of a line that are looked at: many times what a command needs.
const MAX_LINE: u64 = 1024;
