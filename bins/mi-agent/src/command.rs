//! The commands that users type: one table for parsing, help and completion.

use std::fmt;

use mi_agent_core::{ItemId, KeyWords, KeyWordsError, safe_text};
use plumi_proto::{AddressError, MiAddress, UserName};

use crate::admission::AdmissionCommand;

/// A parsed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// `None` calls the peer of the tab in view.
    Call(Option<MiAddress>),
    Bye,
    Contacts,
    /// Adds a contact.
    Add(MiAddress),
    /// Searches the history of the peer in view.
    Find(&'a str),
    Admission(AdmissionCommand),
    /// Shows the words of the user's own key.
    Words,
    /// Compares the words of a user's key; `None`: of the peer of the tab in view.
    Verify {
        address: Option<MiAddress>,
        words: KeyWords,
    },
    /// Believes in the key of a user that was refused; with words, in the one that has these. `None` is the
    /// peer of the tab in view.
    Trust {
        address: Option<MiAddress>,
        words: Option<KeyWords>,
    },
    /// Calls a user once without encryption; `None`: the peer of the tab in view.
    Plain(Option<MiAddress>),
    /// Leaves a message for a user who is not there.
    Later(MiAddress, &'a str),
    /// Sends a message again.
    Resend(ItemId),
    /// Drops a message.
    Forget(ItemId),
    Protocol,
    Close,
    Quit,
    Help,
    /// A line to send.
    Say(&'a str),
}

/// The reason why a line is not a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CommandError<'a> {
    /// The argument must be an address, and is not.
    Address { verb: &'static str, text: &'a str, error: AddressError },
    /// The command needs an address, such as the second text, and has no argument.
    NoAddress(&'static str, &'static str),
    /// The command needs the words of a key behind the address.
    NoWords,
    /// The text behind the address is not the words of a key.
    Words(KeyWordsError),
    /// The command needs a text, and has no argument.
    NoText(&'static str),
    /// The command needs the id of a message.
    NoId(&'static str),
    /// The command takes nothing behind its name. In a conversation, line mode sends such a line.
    Argument { name: &'static str, line: &'a str },
    /// No command has this name. In a conversation, line mode sends such a line.
    Unknown(&'a str),
}

/// The front end in which the user types. Some commands make sense in one of them only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Line,
    Full,
}

impl<'a> Command<'a> {
    /// Parses a line of the user at `own`. A name without a domain is that of a user of the same domain.
    pub(crate) fn parse(line: &'a str, mode: Mode, own: &MiAddress) -> Result<Self, CommandError<'a>> {
        if line == "EXIT" {
            return Ok(Self::Quit);
        }
        let Some(rest) = line.strip_prefix('/') else { return Ok(Self::Say(line)) };
        if rest.starts_with('/') {
            return Ok(Self::Say(rest));
        }
        let (word, argument) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        let Some(known) = in_mode(mode).find(|known| known.names.contains(&word)) else {
            return Err(CommandError::Unknown(line));
        };
        let address = |verb, text: &'a str| {
            address_of(text, own).map_err(|error| CommandError::Address { verb, text, error })
        };
        let no_address = |word| CommandError::NoAddress(word, example_for(own));
        match (known.names[0], argument.trim()) {
            ("call", "") if mode == Mode::Line => Err(no_address("call")),
            ("call", "") => Ok(Self::Call(None)),
            ("call", to) => address("call", to).map(Some).map(Self::Call),
            ("find", "") => Err(CommandError::NoText("find")),
            ("find", text) => Ok(Self::Find(text)),
            ("add", "") => Err(no_address("add")),
            ("add", whom) => address("add", whom).map(Self::Add),
            ("block" | "allow-only", "") => Ok(Self::Admission(AdmissionCommand::Ask)),
            ("block", whom) => {
                address("block", whom).map(|whom| Self::Admission(AdmissionCommand::Block(whom)))
            }
            ("unblock", "") => Err(no_address("unblock")),
            ("unblock", whom) => {
                address("unblock", whom).map(|whom| Self::Admission(AdmissionCommand::Unblock(whom)))
            }
            ("allow-only", "off") => Ok(Self::Admission(AdmissionCommand::AllowEverybody)),
            ("allow-only", these) => {
                let these = these.split_whitespace().map(|one| address("allow", one));
                these.collect::<Result<_, _>>().map(AdmissionCommand::AllowOnly).map(Self::Admission)
            }
            ("verify", "") => Err(CommandError::NoWords),
            ("verify", argument) => {
                let (address, words) = key_of("verify", argument, mode, own)?;
                words.map(|words| Self::Verify { address, words }).ok_or(CommandError::NoWords)
            }
            (name @ ("trust" | "plain"), "") if mode == Mode::Line => Err(no_address(name)),
            ("trust", "") => Ok(Self::Trust { address: None, words: None }),
            ("trust", argument) => {
                key_of("trust", argument, mode, own).map(|(address, words)| Self::Trust { address, words })
            }
            ("plain", "") => Ok(Self::Plain(None)),
            ("plain", to) => address("call", to).map(Some).map(Self::Plain),
            ("later", argument) => {
                let (to, text) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
                match (to, text.trim()) {
                    ("", _) => Err(no_address("later")),
                    (_, "") => Err(CommandError::NoText("later")),
                    (to, text) => address("leave a message for", to).map(|to| Self::Later(to, text)),
                }
            }
            ("resend", id) => id.parse().map(Self::Resend).map_err(|_| CommandError::NoId("resend")),
            ("forget", id) => id.parse().map(Self::Forget).map_err(|_| CommandError::NoId("forget")),
            ("words", "") => Ok(Self::Words),
            ("bye", "") => Ok(Self::Bye),
            ("contacts", "") => Ok(Self::Contacts),
            ("protocol", "") => Ok(Self::Protocol),
            ("close", "") => Ok(Self::Close),
            ("quit", "") => Ok(Self::Quit),
            ("help", "") => Ok(Self::Help),
            (name, _) => Err(CommandError::Argument { name, line }),
        }
    }
}

/// Reads an address, and the words behind it if there are any. On the full screen, as many words as a key
/// has, without an address, are those of the peer in view.
fn key_of<'a>(
    verb: &'static str,
    argument: &'a str,
    mode: Mode,
    own: &MiAddress,
) -> Result<(Option<MiAddress>, Option<KeyWords>), CommandError<'a>> {
    if mode == Mode::Full && !argument.contains('@') && argument.split_whitespace().count() == KeyWords::COUNT
    {
        return argument.parse().map(|words| (None, Some(words))).map_err(CommandError::Words);
    }
    let (address, words) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let read = address_of(address, own);
    let address = read.map_err(|error| CommandError::Address { verb, text: address, error })?;
    let words = Some(words).filter(|words| !words.trim().is_empty());
    Ok((Some(address), words.map(str::parse).transpose().map_err(CommandError::Words)?))
}

/// Reads an address, or the name of a user of the domain of `own`.
pub(crate) fn address_of(text: &str, own: &MiAddress) -> Result<MiAddress, AddressError> {
    if text.contains('@') {
        return text.parse();
    }
    // A blank stands where the `@` should be.
    if text.contains(char::is_whitespace) {
        return Err(AddressError::NoAt);
    }
    MiAddress::new(&UserName::new(text).map_err(AddressError::User)?, &own.domain())
}

/// Returns an address to show to the user at `own`, which is that of somebody else.
pub(crate) fn example_for(own: &MiAddress) -> &'static str {
    const JOYA: &str = "joya@cc.com";
    if own.as_str() == JOYA { "laura@bb.com" } else { JOYA }
}

