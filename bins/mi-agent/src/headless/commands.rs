//! Orders of a program to `mi-agent listen --json`: one JSON object a line (docs/events.md).

use std::io::{self, BufRead, Read};
use std::time::Duration;

use mi_agent_core::{DEFAULT_KEEP, ItemId, KeyWords, safe_text};
use plumi_proto::MiAddress;
use serde::Deserialize;
use serde_json::error::Category;

use crate::options::values;
use crate::report::Reference;
use crate::typed_lines::TypedLines;

/// A line that is not empty, with its number, counted from 1.
pub(crate) type Given = (u64, Result<Order, NoCommand>);

/// A command, and the mark of its answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) command: Command,
    pub(crate) reference: Option<Reference>,
}

/// The operation that an order asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Call(MiAddress),
    Say {
        text: String,
        to: u64,
    },
    Bye(u64),
    Verify {
        address: MiAddress,
        words: KeyWords,
    },
    Trust(MiAddress),
    /// Permits one plain conversation, and calls.
    Plain(MiAddress),
    /// Leaves a message for a user who is not there.
    Later {
        text: String,
        to: MiAddress,
        keep: Duration,
    },
    Resend(ItemId),
    Forget(ItemId),
    Quit,
}

/// The reason why a line is not an order.
#[derive(Debug, PartialEq)]
pub(crate) struct NoCommand {
    pub(crate) reason: String,
    /// The mark of the line, if it could be read.
    pub(crate) reference: Option<Reference>,
}

/// Starts reading orders from stdin.
pub(crate) fn start() -> TypedLines<Given> {
    let mut number = 0;
    TypedLines::read_by(move |stdin| {
        loop {
            let Some(line) = read_line(stdin)? else { return Ok(None) };
            number += 1;
            if !line.as_ref().is_ok_and(|line| line.trim_ascii().is_empty()) {
                return Ok(Some((number, line.and_then(|line| parse(&line)))));
            }
        }
    })
}

/// Reads the next line, with its end. A line that is too long is skipped whole.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, NoCommand>>> {
    let mut line = Vec::new();
    if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") || (line.len() as u64) < MAX_LINE {
        return Ok(Some(Ok(line)));
    }
    loop {
        line.clear();
        match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(1..) if !line.ends_with(b"\n") => {}
            _ => break,
        }
    }
    let reason = format!("a line has {MAX_LINE} bytes at most");
    Ok(Some(Err(NoCommand { reason, reference: None })))
}

/// Reads one order.
///
/// # Errors
/// The line is none.
pub(crate) fn parse(line: &[u8]) -> Result<Order, NoCommand> {
    // serde would accept an array of the right length, too.
    if !line.trim_ascii_start().starts_with(b"{") {
        let reason = r#"a command is a JSON object, such as {"call":"joya@cc.com"}"#.into();
        return Err(NoCommand { reason, reference: None });
    }
    let fields: Fields = serde_json::from_slice(line).map_err(|error| NoCommand {
        reason: reason(&error),
        reference: serde_json::from_slice(line)
            .ok()
            .and_then(|Marked { reference }| checked(reference).ok()?),
    })?;
    let reference =
        checked(fields.reference.clone()).map_err(|reason| NoCommand { reason, reference: None })?;
    match command(fields) {
        Ok(command) => Ok(Order { command, reference }),
        Err(reason) => Err(NoCommand { reason, reference }),
    }
}

