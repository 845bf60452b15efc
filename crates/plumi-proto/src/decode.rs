//! Bytes to values. Total: every sequence of bytes is one message or one error.

use core::num::NonZeroU16;
use core::str;

use crate::address::{AddressError, MiAddress};
use crate::extension::Extension;
use crate::host::HostIp;
use crate::message::{
    DeregisterCode, Locate, LocateOutcome, MAX_MESSAGE, Message, MiSocketAddress, RegisterCode, Registrant,
};
use crate::name::{NameError, UserName};
use crate::proof::{self, KeyAndMac, Proof, Verb};

impl Message {
    /// Decodes a datagram, which is one message.
    ///
    /// Only bytes that [`Message::encode`] would write are accepted, and requests with an extension that has
    /// no meaning, which is not kept.
    ///
    /// # Errors
    /// The reason, and the byte.
    pub fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        if datagram.len() > MAX_MESSAGE {
            return Err(DecodeReason::TooLong { length: datagram.len() }.at(MAX_MESSAGE));
        }
        let Some((kind, body)) = datagram.split_first_chunk::<2>() else {
            return Err(DecodeReason::UnknownKind.at(0));
        };
        let fields = Fields::new(body, kind.len());
        match kind {
            b"PR" => fields.registration(Verb::Register),
            b"PD" => fields.registration(Verb::Deregister),
            b"RR" => decode_code(body, RegisterCode::Registered, RegisterCode::NoSuchUser)
                .map(|(code, extension)| Self::RegisterReply { code, extension }),
            b"RD" => decode_code(body, DeregisterCode::Deregistered, DeregisterCode::NoSuchUser)
                .map(|(code, extension)| Self::DeregisterReply { code, extension }),
            b"PL" => {
                let mut fields = fields;
                let locate = fields.locate()?;
                fields.end()?;
                Ok(Self::Locate(locate))
            }
            b"RL" => decode_locate_reply(body),
            b"PK" => Proof::decode(body).map(Self::Prove).ok_or(DecodeReason::Proof.at(2)),
            _ => Err(DecodeReason::UnknownKind.at(0)),
        }
    }
}

/// Reads one of two codes, and an extension. Only the first byte is the code, whatever the last one is.
fn decode_code<C>(body: &[u8], zero: C, one: C) -> Result<(C, Extension), DecodeError> {
    let (code, rest) = match body {
        [b'0', rest @ ..] => (zero, rest),
        [b'1', rest @ ..] => (one, rest),
        _ => return Err(DecodeReason::UnknownCode.at(2)),
    };
    match rest {
        [] => Ok((code, Extension::NONE)),
        [b':', text @ ..] => Ok((code, extension(text))),
        _ => Err(DecodeReason::UnknownCode.at(2)),
    }
}

fn extension(text: &[u8]) -> Extension {
    Extension::new(text).expect("the length of the datagram was checked")
}

fn decode_locate_reply(body: &[u8]) -> Result<Message, DecodeError> {
    let Some((code, names)) = body.split_first() else {
        return Err(DecodeReason::UnknownCode.at(2));
    };
    let mut fields = Fields::new(names, 3);
    let (locate, outcome) = match code {
        b'0' => {
            let locate = fields.locate()?;
            let ip = fields.ip()?;
            let port = NonZeroU16::new(fields.number()?).ok_or(DecodeReason::Port.at(fields.taken_at))?;
            (locate, LocateOutcome::Found(MiSocketAddress { ip, port }))
        }
        // Some deployed agents append an address here (protocol.md §7, row 4): an extension like any other.
        b'1' => (fields.locate()?, LocateOutcome::Busy),
        b'2' => (fields.locate()?, LocateOutcome::NoSuchUser),
        b'3' => (fields.locate()?, LocateOutcome::Offline),
        _ => return Err(DecodeReason::UnknownCode.at(2)),
    };
    let extension = fields.rest.map_or(Extension::NONE, extension);
    Ok(Message::LocateReply { locate, outcome, extension })
}

/// The fields of a message, which colons separate, taken one by one.
struct Fields<'a> {
    /// The bytes after the last field taken, or `None` if no colon followed it.
    rest: Option<&'a [u8]>,
    /// The offset of `rest` in the datagram.
    rest_at: usize,
    /// The offset of the last field taken.
    taken_at: usize,
}

impl<'a> Fields<'a> {
    fn new(body: &'a [u8], at: usize) -> Self {
        Self { rest: Some(body), rest_at: at, taken_at: at }
    }

