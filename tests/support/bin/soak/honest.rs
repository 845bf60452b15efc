//! Honest users beside an attack, and what becomes of their requests.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use integration_tests::loads::at_rate;
use integration_tests::programs::{NODE, NodeProgram, at_home, executable};
use integration_tests::raw_user::RawUser;
use serde_json::Value;
use tokio::time::Instant;

/// An agent with one request at a time, which answers each `PL` of its node by `RL1` after a delay.
pub(crate) struct Honest {
    socket: Arc<RawUser>,
    /// The messages other than `PL`.
    answers: Receiver<String>,
    answered: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Honest {
    /// Registers the user `address` from a free port of `ip`.
    ///
    /// # Panics
    /// If the node does not register it.
    pub(crate) fn register(address: &str, ip: Ipv4Addr, node: &NodeProgram, delay: Duration) -> Self {
        let socket = Arc::new(RawUser::at(ip, node.address()));
        assert_eq!(socket.ask(&format!("PR{address}")), "RR0");
        let (sender, answers) = mpsc::channel();
        let (answered, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (own, counter, over) = (Arc::clone(&socket), Arc::clone(&answered), Arc::clone(&is_over));
        let reader = thread::spawn(move || {
            let mut due = VecDeque::<(Instant, String)>::new();
            while !over.load(Ordering::Relaxed) {
                if let Some(heard) = own.hear_within(LOOK) {
                    match heard.strip_prefix("PL") {
                        Some(names) => due.push_back((Instant::now() + delay, format!("RL1{names}"))),
                        // An error: the asker has ended.
                        None => _ = sender.send(heard),
                    }
                }
                while due.front().is_some_and(|(at, _)| *at <= Instant::now())
                    && let Some((_, answer)) = due.pop_front()
                {
                    own.say(answer);
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { socket, answers, answered, is_over, reader: Some(reader) }
    }

    /// Sends `question` once, and returns whether `answer` comes before an agent would ask again.
    pub(crate) fn is_answered(&self, question: &str, answer: &str) -> bool {
        // An answer that was too late for the last question answers this one as well.
        while self.answers.try_recv().is_ok() {}
        let asked = Instant::now();
        self.socket.say(question);
        while let Some(left) = TRY.checked_sub(asked.elapsed()) {
            match self.answers.recv_timeout(left) {
                Ok(heard) if heard == answer => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        false
    }

    /// Asks once a second where `to` is, `count` times, each time in the name `from`. Returns how many were
    /// answered at the first try.
    pub(crate) fn locates(&self, from: &str, to: &str, count: usize) -> usize {
        let mut found = 0;
        let (question, answer) = (format!("PL{from}:{to}"), format!("RL1{from}:{to}"));
        at_rate(1, count, |_| found += usize::from(self.is_answered(&question, &answer)));
        found
    }

    /// The number of `PL`s that it has answered.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // An error: it has panicked, and said so.
        _ = self.reader.take().map(JoinHandle::join);
    }
}

/// Runs `honest` while `attack` runs on another thread, which ends when its argument says so, or before.
pub(crate) fn beside<A: Send, H>(
    attack: impl FnOnce(&AtomicBool) -> A + Send,
    honest: impl FnOnce() -> H,
) -> (A, H) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let attacking = scope.spawn(|| attack(&is_over));
        let end = EndOnDrop(&is_over);
        let honest = honest();
        drop(end);
        (attacking.join().expect("it does not panic"), honest)
    })
}

/// Ends an attack also if the test of the honest users panics.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends as [`at_rate`] does until `is_over`, for `seconds` at most. Returns how many it sent.
pub(crate) fn attack_at_rate(
    per_second: usize,
    seconds: usize,
    is_over: &AtomicBool,
    mut send: impl FnMut(usize),
) -> usize {
    let mut sent = 0;
    for _ in 0..seconds {
        if !is_over.load(Ordering::Relaxed) {
            at_rate(per_second, per_second, |_| {
                send(sent);
                sent += 1;
            });
        }
    }
    sent
}

/// The status of a node that was started with [`CONTROL`] in `folder`.
///
/// # Panics
/// If it does not answer.
pub(crate) fn status(folder: &Path) -> Value {
    let mut command = Command::new(executable(NODE));
    let ctl = at_home(&mut command, folder).args(["ctl", "--socket", CONTROL[1], "status", "--json"]);
    let output = ctl.output().expect("it starts");
    serde_json::from_slice(&output.stdout).expect("the node answers in JSON")
}

/// A figure of a [`status`].
///
/// # Panics
/// If there is none.
pub(crate) fn figure(folder: &Path, name: &str) -> u64 {
    status(folder)[name].as_u64().unwrap_or_else(|| panic!("there is no {name}"))
}

/// The arguments of a node for [`status`].
pub(crate) const CONTROL: [&str; 2] = ["--control-socket", "ctl.sock"];

/// An agent asks again after a second.
const TRY: Duration = Duration::from_millis(950);

/// The precision of delays.
const LOOK: Duration = Duration::from_millis(10);
