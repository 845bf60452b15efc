//! The parts of a man page that come from clap.

use std::io;

use clap::Command;
use clap_mangen::Man;

use crate::roff;

/// The usage of `command`: a line for each way.
pub(crate) fn synopsis(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let ways = usage.trim_start_matches("Usage:").lines().map(|way| roff::text(way.trim()));
    ways.map(|way| way + "\n").collect::<Vec<_>>().join(".br\n")
}

/// The purpose of `command`.
pub(crate) fn description(command: &Command) -> io::Result<String> {
    body(command, |man, text| man.render_description_section(text))
}

/// The options of `command` and their meaning.
pub(crate) fn options(command: &Command) -> io::Result<String> {
    body(command, |man, text| man.render_options_section(text))
}

/// A section for each subcommand of `command`, and for their subcommands.
pub(crate) fn subcommands(command: &Command) -> io::Result<String> {
    let mut text = String::new();
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        text += &format!(".SS {}\n", roff::text(subcommand.get_bin_name().unwrap_or(subcommand.get_name())));
        // Every subcommand has --help, so it is not repeated.
        let subcommand = &subcommand.clone().mut_arg("help", |help| help.hide(true));
        text += &[synopsis(subcommand), ".PP\n".to_owned(), description(subcommand)?, options(subcommand)?]
            .concat();
        text += &subcommands(subcommand)?;
    }
    Ok(text)
}

/// A section without its title and without the lines that clap_mangen puts before every section.
///
/// The page has these already.
fn body(
    command: &Command,
    render: impl FnOnce(&Man, &mut dyn io::Write) -> io::Result<()>,
) -> io::Result<String> {
    let mut text = Vec::new();
    render(&Man::new(command.clone()), &mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines =
        text.lines().filter(|line| ![".ie ", ".el ", ".SH "].iter().any(|start| line.starts_with(start)));
    Ok(lines.flat_map(|line| [in_bold(line), "\n".to_owned()]).collect())
}

/// Sets text between backquotes in bold.
fn in_bold(line: &str) -> String {
    let parts = line.split('`').enumerate();
    let marked = |(nth, part): (usize, &str)| match nth {
        0 => part.to_owned(),
        _ if nth % 2 == 1 => format!("\\fB{part}"),
        _ => format!("\\fR{part}"),
    };
    let end = if line.matches('`').count() % 2 == 1 { "\\fR" } else { "" };
    parts.map(marked).collect::<String>() + end
}
