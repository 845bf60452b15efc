//! Lines of a conversation: from one agent's `send` to another's `next_line`, one write a frame.
//!
//! Everywhere there are two threads, each on a core of its own: one writes, the other reads to the end. An
//! agent is a runtime of one thread, with the program that embeds it on that same thread.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{bail, ensure};
use futures_util::{SinkExt, StreamExt};
use integration_tests::network::{TestNode, directory};
use mi_agent_core::{AgentBuilder, Event, Identity};
use mi_proto::{Frame, FrameCodec, Line};
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::codec::{FramedRead, FramedWrite};

use crate::Options;
use crate::load::{self, Core};
use crate::report::{Report, Target, median};
use crate::secure::bare::BareTls;
use crate::secure::is_encrypted;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let lines = lines();
    let [mut bare, mut agents, mut bare_batches, mut batches] = [const { Vec::new() }; 4];
    for _ in 0..options.rounds.get() {
        bare.push(bytes_alone(&lines, 1, options.each(), None)?);
        agents.push(agent_to_agent(&lines, options.each(), false)?);
        bare_batches.push(bytes_alone(&lines, BATCH, options.each(), None)?);
        batches.push(codec_to_codec(&lines, options.each())?);
    }
    let [bare, agents, bare_batches, batches] = [bare, agents, bare_batches, batches].map(median);
    report.ratio("lines, agent to agent : the same writes", agents, bare, "/s", Target::AtLeast(0.8));
    report.note("lines, codec to codec, 64 frames a write", batches, "/s");
    report.note("the same writes", bare_batches, "/s");
    Ok(())
}

/// The same in TLS, and what the encryption takes of it.
pub(crate) fn measure_encrypted(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let (lines, tls) = (lines(), BareTls::new()?);
    let [mut bare, mut agents, mut plain] = [const { Vec::new() }; 3];
    for _ in 0..options.rounds.get() {
        bare.push(bytes_alone(&lines, 1, options.each(), Some(&tls))?);
        agents.push(agent_to_agent(&lines, options.each(), true)?);
        plain.push(agent_to_agent(&lines, options.each(), false)?);
    }
    let [bare, agents, plain] = [bare, agents, plain].map(median);
    let figure = "lines in TLS, agent to agent : the same writes by rustls alone";
    report.ratio(figure, agents, bare, "/s", Target::AtLeast(0.8));
    report.note_beside("  the same : in plain text", agents, plain, "/s");
    Ok(())
}

fn lines() -> Arc<[String]> {
    (0..DIFFERENT).map(|number| format!("{number:050}")).collect()
}

/// The limit: the same bytes from socket to socket, so many frames a write, in TLS or not. Returns frames per
/// second.
fn bytes_alone(
    lines: &[String],
    frames: usize,
    time: Duration,
    tls: Option<&BareTls>,
) -> anyhow::Result<f64> {
    let writes: Vec<_> =
        lines.chunks(frames).map(|lines| lines.iter().map(frame).collect::<String>()).collect();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    let reader_tls = tls.cloned();
    let reader = thread::spawn(move || {
        load::keep_this_thread_on(Core::Server)?;
        let (stream, _) = listener.accept()?;
        let mut stream: Box<dyn Read> = match reader_tls {
            Some(tls) => Box::new(tls.callee(stream)?),
            None => Box::new(stream),
        };
        let mut buffer = [0; READ];
        let mut bytes = 0;
        loop {
            match stream.read(&mut buffer)? {
                0 => return anyhow::Ok((bytes, Instant::now())),
                length => bytes += length,
            }
        }
    });
    load::keep_this_thread_on(Core::Load)?;
    let stream = TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    let mut stream: Box<dyn Write> = match tls {
        Some(tls) => Box::new(tls.caller(stream)?),
        None => Box::new(stream),
    };
    let mut next = writes.iter().cycle();
    let mut written = 0;
    let start = Instant::now();
    while start.elapsed() < time {
        for write in next.by_ref().take(BATCH) {
            stream.write_all(write.as_bytes())?;
            written += write.len();
        }
    }
    drop(stream);
    let (read, end) = reader.join().expect("it does not panic")?;
    ensure!(read == written, "{written} bytes were written and {read} read");
    Ok(per_second(read / frame(&lines[0]).len(), end - start))
}

