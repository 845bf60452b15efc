//! Text of a known greatest length, held in place.

use std::str;

/// UTF-8 text of at most `N` bytes (`N` ≤ 255) without an allocation of its own.
#[derive(Clone, Copy)]
pub(crate) struct InlineText<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

impl<const N: usize> InlineText<N> {
    /// Keeps `text`, the bytes of a `str`; `None` if there are more than `N`.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { length: u8::try_from(text.len()).ok()?, bytes })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Looks at every byte: what need not be a `str` is quicker as bytes.
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("copied from a str")
    }
}