    fn take(&mut self) -> Result<&'a str, DecodeError> {
        let rest = self.rest.ok_or(DecodeReason::FieldMissing.at(self.rest_at))?;
        self.taken_at = self.rest_at;
        let field = match rest.iter().position(|&byte| byte == b':') {
            Some(colon) => {
                self.rest = Some(&rest[colon + 1..]);
                self.rest_at += colon + 1;
                &rest[..colon]
            }
            None => {
                self.rest = None;
                self.rest_at += rest.len();
                rest
            }
        };
        str::from_utf8(field).map_err(|error| DecodeReason::NotUtf8.at(self.taken_at + error.valid_up_to()))
    }

    fn address(&mut self) -> Result<MiAddress, DecodeError> {
        let field = self.take()?;
        field.parse().map_err(|error| DecodeReason::Address(error).at(self.taken_at))
    }

    fn locate(&mut self) -> Result<Locate, DecodeError> {
        Ok(Locate { from: self.address()?, to: self.address()? })
    }

    /// Takes `user`, or `user@domain` with or without an extension.
    fn registration(mut self, verb: Verb) -> Result<Message, DecodeError> {
        let field = self.take()?;
        let plain = |registrant| match verb {
            Verb::Register => Message::Register(registrant),
            Verb::Deregister => Message::Deregister(registrant),
        };
        if !field.contains('@') {
            let user = UserName::new(field).map_err(|error| DecodeReason::User(error).at(self.taken_at))?;
            self.end()?;
            return Ok(plain(Registrant::User(user)));
        }
        let address: MiAddress =
            field.parse().map_err(|error| DecodeReason::Address(error).at(self.taken_at))?;
        match self.rest {
            Some(text) if text.iter().copied().eq(proof::challenge_request(&address)) => {
                Ok(Message::RequestChallenge { verb, address })
            }
            // A plain request would register the sender, which an enrolment must not.
            Some([b'E', text @ ..]) if verb == Verb::Register => {
                let key = KeyAndMac::decode(text).ok_or(DecodeReason::Enrolment.at(self.rest_at))?;
                Ok(Message::Enrol { address, key })
            }
            _ => Ok(plain(Registrant::Address(address))),
        }
    }

    fn ip(&mut self) -> Result<HostIp, DecodeError> {
        let field = self.take()?;
        field.parse().map_err(|_| DecodeReason::Ip.at(self.taken_at))
    }

    /// Takes a decimal number of 16 bits, without sign or leading zeros.
    fn number(&mut self) -> Result<u16, DecodeError> {
        let field = self.take()?;
        let canonical = field == "0" || !field.starts_with(['0', '+']);
        field.parse().ok().filter(|_| canonical).ok_or(DecodeReason::Port.at(self.taken_at))
    }

    fn end(&self) -> Result<(), DecodeError> {
        match self.rest {
            // The colon before the rest is the first byte that is too many.
            Some(_) => Err(DecodeReason::TooMuch.at(self.rest_at - 1)),
            None => Ok(()),
        }
    }
}

/// The reason why a datagram is not a PLUMI message, and the place. Its `Display` counts bytes from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a PLUMI message: {reason} (at byte {})", at + 1)]
#[non_exhaustive]
pub struct DecodeError {
    /// The reason.
    pub reason: DecodeReason,
    /// The offset in bytes of the field, or of the byte, that is wrong, from 0.
    pub at: usize,
}

/// The reason why a datagram is not a PLUMI message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeReason {
    /// It has more than [`MAX_MESSAGE`] bytes.
    #[error("{length} bytes, {MAX_MESSAGE} are the most")]
    TooLong {
        /// Its length in bytes, as far as it was received.
        length: usize,
    },
    /// It does not begin with `PR`, `RR`, `PD`, `RD`, `PL`, `RL` or `PK`.
    #[error("it begins with none of PR, RR, PD, RD, PL, RL, PK")]
    UnknownKind,
    /// An answer has no code of its kind, or something other than an extension after it.
    #[error("its code is not one that its kind has")]
    UnknownCode,
    /// It ends where another field must follow.
    #[error("a field is missing")]
    FieldMissing,
    /// A `PL`, or a request of a user without a domain, goes on after its last field.
    #[error("something follows its last field")]
    TooMuch,
    /// A field is not UTF-8.
    #[error("a byte that is not UTF-8")]
    NotUtf8,
    /// A field is not an MI address.
    #[error("{0}")]
    Address(AddressError),
    /// The short form of a registration does not hold a user name.
    #[error("the user name {0}")]
    User(NameError),
    /// A field is not an IPv4 address.
    #[error("no IPv4 address")]
    Ip,
    /// A field is not a port, which is 1 to 65535 in decimal.
    #[error("no port, which is 1 to 65535")]
    Port,
    /// An extension of a `PR` begins as an enrolment, and is none.
    #[error("no enrolment, which is E, a key, ':' and a MAC")]
    Enrolment,
    /// A `PK` is not followed by a verb, a hint, a handle and a signature.
    #[error("no proof, which is a verb, a hint, a handle and a signature")]
    Proof,
}

impl DecodeReason {
    fn at(self, at: usize) -> DecodeError {
        DecodeError { reason: self, at }
    }
}
