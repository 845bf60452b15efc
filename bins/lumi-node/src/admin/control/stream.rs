//! What passes at the node, told to one who watches: both ends.

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
    /// Of the messages.
    Watch {},
}

/// A line of the stream.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum StreamLine {
    /// Whose messages they are.
    Owner { owner: String },
    /// One of them, as its line in the message log.
    Message { number: u64, at: u64, line: String },
    /// Before the next one, so many have passed that are not told.
    Missed { missed: u64 },
}

impl StreamLine {
    fn message(kept: &Kept) -> Self {
        let since = kept.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self::Message { number: kept.number, at, line: kept.entry.to_string() }
    }
}

/// When that was, as it is told.
pub(crate) fn moment(at: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(at))
}

/// Tells `entries` through `stream` until whoever is there hangs up.
///
/// # Errors
/// Nothing of what is told is read for [`READ_TIME`], or it cannot be told any more.
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
        // Nothing is to come from there but the end.
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

/// The stream of a node, at its other end.
#[derive(Debug)]
pub(crate) struct Stream {
    reader: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Stream {
    /// Asks the node at `path`, to which `socket` is connected, for it.
    ///
    /// # Errors
    /// It refuses, or is none.
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

    /// What it tells next; `None` once it has ended. Cancel safe.
    ///
    /// # Errors
    /// The connection is lost, or what is told is not understood.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<StreamLine>> {
        let Some(line) = self.line().await? else { return Ok(None) };
        serde_json::from_str(&line).map(Some).context("what the node tells is not understood")
    }

    /// As [`Stream::next`], of the line that comes at once.
    ///
    /// # Errors
    /// Those of [`Stream::next`]; nothing comes.
    pub(crate) async fn first(&mut self) -> anyhow::Result<Option<StreamLine>> {
        time::timeout(READ_TIME, self.next()).await.context("the node tells nothing")?
    }

    async fn line(&mut self) -> anyhow::Result<Option<String>> {
        // What was read of a line stays there if this is dropped.
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

/// What the answer begins with.
const HEAD: &str = "stream";

/// How long one who watches may read nothing of what there is; who is stopped by Ctrl-Z for longer has to begin anew.
const READ_TIME: Duration = Duration::from_secs(30);

/// How often messages are taken from where they pass before there is a pause: all that are kept, after one.
const ROUND: usize = 8;

/// Nobody sees that it is not at once; and a node under load is held up fifty times a second, not by each message.
const PAUSE: Duration = Duration::from_millis(20);

/// The most bytes of a line: some times what the longest message needs, escaped twice.
const MAX_LINE: u64 = 4096;

#[cfg(test)]
mod tests {
    use message_ladder::Watch;
    use message_log::{Direction, Entry, Sink};

    use super::*;

    /// The messages of a node, more than a socket takes.
    fn watch() -> Watch {
        let mut watch = Watch::new("bb.com", 20_000, || UNIX_EPOCH);
        let entry = Entry::new("bb.com", Direction::Sent, "127.0.0.1:1".parse().unwrap(), b"RR0");
        (0..20_000).for_each(|_| watch.take(&entry));
        watch
    }

    /// Time passes at once where nothing else happens.
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
