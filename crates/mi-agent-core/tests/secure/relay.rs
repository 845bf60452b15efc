//! A relay between two agents: it drops or changes answers of their node, and passes a conversation on.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use plumi_proto::{NodeAddress, udp_address};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// Passes datagrams on between a node and one agent.
pub(crate) struct Relay {
    /// The node, for the agent.
    pub(crate) node: NodeAddress,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts it. `passes` may change a datagram of `node`, and returns whether it is passed on.
    pub(crate) async fn start(
        node: SocketAddr,
        mut passes: impl FnMut(&mut Vec<u8>) -> bool + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = udp_address(socket.local_addr().expect("its address")).expect("IPv4");
        let task = tokio::spawn(async move {
            let (mut buffer, mut agent) = ([0; 200], None);
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.expect("a datagram");
                let mut datagram = buffer[..length].to_vec();
                if from != node {
                    agent = Some(from);
                    socket.send_to(&datagram, node).await.expect("sent");
                } else if let Some(agent) = agent
                    && passes(&mut datagram)
                {
                    socket.send_to(&datagram, agent).await.expect("sent");
                }
            }
        });
        Self { node: address.into(), task }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes one conversation on, and keeps what passes.
pub(crate) struct Wiretap {
    /// The address that the caller connects to.
    pub(crate) address: SocketAddr,
    /// The bytes of the caller and of the callee.
    pub(crate) heard: [Arc<Mutex<Vec<u8>>>; 2],
    task: JoinHandle<io::Result<()>>,
}

impl Wiretap {
    /// Starts it in front of `callee`.
    pub(crate) async fn start(callee: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let heard: [Arc<Mutex<Vec<u8>>>; 2] = Default::default();
        let [of_caller, of_callee] = heard.clone();
        let task = tokio::spawn(async move {
            let (mut caller, _) = listener.accept().await?;
            let mut callee = TcpStream::connect(callee).await?;
            let ((from_caller, to_caller), (from_callee, to_callee)) = (caller.split(), callee.split());
            tokio::try_join!(
                pass(from_caller, to_callee, &of_caller),
                pass(from_callee, to_caller, &of_callee)
            )
            .map(drop)
        });
        Self { address, heard, task }
    }

    /// Ends both connections, which neither side has ended.
    pub(crate) async fn cut(self) {
        self.task.abort();
        assert!(self.task.await.expect_err("it has not ended").is_cancelled());
    }

    /// Returns the bytes of the caller and of the callee so far.
    pub(crate) fn bytes(&self) -> [Vec<u8>; 2] {
        self.heard.each_ref().map(|heard| heard.lock().expect("no panic").clone())
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    heard: &Mutex<Vec<u8>>,
) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        heard.lock().expect("no panic").extend(&buffer[..length]);
        to.write_all(&buffer[..length]).await?;
    }
}
