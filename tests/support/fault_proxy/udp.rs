//! The proxy of datagrams.

use std::collections::{BTreeMap, HashMap};
use std::future;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{self, Instant};

use super::{Arrival, Direction, Lateness};
use crate::network::local_address;

/// A proxy of datagrams. It stops when dropped.
///
/// The target sees each client at a socket of its own, with the client's IP address.
#[derive(Debug)]
pub struct UdpProxy {
    address: SocketAddrV4,
    task: JoinHandle<()>,
}

impl UdpProxy {
    /// Starts on a free port of 127.0.0.1, before `target`. For each datagram, `fate` says what arrives of
    /// it: nothing, or it, or several, changed or late. Of what waits at a time, [`MAX_WAITING`] datagrams
    /// are kept, and [`MAX_CLIENTS`] clients are served: whatever is above that is lost.
    ///
    /// # Panics
    /// Without sockets.
    pub async fn start(
        target: SocketAddrV4,
        fate: impl FnMut(Direction, &[u8]) -> Vec<Arrival> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let address = local_address(&socket);
        let (answers, answered) = mpsc::channel(MAX_WAITING);
        let task = Task {
            socket,
            target,
            fate,
            clients: HashMap::new(),
            readers: JoinSet::new(),
            answers,
            waiting: BTreeMap::new(),
            kept: 0,
        };
        Self { address, task: tokio::spawn(task.run(answered)) }
    }

    /// Returns the address to which clients send, in the place of the target.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task<F> {
    socket: UdpSocket,
    target: SocketAddrV4,
    fate: F,
    /// The socket by which the target knows each client.
    clients: HashMap<SocketAddrV4, Arc<UdpSocket>>,
    readers: JoinSet<()>,
    answers: mpsc::Sender<(SocketAddrV4, Vec<u8>)>,
    /// The parcels by the time at which they are due; of those due at one time, the first to come goes first.
    waiting: BTreeMap<(Instant, u64), Parcel>,
    kept: u64,
}

/// A datagram on its way.
struct Parcel {
    client: SocketAddrV4,
    direction: Direction,
    bytes: Vec<u8>,
    is_behind_next: bool,
}

impl<F: FnMut(Direction, &[u8]) -> Vec<Arrival>> Task<F> {
    async fn run(mut self, mut answered: mpsc::Receiver<(SocketAddrV4, Vec<u8>)>) {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let due = self.waiting.first_key_value().map(|(&(due, _), _)| due);
            let timer = async move {
                match due {
                    Some(due) => time::sleep_until(due).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let (length, client) = received.expect("a socket that is not connected has no errors");
                    let SocketAddr::V4(client) = client else { unreachable!("the socket is an IPv4 one") };
                    if self.admit(client).await {
                        self.take(client, Direction::ToTarget, &buffer[..length]);
                    }
                }
                Some((client, bytes)) = answered.recv() => self.take(client, Direction::ToClient, &bytes),
                () = timer => {}
            }
            self.deliver().await;
        }
    }

    /// Returns whether there is room for `client`, which then has its socket.
    async fn admit(&mut self, client: SocketAddrV4) -> bool {
        if self.clients.contains_key(&client) {
            return true;
        }
        if self.clients.len() >= MAX_CLIENTS {
            return false;
        }
        let socket = Arc::new(UdpSocket::bind((*client.ip(), 0)).await.expect("a socket"));
        self.clients.insert(client, Arc::clone(&socket));
        let (target, answers) = (self.target, self.answers.clone());
        self.readers.spawn(async move {
            let mut buffer = vec![0; usize::from(u16::MAX)];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.expect("as above");
                // A full queue loses what comes, as queues do.
                if from == SocketAddr::V4(target) {
                    _ = answers.try_send((client, buffer[..length].to_vec()));
                }
            }
        });
        true
    }

    fn take(&mut self, client: SocketAddrV4, direction: Direction, datagram: &[u8]) {
        let now = Instant::now();
        let passed = |parcel: &&Parcel| {
            parcel.is_behind_next && parcel.client == client && parcel.direction == direction
        };
        let behind: Vec<_> =
            self.waiting.iter().filter(|(_, parcel)| passed(parcel)).map(|(&key, _)| key).collect();
        for Arrival { bytes, lateness } in (self.fate)(direction, datagram) {
            let late = match lateness {
                Lateness::None => now,
                Lateness::By(time) => now + time,
                Lateness::BehindNext => now + Lateness::LONGEST,
            };
            let is_behind_next = lateness == Lateness::BehindNext;
            self.keep(late, Parcel { client, direction, bytes, is_behind_next });
        }
        for key in behind {
            if let Some(parcel) = self.waiting.remove(&key) {
                self.keep(now, parcel);
            }
        }
    }

    fn keep(&mut self, due: Instant, parcel: Parcel) {
        if self.waiting.len() < MAX_WAITING {
            self.kept += 1;
            self.waiting.insert((due, self.kept), parcel);
        }
    }

    /// Hands over what is due.
    async fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let Parcel { client, direction, bytes, .. } = entry.remove();
            // A closed port does to it what a network does.
            _ = match direction {
                Direction::ToTarget => self.clients[&client].send_to(&bytes, self.target).await,
                Direction::ToClient => self.socket.send_to(&bytes, client).await,
            };
        }
    }
}

