//! Bytes of a known greatest number, held in place.

use core::str;

/// Up to `N` bytes (`N` ≤ 255), usually of UTF-8, without an allocation of their own.
#[derive(Clone, Copy)]
pub(crate) struct InlineText<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

impl<const N: usize> InlineText<N> {
    /// No bytes.
    pub(crate) const EMPTY: Self = Self { length: 0, bytes: [0; N] };

    /// Keeps `text`; `None` if there are more than `N` bytes.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { length: u8::try_from(text.len()).ok()?, bytes })
    }

    /// Returns these bytes and `more`; `None` if there are more than `N` then.
    pub(crate) fn and(mut self, more: &[u8]) -> Option<Self> {
        let start = usize::from(self.length);
        let end = start + more.len();
        self.bytes.get_mut(start..end)?.copy_from_slice(more);
        self.length = u8::try_from(end).ok()?;
        Some(self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Returns the text of a `str` that was kept. Checks every byte: `as_bytes` is quicker.
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("copied from a str")
    }
}
