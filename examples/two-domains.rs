//! Two domains, two users, one conversation, in one process: `cargo run --example two-domains`.
//!
//! Everything is real and on loopback: a DNS server that knows both domains, a node for each, an agent for
//! each user. Every PLUMI message is shown as the line that the message log of its sender or receiver has for
//! it. At the end all lines are compared with what the protocol says; it exits with 0 only if they agree.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use integration_tests::dns_server::DnsServer;
use lumi_dns::NodeDirectory;
use lumi_node_core::{Node, NodeSettings, Roster, Server};
use message_log::{Entry, MessageLayer};
use mi_agent_core::{Agent, Conversation, Event};
use plumi_proto::{MiAddress, NODE_PORT};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let log = Log::start();

    tell("A DNS server and the nodes of two domains start.");
    let dns = DnsServer::start().await?;
    let (bb, cc) = bind_nodes().await?;
    let port = bb.local_addr()?.port();
    dns.set("bb.com", BB);
    dns.set("cc.com", CC);
    let directory = NodeDirectory::builder().name_server(dns.address()).node_port(port).build()?;
    println!("    DNS at {}: bb.com is {BB}, cc.com is {CC}; nodes use UDP port {port}", dns.address());
    let (stop, stopped) = watch::channel(());
    let mut nodes = JoinSet::new();
    nodes.spawn(serve(bb, "bb.com\nlaura\n", directory.clone(), stopped.clone()));
    nodes.spawn(serve(cc, "cc.com\njoya\n", directory.clone(), stopped));

    tell("Laura and Joya register, each at the node of her domain.");
    let laura: MiAddress = "laura@bb.com".parse()?;
    let joya: MiAddress = "joya@cc.com".parse()?;
    let start = |address| Agent::builder(address).directory(directory.clone()).start();
    let (laura_agent, _laura_events) = start(laura).await?;
    let (joya_agent, mut joya_events) = start(joya).await?;

    tell("Laura calls Joya: both nodes are asked where she is, then the two agents talk directly.");
    let mut laura_talks = laura_agent.call(joya).await?;
    let Some(Event::Incoming(caller)) = joya_events.next().await else {
        anyhow::bail!("Joya was not called");
    };
    let mut joya_talks = caller.accept()?;
    ensure!(laura_talks.peer().nickname == "joya" && joya_talks.peer().nickname == "laura");
    ensure!(joya_talks.peer().address == Some(laura), "Joya's node asked for her in Laura's name");
    println!("    TCP {} to {}", joya_talks.peer().remote, laura_talks.peer().remote);
    say("laura", &laura_talks, &mut joya_talks, "hola!").await?;
    say("joya", &joya_talks, &mut laura_talks, "hola, què tal?").await?;
    say("laura", &laura_talks, &mut joya_talks, "bé, he de marxar, adéu").await?;

    tell("Laura ends the conversation, and both deregister.");
    let mut last_words = laura_talks.hang_up();
    ensure!(joya_talks.next_line().await?.is_none(), "Joya sees the end");
    drop(joya_talks);
    ensure!(last_words.next_line().await?.is_none(), "and so does Laura");
    laura_agent.shutdown().await?;
    joya_agent.shutdown().await?;

    drop(stop);
    while let Some(node) = nodes.join_next().await {
        node??;
    }
    log.compare(&laura_agent, &joya_agent)?;
    ensure!(dns.queries() > 0, "the DNS server was asked");
    tell("Every message was what the protocol says.");
    Ok(())
}

async fn serve(
    socket: UdpSocket,
    roster: &str,
    directory: NodeDirectory,
    mut stopped: watch::Receiver<()>,
) -> anyhow::Result<()> {
    let std::net::SocketAddr::V4(local) = socket.local_addr()? else { anyhow::bail!("not IPv4") };
    let node = Node::new(Roster::parse(roster.as_bytes())?, local.into(), NodeSettings::default());
    let until_stopped = async move { _ = stopped.changed().await };
    Ok(Server::new(socket, node, directory).run(until_stopped).await?)
}

