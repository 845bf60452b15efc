//! Prompts for what neither the command line nor the settings file says.

use std::fmt::Display;
use std::io::{self, BufRead, Read, Write};
use std::str::FromStr;

use mi_agent_core::{InvitationCode, safe_text};
use plumi_proto::MiAddress;

use crate::options::settings::Settings;
use crate::typed_code::TypedCode;

/// The answers to the prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// The input ended.
    Incomplete,
    Complete {
        /// The address is to be saved.
        saves: bool,
    },
}

/// Asks for the address if it is missing, and then, if it can be saved, whether it is to be.
pub(crate) fn ask_for_missing(
    settings: &mut Settings,
    can_save: bool,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<Answers> {
    if settings.address.is_some() {
        return Ok(Answers::Complete { saves: false });
    }
    let Some(address) = ask(input, output, "Your address (user@domain): ", None)? else {
        return Ok(Answers::Incomplete);
    };
    settings.address = Some(address);
    if !can_save {
        return Ok(Answers::Complete { saves: false });
    }
    let question = "Start with this address from now on? [Y/n] ";
    Ok(match ask(input, output, question, Some(Yes(true)))? {
        Some(Yes(saves)) => Answers::Complete { saves },
        None => Answers::Incomplete,
    })
}

/// Asks for the code of an invitation of the user at `own`. `None`: the input ended.
pub(crate) fn ask_for_code(
    own: &MiAddress,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<Option<InvitationCode>> {
    let typed = ask(input, output, &format!("Invitation code of {own}: "), None)?;
    Ok(typed.map(|TypedCode(code)| code))
}

/// Asks a user that may have none for the code of an invitation. `None`: there is none, or the input ended.
pub(crate) fn ask_for_code_or_none(
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<Option<InvitationCode>> {
    let question = "code of your invitation (Enter: none): ";
    Ok(ask(input, output, question, Some(Invited(None)))?.and_then(|Invited(code)| code))
}

/// The code of an invitation, if there is one.
#[derive(Clone)]
struct Invited(Option<InvitationCode>);

impl FromStr for Invited {
    type Err = <TypedCode as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|TypedCode(code)| Self(Some(code)))
    }
}

/// The answer to a question of yes or no, with an error text for people.
#[derive(Clone)]
struct Yes(bool);

impl FromStr for Yes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "y" | "Y" | "yes" => Ok(Self(true)),
            "n" | "N" | "no" => Ok(Self(false)),
            _ => Err("y is yes, and n is no"),
        }
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
            Err(error) if answer.is_empty() => writeln!(output, "! {error}")?,
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

    fn asked(arguments: &[&str], answers: &str) -> (Answers, Settings, String) {
        let cli = Cli::parse_from([&["mi-agent"], arguments].concat());
        let mut settings = Settings::defaults().unwrap().overridden(cli.address, &cli.options).unwrap();
        let mut output = Vec::new();
        let answers = ask_for_missing(&mut settings, true, &mut answers.as_bytes(), &mut output).unwrap();
        (answers, settings, String::from_utf8(output).unwrap())
    }

    #[test]
    fn the_address_is_asked_for_and_saved_if_the_user_wants_that() {
        for (answer, saves) in [("", true), ("y", true), ("yes", true), ("n", false), ("what?\nno", false)] {
            let (answers, settings, output) = asked(&[], &format!("laura@bb.com\n{answer}\n"));
            assert_eq!(answers, Answers::Complete { saves }, "{answer}");
            assert_eq!(settings.address.unwrap().as_str(), "laura@bb.com");
            assert_eq!((settings.port, settings.nick), (None, None));
            let questions = "Your address (user@domain): Start with this address from now on? [Y/n] ";
            assert!(output.starts_with(questions), "{output}");
            assert_eq!(output.contains("! what?: y is yes, and n is no\n"), answer.starts_with('w'));
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_asked_again() {
        let (answers, settings, output) = asked(&["--nick", "L"], "\nlaura\x1b\nlaura@bb.com\nn\n");
        assert_eq!(answers, Answers::Complete { saves: false });
        assert_eq!(settings.nick.unwrap().as_str(), "L");
        assert!(output.contains(": ! an address is user@domain, and there is no '@'\n"), "{output}");
        assert!(output.contains(r"! laura\x1b: an address is user@domain"), "{output}");
    }

    #[test]
    fn nothing_is_asked_when_there_is_an_address() {
        let (answers, settings, output) = asked(&["laura@bb.com"], "");
        assert_eq!(answers, Answers::Complete { saves: false });
        assert_eq!((settings.port, settings.nick, output.as_str()), (None, None, ""));
    }

    #[test]
    fn a_code_is_asked_for_until_it_is_one_and_no_code_is_shown() {
        let own = "laura@bb.com".parse().unwrap();
        let mut output = Vec::new();
        let answers = "KQ7M\nkq7m 2xtn 9d4v w3rh\n";
        let code = ask_for_code(&own, &mut answers.as_bytes(), &mut output).unwrap().unwrap();
        assert_eq!(code, "KQ7M-2XTN-9D4V-W3RH".parse().unwrap());
        let output = String::from_utf8(output).unwrap();
        let question = "Invitation code of laura@bb.com: ";
        let told = format!("{question}! KQ7M: a code has 16 characters, and this has 4\n{question}");
        assert_eq!(output, told);
        assert_eq!(ask_for_code(&own, &mut "".as_bytes(), &mut Vec::new()).unwrap(), None);
    }

    #[test]
    fn a_user_may_have_no_code() {
        let question = "code of your invitation (Enter: none): ";
        let code = "KQ7M-2XTN-9D4V-W3RH".parse().ok();
        let mistyped = "! KQ7M: a code has 16 characters, and this has 4\n";
        for (answers, expected, told) in [
            ("kq7m2xtn9d4vw3rh\n", code, question.to_owned()),
            ("KQ7M\nKQ7M-2XTN-9D4V-W3RH\n", code, format!("{question}{mistyped}{question}")),
            ("\n", None, question.to_owned()),
            ("", None, format!("{question}\n")),
        ] {
            let mut output = Vec::new();
            let answered = ask_for_code_or_none(&mut answers.as_bytes(), &mut output).unwrap();
            assert_eq!((answered, String::from_utf8(output).unwrap()), (expected, told));
        }
    }

    #[test]
    fn the_end_of_input_ends_the_questions() {
        for answers in ["", "laura@bb.com\n"] {
            assert_eq!(asked(&[], answers).0, Answers::Incomplete, "{answers:?}");
        }
    }
}
