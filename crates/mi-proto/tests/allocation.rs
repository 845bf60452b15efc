//! The memory that is allocated for a line. This test has its own file, because it counts for its thread.

use bytes::BytesMut;
use mi_proto::{Frame, FrameCodec, split_line};
use tokio_util::codec::{Decoder, Encoder};

/// A line to be sent is kept once; its frame goes into the buffer that is there. What comes is kept once,
/// too, and as text it is not copied again.
#[test]
fn a_line_is_allocated_once_on_each_side() {
    let text = "x".repeat(50);
    let mut codec = FrameCodec::new();
    let mut wire = BytesMut::with_capacity(64 * 1024);
    let sent = allocation_counter::measure(|| {
        for _ in 0..LINES {
            for line in split_line(&text).unwrap() {
                codec.encode(Frame::Line(line), &mut wire).unwrap();
            }
        }
    });
    let received = allocation_counter::measure(|| {
        for _ in 0..LINES {
            assert_eq!(codec.decode(&mut wire).unwrap().unwrap().into_text(), text);
        }
    });
    assert_eq!([sent.count_total, received.count_total], [LINES; 2]);
}

const LINES: u64 = 1000;