impl fmt::Display for CommandError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { verb, text, error } => write!(f, "cannot {verb} {}: {error}", safe_text(text)),
            Self::NoAddress(word, example) => {
                write!(f, "/{word} needs an address, such as /{word} {example}")
            }
            Self::NoWords => f.write_str(
                "/verify needs an address and the words of its key, which its user reads out (/words); type them all",
            ),
            Self::Words(error) => write!(f, "these words {}", safe_text(&error.to_string())),
            Self::NoText("later") => f.write_str("/later needs an address and a text, such as /later joya dinner at 8?"),
            Self::NoText(word) => write!(f, "/{word} needs a text, such as /{word} dinner"),
            Self::NoId(word) => {
                write!(f, "/{word} needs the id of a message, of 16 characters; mi-agent outbox shows them")
            }
            Self::Argument { name, line } => {
                let line = safe_text(line);
                write!(f, "/{name} stands alone, without anything behind it; to send the line, type /{line}")
            }
            Self::Unknown(line) => write!(f, "there is no command {}; /help lists them", safe_text(line)),
        }
    }
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct CommandInfo {
    /// Names without the slash; the usual one comes first.
    names: &'static [&'static str],
    /// The argument as help shows it; empty if there is none.
    argument: &'static str,
    /// The effect, as help describes it.
    pub(crate) meaning: &'static str,
    full_only: bool,
}

