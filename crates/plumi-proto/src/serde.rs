//! Names and addresses as serde values: texts, read by their parsers.

use core::fmt::{self, Display};
use core::marker::PhantomData;
use core::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::address::MiAddress;
use crate::message::MiSocketAddress;
use crate::name::{Domain, UserName};
use crate::node_address::NodeAddress;

macro_rules! impl_serde {
    ($($name:ident, $expected:literal;)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Parsed { expected: $expected, value: PhantomData })
            }
        }
    )*};
}

impl_serde! {
    MiAddress, "an MI address, user@domain";
    UserName, "the name of a user";
    Domain, "the name of a domain";
    MiSocketAddress, "an IPv4 address and a TCP port, ip:port";
    NodeAddress, "an IPv4 address and a UDP port, ip:port";
}

struct Parsed<T> {
    expected: &'static str,
    value: PhantomData<T>,
}

impl<T: FromStr<Err: Display>> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
