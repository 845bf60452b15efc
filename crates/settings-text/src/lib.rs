//! Helpers for TOML that people write: one-line error messages, and values that are a number or a text.
//!
//! This crate is a part of the programs `lumi-node` and `mi-agent`. It knows none of their keys, and opens no
//! file.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::{self, Display};
use std::str::FromStr;

use message_log::is_visible;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use toml::{Spanned, Value};

/// Reads `text`.
///
/// # Errors
/// The first mistake in it, with its key.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    toml::from_str(text).map_err(|error| Mistake { key: key_of(text, &error), ..Mistake::new(text, &error) })
}

/// A mistake in a text, such as `line 3, port: invalid value: integer `70000`, expected u16`.
///
/// It is one line, but it quotes the text unchanged: escape it before you show it to a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The key of the wrong value.
    pub key: Option<String>,
    /// The reason.
    pub reason: String,
}

impl Mistake {
    /// Creates the mistake that `error` reports in `text`, without its key.
    ///
    /// Finding the key means parsing the text a second time.
    pub fn new(text: &str, error: &toml::de::Error) -> Self {
        let line = start(text, error).map(|start| 1 + text[..start].matches('\n').count());
        Self { line, key: None, reason: error.message().replace('\n', ", ") }
    }
}

impl Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, &self.key) {
            (Some(line), Some(key)) => write!(f, "line {line}, {key}: {}", self.reason),
            (Some(line), None) => write!(f, "line {line}: {}", self.reason),
            (None, _) => f.write_str(&self.reason),
        }
    }
}

impl Error for Mistake {}

/// Reads a value that is a text, or a number that stands for the same text.
///
/// # Errors
/// Those of the value's `FromStr`.
pub fn text_or_number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        value => value.to_string(),
    };
    text.parse().map_err(D::Error::custom)
}

/// Quotes `text` as TOML does, and escapes invisible characters.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if is_visible(character) => quoted.push(character),
            _ => quoted.push_str(&format!("\\U{:08X}", u32::from(character))),
        }
    }
    quoted.push('"');
    quoted
}

/// The offset in bytes at which the mistake begins.
fn start(text: &str, error: &toml::de::Error) -> Option<usize> {
    error.span().map(|span| span.start).filter(|&start| text.is_char_boundary(start))
}

/// The key of the wrong value, if the text is a table at all.
fn key_of(text: &str, error: &toml::de::Error) -> Option<String> {
    let start = start(text, error)?;
    let keys: HashMap<String, Spanned<Value>> = toml::from_str(text).ok()?;
    keys.into_iter().find_map(|(key, value)| value.span().contains(&start).then_some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_read_as_it_was() {
        for text in
            ["", "laura", "a\"b\\c", "C:\\x", "\x1b[2J\u{202e}\u{9b}\n\0\u{7f}", "què tal? 👋", "'''\"\"\""]
        {
            let quoted = quoted(text);
            assert!(quoted.chars().all(is_visible), "{quoted:?}");
            let read: HashMap<String, String> = parse(&format!("key = {quoted}")).unwrap();
            assert_eq!(read["key"], text);
        }
    }

    #[test]
    fn a_mistake_has_a_line_a_key_and_a_reason_without_line_ends() {
        let mistake = |text: &str| parse::<HashMap<String, Vec<u16>>>(text).unwrap_err();
        let in_the_list = mistake("a = [1]\nb = [2,\n70000]\n");
        assert_eq!((in_the_list.line, in_the_list.key.as_deref()), (Some(3), Some("b")));
        assert_eq!(in_the_list.to_string(), "line 3, b: invalid value: integer `70000`, expected u16");
        assert_eq!(
            mistake("\"\\u001b[2J\" = 'x'").to_string(),
            "line 1, \x1b[2J: invalid type: string \"x\", expected a sequence"
        );
        for text in ["a", "\n\na = [", "a = [1]\na = [2]", "= 1", "a = '\u{1b}'", "a = ['\u{202e}']", "\0"] {
            let mistake = mistake(text).to_string();
            assert!(mistake.starts_with("line ") && !mistake.contains('\n'), "{mistake:?}");
        }
    }

    #[test]
    fn a_mistake_need_not_have_a_key() {
        let text = "a = 1\nb = 'x'";
        let error = toml::from_str::<HashMap<String, u16>>(text).unwrap_err();
        let mistake = Mistake::new(text, &error);
        assert_eq!(mistake.to_string(), "line 2: invalid type: string \"x\", expected u16");
        assert_eq!(
            parse::<HashMap<String, u16>>(text).unwrap_err(),
            Mistake { key: Some("b".into()), ..mistake }
        );
    }

    #[test]
    fn a_number_stands_for_its_text() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Document {
            #[serde(deserialize_with = "text_or_number")]
            value: u8,
        }
        for text in ["value = 7", "value = '7'"] {
            assert_eq!(parse(text), Ok(Document { value: 7 }));
        }
        for text in ["value = 256", "value = 'x'", "value = [7]", "value = 7.5", "value = true"] {
            let mistake = parse::<Document>(text).unwrap_err();
            assert_eq!((mistake.line, mistake.key.as_deref()), (Some(1), Some("value")), "{text}");
        }
    }
}
