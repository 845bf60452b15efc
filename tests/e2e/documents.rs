//! README.md and the files in docs/ show what there is: their commands run, their links lead somewhere.
//!
//! An indented line, or one in a fence of `sh`, is a command that a reader types in a shell. Each of them is
//! run by `documents/runs.rs` or by a script, as [`RUN_BY`] says for its document.

mod links;
mod runs;

use std::path::{Path, PathBuf};
use std::{env, fs, iter, process};

use integration_tests::programs::{AGENT, NODE, Program, at_home, executable};

/// The documents with commands that are run, and the file that runs them. The others have none, or commands
/// that take hours; all are [understood](the_programs_understand_every_command).
const RUN_BY: [(&str, &str); 8] = [
    ("README.md", ".ci/conversation"),
    ("docs/agent.md", "tests/e2e/documents/runs.rs"),
    ("docs/embedding.md", ".ci/examples"),
    ("docs/events.md", "tests/e2e/mi_agent/listen/document.rs"),
    ("docs/lab.md", ".ci/lab"),
    ("docs/metrics.md", "tests/e2e/lumi_node/web.rs"),
    ("docs/node.md", "tests/e2e/documents/runs.rs"),
    ("docs/operations.md", ".ci/packages-in-clean-root"),
];

/// The documents with commands for people with time: benches, long simulations, mutants.
const BY_HAND: [&str; 2] = ["docs/performance.md", "docs/testing.md"];

/// A document, by its path from the root of the repository.
struct Document {
    path: String,
    text: String,
}

impl Document {
    /// Reads README.md and all files in docs/.
    fn all() -> Vec<Self> {
        let mut paths = vec!["README.md".to_owned()];
        for entry in root().join("docs").read_dir().expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            if name.ends_with(".md") {
                paths.push(format!("docs/{name}"));
            }
        }
        paths.sort();
        paths.into_iter().map(|path| Self { text: read(&path), path }).collect()
    }

    /// Reads the document at `path`.
    fn read(path: &str) -> Self {
        Self { path: path.to_owned(), text: read(path) }
    }

    /// The commands, in their order. JSON and what is typed in an agent are none.
    fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        let mut fence = None;
        let mut indented_before = true;
        let mut goes_on = false;
        for line in self.text.lines() {
            if let Some(language) = line.strip_prefix("```") {
                fence = if fence.is_some() { None } else { Some(language) };
                continue;
            }
            let indented = line.strip_prefix("    ").filter(|_| indented_before);
            indented_before = line.is_empty() || indented.is_some();
            let command = match fence {
                Some("sh") => Some(line.trim()),
                Some(_) => None,
                None => indented,
            };
            let Some(command) = command.filter(|line| !line.is_empty() && !line.starts_with(['{', '/']))
            else {
                continue;
            };
            let part = command.trim_end_matches('\\').trim_end();
            match commands.last_mut().filter(|_| goes_on) {
                Some(last) => *last = format!("{last} {part}"),
                None => commands.push(part.to_owned()),
            }
            goes_on = command.ends_with(['\\', '|']);
        }
        commands
    }
}

#[test]
fn every_document_with_commands_has_one_who_runs_them() {
    let with_commands: Vec<_> =
        Document::all().into_iter().filter(|document| !document.commands().is_empty()).collect();
    let mut named: Vec<_> = RUN_BY.iter().map(|(document, _)| *document).chain(BY_HAND).collect();
    named.sort_unstable();
    assert_eq!(with_commands.iter().map(|document| &document.path[..]).collect::<Vec<_>>(), named);
    for (_, by) in RUN_BY {
        assert!(root().join(by).is_file(), "there is no {by}");
    }
}

/// `--help` behind a command line is reached only if everything before it is right.
#[test]
fn the_programs_understand_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut understood = 0;
    for document in Document::all() {
        for command in document.commands().iter().flat_map(|line| of_ours(line)) {
            let mut program = shell(folder.path(), &format!("{command} --help"));
            assert_eq!(program.wait_exit(), 0, "{}: {command}: {:?}", document.path, program.stderr());
            assert!(program.stdout().iter().any(|line| line.starts_with("Usage: ")), "{command}");
            understood += 1;
        }
    }
    assert!(understood > 60, "{understood}");
}

