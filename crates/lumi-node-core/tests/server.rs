//! A server for an embedding program: its store, its events, its traffic and its handles, over loopback.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use lumi_node_core::{
    AdminError, Node, NodeEvent, NodeSettings, ReloadRefusal, Roster, RosterChange, RosterStore, Server,
    ServerBuilder, ServerHandle, UdpAddress, node_events, traffic,
};
use plumi_proto::UserName;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

#[tokio::test]
async fn users_come_from_a_store_and_changes_go_there() {
    let table = Table::of("bb.com", &["laura"]);
    let running = Running::start("bb.com", &["laura"], |builder| builder.store(table.clone())).await;
    running.handle.add_user(name("joan")).await.expect("it is saved");
    running.handle.remove_user(name("laura")).await.expect("it is saved");
    assert_eq!(table.users(), ["joan"]);
    assert_eq!(running.ask("PRjoan@bb.com").await, "RR0");
    assert_eq!(running.ask("PRlaura@bb.com").await, "RR1");

    table.rows.lock().expect("nobody panics").is_full = true;
    let error = running.handle.add_user(name("pere")).await.expect_err("it is full");
    assert_eq!(error.to_string(), "nothing has changed");
    let AdminError::NotSaved(source) = error else { panic!("{error:?}") };
    assert!(source.is::<io::Error>(), "{source:?}");
    let AdminError::NotRead(source) = running.handle.reload(None).await.expect_err("it fails") else {
        panic!()
    };
    assert_eq!(source.to_string(), "the table is full");
    assert_eq!(running.ask("PRpere@bb.com").await, "RR1");
    assert_eq!(running.ask("PRjoan@bb.com").await, "RR0", "nobody else notices");
    running.stop().await;
}

/// The store's state of a roster that was read counts only once the node has taken it over.
#[tokio::test]
async fn a_store_is_told_which_roster_was_taken_over() {
    let table = Table::of("cc.com", &["pere"]);
    let running = Running::start("bb.com", &["laura"], |builder| builder.store(table.clone())).await;
    let refused = running.handle.reload(None).await;
    assert!(matches!(refused, Err(AdminError::NotTaken(ReloadRefusal::OtherDomain { .. }))), "{refused:?}");
    table.rows.lock().expect("nobody panics").domain = "bb.com".to_owned();
    for expected in [1, 2] {
        assert_eq!(running.handle.reload(None).await.expect("it is taken").users, 1);
        // The next call comes after the one before has ended.
        running.handle.add_user(name("joan")).await.expect("it is saved");
        assert_eq!(table.rows.lock().expect("nobody panics").taken, expected);
        running.handle.remove_user(name("joan")).await.expect("it is saved");
    }
    assert_eq!(running.ask("PRpere@bb.com").await, "RR0");
    running.stop().await;
}

#[tokio::test]
async fn a_server_without_a_store_has_a_handle() {
    let running = Running::start("bb.com", &["laura"], |builder| builder).await;
    running.handle.roster_changed(RosterChange::Add(name("joan"))).await.expect("it holds");
    assert_eq!(running.ask("PRjoan@bb.com").await, "RR0");
    running.handle.roster_changed(RosterChange::Remove(name("laura"))).await.expect("it holds");
    assert_eq!(running.ask("PRlaura@bb.com").await, "RR1");
    let users: Vec<_> =
        running.handle.list().await.expect("it works").iter().map(|status| status.user.to_string()).collect();
    assert_eq!(users, ["joan"]);
    let status = running.handle.status().await.expect("it serves");
    assert_eq!((status.node.users, status.node.online), (1, 1));
    let bindings = running.handle.bindings().await.expect("it serves");
    assert_eq!(bindings.iter().map(|binding| binding.user).collect::<Vec<_>>(), [name("joan")]);
    let handle = running.handle.clone();
    running.stop().await;
    assert!(matches!(handle.status().await, Err(AdminError::NodeGone)));
}

#[tokio::test]
async fn events_and_traffic_are_reported_until_the_end() {
    let (sender, mut events) = node_events();
    let (tap, mut passed) = traffic();
    let running = Running::start("bb.com", &["laura"], |builder| builder.events(sender).traffic(tap)).await;
    assert_eq!(running.ask("PRlaura@bb.com").await, "RR0");
    assert_eq!(running.ask("PLjoya@cc.com:pere@bb.com").await, "RL2joya@cc.com:pere@bb.com");
    running.agent.send(b"hello").await.expect("it works");
    assert_eq!(running.ask("PDlaura@bb.com").await, "RD0");
    running.stop().await;
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        seen.push(match event {
            NodeEvent::Registered { user, .. } => format!("{user} is online"),
            NodeEvent::Gone { user, reason, .. } => format!("{user} is gone: {reason:?}"),
            NodeEvent::Located { from, to, outcome } => format!("{from} asked for {to}: {outcome:?}"),
            event => panic!("{event:?}"),
        });
    }
    let located = "joya@cc.com asked for pere@bb.com: NoSuchUser";
    assert_eq!(seen, ["laura is online", located, "laura is gone: Deregistered"]);
    assert_eq!(events.missed(), 0);
    let mut texts = Vec::new();
    while let Some(passed) = passed.next().await {
        let text = passed.content.bytes().escape_ascii().to_string();
        texts.push(format!("{} {text}", passed.direction.letter()));
    }
    assert_eq!(
        texts,
        [
            "R PRlaura@bb.com",
            "E RR0",
            "R PLjoya@cc.com:pere@bb.com",
            "E RL2joya@cc.com:pere@bb.com",
            "R hello",
            "R PDlaura@bb.com",
            "E RD0"
        ]
    );
}