impl CommandInfo {
    /// Whether one of its names begins with `word`.
    pub(crate) fn begins_with(&self, word: &str) -> bool {
        self.names.iter().any(|name| name.starts_with(word))
    }

    /// The names and the argument, as help shows them.
    pub(crate) fn usage(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|name| format!("/{name}")).collect();
        let usage = format!("{} {}", names.join(", "), self.argument);
        usage.trim_end().to_owned()
    }
}

/// Returns the commands of `mode`, in the order of help.
pub(crate) fn in_mode(mode: Mode) -> impl Iterator<Item = &'static CommandInfo> {
    COMMANDS.iter().filter(move |known| mode == Mode::Full || !known.full_only)
}

/// Returns input that is not in the table of commands, and its meaning, for help.
pub(crate) fn also(mode: Mode) -> [(&'static str, &'static str); 2] {
    let text = match mode {
        Mode::Line => "say /text; other lines are said as they stand",
        Mode::Full => "say /text, as what begins with one / is a command",
    };
    [("EXIT", "as /quit"), ("//text", text)]
}

/// Completes the command or the address at the end of `line`.
///
/// Each result is a whole line. Commands come in the order of help, addresses in that of `addresses`.
pub(crate) fn completions(line: &str, addresses: &[MiAddress]) -> Vec<String> {
    let Some(rest) = line.strip_prefix('/').filter(|rest| !rest.starts_with('/')) else { return Vec::new() };
    let Some((word, argument)) = rest.split_once(' ') else {
        let names = COMMANDS.iter().flat_map(|known| known.names.iter().map(move |name| (known, name)));
        let begun = names.filter(|(_, name)| name.starts_with(rest));
        let space = |known: &CommandInfo| if known.argument.is_empty() { "" } else { " " };
        return begun.map(|(known, name)| format!("/{name}{}", space(known))).collect();
    };
    let takes_address =
        |known: &&CommandInfo| known.names.contains(&word) && known.argument.contains("ADDRESS");
    if !COMMANDS.iter().any(|known| takes_address(&known)) {
        return Vec::new();
    }
    // The last of several addresses is completed. Words of keys are read out and typed.
    let is_one = |known: &CommandInfo| !known.argument.contains("ADDRESS…");
    if argument.contains(' ') && COMMANDS.iter().any(|known| takes_address(&known) && is_one(known)) {
        return Vec::new();
    }
    let begun = argument.rsplit(' ').next().unwrap_or(argument);
    let before = &line[..line.len() - begun.len()];
    let begins = |address: &&MiAddress| address.as_str().starts_with(begun);
    addresses.iter().filter(begins).map(|address| format!("{before}{address}")).collect()
}

const COMMANDS: [CommandInfo; 19] = [
    known(&["call"], "ADDRESS", "call somebody (joya: of your own domain)"),
    known(&["bye", "exit"], "", "end the conversation"),
    full(&["contacts"], "", "calls made, taken or missed while busy; Enter calls"),
    full(&["add"], "ADDRESS", "add somebody to the contacts; Del removes one there"),
    full(&["find"], "TEXT", "search the history of this tab"),
    known(&["block"], "ADDRESS", "take no calls of somebody, who is told you are busy"),
    known(&["unblock"], "ADDRESS", "take them again"),
    known(&["allow-only"], "ADDRESS…", "take calls of these alone; off: of everybody"),
    known(&["words"], "", "show the words of your key, to read them out"),
    known(&["verify"], "ADDRESS WORD…", "compare somebody's words: type what you hear"),
    known(&["trust"], "ADDRESS [WORD…]", "take the new key of somebody, after a warning"),
    known(&["plain"], "ADDRESS", "call somebody once without encryption"),
    known(&["later"], "ADDRESS TEXT", "leave a message for somebody who is not there"),
    known(&["resend"], "ID", "send a message again that may have arrived"),
    known(&["forget"], "ID", "drop a message that waits"),
    full(&["protocol"], "", "show or hide every message as it passes"),
    full(&["close"], "", "close this tab, after /bye"),
    known(&["help"], "", "show this"),
    known(&["quit"], "", "deregister and leave"),
];

