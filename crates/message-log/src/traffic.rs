//! A capture of everything that a node or an agent sends and receives, byte for byte.

use std::collections::VecDeque;
use std::future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use crate::event::Direction;

/// Creates a tap for a node or an agent, and the traffic that it will capture.
///
/// The traffic that waits to be read is bounded: [`MAX_TRAFFIC`] datagrams and frames, and
/// [`MAX_TRAFFIC_BYTES`] together. A tap never waits for room: what finds none is counted as
/// [`Traffic::missed`].
///
/// ```
/// use message_log::{Content, Direction, traffic};
///
/// let (tap, mut traffic) = traffic();
/// tap.plumi(Direction::Received, ([84, 88, 154, 3], 4500), b"PRmaria@bb.com");
/// let passed = traffic.try_next().expect("it has passed");
/// assert_eq!(passed.content.bytes(), b"PRmaria@bb.com");
/// ```
pub fn traffic() -> (TrafficTap, Traffic) {
    let shared = Arc::new(Shared::default());
    let end = Arc::new(TapEnd(Arc::clone(&shared)));
    let traffic = Traffic { shared, taps: Arc::downgrade(&end) };
    (TrafficTap { end }, traffic)
}

/// The place where a node or an agent reports what passes. Clones report to the same [`Traffic`].
#[derive(Clone, Debug)]
pub struct TrafficTap {
    end: Arc<TapEnd>,
}

/// The datagrams and frames that pass, in the order in which they are sent and received.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    taps: Weak<TapEnd>,
}

/// A datagram or a frame that was sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passed {
    /// The direction.
    pub direction: Direction,
    /// The other side: a node, an agent, or the peer of a conversation.
    pub remote: SocketAddr,
    /// The bytes.
    pub content: Content,
}

/// The bytes that passed, as they are on the wire or inside of its encryption. They are not safe to print:
/// any peer can send any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A PLUMI message: a whole UDP datagram, even one that is not a message.
    Plumi(Box<[u8]>),
    /// A PMI frame, header and text. If it is not a frame: as much as was read at once.
    Pmi(FrameKind, Box<[u8]>),
    /// The key that one side of an encrypted conversation proved to have, once it was decided about.
    Handshake(Handshake),
}

/// The key that one side of a conversation proved to have in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The Ed25519 public key (RFC 8032).
    pub key: [u8; 32],
    /// The MI address for which the key stands, unless nobody knows it. It is not safe to print.
    pub user: Option<String>,
    /// The decision of this agent about the key in words, such as `known since 2026-11-29`; `None` for its
    /// own key.
    pub decision: Option<String>,
}

/// The kind that the codec of a conversation has found bytes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameKind {
    /// A frame that carries a nickname.
    Nickname,
    /// A frame that carries a line.
    Line,
    /// Bytes that are not a frame, even if they look like the beginning of one: a long line of a deployed
    /// program does (protocol.md §7, row 13).
    Unframed,
}

impl Passed {
    /// A datagram or a frame to or from `remote`.
    pub fn new(direction: Direction, remote: SocketAddr, content: Content) -> Self {
        Self { direction, remote, content }
    }
}

/// The one end of all clones of a tap. When it is dropped, the traffic ends.
#[derive(Debug)]
struct TapEnd(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    passed: VecDeque<Passed>,
    /// The bytes of all of them.
    bytes: usize,
    missed: u64,
    reader: Option<Waker>,
    /// The [`Traffic`] has been dropped.
    is_unread: bool,
}

impl TrafficTap {
    /// Reports a datagram to or from `remote`.
    pub fn plumi(&self, direction: Direction, remote: impl Into<SocketAddr>, datagram: &[u8]) {
        self.report(datagram.len(), || {
            Passed::new(direction, remote.into(), Content::Plumi(datagram.into()))
        });
    }

    /// Reports a frame of this kind to or from `remote`, with its header.
    pub fn pmi(&self, direction: Direction, remote: SocketAddr, kind: FrameKind, frame: &[u8]) {
        self.report(frame.len(), || Passed::new(direction, remote, Content::Pmi(kind, frame.into())));
    }

    /// Reports that one side of the connection with `remote` proved its key.
    pub fn handshake(&self, direction: Direction, remote: SocketAddr, handshake: Handshake) {
        let length = handshake.key.len();
        self.report(length, || Passed::new(direction, remote, Content::Handshake(handshake)));
    }

    fn report(&self, length: usize, passed: impl FnOnce() -> Passed) {
        let mut waiting = self.end.0.lock();
        if waiting.is_unread {
            return;
        }
        if waiting.passed.len() >= MAX_TRAFFIC || waiting.bytes + length > MAX_TRAFFIC_BYTES {
            waiting.missed += 1;
            return;
        }
        waiting.bytes += length;
        waiting.passed.push_back(passed());
        let reader = waiting.reader.take();
        drop(waiting);
        reader.into_iter().for_each(Waker::wake);
    }

    /// Returns a tap that does not keep [`Traffic`] from ending.
    pub fn downgrade(&self) -> WeakTap {
        WeakTap { end: Arc::downgrade(&self.end) }
    }
}

