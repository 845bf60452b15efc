//! The administrator's commands: one table for what is understood and what `help` says.

use anyhow::{Context, bail, ensure};
use message_log::is_visible;
use plumi_proto::UserName;

/// A command of the administrator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Command {
    Register(UserName),
    Deregister(UserName),
    List,
    Reload,
    Help,
    Exit,
}

impl Command {
    /// What `line` asks for; nothing, if it is blank.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(line: &str) -> anyhow::Result<Option<Self>> {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { return Ok(None) };
        let word = first.strip_prefix('/').unwrap_or(first);
        let Some(entry) = TABLE.iter().find(|entry| entry.word == word || entry.alias == Some(word)) else {
            bail!("there is no command '{}'; type help", brief(first));
        };
        let command = match (entry.takes, words.next()) {
            (Takes::Nothing(command), None) => command,
            (Takes::User(command), Some(name)) => {
                command(user(name).with_context(|| format!("cannot {} {}", entry.word, brief(name)))?)
            }
            (Takes::Nothing(_), Some(_)) => bail!("{word} stands alone"),
            (Takes::User(_), None) => bail!("{word} needs a user: {word} <user>"),
        };
        ensure!(words.next().is_none(), "{word} takes one user at a time");
        Ok(Some(command))
    }
}

/// What `help` answers: a line for each command.
pub(crate) fn help() -> String {
    let line = |entry: &Entry| {
        let user = if matches!(entry.takes, Takes::User(_)) { " <user>" } else { "" };
        let alias = entry.alias.map(|alias| format!("({alias})")).unwrap_or_default();
        format!("{:<19}{alias:<12}{}", format!("{}{user}", entry.word), entry.does)
    };
    TABLE.each_ref().map(line).join("\n")
}

fn user(name: &str) -> anyhow::Result<UserName> {
    if let Some((name, _)) = name.split_once('@') {
        bail!("give the name of the user alone, without '@' and domain: {}", brief(name));
    }
    name.parse().map_err(|error| anyhow::anyhow!("the user name {error}"))
}

/// What was typed, fit to be shown.
fn brief(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(MAX_SHOWN) {
        if is_visible(character) { shown.push(character) } else { shown.extend(character.escape_default()) }
    }
    if text.chars().nth(MAX_SHOWN).is_some() { shown + "..." } else { shown }
}

struct Entry {
    word: &'static str,
    alias: Option<&'static str>,
    takes: Takes,
    does: &'static str,
}

#[derive(Clone, Copy)]
enum Takes {
    User(fn(UserName) -> Command),
    Nothing(Command),
}

const TABLE: [Entry; 6] = [
    Entry {
        word: "register",
        alias: Some("alta"),
        takes: Takes::User(Command::Register),
        does: "the user belongs to the domain from now on, offline",
    },
    Entry {
        word: "deregister",
        alias: Some("baixa"),
        takes: Takes::User(Command::Deregister),
        does: "the user belongs to it no longer; one who is online is cut off",
    },
    Entry {
        word: "list",
        alias: Some("llistar"),
        takes: Takes::Nothing(Command::List),
        does: "the users: state, address, since when",
    },
    Entry {
        word: "reload",
        alias: None,
        takes: Takes::Nothing(Command::Reload),
        does: "takes over what was changed in the roster's file by hand",
    },
    Entry { word: "help", alias: None, takes: Takes::Nothing(Command::Help), does: "these lines" },
    Entry { word: "exit", alias: None, takes: Takes::Nothing(Command::Exit), does: "ends the node" },
];

/// The most characters of what was typed that an answer repeats: a user name has no more.
const MAX_SHOWN: usize = 40;