/// Returns the one command that has `fields`.
fn command(fields: Fields) -> Result<Command, String> {
    if let Some(command) = of_outbox(&fields)? {
        return Ok(command);
    }
    let Fields { call, say, to, bye, quit, verify, words, trust, plain, .. } = fields;
    let address = |field: &str, text: String| {
        text.parse::<MiAddress>().map_err(|error| format!("{field} is no address: {error}"))
    };
    let key = |field: &str, text: String, words: Vec<String>| {
        let words = words.join(" ").parse().map_err(|error| format!("words {error}"))?;
        Ok(Command::Verify { address: address(field, text)?, words })
    };
    match (call, say, to, bye, quit, (verify, trust, words), plain) {
        (Some(whom), None, None, None, None, (None, None, None), None) => {
            address("call", whom).map(Command::Call)
        }
        (None, Some(text), Some(to), None, None, (None, None, None), None) => Ok(Command::Say { text, to }),
        (None, Some(_), None, None, None, (None, None, None), None) => {
            Err("say needs to, the number of a conversation".into())
        }
        (None, None, None, Some(conversation), None, (None, None, None), None) => {
            Ok(Command::Bye(conversation))
        }
        (None, None, None, None, Some(true), (None, None, None), None) => Ok(Command::Quit),
        (None, None, None, None, Some(false), (None, None, None), None) => {
            Err("quit is true or not there".into())
        }
        (None, None, None, None, None, (Some(whose), None, Some(words)), None) => key("verify", whose, words),
        (None, None, None, None, None, (Some(_), None, None), None) => {
            Err("verify needs words, those of the key".into())
        }
        (None, None, None, None, None, (None, Some(whose), Some(words)), None) => key("trust", whose, words),
        (None, None, None, None, None, (None, Some(whose), None), None) => {
            address("trust", whose).map(Command::Trust)
        }
        (None, None, None, None, None, (None, None, None), Some(whom)) => {
            address("plain", whom).map(Command::Plain)
        }
        _ => Err(ONE_OF.into()),
    }
}

/// Returns the command about messages that has `fields`, if it is one.
fn of_outbox(fields: &Fields) -> Result<Option<Command>, String> {
    let Fields { later, r#for, keep, resend, forget, .. } = fields;
    let id = |field: &str, text: &str| text.parse().map_err(|error| format!("{field} {error}"));
    let others = fields.without_outbox();
    match (later, r#for, resend, forget) {
        (None, None, None, None) if keep.is_none() => Ok(None),
        (Some(text), Some(to), None, None) if others => {
            let to = to.parse().map_err(|error| format!("for is no address: {error}"))?;
            let keep = keep.as_deref().map(|keep| {
                values::keep(keep)
                    .ok_or("keep is a number and m, h or d, such as 72h, and from 1h to 30d".to_owned())
            });
            let keep = keep.transpose()?.unwrap_or(DEFAULT_KEEP);
            Ok(Some(Command::Later { text: text.clone(), to, keep }))
        }
        (Some(_), None, None, None) if others => Err("later needs for, an address".into()),
        (None, None, Some(item), None) if others && keep.is_none() => {
            id("resend", item).map(Command::Resend).map(Some)
        }
        (None, None, None, Some(item)) if others && keep.is_none() => {
            id("forget", item).map(Command::Forget).map(Some)
        }
        _ => Err(ONE_OF.into()),
    }
}

/// The fields of all commands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    call: Option<String>,
    say: Option<String>,
    to: Option<u64>,
    bye: Option<u64>,
    quit: Option<bool>,
    verify: Option<String>,
    words: Option<Vec<String>>,
    trust: Option<String>,
    plain: Option<String>,
    later: Option<String>,
    r#for: Option<String>,
    keep: Option<String>,
    resend: Option<String>,
    forget: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<Reference>,
}

impl Fields {
    /// Returns whether there is none of the fields that are not about messages.
    fn without_outbox(&self) -> bool {
        let Self { call, say, to, bye, quit, verify, words, trust, plain, .. } = self;
        let texts = [call, say, verify, trust, plain];
        texts.iter().all(|text| text.is_none()) && to.or(*bye).is_none() && quit.is_none() && words.is_none()
    }
}

/// The mark of a line that is not an order, for its answer.
#[derive(Deserialize)]
struct Marked {
    #[serde(rename = "ref")]
    reference: Option<Reference>,
}

/// Checks a mark. It is printed back unchanged, so it must not contain anything invisible.
fn checked(reference: Option<Reference>) -> Result<Option<Reference>, String> {
    match &reference {
        Some(Reference::Text(text)) if text.len() > MAX_REFERENCE => {
            Err(format!("ref has {MAX_REFERENCE} bytes at most"))
        }
        Some(Reference::Text(text)) if safe_text(text) != *text => {
            Err("ref has a character that cannot be seen".into())
        }
        _ => Ok(reference),
    }
}

