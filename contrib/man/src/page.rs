//! The pages: texts of `pages/`, with what is made put in where they ask for it.

use std::io;

use clap::Command;

use crate::command_line;
use crate::notes;
use crate::settings;

/// Every page: the name of its file, and its text.
///
/// # Errors
/// None that writing to memory does not have.
pub(crate) fn all() -> io::Result<[(&'static str, String); 4]> {
    Ok([
        ("lumi-node.8", of_program(LUMI_NODE, lumi_node::command())?),
        ("lumi-node.toml.5", of_settings(LUMI_NODE_TOML, LUMI_NODE_SAMPLE)),
        ("mi-agent.1", of_settings(&of_program(MI_AGENT, mi_agent::command())?, MI_AGENT_SAMPLE)),
        ("nodelumi.cfg.5", ROSTER.replace("@VERSION@", env!("CARGO_PKG_VERSION"))),
    ])
}

fn of_program(page: &str, command: Command) -> io::Result<String> {
    // The page describes the subcommands; `help` is none of them.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    Ok(page
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@SYNOPSIS@\n", &command_line::synopsis(&command))
        .replace("@DESCRIPTION@\n", &command_line::description(&command)?)
        .replace("@OPTIONS@\n", &command_line::options(&command)?)
        .replace("@SUBCOMMANDS@\n", &command_line::subcommands(&command)?)
        .replace("@NOTES@\n", &notes::sections(&command)))
}

fn of_settings(page: &str, sample: &str) -> String {
    page.replace("@VERSION@", env!("CARGO_PKG_VERSION")).replace("@SETTINGS@\n", &settings::explained(sample))
}

const LUMI_NODE: &str = include_str!("../pages/lumi-node.8");

const LUMI_NODE_TOML: &str = include_str!("../pages/lumi-node.toml.5");

const LUMI_NODE_SAMPLE: &str = include_str!("../../../config/lumi-node.toml");

const MI_AGENT: &str = include_str!("../pages/mi-agent.1");

const MI_AGENT_SAMPLE: &str = include_str!("../../../config/mi-agent.toml");

const ROSTER: &str = include_str!("../pages/nodelumi.cfg.5");

#[cfg(test)]
mod tests {
    use lumi_node_core::Roster;

    use super::*;

    fn page(name: &str) -> String {
        let pages = all().unwrap();
        pages.into_iter().find(|(of, _)| *of == name).map(|(_, text)| text).unwrap()
    }

    /// Every long option of `command` and of its subcommands, and the names of these.
    fn words(command: &Command) -> Vec<String> {
        let options = command.get_arguments().filter(|argument| !argument.is_hide_set());
        let options = options.filter_map(|option| Some(format!("--{}", option.get_long()?)));
        let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
        options
            .chain(
                subcommands.flat_map(|subcommand| {
                    [vec![subcommand.get_name().to_owned()], words(subcommand)].concat()
                }),
            )
            .collect()
    }

    #[test]
    fn pages_of_programs_have_every_option_and_subcommand() {
        for (name, command) in [("lumi-node.8", lumi_node::command()), ("mi-agent.1", mi_agent::command())] {
            let page = page(name).replace("\\-", "-");
            for word in words(&command) {
                assert!(page.contains(&word), "{name} does not tell of {word}");
            }
        }
    }

    #[test]
    fn the_page_of_the_settings_has_every_key() {
        let page = page("lumi-node.toml.5").replace("\\-", "-");
        // The error about an unknown key lists the known ones.
        let reason = lumi_node::check_settings("no-such-key = 1").unwrap_err().to_string();
        let keys: Vec<_> = reason.split('`').skip(3).step_by(2).collect();
        assert!(keys.len() > 10, "{reason}");
        let lines: Vec<_> = page.lines().collect();
        let tags = lines.windows(2).filter(|pair| [".TP", ".TQ"].contains(&pair[0])).map(|pair| pair[1]);
        let tags: Vec<_> = tags.flat_map(|tag| tag.split(['[', ']', ' '])).collect();
        for key in keys {
            let told =
                tags.iter().any(|word| word.trim_start_matches("\\fB#").trim_start_matches("\\fB") == key);
            assert!(told, "it does not tell of {key}");
        }
    }

    #[test]
    fn the_example_of_a_roster_is_one() {
        let page = page("nodelumi.cfg.5");
        let (_, example) = page.split_once(".EX\n").unwrap();
        let (example, _) = example.split_once(".EE\n").unwrap();
        let roster = Roster::parse(example.as_bytes()).unwrap();
        assert_eq!((roster.domain().as_str(), roster.len()), ("bb.com", 2));
    }

    #[test]
    fn nothing_is_left_to_be_put_in() {
        for (name, text) in all().unwrap() {
            let left = text.lines().find(|line| line.starts_with('@') || line.contains("@VERSION@"));
            assert_eq!(left, None, "{name}");
        }
    }
}