/// Returns lines per second, in TLS or not.
fn agent_to_agent(lines: &Arc<[String]>, time: Duration, encrypts: bool) -> anyhow::Result<f64> {
    load::keep_this_thread_on(Core::Load)?;
    runtime()?.block_on(async {
        let node = TestNode::start("bb.com", &["u1", "u2"], directory(&[])).await;
        let builder = |user| {
            let builder = node.agent(user).pace(Duration::ZERO);
            anyhow::Ok(if encrypts { builder.identity(Identity::generate()?) } else { builder })
        };
        let (agent, _events) = builder("u1")?.start().await?;
        let (ready, is_ready) = oneshot::channel();
        let (done, outcome) = oneshot::channel();
        let (callee, expected) = (builder("u2")?, Arc::clone(lines));
        thread::Builder::new().name("callee".into()).spawn(move || {
            let outcome = load::keep_this_thread_on(Core::Server)
                .and_then(|()| runtime())
                .map_err(Into::into)
                .and_then(|runtime| runtime.block_on(take_all(callee, &expected, ready)));
            _ = done.send(outcome);
        })?;
        is_ready.await?;
        let talk = agent.call("u2@bb.com".parse()?).await?;
        ensure!(is_encrypted(&talk) == encrypts, "protected otherwise");
        let mut next = lines.iter().cycle();
        let mut sent = 0;
        let start = Instant::now();
        while start.elapsed() < time {
            for line in next.by_ref().take(BATCH) {
                talk.send(line).await?;
            }
            sent += BATCH;
        }
        talk.hang_up();
        let (received, end) = outcome.await??;
        ensure!(received == sent, "{sent} lines were sent and {received} received");
        agent.shutdown().await?;
        Ok(per_second(received, end - start))
    })
}

/// The agent that is called. Returns how many lines came, and when all had come.
async fn take_all(
    agent: AgentBuilder,
    expected: &[String],
    ready: oneshot::Sender<()>,
) -> anyhow::Result<(usize, Instant)> {
    let (agent, mut events) = agent.start().await?;
    _ = ready.send(());
    let Some(Event::Incoming(incoming)) = events.next().await else { bail!("nobody called") };
    let mut talk = incoming.accept()?;
    let mut expected = expected.iter().cycle();
    let mut received = 0;
    while let Some(line) = talk.next_line().await? {
        ensure!(Some(line.raw()) == expected.next().map(String::as_str), "line {received} is {line}");
        received += 1;
    }
    let end = Instant::now();
    agent.shutdown().await?;
    Ok((received, end))
}

/// The codec on sockets, [`BATCH`] frames a write: what two peers could have that read TCP as a stream.
/// Deployed ones do not, so no agent of ours writes like this. Returns lines per second.
fn codec_to_codec(lines: &Arc<[String]>, time: Duration) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    let expected = Arc::clone(lines);
    let reader = thread::spawn(move || {
        load::keep_this_thread_on(Core::Server)?;
        let (stream, _) = listener.accept()?;
        runtime()?.block_on(async {
            let mut frames = FramedRead::new(from_std(stream)?, FrameCodec::new());
            let mut expected = expected.iter().cycle();
            let mut received = 0;
            while let Some(frame) = frames.next().await.transpose()? {
                ensure!(Some(&*frame.text()) == expected.next().map(String::as_str), "line {received}");
                received += 1;
            }
            Ok((received, Instant::now()))
        })
    });
    load::keep_this_thread_on(Core::Load)?;
    let (sent, start) = runtime()?.block_on(async {
        let mut frames = FramedWrite::new(from_std(TcpStream::connect(at)?)?, FrameCodec::new());
        let mut next = lines.iter().cycle();
        let mut sent = 0;
        let start = Instant::now();
        while start.elapsed() < time {
            for line in next.by_ref().take(BATCH) {
                frames.feed(Frame::Line(Line::new(line)?)).await?;
            }
            SinkExt::<Frame>::flush(&mut frames).await?;
            sent += BATCH;
        }
        anyhow::Ok((sent, start))
    })?;
    let (received, end) = reader.join().expect("it does not panic")?;
    ensure!(received == sent, "{sent} lines were sent and {received} received");
    Ok(per_second(received, end - start))
}

fn from_std(stream: TcpStream) -> io::Result<tokio::net::TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)
}

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

fn frame(line: &String) -> String {
    format!("L{:02}{line}", line.len())
}

fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// So many different lines, in turn: one that is lost, doubled or out of order is seen.
const DIFFERENT: usize = 1024;

/// Frames in one write, where they are batched; elsewhere, how many are sent between two looks at the clock.
const BATCH: usize = 64;

/// The codec's room for one read.
const READ: usize = 8 * 1024;
