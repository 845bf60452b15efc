//! The man in the middle, for the lab (docs/lab.md §4): `man-in-the-middle IP CALLER CALLEE [plain]`.
//!
//! It runs on a host of its own, at `IP`. The node of the caller's domain has been diverted there when it
//! looks for the node of the callee's domain, as a forged answer of DNS does. For the caller, this program is
//! the callee and the callee's node. For the callee, it is the caller and the caller's node. It has a key of
//! its own, and shows what it reads.
//!
//! ```text
//!   caller ──► node of the caller ──► (node · callee) ═══ (caller · node) ──► node of the callee ──► callee
//!                                      └──────── this program ────────┘
//! ```
//!
//! The word `plain` makes it remove the offer of encryption from the answer that the caller gets.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use lumi_dns::NodeDirectory;
use lumi_node_core::{Node, NodeSettings, Roster, Server};
use mi_agent_core::{
    Agent, AgentBuilder, Event, Events, Identity, Incoming, KeyWords, LineReceiver, LineSender, Peer,
    PeerSecurity, Security,
};
use plumi_proto::{MiAddress, NODE_PORT};
use tokio::net::UdpSocket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (ip, caller, callee, security) = match &arguments[..] {
        [ip, caller, callee] => (ip, caller, callee, Security::Offer),
        [ip, caller, callee, plain] if plain == "plain" => (ip, caller, callee, Security::Off),
        _ => anyhow::bail!("usage: man-in-the-middle IP CALLER CALLEE [plain]"),
    };
    let ip: Ipv4Addr = ip.parse().context("IP is not an IPv4 address")?;
    let (caller, callee): (MiAddress, MiAddress) = (caller.parse()?, callee.parse()?);
    let identity = Identity::generate()?;

    let (as_caller, _events) = pass_for(caller, ip, 0, &identity).await?.start().await?;
    let as_callee = pass_for(callee, ip, NODE_PORT, &identity).await?.security(security);
    let (as_callee, events) = as_callee.start().await?;
    println!("the words of its key, for {callee}: {}", KeyWords::of(&callee, &identity.public_key()));
    println!("between {caller} and {callee}; end it with Ctrl-C");
    tokio::select! {
        () = answer(events, &as_caller, callee) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    as_callee.shutdown().await?;
    Ok(as_caller.shutdown().await?)
}

/// Starts a node for the domain of `user` at this address, and sets up an agent that registers as that user
/// there.
async fn pass_for(
    user: MiAddress,
    ip: Ipv4Addr,
    port: u16,
    identity: &Identity,
) -> anyhow::Result<AgentBuilder> {
    let socket =
        UdpSocket::bind((ip, port)).await.with_context(|| format!("no node can be at {ip}:{port}"))?;
    let SocketAddr::V4(local) = socket.local_addr()? else { anyhow::bail!("{ip} is not an IPv4 address") };
    let mut roster = Roster::new(user.domain());
    roster.insert(user.user()).context("it cannot be in a roster")?;
    let node = Node::new(roster, local.into(), NodeSettings::default());
    // It finds the real node of the other domain as every node does.
    let server = Server::new(socket, node, NodeDirectory::builder().build()?);
    tokio::spawn(server.run(std::future::pending()));
    Ok(Agent::builder(user).node(local).identity(identity.clone()))
}

/// Calls the callee whenever the caller calls, until the agent has ended.
async fn answer(mut events: Events, as_caller: &Agent, callee: MiAddress) {
    while let Some(event) = events.next().await {
        if let Event::Incoming(caller) = event
            && let Err(reason) = relay(caller, as_caller, callee).await
        {
            println!("! {reason:#}");
        }
    }
}

/// Passes on what is said between a caller and the callee, until one of them ends it.
async fn relay(caller: Incoming, as_caller: &Agent, callee: MiAddress) -> anyhow::Result<()> {
    let (caller, to_caller, from_caller) = caller.accept()?.split();
    println!("{} calls, {}", caller.nickname, protection(&caller));
    let called = as_caller.call(callee).await.with_context(|| format!("{callee} cannot be reached"))?;
    let (callee, to_callee, from_callee) = called.split();
    println!("{} answers, {}", callee.nickname, protection(&callee));
    // Dropping the other side's sender ends that conversation, too.
    tokio::select! {
        ended = pass_on(&caller, from_caller, to_callee) => ended?,
        ended = pass_on(&callee, from_callee, to_caller) => ended?,
    }
    println!("the conversation has ended");
    Ok(())
}

/// Passes on what `peer` says, which could as well be something else.
async fn pass_on(peer: &Peer, mut from: LineReceiver, to: LineSender) -> anyhow::Result<()> {
    while let Some(line) = from.next_line().await? {
        println!("<{}> {line}", peer.nickname);
        to.send(line.raw()).await?;
    }
    Ok(())
}

fn protection(peer: &Peer) -> &'static str {
    if matches!(peer.security, PeerSecurity::Tls { .. }) { "encrypted" } else { "plain" }
}
