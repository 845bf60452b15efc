//! JSON for files and for programs: one value per line, without characters that a terminal would act on.

use std::io::{self, Write};

use message_log::is_visible;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// Formats `value` as JSON on one line. Invisible characters are escaped, so the line is safe to show.
///
/// # Errors
/// Those of `value`.
pub(crate) fn in_a_line(value: &impl Serialize) -> io::Result<String> {
    let mut line = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut line, Visible))?;
    Ok(String::from_utf8(line).expect("JSON is UTF-8"))
}

/// A formatter that escapes more than JSON requires.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for part in fragment.split_inclusive(|character| !is_visible(character)) {
            let end = part.char_indices().next_back().filter(|&(_, character)| !is_visible(character));
            writer.write_all(end.map_or(part, |(at, _)| &part[..at]).as_bytes())?;
            if let Some((_, character)) = end {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// Reads and writes a list of such values.
pub(super) mod as_texts {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::{Deserialize, Deserializer, Error as _};
    use serde::ser::Serializer;

    pub(crate) fn serialize<T: Display, S: Serializer>(
        values: &[T],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(T::to_string))
    }

    pub(crate) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

/// Reads and writes a value as the text of its `Display` and `FromStr`.
pub(super) mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::{Deserialize, Deserializer, Error as _};
    use serde::ser::Serializer;

    pub(in crate::store) fn serialize<S: Serializer>(
        value: &impl Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::store) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_seen_and_is_read_as_it_was() {
        for text in [
            "",
            "hola, què tal? 👋",
            "\"a\\b\"",
            "a\nb\r\t\0\u{7f}",
            "\u{1b}[2J\u{9b}x",
            "\u{202e}",
            "a\u{e0001}b\u{200d}",
        ] {
            let line = in_a_line(&text).unwrap();
            assert!(line.chars().all(is_visible), "{line:?}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
        assert_eq!(in_a_line(&"\u{1b}[2J\u{202e}a").unwrap(), r#""\u001b[2J\u202ea""#);
        assert_eq!(in_a_line(&"\u{e0001}").unwrap(), r#""\udb40\udc01""#);
    }
}
