//! The node's end of the control socket.

use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time;

use super::MAX_REQUEST;
use crate::command::Command;
use crate::operator::Operator;
use crate::reason;

/// Carries out what comes through `listener`, until the runtime ends.
///
/// # Errors
/// The listener cannot be waited for.
pub(crate) async fn serve(listener: StdUnixListener, operator: Operator) -> anyhow::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await?;
        match listener.accept().await {
            Ok((stream, _)) => {
                let operator = operator.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &operator).await {
                        tracing::info!(
                            "a request at the control socket is given up: {}",
                            reason::in_one_line(&error)
                        );
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept at the control socket");
                time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, operator: &Operator) -> anyhow::Result<()> {
    let asker = stream.peer_cred().context("cannot tell who asks")?.uid();
    let asked = time::timeout(REQUEST_TIME, request(&mut stream)).await;
    let carried_out = match asked.unwrap_or_else(|_| bail!("no request within {REQUEST_TIME:?}")) {
        // The mode of the socket keeps others out; but a mode can be changed.
        Ok(_) if asker != geteuid().as_raw() && asker != 0 => {
            Err(anyhow!("user {asker} is neither the owner of this node nor root"))
        }
        Ok(command) => operator.carry_out(command).await,
        Err(error) => Err(error),
    };
    let (word, text) = match carried_out {
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

async fn request(stream: &mut UnixStream) -> anyhow::Result<Command> {
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_REQUEST).read_until(b'\n', &mut line).await?;
    ensure!(line.ends_with(b"\n"), "the request is cut off, or has more than {MAX_REQUEST} bytes");
    serde_json::from_slice(&line).context("the request is not understood")
}

/// Requests at a time; others wait in the queue of the socket.
const MAX_CONNECTIONS: usize = 8;

/// How long a request may take to come: it is there at once, or its sender is stuck.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long an answer may take to be read, once it is there.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// After an error of accepting, so that one that lasts does not take all of a processor.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
