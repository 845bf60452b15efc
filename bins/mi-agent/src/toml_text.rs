//! Texts in TOML that people write: what is wrong with them, in one line, and how a value is written.

use std::collections::HashMap;

use message_log::is_visible;
use mi_agent_core::safe_text;
use serde::de::DeserializeOwned;
use toml::{Spanned, Value};

/// What `text` says.
///
/// # Errors
/// The line that is wrong, its key, and why: `line 3, port: invalid value: integer `70000`, expected u16`.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    toml::from_str(text).map_err(|error| {
        // What stands in the file is told as it stands there, where it may be anything.
        let reason = error.message().replace('\n', ", ");
        let reason = safe_text(&reason);
        let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
            return anyhow::anyhow!("{reason}");
        };
        let line = 1 + before.matches('\n').count();
        match key_at(text, before.len()) {
            Some(key) => anyhow::anyhow!("line {line}, {}: {reason}", safe_text(&key)),
            None => anyhow::anyhow!("line {line}: {reason}"),
        }
    })
}

/// The key whose value is at the byte `at`, if there are keys and values at all.
fn key_at(text: &str, at: usize) -> Option<String> {
    let keys: HashMap<String, Spanned<Value>> = toml::from_str(text).ok()?;
    keys.into_iter().find_map(|(key, value)| value.span().contains(&at).then_some(key))
}

/// `text` in quotes, as TOML has it; what cannot be seen is escaped.
pub(crate) fn quoted(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_read_as_it_was() {
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
    fn what_is_wrong_is_told_by_line_and_key_in_one_visible_line() {
        let reason = |text: &str| parse::<HashMap<String, Vec<u16>>>(text).unwrap_err().to_string();
        let expected = "line 3, b: invalid value: integer `70000`, expected u16";
        assert_eq!(reason("a = [1]\nb = [2,\n70000]\n"), expected);
        assert_eq!(
            reason("\"\\u001b[2J\" = 'x'"),
            "line 1, \\x1b[2J: invalid type: string \"x\", expected a sequence"
        );
        for text in ["a", "\n\na = [", "a = [1]\na = [2]", "= 1", "a = '\u{1b}'", "a = ['\u{202e}']", "\0"] {
            let reason = reason(text);
            assert!(reason.starts_with("line ") && reason.chars().all(is_visible), "{reason:?}");
        }
    }
}