/// Packages, binaries and examples that commands of cargo name, and files of the repository.
#[test]
fn what_commands_name_exists() {
    for document in Document::all() {
        for command in document.commands() {
            let words: Vec<_> = command.split_whitespace().collect();
            let of_cargo = words.windows(2).filter(|_| words[0] == "cargo");
            let named = of_cargo.flat_map(|pair| named_by_cargo(pair[0], pair[1]));
            for places in named {
                let exists = places.iter().any(|path| root().join(path).exists());
                assert!(exists, "{}: {command}: {places:?}", document.path);
            }
            for word in words {
                if [".ci/", "contrib/", "config/"].iter().any(|folder| word.starts_with(folder)) {
                    assert!(root().join(word).exists(), "{}: {command}", document.path);
                }
            }
        }
    }
}

/// Returns where `name` may be, if it is behind an `option` of cargo that takes the name of something here.
fn named_by_cargo(option: &str, name: &str) -> Option<Vec<String>> {
    match option {
        "-p" if name == "integration-tests" => Some(vec!["tests/Cargo.toml".into()]),
        "-p" => {
            let folders = ["crates/", "bins/", "tests/", ""];
            Some(folders.map(|folder| format!("{folder}{name}/Cargo.toml")).into())
        }
        "--bin" => Some([".rs", "/main.rs"].map(|end| format!("tests/support/bin/{name}{end}")).into()),
        "--example" => {
            let folders = ["examples", "crates/mi-agent-core/examples"];
            Some(folders.map(|folder| format!("{folder}/{name}.rs")).into())
        }
        _ => None,
    }
}

#[test]
fn the_embedded_agent_is_the_example() {
    let example = read("crates/mi-agent-core/examples/echo-bot.rs");
    let shown = &example[example.find("async fn run()").expect("its main part")..];
    assert!(read("docs/embedding.md").contains(shown), "docs/embedding.md shows another echo-bot");
}

#[test]
fn the_badges_say_what_the_manifest_says() {
    let manifest = read("Cargo.toml");
    let value = |key: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.expect("the workspace sets it").trim_end_matches('"').to_owned()
    };
    let readme = read("README.md");
    for badge in [
        format!("[![Version {}]", value("version")),
        format!("badge/version-{}-", value("version")),
        format!("[![Rust {}]", value("rust-version")),
        format!("badge/rust-{}-", value("rust-version")),
        format!("[![Licence: {}]", value("license")),
    ] {
        assert!(readme.contains(&badge), "{badge}");
    }
}

#[test]
fn the_readme_is_one_page_and_lines_are_short() {
    let lines = read("README.md").lines().count();
    assert!((110..=150).contains(&lines), "{lines} lines");
    for Document { path, text } in Document::all() {
        let mut in_fence = false;
        for line in text.lines() {
            in_fence ^= line.starts_with("```");
            // These cannot be wrapped.
            let is_whole =
                in_fence || line.trim_start().starts_with(['|', '<', '!', '[']) || line.starts_with("    ");
            assert!(is_whole || line.chars().count() <= WIDTH, "{path}: {line}");
        }
    }
}

/// Returns the parts of a `command` that start one of our programs, without redirections and placeholders.
/// Its name also occurs as that of a package, a service or a user.
fn of_ours(command: &str) -> Vec<String> {
    let parts = command.split(['|', ';', '>', ')']);
    let start = |part: &str| {
        let words: Vec<_> = part.split_whitespace().collect();
        let is_start = |at: usize| {
            let before = |count: usize| at.checked_sub(count).map(|at| words[at]);
            words[at].starts_with("\"$(")
                || matches!(before(1), None | Some("--"))
                || before(2) == Some("run") && before(1) != Some("-p")
        };
        let is_ours = |at: usize| [NODE, AGENT].contains(&words[at].trim_start_matches("\"$("));
        let at = (0..words.len()).find(|at| is_ours(*at) && is_start(*at))?;
        Some(words[at..].join(" ").replace("\"$(", "").replace("WORD", "abandon"))
    };
    parts.filter_map(start).collect()
}

/// Starts `command` in a shell that finds our programs, at the home of a user in `folder`.
fn shell(folder: &Path, command: &str) -> Program {
    let mut shell = process::Command::new("bash");
    Program::start_command(with_programs(shell.args(["-c", command]), folder))
}

/// Lets `command` find our programs as if they were installed, at the home of a user.
pub(super) fn with_programs<'a>(command: &'a mut process::Command, home: &Path) -> &'a mut process::Command {
    let folder = |package| executable(package).parent().expect("it is in a folder").to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = iter::once(folder(AGENT)).chain(iter::once(folder(NODE)));
    let path = env::join_paths(folders.chain(env::split_paths(&path))).expect("no colon in it");
    at_home(command, home).env("PATH", path)
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The width of text, as of code.
const WIDTH: usize = 110;
