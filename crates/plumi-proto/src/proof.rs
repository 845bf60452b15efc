//! Proved registrations as bytes: challenges, proofs and enrolments (protocol.md §12).
//!
//! Nothing is verified here. The crates above compute and compare signatures and MACs.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;

use crate::address::MiAddress;
use crate::extension::Extension;
use crate::host::{HostIp, UdpAddress};

/// The request that a challenge and its proof are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `R`: to register.
    Register,
    /// `D`: to deregister.
    Deregister,
}

impl Verb {
    /// Returns the letter of this verb, `R` or `D`.
    pub fn letter(self) -> u8 {
        match self {
            Self::Register => b'R',
            Self::Deregister => b'D',
        }
    }

    fn of(letter: u8) -> Option<Self> {
        match letter {
            b'R' => Some(Self::Register),
            b'D' => Some(Self::Deregister),
            _ => None,
        }
    }
}

/// The nonce of a challenge: 12 bytes, which are 16 characters on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; NONCE_LENGTH]);

impl Nonce {
    /// Returns the nonce of these bytes.
    pub fn new(bytes: [u8; NONCE_LENGTH]) -> Self {
        Self(bytes)
    }

    /// Returns the characters that are sent, in ASCII. A proof signs these.
    pub fn text(&self) -> [u8; NONCE_TEXT] {
        base64url(&self.0)
    }

    /// Returns the first character, by which a node finds the nonce again.
    pub fn hint(&self) -> Hint {
        Hint(self.text()[0])
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.text().escape_ascii())
    }
}

/// The first character of a [`Nonce`], repeated in a proof.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hint(u8);

impl fmt::Debug for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", char::from(self.0))
    }
}

/// A challenge, which is the extension of an `RR1` or `RD1` (see
/// [`Message::challenge`](crate::Message::challenge)).
///
/// ```text
///   RR1 : Zm9vYmFyYmF6cXV4 xjNkBxOI 1
///         └─── nonce ────┘ └ seen ┘ └ what deployed agents take for the code
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Challenge {
    /// The nonce.
    pub nonce: Nonce,
    /// The sender of the request as the node saw it.
    pub seen: UdpAddress,
}

impl Challenge {
    /// Returns the challenge that `extension` is. `None` for any other extension, which means nothing.
    pub fn of(extension: &Extension) -> Option<Self> {
        let text: &[u8; NONCE_TEXT + SEEN_TEXT + 1] = extension.text()?.try_into().ok()?;
        let (nonce, rest) = text.split_first_chunk::<NONCE_TEXT>()?;
        let (seen, end) = rest.split_first_chunk::<SEEN_TEXT>()?;
        let [a, b, c, d, high, low] = bytes_of(seen)?;
        let seen = UdpAddress::new(HostIp::new(a, b, c, d), u16::from_be_bytes([high, low]));
        (end == b"1").then_some(Self { nonce: Nonce(bytes_of(nonce)?), seen })
    }

    /// Returns the extension that is sent. It ends in `1` (protocol.md §7, row 18).
    pub fn extension(&self) -> Extension {
        let mut text = [b'1'; NONCE_TEXT + SEEN_TEXT + 1];
        text[..NONCE_TEXT].copy_from_slice(&self.nonce.text());
        text[NONCE_TEXT..][..SEEN_TEXT].copy_from_slice(&self.seen_text());
        Extension::new(&text).expect("25 bytes fit")
    }

    /// Returns the characters of [`Challenge::seen`] that are sent, in ASCII. A proof signs these.
    pub fn seen_text(&self) -> [u8; SEEN_TEXT] {
        let [a, b, c, d] = self.seen.ip().octets();
        let [high, low] = self.seen.port().to_be_bytes();
        base64url(&[a, b, c, d, high, low])
    }
}

/// A proof, the answer of an agent to a [`Challenge`]. It is always 98 bytes.
///
/// ```text
///   PK R Z q83vASNF MEUCIQ…                  (no blanks on the wire)
///      │ │ └handle┘ └ signature, 86 characters
///      │ └ the first character of the nonce
///      └ verb
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Proof {
    /// The request that is proved.
    pub verb: Verb,
    /// The first character of the nonce that was signed.
    pub hint: Hint,
    /// The first bytes of a hash of the user's address. Several addresses can have the same.
    pub handle: [u8; HANDLE_LENGTH],
    /// The signature, of Ed25519.
    pub signature: [u8; SIGNATURE_LENGTH],
}

