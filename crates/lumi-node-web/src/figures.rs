//! Snapshots of the node, taken no oftener than it has time for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lumi_node_core::{AdminError, ServerHandle, ServerStatus};
use tokio::sync::Mutex;
use tokio::time::{self, Instant};

use crate::users::Users;

/// The figures of the node and its program. Two requests in quick succession get the same, so that no number
/// of requests takes the node's time from its users.
pub(crate) struct Figures {
    handle: ServerHandle,
    /// Locked while the node is asked, so that it is asked once at a time.
    last: Mutex<Option<(Instant, ServerStatus)>>,
    users: Mutex<Option<Listed>>,
    pub(crate) log_lines_lost: Option<Count>,
    pub(crate) diagnostics_lost: Option<Count>,
}

/// A figure of the program, read whenever somebody asks.
pub(crate) type Count = Box<dyn Fn() -> u64 + Send + Sync>;

impl Figures {
    pub(crate) fn new(handle: ServerHandle) -> Self {
        Self {
            handle,
            last: Mutex::default(),
            users: Mutex::default(),
            log_lines_lost: None,
            diagnostics_lost: None,
        }
    }

    /// Returns the state of the node, of now or of less than [`FRESH`] ago.
    ///
    /// # Errors
    /// [`Unknown`].
    pub(crate) async fn status(&self) -> Result<ServerStatus, Unknown> {
        let status = async {
            let mut last = self.last.lock().await;
            if let Some((asked, status)) = &*last
                && asked.elapsed() < FRESH
            {
                return Ok(status.clone());
            }
            let asked = Instant::now();
            let status = self.handle.status().await?;
            *last = Some((asked, status.clone()));
            Ok(status)
        };
        time::timeout(NODE_PATIENCE, status).await.unwrap_or(Err(Unknown::NoAnswer))
    }

    /// The users now, or as they were when the node told them last: [`USERS_FRESH`] ago at most, and in a
    /// domain of many users [`USERS_FRESH_EACH`] for each of them.
    ///
    /// # Errors
    /// [`Unknown`].
    pub(crate) async fn users(&self) -> Result<Arc<Users>, Unknown> {
        let users = async {
            let mut last = self.users.lock().await;
            if let Some(Listed { users, until }) = &*last
                && Instant::now() < *until
            {
                return Ok(Arc::clone(users));
            }
            let list = self.handle.list().await?;
            let now = Instant::now();
            let users = Arc::new(Users::new(&list));
            let until = now + fresh_for(list.len());
            *last = Some(Listed { users: Arc::clone(&users), until });
            Ok(users)
        };
        time::timeout(NODE_PATIENCE, users).await.unwrap_or(Err(Unknown::NoAnswer))
    }
}

/// The users as the node has told them.
struct Listed {
    users: Arc<Users>,
    /// The time before which it is not asked again.
    until: Instant,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// The reason why there is no status of the node.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// It does not answer within [`NODE_PATIENCE`].
    NoAnswer,
    /// It has ended.
    Gone(AdminError),
}

impl From<AdminError> for Unknown {
    fn from(error: AdminError) -> Self {
        Self::Gone(error)
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => write!(f, "the node has not answered for {} s", NODE_PATIENCE.as_secs()),
            Self::Gone(error) => error.fmt(f),
        }
    }
}

/// The time for which an answer of the node is reused: it is asked ten times a second at most, which costs it
/// nothing beside its messages, and nobody looks oftener.
const FRESH: Duration = Duration::from_millis(100);

/// Returns the time for which a list of so many users is reused.
fn fresh_for(users: usize) -> Duration {
    USERS_FRESH.max(USERS_FRESH_EACH * u32::try_from(users).unwrap_or(u32::MAX))
}

/// The time for which the list of users is reused. A viewer sees a new user within this time and a second.
const USERS_FRESH: Duration = Duration::from_millis(900);

/// The same for each user, which is longer from forty-five thousand users on. The node serves nobody while it
/// goes through its users, and ten thousand of them take a millisecond: a two-hundredth of its time, however
/// many there are.
const USERS_FRESH_EACH: Duration = Duration::from_micros(20);

/// The time that the node may take to answer, as it does after a change of the roster that is being saved.
/// Less than the 10 s that Prometheus waits, so that the reason reaches it.
const NODE_PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::{fs, future};

    use lumi_dns::NodeDirectory;
    use lumi_node_core::{Node, NodeSettings, RosterFile, Server};
    use tokio::net::UdpSocket;
    use tokio::task;

    use super::*;

    /// Nothing is received, so that the clock can be the test's.
    #[tokio::test(start_paused = true)]
    async fn who_asks_soon_after_another_one_is_told_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodelumi.cfg");
        fs::write(&path, "bb.com\nlaura\n").unwrap();
        let (file, roster) = RosterFile::open(&path).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let node = Node::new(roster, "127.0.0.1:3344".parse().unwrap(), NodeSettings::default());
        let mut server = Server::new(socket, node, NodeDirectory::builder().build().unwrap());
        let figures = Figures::new(server.administrator(file).into());
        task::spawn(server.run(future::pending()));

        let first = figures.status().await.unwrap();
        time::advance(FRESH - Duration::from_millis(1)).await;
        let (second, third) = tokio::join!(figures.status(), figures.status());
        assert_eq!((second.unwrap(), third.unwrap()), (first.clone(), first.clone()));
        time::advance(Duration::from_millis(1)).await;
        assert_eq!(figures.status().await.unwrap().uptime, first.uptime + FRESH);

        let first = figures.users().await.unwrap();
        time::advance(USERS_FRESH - Duration::from_millis(1)).await;
        assert!(Arc::ptr_eq(&figures.users().await.unwrap(), &first));
        time::advance(Duration::from_millis(1)).await;
        assert!(!Arc::ptr_eq(&figures.users().await.unwrap(), &first));
    }

    /// The node may take any time to answer: it may be saving its roster.
    #[test]
    fn only_many_users_are_asked_for_less_often() {
        for (users, expected) in [(0, 900), (4, 900), (45_000, 900), (50_000, 1000), (1_000_000, 20_000)] {
            assert_eq!(fresh_for(users), Duration::from_millis(expected), "{users}");
        }
    }
}
