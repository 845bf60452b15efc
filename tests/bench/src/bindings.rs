//! Bindings that are saved: what that costs registrations, and a start.

use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use integration_tests::loads::{self, Latencies};
use integration_tests::programs::{self, NodeProgram};
use tokio::time::Instant;

use crate::Options;
use crate::domain::{self, DOMAIN, NO_LIMIT, NodeOfMany};
use crate::load;
use crate::registrations::{Rates, node};
use crate::report::{Report, Target, median, with_commas};
use crate::roster::{in_ms, register_all, while_probed};

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    rates(options, report)?;
    latencies(options, report)?;
    others(report)?;
    start(options, report)
}

/// Measures how many registrations are answered while nobody moves, and while each one moves its user.
fn rates(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let (few, many) = (domain::registrations(FEW), domain::registrations(MANY));
    for (name, users, requests, least) in [
        ("PR -> RR0 of nobody who moves, saved : --bindings off", FEW, &few, 0.98),
        // A round asks for fewer users than there are, from a socket of its own.
        ("PR -> RR0, each moves its user, saved : --bindings off", MANY, &many, 0.6),
    ] {
        let (saving, off) = (node(users, &[])?, node(users, &OFF)?);
        let (mut saved, mut unsaved) =
            (Rates::of(requests, saving.address()), Rates::of(requests, off.address()));
        for _ in 0..options.rounds.get() {
            saved.measure(options)?;
            unsaved.measure(options)?;
        }
        report.ratio(name, saved.per_second(), unsaved.per_second(), "/s", Target::AtLeast(least));
        report.note_beside("  requests without an answer", saved.lost() as f64, unsaved.lost() as f64, "");
    }
    Ok(())
}

/// Measures how long users wait who were offline and register one after the other.
fn latencies(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let (saving, off) =
        (NodeOfMany::start(MANY, &NO_LIMIT)?, NodeOfMany::start(MANY, &[NO_LIMIT, OFF].concat())?);
    load::let_this_thread_run_anywhere()?;
    let (mut saved, mut unsaved) = (Latencies::default(), Latencies::default());
    let mut first = 0;
    for _ in 0..options.rounds.get() {
        let asked = register_new(&saving, first, options.each(), &mut saved)?;
        first += asked.max(register_new(&off, first, options.each(), &mut unsaved)?);
    }
    for (percent, most) in [(50, 2.0), (99, 25.0)] {
        let [saved, unsaved] =
            [&mut saved, &mut unsaved].map(|latencies| in_ms(latencies.percentile(percent)));
        let name = format!("first PR -> RR0 of a user, p{percent}, saved : --bindings off");
        report.note_beside(&name, saved, unsaved, "ms");
        report.figure("  that is longer by", saved - unsaved, "ms", Target::AtMost(most));
    }
    Ok(())
}

/// Registers users from `first` on, each of whom was offline, for this long. Returns how many there were.
fn register_new(
    node: &NodeProgram,
    first: usize,
    each: Duration,
    latencies: &mut Latencies,
) -> anyhow::Result<usize> {
    let socket = load::socket_to(node.address())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let start = Instant::now();
    for (asked, user) in (first..MANY).enumerate() {
        if start.elapsed() >= each {
            return Ok(asked);
        }
        let sent = Instant::now();
        socket.send(format!("PR{}@{DOMAIN}", domain::user(user)).as_bytes())?;
        let mut answer = [0; 64];
        let length = socket.recv(&mut answer).context("no answer")?;
        latencies.add(sent.elapsed());
        ensure!(&answer[..length] == b"RR0", "a user cannot register");
        thread::park_timeout(PAUSE);
    }
    Ok(MANY - first)
}

/// Measures how long a registration that changes nothing takes while many users move.
fn others(report: &mut Report) -> anyhow::Result<()> {
    let (saving, off) =
        (NodeOfMany::start(MANY, &NO_LIMIT)?, NodeOfMany::start(MANY, &[NO_LIMIT, OFF].concat())?);
    let of = |node: &NodeProgram| -> anyhow::Result<Latencies> {
        // The answers are left to the kernel, which drops what does not fit.
        let sockets = [load::socket_to(node.address())?, load::socket_to(node.address())?];
        while_probed(node.address(), || {
            loads::at_rate(MOVES, MOVES * SECONDS, |number| move_user(&sockets, number));
        })
    };
    let (mut saved, mut unsaved) = (of(&saving)?, of(&off)?);
    let [[p99, longest], [p99_off, longest_off]] = [&mut saved, &mut unsaved]
        .map(|latencies| [99, 100].map(|percent| in_ms(latencies.percentile(percent))));
    let name = format!("PR -> RR0 of others at {} moves a second, p99 : off", with_commas(MOVES as f64));
    report.beside(&name, p99, p99_off, "ms", Target::AtMost(5.0));
    report.note_beside("  the longest of the same", longest, longest_off, "ms");
    Ok(())
}

/// Registers another user than the prober's, from the other socket than the last time.
fn move_user(sockets: &[UdpSocket; 2], number: usize) {
    let (user, turn) = (1 + number % MOVING, number / MOVING);
    // A datagram that cannot be sent moves nobody.
    _ = sockets[turn % 2].send(format!("PR{}@{DOMAIN}", domain::user(user)).as_bytes());
}

/// Measures a start with a million users who were online, beside one of a node that keeps none.
fn start(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    programs::executable(programs::NODE);
    let folder = tempfile::tempdir()?;
    domain::write_roster(folder.path(), MANY)?;
    let started = |at: &str, more: &[&str]| {
        let start = Instant::now();
        let node = domain::start_in(folder.path(), &[&NO_LIMIT[..], &["--listen", at], more].concat());
        (node, in_ms(start.elapsed()))
    };
    let (first, _) = started("127.0.0.1:0", &[]);
    let at = first.address().to_string();
    let registered = register_all(&first)?;
    end(first);
    let (mut restored, mut empty) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.get() {
        for (times, more) in [(&mut restored, &[][..]), (&mut empty, &OFF)] {
            let (node, took) = started(&at, more);
            times.push(took);
            end(node);
        }
    }
    let (restored, empty) = (median(restored), median(empty));
    let name = format!("{} users restored: start to ready : --bindings off", with_commas(registered as f64));
    report.note_beside(&name, restored, empty, "ms");
    report.figure("  that is longer by", restored - empty, "ms", Target::AtMost(1_000.0));
    Ok(())
}

fn end(mut node: NodeProgram) {
    node.signal(programs::Signal::Terminate);
    node.wait_exit();
}

const OFF: [&str; 2] = ["--bindings", "off"];

const FEW: usize = 100;

const MANY: usize = 1_000_000;

/// Users who move, one after the other.
const MOVING: usize = 100_000;

/// Moves a second: a tenth of what a node answers.
const MOVES: usize = 10_000;

/// The time for which they move, in seconds.
const SECONDS: usize = 10;

/// Between one user and the next, so that each has a commit of its own.
const PAUSE: Duration = Duration::from_millis(1);

/// A request without an answer for this long is lost, and there is no figure.
const PATIENCE: Duration = Duration::from_secs(5);
