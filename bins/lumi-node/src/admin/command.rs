//! The administrator's commands: one table for the console, `lumi-node ctl` and the text of `help`.

use anyhow::anyhow;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand};
use diagnostics::escaped;
use lumi_node_core::PublicKey;
use plumi_proto::UserName;
use serde::{Deserialize, Serialize};

use super::invitation::InviteArgs;
use super::typed_name::{self, user};

/// A command of an administrator to a running node.
#[derive(Clone, Debug, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Command {
    /// A user more, offline so far
    #[command(visible_alias = "alta")]
    Register {
        /// By name alone, without the domain
        #[arg(value_parser = user)]
        #[serde(with = "typed_name::one")]
        user: UserName,
    },
    /// A user less, cut off if online
    #[command(visible_alias = "baixa")]
    Deregister {
        /// By name alone, without the domain
        #[arg(value_parser = user)]
        #[serde(with = "typed_name::one")]
        user: UserName,
    },
    /// The users: state, address, since when
    #[command(visible_alias = "llistar")]
    List {
        /// As JSON
        #[arg(long)]
        #[serde(default)]
        json: bool,
        /// Only those whose name matches: `*` is any characters, `?` is one
        pattern: Option<String>,
    },
    /// How the node is, and what it has done
    Status {
        /// As JSON
        #[arg(long)]
        #[serde(default)]
        json: bool,
    },
    Invite(InviteArgs),
    /// The invitations, without their codes
    Invites {
        /// As JSON
        #[arg(long)]
        #[serde(default)]
        json: bool,
    },
    /// The keys by which users prove their registrations
    Keys {
        /// As JSON
        #[arg(long, conflicts_with = "known_peers")]
        #[serde(default)]
        json: bool,
        /// Those that have proved one since the start, for `mi-agent trust import`
        #[arg(long)]
        #[serde(default)]
        known_peers: bool,
    },
    /// A key of a user
    #[command(subcommand)]
    Key(KeyCommand),
    /// Takes over changed roster, keys and settings
    Reload {},
    /// The message log
    #[command(subcommand)]
    Log(LogCommand),
}

impl Command {
    /// Returns whether codes for cameras are drawn below the lines of the answer.
    pub(crate) fn draws_camera_codes(&self) -> bool {
        matches!(self, Self::Invite(args) if args.qr)
    }

    /// Returns whether the command may change the state of the node.
    pub(crate) fn changes_something(&self) -> bool {
        !matches!(self, Self::List { .. } | Self::Status { .. } | Self::Keys { .. } | Self::Invites { .. })
    }
}

/// A change of the keys of a user.
#[derive(Clone, Debug, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum KeyCommand {
    /// A key more, which the user proves registrations by
    Add(KeyOfUser),
    /// A key less, or all keys of the user
    Remove {
        /// By name alone, without the domain
        #[arg(value_parser = user)]
        #[serde(with = "typed_name::one")]
        user: UserName,
        /// In base64 [default: all of them]
        #[arg(value_name = "BASE64")]
        #[serde(with = "optional_key", default, skip_serializing_if = "Option::is_none")]
        key: Option<PublicKey>,
    },
}

/// A key, and the user whose it is.
#[derive(Clone, Debug, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyOfUser {
    /// By name alone, without the domain
    #[arg(value_parser = user)]
    #[serde(with = "typed_name::one")]
    pub(crate) user: UserName,
    /// In base64, as `mi-agent key show --line` prints it
    #[arg(value_name = "BASE64")]
    #[serde(with = "key")]
    pub(crate) key: PublicKey,
}

/// What to do with the message log.
#[derive(Clone, Copy, Debug, PartialEq, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogCommand {
    /// Begins the message log in a new file
    Reopen,
}

/// A command that can be typed at the console.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub(crate) enum ConsoleCommand {
    #[command(flatten)]
    Command(Command),
    /// These lines
    Help,
    /// Ends the node
    #[command(visible_alias = "quit")]
    Exit,
}

/// A line of the console.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
struct ConsoleLine {
    #[command(subcommand)]
    command: ConsoleCommand,
}

/// Parses a `line` of the console; `None` if it is blank.
///
/// # Errors
/// The mistake in it, on one line.
pub(crate) fn parse(line: &str) -> anyhow::Result<Option<ConsoleCommand>> {
    let mut words = line.split_whitespace();
    let Some(first) = words.next() else { return Ok(None) };
    let first = first.strip_prefix('/').unwrap_or(first);
    match ConsoleLine::try_parse_from(std::iter::once(first).chain(words.map(unquoted))) {
        Ok(line) => Ok(Some(line.command)),
        Err(error) => Err(anyhow!("{}", reason(&error))),
    }
}

/// Removes the quotes around a `word`, because people quote patterns as in a shell.
fn unquoted(word: &str) -> &str {
    let quoted = |quote| word.strip_prefix(quote)?.strip_suffix(quote);
    quoted('\'').or_else(|| quoted('"')).unwrap_or(word)
}

