//! A registration allocates nothing, from the socket to the log and back.

use std::future;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::task::{Context, Poll, Waker};

use lumi_dns::NodeDirectory;
use lumi_node_core::{
    BindingChange, BindingStore, Keys, Node, NodeSettings, Output, PublicKey, RateLimit, Roster, SaveId,
    Saved, Server,
};
use lumi_proof::Signer;
use message_log::{DEFAULT_MAX_SIZE, LineWriter, MessageLayer};
use plumi_proto::{Message, Verb};
use tokio::net::UdpSocket;
use tokio::runtime::{self, Runtime};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};

#[test]
fn a_known_user_is_registered_without_allocating() {
    for (listen, saves) in [("127.0.0.1:0", false), ("0.0.0.0:0", false), ("127.0.0.1:0", true)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = LineWriter::open(&path).unwrap().max_size(Some(DEFAULT_MAX_SIZE));
        let messages = MessageLayer::new(log).with_filter(filter_fn(message_log::is_message));
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(messages));

        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let node = runtime.block_on(serve(listen, saves));
        let agent = runtime.block_on(UdpSocket::bind("127.0.0.1:0")).unwrap();
        runtime.block_on(agent.connect(node)).unwrap();
        // The requests that change a binding may allocate, and repetitions of them have no answers of their
        // own.
        for request in REQUESTS {
            runtime.block_on(ask(&agent, request));
        }
        register(&runtime, &agent, 10);
        let allocations = allocation_counter::measure(|| register(&runtime, &agent, ROUNDS));
        assert_eq!(allocations.count_total, 0, "{listen}, saves: {saves}: {allocations:?}");

        let log = std::fs::read_to_string(path).unwrap();
        let requests = REQUESTS.len() + TOGETHER * (10 + ROUNDS);
        assert_eq!(log.lines().count(), 2 * requests, "all of it was logged");
    }
}

/// Starts the node of bb.com, and says where it can be reached.
async fn serve(listen: &str, saves: bool) -> SocketAddr {
    let socket = UdpSocket::bind(listen).await.expect("there is a free port");
    let Ok(SocketAddr::V4(local)) = socket.local_addr() else { panic!("IPv4 was bound") };
    let roster = Roster::parse(b"bb.com\nlaura\npere\n").expect("a roster");
    let settings = NodeSettings::default().rate_limit(Some(RateLimit::new(NonZeroU32::MAX)));
    let node = Node::new(roster, local.into(), settings);
    let directory = NodeDirectory::builder().build().expect("a directory");
    let builder = Server::builder(socket, node).directory(directory);
    let builder = if saves { builder.bindings(AtOnce::default(), []) } else { builder };
    let (server, _) = builder.build().expect("a directory");
    tokio::spawn(server.run(future::pending()));
    ([127, 0, 0, 1], local.port()).into()
}

/// A store that has saved everything at once.
#[derive(Default)]
struct AtOnce {
    last: Option<SaveId>,
    waker: Option<Waker>,
}

impl BindingStore for AtOnce {
    fn save(&mut self, changes: Vec<(SaveId, BindingChange)>) {
        self.last = changes.last().map(|(id, _)| *id);
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn poll_saved(&mut self, context: &mut Context<'_>) -> Poll<Option<Saved>> {
        self.waker = Some(context.waker().clone());
        self.last
            .take()
            .map_or(Poll::Pending, |last| Poll::Ready(Some(Saved { last, result: Ok(()), anew: false })))
    }

    fn close(&mut self) {}
}

/// Registers users, several at once, and waits for the answers.
fn register(runtime: &Runtime, agent: &UdpSocket, rounds: usize) {
    runtime.block_on(async {
        for _ in 0..rounds {
            for request in REQUESTS.iter().cycle().take(TOGETHER) {
                agent.send(request.as_bytes()).await.expect("there is a node");
            }
            for _ in 0..TOGETHER {
                is_registered(agent).await;
            }
        }
    });
}

async fn ask(agent: &UdpSocket, request: &str) {
    agent.send(request.as_bytes()).await.expect("there is a node");
    is_registered(agent).await;
}

async fn is_registered(agent: &UdpSocket) {
    let mut answer = [0; 100];
    let length = agent.recv(&mut answer).await.expect("there is a node");
    assert_eq!(&answer[..length], b"RR0");
}

const REQUESTS: [&str; 3] = ["PRlaura@bb.com", "PRpere@BB.com", "PRlaura"];

const ROUNDS: usize = 200;
const TOGETHER: usize = 7;

/// A user with a key costs what anybody does, and a challenge and a proof allocate no more than the queue of
/// outputs holds.
#[test]
fn a_user_with_a_key_is_refreshed_and_proved_without_allocating() {
    let signer = Signer::from_seed(&[1; 32]).expect("a seed");
    let line = format!("laura ed25519 {} 2026-11-29 added", PublicKey(signer.public_key()));
    let roster = Roster::parse(b"bb.com\nlaura\npere\n").expect("a roster");
    let mut node = Node::new(roster, "127.0.0.1:3344".parse().expect("an address"), NodeSettings::default());
    let now = tokio::time::Instant::now().into_std();
    node.challenge_with(now, &[7; 32]);
    node.handle_keys(&Keys::parse(line.as_bytes()).expect("keys"));
    let (laura, agent) =
        ("laura@bb.com".parse().expect("an address"), "127.0.0.1:5000".parse().expect("a socket"));
    let agent: plumi_proto::UdpAddress = agent;
    let asks = Message::RequestChallenge { verb: Verb::Register, address: laura }.encode();
    let mut prove = || {
        node.handle_datagram(now, agent, &asks).expect("it is answered");
        let Some(Output::Transmit { message, .. }) = node.poll_output() else { panic!("no challenge") };
        let (verb, challenge) = message.challenge().expect("a challenge");
        let proof = Message::Prove(signer.prove(verb, &laura, &challenge)).encode();
        node.handle_datagram(now, agent, &proof).expect("it is answered");
        assert!(node.poll_output().is_some());
        node.handle_datagram(now, agent, b"PRlaura@bb.com").expect("it is answered");
        let Some(Output::Transmit { message, .. }) = node.poll_output() else { panic!("no answer") };
        assert_eq!(&*message.encode(), b"RR0");
    };
    prove();
    let allocations = allocation_counter::measure(prove);
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
}
