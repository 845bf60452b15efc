//! The commands of docs/node.md, docs/agent.md and docs/operations.md, as they stand there.

use integration_tests::programs::{
    AgentProgram, CONFIG, DATA, NodeProgram, Signal, eventually, write_agent_settings,
};
use lumi_testkit::network::address_of_its_own;
use tempfile::TempDir;

use super::*;

/// A node of bb.com, made by the commands of docs/node.md in a folder of its own, and Joya of cc.com.
struct World {
    folder: TempDir,
    node: NodeProgram,
    joya: AgentProgram,
    _node_of_joya: NodeProgram,
}

impl World {
    fn start(init: &str, serve: &str) -> Self {
        let node_of_joya = NodeProgram::start("cc.com", &["joya"], &[]);
        let mut joya = AgentProgram::start("joya@cc.com", node_of_joya.address(), &[]);
        joya.expect_line("* listening");

        let folder = tempfile::tempdir().expect("a folder");
        // It checks what it wrote, and bb.com is no name of this host.
        let mut made = shell(folder.path(), init);
        assert_eq!(made.wait_exit(), 1, "{:?}", made.stderr());
        assert_eq!(made.expect_line("wrote "), "wrote config/nodelumi.cfg");
        let settings = folder.path().join("config/lumi-node.toml");
        let own = address_of_its_own().to_string();
        let text = fs::read_to_string(&settings).expect("written");
        let text = text.replace("listen = \"0.0.0.0:3344\"", &format!("listen = \"{own}\""));
        let peer = format!("[peers]\n\"cc.com\" = \"{}\"\n", node_of_joya.address());
        fs::write(&settings, text.replace("[peers]\n", &peer)).expect("written");

        let node = NodeProgram::ready(shell(folder.path(), &format!("exec {serve}")), folder.path());
        assert_eq!(node.address().to_string(), own);
        for user in ["alarms", "backup", "bot"] {
            done(folder.path(), &format!("lumi-node ctl register {user}"));
        }
        write_agent_settings(folder.path(), &format!("node = \"{}\"\n", node.address()));
        Self { folder, node, joya, _node_of_joya: node_of_joya }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command of docs/agent.md.
    fn run_of_agent(&mut self, command: &str) {
        if command.starts_with("mi-agent laura@bb.com") {
            let mut laura = shell(self.folder(), command);
            laura.expect_line("* listening");
            laura.type_line("/call joya@cc.com");
            laura.expect_line("* in conversation with joya");
            laura.type_line("/quit");
            assert_eq!(laura.wait_exit(), 0);
            self.joya.expect_line("* conversation with laura ended");
        } else if command.starts_with("mi-agent enrol") {
            // Nobody has invited her, and the code is that of the document.
            let mut laura = shell(self.folder(), command);
            assert_eq!(laura.wait_exit(), 3, "{:?}", laura.stderr());
            laura.wait_for_diagnostic("the invitation was not taken: mistyped, used already, or too old");
        } else if command.starts_with("mi-agent history") {
            self.run_history(command);
        } else if command.contains("config path") || command.contains("config show") {
            // The commands are typed in the folder of the repository.
            let sample = "config/mi-agent.toml";
            fs::copy(root().join(sample), self.folder().join(sample)).expect("copied");
            done(self.folder(), &format!("export XDG_CONFIG_HOME=$PWD/another; {command}"));
        } else if command.contains("the backup is done") {
            assert_eq!(shell(self.folder(), command).wait_exit(), 0, "{command}");
            self.joya.expect_line("<backup> the backup is done");
            self.joya.expect_line("* conversation with backup ended");
        } else if command.starts_with("df ") {
            // A disk that is not full is not reported.
            done(self.folder(), command);
        } else if command.ends_with("--json") {
            let mut bot = shell(self.folder(), command);
            bot.wait_for(|line| line.contains(r#""event":"registered""#));
            bot.type_line(r#"{"quit":true}"#);
            assert_eq!(bot.wait_exit(), 0);
        } else if command.starts_with("mi-agent listen") {
            let mut alarms = shell(self.folder(), &format!("exec {command}"));
            alarms.expect_line("* listening");
            alarms.signal(Signal::Terminate);
            assert_eq!(alarms.wait_exit(), 0);
        } else {
            panic!("nobody runs this command of docs/agent.md: {command}");
        }
    }

    /// There is a history of the full screen: that of the document.
    fn run_history(&self, command: &str) {
        let document = read("docs/agent.md");
        let (_, shown) = document.split_once("```json\n").expect("it shows one");
        let file = self.folder().join(DATA).join("mi-agent/laura@bb.com/history/joya@cc.com.jsonl");
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, shown.split_once("```").expect("it ends").0).expect("written");
        let settings = self.folder().join(CONFIG).join("mi-agent/config.toml");
        let node = fs::read_to_string(&settings).expect("written");
        fs::write(&settings, format!("address = \"laura@bb.com\"\n{node}")).expect("written");
        let printed = done(self.folder(), command);
        assert!(printed.last().is_some_and(|line| line.ends_with("hola, què tal?")), "{printed:?}");
        fs::write(&settings, node).expect("written");
    }

    /// Runs a command of docs/node.md that is for a node that serves.
    fn run_of_node(&self, command: &str) {
        if command.contains("192.0.2.7") {
            // No host has this address, which is for documents.
            fs::write(self.folder().join("nodelumi.cfg"), "bb.com\nlaura\n").expect("written");
            let mut other = shell(self.folder(), command);
            assert_eq!(other.wait_exit(), 1);
            other.wait_for_diagnostic("192.0.2.7:3344");
        } else if command.starts_with("lumi-node ctl") {
            done(self.folder(), command);
        } else if command.starts_with("lumi-node check") {
            // bb.com is no name of this host.
            let mut check = shell(self.folder(), command);
            assert_eq!(check.wait_exit(), 1);
            check.expect_line("ok   peer cc.com");
        } else if command == "lumi-node watch" {
            let mut watch = shell(self.folder(), "exec lumi-node watch");
            watch.wait_for(|line| line.contains("PR"));
            watch.kill();
        } else if command.contains("--mermaid") {
            assert!(done(self.folder(), command).iter().any(|line| line.contains("sequenceDiagram")));
        } else if command.contains("--text") {
            assert!(done(self.folder(), command).iter().any(|line| line.contains("PL")));
        } else if !command.starts_with("journalctl") {
            panic!("nobody runs this command of docs/node.md: {command}");
        }
    }
}

#[test]
fn commands_for_a_node_and_for_users_run() {
    let of_node = Document::read("docs/node.md").commands();
    let [init, serve, rest @ ..] = &of_node[..] else { panic!("{of_node:?}") };
    assert!(init.starts_with("lumi-node init"), "{init}");
    let mut world = World::start(init, serve);
    for command in Document::read("docs/agent.md").commands() {
        world.run_of_agent(&command);
    }
    for command in rest {
        world.run_of_node(command);
    }
    world.node.signal(Signal::Terminate);
    assert_eq!(world.node.wait_exit(), 0);
}

/// The administrator's commands of docs/operations.md, beside a node without systemd. `.ci/packages` runs all
/// of them, where it can.
#[test]
fn commands_of_administrators_run() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let mut count = 0;
    for command in Document::read("docs/operations.md").commands() {
        if command.contains("lumi-node ctl") && !command.contains("/run/lumi-cc") {
            done(node.folder(), &command);
            count += 1;
        }
    }
    assert!(count > 12, "{count}");
    let printed = done(node.folder(), "lumi-node ctl list --json");
    // Joya has been invited, which adds her to the domain.
    assert!(printed.concat().contains("joya"), "{printed:?}");
    eventually("codes are written", || node.folder().join("codes.txt").exists());
}

/// Runs `command`, which succeeds, and returns what it prints.
fn done(folder: &Path, command: &str) -> Vec<String> {
    let mut program = shell(folder, command);
    assert_eq!(program.wait_exit(), 0, "{command}: {:?} {:?}", program.stdout(), program.stderr());
    program.stdout()
}
