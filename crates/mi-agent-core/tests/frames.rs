//! The stream of a peer, cut into its frames in time.

use std::time::{Duration, Instant};

use mi_agent_core::IncomingFrames;
use mi_proto::ReceivedKind;

/// The frames of a peer, read at certain seconds.
struct Peer {
    frames: IncomingFrames,
    start: Instant,
}

impl Peer {
    fn new() -> Self {
        Self { frames: IncomingFrames::new(), start: tokio::time::Instant::now().into_std() }
    }

    /// Reads these bytes at this second, and returns the texts of the items, or an error.
    fn reads(&mut self, second: u64, bytes: &[u8]) -> Vec<String> {
        let now = self.start + Duration::from_secs(second);
        self.frames.handle_timeout(now);
        self.frames.read_buffer().extend_from_slice(bytes);
        let mut items = Vec::new();
        while let Some(item) = self.frames.next(now) {
            items.push(match item {
                Ok((item, _)) if item.kind() == ReceivedKind::Unframed => format!("({})", item.text()),
                Ok((item, _)) => item.text().into_owned(),
                Err(error) => error.to_string(),
            });
        }
        items
    }
}

const LATE: &str = "the peer began a line and did not end it";

#[test]
fn a_frame_that_has_begun_has_its_time() {
    for (begun, shown) in [(&b"L04ho"[..], &["(ho)", LATE][..]), (b"L04", &[LATE]), (b"L", &[LATE])] {
        let mut peer = Peer::new();
        assert_eq!(peer.reads(0, b"N02u1"), ["u1"]);
        assert_eq!(peer.frames.poll_timeout(), None);
        assert_eq!(peer.reads(1, begun), [""; 0]);
        assert_eq!(peer.frames.poll_timeout(), Some(peer.start + Duration::from_secs(11)));
        assert_eq!(peer.reads(10, b""), [""; 0]);
        assert_eq!(peer.reads(11, b""), shown);
        assert!(peer.frames.is_at_end());
        assert_eq!(peer.reads(12, b"L00"), [""; 0], "nothing comes after an error");
    }
}

/// Each byte is in time, but the frame is not.
#[test]
fn a_frame_has_its_time_from_its_first_byte_on() {
    let mut peer = Peer::new();
    assert_eq!(peer.reads(0, b"N02u1"), ["u1"]);
    for (second, byte) in (1..).zip(b"L99hola nin") {
        assert_eq!(peer.reads(second.min(10), &[*byte]), [""; 0]);
    }
    assert_eq!(peer.reads(11, b""), ["(hola nin)", LATE]);
}

#[test]
fn the_rest_is_what_gave_no_item() {
    for (bytes, items, rest) in [
        (&b"N02u1L04ho"[..], &["u1", "(ho)"][..], &b""[..]),
        (b"N02u1L0", &["u1"], b"L0"),
        (b"N0", &[r#"the connection ended within its first frame, after "N0""#], b"N0"),
        (b"GET /", &[r#"the peer does not speak PMI, it began with "GET /""#], b"GET /"),
    ] {
        let mut peer = Peer::new();
        let mut read = peer.reads(0, bytes);
        peer.frames.handle_end();
        read.extend(peer.reads(0, b""));
        assert_eq!(read, items);
        assert!(peer.frames.is_at_end());
        assert_eq!(peer.frames.take_rest(), rest);
    }
}
