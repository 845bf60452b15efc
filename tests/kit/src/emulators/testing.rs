//! Helpers that the tests of the emulators share.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::{Effect, Emulator};

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(super) fn addr(text: &str) -> SocketAddrV4 {
    text.parse().expect("a socket address")
}

pub(super) fn sent(to: SocketAddrV4, message: &str) -> Effect {
    Effect::Send(to, message.as_bytes().to_vec())
}

pub(super) fn effects(emulator: &mut impl Emulator) -> Vec<Effect> {
    std::iter::from_fn(|| emulator.poll_output()).collect()
}
