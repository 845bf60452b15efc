//! The PMI protocol as a codec: the frames that two agents in a conversation exchange over TCP.
//!
//! This crate never opens a socket, reads a clock or decides what a frame means. It turns a [`Frame`] into
//! bytes and a stream of bytes, however it was cut on its way, into [`Received`] items.
//!
//! ```
//! use bytes::BytesMut;
//! use mi_proto::{Frame, FrameCodec, Nickname, split_line};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let mut codec = FrameCodec::new();
//! let mut wire = BytesMut::new();
//! codec.encode(Frame::Nickname(Nickname::new("u1")?), &mut wire)?;
//! for piece in split_line("Hola u2!")? {
//!     codec.encode(Frame::Line(piece), &mut wire)?;
//! }
//! assert_eq!(&wire[..], b"N02u1L08Hola u2!");
//!
//! assert_eq!(codec.decode(&mut wire)?.unwrap().text(), "u1");
//! assert_eq!(codec.decode(&mut wire)?.unwrap().text(), "Hola u2!");
//! assert_eq!(codec.decode(&mut wire)?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The feature `serde` serializes nicknames, lines and ids of messages as their texts, and deserializes them by
//! their parsers.
//!
//! The grammar (protocol.md §5):
//!
//! ```text
//! conversation = *frame                       the first one of each side is its "N"
//! frame        = type length text             at most 102 bytes
//! type         = "N" | "L"                    nickname | one line, or a piece of a longer one
//! length       = 2 digits                     of text, in bytes
//! text         = 0 to 99 bytes                UTF-8, without NUL and line ends
//! ```
//!
//! [`pmi2`] has the richer frames of a second form, for encrypted conversations.

mod codec;
mod frame;
pub mod pmi2;
mod text;

pub use codec::{FrameCodec, FrameError, MAX_UNFRAMED};
pub use frame::{Frame, HEADER, MAX_FRAME, Received, ReceivedKind};
pub use text::{Line, MAX_TEXT, Nickname, TextError, split_line};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