/// The words of serde_json without the line number, which is always 1.
fn reason(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(&*words, |(words, _)| words);
    match error.classify() {
        Category::Data => words.to_owned(),
        _ => format!("it is no JSON: {words}, at byte {}", error.column()),
    }
}

/// The reason why a line with other fields is no command.
const ONE_OF: &str = "a command has one of call, say with to, bye, quit, verify with words, trust, plain, later with for, \
                      resend, forget";

/// The most bytes of a line, its end included: a conversation takes 12 s to send that much text.
pub(crate) const MAX_LINE: u64 = 64 * 1024;

/// The most bytes of a mark: more than the longest common unique ids have.
const MAX_REFERENCE: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::Number;

    use super::*;

    fn told(line: &str) -> (String, Option<Reference>) {
        match parse(line.as_bytes()) {
            Ok(order) => panic!("{line}: {order:?}"),
            Err(NoCommand { reason, reference }) => (reason, reference),
        }
    }

    #[test]
    fn commands_are_understood() {
        let joya = "joya@cc.com".parse().unwrap();
        let words = "ability able about above absent absorb abstract absurd".parse().unwrap();
        let verify = r#"{"verify":"joya@cc.com","words":["ability","able","about above","absent","absorb","abstract","absurd"]}"#.to_owned();
        let mark = |text: &str| Some(Reference::Text(text.to_owned()));
        for (line, command, reference) in [
            (r#"{"call":"joya@cc.com"}"#, Command::Call(joya), None),
            (r#" { "ref" : "à" , "call" : "joya@cc.com" } "#, Command::Call(joya), mark("à")),
            (r#"{"say":"","to":1}"#, Command::Say { text: String::new(), to: 1 }, None),
            (
                r#"{"to":18446744073709551615,"say":"a\n\u001b\ud83d\ude00","ref":-1.5}"#,
                Command::Say { text: "a\n\x1b😀".into(), to: u64::MAX },
                Some(Reference::Number(Number::from_f64(-1.5).unwrap())),
            ),
            (r#"{"bye":2,"ref":null}"#, Command::Bye(2), None),
            (&verify, Command::Verify { address: joya, words }, None),
            (&verify.replace("verify", "trust"), Command::Verify { address: joya, words }, None),
            (r#"{"trust":"joya@cc.com","ref":7}"#, Command::Trust(joya), Some(Reference::Number(7.into()))),
            (r#"{"plain":"joya@cc.com"}"#, Command::Plain(joya), None),
            (
                r#"{"later":"hola","for":"joya@cc.com"}"#,
                Command::Later { text: "hola".into(), to: joya, keep: DEFAULT_KEEP },
                None,
            ),
            (
                r#"{"later":"a\nb","for":"joya@cc.com","keep":"2h","ref":1}"#,
                Command::Later { text: "a\nb".into(), to: joya, keep: Duration::from_secs(7_200) },
                Some(Reference::Number(1.into())),
            ),
            (r#"{"resend":"00000000000000ff"}"#, Command::Resend(ItemId(255)), None),
            (r#"{"forget":"00000000000000ff"}"#, Command::Forget(ItemId(255)), None),
            (r#"{"quit":true,"ref":7}"#, Command::Quit, Some(Reference::Number(7.into()))),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(Order { command, reference }), "{line}");
        }
    }

    #[test]
    fn the_examples_of_the_document_are_commands() {
        let document = include_str!("../../../../docs/events.md");
        let is_command = |line: &&str| line.starts_with('{') && !line.starts_with(r#"{"at":"#);
        let lines: Vec<_> =
            document.lines().filter_map(|line| line.strip_prefix("    ")).filter(is_command).collect();
        assert_eq!(lines.len(), 10);
        for line in lines {
            parse(line.as_bytes()).unwrap();
        }
    }

    #[test]
    fn what_is_none_says_why() {
        for (line, reason) in [
            ("hola", "a command is a JSON object, such as"),
            (r#"["joya@cc.com",null,null,null,null,null]"#, "a command is a JSON object"),
            ("{", "it is no JSON: EOF while parsing an object, at byte 1"),
            (r#"{"call":"joya@cc.com"} {"quit":true}"#, "it is no JSON: trailing characters, at byte 24"),
            (
                r#"{"dance":1}"#,
                "unknown field `dance`, expected one of `call`, `say`, `to`, `bye`, `quit`, `verify`, `words`, \
                 `trust`, `plain`, `later`, `for`, `keep`, `resend`, `forget`, `ref`",
            ),
            (r#"{"verify":"joya@cc.com"}"#, "verify needs words, those of the key"),
            (r#"{"verify":"joya@cc.com","words":["zoo"]}"#, "words are 1, and a key has 8"),
            (r#"{"trust":"joya"}"#, "trust is no address: "),
            (r#"{"plain":"joya"}"#, "plain is no address: "),
            (r#"{"plain":"joya@cc.com","words":[]}"#, "a command has one of"),
            (r#"{"words":[]}"#, "a command has one of"),
            (r#"{"later":"hola"}"#, "later needs for, an address"),
            (r#"{"later":"hola","for":"joya"}"#, "for is no address: "),
            (r#"{"later":"hola","for":"joya@cc.com","keep":"soon"}"#, "keep is a number and"),
            (r#"{"later":"hola","for":"joya@cc.com","call":"joya@cc.com"}"#, "a command has one of"),
            (r#"{"keep":"2h"}"#, "a command has one of"),
            (r#"{"resend":"ff"}"#, "resend is not the id of a message"),
            (r#"{"forget":"00000000000000ff","keep":"2h"}"#, "a command has one of"),
            (r#"{"call":"joya@cc.com","plain":"joya@cc.com"}"#, "a command has one of"),
            (r#"{"bye":1,"bye":2}"#, "duplicate field `bye`"),
            (r#"{"bye":"1"}"#, r#"invalid type: string "1", expected u64"#),
            (r#"{"bye":-1}"#, "invalid value: integer `-1`, expected u64"),
            (r#"{"call":"joya"}"#, "call is no address: an address is user@domain, and there is no '@'"),
            (r#"{"say":"hola"}"#, "say needs to, the number of a conversation"),
            (r#"{"quit":false}"#, "quit is true or not there"),
            ("{}", "a command has one of"),
            (r#"{"to":1}"#, "a command has one of"),
            (r#"{"bye":1,"quit":true}"#, "a command has one of"),
            (r#"{"bye":1,"ref":"a\u202e"}"#, "ref has a character that cannot be seen"),
            (r#"{"bye":1,"ref":[1]}"#, "ref is a string or a number"),
        ] {
            assert!(told(line).0.starts_with(reason), "{line}: {}", told(line).0);
        }
        let long = format!(r#"{{"bye":1,"ref":"{}"}}"#, "x".repeat(65));
        assert_eq!(told(&long), ("ref has 64 bytes at most".into(), None));
        assert!(parse(b"{\"say\":\"\xff\",\"to\":1}").is_err());
        let deep = format!(r#"{{"bye":{}"#, "[".repeat(60_000));
        assert!(told(&deep).0.starts_with("invalid type"), "{}", told(&deep).0);
    }

    #[test]
    fn its_mark_is_told_if_there_is_one() {
        for line in [r#"{"dance":1,"ref":"a"}"#, r#"{"ref":"a","call":"joya"}"#, r#"{"bye":{},"ref":"a"}"#] {
            assert_eq!(told(line).1, Some(Reference::Text("a".into())), "{line}");
        }
        assert_eq!(told(r#"{"dance":1,"ref":"\u001b"}"#).1, None);
        assert_eq!(told(r#"{"ref":"a""#).1, None);
    }

    #[test]
    fn lines_are_read_one_by_one_and_long_ones_passed_over() {
        let most = usize::try_from(MAX_LINE).unwrap();
        let input =
            format!("a\n\n{}\n{}\nb\n{}", "x".repeat(most - 1), "y".repeat(3 * most), "z".repeat(most));
        let mut input = input.as_bytes();
        let lengths: Vec<_> = std::iter::from_fn(|| read_line(&mut input).unwrap())
            .map(|line| line.map(|line| line.len()).ok())
            .collect();
        assert_eq!(lengths, [Some(2), Some(1), Some(most), None, Some(2), None]);
    }
}
