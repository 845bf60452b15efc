//! The listener and its connections. Anybody that can reach it can open them, so everything that they take
//! has a bound.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use lumi_node_core::ServerHandle;
use message_ladder::Watch;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{self, AbortHandle, JoinSet};
use tokio::time;
use tracing::{debug, warn};

use crate::figures::Figures;
use crate::pages;
use crate::patient_stream::PatientStream;
use crate::viewers::Connection;

/// Shows a node over HTTP. It takes `GET` and `HEAD`, changes nothing, and keeps nothing about its visitors.
#[derive(Debug)]
pub struct WebServer {
    listener: TcpListener,
    figures: Figures,
    watch: Watch,
}

impl WebServer {
    /// Will show on `listener` the node that `handle` reaches, and of its messages those that `watch` sees.
    pub fn new(listener: TcpListener, handle: impl Into<ServerHandle>, watch: Watch) -> Self {
        Self { listener, figures: Figures::new(handle.into()), watch }
    }

    /// Adds to the metrics how many lines of the message log were lost since the start, as `lost` says
    /// whenever it is asked, which is after the node has answered. While it waits for something, it delays
    /// all requests.
    #[must_use]
    pub fn log_lines_lost(mut self, lost: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.figures.log_lines_lost = Some(Box::new(lost));
        self
    }

    /// Adds to the metrics the number of diagnostics that were lost since the start. As
    /// [`WebServer::log_lines_lost`].
    #[must_use]
    pub fn diagnostics_lost(mut self, lost: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.figures.diagnostics_lost = Some(Box::new(lost));
        self
    }

    /// Serves until `shutdown` is ready; connections end with it. No error that a stranger can cause ends it.
    ///
    /// # Cancel safety
    /// Dropping this is a shutdown at once: the listener and all connections are closed.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let router = pages::router(self.figures, self.watch);
        let listener = self.listener;
        let mut connections = Connections::default();
        let mut is_failing = false;
        let serving = async {
            loop {
                match listener.accept().await {
                    Ok((stream, remote)) => {
                        is_failing = false;
                        let connection = Connection::from(remote.ip());
                        let router = router.clone().layer(Extension(connection.clone()));
                        let served = serve(stream, remote, router);
                        let watched = connection.clone();
                        connections.open(connection, async move {
                            tokio::select! { () = served => {}, () = watched.loses_its_place() => {} }
                        });
                    }
                    // They wait in the kernel's queue.
                    Err(error) => {
                        if !is_failing {
                            warn!(
                                "the page cannot accept connections, which wait: {error}; if the limit of open files is the \
                                 cause, raise it"
                            );
                        }
                        is_failing = true;
                        time::sleep(ERROR_PAUSE).await;
                    }
                }
                // A connection is answered before another one comes that may take its place.
                task::yield_now().await;
            }
        };
        tokio::select! { () = shutdown => {}, () = serving => {} }
    }
}

/// Those that are open. Beside those through which somebody watches, one more than [`MAX_CONNECTIONS`] takes
/// the place of the oldest of the address that has the most, itself among them: an answer takes milliseconds,
/// so that is a client that does not ask, or does not read, and a crowd from one address keeps out nobody
/// from another.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    oldest_first: VecDeque<(Connection, AbortHandle)>,
}

impl Connections {
    fn open(&mut self, connection: Connection, serving: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.oldest_first.retain(|(_, serving)| !serving.is_finished());
        let others = self.oldest_first.iter().filter(|(connection, _)| !connection.is_watched()).count();
        for _ in MAX_CONNECTIONS..=others {
            let gives_way = self.gives_way(&connection);
            if let Some((_, serving)) = gives_way.and_then(|at| self.oldest_first.remove(at)) {
                serving.abort();
            }
        }
        self.oldest_first.push_back((connection, self.tasks.spawn(serving)));
    }

    /// Returns the place of the connection that gives way to the `newcomer`, which is counted for its
    /// address.
    fn gives_way(&self, newcomer: &Connection) -> Option<usize> {
        let unwatched = || {
            let all = self.oldest_first.iter().map(|(connection, _)| connection).enumerate();
            all.filter(|(_, connection)| !connection.is_watched())
        };
        let mut of_source = HashMap::from([(newcomer.source(), 1)]);
        for (_, connection) in unwatched() {
            *of_source.entry(connection.source()).or_insert(0) += 1;
        }
        let most = of_source.values().copied().max()?;
        let mut greedy = unwatched().filter(|(_, connection)| of_source[&connection.source()] == most);
        // Of several with the most, the newcomer's address gives way first.
        let own = unwatched().find(|(_, connection)| connection.source() == newcomer.source());
        let own = own.filter(|_| of_source[&newcomer.source()] == most);
        own.or_else(|| greedy.next()).map(|(at, _)| at)
    }
}

