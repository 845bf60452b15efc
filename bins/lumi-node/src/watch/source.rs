//! The source of messages: a running node, or a message log.

use std::io::Write;
use std::mem;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use diagnostics::escaped;
use message_log::Entry;
use standard_streams::{BackgroundReader, stderr, stdin};
use tokio::fs::File;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::{self, Instant};

use super::WatchArgs;
use crate::admin::control::client::NodeArgs;
use crate::admin::control::stream::{Stream, StreamLine, moment};

/// A source of messages.
pub(super) struct Source {
    /// The party that the messages belong to: the domain of a node, or the address of an agent. Empty if
    /// unknown.
    pub(super) owner: String,
    /// Set if more messages may come at any time. A file is read to its end instead.
    pub(super) is_live: bool,
    from: Origin,
}

enum Origin {
    Node(Node),
    Log(Log),
}

struct Log {
    /// The escaped name.
    name: String,
    reader: Box<dyn AsyncBufRead + Unpin>,
    line: Vec<u8>,
    number: u64,
    /// Set while the rest of a line that was too long is being skipped.
    is_rest: bool,
}

/// An event of a source.
#[derive(Debug)]
pub(super) enum SourceEvent {
    Message {
        /// The node's number for it.
        number: Option<u64>,
        at: Option<SystemTime>,
        entry: Entry,
    },
    /// The number of messages before the next one that were skipped.
    Missed(u64),
    /// A line of a file that is not a log line, and the reason.
    Wrong { line: u64, reason: String },
    /// The node has ended. Nothing comes until it is [`SourceEvent::Back`].
    Away,
    /// The node is there again.
    Back,
    /// The end of the messages, and the reason.
    End(String),
}

impl Source {
    /// Opens the source that `args` name.
    ///
    /// # Errors
    /// The node cannot be reached, or the file cannot be opened.
    pub(super) async fn open(args: &WatchArgs) -> anyhow::Result<Self> {
        if let Some(path) = &args.file {
            return Self::of_log(path).await;
        }
        let (stream, owner) = connect(&args.node).await?;
        let followed = args.follow.then(|| args.node.clone());
        Ok(Self { owner, is_live: true, from: Origin::Node(Node::new(stream, followed)) })
    }

    async fn of_log(path: &Path) -> anyhow::Result<Self> {
        let is_stdin = path == Path::new("-");
        let name = if is_stdin { "stdin".into() } else { escaped(&path.to_string_lossy()) };
        let (reader, is_live): (Box<dyn AsyncBufRead + Unpin>, _) = if is_stdin {
            (Box::new(BufReader::new(BackgroundReader::new(stdin))), true)
        } else {
            let failed = || format!("cannot read the log {name}");
            let file = File::open(path).await.with_context(failed)?;
            let is_file = file.metadata().await.with_context(failed)?.is_file();
            (Box::new(BufReader::new(file)), !is_file)
        };
        let owner =
            path.file_name().and_then(|file| message_log::log_owner(file.to_str()?)).unwrap_or_default();
        let log = Log { name, reader, line: Vec::new(), number: 0, is_rest: false };
        Ok(Self { owner, is_live, from: Origin::Log(log) })
    }

    /// Returns the next event. Cancel safe.
    ///
    /// # Errors
    /// The connection is lost, or the file cannot be read further.
    pub(super) async fn next(&mut self) -> anyhow::Result<SourceEvent> {
        let owner = &self.owner;
        match &mut self.from {
            Origin::Log(log) => log.next(owner).await,
            Origin::Node(node) => node.next(owner).await,
        }
    }
}

/// A running node, or one that is waited for.
struct Node {
    /// `None` while the node is away.
    stream: Option<Stream>,
    /// The way to find the node again; `None` if its end is the end of the messages.
    followed: Option<NodeArgs>,
    /// Added to the numbers of messages, which begin again with each start of the node.
    offset: u64,
    /// The number of the last message.
    last: u64,
    /// The time of the next look for the node.
    look_at: Instant,
}

impl Node {
    fn new(stream: Stream, followed: Option<NodeArgs>) -> Self {
        Self { stream: Some(stream), followed, offset: 0, last: 0, look_at: Instant::now() }
    }

