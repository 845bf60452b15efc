//! Registrations: a `PR` in, an `RR0` out, both in the log.

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, SocketAddrV4};
use std::thread;

use fastrand::Rng;
use integration_tests::programs::NodeProgram;
use lumi_dns::NodeDirectory;
use lumi_node_core::{Node, NodeSettings, Roster, Server};
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::runtime;

use crate::load::{self, Core, Requests};
use crate::report::{Report, Target, median};
use crate::{Options, echo};

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let few = node_program(100)?;
    let many = node_program(1_000_000)?;
    let (few_requests, many_requests) = (requests(100), requests(1_000_000));
    let mut bare = few_requests_rates(echo::start(b"RR0")?);
    let mut logged = few_requests_rates(few.program.address());
    let mut million = few_requests_rates(many.program.address());
    let mut unlogged = few_requests_rates(server_without_log(100)?);
    for _ in 0..options.rounds.get() {
        for (rates, requests) in [
            (&mut bare, &few_requests),
            (&mut logged, &few_requests),
            (&mut million, &many_requests),
            (&mut unlogged, &few_requests),
        ] {
            rates.of_rounds.push(load::answers_per_second(requests, rates.at, IN_FLIGHT, options.each())?);
        }
    }
    let [bare, logged, million, unlogged] =
        [bare, logged, million, unlogged].map(|rates| median(rates.of_rounds));
    report.ratio("PR -> RR0, 100 users, log on : bare UDP echo", logged, bare, "/s", Target::AtLeast(0.8));
    report.ratio(
        "PR -> RR0, log on, 1,000,000 users : 100 users",
        million,
        logged,
        "/s",
        Target::AtLeast(0.95),
    );
    report.ratio(
        "PR -> RR0, 100 users, log off : bare UDP echo",
        unlogged,
        bare,
        "/s",
        Target::AtLeast(0.95),
    );
    Ok(())
}

struct Rates {
    at: SocketAddrV4,
    of_rounds: Vec<f64>,
}

fn few_requests_rates(at: SocketAddrV4) -> Rates {
    Rates { at, of_rounds: Vec::new() }
}

struct InFolder {
    program: NodeProgram,
    _folder: TempDir,
}

fn node_program(users: usize) -> anyhow::Result<InFolder> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("nodelumi.cfg"), roster(users))?;
    let program = NodeProgram::start_in(
        folder.path(),
        &["--roster", "nodelumi.cfg", "--rate-limit", "1000000000", "--log-max-size", "1G"],
    );
    load::keep_process_on(program.pid(), Core::Server)?;
    Ok(InFolder { program, _folder: folder })
}

fn server_without_log(users: usize) -> anyhow::Result<SocketAddrV4> {
    let roster = Roster::parse(roster(users).as_bytes())?;
    let (tell, told) = std::sync::mpsc::channel();
    thread::Builder::new().name("node".into()).spawn(move || {
        load::keep_this_thread_on(Core::Server)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            let SocketAddr::V4(at) = socket.local_addr()? else { anyhow::bail!("IPv4 was bound") };
            let node = Node::new(roster, at, NodeSettings { rate_limit: None, ..NodeSettings::default() });
            tell.send(at)?;
            Server::new(socket, node, NodeDirectory::builder().build()?).run(std::future::pending()).await?;
            anyhow::Ok(())
        })
    })?;
    Ok(told.recv()?)
}

/// `bb.com` with so many users.
fn roster(users: usize) -> String {
    let mut text = "bb.com\n".to_owned();
    (0..users).for_each(|number| writeln!(text, "{}", user(number)).expect("a String takes everything"));
    text
}

/// A request of each of so many users, in no order.
fn requests(users: usize) -> Requests {
    let mut order: Vec<_> = (0..users).collect();
    Rng::with_seed(1).shuffle(&mut order);
    Requests::new(order.into_iter().map(|number| format!("PR{}@bb.com", user(number))))
}

fn user(number: usize) -> String {
    format!("u{number:07}")
}

const IN_FLIGHT: usize = 64;
