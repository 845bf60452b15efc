//! The datagrams that were received at once.

use std::array;
use std::io::{self, IoSliceMut};
use std::iter;

use plumi_proto::{HostIp, UdpAddress};

/// Datagrams as the kernel handed them over in one call, and the memory that they lie in, which is used
/// again.
#[derive(Debug)]
pub(super) struct Datagrams {
    buffers: Vec<u8>,
    /// One for each buffer that is in use.
    received: Vec<Received>,
}

/// The content of a buffer: one datagram, or several of the same sender, which some kernels and network cards
/// hand over together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) from: UdpAddress,
    /// The address of this host that it was sent to, unless the socket is bound to just one.
    pub(super) to: Option<HostIp>,
    /// The length of all together.
    pub(super) length: usize,
    /// The length of each but the last, which may be shorter.
    pub(super) stride: usize,
}

impl Datagrams {
    /// None yet. Pages that nothing was ever received in cost nothing.
    pub(super) fn new() -> Self {
        Self { buffers: vec![0; BUFFERS * SPACING], received: Vec::with_capacity(BUFFERS) }
    }

    /// Returns the places for the next ones. Those that were there are gone.
    pub(super) fn slices(&mut self) -> [IoSliceMut<'_>; BUFFERS] {
        self.received.clear();
        let mut buffers = self.buffers.chunks_exact_mut(SPACING);
        array::from_fn(|_| {
            IoSliceMut::new(&mut buffers.next().expect("there are as many as slices")[..BUFFER])
        })
    }

    /// Has `receive` fill one buffer after the other, until that fails or all are full. Those that were there
    /// are gone.
    ///
    /// # Errors
    /// What `receive` failed with at last.
    pub(super) fn fill(&mut self, receive: impl Fn(&mut [u8]) -> io::Result<Received>) -> io::Result<()> {
        self.received.clear();
        for buffer in self.buffers.chunks_exact_mut(SPACING) {
            self.received.push(receive(&mut buffer[..BUFFER])?);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// Records the content of the next buffer.
    pub(super) fn add(&mut self, received: Received) {
        self.received.push(received);
    }

    /// One by one, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Received, &[u8])> {
        let buffers = self.buffers.chunks_exact(SPACING);
        self.received
            .iter()
            .zip(buffers)
            .flat_map(|(received, buffer)| received.datagrams(buffer).map(|datagram| (*received, datagram)))
    }
}

impl Received {
    /// One by one, at least one.
    fn datagrams<'b>(&self, buffer: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let stride = self.stride.max(1);
        // There is a first one even if it is empty.
        let (first, others) = buffer[..self.length].split_at(self.length.min(stride));
        iter::once(first).chain(others.chunks(stride))
    }
}

/// Buffers that are filled by one call of the system: as many as quinn-udp hands to the kernel.
pub(super) const BUFFERS: usize = 32;

/// The size of a buffer: the longest datagram, and more than several take together. One byte less would hide
/// the true length of a datagram that is too long from the log.
const BUFFER: usize = 65_535;

/// The distance of two buffers: a cache line more than they need, since buffers that lie a power of two apart
/// take each other's place in the processor's cache.
const SPACING: usize = BUFFER + 1 + 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_split_at_its_strides() {
        let split = |length, stride| {
            let mut datagrams = Datagrams::new();
            datagrams.add(received(length, stride));
            datagrams.iter().map(|(_, datagram)| datagram.len()).collect::<Vec<_>>()
        };
        assert_eq!(split(0, 0), [0]);
        assert_eq!(split(0, 5), [0]);
        assert_eq!(split(5, 5), [5]);
        assert_eq!(split(3, 5), [3]);
        assert_eq!(split(10, 5), [5, 5]);
        assert_eq!(split(11, 5), [5, 5, 1]);
        assert_eq!(split(2, 0), [1, 1], "a stride that no kernel tells ends as well");
    }

    #[test]
    fn each_buffer_has_its_own_and_none_stays() {
        let mut datagrams = Datagrams::new();
        for (slice, byte) in datagrams.slices().iter_mut().zip(0..) {
            assert_eq!(slice.len(), 65_535);
            slice.fill(byte);
        }
        (0..BUFFERS).for_each(|_| datagrams.add(received(65_535, 65_535)));
        let bytes: Vec<_> = datagrams.iter().map(|(_, datagram)| (datagram[0], datagram[65_534])).collect();
        assert_eq!(bytes, (0..32).map(|byte| (byte, byte)).collect::<Vec<_>>());
        datagrams.slices();
        assert_eq!(datagrams.iter().count(), 0);
    }

    fn received(length: usize, stride: usize) -> Received {
        Received { from: "127.0.0.9:1".parse().unwrap(), to: None, length, stride }
    }
}
