//! The cost of a node without its socket and its log: a datagram comes in, and its outputs come out.

use std::fmt::Write;
use std::hint::black_box;
use std::iter;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use lumi_node_core::{Keys, Node, NodeSettings, Output, PublicKey, Roster};
use lumi_proof::Signer;
use plumi_proto::{Message, Verb};

fn handle_datagram(criterion: &mut Criterion) {
    for users in [100, 1_000_000] {
        let mut node = node(users);
        let mut group = criterion.benchmark_group(format!("{users} users"));
        let mut bench = |name: &str, of_user: &dyn Fn(&str) -> Vec<Datagram>| {
            let mut exchanges = exchanges(users, of_user);
            group.bench_function(name, |bencher| bencher.iter(|| node.handle(exchanges.next())));
        };
        bench("PR of a stranger", &|user| vec![(AGENT, format!("PRx{user}@bb.com"))]);
        bench("PL of a user who is offline", &|user| vec![locate(user)]);
        // They are online from here on.
        bench("PR of a user", &|user| vec![(AGENT, format!("PR{user}@bb.com"))]);
        bench("PL of a user who is online, and its RL", &|user| {
            vec![locate(user), (AGENT, format!("RL0joya@cc.com:{user}@bb.com:127.0.0.1:4456"))]
        });
    }
}

/// Proofs by the last of a user's keys, so that each key is tried, and a refresh of the same user.
fn prove(criterion: &mut Criterion) {
    for count in [1, 4_u8] {
        let signers: Vec<_> =
            (1..=count).map(|number| Signer::from_seed(&[number; 32]).expect("a seed")).collect();
        let lines = signers
            .iter()
            .map(|signer| format!("u0000000 ed25519 {} 2026-11-29 added\n", PublicKey(signer.public_key())));
        let mut node = node(100);
        node.node.challenge_with(node.now, &[7; 32]);
        node.node.handle_keys(&Keys::parse(lines.collect::<String>().as_bytes()).expect("keys"));
        let address = "u0000000@bb.com".parse().expect("an address");
        let asks = Message::RequestChallenge { verb: Verb::Register, address }.encode();
        let mut group = criterion.benchmark_group(format!("a user with {count} keys"));
        group.bench_function("PK", |bencher| {
            bencher.iter_custom(|times| {
                (0..times)
                    .map(|_| {
                        // A socket may send two a second.
                        node.now += Duration::from_secs(1);
                        node.node.handle_datagram(node.now, AGENT, &asks).expect("it is answered");
                        let Some(Output::Transmit { message, .. }) = node.node.poll_output() else {
                            unreachable!("it is answered")
                        };
                        let (verb, challenge) = message.challenge().expect("a challenge");
                        let signer = signers.last().expect("a key");
                        let proof = Message::Prove(signer.prove(verb, &address, &challenge)).encode();
                        let start = tokio::time::Instant::now();
                        node.node.handle_datagram(node.now, AGENT, &proof).expect("it is answered");
                        let taken = start.elapsed();
                        black_box(node.node.poll_output());
                        taken
                    })
                    .sum()
            });
        });
        let refreshes = [(AGENT, "PRu0000000@bb.com".to_owned())];
        group.bench_function("PR", |bencher| bencher.iter(|| node.handle(Some(&refreshes))));
    }
}

/// The sender of a datagram, and its bytes.
type Datagram = (SocketAddrV4, String);

/// A node, and a clock that stands still: nothing is a strike but the first question, and nothing is
/// forgotten.
struct StillNode {
    node: Node,
    now: Instant,
}

impl StillNode {
    fn handle(&mut self, datagrams: Option<&[Datagram]>) {
        for (from, datagram) in datagrams.into_iter().flatten() {
            self.node.handle_datagram(self.now, *from, datagram.as_bytes()).expect("nothing is dropped");
            iter::from_fn(|| self.node.poll_output()).for_each(|output| _ = black_box(output));
        }
    }
}

fn node(users: usize) -> StillNode {
    let mut roster = "bb.com\n".to_owned();
    (0..users).for_each(|number| writeln!(roster, "{}", user(number)).expect("a String takes everything"));
    let roster = Roster::parse(roster.as_bytes()).expect("a roster");
    let node = Node::new(roster, "127.0.0.1:3344".parse().expect("an address"), NodeSettings::default());
    StillNode { node, now: tokio::time::Instant::now().into_std() }
}

fn user(number: usize) -> String {
    format!("u{number:07}")
}

fn locate(user: &str) -> Datagram {
    (ASKER, format!("PLjoya@cc.com:{user}@bb.com"))
}

/// The exchanges of some users, in no order, over and over.
fn exchanges<'e>(
    users: usize,
    of_user: &dyn Fn(&str) -> Vec<Datagram>,
) -> impl Iterator<Item = &'e [Datagram]> {
    let some = (0..users.min(SOME)).map(|number| of_user(&user(number * STRIDE % users)));
    Vec::leak(some.collect::<Vec<_>>()).iter().map(Vec::as_slice).cycle()
}

/// The agent of every user.
const AGENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 40_000);

/// The asker's node.
const ASKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 50_000);

/// Users that do anything: too many for a cache.
const SOME: usize = 200_000;

/// Prime to every number of users, so that each is met once.
const STRIDE: usize = 7_654_321;

criterion_group!(benches, handle_datagram, prove);
criterion_main!(benches);
