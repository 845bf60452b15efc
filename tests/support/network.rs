//! Nodes and agents on real loopback sockets, in the process of the test.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lumi_dns::NodeDirectory;
use lumi_node_core::{Administrator, Node, NodeSettings, RosterFile, Server};
use mi_agent_core::{Agent, AgentBuilder, RequestSchedule};
use plumi_proto::{Domain, NODE_PORT};
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A node that serves until it is dropped.
#[derive(Debug)]
pub struct TestNode {
    /// Its domain.
    pub domain: Domain,
    /// Where it listens.
    pub address: SocketAddrV4,
    /// Its administrator.
    pub administrator: Administrator,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl TestNode {
    /// Starts the node of `domain` on a free port of 127.0.0.1. It finds other nodes in `directory`.
    pub async fn start(domain: &str, users: &[&str], directory: NodeDirectory) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        Self::start_on(socket, domain, users, directory).await
    }

    /// Starts it on this socket.
    pub async fn start_on(socket: UdpSocket, domain: &str, users: &[&str], directory: NodeDirectory) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nodelumi.cfg");
        let text = [&[domain], users].concat().join("\n") + "\n";
        std::fs::write(&path, text).expect("a roster is written");
        let (file, roster) = RosterFile::open(path).expect("a roster");
        let address = local_address(&socket);
        // Tests ask quickly, and by hand.
        let settings =
            NodeSettings { rate_limit: None, strike_interval: Duration::ZERO, ..NodeSettings::default() };
        let node = Node::new(roster, address, settings);
        let mut server = Server::new(socket, node, directory);
        let administrator = server.administrator(file);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            server.run(async { _ = stopped.await }).await.expect("an IPv4 socket");
        });
        Self { domain: domain.parse().expect("a domain"), address, administrator, folder, stop, task }
    }

    /// The text of its roster's file.
    pub fn roster(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("nodelumi.cfg")).expect("a roster")
    }

    /// The agent of one of its users, which repeats its requests every 100 ms so that tests need not wait.
    pub fn agent(&self, user: &str) -> AgentBuilder {
        let address = format!("{user}@{}", self.domain);
        Agent::builder(address.parse().expect("an address")).node(self.address).schedule(quick_schedule())
    }

    /// Ends it in order.
    pub async fn stop(self) {
        _ = self.stop.send(());
        self.task.await.expect("the node ended well");
    }
}

/// Stands for a node: answers what begins with one text by another, and nothing else.
#[derive(Debug)]
pub struct ScriptedNode {
    /// Where it listens.
    pub address: SocketAddrV4,
    task: JoinHandle<()>,
}

impl ScriptedNode {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start(answers: &[(&str, &str)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = local_address(&socket);
        let answers: Vec<_> =
            answers.iter().map(|&(question, answer)| (question.to_owned(), answer.to_owned())).collect();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 100];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.expect("a question");
                let asked =
                    |(question, _): &&(String, String)| buffer[..length].starts_with(question.as_bytes());
                if let Some((_, answer)) = answers.iter().find(asked) {
                    socket.send_to(answer.as_bytes(), from).await.expect("sent");
                }
            }
        });
        Self { address, task }
    }
}

impl Drop for ScriptedNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The schedule of the protocol, ten times as fast.
pub fn quick_schedule() -> RequestSchedule {
    RequestSchedule { interval: Duration::from_millis(100), ..RequestSchedule::default() }
}

/// Two sockets on different loopback addresses with one port, as nodes that find each other by DNS need.
pub async fn sockets_with_one_port() -> (UdpSocket, UdpSocket) {
    for _ in 0..100 {
        let first = UdpSocket::bind("127.0.0.2:0").await.expect("a socket");
        let port = first.local_addr().expect("its address").port();
        if let Ok(second) = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 3), port)).await {
            return (first, second);
        }
    }
    panic!("no port is free on both 127.0.0.2 and 127.0.0.3");
}

/// A loopback address that no other test uses, at which UDP port 3344 is free. DNS leads to nodes at that port.
///
/// `None` if no address has it free, because a program of this host is bound to that port at all addresses.
pub fn ip_with_free_node_port() -> Option<Ipv4Addr> {
    let next_ip = || {
        let number = process::id().wrapping_mul(IPS_OF_A_PROCESS) + NEXT_IP.fetch_add(1, Ordering::Relaxed);
        Ipv4Addr::from(FIRST_IP.to_bits() + number % IPS)
    };
    let is_free = |ip: &Ipv4Addr| std::net::UdpSocket::bind((*ip, NODE_PORT)).is_ok();
    std::iter::repeat_with(next_ip).take(100).find(is_free)
}

/// The address of a bound IPv4 socket.
pub fn local_address(socket: &UdpSocket) -> SocketAddrV4 {
    match socket.local_addr().expect("a bound socket") {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address} is not IPv4"),
    }
}

/// A directory that knows these nodes and asks nobody.
pub fn directory(nodes: &[(&str, SocketAddrV4)]) -> NodeDirectory {
    let mut builder = NodeDirectory::builder();
    for &(domain, address) in nodes {
        builder = builder.peer(domain.parse().expect("a domain"), address);
    }
    builder.build().expect("a directory")
}

/// 127.64.0.0/10: far from the addresses that people choose for nodes on their own host.
const FIRST_IP: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 0);
const IPS: u32 = 1 << 22;

/// How far apart the addresses of two test processes begin.
const IPS_OF_A_PROCESS: u32 = 16;

/// How many of its addresses this process has tried.
static NEXT_IP: AtomicU32 = AtomicU32::new(0);
