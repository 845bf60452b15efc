//! A roster of a million users: the start with it, the memory of it, and a change of it.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use integration_tests::loads::Latencies;
use integration_tests::programs::{self, NodeProgram};
use tokio::time::Instant;

use crate::Options;
use crate::domain::{self, DOMAIN, NO_LIMIT, ROSTER};
use crate::load;
use crate::registrations::IN_FLIGHT;
use crate::report::{Report, Target, median, with_commas};

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    // Whatever starts one first has it built.
    programs::executable(programs::NODE);
    let (empty, full) = (tempfile::tempdir()?, tempfile::tempdir()?);
    domain::write_roster(empty.path(), 0)?;
    domain::write_roster(full.path(), USERS)?;
    let of_nobody = domain::start_in(empty.path(), &[]);
    let (mut ready, mut read, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    let mut node = None;
    for _ in 0..options.rounds.get() {
        // One at a time.
        drop(node.take());
        let start = Instant::now();
        let text = fs::read(full.path().join(ROSTER))?;
        read.push(in_ms(start.elapsed()));
        drop(text);
        let start = Instant::now();
        let started = node.insert(domain::start_in(full.path(), &[&NO_LIMIT[..], &["--console"]].concat()));
        ready.push(in_ms(start.elapsed()));
        memory.push(per_user(started, &of_nobody));
    }
    let name = "1,000,000 users: start to ready : reading the file";
    report.beside(name, median(ready), median(read), "ms", Target::AtMost(1_000.0));
    report.figure("  memory over no users, for each", median(memory), "bytes", Target::AtMost(128.0));
    let mut node = node.context("there is a round")?;
    let registered = register_all(&node)?;
    let name = format!("  the same after {} registrations", with_commas(registered as f64));
    report.note(&name, per_user(&node, &of_nobody), "bytes");
    changes(&mut node, report)
}

fn per_user(node: &NodeProgram, of_nobody: &NodeProgram) -> f64 {
    node.memory().saturating_sub(of_nobody.memory()) as f64 / USERS as f64
}

/// Registers each user once. Returns how many were answered.
pub(crate) fn register_all(node: &NodeProgram) -> anyhow::Result<usize> {
    let requests = domain::registrations(USERS);
    let socket = load::socket_to(node.address())?;
    let exchanged = load::keep_in_flight(&socket, &requests, IN_FLIGHT, |done, _| done < requests.count())?;
    // The rest is not bound to the load's core.
    load::let_this_thread_run_anywhere()?;
    Ok(exchanged.answers)
}

/// The administrator makes changes, then has the roster read again, and somebody else registers meanwhile.
///
/// Nobody is kept on a core here: the node saves the roster on a thread of its own, and the system decides
/// which core that takes.
fn changes(node: &mut NodeProgram, report: &mut Report) -> anyhow::Result<()> {
    let at = node.address();
    let mut at_rest = while_probed(at, || thread::park_timeout(REST))?;
    let mut took = Vec::new();
    let mut meanwhile = while_probed(at, || {
        for number in 0..CHANGES {
            let (does, did) =
                if number % 2 == 0 { ("register", "registered") } else { ("deregister", "deregistered") };
            took.push(command(node, &format!("{does} new"), &format!("{did} new")));
        }
    })?;
    let mut reloads = Vec::new();
    let mut while_reloaded = while_probed(at, || {
        reloads.extend((0..RELOADS).map(|_| command(node, "reload", "reloaded, ")));
    })?;
    let mut while_listed = while_probed(at, || {
        for _ in 0..LISTS {
            command(node, "list", "USER ");
        }
    })?;
    let all = [&mut meanwhile, &mut while_reloaded, &mut while_listed, &mut at_rest];
    let [
        [p99, longest],
        [p99_reloaded, longest_reloaded],
        [p99_listed, longest_listed],
        [p99_at_rest, longest_at_rest],
    ] = all.map(|latencies| [99, 100].map(|percent| in_ms(latencies.percentile(percent))));
    let name = "  PR -> RR0 while the roster is changed, p99 : at rest";
    report.beside(name, p99, p99_at_rest, "ms", Target::AtMost(5.0));
    report.note_beside("  the longest of the same", longest, longest_at_rest, "ms");
    report.note(&format!("  a change itself, of {CHANGES} one after the other"), median(took), "ms");
    let name = "  PR -> RR0 while the roster is reloaded unchanged, p99";
    report.beside(name, p99_reloaded, p99_at_rest, "ms", Target::AtMost(5.0));
    report.note_beside("  the longest of the same", longest_reloaded, longest_at_rest, "ms");
    report.note(&format!("  a reload itself, of {RELOADS} one after the other"), median(reloads), "ms");
    let name = "  PR -> RR0 while all users are listed, p99";
    report.beside(name, p99_listed, p99_at_rest, "ms", Target::AtMost(5.0));
    report.note_beside("  the longest of the same", longest_listed, longest_at_rest, "ms");
    Ok(())
}

/// The time until the node answers what is typed, in milliseconds.
fn command(node: &mut NodeProgram, line: &str, answer: &str) -> f64 {
    let start = Instant::now();
    node.type_line(line);
    node.expect_line(answer);
    in_ms(start.elapsed())
}

/// Does `work`, and registers a user again and again meanwhile. Returns how long the answers took.
///
/// One user stands for many that ask at their own times: one that is due while an answer is awaited would
/// wait as well, and is counted from its due time.
pub(crate) fn while_probed(at: SocketAddrV4, work: impl FnOnce()) -> anyhow::Result<Latencies> {
    let socket = load::socket_to(at)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let request = format!("PR{}@{DOMAIN}", domain::user(0));
    let is_done = AtomicBool::new(false);
    let probe = || {
        let mut latencies = Latencies::default();
        let mut due = Instant::now();
        let mut buffer = [0; 64];
        while !is_done.load(Ordering::Relaxed) {
            let mut asked = due;
            while let Some(early) =
                due.checked_duration_since(Instant::now()).filter(|early| !early.is_zero())
            {
                thread::park_timeout(early);
                asked = Instant::now();
            }
            socket.send(request.as_bytes())?;
            match socket.recv(&mut buffer) {
                Ok(length) => ensure!(&buffer[..length] == b"RR0", "the user cannot register"),
                // A request that is lost in a flood has waited for all of this, and another one follows.
                Err(error) if error.kind() == ErrorKind::WouldBlock => due = Instant::now(),
                Err(error) => return Err(error).context("no answer"),
            }
            latencies.add(asked.elapsed());
            due += PROBE_INTERVAL;
        }
        Ok(latencies)
    };
    thread::scope(|scope| {
        let probing = scope.spawn(probe);
        work();
        is_done.store(true, Ordering::Relaxed);
        probing.join().expect("it does not panic")
    })
}

pub(crate) fn in_ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

const USERS: usize = 1_000_000;

/// An even number, so that the roster is as before.
const CHANGES: usize = 40;

const RELOADS: usize = 5;

const LISTS: usize = 2;

/// The time for which answers are measured while nothing changes.
const REST: Duration = Duration::from_secs(2);

const PROBE_INTERVAL: Duration = Duration::from_micros(200);

/// A request without an answer for so long is lost.
const PATIENCE: Duration = Duration::from_secs(5);
