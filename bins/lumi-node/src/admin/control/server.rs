//! The node's end of the control socket.

use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use super::MAX_REQUEST;
use super::stream::{self, WatchRequest};
use crate::admin::command::Command;
use crate::admin::operator::Operator;
use crate::reason;

/// Executes the requests that come through `listener`, until the runtime ends.
///
/// # Errors
/// The listener cannot be registered with the runtime.
pub(crate) async fn serve(listener: StdUnixListener, operator: Operator) -> anyhow::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let watchers = Arc::new(Semaphore::new(MAX_WATCHERS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await?;
        match listener.accept().await {
            Ok((stream, _)) => {
                let (operator, watchers) = (operator.clone(), Arc::clone(&watchers));
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &operator, place, &watchers).await {
                        tracing::info!(
                            "a request at the control socket is given up: {}",
                            reason::in_one_line(&error)
                        );
                    }
                });
            }
            Err(error) => {
                tracing::warn!(
                    "the control socket cannot accept a command, which waits: {}; if the limit of open files is the cause, \
                     raise it",
                    reason::in_words(&error)
                );
                time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

async fn answer(
    mut stream: UnixStream,
    operator: &Operator,
    place: OwnedSemaphorePermit,
    watchers: &Arc<Semaphore>,
) -> anyhow::Result<()> {
    let answer = match asked(&mut stream).await {
        Ok(Request::Command(command)) => operator.carry_out(command).await,
        Ok(Request::Watch(WatchRequest::Watch {})) => match Arc::clone(watchers).try_acquire_owned() {
            Ok(_watcher) => {
                // Commands must not wait for watchers, so a watcher gives up its place among the requests.
                drop(place);
                return stream::serve(stream, operator.logs.messages.watch().entries()).await;
            }
            Err(_) => Err(anyhow!("{MAX_WATCHERS} watch already, no more can be served")),
        },
        Err(error) => Err(error),
    };
    let (word, text) = match answer {
        Ok(text) => ("done", text),
        Err(error) => ("refused", reason::in_one_line(&error)),
    };
    let head = format!("{word} {}\n", text.len());
    let written = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    time::timeout(ANSWER_TIME, written)
        .await
        .context("the answer is not read")?
        .context("the answer cannot be given")
}

/// A request of a client.
enum Request {
    Command(Command),
    Watch(WatchRequest),
}

/// Reads the request, and checks that its sender may make one.
async fn asked(stream: &mut UnixStream) -> anyhow::Result<Request> {
    let asker = stream.peer_cred().context("cannot tell who asks")?.uid();
    let asked = time::timeout(REQUEST_TIME, request(stream)).await;
    let request = asked.unwrap_or_else(|_| bail!("no request within {REQUEST_TIME:?}"))?;
    // The mode of the socket keeps others out, but somebody can change the mode.
    let may_ask = asker == geteuid().as_raw() || asker == 0;
    ensure!(may_ask, "user {asker} is neither the owner of this node nor root");
    Ok(request)
}

async fn request(stream: &mut UnixStream) -> anyhow::Result<Request> {
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_REQUEST).read_until(b'\n', &mut line).await?;
    ensure!(line.ends_with(b"\n"), "the request is cut off, or has more than {MAX_REQUEST} bytes");
    if let Ok(watch) = serde_json::from_slice(&line) {
        return Ok(Request::Watch(watch));
    }
    serde_json::from_slice(&line).map(Request::Command).context("the request is not understood")
}

/// The maximum number of watchers, besides requests: enough for a class and its teacher, each with a page and
/// a terminal.
const MAX_WATCHERS: usize = 64;

/// The maximum number of requests at a time; others wait in the queue of the socket.
const MAX_CONNECTIONS: usize = 8;

/// The time for a request to arrive: it arrives at once, or its sender is stuck.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// The time for an answer to be read.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// The pause after a failed accept, so that a lasting error does not use a whole processor.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
