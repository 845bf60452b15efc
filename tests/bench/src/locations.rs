//! Locations: a `PL` through two nodes to an agent, its `RL0` back the same way.
//!
//! ```text
//! asker ──PL──► node of aa.com ──PL──► node of bb.com ──PL──► agent
//!       ◄──RL0─                ◄──RL0─                ◄──RL0─
//! core 0        core 1                 core 0                 core 1
//! ```
//!
//! These are six hops, as three round trips to a server are. Each of them ends on the other core, those of
//! the bare trips too: what it takes to wake somebody up there is most of a hop, and must be the same on both
//! sides.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use integration_tests::loads::Latencies;
use integration_tests::programs::NodeProgram;
use tokio::time::Instant;

use crate::domain::{self, DOMAIN};
use crate::load::{self, Core, Requests};
use crate::registrations::IN_FLIGHT;
use crate::report::{Report, Target, median};
use crate::{Options, echo};

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let users: Vec<_> = (0..USERS).map(domain::user).collect();
    let names: Vec<_> = users.iter().map(String::as_str).collect();
    let listen = SocketAddrV4::new(FAR, 0).to_string();
    let far = NodeProgram::start(DOMAIN, &names, &[&UNLIMITED[..], &["--listen", &listen]].concat());
    let peer = format!("{DOMAIN}={}", far.address());
    let near = NodeProgram::start("aa.com", &["laura"], &[&UNLIMITED[..], &["--peer", &peer]].concat());
    load::keep_process_on(near.pid(), Core::Server)?;
    load::keep_process_on(far.pid(), Core::Load)?;
    start_agent(&users, far.address())?;
    load::keep_this_thread_on(Core::Load)?;

    let requests = Requests::new(users.iter().map(|user| format!("PL{ASKER}:{user}@{DOMAIN}")));
    let example = answer(requests.next());
    let bare = waiting(load::socket_to(echo::start(example)?)?)?;
    let asker = waiting(load::socket_to(near.address())?)?;
    ensure!(ask(&asker, format!("PR{ASKER}").as_bytes())? == b"RR0", "the asker cannot register");

    let mut through_nodes = Rounds::default();
    let mut bare_trips = Rounds::default();
    let (mut rates, mut lost) = (Vec::new(), 0);
    for _ in 0..options.rounds.get() {
        bare_trips.add(latencies(&requests, options.each(), |request| {
            (0..HOPS / 2).try_for_each(|_| ask(&bare, request).map(drop))
        })?);
        through_nodes.add(latencies(&requests, options.each(), |request| {
            ensure!(
                ask(&asker, request)? == answer(request),
                "another answer came than the one to this request"
            );
            Ok(())
        })?);
    }
    for _ in 0..options.rounds.get() {
        let goes_on = |_, passed| passed < options.each();
        let exchanged = load::keep_in_flight(&asker, &requests, IN_FLIGHT, goes_on)?;
        rates.push(exchanged.per_second());
        lost += exchanged.lost;
    }
    let (is, limit) = (through_nodes, bare_trips);
    let p50 = "PL -> RL0 through two nodes, p50 : three bare UDP echoes";
    report.ratio(p50, median(is.p50), median(limit.p50), "us", Target::AtMost(1.3));
    report.note_beside("  p99 of the same", median(is.p99), median(limit.p99), "us");
    report.note("PL -> RL0 through two nodes, 64 in flight", median(rates), "/s");
    report.note("  of these lost", lost as f64, "");
    Ok(())
}

/// Percentiles of each round, in microseconds.
#[derive(Default)]
struct Rounds {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, mut latencies: Latencies) {
        self.p50.push(latencies.percentile(50).as_secs_f64() * 1e6);
        self.p99.push(latencies.percentile(99).as_secs_f64() * 1e6);
    }
}

/// The durations of requests made one at a time for so long.
fn latencies(
    requests: &Requests,
    time: Duration,
    mut exchange: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        if asked - start > time {
            return Ok(latencies);
        }
        exchange(requests.next())?;
        latencies.add(asked.elapsed());
    }
}

/// Registers all users from one socket, in a thread that answers every question for any of them. What an
/// agent does beside that would be in the figure and is not the nodes'.
fn start_agent(users: &[String], node: SocketAddrV4) -> anyhow::Result<()> {
    let socket = waiting(load::socket_to(node)?)?;
    for user in users {
        let answer = ask(&socket, format!("PR{user}@{DOMAIN}").as_bytes())?;
        ensure!(answer == b"RR0", "{user} cannot register");
    }
    socket.set_read_timeout(None)?;
    thread::Builder::new().name("agent".into()).spawn(move || {
        load::keep_this_thread_on(Core::Server)?;
        let mut buffer = [0; 2048];
        loop {
            let length = socket.recv(&mut buffer)?;
            socket.send(&answer(&buffer[..length]))?;
        }
        #[expect(unreachable_code, reason = "says what the errors are")]
        Ok::<(), anyhow::Error>(())
    })?;
    Ok(())
}

/// The `RL0` to a `PL`.
fn answer(locate: &[u8]) -> Vec<u8> {
    [b"RL0", &locate[2..], b":127.0.0.1:3500"].concat()
}

/// A socket that waits for an answer, but not for ever.
fn waiting(socket: UdpSocket) -> anyhow::Result<UdpSocket> {
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn ask(socket: &UdpSocket, request: &[u8]) -> anyhow::Result<Vec<u8>> {
    socket.send(request)?;
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).context("no answer")?;
    Ok(buffer[..length].to_vec())
}

const ASKER: &str = "laura@aa.com";

/// The address of the other node.
const FAR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Many more than are asked for at once, so that each request under way has names of its own.
const USERS: usize = 1_024;

const HOPS: usize = 6;

/// A request without an answer for so long is lost, and there is no figure.
const PATIENCE: Duration = Duration::from_secs(5);

/// All parties are at few addresses here, which have neither a rate limit nor a bound of pending requests.
const UNLIMITED: [&str; 4] = ["--rate-limit", "off", "--exempt", "127.0.0.0/8"];