impl Proof {
    /// Reads what follows `PK`.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let ([verb, hint], rest) = body.split_first_chunk::<2>()?;
        let (handle, signature) = rest.split_first_chunk::<HANDLE_TEXT>()?;
        if !hint.is_ascii_alphanumeric() && !b"-_".contains(hint) {
            return None;
        }
        let (verb, hint) = (Verb::of(*verb)?, Hint(*hint));
        Some(Self { verb, hint, handle: bytes_of(handle)?, signature: bytes_of(signature)? })
    }

    /// Returns what follows `PK`.
    pub(crate) fn encode(&self) -> [u8; PROOF_TEXT] {
        let mut text = [0; PROOF_TEXT];
        text[0] = self.verb.letter();
        text[1] = self.hint.0;
        text[2..][..HANDLE_TEXT].copy_from_slice(&base64url::<HANDLE_TEXT>(&self.handle));
        text[2 + HANDLE_TEXT..].copy_from_slice(&base64url::<SIGNATURE_TEXT>(&self.signature));
        text
    }
}

/// A public key and a MAC by the code of an invitation: in an enrolment, and in its answer.
///
/// ```text
///   PR laura@bb.com : E q1b2… : c0ff…        the agent's key, 43 characters; its MAC, 16
///   RR0 : p9z8… : feed…                      the node's key and MAC
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyAndMac {
    /// The public key, of Ed25519.
    pub key: [u8; KEY_LENGTH],
    /// The first bytes of an HMAC-SHA256 with the invitation's code.
    pub mac: [u8; MAC_LENGTH],
}

impl KeyAndMac {
    /// Returns the answer to an enrolment that `extension` is. `None` for any other extension, which means
    /// nothing.
    pub fn of(extension: &Extension) -> Option<Self> {
        Self::decode(extension.text()?)
    }

    /// Returns the extension that is sent as the answer to an enrolment.
    pub fn extension(&self) -> Extension {
        Extension::new(&self.text()).expect("60 bytes fit")
    }

    /// Returns the characters of the key that are sent, in ASCII. The MAC is about these.
    pub fn key_text(&self) -> [u8; KEY_TEXT] {
        base64url(&self.key)
    }

    pub(crate) fn decode(text: &[u8]) -> Option<Self> {
        let (key, rest) = text.split_first_chunk::<KEY_TEXT>()?;
        let mac = rest.strip_prefix(b":")?;
        Some(Self { key: bytes_of(key)?, mac: bytes_of(mac)? })
    }

    pub(crate) fn text(&self) -> [u8; KEY_TEXT + 1 + MAC_TEXT] {
        let mut text = [b':'; KEY_TEXT + 1 + MAC_TEXT];
        text[..KEY_TEXT].copy_from_slice(&self.key_text());
        text[KEY_TEXT + 1..].copy_from_slice(&base64url::<MAC_TEXT>(&self.mac));
        text
    }
}

/// Returns the extension by which a `PR` or `PD` of `address` asks for a challenge, without its colon.
///
/// Dots make the whole message as long as [`MIN_CHALLENGE_REQUEST`], so that its answer is no larger.
pub(crate) fn challenge_request(address: &MiAddress) -> impl Iterator<Item = u8> {
    let used = "PR".len() + address.as_bytes().len() + ":A".len();
    core::iter::once(b'A').chain(core::iter::repeat_n(b'.', MIN_CHALLENGE_REQUEST.saturating_sub(used)))
}

/// Encodes bytes as a text of `N` characters.
fn base64url<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    BASE64URL_NOPAD.encode_mut(bytes, &mut text);
    text
}

/// Decodes a text of `N` bytes. `None` for another length, other characters, and spare bits that are not 0.
fn bytes_of<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if BASE64URL_NOPAD.decode_len(text.len()) != Ok(N) {
        return None;
    }
    BASE64URL_NOPAD.decode_mut(text, &mut bytes).ok()?;
    Some(bytes)
}

/// The length of a nonce in bytes: nobody guesses 96 bits within the time of a challenge.
pub const NONCE_LENGTH: usize = 12;
/// The length of a nonce in characters.
pub const NONCE_TEXT: usize = 16;
/// The length of an IPv4 address and a port in characters.
pub const SEEN_TEXT: usize = 8;
/// The length of the handle of a user in bytes.
pub const HANDLE_LENGTH: usize = 6;
const HANDLE_TEXT: usize = 8;
/// The length of a signature of Ed25519 in bytes.
pub const SIGNATURE_LENGTH: usize = 64;
const SIGNATURE_TEXT: usize = 86;
pub(crate) const PROOF_TEXT: usize = 2 + HANDLE_TEXT + SIGNATURE_TEXT;
/// The length of a public key of Ed25519 in bytes.
pub const KEY_LENGTH: usize = 32;
/// The length of a public key in characters.
pub const KEY_TEXT: usize = 43;
/// The length of a MAC in bytes.
pub const MAC_LENGTH: usize = 12;
pub(crate) const MAC_TEXT: usize = 16;

/// The least length of a request for a challenge in bytes. A challenge has 29, so an answer never grows.
pub const MIN_CHALLENGE_REQUEST: usize = 32;

const _: () = assert!("RR1:".len() + NONCE_TEXT + SEEN_TEXT < MIN_CHALLENGE_REQUEST);
