//! The line of a message in the log.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Component, Path};

use arbitrary::Unstructured;
use message_log::{Direction, Entry, MAX_KEPT, agent_log_name, is_visible, node_log_name};

/// The first byte is the direction, six are the remote address, and the rest is the message. Whatever it is,
/// its line is one line of the grammar, from which it can be read again.
///
/// # Panics
/// If it is not.
pub fn log_line(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let (Ok(sent), Ok(ip), Ok(port)) = (input.arbitrary(), input.arbitrary::<[u8; 4]>(), input.arbitrary())
    else {
        return;
    };
    let direction = if sent { Direction::Sent } else { Direction::Received };
    let remote = SocketAddrV4::new(Ipv4Addr::from(ip), port);
    let message = input.take_rest();
    let entry = Entry::new("bb.com", direction, remote, message);
    let line = entry.to_string();

    assert!(line.chars().all(is_visible), "{line:?}");
    let kept = &message[..message.len().min(MAX_KEPT)];
    let body = body(&line, direction, remote, message.len());
    let body = body.unwrap_or_else(|| panic!("no line: {line:?}"));
    assert_eq!(came_as(body, kept), Some(""), "{line:?}");
    // What looks like an escape and is none cannot be told from one.
    if !kept.windows(2).any(|two| two == br"\x") {
        assert_eq!(unescape(body).as_deref(), Some(kept), "{line:?}");
        assert_eq!(Entry::parse("bb.com", &line).as_ref(), Ok(&entry), "{line:?}");
    }
    assert_eq!(Entry::parse("bb.com", &line).map(|entry| entry.to_string()).as_ref(), Ok(&line));

    let party = String::from_utf8_lossy(message);
    for name in [node_log_name(&party), agent_log_name(&party)] {
        let parts: Vec<_> = Path::new(&name).components().collect();
        assert!(matches!(parts[..], [Component::Normal(_)]), "{name:?}");
        assert!(name.ends_with(".log") && name.chars().all(is_visible), "{name:?}");
    }
}

/// The message in `line`, if that is of the grammar of the crate message-log and tells what it should.
fn body(line: &str, direction: Direction, remote: SocketAddrV4, length: usize) -> Option<&str> {
    let letter = match direction {
        Direction::Sent => "E",
        Direction::Received => "R",
    };
    let (head, rest) = line.split_once(", ")?;
    let (body, told) = rest.rsplit_once(", ")?;
    let of_head = head == format!("{letter}: {}:UDP:{}", remote.ip(), remote.port());
    let body = if length > MAX_KEPT { body.strip_suffix("...")? } else { body };
    (of_head && told.parse() == Ok(length)).then_some(body)
}

/// Reads `body` as what `message` became, piece by piece. Returns what is left of it.
fn came_as<'a>(body: &'a str, message: &[u8]) -> Option<&'a str> {
    let escaped = |body: &'a str, bytes: &[u8]| {
        bytes.iter().try_fold(body, |body, byte| body.strip_prefix(&format!(r"\x{byte:02x}")))
    };
    message.utf8_chunks().try_fold(body, |body, chunk| {
        let body = chunk.valid().chars().try_fold(body, |body, character| {
            if is_visible(character) {
                body.strip_prefix(character)
            } else {
                escaped(body, character.encode_utf8(&mut [0; 4]).as_bytes())
            }
        })?;
        escaped(body, chunk.invalid())
    })
}

/// The bytes that `body` stands for, to a reader that knows no more than the grammar.
fn unescape(mut body: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some((before, after)) = body.split_once(r"\x") {
        bytes.extend_from_slice(before.as_bytes());
        let (digits, rest) = after.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| digits.to_lowercase() == digits)?);
        body = rest;
    }
    bytes.extend_from_slice(body.as_bytes());
    Some(bytes)
}
