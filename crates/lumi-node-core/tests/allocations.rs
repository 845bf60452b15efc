//! A registration allocates nothing, from the socket to the log and back.

use std::future;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use lumi_dns::NodeDirectory;
use lumi_node_core::{Node, NodeSettings, RateLimit, Roster, Server};
use message_log::{DEFAULT_MAX_SIZE, LineWriter, MessageLayer};
use tokio::net::UdpSocket;
use tokio::runtime::{self, Runtime};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

#[test]
fn a_known_user_is_registered_without_allocating() {
    for listen in ["127.0.0.1:0", "0.0.0.0:0"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = LineWriter::open(&path).unwrap().max_size(Some(DEFAULT_MAX_SIZE));
        let messages = MessageLayer::new(log).with_filter(filter_fn(message_log::is_message));
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(messages));

        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let node = runtime.block_on(serve(listen));
        let agent = runtime.block_on(UdpSocket::bind("127.0.0.1:0")).unwrap();
        runtime.block_on(agent.connect(node)).unwrap();
        register(&runtime, &agent, 10);
        let allocations = allocation_counter::measure(|| register(&runtime, &agent, ROUNDS));
        assert_eq!(allocations.count_total, 0, "{listen}: {allocations:?}");

        let log = std::fs::read_to_string(path).unwrap();
        assert_eq!(log.lines().count(), 2 * TOGETHER * (10 + ROUNDS), "all of it was logged");
    }
}

/// Starts the node of bb.com, and says where it can be reached.
async fn serve(listen: &str) -> SocketAddr {
    let socket = UdpSocket::bind(listen).await.expect("there is a free port");
    let Ok(SocketAddr::V4(local)) = socket.local_addr() else { panic!("IPv4 was bound") };
    let roster = Roster::parse(b"bb.com\nlaura\npere\n").expect("a roster");
    let settings = NodeSettings::default().rate_limit(Some(RateLimit::new(NonZeroU32::MAX)));
    let node = Node::new(roster, local.into(), settings);
    let directory = NodeDirectory::builder().build().expect("a directory");
    tokio::spawn(Server::new(socket, node, directory).run(future::pending()));
    ([127, 0, 0, 1], local.port()).into()
}

/// Registers users, several at once, and waits for the answers.
fn register(runtime: &Runtime, agent: &UdpSocket, rounds: usize) {
    runtime.block_on(async {
        for _ in 0..rounds {
            for name in ["PRlaura@bb.com", "PRpere@BB.com", "PRlaura"].iter().cycle().take(TOGETHER) {
                agent.send(name.as_bytes()).await.expect("there is a node");
            }
            let mut answer = [0; 100];
            for _ in 0..TOGETHER {
                let length = agent.recv(&mut answer).await.expect("there is a node");
                assert_eq!(&answer[..length], b"RR0");
            }
        }
    });
}

const ROUNDS: usize = 200;
const TOGETHER: usize = 7;
