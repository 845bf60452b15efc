//! The task over a scripted socket, with a clock that stands still while anything happens.

mod bindings;
mod held_answers;

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::sync::mpsc::{self as std_mpsc, Receiver};
use std::sync::{Arc, Mutex};

use message_log::{LineWriter, MessageLayer};
use plumi_proto::{HostIp, UdpAddress};
use rustix::io::Errno;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant as TokioInstant;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::administrator::Administrator;
use crate::io::roster_file::RosterFile;
use crate::io::roster_store::Store;
use crate::io::tests::diagnostics::Diagnostics;
use crate::state::held_answers::LOG_PATIENCE;
use crate::state::settings::NodeSettings;

#[tokio::test(start_paused = true)]
async fn errors_of_receiving_neither_end_it_nor_spin() {
    for error in ERRORS {
        let mut host = Host::start();
        let begun = TokioInstant::now();
        for _ in 0..1_000 {
            host.fails(error);
        }
        host.hears(LAURA, FIRST, "PRlaura");
        assert_eq!(
            host.administrator.list().await.expect("a list").len(),
            2,
            "it serves while it cannot receive"
        );
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"), "{error}");
        // A thousand pauses take their time, but no more than that.
        let (pause, millis) = (999 * ERROR_PAUSE, Duration::from_millis(999));
        assert!((pause..=pause + millis).contains(&begun.elapsed()), "{error}: {:?}", begun.elapsed());
        host.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_with_each_datagram_holds_nobody_up() {
    let mut host = Host::start();
    let begun = TokioInstant::now();
    for error in ERRORS.iter().cycle().take(1_000) {
        host.fails(*error);
        host.hears(LAURA, FIRST, "PRlaura");
        assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_lost_and_nothing_else() {
    let mut host = Host::start();
    let begun = TokioInstant::now();
    for error in ERRORS {
        host.refuses.lock().unwrap().extend([error; 100]);
        for _ in 0..100 {
            host.hears(LAURA, FIRST, "PRlaura");
        }
        host.hears(LAURA, FIRST, "PDlaura");
        assert_eq!(host.says().await, said(LAURA, FIRST, "RD0"), "{error}");
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits for room");
}

#[tokio::test(start_paused = true)]
async fn errors_are_told_once_a_second_each_way() {
    let diagnostics = Diagnostics::record();
    let mut host = Host::start();
    for _ in 0..500 {
        host.fails(Errno::NOBUFS);
    }
    host.refuses.lock().unwrap().extend([Errno::PERM; 500]);
    for _ in 0..501 {
        host.hears(LAURA, FIRST, "PRlaura");
    }
    assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    for told in [
        "cannot receive datagrams, so the node tries again: No buffer space available (os error 105); if it lasts",
        "the latest to 127.0.0.9:4500: Operation not permitted (os error 1); if it lasts",
    ] {
        assert_ne!(diagnostics.lines(told).len(), 0, "{told}");
    }
    let received = diagnostics.counts("cannot receive", "errors=");
    // The errors of five seconds are reported. Later ones are reported with the next.
    assert!((5..=6).contains(&received.len()) && received.iter().sum::<u64>() > 400, "{received:?}");
    assert_eq!(diagnostics.counts("cannot send", "datagrams="), [1], "all of them within one second");
}

#[tokio::test(start_paused = true)]
async fn requests_and_lookups_that_give_way_are_told_once_a_minute() {
    let diagnostics = Diagnostics::record();
    let mut host = Host::start();
    for minute in 1..=3 {
        host.hears(LAURA, FIRST, "PRlaura");
        for n in 0..200 {
            // No node can be there, which is known without DNS.
            host.hears(LAURA, FIRST, &format!("PLlaura@bb.com:x@0.0.1.{n}"));
        }
        host.hears(LAURA, FIRST, "PDlaura");
        while host.says().await.text != "RD0" {}
        let requests = diagnostics.lines("location requests gave way");
        let lookups = diagnostics.lines("look-ups were given up");
        assert_eq!((requests.len(), lookups.len()), (minute, minute), "{requests:?} {lookups:?}");
        assert!(lookups[0].contains("lookups=1 most=127.0.0.9"), "{lookups:?}");
        time::advance(DISPLACED_INTERVAL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_takeover_is_told_once_a_minute_of_each_user() {
    let diagnostics = Diagnostics::record();
    let mut host = Host::start();
    for user in ["laura", "pere"] {
        for _ in 0..5 {
            for from in [LAURA, CC_AGENT] {
                host.hears(from, FIRST, &format!("PR{user}"));
                assert_eq!(host.says().await, said(from, FIRST, "RR0"));
            }
        }
    }
    let told = diagnostics.lines("registered from another host");
    assert!(
        told.len() == 2 && told[0].contains(&format!("user=laura from={LAURA} to={CC_AGENT}")),
        "{told:?}"
    );
    time::advance(Duration::from_secs(60)).await;
    host.hears(LAURA, FIRST, "PRlaura");
    assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    assert_eq!(diagnostics.lines("registered from another host").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_leaves_from_where_its_receiver_was_heard() {
    let mut host = Host::start();
    host.hears(LAURA, FIRST, "PRlaura@bb.com");
    assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    host.hears(PERE, SECOND, "PRpere@bb.com");
    assert_eq!(host.says().await, said(PERE, SECOND, "RR0"));
    // The request leaves from the address where pere registered, and the answer from the one where laura
    // asked.
    host.hears(LAURA, FIRST, "PLlaura@bb.com:pere@bb.com");
    assert_eq!(host.says().await, said(PERE, SECOND, "PLlaura@bb.com:pere@bb.com"));
    host.hears(PERE, SECOND, "RL1laura@bb.com:pere@bb.com");
    assert_eq!(host.says().await, said(LAURA, FIRST, "RL1laura@bb.com:pere@bb.com"));
    // A node that asks is answered from the address where it asked. A node that is asked hears from any
    // address that the kernel chooses.
    host.hears(CC, SECOND, "PLjoya@cc.com:nobody@bb.com");
    assert_eq!(host.says().await, said(CC, SECOND, "RL2joya@cc.com:nobody@bb.com"));
    host.hears(LAURA, FIRST, "PLlaura@bb.com:joana@dd.com");
    assert_eq!(host.says().await, Said { source: None, ..said(DD, FIRST, "PLlaura@bb.com:joana@dd.com") });
    host.hears(DD, SECOND, "RL3laura@bb.com:joana@dd.com");
    assert_eq!(host.says().await, said(LAURA, FIRST, "RL3laura@bb.com:joana@dd.com"));
    // Dropped datagrams, and datagrams that anybody can forge, do not move a user.
    host.hears(LAURA, SECOND, "rubbish");
    host.hears(LAURA, SECOND, "RR0");
    host.hears(PERE, SECOND, "PLpere@bb.com:laura@bb.com");
    assert_eq!(host.says().await, said(LAURA, FIRST, "PLpere@bb.com:laura@bb.com"));
}

#[tokio::test(start_paused = true)]
async fn any_number_of_strangers_does_not_make_it_forget_its_users() {
    let mut host = Host::start();
    host.hears(LAURA, SECOND, "PRlaura@bb.com");
    assert_eq!(host.says().await, said(LAURA, SECOND, "RR0"));
    for stranger in 0..50_000_u32 {
        let stranger = format!("{}:4500", HostIp::from(0x0a00_0000 + stranger));
        host.hears(&stranger, FIRST, "PRnobody@bb.com");
    }
    for _ in 0..50_000 {
        assert_eq!(host.says().await.text, "RR1");
    }
    host.hears(CC, FIRST, "PLjoya@cc.com:laura@bb.com");
    assert_eq!(host.says().await, said(LAURA, SECOND, "PLjoya@cc.com:laura@bb.com"));
}

#[tokio::test(start_paused = true)]
async fn datagrams_that_come_together_are_served_one_by_one() {
    let mut host = Host::start();
    host.hears_together(LAURA, FIRST, "PRlauraPRpere.PRpere", 7);
    for answer in ["RR0", "RR1", "RR0"] {
        assert_eq!(host.says().await, said(LAURA, FIRST, answer));
    }
}

#[tokio::test(start_paused = true)]
async fn each_datagram_of_those_that_come_together_counts() {
    let settings =
        NodeSettings::default().rate_limit(Some(crate::RateLimit::new(10.try_into().expect("not 0"))));
    let mut host = Host::start_with(settings);
    // Nobody is online there, who would have a share besides.
    host.hears_together(LAURA, FIRST, &"PRjoana".repeat(1_000), 7);
    host.hears(PERE, FIRST, "PDpere");
    let mut answers = 0;
    while host.says().await != said(PERE, FIRST, "RD0") {
        answers += 1;
    }
    assert_eq!(answers, 20, "twice as many as in a second");
}

/// A socket that always has another datagram does not keep other events from being handled.
#[tokio::test(start_paused = true)]
async fn a_flood_starves_nobody() {
    let mut host = Host::start();
    host.hears(LAURA, FIRST, "PRlaura");
    assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    host.flood.send(Flood::Rubbish).expect("the socket is there");
    for _ in 0..10 {
        assert_eq!(host.administrator.list().await.expect("a list").len(), 2);
        // This request waits for a look-up.
        host.hears(LAURA, FIRST, "PLlaura@bb.com:joana@dd.com");
        assert_eq!(host.says().await.text, "PLlaura@bb.com:joana@dd.com");
        time::advance(Duration::from_secs(61)).await;
    }
    host.administrator.add_user("joan".parse().expect("a name")).await.expect("it is saved");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_has_come_before_the_end_is_served() {
    let host = Host::start();
    for _ in 0..100 {
        host.hears(LAURA, FIRST, "PRlaura");
    }
    host.fails(Errno::NOBUFS);
    host.hears(LAURA, FIRST, "PDlaura");
    let mut said_last = None;
    let Host { stop, task, mut said, .. } = host;
    stop.send(()).expect("it runs");
    task.await.expect("no panic");
    while let Some(said) = said.recv().await {
        said_last = Some(said.text);
    }
    assert_eq!(said_last.as_deref(), Some("RD0"));
}

#[tokio::test(start_paused = true)]
async fn neither_errors_nor_a_flood_put_off_the_end() {
    for flood in [Flood::Rubbish, Flood::Errors] {
        let host = Host::start();
        host.flood.send(flood).expect("the socket is there");
        host.stop().await;
    }
}

/// A disk that hangs until the other end is dropped.
struct Held(Receiver<()>);

impl Write for Held {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        _ = self.0.recv();
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The node of bb.com on a host with several addresses. Its users are laura and pere.
struct Host {
    arrivals: mpsc::UnboundedSender<Arrival>,
    flood: watch::Sender<Flood>,
    refuses: Arc<Mutex<VecDeque<Errno>>>,
    said: mpsc::UnboundedReceiver<Said>,
    administrator: Administrator,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    _folder: TempDir,
}

type Arrival = Result<(Received, Vec<u8>), Errno>;

/// A datagram that the node sent.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    to: UdpAddress,
    source: Option<HostIp>,
    text: String,
}

fn said(to: &str, source: &str, text: &str) -> Said {
    let source = Some(source.parse().expect("an address"));
    Said { to: to.parse().expect("an address"), source, text: text.to_owned() }
}

impl Host {
    fn start() -> Self {
        Self::start_with(NodeSettings::default().rate_limit(None))
    }

    fn start_with(settings: NodeSettings) -> Self {
        Self::start_logging(settings, LogProgress::default())
    }

    fn start_logging(settings: NodeSettings, log_progress: LogProgress) -> Self {
        Self::start_task(settings, |task| task.wait_for_log(log_progress))
    }

    fn start_task(settings: NodeSettings, set_up: impl FnOnce(&mut Task<Scripted>)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nodelumi.cfg");
        fs::write(&path, "bb.com\nlaura\npere\n").expect("it is ours");
        let (file, roster) = RosterFile::open(path).expect("a roster");
        let local: NodeAddress = "0.0.0.0:3344".parse().expect("an address");
        let directory = NodeDirectory::builder()
            .peer("dd.com".parse().expect("a domain"), DD.parse().expect("an address"))
            .build()
            .expect("a directory");
        let (mut administration, handle) = Administration::new();
        administration.keep_in(Store::new(file));
        let administrator = Administrator { handle };
        let (arrivals, script) = mpsc::unbounded_channel();
        let (flood, floods) = watch::channel(Flood::None);
        let (sent, said) = mpsc::unbounded_channel();
        let refuses = Arc::<Mutex<_>>::default();
        let socket = Scripted { script, next: None, floods, flooded: 0, sent, refuses: Arc::clone(&refuses) };
        let node = Node::new(roster, local, settings);
        let mut task = Task::new(socket, local, node, directory, administration);
        set_up(&mut task);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(task.run(async { _ = stopped.await }));
        Self { arrivals, flood, refuses, said, administrator, stop, task, _folder: folder }
    }

    fn hears(&self, from: &str, to: &str, text: &str) {
        self.hears_together(from, to, text, text.len());
    }

    fn hears_together(&self, from: &str, to: &str, text: &str, stride: usize) {
        let (from, to) = (from.parse().expect("an address"), to.parse().expect("an address"));
        let received = Received { from, to: Some(to), length: text.len(), stride };
        assert!(self.arrivals.send(Ok((received, text.into()))).is_ok(), "the task has ended");
    }

    fn fails(&self, error: Errno) {
        assert!(self.arrivals.send(Err(error)).is_ok(), "the task has ended");
    }

    async fn says(&mut self) -> Said {
        self.said.recv().await.expect("the task goes on")
    }

    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("no panic");
    }
}

/// The kind of arrival that never runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    None,
    Rubbish,
    Errors,
}

/// A socket that receives the datagrams and errors that the test scripts.
struct Scripted {
    script: mpsc::UnboundedReceiver<Arrival>,
    /// An arrival that was taken from the script and not delivered yet.
    next: Option<Arrival>,
    floods: watch::Receiver<Flood>,
    flooded: u64,
    sent: mpsc::UnboundedSender<Said>,
    refuses: Arc<Mutex<VecDeque<Errno>>>,
}

impl Scripted {
    fn next_of_flood(&mut self) -> Arrival {
        self.flooded += 1;
        assert!(self.flooded < 1_000_000, "the flood has taken everything");
        if *self.floods.borrow() == Flood::Errors {
            return Err(Errno::NOBUFS);
        }
        let received =
            Received { from: "10.0.0.1:4500".parse().expect("an address"), to: None, length: 7, stride: 7 };
        Ok((received, b"rubbish".to_vec()))
    }

    /// Delivers `arrival` and the datagrams after it. If `arrival` is an error, returns it.
    fn hand_over(&mut self, arrival: Arrival, datagrams: &mut Datagrams) -> io::Result<()> {
        let mut next = Some(arrival?);
        let mut received = Vec::new();
        for slice in &mut datagrams.slices() {
            let Some((arrived, text)) = next.take().or_else(|| self.next_datagram()) else { break };
            slice[..text.len()].copy_from_slice(&text);
            received.push(arrived);
        }
        received.into_iter().for_each(|received| datagrams.add(received));
        Ok(())
    }

    /// Returns the next datagram, unless an error comes before it.
    fn next_datagram(&mut self) -> Option<(Received, Vec<u8>)> {
        match self.next.take().or_else(|| self.script.try_recv().ok())? {
            Ok(arrived) => Some(arrived),
            error => {
                self.next = Some(error);
                None
            }
        }
    }

    fn arrived(&mut self) -> Option<Arrival> {
        if let Some(arrival) = self.next.take().or_else(|| self.script.try_recv().ok()) {
            return Some(arrival);
        }
        let is_flooded = *self.floods.borrow() != Flood::None;
        is_flooded.then(|| self.next_of_flood())
    }
}

impl DatagramSocket for Scripted {
    async fn receive(&mut self, datagrams: &mut Datagrams) -> io::Result<()> {
        // This yields to other tasks now and then, as a socket of the runtime does.
        task::consume_budget().await;
        let arrival = match self.arrived() {
            Some(arrival) => arrival,
            None => tokio::select! {
                Some(arrival) = self.script.recv() => arrival,
                Ok(()) = self.floods.changed() => self.next_of_flood(),
                else => future::pending().await,
            },
        };
        self.hand_over(arrival, datagrams)
    }

    fn try_receive(&mut self, datagrams: &mut Datagrams) -> io::Result<()> {
        let arrival = self.arrived().unwrap_or(Err(Errno::WOULDBLOCK));
        self.hand_over(arrival, datagrams)
    }

    fn send(&self, to: UdpAddress, source: Option<HostIp>, datagram: &[u8]) -> io::Result<()> {
        if let Some(error) = self.refuses.lock().unwrap().pop_front() {
            return Err(error.into());
        }
        let text = String::from_utf8_lossy(datagram).into_owned();
        // The test may have dropped the receiver.
        _ = self.sent.send(Said { to, source, text });
        Ok(())
    }
}

/// Errors that a remote host, a route or a firewall can cause. Some of them mean nothing.
const ERRORS: [Errno; 11] = [
    Errno::CONNREFUSED,
    Errno::HOSTUNREACH,
    Errno::NETUNREACH,
    Errno::MSGSIZE,
    Errno::NOBUFS,
    Errno::NOMEM,
    Errno::PERM,
    Errno::ACCESS,
    Errno::INVAL,
    Errno::INTR,
    Errno::AGAIN,
];

const LAURA: &str = "127.0.0.9:4500";
const PERE: &str = "127.0.0.10:4500";
const CC: &str = "127.0.0.3:3344";
const CC_AGENT: &str = "127.0.0.3:4500";
const DD: &str = "198.51.100.4:3344";

/// Addresses of the host.
const FIRST: &str = "127.0.0.5";
const SECOND: &str = "127.0.0.6";