/// The first words of all commands.
pub(crate) fn words() -> Vec<String> {
    ConsoleLine::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The answer to `help`: a line for each command.
pub(crate) fn help() -> String {
    let mut lines = Vec::new();
    for command in ConsoleLine::command().get_subcommands() {
        if command.has_subcommands() {
            lines.extend(
                command.get_subcommands().map(|inner| help_line(&format!("{} ", command.get_name()), inner)),
            );
        } else {
            lines.push(help_line("", command));
        }
    }
    lines.join("\n")
}

fn help_line(before: &str, command: &clap::Command) -> String {
    let mut usage = format!("{before}{}", command.get_name());
    for argument in command.get_arguments() {
        let name = argument.get_id();
        usage += &match (argument.get_long(), argument.is_required_set()) {
            (Some(long), _) => format!(" [--{long}]"),
            (None, true) => format!(" <{name}>"),
            (None, false) => format!(" [{name}]"),
        };
    }
    let alias = command.get_visible_aliases().next().map(|alias| format!("({alias})")).unwrap_or_default();
    let about = command.get_about().map(StyledStr::to_string).unwrap_or_default();
    format!("{usage:<26}{alias:<11}{about}")
}

/// Describes the mistake on one line, without invisible characters.
fn reason(error: &clap::Error) -> String {
    let given = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => brief(text),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let given = given(ContextKind::InvalidSubcommand);
            if IN_A_SHELL.contains(&&*given) {
                return format!("there is no command '{given}' here; in a shell: `lumi-node {given}`");
            }
            format!("there is no command '{given}'; type help")
        }
        ErrorKind::MissingRequiredArgument => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(missing)) => format!("{} is missing; type help", missing.join(" ")),
            _ => "something is missing; type help".into(),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "the rest of the command is missing; type help".into()
        }
        ErrorKind::InvalidValue => {
            format!(
                "'{}' is no value of {}",
                given(ContextKind::InvalidValue),
                given(ContextKind::InvalidArg)
            )
        }
        ErrorKind::UnknownArgument => format!("'{}' is one word too many", given(ContextKind::InvalidArg)),
        ErrorKind::ValueValidation => {
            let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("{}: {source}", given(ContextKind::InvalidValue))
        }
        _ => brief(&error.to_string()),
    }
}

/// Shortens and escapes typed text, so that it can be shown.
fn brief(text: &str) -> String {
    let shown = escaped(&text.chars().take(MAX_SHOWN).collect::<String>());
    if text.chars().nth(MAX_SHOWN).is_some() { shown + "..." } else { shown }
}

/// Serializes a key as its text.
mod key {
    use lumi_node_core::PublicKey;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Serializes a key as its text, if there is one.
mod optional_key {
    use lumi_node_core::PublicKey;
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(
        key: &Option<PublicKey>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => super::key::serialize(key, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PublicKey>, D::Error> {
        super::key::deserialize(deserializer).map(Some)
    }
}

/// The subcommands of `lumi-node` that are no commands of the console.
pub(crate) const IN_A_SHELL: [&str; 5] = ["check", "init", "ctl", "watch", "completions"];

/// The maximum number of typed characters that an answer repeats: no user name is longer.
const MAX_SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_one_that_clap_accepts() {
        ConsoleLine::command().debug_assert();
    }

    #[test]
    fn a_line_that_is_no_command_says_what_to_type() {
        assert_eq!(parse("quit").unwrap(), Some(ConsoleCommand::Exit));
        assert!(help().contains("\nexit                      (quit)     Ends the node"), "{}", help());
        for (line, expected) in [
            ("check", "there is no command 'check' here; in a shell: `lumi-node check`"),
            ("watch --follow", "there is no command 'watch' here; in a shell: `lumi-node watch`"),
            ("/dance", "there is no command 'dance'; type help"),
            ("invite laura --valid 4min", "4min: give a time from 5min to 30d, such as 90min, 24h or 7d"),
            ("invite laura --format pdf", "'pdf' is no value of --format <FORMAT>"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_command_is_the_same_after_its_way_through_the_socket() {
        let lines = ["register laura", "baixa pere", "list", "list --json l*", "status", "status --json"];
        let key = format!("key add laura {}=", "A".repeat(43));
        let removal = key.replace("add", "remove");
        let more = [
            "reload",
            "log reopen",
            "list 'l*'",
            "keys",
            "keys --json",
            "keys --known-peers",
            &key,
            &removal,
            "key remove laura",
            "invite laura",
            "invite laura pere --format csv",
            "invite --all-new --format table --valid 7d",
            "invite --all-new --for 7d",
            "invites",
            "invites --json",
        ];
        for line in lines.into_iter().chain(more) {
            let Some(ConsoleCommand::Command(command)) = parse(line).unwrap() else { panic!("{line}") };
            let text = serde_json::to_string(&command).unwrap();
            assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), command, "{text}");
        }
        assert_eq!(
            serde_json::to_string(&parse_one("register laura")).unwrap(),
            r#"{"register":{"user":"laura"}}"#
        );
        for wrong in [
            r#"{"register":{"user":"a@b"}}"#,
            r#"{"register":{"user":""}}"#,
            r#""exit""#,
            "{}",
            r#"{"list":{"jsn":true}}"#,
            r#"{"invite":{"users":["a@b"]}}"#,
            r#"{"invite":{"all-new":true,"valid":"1min"}}"#,
        ] {
            assert!(serde_json::from_str::<Command>(wrong).is_err(), "{wrong}");
        }
    }

    fn parse_one(line: &str) -> Command {
        match parse(line) {
            Ok(Some(ConsoleCommand::Command(command))) => command,
            other => panic!("{line}: {other:?}"),
        }
    }
}
