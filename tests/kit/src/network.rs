//! Nodes and agents on real loopback sockets, inside the test process.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;
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
use tokio::time;

use crate::DEADLINE;

/// A node that serves until it is dropped.
#[derive(Debug)]
pub struct TestNode {
    /// The domain of the node.
    pub domain: Domain,
    /// The UDP address on which it listens.
    pub address: SocketAddrV4,
    /// The administrator's handle.
    pub administrator: Administrator,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl TestNode {
    /// Starts the node of `domain` at an [address of its own](address_of_its_own). `directory` locates other
    /// nodes.
    pub async fn start(domain: &str, users: &[&str], directory: NodeDirectory) -> Self {
        let socket = bind_again(address_of_its_own()).await;
        Self::start_on(socket, domain, users, directory).await
    }

    /// Starts the node of `domain` at an address of its own. It knows no other node.
    pub async fn alone(domain: &str, users: &[&str]) -> Self {
        Self::start(domain, users, directory(&[])).await
    }

    /// Starts the node of `domain` on this socket.
    pub async fn start_on(socket: UdpSocket, domain: &str, users: &[&str], directory: NodeDirectory) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nodelumi.cfg");
        let text = [&[domain], users].concat().join("\n") + "\n";
        std::fs::write(&path, text).expect("a roster is written");
        let (file, roster) = RosterFile::open(path).expect("a roster");
        let address = local_address(&socket);
        // Tests send requests faster than any user.
        let settings = NodeSettings::default().rate_limit(None).strike_interval(Duration::ZERO);
        let node = Node::new(roster, address.into(), settings);
        let mut server = Server::new(socket, node, directory);
        let administrator = server.administrator(file);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            server.run(async { _ = stopped.await }).await.expect("an IPv4 socket");
        });
        Self { domain: domain.parse().expect("a domain"), address, administrator, folder, stop, task }
    }

    /// The text of its roster file.
    pub fn roster(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("nodelumi.cfg")).expect("a roster")
    }

    /// An agent of one of its users. It repeats requests every 100 ms, so tests need not wait long.
    pub fn agent(&self, user: &str) -> AgentBuilder {
        let address = format!("{user}@{}", self.domain);
        Agent::builder(address.parse().expect("an address")).node(self.address).schedule(quick_schedule())
    }

    /// Shuts the node down in order.
    pub async fn stop(self) {
        _ = self.stop.send(());
        self.task.await.expect("the node ended well");
    }
}

/// A stand-in for a node, with a fixed answer to each message that begins with a given text.
#[derive(Debug)]
pub struct ScriptedNode {
    /// The UDP address on which it listens.
    pub address: SocketAddrV4,
    task: JoinHandle<()>,
}

impl ScriptedNode {
    /// Starts it on a free port of 127.0.0.1.
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

/// The request schedule of the protocol, ten times as fast.
pub fn quick_schedule() -> RequestSchedule {
    RequestSchedule::new(RequestSchedule::default().attempts, Duration::from_millis(100))
}

/// A schedule with tries so far apart that a node sends each of them on, also on a busy machine.
pub fn spaced_schedule() -> RequestSchedule {
    RequestSchedule::new(RequestSchedule::default().attempts, Duration::from_millis(400))
}

/// Binds two sockets to the same port of different loopback addresses. Nodes that find each other by DNS need
/// this.
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

/// Finds a loopback address that no other test uses and that has a free UDP port 3344.
///
/// Nodes that are found by DNS are at that port.
///
/// Returns `None` if a program of this host is bound to that port at all addresses.
pub fn ip_with_free_node_port() -> Option<Ipv4Addr> {
    ips().map(|ip| SocketAddrV4::new(ip, NODE_PORT)).find(is_free).map(|address| *address.ip())
}

/// Finds a loopback address for a node that nobody else gets while the node is stopped and started again.
///
/// Its IP is of no other test, and its port is below those that the system chooses for sockets.
///
/// # Panics
/// If nothing is free.
pub fn address_of_its_own() -> SocketAddrV4 {
    let ports = NODE_PORT..NODE_PORT + 100;
    let mut addresses = ports.zip(ips()).map(|(port, ip)| SocketAddrV4::new(ip, port));
    addresses.find(is_free).expect("programs have all these ports")
}

/// Binds the `address` of a node that was stopped.
///
/// A process that another test starts has every socket of this one for a moment, so it may not be free at
/// once.
///
/// # Panics
/// If it is not free within [`DEADLINE`].
pub async fn bind_again(address: SocketAddrV4) -> UdpSocket {
    let binding = async {
        loop {
            match UdpSocket::bind(address).await {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {
                    time::sleep(Duration::from_millis(10)).await;
                }
                bound => return bound.expect("it can be bound"),
            }
        }
    };
    time::timeout(DEADLINE, binding).await.expect("it is free")
}

/// Binds a UDP port of `ip` that no socket of this process has had: datagrams still on their way to another
/// one do not come here, although the system would reuse its port.
///
/// # Panics
/// If none is free.
pub async fn bind_a_new_port(ip: Ipv4Addr) -> UdpSocket {
    for _ in NEW_PORTS {
        let number =
            NEXT_PORT.fetch_add(1, Ordering::Relaxed).wrapping_add(process::id().wrapping_mul(1_000));
        let port = NEW_PORTS.start
            + u16::try_from(number % u32::from(NEW_PORTS.end - NEW_PORTS.start)).expect("it is a port");
        if let Ok(socket) = UdpSocket::bind((ip, port)).await {
            return socket;
        }
    }
    panic!("programs have all ports of {ip}");
}

/// A hundred loopback addresses that no other test uses.
fn ips() -> impl Iterator<Item = Ipv4Addr> {
    let next_ip = || {
        let number = process::id()
            .wrapping_mul(IPS_OF_A_PROCESS)
            .wrapping_add(NEXT_IP.fetch_add(1, Ordering::Relaxed));
        Ipv4Addr::from(FIRST_IP.to_bits() + number % IPS)
    };
    std::iter::repeat_with(next_ip).take(100)
}

fn is_free(address: &SocketAddrV4) -> bool {
    std::net::UdpSocket::bind(address).is_ok()
}

/// The address of a bound IPv4 socket.
pub fn local_address(socket: &UdpSocket) -> SocketAddrV4 {
    match socket.local_addr().expect("a bound socket") {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address} is not IPv4"),
    }
}

/// A directory that knows these nodes and asks no name server.
pub fn directory(nodes: &[(&str, SocketAddrV4)]) -> NodeDirectory {
    let mut builder = NodeDirectory::builder();
    for &(domain, address) in nodes {
        builder = builder.peer(domain.parse().expect("a domain"), address.into());
    }
    builder.build().expect("a directory")
}

/// The first address of 127.64.0.0/10, far from the ones that people choose for nodes on their own host.
const FIRST_IP: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 0);
const IPS: u32 = 1 << 22;

/// The distance between the first addresses of two test processes.
const IPS_OF_A_PROCESS: u32 = 1024;

/// The number of addresses that this process has tried.
static NEXT_IP: AtomicU32 = AtomicU32::new(0);

/// Ports below those that the system hands out.
const NEW_PORTS: Range<u16> = 10_000..32_000;

/// The number of ports that this process has tried.
static NEXT_PORT: AtomicU32 = AtomicU32::new(0);
