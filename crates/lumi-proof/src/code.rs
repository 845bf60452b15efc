//! The codes of invitations.

use std::fmt;
use std::str::FromStr;

use plumi_proto::{KeyAndMac, MAC_LENGTH, MiAddress};
use ring::hmac::{HMAC_SHA256, Key, sign};

use crate::proof::PublicKeyBytes;
use crate::text::{Text, first};

/// The code of an invitation: 80 random bits, as 16 characters of Crockford's base32.
///
/// ```text
///   KQ7M-2XTN-9D4V-W3RH      as people see it; the hyphens are no part of it
/// ```
///
/// People may type it in lower case, with blanks or without hyphens, `O` for `0`, and `I` or `L` for `1`.
/// Anybody with the code can have a key accepted for the user, so its debug output does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code([u8; CODE_LENGTH]);

impl Code {
    /// Creates the code of these random bytes.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        let mut bits = bytes.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let mut text = [0; CODE_LENGTH];
        for character in text.iter_mut().rev() {
            *character = ALPHABET[(bits & 0x1f) as usize];
            bits >>= 5;
        }
        Self(text)
    }

    /// Returns the 16 characters without hyphens, in ASCII. They are the key of the MACs.
    pub fn as_bytes(&self) -> &[u8; CODE_LENGTH] {
        &self.0
    }

    /// Returns what an agent sends to have `key` accepted for `address`.
    pub fn enrol(&self, address: &MiAddress, key: PublicKeyBytes) -> KeyAndMac {
        self.authenticate(b"lumi-enrol-1\0", address, key)
    }

    /// Returns whether `enrolment` is for `address`, and made with this code.
    pub fn has_enrolled(&self, address: &MiAddress, enrolment: &KeyAndMac) -> bool {
        is_same(&self.enrol(address, enrolment.key).mac, &enrolment.mac)
    }

    /// Returns a node's answer to an enrolment of `address`, with the node's own key.
    pub fn answer(&self, address: &MiAddress, node_key: PublicKeyBytes) -> KeyAndMac {
        self.authenticate(b"lumi-enrolled-1\0", address, node_key)
    }

    /// Returns whether `answer` is about `address`, and made with this code.
    pub fn has_answered(&self, address: &MiAddress, answer: &KeyAndMac) -> bool {
        is_same(&self.answer(address, answer.key).mac, &answer.mac)
    }

    fn authenticate(&self, purpose: &[u8], address: &MiAddress, key: PublicKeyBytes) -> KeyAndMac {
        let mut enrolment = KeyAndMac { key, mac: [0; MAC_LENGTH] };
        let text = Text::new(purpose).and_address(address).and(b"\0").and(&enrolment.key_text());
        enrolment.mac = first(sign(&Key::new(HMAC_SHA256, &self.0), &text).as_ref());
        enrolment
    }
}

/// Compares in constant time, so that its duration reveals nothing.
fn is_same(one: &[u8; MAC_LENGTH], other: &[u8; MAC_LENGTH]) -> bool {
    one.iter().zip(other).fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let mut code = [0; CODE_LENGTH];
        let mut length = 0;
        for character in text.chars().filter(|character| *character != '-' && !character.is_whitespace()) {
            let character = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                character => character,
            };
            let known = ALPHABET.iter().find(|known| char::from(**known) == character);
            let Some(known) = known else { return Err(CodeError::Character(character)) };
            if let Some(place) = code.get_mut(length) {
                *place = *known;
            }
            length += 1;
        }
        if length == CODE_LENGTH { Ok(Self(code)) } else { Err(CodeError::Length(length)) }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, group) in self.0.chunks(4).enumerate() {
            f.write_str(if number > 0 { "-" } else { "" })?;
            group.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))?;
        }
        Ok(())
    }
}

/// Shows nothing of the code.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// The reason why a text is not a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// A code has no such character.
    #[error("a code has digits and letters except U, and no {0:?}")]
    Character(char),
    /// It has another number of characters.
    #[error("a code has {CODE_LENGTH} characters, and this has {0}")]
    Length(usize),
}

/// The number of characters of a code, without hyphens.
pub const CODE_LENGTH: usize = 16;

/// Crockford's base32: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
