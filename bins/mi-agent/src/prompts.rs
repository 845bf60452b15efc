//! Prompts for what neither the command line nor the settings file says.

use std::fmt::Display;
use std::io::{self, BufRead, Read, Write};
use std::str::FromStr;

use mi_agent_core::safe_text;

use crate::options::settings::Settings;

/// Asks for the address if it is missing, and then for a missing port and nickname too.
///
/// Returns `false` if the input ends.
pub(crate) fn ask_for_missing(
    settings: &mut Settings,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<bool> {
    if settings.address.is_some() {
        return Ok(true);
    }
    let Some(address) = ask(input, output, "Your address (user@domain): ", None)? else { return Ok(false) };
    settings.address = Some(address);
    if settings.port.is_none() {
        let Some(Port(port)) = ask(input, output, "Port for conversations [any]: ", Some(Port(0)))? else {
            return Ok(false);
        };
        settings.port = Some(port);
    }
    if settings.nick.is_none() {
        let user = address.user();
        let question = format!("Nickname [{user}]: ");
        let default = user.as_str().parse().ok();
        let Some(nick) = ask(input, output, &question, default)? else { return Ok(false) };
        settings.nick = Some(nick);
    }
    Ok(true)
}

/// A port, with an error text for people.
#[derive(Clone)]
struct Port(u16);

impl FromStr for Port {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "a port is a number from 1 to 65535, or 0 for any")
    }
}

/// Repeats `question` until the answer is valid; an empty answer is `default`. `None`: the input ended.
fn ask<T>(
    input: &mut impl BufRead,
    output: &mut impl Write,
    question: &str,
    default: Option<T>,
) -> io::Result<Option<T>>
where
    T: Clone + FromStr,
    T::Err: Display,
{
    loop {
        write!(output, "{question}")?;
        output.flush()?;
        let mut answer = Vec::new();
        if input.by_ref().take(MAX_ANSWER).read_until(b'\n', &mut answer)? == 0 {
            writeln!(output)?;
            return Ok(None);
        }
        let answer = String::from_utf8_lossy(&answer);
        let answer = answer.trim();
        if answer.is_empty() && default.is_some() {
            return Ok(default);
        }
        match answer.parse() {
            Ok(value) => return Ok(Some(value)),
            Err(error) => writeln!(output, "! {}: {error}", safe_text(answer))?,
        }
    }
}

/// The most bytes of an answer, more than the longest valid one.
const MAX_ANSWER: u64 = 1_024;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn asked(arguments: &[&str], answers: &str) -> (bool, Settings, String) {
        let cli = Cli::parse_from([&["mi-agent"], arguments].concat());
        let mut settings = Settings::defaults().unwrap().overridden(cli.address, &cli.options).unwrap();
        let mut output = Vec::new();
        let complete = ask_for_missing(&mut settings, &mut answers.as_bytes(), &mut output).unwrap();
        (complete, settings, String::from_utf8(output).unwrap())
    }

    #[test]
    fn everything_is_asked_for() {
        let (complete, settings, output) = asked(&[], "laura@bb.com\n3500\nLaura B.\n");
        assert!(complete);
        assert_eq!(settings.address.unwrap().as_str(), "laura@bb.com");
        assert_eq!(settings.port, Some(3500));
        assert_eq!(settings.nick.unwrap().as_str(), "Laura B.");
        assert_eq!(output, "Your address (user@domain): Port for conversations [any]: Nickname [laura]: ");
    }

    #[test]
    fn an_empty_answer_is_the_default_if_there_is_one() {
        let (complete, settings, output) = asked(&[], "\nlaura@bb.com\n\n\n");
        assert!(complete);
        assert_eq!((settings.port, settings.nick.unwrap().as_str()), (Some(0), "laura"));
        assert!(output.contains("! : an address is user@domain, and there is no '@'\n"), "{output}");
    }

    #[test]
    fn what_is_wrong_is_said_and_asked_again() {
        let (complete, settings, output) = asked(&["--nick", "L"], "laura\x1b\nlaura@bb.com\n70000\n3500\n");
        assert!(complete);
        assert_eq!(settings.port, Some(3500));
        assert_eq!(settings.nick.unwrap().as_str(), "L");
        assert!(output.contains(r"! laura\x1b: an address is user@domain"), "{output}");
        assert!(output.contains("! 70000: a port is a number from 1 to 65535"), "{output}");
    }

    #[test]
    fn nothing_is_asked_when_there_is_an_address() {
        let (complete, settings, output) = asked(&["laura@bb.com"], "");
        assert!(complete);
        assert_eq!((settings.port, settings.nick, output.as_str()), (None, None, ""));
    }

    #[test]
    fn the_end_of_input_ends_the_questions() {
        for answers in ["", "laura@bb.com\n", "laura@bb.com\n3500\n"] {
            assert!(!asked(&[], answers).0, "{answers:?}");
        }
    }
}
