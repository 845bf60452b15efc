//! A load: requests in flight, as many as are told, and the answers counted.

use std::cell::Cell;
use std::fs;
use std::io::{self, IoSlice};
use std::iter;
use std::net::{SocketAddrV4, UdpSocket};
use std::time::Duration;

use rustix::net::{self, MMsgHdr, SendAncillaryBuffer, SendFlags};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::time::Instant;

/// One of the two cores.
#[derive(Clone, Copy)]
pub(crate) enum Core {
    /// The load's.
    Load,
    /// The one of what is measured.
    Server,
}

/// Keeps the thread that calls this on a core.
pub(crate) fn keep_this_thread_on(core: Core) -> io::Result<()> {
    keep(None, core)
}

/// Keeps the threads that a process has, and those that they start, on a core.
pub(crate) fn keep_process_on(process: Pid, core: Core) -> io::Result<()> {
    for task in fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()))? {
        let task = task?.file_name();
        let thread = task.to_str().and_then(|id| Pid::from_raw(id.parse().ok()?));
        // One that cannot be told would stand for this one.
        keep(Some(thread.ok_or(io::ErrorKind::InvalidData)?), core)?;
    }
    Ok(())
}

/// Lets the thread that calls this run on any core, as those that it starts do then.
pub(crate) fn let_this_thread_run_anywhere() -> io::Result<()> {
    let mut set = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|core| set.set(core));
    Ok(sched_setaffinity(None, &set)?)
}

/// Keeps a thread on a core; the one that calls this, if none is told.
fn keep(thread: Option<Pid>, core: Core) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(match core {
        Core::Load => 0,
        Core::Server => 1,
    });
    Ok(sched_setaffinity(thread, &set)?)
}

/// Datagrams to be sent in turn, all of the same length.
pub(crate) struct Requests {
    bytes: Vec<u8>,
    length: usize,
    /// The beginning of the next one.
    at: Cell<usize>,
}

impl Requests {
    /// # Panics
    /// If they are not of one length, or none.
    pub(crate) fn new(datagrams: impl IntoIterator<Item = String>) -> Self {
        let mut datagrams = datagrams.into_iter().peekable();
        let length = datagrams.peek().expect("there are some").len();
        let bytes = datagrams.flat_map(|datagram| {
            assert_eq!(datagram.len(), length);
            datagram.into_bytes()
        });
        Self { bytes: bytes.collect(), length, at: Cell::new(0) }
    }

    /// The number of requests before the first one comes again.
    pub(crate) fn count(&self) -> usize {
        self.bytes.len() / self.length
    }

    /// The next one; after the last one comes the first one again. Each round goes on where the one before
    /// stopped, so that another round is not about the same few again.
    pub(crate) fn next(&self) -> &[u8] {
        let start = self.at.get();
        let end = start + self.length;
        self.at.set(if end < self.bytes.len() { end } else { 0 });
        &self.bytes[start..end]
    }
}

/// A socket of a load on the server at `at`, where it is the only one it hears.
pub(crate) fn socket_to(at: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(at)?;
    Ok(socket)
}

/// The outcome of a load.
pub(crate) struct Exchanged {
    /// The number of answers.
    pub(crate) answers: usize,
    /// The number of missing answers.
    pub(crate) lost: usize,
    time: Duration,
    idle: Duration,
}

impl Exchanged {
    /// Answers.
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.time.as_secs_f64()
    }

    /// The share of time in which the load looked for answers in vain: with next to none, it was the load
    /// that was measured and not the server.
    pub(crate) fn idle_percent(&self) -> f64 {
        100.0 * self.idle.as_secs_f64() / self.time.as_secs_f64()
    }
}

/// Keeps `in_flight` requests under way on a connected socket while `goes_on` says so of the requests that
/// are done and the time that has passed.
///
/// # Errors
/// Those of the socket; a server that answers nothing.
pub(crate) fn keep_in_flight(
    socket: &UdpSocket,
    requests: &Requests,
    in_flight: usize,
    goes_on: impl Fn(usize, Duration) -> bool,
) -> anyhow::Result<Exchanged> {
    keep_this_thread_on(Core::Load)?;
    socket.set_nonblocking(true)?;
    let (mut answers, mut under_way, mut lost) = (0, 0, 0);
    let start = Instant::now();
    let mut heard = start;
    let mut now = start;
    let mut idle = Duration::ZERO;
    let mut buffer = [0; 2048];
    while goes_on(answers + lost, now - start) {
        // Several at once, so that this side costs less than the other.
        if under_way + REFILL <= in_flight {
            send(socket, iter::repeat_with(|| requests.next()).take(in_flight - under_way))?;
            under_way = in_flight;
        }
        now = Instant::now();
        while under_way + REFILL > in_flight {
            let received = socket.recv(&mut buffer);
            let looked = Instant::now();
            match received {
                Ok(_) => {
                    answers += 1;
                    under_way -= 1;
                    heard = looked;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    idle += looked - now;
                    if looked - heard > PATIENCE {
                        lost += under_way;
                        (under_way, heard) = (0, looked);
                        anyhow::ensure!(answers > 0 && lost < answers, "the server does not answer");
                    }
                }
                Err(error) => return Err(error.into()),
            }
            now = looked;
        }
    }
    Ok(Exchanged { answers, lost, time: now - start, idle })
}

fn send<'r>(socket: &UdpSocket, datagrams: impl Iterator<Item = &'r [u8]>) -> io::Result<()> {
    let slices: Vec<_> = datagrams.map(|datagram| [IoSlice::new(datagram)]).collect();
    let mut controls: Vec<_> = slices.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let headers = slices.iter().zip(&mut controls).map(|(slice, control)| MMsgHdr::new(slice, control));
    let mut headers: Vec<_> = headers.collect();
    net::sendmmsg(socket, &mut headers, SendFlags::empty())?;
    Ok(())
}

/// Answers that are waited for before as many requests are sent.
const REFILL: usize = 16;

/// A request without an answer for so long is lost.
const PATIENCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_on_where_they_stopped() {
        let requests = Requests::new(["one", "two", "six"].map(String::from));
        let next = |count| -> Vec<_> { iter::repeat_with(|| requests.next()).take(count).collect() };
        assert_eq!(requests.count(), 3);
        assert_eq!(next(2), [b"one", b"two"]);
        assert_eq!(next(3), [b"six", b"one", b"two"]);
    }
}
