//! The segments in which a TCP connection brings its data.

use std::process::Command;

use tokio::net::TcpStream;

/// Tells frames that came in segments of their own from frames that shared one.
///
/// A read returns one segment if the reader is in time. On a busy machine it may not be, and a read then
/// returns the segments that have come meanwhile. The kernel counts the segments of a connection, so the two
/// can be told apart.
#[derive(Debug, Default)]
pub(super) struct Segments {
    /// The number of segments that have been returned.
    returned: usize,
}

impl Segments {
    /// The segments of `bytes`, which one read of `stream` returned.
    ///
    /// They are one segment if there is no program `ss`.
    pub(super) fn of<'a>(&mut self, stream: &TcpStream, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let frames = frames(bytes);
        let are_separate = frames.len() > 1
            && segments_received(stream).is_some_and(|received| received >= self.returned + frames.len());
        let segments = if are_separate { frames } else { vec![bytes] };
        self.returned += segments.len();
        segments
    }
}

/// Cuts `bytes` at the ends of frames. The last piece may be less than a frame.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let length = match bytes {
            [_, tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => {
                3 + 10 * usize::from(tens - b'0') + usize::from(ones - b'0')
            }
            _ => bytes.len(),
        };
        let (frame, rest) = bytes.split_at(length.min(bytes.len()));
        frames.push(frame);
        bytes = rest;
    }
    frames
}

/// The number of segments with data that `stream` has received; `None` if it cannot be found out.
fn segments_received(stream: &TcpStream) -> Option<usize> {
    let (local, remote) = (stream.local_addr().ok()?.to_string(), stream.peer_addr().ok()?.to_string());
    let output = Command::new("ss").args(["-tinH", "src", &local, "dst", &remote]).output().ok()?;
    let told = String::from_utf8(output.stdout).ok()?;
    told.split_whitespace().find_map(|word| word.strip_prefix("data_segs_in:")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Returns the segments of one read of these writes.
    async fn segments(writes: &[&str]) -> Option<Vec<String>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (writer, accepted) = tokio::join!(connecting, listener.accept());
        let (mut writer, (mut reader, _)) = (writer.unwrap(), accepted.unwrap());
        writer.set_nodelay(true).unwrap();
        for text in writes {
            writer.write_all(text.as_bytes()).await.unwrap();
        }
        let mut buffer = [0; 100];
        while reader.peek(&mut buffer).await.unwrap() < writes.concat().len() {
            tokio::task::yield_now().await;
        }
        let length = reader.read(&mut buffer).await.unwrap();
        if segments_received(&reader).is_none() {
            // The test harness does not capture this, so nobody mistakes a skipped test for a passed one.
            _ = writeln!(io::stderr(), "SKIPPED, there is no ss here, or it does not count segments");
            return None;
        }
        let segments = Segments::default().of(&reader, &buffer[..length]);
        Some(segments.into_iter().map(|segment| String::from_utf8_lossy(segment).into_owned()).collect())
    }

    #[tokio::test]
    async fn frames_are_told_apart_if_each_was_sent_by_itself() {
        for (writes, expected) in [
            (&["L01a", "L00", "L02bc"][..], &["L01a", "L00", "L02bc"][..]),
            (&["L01aL00", "L02bc"], &["L01aL00L02bc"]),
            (&["L01aL00"], &["L01aL00"]),
            (&["L01a", "L02b"], &["L01a", "L02b"]),
            (&["L01a"], &["L01a"]),
        ] {
            let Some(segments) = segments(writes).await else { return };
            assert_eq!(segments, expected, "{writes:?}");
        }
    }
}