/// Datagrams that wait: more than a test has under way.
pub const MAX_WAITING: usize = 4_096;

/// Clients, with a socket each.
pub const MAX_CLIENTS: usize = 512;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::programs::DEADLINE;

    /// A client, the proxy, and its target.
    struct Net {
        client: UdpSocket,
        proxy: UdpProxy,
        target: UdpSocket,
    }

    impl Net {
        async fn new(fate: impl FnMut(Direction, &[u8]) -> Vec<Arrival> + Send + 'static) -> Self {
            let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let proxy = UdpProxy::start(local_address(&target), fate).await;
            let client = UdpSocket::bind("127.0.0.2:0").await.unwrap();
            Self { client, proxy, target }
        }

        async fn send(&self, datagrams: &[&str]) {
            for datagram in datagrams {
                self.client.send_to(datagram.as_bytes(), self.proxy.address()).await.unwrap();
            }
        }

        async fn arrive(&self, datagrams: &[&str]) -> SocketAddr {
            let mut from = None;
            for &datagram in datagrams {
                let (text, sender) = receive(&self.target).await;
                assert_eq!(text, datagram, "of {datagrams:?}");
                from = Some(sender);
            }
            from.unwrap()
        }
    }

    async fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
        let mut buffer = [0; 100];
        let (length, from) = time::timeout(DEADLINE, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        (String::from_utf8_lossy(&buffer[..length]).into_owned(), from)
    }

    fn late(datagram: &[u8], lateness: Lateness) -> Vec<Arrival> {
        vec![Arrival { lateness, ..Arrival::whole(datagram) }]
    }

    #[tokio::test]
    async fn questions_and_answers_pass_and_clients_are_told_apart() {
        let net = Net::new(|_, datagram| vec![Arrival::whole(datagram)]).await;
        net.send(&["one"]).await;
        let at = net.arrive(&["one"]).await;
        assert_eq!(at.ip(), net.client.local_addr().unwrap().ip());
        let other = UdpSocket::bind("127.0.0.3:0").await.unwrap();
        other.send_to(b"other", net.proxy.address()).await.unwrap();
        let other_at = net.arrive(&["other"]).await;
        assert_ne!(at, other_at);
        for (client, at) in [(&other, other_at), (&net.client, at)] {
            net.target.send_to(at.to_string().as_bytes(), at).await.unwrap();
            let (answer, from) = receive(client).await;
            assert_eq!((answer, from), (at.to_string(), SocketAddr::V4(net.proxy.address())));
        }
        // Nobody else gets in by a client's socket.
        other.send_to(b"forged", at).await.unwrap();
        net.target.send_to(b"true", at).await.unwrap();
        assert_eq!(receive(&net.client).await.0, "true");
    }

    #[tokio::test]
    async fn a_datagram_is_lost_or_doubled_or_cut_in_either_direction() {
        let fate = |_: Direction, datagram: &[u8]| match datagram {
            b"lost" => vec![],
            b"doubled" => vec![Arrival::whole(datagram); 2],
            b"cut" => vec![Arrival::whole(&datagram[..2])],
            _ => vec![Arrival::whole(datagram)],
        };
        let net = Net::new(fate).await;
        net.send(&["lost", "doubled", "lost", "cut", "end"]).await;
        let at = net.arrive(&["doubled", "doubled", "cu", "end"]).await;
        for answer in ["doubled", "lost", "cut", "end"] {
            net.target.send_to(answer.as_bytes(), at).await.unwrap();
        }
        for expected in ["doubled", "doubled", "cu", "end"] {
            assert_eq!(receive(&net.client).await.0, expected);
        }
    }

    #[tokio::test]
    async fn a_datagram_comes_behind_the_next_one_or_alone() {
        let net = Net::new(|_, datagram| match datagram {
            b"behind" => late(datagram, Lateness::BehindNext),
            _ => late(datagram, Lateness::None),
        });
        let net = net.await;
        net.send(&["behind", "one", "two", "behind"]).await;
        net.arrive(&["one", "behind", "two", "behind"]).await;
    }

    #[tokio::test]
    async fn a_late_datagram_is_overtaken() {
        let start = Instant::now();
        let net = Net::new(|_, datagram| match datagram {
            b"late" => late(datagram, Lateness::By(Duration::from_millis(50))),
            _ => late(datagram, Lateness::None),
        });
        let net = net.await;
        net.send(&["late", "one", "two"]).await;
        net.arrive(&["one", "two", "late"]).await;
        assert!(start.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn more_than_may_wait_is_lost() {
        let net = Net::new(|_, datagram| match datagram {
            b"flood" => {
                let waiting = |datagram| Arrival {
                    lateness: Lateness::By(Duration::from_millis(50)),
                    ..Arrival::whole(datagram)
                };
                [vec![waiting(b"late"); MAX_WAITING], vec![waiting(b"lost"); MAX_WAITING]].concat()
            }
            _ => late(datagram, Lateness::None),
        });
        let net = net.await;
        net.send(&["flood"]).await;
        let mut late = 0;
        loop {
            // Some find the queue full, too.
            net.send(&["end"]).await;
            match &*receive(&net.target).await.0 {
                "late" => late += 1,
                "end" => break,
                other => panic!("{other} arrived"),
            }
        }
        assert!((1..=MAX_WAITING).contains(&late), "{late} arrived");
    }
}
