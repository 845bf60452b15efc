//! Messages as sentences, for people.

use core::fmt::{self, Write};

use crate::address::MiAddress;
use crate::extension::Extension;
use crate::message::{DeregisterCode, LocateOutcome, Message, RegisterCode};
use crate::proof::Verb;

impl Message {
    /// Returns this message as a sentence, a `Display`: `laura@bb.com asks where joya@cc.com is`.
    ///
    /// Names and extensions stand in it as they came. They can have characters that are not seen, so a
    /// program that shows the sentence escapes it as any text of strangers.
    pub fn in_words(&self) -> InWords<'_> {
        InWords { message: self, prover: None }
    }
}

/// A message in words, see [`Message::in_words`].
#[derive(Clone, Copy, Debug)]
pub struct InWords<'a> {
    message: &'a Message,
    prover: Option<MiAddress>,
}

impl InWords<'_> {
    /// Names the user of a proof. A proof does not; without this it is the "proof of ?".
    pub fn of(self, prover: Option<MiAddress>) -> Self {
        Self { prover, ..self }
    }
}

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((verb, challenge)) = self.message.challenge() {
            let prefix = if verb == Verb::Register { "" } else { "de" };
            return write!(f, "not {prefix}registered yet: prove it (seen at {})", challenge.seen);
        }
        match self.message {
            Message::Register(user) => write!(f, "register {user}"),
            Message::RegisterReply { .. } if self.message.enrolled().is_some() => {
                f.write_str("enrolled: the node has taken the key, and knows the invitation")
            }
            Message::RegisterReply { code, extension } => {
                f.write_str(match code {
                    RegisterCode::Registered => "registered",
                    RegisterCode::NoSuchUser => "not registered: no such user, or not from there",
                })?;
                write_extension(f, extension)
            }
            Message::Deregister(user) => write!(f, "deregister {user}"),
            Message::DeregisterReply { code, extension } => {
                f.write_str(match code {
                    DeregisterCode::Deregistered => "deregistered",
                    DeregisterCode::NoSuchUser => "not deregistered: no such user, or not from there",
                })?;
                write_extension(f, extension)
            }
            Message::Locate(locate) => write!(f, "{} asks where {} is", locate.from, locate.to),
            Message::LocateReply { locate, outcome, extension } => {
                let to = locate.to;
                match outcome {
                    LocateOutcome::Found(at) => {
                        write!(f, "{to} is at TCP {at}")?;
                        return write_offer(f, extension);
                    }
                    LocateOutcome::Busy => write!(f, "{to} is busy, in a conversation"),
                    LocateOutcome::NoSuchUser => write!(f, "there is no user or domain {to}"),
                    LocateOutcome::Offline => write!(f, "{to} is offline"),
                }?;
                write_extension(f, extension)
            }
            Message::RequestChallenge { verb, address } => {
                let prefix = if *verb == Verb::Register { "" } else { "de" };
                write!(f, "{prefix}register {address}, asks for a challenge")
            }
            Message::Prove(proof) => {
                f.write_str("proof of ")?;
                match self.prover {
                    Some(address) => address.fmt(f),
                    None => f.write_char('?'),
                }?;
                f.write_str(if proof.verb == Verb::Register { ", to register" } else { ", to deregister" })
            }
            Message::Enrol { address, .. } => write!(f, "enrol a key of {address}, by an invitation"),
        }
    }
}

/// Writes the extension of an `RL0`, of which the first field can be an offer (protocol.md §11).
fn write_offer(f: &mut fmt::Formatter<'_>, extension: &Extension) -> fmt::Result {
    let mut fields = extension.text().unwrap_or_default().split(|byte| *byte == b':');
    if fields.next() != Some(b"T") {
        return write_extension(f, extension);
    }
    f.write_str(", offers TLS")?;
    if fields.next().is_some() { write_extension(f, extension) } else { Ok(()) }
}

/// Bytes that are not UTF-8 are written as replacement characters.
fn write_extension(f: &mut fmt::Formatter<'_>, extension: &Extension) -> fmt::Result {
    let Some(text) = extension.text() else { return Ok(()) };
    f.write_str(" (extension: ")?;
    for chunk in text.utf8_chunks() {
        f.write_str(chunk.valid())?;
        if !chunk.invalid().is_empty() {
            f.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    f.write_str(")")
}
