//! Names and addresses as serde values: texts, read by their parsers.

use core::fmt::{self, Display};
use core::marker::PhantomData;
use core::str::FromStr;

use ::serde::de::{Error, Visitor};

use crate::address::MiAddress;
use crate::address_range::AddressRange;
use crate::message::MiSocketAddress;
use crate::name::{Domain, UserName};
use crate::node_address::NodeAddress;

/// Implements serde's traits: a value is its text, and is read by its parser.
///
/// The crates of this project use it for their own features `serde`. It may change at any time.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_serde_as_text {
    ($($name:ident, $expected:literal;)*) => {$(
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::serde::ParsedText::new($expected))
            }
        }
    )*};
}

impl_serde_as_text! {
    MiAddress, "an MI address, user@domain";
    UserName, "the name of a user";
    Domain, "the name of a domain";
    MiSocketAddress, "an IPv4 address and a TCP port, ip:port";
    AddressRange, "a range of addresses in quotes";
    NodeAddress, "an IPv4 address and a UDP port, ip:port";
}

/// Parses a text while it is read, so that an error in a list has its own line and not that of the list.
#[derive(Debug)]
pub struct ParsedText<T> {
    expected: &'static str,
    value: PhantomData<T>,
}

impl<T> ParsedText<T> {
    /// Creates a visitor with errors that name what was `expected`.
    pub const fn new(expected: &'static str) -> Self {
        Self { expected, value: PhantomData }
    }
}

impl<T: FromStr<Err: Display>> Visitor<'_> for ParsedText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