const fn known(names: &'static [&'static str], argument: &'static str, meaning: &'static str) -> CommandInfo {
    CommandInfo { names, argument, meaning, full_only: false }
}

const fn full(names: &'static [&'static str], argument: &'static str, meaning: &'static str) -> CommandInfo {
    CommandInfo { names, argument, meaning, full_only: true }
}

#[cfg(test)]
mod tests {
    use plumi_proto::NameError;

    use super::*;

    fn laura() -> MiAddress {
        "laura@bb.com".parse().unwrap()
    }

    fn joya() -> MiAddress {
        "joya@cc.com".parse().unwrap()
    }

    #[test]
    fn commands_are_understood() {
        let pere: MiAddress = "pere@bb.com".parse().unwrap();
        let words: KeyWords = "ability able about above absent absorb abstract absurd".parse().unwrap();
        for (line, command) in [
            ("/call joya@cc.com", Command::Call(Some(joya()))),
            ("/call   joya@cc.com ", Command::Call(Some(joya()))),
            ("/call pere", Command::Call(Some(pere))),
            ("/block pere", Command::Admission(AdmissionCommand::Block(pere))),
            ("/bye", Command::Bye),
            ("/exit", Command::Bye),
            ("/quit", Command::Quit),
            ("EXIT", Command::Quit),
            ("/help", Command::Help),
            ("/block joya@cc.com", Command::Admission(AdmissionCommand::Block(joya()))),
            ("/block", Command::Admission(AdmissionCommand::Ask)),
            ("/unblock joya@cc.com", Command::Admission(AdmissionCommand::Unblock(joya()))),
            ("/allow-only", Command::Admission(AdmissionCommand::Ask)),
            ("/allow-only off", Command::Admission(AdmissionCommand::AllowEverybody)),
            (
                "/allow-only joya@cc.com  pere@bb.com",
                Command::Admission(AdmissionCommand::AllowOnly(vec![joya(), pere])),
            ),
            ("/words", Command::Words),
            (
                "/verify joya@cc.com  ability able about above absent absorb abstract ABSURD",
                Command::Verify { address: Some(joya()), words },
            ),
            (
                "/trust pere ability able about above absent absorb abstract absurd",
                Command::Trust { address: Some(pere), words: Some(words) },
            ),
            ("/trust joya@cc.com", Command::Trust { address: Some(joya()), words: None }),
            ("/plain joya@cc.com", Command::Plain(Some(joya()))),
            ("//bye", Command::Say("/bye")),
            ("///", Command::Say("//")),
            ("hola", Command::Say("hola")),
            (" /bye", Command::Say(" /bye")),
            ("exit", Command::Say("exit")),
            ("", Command::Say("")),
        ] {
            assert_eq!(Command::parse(line, Mode::Line, &laura()), Ok(command.clone()), "{line:?}");
            assert_eq!(Command::parse(line, Mode::Full, &laura()), Ok(command), "{line:?}");
        }
        for (line, command) in [
            ("/call", Command::Call(None)),
            ("/contacts", Command::Contacts),
            ("/protocol", Command::Protocol),
            ("/close", Command::Close),
            (
                "/verify ability able about above absent absorb abstract ABSURD",
                Command::Verify { address: None, words },
            ),
            (
                "/trust ability able about above absent absorb abstract absurd",
                Command::Trust { address: None, words: Some(words) },
            ),
            ("/trust", Command::Trust { address: None, words: None }),
            ("/plain", Command::Plain(None)),
        ] {
            assert_eq!(Command::parse(line, Mode::Full, &laura()), Ok(command), "{line:?}");
        }
    }

