//! Calls from others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mi_proto::{Line, Nickname};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, TryAcquireError, mpsc};
use tokio::time;
use tracing::{debug, warn};

use super::connection::Connection;
use super::driver::Driver;
use super::talk::{self, Terms};
use crate::event::Event;
use crate::safe_text::PeerText;

/// What it takes to receive a call.
#[derive(Clone)]
pub(crate) struct Reception {
    pub(crate) nickname: Nickname,
    pub(crate) terms: Terms,
    /// One permit for each conversation the agent may have.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) driver: Driver,
}

/// Accepts connections until the agent ends. Those who had connected by then are let go in order.
pub(crate) async fn listen(listener: TcpListener, reception: Reception) {
    let greetings = Arc::new(Semaphore::new(MAX_GREETINGS));
    let mut closing = reception.terms.closing.clone();
    loop {
        let accepted = async {
            let greeting = Arc::clone(&greetings).acquire_owned().await.expect("is never closed");
            (listener.accept().await, greeting)
        };
        let (accepted, greeting) = tokio::select! {
            accepted = accepted => accepted,
            () = closing.begun() => break,
        };
        match accepted {
            Ok((stream, remote)) => reception.clone().spawn(stream, remote, greeting),
            Err(error) => {
                warn!(%error, "cannot accept a call");
                time::sleep(ERROR_PAUSE).await;
            }
        }
    }
    // To close the listener resets whoever waits in its queue.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, remote)) = listener.accept() {
        match stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            Ok(stream) => reception.clone().spawn(stream, remote, ()),
            Err(error) => debug!(%remote, %error, "a call that was gone at once"),
        }
    }
}

impl Reception {
    /// Receives a call in a task of its own, which holds `permit` for as long as it lasts.
    fn spawn(self, stream: TcpStream, remote: SocketAddr, permit: impl Send + 'static) {
        match Connection::new(stream, remote) {
            Ok(connection) => {
                tokio::spawn(async move {
                    self.receive(connection).await;
                    drop(permit);
                });
            }
            Err(error) => debug!(%remote, %error, "a call that was gone at once"),
        }
    }

    async fn receive(mut self, mut connection: Connection) {
        let remote = connection.remote;
        let nickname = match connection.answer(&self.nickname, &mut self.terms.closing).await {
            Ok(nickname) => nickname,
            Err(error) => {
                debug!(%remote, %error, "a call without a nickname");
                return connection.close().await;
            }
        };
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(TryAcquireError::NoPermits) => return self.refuse(connection, nickname).await,
            // The agent ends.
            Err(TryAcquireError::Closed) => return connection.close().await,
        };
        let Ok(event) = self.events.try_reserve() else {
            drop(slot);
            return self.refuse(connection, nickname).await;
        };
        let asker = self.driver.take_asker().await;
        event.send(Event::Incoming(talk::start(connection, nickname, asker, self.terms.clone(), slot)));
    }

    async fn refuse(&self, mut connection: Connection, nickname: PeerText) {
        let remote = connection.remote;
        if let Err(error) = connection.say(Line::new(BUSY).expect("fits a frame"), self.terms.pace).await {
            debug!(%remote, %error, "cannot say busy");
        }
        // Nobody need read it; then it is lost.
        _ = self.events.try_send(Event::Refused { nickname, remote });
        connection.close().await;
    }
}

/// What a caller is told while the user is in another conversation.
const BUSY: &str = "busy: in another conversation, please call again later";

/// Connections that have not given a nickname, or are being told "busy". The kernel queues the others.
const MAX_GREETINGS: usize = 8;

/// After an error, such as too many open files, so that one that lasts does not take all of a processor.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
