//! A load: requests in flight, as many as are told, and the answers counted.

use std::io::{self, IoSlice};
use std::net::{SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use rustix::net::{self, MMsgHdr, SendAncillaryBuffer, SendFlags};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Which of the two cores.
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

/// Keeps the main thread of a process on a core.
pub(crate) fn keep_process_on(process: Pid, core: Core) -> io::Result<()> {
    keep(Some(process), core)
}

fn keep(process: Option<Pid>, core: Core) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(match core {
        Core::Load => 0,
        Core::Server => 1,
    });
    Ok(sched_setaffinity(process, &set)?)
}

/// Datagrams to be sent in turn, all of the same length.
pub(crate) struct Requests {
    bytes: Vec<u8>,
    length: usize,
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
        Self { bytes: bytes.collect(), length }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.length).cycle()
    }
}

/// Keeps `in_flight` requests under way to the server at `at` for so long. Returns the answers per second.
///
/// # Errors
/// Those of the socket; a server that answers nothing.
pub(crate) fn answers_per_second(
    requests: &Requests,
    at: SocketAddrV4,
    in_flight: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    keep_this_thread_on(Core::Load)?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(at)?;
    socket.set_nonblocking(true)?;
    let mut requests = requests.iter();
    let (mut answers, mut under_way, mut lost) = (0_u32, 0, 0_u32);
    let start = Instant::now();
    let mut heard = start;
    let mut now = start;
    let mut buffer = [0; 2048];
    while now - start < time {
        // Several at once, so that this side costs less than the other.
        if under_way + REFILL <= in_flight {
            send(&socket, (&mut requests).take(in_flight - under_way))?;
            under_way = in_flight;
        }
        while under_way + REFILL > in_flight {
            match socket.recv(&mut buffer) {
                Ok(_) => {
                    answers += 1;
                    under_way -= 1;
                    heard = now;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    now = Instant::now();
                    if now - heard > PATIENCE {
                        lost += u32::try_from(under_way)?;
                        (under_way, heard) = (0, now);
                        anyhow::ensure!(answers > 0 && lost < answers, "the server does not answer");
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        now = Instant::now();
    }
    Ok(f64::from(answers) / (now - start).as_secs_f64())
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

/// What was not answered for so long is lost.
const PATIENCE: Duration = Duration::from_millis(100);
