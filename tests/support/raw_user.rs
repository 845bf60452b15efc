//! A user of raw datagrams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::programs::DEADLINE;

/// A user's agent, as far as a node can see it: a socket that says and hears what the test wants. It hears
/// only what comes from its node.
#[derive(Debug)]
pub struct RawUser(UdpSocket);

impl RawUser {
    /// Creates a user at a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Without sockets.
    pub fn new(node: impl Into<SocketAddr>) -> Self {
        Self::at(Ipv4Addr::LOCALHOST, node)
    }

    /// Creates a user at a free port of `ip`, one of this host's.
    ///
    /// # Panics
    /// As [`RawUser::new`].
    pub fn at(ip: Ipv4Addr, node: impl Into<SocketAddr>) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a socket");
        socket.connect(node.into()).expect("there is a way to the node");
        socket.set_read_timeout(Some(DEADLINE)).expect("it is not 0");
        Self(socket)
    }

    /// Returns its address.
    ///
    /// # Panics
    /// Never.
    pub fn address(&self) -> SocketAddrV4 {
        match self.0.local_addr().expect("it is bound") {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => unreachable!("it is bound to an IPv4 address"),
        }
    }

    /// Sends a datagram. One that nobody takes is lost.
    pub fn say(&self, datagram: impl AsRef<[u8]>) {
        // The error is that of an earlier one: a port was closed. This one has not been sent then.
        if self.0.send(datagram.as_ref()).is_err() {
            _ = self.0.send(datagram.as_ref());
        }
    }

    /// The next datagram.
    ///
    /// # Panics
    /// If none comes within [`DEADLINE`].
    pub fn hear(&self) -> String {
        self.try_hear().expect("a message comes")
    }

    /// The next datagram; `None` once nobody listens where the node was, or if none comes within
    /// [`DEADLINE`].
    pub fn try_hear(&self) -> Option<String> {
        let mut buffer = [0; 200];
        let length = uninterrupted(|| self.0.recv(&mut buffer)).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// The next datagram; `None` if none comes within `time`, or once nobody listens where the node was.
    ///
    /// # Panics
    /// If `time` is 0.
    pub fn hear_within(&self, time: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(time)).expect("it is not 0");
        let heard = self.try_hear();
        self.0.set_read_timeout(Some(DEADLINE)).expect("it is not 0");
        heard
    }

    /// The next datagram, if it has come already.
    ///
    /// # Panics
    /// Never.
    pub fn heard(&self) -> Option<String> {
        self.0.set_nonblocking(true).expect("a socket can be");
        let heard = self.try_hear();
        self.0.set_nonblocking(false).expect("as above");
        heard
    }

    /// Sends a message and waits for the next datagram.
    ///
    /// # Panics
    /// As [`RawUser::hear`].
    pub fn ask(&self, message: &str) -> String {
        self.say(message);
        self.hear()
    }

    /// Asks in the name of `from` where `to` is, and returns the address of the `RL0`, without an offer
    /// behind it.
    ///
    /// # Panics
    /// If there is another answer, or none.
    pub fn locates(&self, from: &str, to: &str) -> SocketAddr {
        let answer = self.ask(&format!("PL{from}:{to}"));
        let at = answer.strip_prefix(&format!("RL0{from}:{to}:"));
        let at = at.unwrap_or_else(|| panic!("{answer}"));
        at.trim_end_matches(":T").parse().expect("an address")
    }
}

/// Waits for what `wait` waits for, also if a signal interrupts it. A process that is stopped and continued is
/// interrupted without a signal handler, in a call that has a time limit.
///
/// # Errors
/// Those of `wait`.
pub fn uninterrupted<T>(mut wait: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Connects to an agent from `ip`, a loopback address.
///
/// # Panics
/// If nobody listens at `at`.
pub fn connect_from(ip: Ipv4Addr, at: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((ip, 0)).into()).expect("a loopback address");
    socket.connect(&at.into()).expect("somebody listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).expect("it is not 0");
    stream
}
