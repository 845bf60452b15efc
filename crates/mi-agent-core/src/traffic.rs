//! What passes between an agent and others, byte for byte: for a window that shows the protocols at work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use message_log::Direction;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// A tap for [`AgentBuilder::traffic`](crate::AgentBuilder::traffic), and what will come of it.
///
/// What waits to be read is bounded: [`MAX_TRAFFIC`] datagrams and frames of [`MAX_TRAFFIC_BYTES`] together. An agent
/// never waits for room: what finds none is counted as [`Traffic::missed`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use mi_agent_core::{Agent, Content, traffic};
///
/// let (tap, mut traffic) = traffic();
/// tokio::spawn(async move {
///     while let Some(passed) = traffic.next().await {
///         let protocol = if let Content::Pmi(_) = passed.content { "PMI" } else { "PLUMI" };
///         let bytes = passed.content.bytes().escape_ascii();
///         println!("{} {}, {protocol}: {bytes}", passed.direction.letter(), passed.remote);
///     }
/// });
/// let (agent, _) = Agent::builder("laura@bb.com".parse()?).traffic(tap).start().await?;
/// agent.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub fn traffic() -> (TrafficTap, Traffic) {
    let (sender, passed) = mpsc::channel(MAX_TRAFFIC);
    let counts = Arc::default();
    (TrafficTap { passed: sender, counts: Arc::clone(&counts) }, Traffic { passed, counts })
}

/// Where an agent tells what passes. Clones tell it to the same [`Traffic`].
#[derive(Clone, Debug)]
pub struct TrafficTap {
    passed: mpsc::Sender<Passed>,
    counts: Arc<Counts>,
}

/// What passes, in the order in which the agent sends and receives it.
#[derive(Debug)]
pub struct Traffic {
    passed: mpsc::Receiver<Passed>,
    counts: Arc<Counts>,
}

/// A datagram or a frame that was sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Which way.
    pub direction: Direction,
    /// The other side: the agent's node, or the peer of a conversation.
    pub remote: SocketAddr,
    /// What it was.
    pub content: Content,
}

/// What passed, as it is on the wire. Not for a terminal as it stands: whoever is there can send any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A PLUMI message: a whole UDP datagram, even of the node's that is none.
    Plumi(Box<[u8]>),
    /// A PMI frame, header and text. Of what is no frame: as much as was read at once.
    Pmi(Box<[u8]>),
}

/// What both ends of a tap know.
#[derive(Debug, Default)]
struct Counts {
    waiting_bytes: AtomicUsize,
    missed: AtomicU64,
}

impl TrafficTap {
    pub(crate) fn plumi(&self, direction: Direction, remote: impl Into<SocketAddr>, datagram: &[u8]) {
        self.tell(datagram.len(), || Passed {
            direction,
            remote: remote.into(),
            content: Content::Plumi(datagram.into()),
        });
    }

    /// A frame that lies in two pieces.
    pub(crate) fn pmi(&self, direction: Direction, remote: SocketAddr, header: &[u8], text: &[u8]) {
        self.tell(header.len() + text.len(), || Passed {
            direction,
            remote,
            content: Content::Pmi([header, text].concat().into()),
        });
    }

    /// Tells what passes, if there is room for so many bytes more.
    fn tell(&self, length: usize, passed: impl FnOnce() -> Passed) {
        let before = self.counts.waiting_bytes.fetch_add(length, Ordering::Relaxed);
        let room = if before + length <= MAX_TRAFFIC_BYTES {
            self.passed.try_reserve()
        } else {
            Err(TrySendError::Full(()))
        };
        match room {
            Ok(room) => room.send(passed()),
            Err(error) => {
                self.counts.waiting_bytes.fetch_sub(length, Ordering::Relaxed);
                // Else nobody wants to know.
                if let TrySendError::Full(()) = error {
                    self.counts.missed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// For who tells only while somebody else does.
    pub(crate) fn downgrade(&self) -> WeakTap {
        WeakTap { passed: self.passed.downgrade(), counts: Arc::clone(&self.counts) }
    }
}

/// A tap that does not keep [`Traffic`] from ending.
#[derive(Debug)]
pub(crate) struct WeakTap {
    passed: mpsc::WeakSender<Passed>,
    counts: Arc<Counts>,
}

impl WeakTap {
    pub(crate) fn upgrade(&self) -> Option<TrafficTap> {
        Some(TrafficTap { passed: self.passed.upgrade()?, counts: Arc::clone(&self.counts) })
    }
}

impl Traffic {
    /// What passes next; what is sent is told before it leaves. `None` once the agent and its conversations have
    /// ended, and no other [`TrafficTap`] is left. Cancel safe.
    pub async fn next(&mut self) -> Option<Passed> {
        let passed = self.passed.recv().await?;
        self.counts.waiting_bytes.fetch_sub(passed.content.bytes().len(), Ordering::Relaxed);
        Some(passed)
    }

    /// How many datagrams and frames passed and found no room here.
    pub fn missed(&self) -> u64 {
        self.counts.missed.load(Ordering::Relaxed)
    }
}

impl Content {
    /// The bytes, as they are on the wire.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Plumi(bytes) | Self::Pmi(bytes) => bytes,
        }
    }
}

/// Datagrams and frames that may wait to be read: what hurried peers say while a screen is drawn once.
pub const MAX_TRAFFIC: usize = 1024;

/// Their bytes. As many as [`MAX_TRAFFIC`] of a kilobyte, ten times what the protocols have: strangers can send more.
pub const MAX_TRAFFIC_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_finds_no_room_is_missed() {
        let (tap, mut traffic) = traffic();
        let remote = SocketAddr::from(([127, 0, 0, 1], 3344));
        let told = |traffic: &mut Traffic| std::iter::from_fn(|| traffic.next().now_or_never()?).count();
        for (length, fit) in [(3, MAX_TRAFFIC), (60_000, MAX_TRAFFIC_BYTES / 60_000)] {
            let missed = traffic.missed();
            for _ in 0..MAX_TRAFFIC + 5 {
                tap.plumi(Direction::Received, remote, &vec![b'x'; length]);
            }
            assert_eq!(traffic.missed() - missed, (MAX_TRAFFIC + 5 - fit) as u64);
            assert_eq!(told(&mut traffic), fit);
        }
        // There is room again.
        tap.pmi(Direction::Sent, remote, b"L04", b"hola");
        assert_eq!(traffic.next().now_or_never().unwrap().unwrap().content.bytes(), b"L04hola");
        let (weak, missed) = (tap.downgrade(), traffic.missed());
        assert!(weak.upgrade().is_some());
        drop(tap);
        assert_eq!(traffic.next().now_or_never().unwrap(), None);
        assert!(weak.upgrade().is_none());
        assert_eq!(traffic.missed(), missed);
    }
}