#[tokio::test]
async fn events_and_traffic_are_streams() {
    let (sender, events) = node_events();
    let (tap, passed) = traffic();
    let running = Running::start("bb.com", &["laura"], |builder| builder.events(sender).traffic(tap)).await;
    assert_eq!(running.ask("PRlaura@bb.com").await, "RR0");
    running.stop().await;
    assert_eq!(events.count().await, 1);
    assert_eq!(passed.count().await, 2);
}

/// A server goes on without its listener, and the events of later ones are their own.
#[tokio::test]
async fn a_listener_may_go() {
    let (sender, events) = node_events();
    drop(events);
    let running = Running::start("bb.com", &["laura"], |builder| builder.events(sender)).await;
    for _ in 0..3 {
        assert_eq!(running.ask("PRlaura@bb.com").await, "RR0");
        assert_eq!(running.ask("PDlaura@bb.com").await, "RD0");
    }
    running.stop().await;
}

/// A server, its handle, and an agent that talks to it.
struct Running<H> {
    handle: H,
    agent: UdpSocket,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl<H> Running<H> {
    async fn start(
        domain: &str,
        users: &[&str],
        set: impl FnOnce(ServerBuilder<ServerHandle>) -> ServerBuilder<H>,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("it works");
        let SocketAddr::V4(local) = socket.local_addr().expect("it works") else { panic!("IPv4 was bound") };
        let node = Node::new(roster(domain, users), local.into(), NodeSettings::default());
        let (server, handle) = set(Server::builder(socket, node)).build().expect("a directory");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            server.run(async { _ = stopped.await }).await.expect("an IPv4 socket");
        });
        let agent = UdpSocket::bind("127.0.0.1:0").await.expect("it works");
        agent.connect(UdpAddress::from(local)).await.expect("it works");
        Self { handle, agent, stop, task }
    }

    async fn ask(&self, question: &str) -> String {
        self.agent.send(question.as_bytes()).await.expect("it works");
        let mut answer = [0; 100];
        let received = timeout(DEADLINE, self.agent.recv(&mut answer)).await;
        let length = received.expect("an answer").expect("it works");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("no panic");
    }
}

/// The users in a table, as a database may have them.
#[derive(Clone)]
struct Table {
    rows: Arc<Mutex<Rows>>,
}

struct Rows {
    domain: String,
    users: Vec<String>,
    is_full: bool,
    /// The number of rosters that were taken over.
    taken: usize,
}

impl Table {
    fn of(domain: &str, users: &[&str]) -> Self {
        let users = users.iter().map(|user| (*user).to_owned()).collect();
        let rows = Rows { domain: domain.to_owned(), users, is_full: false, taken: 0 };
        Self { rows: Arc::new(Mutex::new(rows)) }
    }

    fn users(&self) -> Vec<String> {
        self.rows.lock().expect("nobody panics").users.clone()
    }
}

impl RosterStore for Table {
    type Read = usize;
    type Error = io::Error;

    fn read(&self) -> io::Result<(Roster, usize)> {
        let rows = self.rows.lock().expect("nobody panics");
        if rows.is_full {
            return Err(io::Error::other("the table is full"));
        }
        let users: Vec<_> = rows.users.iter().map(String::as_str).collect();
        Ok((roster(&rows.domain, &users), rows.taken + 1))
    }

    fn take(&mut self, read: usize) {
        self.rows.lock().expect("nobody panics").taken = read;
    }

    fn apply(&mut self, change: &RosterChange) -> io::Result<()> {
        let mut rows = self.rows.lock().expect("nobody panics");
        match change {
            _ if rows.is_full => return Err(io::Error::other("the table is full")),
            RosterChange::Add(user) => rows.users.push(user.to_string()),
            RosterChange::Remove(user) => rows.users.retain(|other| other != user.as_str()),
            change => return Err(io::Error::other(format!("{change:?} is not known"))),
        }
        Ok(())
    }
}

fn roster(domain: &str, users: &[&str]) -> Roster {
    let mut roster = Roster::new(domain.parse().expect("a domain"));
    users.iter().for_each(|user| roster.insert(name(user)).expect("it fits"));
    roster
}

fn name(user: &str) -> UserName {
    user.parse().expect("a name")
}

/// A deadline that even a busy machine meets many times over.
const DEADLINE: Duration = Duration::from_secs(60);
