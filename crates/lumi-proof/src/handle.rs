//! Handles, by which a proof names the user to try the keys of.

use plumi_proto::{HANDLE_LENGTH, MiAddress};
use ring::digest::{SHA256, digest};

use crate::text::{Text, first};

/// Returns the handle of the user with this address. Several users can have the same.
pub fn handle(address: &MiAddress) -> [u8; HANDLE_LENGTH] {
    let text = Text::new(b"lumi-handle-1\0").and_address(address);
    first(digest(&SHA256, &text).as_ref())
}
