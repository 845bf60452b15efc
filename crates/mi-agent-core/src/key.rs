//! Public keys of users, and the words in which people compare them.

use std::fmt;
use std::str::FromStr;

use bip39::Language;
use data_encoding::BASE64;
use plumi_proto::MiAddress;
use sha2::{Digest, Sha256};

/// The public key of a user: Ed25519 (RFC 8032).
///
/// It is written in standard base64, with padding, on all occasions but the debug output.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; PublicKey::LENGTH]);

impl PublicKey {
    /// The length of a key in bytes.
    pub const LENGTH: usize = 32;

    /// Creates the key of these bytes. Any may be a key; a handshake shows whether somebody has its secret.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the key, as RFC 8032 encodes them.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| PublicKeyError)?;
        bytes.try_into().map(Self).map_err(|_| PublicKeyError)
    }
}

/// A text is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a key: 44 characters of base64 are one")]
pub struct PublicKeyError;

/// The fingerprint of the key of one user: [`KeyWords::COUNT`] words, which one person reads out and the
/// other one types.
///
/// Both people compare the words of the same key of the same user, so nobody can look for a pair of keys
/// that have the same words for two users. An attacker that searches for another key with these words has to
/// try 2^88 of them, each for 9 ms.
///
/// ```
/// use mi_agent_core::{KeyWords, PublicKey};
///
/// let key = PublicKey::from_bytes([7; 32]);
/// let words = KeyWords::of(&"joya@cc.com".parse()?, &key);
/// assert_eq!(words, KeyWords::of(&"joya@CC.com.".parse()?, &key));
/// assert_eq!(words, words.to_string().parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyWords([u16; KeyWords::COUNT]);

impl KeyWords {
    /// The number of words, of 11 bits each.
    pub const COUNT: usize = 8;

    /// Returns the words of the `key` of the user `address`. This takes some 9 ms, on purpose.
    pub fn of(address: &MiAddress, key: &PublicKey) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"mi-words-1\0");
        hasher.update(address.user().as_str());
        hasher.update(b"@");
        hasher.update(canonical(address.domain().as_str()));
        hasher.update(b"\0");
        hasher.update(key.0);
        let mut hash = hasher.finalize_reset();
        for _ in 0..ROUNDS {
            hasher.update(hash);
            hasher.update(key.0);
            // One hasher for all: to make another each time takes longer than the hash where nothing is
            // optimised.
            Digest::finalize_into_reset(&mut hasher, &mut hash);
        }
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        Self::of_bits(u128::from_be_bytes(first) >> (u128::BITS - BITS))
    }

    /// Returns the words, in the order in which they are read out.
    pub fn words(&self) -> [&'static str; Self::COUNT] {
        self.0.map(|word| Language::English.word_list()[usize::from(word)])
    }

    /// Returns the same in 27 decimal digits, in groups of three.
    pub fn digits(&self) -> String {
        let bits = self.0.iter().fold(0_u128, |bits, &word| (bits << BITS_OF_WORD) | u128::from(word));
        let digits = format!("{bits:027}");
        let groups: Vec<_> = (0..digits.len()).step_by(3).map(|at| &digits[at..at + 3]).collect();
        groups.join(" ")
    }

    /// Returns the place of the first word in which `other` differs, from 1 on.
    pub fn differs_at(&self, other: &Self) -> Option<usize> {
        let mut pairs = self.0.iter().zip(&other.0);
        pairs.position(|(own, other)| own != other).map(|at| at + 1)
    }

    fn of_bits(bits: u128) -> Self {
        let mut words = [0; Self::COUNT];
        for (word, n) in words.iter_mut().rev().zip(0..) {
            let bits = (bits >> (n * BITS_OF_WORD)) & ((1 << BITS_OF_WORD) - 1);
            *word = u16::try_from(bits).expect("it has 11 bits");
        }
        Self(words)
    }
}

impl fmt::Display for KeyWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

impl FromStr for KeyWords {
    type Err = KeyWordsError;

    /// Reads words that somebody typed, in any case.
    fn from_str(text: &str) -> Result<Self, KeyWordsError> {
        let typed: Vec<_> = text.split_whitespace().collect();
        let mut words = [0; Self::COUNT];
        for (at, typed) in (1..).zip(&typed) {
            let word = Language::English.find_word(&typed.to_lowercase());
            let word = word.ok_or_else(|| KeyWordsError::Unknown { at, word: (*typed).to_owned() })?;
            if let Some(place) = words.get_mut(at - 1) {
                *place = word;
            }
        }
        if typed.len() == Self::COUNT { Ok(Self(words)) } else { Err(KeyWordsError::Count(typed.len())) }
    }
}