/// A tap that does not keep [`Traffic`] from ending.
#[derive(Clone, Debug)]
pub struct WeakTap {
    end: Weak<TapEnd>,
}

impl WeakTap {
    /// Returns the tap, unless all the others are gone.
    pub fn upgrade(&self) -> Option<TrafficTap> {
        self.end.upgrade().map(|end| TrafficTap { end })
    }
}

/// The datagrams and frames, until every [`TrafficTap`] is gone.
impl Stream for Traffic {
    type Item = Passed;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Passed>> {
        self.poll_passed(context)
    }
}

impl Traffic {
    /// Waits for the next datagram or frame. One that is sent is here before it leaves. `None` once every
    /// [`TrafficTap`] is gone: a node or an agent has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is lost.
    pub async fn next(&mut self) -> Option<Passed> {
        future::poll_fn(|context| self.poll_passed(context)).await
    }

    fn poll_passed(&mut self, context: &mut Context<'_>) -> Poll<Option<Passed>> {
        let mut waiting = self.shared.lock();
        if let Some(passed) = waiting.take() {
            return Poll::Ready(Some(passed));
        }
        if self.taps.strong_count() == 0 {
            return Poll::Ready(None);
        }
        waiting.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// Returns the next datagram or frame, if there is one already.
    pub fn try_next(&mut self) -> Option<Passed> {
        self.shared.lock().take()
    }

    /// Returns the number of datagrams and frames that passed and found no room here.
    pub fn missed(&self) -> u64 {
        self.shared.lock().missed
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let mut waiting = self.shared.lock();
        waiting.is_unread = true;
        waiting.passed = VecDeque::new();
    }
}

impl Drop for TapEnd {
    fn drop(&mut self) {
        let reader = self.0.lock().reader.take();
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Passed> {
        let passed = self.passed.pop_front()?;
        self.bytes -= passed.content.bytes().len();
        Some(passed)
    }
}

impl Content {
    /// Returns the bytes, as they are on the wire. Of a handshake, they are the key.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Plumi(bytes) | Self::Pmi(_, bytes) => bytes,
            Self::Handshake(handshake) => &handshake.key,
        }
    }
}

/// The limit of datagrams and frames that wait to be read: more than hurried peers send while a screen is
/// drawn.
pub const MAX_TRAFFIC: usize = 1024;

/// The limit of their bytes: [`MAX_TRAFFIC`] of a kilobyte each, ten times what the protocols have. Any peer
/// can send more.
pub const MAX_TRAFFIC_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[test]
    fn what_finds_no_room_is_missed() {
        let (tap, mut traffic) = traffic();
        let remote = SocketAddr::from(([127, 0, 0, 1], 3344));
        let told = |traffic: &mut Traffic| std::iter::from_fn(|| traffic.try_next()).count();
        for (length, fit) in [(3, MAX_TRAFFIC), (60_000, MAX_TRAFFIC_BYTES / 60_000)] {
            let missed = traffic.missed();
            for _ in 0..MAX_TRAFFIC + 5 {
                tap.plumi(Direction::Received, remote, &vec![b'x'; length]);
            }
            assert_eq!(traffic.missed() - missed, (MAX_TRAFFIC + 5 - fit) as u64);
            assert_eq!(told(&mut traffic), fit);
        }
        // There is room again.
        tap.pmi(Direction::Sent, remote, FrameKind::Line, b"L04hola");
        assert_eq!(traffic.try_next().unwrap().content.bytes(), b"L04hola");
        let (weak, missed) = (tap.downgrade(), traffic.missed());
        assert!(weak.upgrade().is_some());
        drop(tap);
        assert_eq!(poll(&mut traffic, &Waker::noop().clone()), Poll::Ready(None));
        assert!(weak.upgrade().is_none());
        assert_eq!(traffic.missed(), missed);
    }

    #[test]
    fn nobody_reads_and_nothing_is_kept() {
        let (tap, traffic) = traffic();
        drop(traffic);
        tap.plumi(Direction::Sent, SocketAddr::from(([127, 0, 0, 1], 3344)), b"RR0");
        assert_eq!(tap.end.0.lock().passed.len(), 0);
    }

    #[test]
    fn a_reader_is_woken_by_what_passes_and_by_the_end() {
        let (tap, mut traffic) = traffic();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert_eq!(poll(&mut traffic, &waker), Poll::Pending);
        tap.plumi(Direction::Sent, SocketAddr::from(([127, 0, 0, 1], 3344)), b"RR0");
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(poll(&mut traffic, &waker).is_ready());
        assert_eq!(poll(&mut traffic, &waker), Poll::Pending);
        let other = tap.clone();
        drop(tap);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "there is another one");
        drop(other);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert_eq!(poll(&mut traffic, &waker), Poll::Ready(None));
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(traffic: &mut Traffic, waker: &Waker) -> Poll<Option<Passed>> {
        pin!(traffic.next()).poll(&mut Context::from_waker(waker))
    }
}
