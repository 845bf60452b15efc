//! The socket to which callers connect.

use std::io;
use std::time::Duration;

use plumi_proto::TcpAddress;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::{task, time};
use tracing::{debug, warn};

use super::Acceptor;
use crate::event::Event;

/// Binds a listener to `address`, with a long queue of callers.
pub(crate) fn bind(address: TcpAddress) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Allows the port that an earlier agent had.
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())?;
    socket.listen(MAX_QUEUED)
}

/// Accepts connections once it is `opened`, until the agent ends.
///
/// Callers wait until it is opened. Those still waiting when the agent ends are disconnected in order.
pub(crate) async fn listen(listener: TcpListener, acceptor: Acceptor, opened: oneshot::Receiver<()>) {
    let mut shutdown = acceptor.options.shutdown.clone();
    let (turns, events) = (acceptor.turns.clone(), acceptor.events.clone());
    // Dropped if nobody reads the events.
    let report = move |callers| drop(events.try_send(Event::GaveWay { callers }));
    let accepting = async {
        // An error: it is never opened, and the agent ends.
        if opened.await.is_ok() {
            let_in(|| listener.accept(), |(stream, remote)| acceptor.clone().spawn(stream, remote)).await;
        }
    };
    tokio::select! {
        () = accepting => {}
        () = turns.serve(report) => {}
        () = shutdown.begun() => {}
    }
    // Closing the listener would reset the callers in its queue.
    let Ok(listener) = listener.into_std() else { return };
    let mut failures = 0;
    loop {
        match listener.accept() {
            Ok((stream, remote)) => {
                match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                    Ok(stream) => acceptor.clone().spawn(stream, remote),
                    Err(error) => debug!(%remote, %error, "a call that was gone at once"),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if failures == MAX_FAILURES => {
                warn!("cannot accept the calls that wait, so their connections are reset: {error}; {REMEDY}");
                break;
            }
            Err(error) => {
                debug!(%error, "cannot accept a call");
                failures += 1;
                time::sleep(ERROR_PAUSE).await;
            }
        }
        // Nothing in this loop waits. The tasks of the callers so far have to run, so that the oldest of them
        // close their connections; otherwise the whole queue would be open at once.
        task::yield_now().await;
    }
}

/// Passes every caller that `next` returns to `receive`, without end.
pub(super) async fn let_in<C, N: Future<Output = io::Result<C>>>(
    mut next: impl FnMut() -> N,
    mut receive: impl FnMut(C),
) {
    let mut is_failing = false;
    loop {
        match next().await {
            Ok(caller) => {
                is_failing = false;
                receive(caller);
            }
            // Callers wait in the kernel's queue.
            Err(error) => {
                if !is_failing {
                    warn!("cannot accept calls, which wait: {error}; {REMEDY}");
                }
                is_failing = true;
                time::sleep(ERROR_PAUSE).await;
            }
        }
        // While callers wait in the queue, `next` never does, and the runtime looks at its sockets only here:
        // a nickname that has come is read before the next caller may take the slot.
        task::yield_now().await;
    }
}

/// The limit of connections that the kernel queues. Beyond it, a caller connects a second later at best.
const MAX_QUEUED: u32 = 1024;

/// The pause after an error such as too many open files. Without it, a lasting error would use up a
/// processor.
pub(super) const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The number of these pauses before an agent that ends gives up: until connections that are ending have
/// ended.
const MAX_FAILURES: u32 = 20;

/// The remedy for an error that lasts.
const REMEDY: &str = "if the limit of open files is the cause, raise it";
