//! What a typed line means.

use plumi_proto::{AddressError, MiAddress};

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Call(MiAddress),
    Bye,
    Quit,
    Help,
    /// To be sent.
    Say(&'a str),
}

/// Why a line is none of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CommandError<'a> {
    /// `/call` with something else than an address.
    Address(&'a str, AddressError),
    /// `/call` alone.
    NoAddress,
    /// Another word with a slash: in a conversation, something to say.
    Unknown(&'a str),
}

impl<'a> Command<'a> {
    pub(crate) fn parse(line: &'a str) -> Result<Self, CommandError<'a>> {
        if line == "EXIT" {
            return Ok(Self::Quit);
        }
        let Some(rest) = line.strip_prefix('/') else { return Ok(Self::Say(line)) };
        if rest.starts_with('/') {
            return Ok(Self::Say(rest));
        }
        let (word, argument) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        let argument = argument.trim();
        match (word, argument) {
            ("call", "") => Err(CommandError::NoAddress),
            ("call", address) => {
                address.parse().map(Self::Call).map_err(|error| CommandError::Address(address, error))
            }
            ("bye" | "exit", "") => Ok(Self::Bye),
            ("quit", "") => Ok(Self::Quit),
            ("help", "") => Ok(Self::Help),
            _ => Err(CommandError::Unknown(line)),
        }
    }
}

/// The commands, for `/help`.
pub(crate) const HELP: [(&str, &str); 5] = [
    ("/call ADDRESS", "call somebody"),
    ("/bye, /exit", "end the conversation"),
    ("/quit, EXIT", "deregister and leave"),
    ("/help", "show this"),
    ("//text", "say /text; in a conversation every other line is said as it stands"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_understood() {
        let joya = "joya@cc.com".parse().unwrap();
        for (line, command) in [
            ("/call joya@cc.com", Command::Call(joya)),
            ("/call   joya@cc.com ", Command::Call(joya)),
            ("/bye", Command::Bye),
            ("/exit", Command::Bye),
            ("/quit", Command::Quit),
            ("EXIT", Command::Quit),
            ("/help", Command::Help),
            ("//bye", Command::Say("/bye")),
            ("///", Command::Say("//")),
            ("hola", Command::Say("hola")),
            (" /bye", Command::Say(" /bye")),
            ("exit", Command::Say("exit")),
            ("", Command::Say("")),
        ] {
            assert_eq!(Command::parse(line), Ok(command), "{line:?}");
        }
    }

    #[test]
    fn what_is_none_says_why() {
        for (line, error) in [
            ("/call", CommandError::NoAddress),
            ("/call joya", CommandError::Address("joya", AddressError::NoAt)),
            ("/bye bye", CommandError::Unknown("/bye bye")),
            ("/dance", CommandError::Unknown("/dance")),
            ("/help me", CommandError::Unknown("/help me")),
            ("/var/log is full", CommandError::Unknown("/var/log is full")),
            ("/", CommandError::Unknown("/")),
        ] {
            assert_eq!(Command::parse(line), Err(error), "{line:?}");
        }
    }
}
