//! Many askers with the same two names: each of their requests is kept, found again and answered as one with
//! its own names.
//!
//! 4,096 requests are pending, as many as a node keeps, each of a socket of its own. They are repeated, and
//! then answered. The figure is the processor time of the node for each datagram.

use std::iter;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use integration_tests::programs::NodeProgram;
use integration_tests::raw_user::RawUser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use crate::Options;
use crate::load::{self, Core};
use crate::report::{Report, Target, median};

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &["--rate-limit", "off", "-qq"]);
    load::keep_process_on(node.pid(), Core::Server)?;
    load::keep_this_thread_on(Core::Load)?;
    let askers = Askers::of(&node)?;
    let (mut same, mut own) = (Costs::default(), Costs::default());
    for _ in 0..options.rounds.get() {
        askers.measure(&mut own, |number| format!("PLa{number:04}@cc.com:laura@bb.com"))?;
        askers.measure(&mut same, |_| "PLa0000@cc.com:laura@bb.com".to_owned())?;
    }
    let name = "PL of 4,096 askers with the same names : with own names";
    report.ratio(name, median(same.asked), median(own.asked), "us", Target::AtMost(1.5));
    let name = "RL to 4,096 askers with the same names : with own names";
    report.ratio(name, median(same.answered), median(own.answered), "us", Target::AtMost(1.5));
    Ok(())
}

/// The processor time for a datagram in each round, in microseconds.
#[derive(Default)]
struct Costs {
    asked: Vec<f64>,
    answered: Vec<f64>,
}

struct Askers<'n> {
    node: &'n NodeProgram,
    sockets: Vec<RawUser>,
    /// The agent of the user that is asked for.
    callee: RawUser,
    /// A user that registers to find out that the node has taken everything before.
    pacer: RawUser,
}

impl<'n> Askers<'n> {
    fn of(node: &'n NodeProgram) -> anyhow::Result<Self> {
        // No address may hold more than 1,024 requests.
        let host = |number: usize| u8::try_from(number % ADDRESSES).map(|low| Ipv4Addr::new(127, 0, 8, low));
        let sockets = (0..ASKERS).map(|number| Ok(RawUser::at(host(number)?, node.address())));
        let sockets = sockets.collect::<anyhow::Result<_>>()?;
        let [callee, pacer] = [(); 2].map(|()| RawUser::new(node.address()));
        Ok(Self { node, sockets, callee, pacer })
    }

    /// Has all askers ask and ask again, and then all of them answered.
    fn measure(&self, costs: &mut Costs, question: impl Fn(usize) -> String) -> anyhow::Result<()> {
        let questions: Vec<_> = (0..ASKERS).map(question).collect();
        let mut asking = Duration::ZERO;
        for _ in 0..REPETITIONS {
            let begun = Instant::now();
            // It takes back the strikes.
            self.callee.say("PRlaura@bb.com");
            asking += self.cost_of(self.sockets.iter().zip(&questions))?;
            // A repetition that comes sooner is not sent on.
            thread::park_timeout(REPEATED.saturating_sub(begun.elapsed()));
        }
        costs.asked.push(micros(asking, ASKERS * REPETITIONS));
        let answers: Vec<_> = questions.iter().map(|question| question.replacen("PL", "RL1", 1)).collect();
        let answering = self.cost_of(iter::repeat(&self.callee).zip(&answers))?;
        costs.answered.push(micros(answering, ASKERS));
        let are_answered = self.sockets.iter().filter(|asker| asker.heard().is_some()).count();
        ensure!(are_answered == ASKERS, "{are_answered} of {ASKERS} askers were answered");
        Ok(())
    }

    /// The processor time that the node takes for these datagrams.
    fn cost_of<'a>(&self, sent: impl Iterator<Item = (&'a RawUser, &'a String)>) -> anyhow::Result<Duration> {
        let before = self.node.processor_time();
        for (number, (from, datagram)) in sent.enumerate() {
            from.say(datagram);
            if (number + 1) % QUEUED == 0 {
                self.wait()?;
            }
        }
        self.wait()?;
        Ok(self.node.processor_time() - before)
    }

    /// Waits until the node has taken everything.
    fn wait(&self) -> anyhow::Result<()> {
        self.pacer.say("PRpere@bb.com");
        let answer = self.pacer.hear_within(PATIENCE).context("the node does not answer")?;
        ensure!(answer == "RR0", "another answer came");
        // The callee was sent the requests, and the answer to its PR.
        while self.callee.heard().is_some() {}
        Ok(())
    }
}

fn micros(time: Duration, datagrams: usize) -> f64 {
    time.as_secs_f64() * 1e6 / datagrams as f64
}

/// The number of requests that a node keeps.
const ASKERS: usize = 4_096;

const ADDRESSES: usize = 64;

/// The number of times that each asks before it is answered.
const REPETITIONS: usize = 4;

/// The pause of an asker: a node sends on what comes again after 150 ms.
const REPEATED: Duration = Duration::from_millis(200);

/// Datagrams that wait for the node at a time: fewer than the queue of a socket holds.
const QUEUED: usize = 128;

const PATIENCE: Duration = Duration::from_secs(5);
