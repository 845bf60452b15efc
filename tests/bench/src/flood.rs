//! A flood from one address, and agents that keep their registrations meanwhile.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::thread;
use std::time::Duration;

use integration_tests::loads;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use crate::Options;
use crate::domain::{self, DOMAIN, NodeOfMany};
use crate::load::{self, Core};
use crate::report::{Report, Target};

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    // The rate limit is the one that a node has by itself.
    let node = NodeOfMany::start(AGENTS + 1, &[])?;
    load::keep_process_on(node.pid(), Core::Server)?;
    load::keep_this_thread_on(Core::Load)?;
    let agents = Agents::of(node.address())?;
    let seconds = options.flood_minutes.map_or(SECONDS, |minutes| minutes.get() * 60);
    let calm = agents.register(SECONDS);
    let at = node.address();
    let flooding = thread::Builder::new().name("flood".into()).spawn(move || {
        // A user of the domain without an agent; otherwise it would take over that agent's registration.
        let datagram = format!("PR{}@{DOMAIN}", domain::user(AGENTS));
        loads::flood(FLOODER, at, datagram.as_bytes(), FLOOD_RATE, FLOOD_RATE * seconds)
    })?;
    let flooded = agents.register(seconds);
    let rate = flooding.join().expect("it does not panic");
    let name = "1,000 agents, PR -> RR0 at the first try, in a flood : without";
    report.beside(name, flooded.percent(), calm.percent(), "%", Target::AtLeast(99.9));
    report.note_beside("  requests without an answer", flooded.lost() as f64, calm.lost() as f64, "");
    report.note_beside("  requests", flooded.asked as f64, calm.asked as f64, "");
    report.note_beside("  datagrams of the flood : 100,000", rate, FLOOD_RATE as f64, "/s");
    Ok(())
}

/// Agents that register once a second each, in turn, at an address of its own each.
struct Agents(Vec<(UdpSocket, Vec<u8>)>);

impl Agents {
    fn of(node: SocketAddrV4) -> anyhow::Result<Self> {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
        let agent = |number: usize| {
            let [.., high, low] = u32::try_from(number + 1)?.to_be_bytes();
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 1, high, low), 0))?;
            socket.connect(node)?;
            socket.set_nonblocking(true)?;
            Ok((socket, format!("PR{}@{DOMAIN}", domain::user(number)).into_bytes()))
        };
        (0..AGENTS).map(agent).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Registers them for so many seconds. No request waits for the answer to another one, and none is
    /// repeated.
    fn register(&self, seconds: usize) -> Registrations {
        let mut done = Registrations { asked: 0, answered: 0 };
        let mut under_way = VecDeque::with_capacity(AGENTS);
        let mut look = |under_way: &mut VecDeque<(Instant, &UdpSocket)>| {
            while let Some(&(asked, socket)) = under_way.front()
                && asked.elapsed() >= PATIENCE
            {
                under_way.pop_front();
                done.asked += 1;
                done.answered += usize::from(heard(socket).is_some_and(|answer| answer == *b"RR0"));
            }
        };
        loads::at_rate(AGENTS, AGENTS * seconds, |number| {
            look(&mut under_way);
            let (socket, request) = &self.0[number % AGENTS];
            // An answer too late for the last request is no answer to this one.
            while heard(socket).is_some() {}
            // A request that cannot be sent is not answered.
            _ = socket.send(request);
            under_way.push_back((Instant::now(), socket));
        });
        while !under_way.is_empty() {
            thread::park_timeout(PATIENCE / 10);
            look(&mut under_way);
        }
        done
    }
}

/// The answers that have come already.
fn heard(socket: &UdpSocket) -> Option<[u8; 3]> {
    let mut answer = [0; 3];
    socket.recv(&mut answer).ok().map(|_| answer)
}

/// The outcome of registrations.
struct Registrations {
    asked: usize,
    answered: usize,
}

impl Registrations {
    fn lost(&self) -> usize {
        self.asked - self.answered
    }

    fn percent(&self) -> f64 {
        100.0 * self.answered as f64 / self.asked as f64
    }
}

const AGENTS: usize = 1_000;

const FLOODER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

const FLOOD_RATE: usize = 100_000;

/// The default duration.
const SECONDS: usize = 10;

/// An answer that takes longer is none: agents ask again, those of the most eager program after 100 ms.
const PATIENCE: Duration = Duration::from_millis(200);