    /// Cancel safe: a look for the node that is given up is repeated.
    async fn next(&mut self, owner: &str) -> anyhow::Result<SourceEvent> {
        let Some(stream) = &mut self.stream else { return self.back(owner).await };
        match (stream.next().await, &self.followed) {
            (Ok(Some(StreamLine::Message { number, at, line })), _) => {
                let entry = Entry::parse(owner, &line).context("what the node tells is not understood")?;
                self.last = self.offset + number;
                Ok(SourceEvent::Message { number: Some(self.last), at: moment(at), entry })
            }
            (Ok(Some(StreamLine::Missed { missed })), _) => Ok(SourceEvent::Missed(missed)),
            (Ok(Some(StreamLine::Owner { .. })), _) => bail!("what the node tells is not understood"),
            (Ok(None) | Err(_), Some(_)) => {
                self.stream = None;
                Ok(SourceEvent::Away)
            }
            (Ok(None), None) => {
                Ok(SourceEvent::End("the node has ended, or has given this watcher up".into()))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Looks for the node until it is there again.
    async fn back(&mut self, owner: &str) -> anyhow::Result<SourceEvent> {
        loop {
            time::sleep_until(self.look_at).await;
            self.look_at = Instant::now() + LOOK_INTERVAL;
            let Some(node) = &self.followed else { continue };
            let Ok((stream, new_owner)) = connect(node).await else { continue };
            if new_owner != owner {
                bail!("the node that runs there now is that of {}", escaped(&new_owner));
            }
            // A gap in the numbers says that messages may have been missed.
            self.offset = self.last + 1;
            self.stream = Some(stream);
            return Ok(SourceEvent::Back);
        }
    }
}

/// Connects to the node, and returns its stream with the owner of the messages.
async fn connect(node: &NodeArgs) -> anyhow::Result<(Stream, String)> {
    let (path, socket) = node.connect()?;
    let mut stream = Stream::open(&path, socket).await?;
    match stream.first().await? {
        Some(StreamLine::Owner { owner }) => Ok((stream, owner)),
        _ => bail!("the node at {} does not say whose messages they are", path.display()),
    }
}

impl Log {
    async fn next(&mut self, owner: &str) -> anyhow::Result<SourceEvent> {
        let failed = || format!("cannot read on in the log {}", self.name);
        let (line, is_too_long) = loop {
            // A partial line stays in the buffer if this future is dropped.
            let room = MAX_LINE.saturating_sub(self.line.len() as u64);
            (&mut self.reader).take(room).read_until(b'\n', &mut self.line).await.with_context(failed)?;
            if self.line.is_empty() {
                return Ok(SourceEvent::End(format!("the end of {}", self.name)));
            }
            let line = mem::take(&mut self.line);
            let is_cut_off = line.len() as u64 == MAX_LINE && !line.ends_with(b"\n");
            if !mem::replace(&mut self.is_rest, is_cut_off) {
                break (line, is_cut_off);
            }
        };
        self.number += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let read = match str::from_utf8(line) {
            _ if is_too_long => Err(format!("it has more than {MAX_LINE} bytes")),
            Ok(line) => Entry::parse(owner, line).map_err(|error| error.to_string()),
            Err(_) => Err("it is not UTF-8".into()),
        };
        Ok(match read {
            Ok(entry) => SourceEvent::Message { number: None, at: None, entry },
            Err(reason) => SourceEvent::Wrong { line: self.number, reason },
        })
    }
}

/// Counts the lines of a file, and reports the wrong ones on stderr: the first [`MAX_TOLD`] one by one, the
/// others as a number at the end.
#[derive(Debug, Default)]
pub(super) struct LineCounts {
    read: u64,
    wrong: u64,
    untold: u64,
}

impl LineCounts {
    pub(super) fn read(&mut self) {
        self.read += 1;
    }

    pub(super) fn wrong(&mut self, line: u64, reason: &str) {
        self.wrong += 1;
        if self.wrong <= MAX_TOLD {
            say(&format!("line {line} is no line of a message log: {reason}"));
        } else {
            self.untold += 1;
        }
    }

    /// Counts a wrong line that is reported elsewhere.
    pub(super) fn wrong_unseen(&mut self) {
        self.wrong += 1;
        self.untold += 1;
    }

    /// Reports the number of wrong lines.
    ///
    /// # Errors
    /// There were lines, and none of them was one of a log.
    pub(super) fn end(&self) -> anyhow::Result<()> {
        let Self { read, wrong, untold } = *self;
        if untold > 0 {
            say(&format!("{wrong} lines in all are no lines of a message log"));
        }
        if wrong > 0 && read == 0 {
            bail!("nothing of it is a message log");
        }
        Ok(())
    }
}

/// Remarks on a node that is followed.
pub(super) const AWAY: &str = "the node has ended; waiting until it is back";
pub(super) const BACK: &str = "the node is back";

/// Prints a remark on stderr, beside the output.
pub(super) fn say(text: &str) {
    // Nobody can read the remark if there is no stderr.
    _ = writeln!(stderr(), "lumi-node: {text}");
}

/// The maximum number of wrong lines that are reported one by one. More of them mean that the file is not a
/// log.
const MAX_TOLD: u64 = 20;

/// The time between two looks for a node that is away.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The maximum size of a line in bytes: several times the longest line of a log.
const MAX_LINE: u64 = 4096;
