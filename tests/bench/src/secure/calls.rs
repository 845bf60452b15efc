//! The duration of a call until both nicknames are exchanged, in plain text and encrypted.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::thread;

use anyhow::ensure;
use futures_util::future;
use integration_tests::loads::Latencies;
use mi_agent_core::{Agent, Event, Events};
use tokio::sync::oneshot;
use tokio::task::{self, LocalSet};
use tokio::time::Instant;

use super::bare::BareTls;
use super::{CALLS, Protection, address, is_encrypted, runtime, start};
use crate::Options;
use crate::domain::{NO_LIMIT, NodeOfMany};
use crate::load::{self, Core};
use crate::report::{Report, Target, median};

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let node = NodeOfMany::start(1 + CALLEES, &NO_LIMIT)?;
    let tls = BareTls::new()?;
    let [mut encrypted, mut plain, mut bare, mut tcp] = [const { Rounds::new() }; 4];
    for _ in 0..options.rounds.get() {
        encrypted.add(calls(node.address(), Protection::Keys)?);
        bare.add(connections(Some(&tls))?);
        plain.add(calls(node.address(), Protection::None)?);
        tcp.add(connections(None)?);
    }
    let [encrypted, plain, bare, tcp] = [encrypted, plain, bare, tcp].map(Rounds::medians);
    let figure = "encrypted call, located first, p50 : rustls alone";
    report.note_beside(figure, encrypted.p50, bare.p50, "us");
    report.note_beside("  p99 of the same", encrypted.p99, bare.p99, "us");
    report.note_beside("plain call, located first, p50 : TCP alone", plain.p50, tcp.p50, "us");
    report.note_beside("  p99 of the same", plain.p99, tcp.p99, "us");
    let figure = "what the handshake adds, p50 : rustls alone over TCP alone";
    report.ratio(figure, encrypted.p50 - plain.p50, bare.p50 - tcp.p50, "us", Target::AtMost(1.3));
    report.note_beside("  p99 of the same", encrypted.p99 - plain.p99, bare.p99 - tcp.p99, "us");
    Ok(())
}

/// The percentiles of each round, in microseconds.
struct Rounds {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

struct Percentiles {
    p50: f64,
    p99: f64,
}

impl Rounds {
    const fn new() -> Self {
        Self { p50: Vec::new(), p99: Vec::new() }
    }

    fn add(&mut self, mut latencies: Latencies) {
        self.p50.push(latencies.percentile(50).as_secs_f64() * 1e6);
        self.p99.push(latencies.percentile(99).as_secs_f64() * 1e6);
    }

    fn medians(self) -> Percentiles {
        Percentiles { p50: median(self.p50), p99: median(self.p99) }
    }
}

/// Returns how long the calls of an agent take, from its question to the callee's nickname. The callees are
/// on the other core; there are several, because one takes so many calls at once of the same address and then
/// few a second.
fn calls(node: SocketAddrV4, protection: Protection) -> anyhow::Result<Latencies> {
    load::keep_this_thread_on(Core::Load)?;
    runtime()?.block_on(async {
        let (caller, _events) = start(node, 0, protection).await?;
        let [(ready, are_ready), (stop, stopped)] = [oneshot::channel(), oneshot::channel()];
        let callees = thread::Builder::new().name("callees".into()).spawn(move || {
            load::keep_this_thread_on(Core::Server)?;
            LocalSet::new().block_on(&runtime()?, take_all(node, protection, ready, stopped))
        })?;
        are_ready.await?;
        let mut latencies = Latencies::default();
        for number in 1..=CALLEES {
            for call in 0..CALLS {
                let asked = Instant::now();
                let talk = caller.call(address(number)?).await?;
                let latency = asked.elapsed();
                ensure!(is_encrypted(&talk) == (protection == Protection::Keys), "protected otherwise");
                // The first call meets a new key, which is kept.
                if call > 0 {
                    latencies.add(latency);
                }
                let mut rest = talk.hang_up();
                while rest.next_line().await?.is_some() {}
            }
        }
        _ = stop.send(());
        caller.shutdown().await?;
        callees.join().expect("it does not panic")?;
        Ok(latencies)
    })
}

/// The agents that are called.
async fn take_all(
    node: SocketAddrV4,
    protection: Protection,
    ready: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let mut agents = Vec::new();
    for number in 1..=CALLEES {
        let (agent, events) = start(node, number, protection).await?;
        agents.push(agent);
        task::spawn_local(listen_to_all(events));
    }
    _ = ready.send(());
    // An error: the caller has failed.
    _ = stopped.await;
    for ended in future::join_all(agents.iter().map(Agent::shutdown)).await {
        ended?;
    }
    Ok(())
}

/// Takes the calls of an agent, each until its end.
async fn listen_to_all(mut events: Events) {
    while let Some(event) = events.next().await {
        if let Event::Incoming(incoming) = event
            && let Ok(mut talk) = incoming.accept()
        {
            task::spawn_local(async move { while let Ok(Some(_)) = talk.next_line().await {} });
        }
    }
}

/// The limit: as many connections, in TLS or not, on which a nickname goes each way.
fn connections(tls: Option<&BareTls>) -> anyhow::Result<Latencies> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    let callee_tls = tls.cloned();
    let callee = thread::Builder::new().name("callee".into()).spawn(move || {
        load::keep_this_thread_on(Core::Server)?;
        for _ in 0..CALLEES * CALLS {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            match &callee_tls {
                Some(tls) => answer(tls.callee(stream)?)?,
                None => answer(stream)?,
            }
        }
        anyhow::Ok(())
    })?;
    load::keep_this_thread_on(Core::Load)?;
    let mut latencies = Latencies::default();
    for _ in 0..CALLEES * CALLS {
        let begun = Instant::now();
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        match tls {
            Some(tls) => greet(tls.caller(stream)?, begun, &mut latencies)?,
            None => greet(stream, begun, &mut latencies)?,
        }
    }
    callee.join().expect("it does not panic")?;
    Ok(latencies)
}

/// The caller's part.
fn greet(mut stream: impl Read + Write, begun: Instant, latencies: &mut Latencies) -> anyhow::Result<()> {
    stream.write_all(NICKNAME)?;
    stream.flush()?;
    stream.read_exact(&mut [0; NICKNAME.len()])?;
    latencies.add(begun.elapsed());
    Ok(())
}

/// The callee's part, to the end of the connection.
fn answer(mut stream: impl Read + Write) -> anyhow::Result<()> {
    stream.read_exact(&mut [0; NICKNAME.len()])?;
    stream.write_all(NICKNAME)?;
    stream.flush()?;
    ensure!(stream.read(&mut [0])? == 0, "the caller says more");
    Ok(())
}

/// The agents that are called in each round.
const CALLEES: usize = 10;

const NICKNAME: &[u8] = b"N08u0000000";
