//! The programs that docs/events.md shows.

use std::process::Stdio;

use integration_tests::programs::eventually;
use integration_tests::skipped;

use crate::documents::with_programs;

use super::*;

/// The bot of the document, as it stands there.
#[test]
fn the_bot_of_the_document_runs() {
    if !runs("python3", &["--version"]) {
        return;
    }
    let mut node = NodeProgram::start("bb.com", &["bot", "laura"], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("bot.py"), example("python")).expect("written");
    // It ends by Ctrl-C, which is ignored where tests run in the background.
    let mut bot = process::Command::new("env");
    bot.args([
        "--default-signal=INT",
        "python3",
        "bot.py",
        "bot@bb.com",
        "--node",
        &node.address().to_string(),
    ]);
    let mut bot = Program::start_command(with_programs(&mut bot, folder.path()));
    bot.wait_for(|line| line.contains("'registered'"));
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    for _ in 0..2 {
        // It is busy until it has heard the end of what was before, which Laura hears first.
        let began = |line: &str| line.starts_with("* in conversation") || line.starts_with("! cannot reach");
        laura.type_line("/call bot@bb.com");
        while laura.wait_for(began).starts_with('!') {
            laura.type_line("/call bot@bb.com");
        }
        assert_eq!(laura.expect_line("<"), "<bot> hola, laura!");
        laura.type_line("bon dia, què tal?");
        assert_eq!(laura.expect_line("<"), "<bot> ?lat èuq ,aid nob");
        laura.type_line("adéu");
        laura.expect_line("* conversation with bot ended");
    }
    bot.signal(Signal::Interrupt);
    assert_eq!(bot.wait_exit(), 0);
    assert_eq!(bot.stderr(), [""; 0]);
    assert!(!node.is_online("bot"));
}

/// The pipe of the document, as it stands there but for the node.
#[test]
fn the_pipe_of_the_document_runs() {
    if !runs("jq", &["--version"]) {
        return;
    }
    let node = NodeProgram::start("bb.com", &["alarms", "laura"], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let script = example("sh").replace("--json", &format!("--json --node {}", node.address()));
    let mut pipe = process::Command::new("sh");
    pipe.args(["-c", &script]);
    let mut pipe = Program::start_command(with_programs(&mut pipe, folder.path()));
    let laura = RawAgent::register("laura@bb.com", node.address());
    // Asking without a pause would go beyond the limit of the node.
    eventually("alarms is found", || laura.ask("PLlaura@bb.com:alarms@bb.com").starts_with("RL0"));
    drop(laura);
    let arguments =
        ["send", "--from", "laura@bb.com", "--node", &node.address().to_string(), "alarms@bb.com"];
    let mut send = Program::start(AGENT, folder.path(), &[&arguments[..], &["el disc és ple"]].concat());
    assert_eq!(send.wait_exit(), 0);
    let told = pipe.wait_for(|_| true);
    assert!(told.starts_with("20") && told.ends_with("Z laura: el disc és ple"), "{told}");
    // The end of the shell is not that of the pipe.
    pipe.type_line(r#"{"quit":true}"#);
    assert_eq!(pipe.wait_exit(), 0);
}

/// Returns whether there is such a program; says so if not.
fn runs(program: &str, arguments: &[&str]) -> bool {
    let runs = process::Command::new(program).args(arguments).stdout(Stdio::null()).status();
    let runs = runs.is_ok_and(|status| status.success());
    if !runs {
        skipped(&format!("there is no {program} here"));
    }
    runs
}

/// The first example of the document in this language.
fn example(language: &str) -> &'static str {
    let document = include_str!("../../../../docs/events.md");
    let (_, example) = document.split_once(&format!("```{language}\n")).expect("there is one");
    example.split_once("```").expect("it ends").0
}
