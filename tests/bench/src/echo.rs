//! The limit: what a server costs that does nothing.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::thread;

use crate::load::{self, Core};

/// Starts a server that answers each datagram with `answer`, one call to receive and one to send; it ends
/// with this process.
pub(crate) fn start(answer: impl Into<Vec<u8>>) -> anyhow::Result<SocketAddrV4> {
    let answer = answer.into();
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let SocketAddr::V4(at) = socket.local_addr()? else { anyhow::bail!("IPv4 was bound") };
    thread::Builder::new().name("echo".into()).spawn(move || {
        load::keep_this_thread_on(Core::Server)?;
        let mut buffer = [0; 2048];
        loop {
            let (_, from) = socket.recv_from(&mut buffer)?;
            socket.send_to(&answer, from)?;
        }
        #[expect(unreachable_code, reason = "says what the errors are")]
        Ok::<(), anyhow::Error>(())
    })?;
    Ok(at)
}
