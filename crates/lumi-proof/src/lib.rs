//! The cryptography of proved registrations, for nodes and agents (protocol.md §12).
//!
//! This crate never opens a socket or a file, reads a clock, or keeps state. It turns addresses, keys and
//! secrets into the fields of the messages of [`plumi_proto`], and checks such fields. Only [`random`] asks
//! the operating system for something. Nothing is allocated while a challenge is made or a proof verified.
//!
//! ```text
//! nonce     = HMAC-SHA256(secret, epoch ‖ n ‖ addr ‖ source)                              first 12 bytes
//! signature = Ed25519(key, "lumi-proof-1" ‖ 0 ‖ verb ‖ 0 ‖ addr ‖ 0 ‖ nonce16 ‖ 0 ‖ seen8)
//! handle    = SHA-256("lumi-handle-1" ‖ 0 ‖ addr)                                         first 6 bytes
//! MAC       = HMAC-SHA256(code, "lumi-enrol-1" ‖ 0 ‖ addr ‖ 0 ‖ key43)                    first 12 bytes
//! ```
//!
//! *addr* is an address with its domain in lower case and without a trailing dot.

mod code;
mod handle;
mod nonce;
mod proof;
mod random;
mod text;

pub use code::{CODE_LENGTH, Code, CodeError};
pub use handle::handle;
pub use nonce::NonceSecret;
pub use proof::{BadSeed, PublicKeyBytes, Signer, key_tag, signed_text, verify};
pub use random::{NoRandomness, random};
pub use text::Text;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