/// Answers what is asked on one connection, until one side has enough.
async fn serve(stream: TcpStream, remote: SocketAddr, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    let stream = TokioIo::new(PatientStream::new(stream));
    let served: Result<(), hyper::Error> =
        http.serve_connection(stream, TowerToHyperService::new(router)).await;
    if let Err(error) = served {
        debug!(%remote, error = &error as &dyn Error, "a connection of the web has failed");
    }
}

/// Connections at a time, beside the viewers: some scrapers and some people, and a megabyte or two if each is
/// at its bounds.
const MAX_CONNECTIONS: usize = 64;

/// The time that the head of a request may take, from when it is waited for: also how long a connection is
/// kept on which nothing more is asked.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of the head of a request: hyper takes no less than 8 KiB, and browsers send some hundreds. A body is
/// not read.
const MAX_HEAD: usize = 8 * 1024;

/// Headers of a request: browsers send twenty.
const MAX_HEADERS: usize = 64;

/// The pause after an error, such as too many open files, so that one that lasts does not take all of a
/// processor.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;
    use crate::viewers::Viewers;

    #[tokio::test]
    async fn one_connection_too_many_takes_the_place_of_the_oldest() {
        let mut connections = Connections::default();
        for _ in 0..MAX_CONNECTIONS + 2 {
            connections.open(connection(), future::pending());
        }
        task::yield_now().await;
        for _ in 0..2 {
            let ended = connections.tasks.try_join_next().expect("one has ended");
            assert!(ended.unwrap_err().is_cancelled());
        }
        assert_eq!(connections.tasks.len(), MAX_CONNECTIONS);
        assert!(connections.tasks.try_join_next().is_none());
        // A connection that has ended is in nobody's way.
        connections.oldest_first[5].1.abort();
        assert!(connections.tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
        connections.open(connection(), future::pending());
        assert_eq!(
            (connections.tasks.len(), connections.oldest_first.len()),
            (MAX_CONNECTIONS, MAX_CONNECTIONS)
        );
        task::yield_now().await;
        assert!(connections.tasks.try_join_next().is_none());
    }

    #[tokio::test]
    async fn who_watches_gives_way_to_nobody() {
        let mut connections = Connections::default();
        let watched = connection();
        let viewer = Viewers::new().admit(&watched);
        connections.open(watched.clone(), future::pending());
        for _ in 0..MAX_CONNECTIONS + 1 {
            connections.open(connection(), future::pending());
        }
        task::yield_now().await;
        assert!(connections.tasks.try_join_next().expect("one has ended").is_err());
        assert_eq!(connections.tasks.len(), MAX_CONNECTIONS + 1);
        assert!(!connections.oldest_first[0].1.is_finished());
        drop(viewer);
        // One like the others again, of which there are too many: it and another one give way.
        connections.open(connection(), future::pending());
        task::yield_now().await;
        for _ in 0..2 {
            assert!(connections.tasks.try_join_next().expect("one has ended").is_err());
        }
        assert_eq!(connections.tasks.len(), MAX_CONNECTIONS);
    }

    #[tokio::test]
    async fn a_crowd_from_one_address_keeps_out_nobody_from_another() {
        let mut connections = Connections::default();
        let crowd = |connections: &mut Connections, number| {
            (0..number).for_each(|_| connections.open(connection(), future::pending()));
        };
        crowd(&mut connections, MAX_CONNECTIONS);
        for ip in [[127, 0, 0, 2], [127, 0, 0, 3]] {
            connections.open(Connection::from(ip.into()), future::pending());
        }
        crowd(&mut connections, 2 * MAX_CONNECTIONS);
        let left = connections.oldest_first.iter().map(|(connection, _)| connection.source());
        let others = left.filter(|source| *source != connection().source()).count();
        assert_eq!((others, connections.oldest_first.len()), (2, MAX_CONNECTIONS));
    }

    fn connection() -> Connection {
        Connection::from([127, 0, 0, 1].into())
    }
}
