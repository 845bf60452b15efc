//! A server that saves the bindings of its users, is killed, and is started again, over loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use lumi_bindings::{BindingsFile, OpenOptions, SyncMode, inspect};
use lumi_node_core::{
    BindingChange, BindingStore, BindingsDatabase, Node, NodeSettings, Roster, SaveId, Saved, Server,
    ServerBuilder, ServerHandle, StoredBinding, UdpAddress,
};
use plumi_proto::UserName;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A table in memory, which outlives a server.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<BTreeMap<UserName, StoredBinding>>>);

impl Table {
    fn rows(&self) -> Vec<StoredBinding> {
        self.0.lock().expect("nobody panics").values().copied().collect()
    }
}

/// The store of one server.
#[derive(Default)]
struct Store {
    table: Table,
    committed: Option<SaveId>,
    is_closed: bool,
    waker: Option<Waker>,
}

impl BindingStore for Store {
    fn save(&mut self, changes: Vec<(SaveId, BindingChange)>) {
        let mut rows = self.table.0.lock().expect("nobody panics");
        for (id, change) in changes {
            match change.stored() {
                Some(stored) => _ = rows.insert(*change.user(), stored),
                None => _ = rows.remove(change.user()),
            }
            self.committed = Some(id);
        }
        self.waker.take().into_iter().for_each(Waker::wake);
    }

    fn poll_saved(&mut self, context: &mut Context<'_>) -> Poll<Option<Saved>> {
        match self.committed.take() {
            Some(last) => Poll::Ready(Some(Saved { last, result: Ok(()), anew: false })),
            None if self.is_closed => Poll::Ready(None),
            None => {
                self.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn close(&mut self) {
        self.is_closed = true;
    }
}

struct Running {
    at: UdpAddress,
    handle: ServerHandle,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(table: &Table, at: &str, roster: &str) -> Self {
        let store = Store { table: table.clone(), ..Store::default() };
        Self::start_on(at, roster, |builder| builder.bindings(store, table.rows())).await
    }

    async fn start_on(
        at: &str,
        roster: &str,
        save: impl FnOnce(ServerBuilder<ServerHandle>) -> ServerBuilder<ServerHandle>,
    ) -> Self {
        let socket = UdpSocket::bind(at).await.expect("the port is free");
        let SocketAddr::V4(at) = socket.local_addr().expect("it works") else { panic!("IPv4 was bound") };
        let roster = Roster::parse(roster.as_bytes()).expect("a roster");
        let node = Node::new(roster, at.into(), NodeSettings::default());
        let (server, handle) = save(Server::builder(socket, node)).build().expect("a directory");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            server.run(async { _ = stopped.await }).await.expect("an IPv4 socket");
        });
        Self { at, handle, stop, task }
    }

    /// Ends it at once, as SIGKILL does.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.expect_err("it is killed").is_cancelled());
    }

    async fn end(self) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("no panic");
    }
}

async fn agent() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("there is a free port")
}

async fn send(agent: &UdpSocket, text: &str, to: UdpAddress) {
    agent.send_to(text.as_bytes(), to).await.expect("it works");
}

async fn hears(agent: &UdpSocket) -> String {
    let mut message = [0; 100];
    let (length, _) =
        timeout(DEADLINE, agent.recv_from(&mut message)).await.expect("a message").expect("it works");
    String::from_utf8_lossy(&message[..length]).into_owned()
}

#[tokio::test]
async fn users_are_found_after_their_node_was_killed() {
    let table = Table::default();
    let [laura, pere, asker] = [agent().await, agent().await, agent().await];
    let server = Running::start(&table, "127.0.0.1:0", "bb.com\nlaura\npere\njoan\n").await;
    let at = server.at;
    for (agent, request, answer) in [
        (&laura, "PRlaura@bb.com", "RR0"),
        (&pere, "PRpere@bb.com", "RR0"),
        (&asker, "PRjoan@bb.com", "RR0"),
        (&pere, "PDpere@bb.com", "RD0"),
    ] {
        send(agent, request, at).await;
        assert_eq!(hears(agent).await, answer, "{request}");
    }
    server.kill().await;

    // Joan has left the roster meanwhile.
    let server = Running::start(&table, &at.to_string(), "bb.com\nlaura\npere\n").await;
    let users = server.handle.list().await.expect("it serves");
    let restored: Vec<_> =
        users.iter().filter(|user| user.is_restored).map(|user| user.user.to_string()).collect();
    assert_eq!(restored, ["laura"]);
    assert_eq!(server.handle.status().await.expect("it serves").node.bindings.expect("a store").restored, 1);
    for (user, answer) in [("laura", None), ("pere", Some("RL3joya@cc.com:pere@bb.com"))] {
        let question = format!("PLjoya@cc.com:{user}@bb.com");
        send(&asker, &question, at).await;
        match answer {
            Some(answer) => assert_eq!(hears(&asker).await, answer),
            None => assert_eq!(hears(&laura).await, question),
        }
    }
    server.end().await;
    assert!(table.rows().iter().all(|row| row.user.as_str() != "joan"), "{:?}", table.rows());
}

/// An answer that an agent has means that the database has the change.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a database has heartbeats by the clock on the wall")]
async fn users_are_found_after_a_restart_by_a_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bb.bindings");
    let domain = "bb.com".parse().expect("a domain");
    let open = || {
        let (sync, restore_within) = (SyncMode::Normal, Duration::from_secs(900));
        let options = OpenOptions { sync, restore_within, now: SystemTime::now() };
        BindingsFile::open(&path, &domain, options).expect("it is ours")
    };
    let [laura, asker] = [agent().await, agent().await];
    let save = |builder: ServerBuilder<ServerHandle>| {
        let (file, found) = open();
        builder.bindings(BindingsDatabase::start(file).expect("a thread"), found.rows)
    };
    let server = Running::start_on("127.0.0.1:0", "bb.com\nlaura\n", save).await;
    let at = server.at;
    send(&laura, "PRlaura@bb.com", at).await;
    assert_eq!(hears(&laura).await, "RR0");
    let inspected = inspect(&path, &domain).expect("it can be read").expect("there is one");
    assert_eq!(inspected.bindings, 1);
    server.end().await;

    let server = Running::start_on(&at.to_string(), "bb.com\nlaura\n", save).await;
    let question = "PLjoya@cc.com:laura@bb.com";
    send(&asker, question, at).await;
    assert_eq!(hears(&laura).await, question);
    send(&laura, "PDlaura@bb.com", at).await;
    assert_eq!(hears(&laura).await, "RD0");
    let inspected = inspect(&path, &domain).expect("it can be read").expect("there is one");
    assert_eq!((inspected.bindings, inspected.logouts), (0, 1));
    server.end().await;
}

/// A deadline that even a busy machine meets many times over.
const DEADLINE: Duration = Duration::from_secs(60);
