//! Registrations: a `PR` in, an `RR0` out, both in the log.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::mpsc;
use std::{future, thread};

use lumi_dns::NodeDirectory;
use lumi_node_core::{Node, NodeSettings, RateLimit, Roster, Server};
use tokio::net::UdpSocket;
use tokio::runtime;

use crate::domain::{self, NO_LIMIT, NodeOfMany};
use crate::load::{self, Core, Exchanged, Requests};
use crate::report::{Report, Target, median};
use crate::{Options, echo};

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    // Saving them is a figure of `bindings`.
    let off = ["--bindings", "off"];
    let (few, many) = (node(FEW, &off)?, node(MANY, &off)?);
    let (of_few, of_many) = (domain::registrations(FEW), domain::registrations(MANY));
    let mut bare = Rates::of(&of_few, echo::start(b"RR0")?);
    let mut logged = Rates::of(&of_few, few.address());
    let mut million = Rates::of(&of_many, many.address());
    let mut unlogged = Rates::of(&of_few, server_without_log(FEW)?);
    for _ in 0..options.rounds.get() {
        for rates in [&mut bare, &mut logged, &mut million, &mut unlogged] {
            rates.measure(options)?;
        }
    }
    let mut ratio = |figure: &str, is: &Rates<'_>, limit: &Rates<'_>, least| {
        report.ratio(figure, is.per_second(), limit.per_second(), "/s", Target::AtLeast(least));
        let idle = "  of its time the load looked in vain";
        report.note_beside(idle, is.idle_percent(), limit.idle_percent(), "%");
        report.note_beside("  requests without an answer", is.lost() as f64, limit.lost() as f64, "");
    };
    ratio("PR -> RR0, 100 users, log on : bare UDP echo", &logged, &bare, 0.8);
    ratio("PR -> RR0, log on, 1,000,000 users : 100 users", &million, &logged, 0.95);
    ratio("PR -> RR0, 100 users, log off : bare UDP echo", &unlogged, &bare, 0.95);
    Ok(())
}

/// Starts the node of so many users on the server's core, its log where it does not become full.
pub(crate) fn node(users: usize, more: &[&str]) -> anyhow::Result<NodeOfMany> {
    let node = NodeOfMany::start(users, &[&NO_LIMIT[..], &["--log-max-size", "1G"], more].concat())?;
    load::keep_process_on(node.pid(), Core::Server)?;
    Ok(node)
}

/// The measured answers of a server.
pub(crate) struct Rates<'r> {
    requests: &'r Requests,
    at: SocketAddrV4,
    rounds: Vec<Exchanged>,
}

impl<'r> Rates<'r> {
    /// Creates the rates of the server at `at`, asked with `requests`.
    pub(crate) fn of(requests: &'r Requests, at: SocketAddrV4) -> Self {
        Self { requests, at, rounds: Vec::new() }
    }

    /// Measures another round, from a new socket.
    pub(crate) fn measure(&mut self, options: &Options) -> anyhow::Result<()> {
        let goes_on = |_, passed| passed < options.each();
        let socket = load::socket_to(self.at)?;
        self.rounds.push(load::keep_in_flight(&socket, self.requests, IN_FLIGHT, goes_on)?);
        Ok(())
    }

    /// Answers.
    pub(crate) fn per_second(&self) -> f64 {
        median(self.rounds.iter().map(Exchanged::per_second).collect())
    }

    /// As [`Exchanged::idle_percent`].
    fn idle_percent(&self) -> f64 {
        median(self.rounds.iter().map(Exchanged::idle_percent).collect())
    }

    /// The number of requests without an answer, in all rounds.
    pub(crate) fn lost(&self) -> usize {
        self.rounds.iter().map(|exchanged| exchanged.lost).sum()
    }
}

/// A node in this process, to which no message log listens; its limit is that of [`node`].
fn server_without_log(users: usize) -> anyhow::Result<SocketAddrV4> {
    let roster = Roster::parse(domain::roster(users).as_bytes())?;
    let (tell, told) = mpsc::channel();
    thread::Builder::new().name("node".into()).spawn(move || {
        load::keep_this_thread_on(Core::Server)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            let SocketAddr::V4(at) = socket.local_addr()? else { anyhow::bail!("IPv4 was bound") };
            let rate_limit = Some(RateLimit::new(NO_LIMIT[1].parse()?));
            let node = Node::new(roster, at.into(), NodeSettings::default().rate_limit(rate_limit));
            tell.send(at)?;
            Server::new(socket, node, NodeDirectory::builder().build()?).run(future::pending()).await?;
            anyhow::Ok(())
        })
    })?;
    Ok(told.recv()?)
}

const FEW: usize = 100;

const MANY: usize = 1_000_000;

pub(crate) const IN_FLIGHT: usize = 64;
