//! A node with the accounts of this host as users, which register only from this host:
//! `cargo run --example host-node -- localhost`.
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;
use std::{fs, io};

use lumi_node_core::{
    Administrator, Domain, Node, NodeSettings, Party, Policy, RegisterVerdict, Roster, RosterChange,
    RosterStore, Server, UdpAddress, UserName,
};
use tokio::net::UdpSocket;

/// The accounts in a passwd(5) file.
pub struct Accounts {
    pub domain: Domain,
    pub path: PathBuf,
}

impl RosterStore for Accounts {
    type Read = ();
    type Error = io::Error;

    fn read(&self) -> io::Result<(Roster, ())> {
        let mut roster = Roster::new(self.domain);
        for account in fs::read_to_string(&self.path)?.lines() {
            let fields: Vec<_> = account.split(':').collect();
            // Lower numbers are the system's, and nobody is 65534.
            if let [name, _, number, ..] = fields[..]
                && number.parse().is_ok_and(|number: u32| (1_000..65_534).contains(&number))
                && let Ok(user) = name.parse()
            {
                _ = roster.insert(user); // It may be too long for a message.
            }
        }
        Ok((roster, ()))
    }

    fn take(&mut self, (): ()) {}

    fn apply(&mut self, _: &RosterChange) -> io::Result<()> {
        Err(io::Error::other("users are accounts of this host: use adduser or deluser, and reload"))
    }
}

/// Registers a user from this host alone.
pub struct FromHere;

impl Policy for FromHere {
    fn register(&mut self, _: Instant, _: &UserName, from: Party, _: Option<UdpAddress>) -> RegisterVerdict {
        if from.address.ip().is_loopback() { RegisterVerdict::Allow } else { RegisterVerdict::Refuse }
    }
}

pub async fn node(at: &str, accounts: Accounts) -> Result<(Server, Administrator), Box<dyn Error>> {
    let socket = UdpSocket::bind(at).await?;
    let SocketAddr::V4(local) = socket.local_addr()? else {
        return Err("a node is at an IPv4 address".into());
    };
    let node = Node::new(accounts.read()?.0, local.into(), NodeSettings::default());
    println!("{local}: the node of {}", accounts.domain);
    Ok(Server::builder(socket, node).store(accounts).policy(FromHere).build()?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let domain = std::env::args().nth(1).ok_or("usage: host-node DOMAIN")?.parse()?;
    let (mut server, _administrator) =
        node("0.0.0.0:3344", Accounts { domain, path: "/etc/passwd".into() }).await?;
    let mut events = server.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            println!("{event:?}");
        }
    });
    Ok(server.run(async { _ = tokio::signal::ctrl_c().await }).await?)
}