async fn say(speaker: &str, from: &Conversation, to: &mut Conversation, text: &str) -> anyhow::Result<()> {
    from.send(text).await?;
    let heard = to.next_line().await?.context("the conversation ended early")?;
    println!("    <{speaker}> {heard}");
    ensure!(heard == text, "{text} was said, {heard} heard");
    Ok(())
}

/// Sockets for both nodes, at the port of the protocol or, if that is taken, at another one they have in
/// common.
async fn bind_nodes() -> anyhow::Result<(UdpSocket, UdpSocket)> {
    for port in [NODE_PORT, 0, 0, 0, 0] {
        let Ok(bb) = UdpSocket::bind(SocketAddrV4::new(BB, port)).await else { continue };
        let port = bb.local_addr()?.port();
        if let Ok(cc) = UdpSocket::bind(SocketAddrV4::new(CC, port)).await {
            return Ok((bb, cc));
        }
    }
    anyhow::bail!("no UDP port is free on both {BB} and {CC}")
}

/// The next step.
fn tell(text: &str) {
    println!("\n{text}");
}

/// The lines of all message logs, in the order in which they happened.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, String)>>>);

impl Log {
    fn start() -> Self {
        let log = Self::default();
        let lines = Arc::clone(&log.0);
        let layer = MessageLayer::new(move |entry: &Entry| {
            println!("    {:<14}{entry}", entry.party());
            let message = String::from_utf8_lossy(entry.message()).into_owned();
            let line = (entry.party().to_owned(), format!("{} {message}", entry.direction().letter()));
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        });
        tracing_subscriber::registry().with(layer).init();
        log
    }

    fn compare(&self, laura: &Agent, joya: &Agent) -> anyhow::Result<()> {
        let question = "PLlaura@bb.com:joya@cc.com";
        let answer = format!("RL0laura@bb.com:joya@cc.com:{}", joya.listening());
        let expected = [
            ("laura@bb.com", "E", "PRlaura@bb.com"),
            ("bb.com", "R", "PRlaura@bb.com"),
            ("bb.com", "E", "RR0"),
            ("laura@bb.com", "R", "RR0"),
            ("joya@cc.com", "E", "PRjoya@cc.com"),
            ("cc.com", "R", "PRjoya@cc.com"),
            ("cc.com", "E", "RR0"),
            ("joya@cc.com", "R", "RR0"),
            ("laura@bb.com", "E", question),
            ("bb.com", "R", question),
            ("bb.com", "E", question),
            ("cc.com", "R", question),
            ("cc.com", "E", question),
            ("joya@cc.com", "R", question),
            ("joya@cc.com", "E", &answer),
            ("cc.com", "R", &answer),
            ("cc.com", "E", &answer),
            ("bb.com", "R", &answer),
            ("bb.com", "E", &answer),
            ("laura@bb.com", "R", &answer),
            ("laura@bb.com", "E", "PDlaura@bb.com"),
            ("bb.com", "R", "PDlaura@bb.com"),
            ("bb.com", "E", "RD0"),
            ("laura@bb.com", "R", "RD0"),
            ("joya@cc.com", "E", "PDjoya@cc.com"),
            ("cc.com", "R", "PDjoya@cc.com"),
            ("cc.com", "E", "RD0"),
            ("joya@cc.com", "R", "RD0"),
        ]
        .map(|(party, letter, message)| (party.to_owned(), format!("{letter} {message}")));
        ensure!(laura.listening() != joya.listening());
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (n, (line, expected)) in lines.iter().zip(&expected).enumerate() {
            ensure!(line == expected, "message {n} is {line:?}, not {expected:?}");
        }
        ensure!(lines.len() == expected.len(), "{} messages, not {}", lines.len(), expected.len());
        Ok(())
    }
}

const BB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const CC: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
