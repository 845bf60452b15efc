//! The frames of `pmi/2`, the second form of a conversation: messages with an identity, and their receipts.
//!
//! This form is for encrypted conversations only, and a handshake chooses it. Nothing of the first form
//! appears in it: the kinds have other lengths, and there is no `L`.
//!
//! ```
//! use bytes::BytesMut;
//! use mi_proto::Nickname;
//! use mi_proto::pmi2::{Frame, FrameCodec, Greeting, Item, Message, MessageId, Receipt};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let id = MessageId::new(0x0123_4567_89ab_cdef);
//! let message = Message::new(id, 1_764_550_800_000, "Hola!\nQue tal?")?;
//! let mut wire = BytesMut::new();
//! let mut codec = FrameCodec::new();
//! codec.encode(&Frame::Greeting(Greeting::new(Nickname::new("u1")?)), &mut wire)?;
//! codec.encode(&Frame::Message(message.clone()), &mut wire)?;
//! assert_eq!(&wire[..4], b"N\x00\x00\x07");
//!
//! codec.decode(&mut wire)?;
//! let received = codec.decode(&mut wire)?.unwrap();
//! assert_eq!(received.item(), &Item::Frame(Frame::Message(message)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The grammar (protocol.md §13):
//!
//! ```text
//! conversation = *frame                       the first one of each side is its "N"
//! frame        = kind length payload
//! kind         = 1 ASCII letter               upper case: has to be understood
//! length       = 3 bytes, big-endian          of the payload, at most 16,000
//! ```
//!
//! | kind | payload |
//! |---|---|
//! | `N` | lines `key=value`, 1,000 bytes in all: `nick`, and perhaps `addr` and `can` |
//! | `M` | id, 8 bytes; time of sending, 8 bytes; the text, at most 8,000 bytes of UTF-8 |
//! | `r` | id, 8 bytes; `stored`, `shown` or `refused` |
//! | `t` | `1` while its sender types, `0` afterwards |
//! | `p` | nothing |
//! | `E` | a word, and perhaps a space and a text: the reason why its sender ends |

mod codec;
mod frame;
mod greeting;
mod message;

pub use codec::{FrameCodec, FrameError};
pub use frame::{Failure, Frame, HEADER, Item, MAX_FAILURE, MAX_PAYLOAD, Received};
pub use greeting::{Greeting, MAX_GREETING};
pub use message::{MAX_MESSAGE, Message, MessageId, MessageIdError, Receipt, ReceiptKind};
