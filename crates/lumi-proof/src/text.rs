//! Texts that are hashed or signed, put together in place.

use std::ops::Deref;

use plumi_proto::MiAddress;

/// Some bytes that are hashed or signed, without an allocation. It dereferences to them.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    length: usize,
    bytes: [u8; Self::MAX],
}

impl Text {
    /// The most bytes of a text. The longest, that of an enrolment, has 97.
    const MAX: usize = 112;

    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { length: 0, bytes: [0; Self::MAX] }.and(bytes)
    }

    /// Appends `more`.
    pub(crate) fn and(mut self, more: &[u8]) -> Self {
        let end = self.length + more.len();
        self.bytes[self.length..end].copy_from_slice(more);
        self.length = end;
        self
    }

    /// Appends the address in its canonical form, in which equal addresses have the same bytes.
    pub(crate) fn and_address(mut self, address: &MiAddress) -> Self {
        let text = address.as_str().as_bytes();
        let start = self.length;
        self = self.and(text.strip_suffix(b".").unwrap_or(text));
        let end = self.length;
        // The user is as it is. There is exactly one '@'.
        if let Some(domain) = self.bytes[start..end].split_mut(|byte| *byte == b'@').next_back() {
            domain.make_ascii_lowercase();
        }
        self
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Returns the first `N` bytes of `bytes`, which are at least as many.
pub(crate) fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("a hash has 32 bytes")
}
