//! The PLUMI protocol as values: MI addresses and the messages that agents and nodes exchange over UDP.
//!
//! This crate never opens a socket, reads a clock, allocates while it decodes or encodes, or keeps state
//! between messages. It turns the bytes of a datagram into a [`Message`] and a [`Message`] into bytes. The
//! crates above it decide what a message *means*.
//!
//! ```
//! use plumi_proto::{Extension, LocateOutcome, Message, MiAddress};
//!
//! let message = Message::decode(b"PLlaura@bb.com:joya@cc.com")?;
//! let Message::Locate(locate) = message else { unreachable!() };
//! assert_eq!(locate.to, "joya@cc.com".parse::<MiAddress>()?);
//!
//! let outcome = LocateOutcome::Offline;
//! let answer = Message::LocateReply { locate, outcome, extension: Extension::NONE };
//! assert_eq!(&*answer.encode(), b"RL3laura@bb.com:joya@cc.com");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It needs no `std`, only `alloc`. With the feature `serde`, names and addresses are serialized as their
//! texts, and deserialized by their parsers.
//!
//! The grammar. Each message is one datagram, without a terminator:
//!
//! ```text
//! message  = "PR" address [more] | "PR" user                     register
//!          | "RR" ("0" | "1") [more]                             registered | no such user
//!          | "PD" address [more] | "PD" user                     deregister
//!          | "RD" ("0" | "1") [more]                             deregistered | no such user
//!          | "PL" address ":" address                            where is the second? asks the first
//!          | "RL0" address ":" address ":" ip ":" port [more]    there
//!          | "RL" ("1" | "2" | "3") address ":" address [more]   busy | no such user or domain | offline
//!          | "PK" verb hint handle signature                     proves a registration or a deregistration
//! address  = user "@" domain                                     at most 36 bytes
//! more     = ":" *byte                                           an extension; at most 100 bytes in all
//! ```
//!
//! Some extensions have a meaning ([`Challenge`], [`KeyAndMac`]). Of a request, an extension without a
//! meaning is not kept. Every other message is written as it was read.

#![no_std]

extern crate alloc;

mod address;
mod address_range;
mod decode;
mod encode;
mod extension;
mod host;
mod inline;
mod message;
mod name;
mod node_address;
mod proof;
mod reachable;
#[cfg(feature = "serde")]
#[doc(hidden)]
pub mod serde;
mod text;
mod words;

pub use address::{AddressError, MiAddress};
pub use address_range::{AddressRange, AddressRangeError};
pub use decode::{DecodeError, DecodeReason};
pub use encode::EncodedMessage;
pub use extension::{Extension, MAX_EXTENSION};
pub use host::{HostIp, TcpAddress, UdpAddress, host_ip, udp_address};
pub use message::{
    DeregisterCode, Locate, LocateOutcome, MAX_MESSAGE, Message, MiSocketAddress, MiSocketAddressError,
    NODE_PORT, RegisterCode, Registrant,
};
pub use name::{Domain, MAX_ADDRESS, MAX_NAME, NameError, UserName};
pub use node_address::NodeAddress;
pub use proof::{
    Challenge, HANDLE_LENGTH, Hint, KEY_LENGTH, KEY_TEXT, KeyAndMac, MAC_LENGTH, MIN_CHALLENGE_REQUEST,
    NONCE_LENGTH, NONCE_TEXT, Nonce, Proof, SEEN_TEXT, SIGNATURE_LENGTH, Verb,
};
pub use reachable::is_reachable;
pub use words::InWords;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
