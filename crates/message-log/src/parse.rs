//! Turns a line of the log back into its entry.

use crate::entry::Entry;
use crate::event::{Direction, MAX_KEPT, RemoteAddress};
use crate::visible::is_visible;

impl Entry {
    /// Reads a line of the log of `party`, without its line end.
    ///
    /// The entry has that very line again, but that `S`, which some programs write for what they sent, is `E`
    /// (protocol.md §7, 14). A message in which `\xNN` stood as text looks in the log as one with that byte;
    /// by their lengths the two are told apart, but for a message that has both, in which the bytes are taken
    /// to come first.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn parse(party: &str, line: &str) -> Result<Self, ParseError> {
        let (direction, rest) = direction(line).ok_or(ParseError::Direction)?;
        let (address, rest) = rest.split_once(", ").ok_or(ParseError::Address)?;
        let remote = remote(address).ok_or(ParseError::Address)?;
        // A message may have commas in it, its length has none.
        let (text, length) = rest.rsplit_once(", ").ok_or(ParseError::Length)?;
        let length: usize = number(length).ok_or(ParseError::Length)?;
        if length == 0 && direction == Direction::Received && is_left_out(text) {
            let mut entry = Self::new(party, direction, remote, text.as_bytes());
            entry.length = 0;
            return Ok(entry);
        }
        let text = if length > MAX_KEPT {
            text.strip_suffix("...").ok_or(ParseError::WrongLength { length })?
        } else {
            text
        };
        if !text.chars().all(is_visible) {
            return Err(ParseError::Unseen);
        }
        let kept = length.min(MAX_KEPT);
        let message = unescaped(text, kept).ok_or(ParseError::WrongLength { length })?;
        let mut entry = Self::new(party, direction, remote, &message);
        entry.length = length;
        Ok(entry)
    }
}

/// The reason why a line is no line of a message log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It does not begin with a direction.
    #[error("it begins with neither \"E: \" nor \"R: \"")]
    Direction,
    /// No remote side follows.
    #[error("no remote side as 10.0.0.1:UDP:3344 and \", \" follow its direction")]
    Address,
    /// There is no length at its end.
    #[error("it does not end with \", \" and a length in bytes")]
    Length,
    /// The length at its end is not that of the message.
    #[error("the message is not {length} bytes long, as its end says")]
    WrongLength {
        /// The length that its end gives.
        length: usize,
    },
    /// A character that the log would have escaped.
    #[error("it has a character that a log would have escaped")]
    Unseen,
}

/// Returns whether `text` stands for messages without lines of their own.
fn is_left_out(text: &str) -> bool {
    let after_number = |text: &str| {
        let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
        let number: Option<u64> = number(&text[..text.len() - rest.len()]);
        number.map(|_| rest.to_owned())
    };
    let Some(rest) = text.strip_prefix("...").and_then(after_number) else { return false };
    let Some(rest) = rest.strip_prefix(" more") else { return false };
    rest.is_empty()
        || rest
            .strip_prefix(" of ")
            .and_then(after_number)
            .is_some_and(|rest| matches!(&*rest, " addresses" | " addresses or more"))
}

fn direction(line: &str) -> Option<(Direction, &str)> {
    let sent = line.strip_prefix("E: ").or_else(|| line.strip_prefix("S: "));
    let sent = sent.map(|rest| (Direction::Sent, rest));
    sent.or_else(|| line.strip_prefix("R: ").map(|rest| (Direction::Received, rest)))
}

fn remote(address: &str) -> Option<RemoteAddress> {
    let (ip, port) = address.split_once(":UDP:")?;
    Some(RemoteAddress::new(ip.parse().ok()?, number(port)?))
}

/// Reads a number as it is written: digits without a sign and without a zero before them.
fn number<N: std::str::FromStr>(digits: &str) -> Option<N> {
    let is_written =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if is_written { digits.parse().ok() } else { None }
}

/// The message of `length` bytes with the text `text` in the log.
fn unescaped(text: &str, length: usize) -> Option<Vec<u8>> {
    // Each escape that stands for a byte makes four bytes of text.
    let longer = text.len().checked_sub(length)?;
    let mut escapes = longer / 3;
    if !longer.is_multiple_of(3) {
        return None;
    }
    let mut message = Vec::with_capacity(length);
    // Bytes of escapes without anything between them.
    let mut run = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let byte = if escapes > 0 { escaped_byte(rest) } else { None };
        if let Some(byte) = byte.filter(|&byte| stays_escaped(&mut run, byte)) {
            message.push(byte);
            escapes -= 1;
            rest = &rest[4..];
        } else {
            run.clear();
            let (this, others) = rest.split_at(character.len_utf8());
            message.extend_from_slice(this.as_bytes());
            rest = others;
        }
    }
    (escapes == 0).then_some(message)
}

/// The byte of the escape that `text` begins with.
fn escaped_byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("\\x")?.as_bytes().first_chunk::<2>()?;
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    Some(digit(digits[0])? << 4 | digit(digits[1])?)
}

/// Returns whether `byte` after `run` is written as an escape, and adds it if so: it completes no visible
/// character.
fn stays_escaped(run: &mut Vec<u8>, byte: u8) -> bool {
    run.push(byte);
    let is_seen = run.utf8_chunks().any(|chunk| chunk.valid().chars().any(is_visible));
    if is_seen {
        run.pop();
    }
    !is_seen
}