/// The reason why a text is not the words of a key. Continues "these words ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyWordsError {
    /// There are more or fewer words.
    #[error("are {0}, and a key has {count}", count = KeyWords::COUNT)]
    Count(usize),
    /// A word is not in the list.
    #[error("have {word:?} in place {at}, which is not a word of any key")]
    Unknown {
        /// The place of the word, from 1 on.
        at: usize,
        /// The word as it was typed.
        word: String,
    },
}

/// Returns `domain` in the one form that all equal domains have.
pub(crate) fn canonical(domain: &str) -> String {
    domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase()
}

/// The bits of a key's words.
const BITS: u32 = 88;

/// The list has 2,048 words.
const BITS_OF_WORD: u32 = 11;

/// The hashes after the first one. They make a search for another key with the same words so many times
/// longer.
const ROUNDS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> MiAddress {
        "joya@cc.com".parse().unwrap()
    }

    #[test]
    fn keys_are_base64() {
        let key = PublicKey::from_bytes(std::array::from_fn(|n| u8::try_from(n).unwrap()));
        let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!((key.to_string().as_str(), text.parse()), (text, Ok(key)));
        for wrong in
            ["", "AAEC", &text[..43], &format!("{text}A"), &text.replace('A', "-"), &format!("{text} ")]
        {
            assert_eq!(wrong.parse::<PublicKey>(), Err(PublicKeyError), "{wrong}");
        }
    }

    #[test]
    fn bits_are_words_and_digits() {
        let words = KeyWords::of_bits(0);
        assert_eq!((words.to_string(), words.digits()), (["abandon"; 8].join(" "), ["000"; 9].join(" ")));
        let words = KeyWords::of_bits((1 << 88) - 1);
        assert_eq!(words.to_string(), ["zoo"; 8].join(" "));
        assert_eq!(words.digits(), "309 485 009 821 345 068 724 781 055");
        let words = KeyWords::of_bits(1 << 77 | 2);
        assert_eq!(words.to_string(), "ability abandon abandon abandon abandon abandon abandon able");
    }

    /// The samples of protocol.md §11, reckoned by another program.
    #[test]
    fn a_key_has_these_words() {
        let samples = [
            (
                "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
                "strike enroll rail empty predict try deal whip",
                "259 963 448 180 949 345 383 616 467",
            ),
            (
                "3Pm+P1lUM5jQqd6Ibv1i4n3AKCNHzPUvtGG1neM6MIU=",
                "follow case kick advance latin lamp convince wine",
                "109 579 671 743 603 283 680 028 636",
            ),
        ];
        for (key, text, digits) in samples {
            let words = KeyWords::of(&address(), &key.parse().unwrap());
            assert_eq!((words.to_string().as_str(), words.digits().as_str()), (text, digits));
        }
    }

    #[test]
    fn one_bit_makes_other_words() {
        let key = |last| {
            let mut bytes = [7; 32];
            bytes[31] = last;
            PublicKey::from_bytes(bytes)
        };
        let words = KeyWords::of(&address(), &key(0));
        assert_eq!(words, KeyWords::of(&"joya@CC.Com.".parse().unwrap(), &key(0)));
        for other in [
            KeyWords::of(&address(), &key(1)),
            KeyWords::of(&"Joya@cc.com".parse().unwrap(), &key(0)),
            KeyWords::of(&"joya@cc.org".parse().unwrap(), &key(0)),
        ] {
            assert!(words.differs_at(&other).is_some());
        }
        assert_eq!(words.differs_at(&words), None);
    }

    #[test]
    fn what_is_typed_is_read_or_the_wrong_word_is_named() {
        let words = KeyWords::of_bits(1 << 77 | 2);
        assert_eq!("Ability abandon  ABANDON abandon abandon\tabandon abandon able".parse(), Ok(words));
        assert_eq!("ability able".parse::<KeyWords>(), Err(KeyWordsError::Count(2)));
        let nine = ["zoo"; 9].join(" ").parse::<KeyWords>().unwrap_err();
        assert_eq!(nine.to_string(), "are 9, and a key has 8");
        let unknown = "ability abel".parse::<KeyWords>().unwrap_err();
        assert_eq!(unknown.to_string(), "have \"abel\" in place 2, which is not a word of any key");
        let other = KeyWords::of_bits(1 << 77 | 2 << 22 | 2);
        assert_eq!(words.differs_at(&other), Some(6));
    }
}
