//! The stream of messages from a node to a watcher, both of its ends.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use diagnostics::escaped;
use message_ladder::{Entries, Kept, News};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time;

/// The request for a stream.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum WatchRequest {
    /// Asks for the messages.
    Watch {},
}

/// A line of the stream.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum StreamLine {
    /// The owner of these messages.
    Owner { owner: String },
    /// A message, as its line in the message log.
    Message { number: u64, at: u64, line: String },
    /// The number of messages before the next one that were skipped.
    Missed { missed: u64 },
}

impl StreamLine {
    fn message(kept: &Kept) -> Self {
        let since = kept.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self::Message { number: kept.number, at, line: kept.entry.to_string() }
    }
}

/// The moment that a line of the stream names.
pub(crate) fn moment(at: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(at))
}

/// Writes `entries` to `stream` until the watcher hangs up.
///
/// # Errors
/// The watcher has read nothing for [`READ_TIME`], or the connection is lost.
pub(super) async fn serve(mut stream: UnixStream, mut entries: Entries) -> anyhow::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let owner = StreamLine::Owner { owner: entries.owner().to_owned() };
    let mut text = format!("{HEAD}\n{}\n", serde_json::to_string(&owner)?);
    loop {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let written = time::timeout(READ_TIME, writer.write(rest))
                .await
                .context("what passes is not read by one who watches")?
                .context("cannot tell what passes")?;
            rest = &rest[written..];
        }
        text.clear();
        // A watcher sends nothing more, so this read ends only with the connection.
        let news = tokio::select! {
            _ = reader.read_u8() => return Ok(()),
            news = entries.next() => news,
        };
        tell(&news, &mut text)?;
        for _ in 1..ROUND {
            let Some(news) = entries.news() else { break };
            tell(&news, &mut text)?;
        }
        time::sleep(PAUSE).await;
    }
}

fn tell(news: &News, text: &mut String) -> anyhow::Result<()> {
    let missed = (news.missed > 0).then_some(StreamLine::Missed { missed: news.missed });
    for told in missed.into_iter().chain(news.entries.iter().map(StreamLine::message)) {
        *text += &serde_json::to_string(&told)?;
        text.push('\n');
    }
    Ok(())
}

/// The watcher's end of a stream.
#[derive(Debug)]
pub(crate) struct Stream {
    reader: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Stream {
    /// Asks the node at `path` for its stream, through a `socket` connected to it.
    ///
    /// # Errors
    /// The node refuses, or the program there is not a node.
    pub(crate) async fn open(path: &Path, socket: StdUnixStream) -> anyhow::Result<Self> {
        socket.set_nonblocking(true)?;
        let mut socket = UnixStream::from_std(socket)?;
        let request = serde_json::to_string(&WatchRequest::Watch {})? + "\n";
        let failed = || format!("the node at {} does not let itself be watched", path.display());
        socket.write_all(request.as_bytes()).await.with_context(failed)?;
        let mut stream = Self { reader: BufReader::new(socket), line: Vec::new() };
        let head =
            time::timeout(READ_TIME, stream.line()).await.with_context(failed)?.with_context(failed)?;
        match head.as_deref() {
            Some(HEAD) => Ok(stream),
            Some(refused) if refused.starts_with("refused ") => {
                let mut reason = Vec::new();
                let mut rest = stream.reader.take(MAX_LINE);
                time::timeout(READ_TIME, rest.read_to_end(&mut reason))
                    .await
                    .with_context(failed)?
                    .with_context(failed)?;
                bail!("{}", escaped(&String::from_utf8_lossy(&reason)));
            }
            _ => bail!("it is no node that is at {}", path.display()),
        }
    }

    /// Returns the next line; `None` once the stream has ended. Cancel safe.
    ///
    /// # Errors
    /// The connection is lost, or the line is not understood.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<StreamLine>> {
        let Some(line) = self.line().await? else { return Ok(None) };
        serde_json::from_str(&line).map(Some).context("what the node tells is not understood")
    }

    /// Returns the first line, which a node sends at once.
    ///
    /// # Errors
    /// Those of [`Stream::next`], and no line within [`READ_TIME`].
    pub(crate) async fn first(&mut self) -> anyhow::Result<Option<StreamLine>> {
        time::timeout(READ_TIME, self.next()).await.context("the node tells nothing")?
    }

    async fn line(&mut self) -> anyhow::Result<Option<String>> {
        // A partial line stays in the buffer if this future is dropped.
        let room = MAX_LINE.saturating_sub(self.line.len() as u64);
        (&mut self.reader).take(room).read_until(b'\n', &mut self.line).await?;
        if self.line.len() as u64 == MAX_LINE && !self.line.ends_with(b"\n") {
            bail!("a line has more than {MAX_LINE} bytes");
        }
        if self.line.pop() != Some(b'\n') {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        Ok(Some(line))
    }
}

/// The first line of an answer that is a stream.
const HEAD: &str = "stream";

/// The time in which a watcher must read something. A watcher that Ctrl-Z stops for longer has to connect
/// again.
const READ_TIME: Duration = Duration::from_secs(30);

/// The maximum number of batches between two pauses, enough for all stored messages.
const ROUND: usize = 8;

/// The pause is too short to see. It limits the work for a busy node to fifty batches a second instead of one
/// for each message.
const PAUSE: Duration = Duration::from_millis(20);

/// The maximum size of a line in bytes: several times the longest message, escaped twice.
const MAX_LINE: u64 = 4096;

#[cfg(test)]
mod tests {
    use message_ladder::Watch;
    use message_log::{Direction, Entry, Sink};

    use super::*;

    /// A node with more messages than a socket takes.
    fn watch() -> Watch {
        let mut watch = Watch::new("bb.com", 20_000, || UNIX_EPOCH);
        let entry = Entry::new("bb.com", Direction::Sent, "127.0.0.1:1".parse().unwrap(), b"RR0");
        (0..20_000).for_each(|_| watch.take(&entry));
        watch
    }

    /// The paused clock advances whenever nothing else happens.
    #[tokio::test(start_paused = true)]
    async fn one_who_does_not_read_is_given_up() {
        let (stream, mut other) = UnixStream::pair().unwrap();
        let begin = time::Instant::now();
        let ended = serve(stream, watch().entries()).await.unwrap_err();
        assert_eq!(ended.to_string(), "what passes is not read by one who watches");
        let waited = begin.elapsed();
        assert!((READ_TIME..READ_TIME * 2).contains(&waited), "{waited:?}");
        let mut told = String::new();
        other.read_to_string(&mut told).await.unwrap();
        assert!(
            told.starts_with("stream\n{\"owner\":\"bb.com\"}\n{\"number\":1,\"at\":0,\"line\":\"E: "),
            "{told}"
        );
    }

    #[tokio::test]
    async fn one_who_hangs_up_is_told_nothing_more() {
        for has_read_all in [false, true] {
            let (stream, mut other) = UnixStream::pair().unwrap();
            let watch = if has_read_all { Watch::new("bb.com", 1, || UNIX_EPOCH) } else { watch() };
            let serving = tokio::spawn(serve(stream, watch.entries()));
            let mut head = [0; HEAD.len()];
            other.read_exact(&mut head).await.unwrap();
            drop(other);
            let ended = time::timeout(READ_TIME / 2, serving).await.expect("it ends at once").unwrap();
            assert!(ended.is_ok() || !has_read_all, "{ended:?}");
        }
    }
}