    #[test]
    fn what_is_none_says_why() {
        let not_a_user = |verb, text| {
            let error = NameError::Forbidden { character: ':', at: 2 };
            CommandError::Address { verb, text, error: AddressError::User(error) }
        };
        let no_at = |verb, text| CommandError::Address { verb, text, error: AddressError::NoAt };
        for (line, error) in [
            ("/call", CommandError::NoAddress("call", "joya@cc.com")),
            ("/call jo:ya", not_a_user("call", "jo:ya")),
            ("/block jo:ya", not_a_user("block", "jo:ya")),
            ("/unblock", CommandError::NoAddress("unblock", "joya@cc.com")),
            ("/call joya cc.com", no_at("call", "joya cc.com")),
            ("/add joya cc.com", CommandError::Unknown("/add joya cc.com")),
            ("/allow-only joya@cc.com jo:ya", not_a_user("allow", "jo:ya")),
            ("/bye bye", CommandError::Argument { name: "bye", line: "/bye bye" }),
            ("/dance", CommandError::Unknown("/dance")),
            ("/verify", CommandError::NoWords),
            ("/verify joya@cc.com", CommandError::NoWords),
            ("/verify joya@cc.com zoo", CommandError::Words(KeyWordsError::Count(1))),
            (
                "/trust joya@cc.com zoo zou",
                CommandError::Words(KeyWordsError::Unknown { at: 2, word: "zou".into() }),
            ),
            ("/trust", CommandError::NoAddress("trust", "joya@cc.com")),
            ("/verify jo:ya zoo", not_a_user("verify", "jo:ya")),
            ("/plain", CommandError::NoAddress("plain", "joya@cc.com")),
            ("/words joya@cc.com", CommandError::Argument { name: "words", line: "/words joya@cc.com" }),
            ("/help me", CommandError::Argument { name: "help", line: "/help me" }),
            ("/var/log is full", CommandError::Unknown("/var/log is full")),
            ("/", CommandError::Unknown("/")),
            // Line mode has no screen to show them on.
            ("/contacts", CommandError::Unknown("/contacts")),
        ] {
            assert_eq!(Command::parse(line, Mode::Line, &laura()), Err(error), "{line:?}");
        }
        let error = Command::parse("/call jo\x1bya", Mode::Full, &laura()).unwrap_err().to_string();
        assert!(error.starts_with(r"cannot call jo\x1bya: "), "{error}");
        let error = Command::parse("/call", Mode::Line, &joya()).unwrap_err().to_string();
        assert_eq!(error, "/call needs an address, such as /call laura@bb.com", "joya knows her own");
        let error = Command::parse("/exit now", Mode::Full, &laura()).unwrap_err().to_string();
        assert_eq!(error, "/bye stands alone, without anything behind it; to send the line, type //exit now");
    }

    /// Help and completion show every command, and nothing else.
    #[test]
    fn the_table_is_what_is_understood() {
        for known in in_mode(Mode::Full) {
            for name in known.names {
                let argument = match known.argument {
                    "" => "",
                    "ADDRESS WORD…" => " joya@cc.com zoo zoo zoo zoo zoo zoo zoo zoo",
                    "ADDRESS TEXT" => " joya@cc.com dinner at 8?",
                    "ID" => " 0123456789abcdef",
                    _ => " joya@cc.com",
                };
                let line = format!("/{name}{argument}");
                let command = Command::parse(&line, Mode::Full, &laura());
                assert!(!matches!(command, Err(_) | Ok(Command::Say(_))), "{line}: {command:?}");
                let begun = &line[..3];
                let completed = completions(begun, &[]);
                assert!(
                    completed.iter().any(|whole| whole.trim_end() == format!("/{name}")),
                    "{completed:?}"
                );
            }
        }
    }

    #[test]
    fn commands_and_addresses_are_completed() {
        let known = [joya(), "joan@bb.com".parse().unwrap(), "pere@bb.com".parse().unwrap()];
        for (line, completed) in [
            ("/c", &["/call ", "/contacts", "/close"][..]),
            ("/call", &["/call "]),
            ("/call jo", &["/call joya@cc.com", "/call joan@bb.com"]),
            ("/call joya@cc.com", &["/call joya@cc.com"]),
            (
                "/allow-only pere@bb.com jo",
                &["/allow-only pere@bb.com joya@cc.com", "/allow-only pere@bb.com joan@bb.com"],
            ),
            ("/verify jo", &["/verify joya@cc.com", "/verify joan@bb.com"]),
            ("/verify joya@cc.com jo", &[]),
            ("/trust joya@cc.com ", &[]),
            ("/plain pe", &["/plain pere@bb.com"]),
            ("/bye jo", &[]),
            ("/dance jo", &[]),
            ("jo", &[]),
            ("//c", &[]),
            ("", &[]),
        ] {
            assert_eq!(completions(line, &known), completed, "{line:?}");
        }
    }
}
