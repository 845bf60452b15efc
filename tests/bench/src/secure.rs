//! The cost of encryption: its memory, its handshake, and lines inside of it.

pub(crate) mod bare;
mod calls;
mod memory;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use mi_agent_core::{Agent, Conversation, Events, Identity, MiAddress, PeerSecurity};
use tokio::runtime::{self, Runtime};

use crate::Options;
use crate::domain::{self, DOMAIN};
use crate::lines;
use crate::report::Report;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    memory::measure(report)?;
    calls::measure(options, report)?;
    lines::measure_encrypted(options, report)
}

/// Agents with or without identities, so that their calls are encrypted or not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protection {
    None,
    Keys,
}

/// Starts the agent of a user, which may have as many conversations as it takes calls at once, and more.
async fn start(node: SocketAddrV4, number: usize, protection: Protection) -> anyhow::Result<(Agent, Events)> {
    let mut agent = Agent::builder(address(number)?)
        .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
        .node(node)
        .pace(Duration::ZERO)
        .conversations(10 * CALLS);
    if protection == Protection::Keys {
        agent = agent.identity(Identity::generate()?);
    }
    Ok(agent.start().await?)
}

fn address(number: usize) -> anyhow::Result<MiAddress> {
    Ok(format!("{}@{DOMAIN}", domain::user(number)).parse()?)
}

pub(crate) fn is_encrypted(talk: &Conversation) -> bool {
    matches!(talk.peer().security, PeerSecurity::Tls { .. })
}

fn runtime() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// The calls that an agent takes at once of one address; then it takes ten a second.
const CALLS: usize = 40;
