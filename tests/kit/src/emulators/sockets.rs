//! The emulators on real sockets of loopback: thin shells that carry out what they do, and keep a transcript
//! of it.
//!
//! An emulator that ends closes its sockets, as a program that ends does; a test that does not [expect](
//! Transcript::expect_death) that fails at the latest when the emulator is dropped.

mod agent;
mod node;
mod segments;
mod transcript;

use std::net::{Ipv4Addr, SocketAddrV4};

use tokio::net::UdpSocket;
use tokio::time;

pub use agent::EmulatedAgent;
pub use node::EmulatedNode;
pub use transcript::Transcript;

use crate::DEADLINE;
use crate::network::local_address;

/// Waits until the node at `node`, ours or an emulated one, has served everything that was sent to it before.
///
/// # Panics
/// If it does not answer.
pub async fn fence(node: SocketAddrV4, domain: &str) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    // A question to which every node has the same answer, and which changes nothing.
    let question = format!("PDnobody@{domain}");
    socket.send_to(question.as_bytes(), node).await.expect("sent");
    let mut answer = [0; 100];
    let received = time::timeout(DEADLINE, socket.recv(&mut answer)).await;
    let length = received.expect("a node answers").expect("and is there");
    assert_eq!(&answer[..length], b"RD1", "{} answers", local_address(&socket));
}

/// More than a datagram or a segment of these protocols has.
const BUFFER: usize = 4_096;

/// Commands of a test that wait for an emulator.
const MAX_COMMANDS: usize = 1_024;
