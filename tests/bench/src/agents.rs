//! Agents of one program, registered and with nothing to do.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Context;
use mi_agent_core::Agent;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::{self, Handle};

use crate::Options;
use crate::domain::{self, DOMAIN, NO_LIMIT, NodeOfMany};
use crate::report::{Report, Target};

pub(crate) fn measure(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    let node = NodeOfMany::start(AGENTS + 1, &NO_LIMIT)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (bare, agents) = runtime.block_on(async {
        // They stay open, so that the agents do not get the memory that they leave.
        let (bare, _sockets) = cost_of_sockets().await?;
        anyhow::Ok((bare, cost_of_agents(node.address()).await?))
    })?;
    let kibibytes = |cost: &Cost| cost.bytes as f64 / AGENTS as f64 / 1024.0;
    let each = |count: usize| count as f64 / AGENTS as f64;
    report.beside(
        "memory for an agent : for its two sockets alone",
        kibibytes(&agents),
        kibibytes(&bare),
        "KiB",
        Target::AtMost(28.0),
    );
    report.beside("  sockets", each(agents.sockets), each(bare.sockets), "", Target::AtMost(2.0));
    report.figure("  tasks", each(agents.tasks), "", Target::AtMost(2.0));
    Ok(())
}

/// The difference that [`AGENTS`] of something make.
pub(crate) struct Cost {
    pub(crate) bytes: usize,
    sockets: usize,
    tasks: usize,
}

/// The memory, sockets and tasks of this process.
pub(crate) struct Used {
    bytes: usize,
    sockets: usize,
    tasks: usize,
}

impl Used {
    pub(crate) fn now() -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"));
        let kibibytes: usize = resident.context("proc(5) says how much memory is used")?.trim().parse()?;
        let is_socket = |file: &fs::DirEntry| {
            fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        };
        Ok(Self {
            bytes: kibibytes * 1024,
            sockets: fs::read_dir("/proc/self/fd")?.flatten().filter(is_socket).count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
        })
    }

    pub(crate) fn since(&self, before: &Self) -> Cost {
        Cost {
            bytes: self.bytes.saturating_sub(before.bytes),
            sockets: self.sockets.saturating_sub(before.sockets),
            tasks: self.tasks.saturating_sub(before.tasks),
        }
    }
}

/// Agents are registered one after the other, so that no part of this is a crowd at the start.
async fn cost_of_agents(node: SocketAddrV4) -> anyhow::Result<Cost> {
    let start = async |number: usize| -> anyhow::Result<_> {
        let address = format!("{}@{DOMAIN}", domain::user(number)).parse()?;
        Ok(Agent::builder(address)
            .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
            .node(node)
            .start()
            .await?)
    };
    // The first agent also takes what the program needs only once.
    let first = start(0).await?;
    let before = Used::now()?;
    let mut agents = Vec::with_capacity(AGENTS);
    for number in 1..=AGENTS {
        agents.push(start(number).await?);
    }
    let cost = Used::now()?.since(&before);
    for (agent, _events) in agents.into_iter().chain([first]) {
        agent.shutdown().await?;
    }
    Ok(cost)
}

/// The limit: the sockets of an agent, and nothing that uses them.
async fn cost_of_sockets() -> anyhow::Result<(Cost, Vec<(UdpSocket, TcpListener)>)> {
    let before = Used::now()?;
    let mut sockets = Vec::with_capacity(AGENTS);
    for _ in 0..AGENTS {
        let localhost = (Ipv4Addr::LOCALHOST, 0);
        sockets.push((UdpSocket::bind(localhost).await?, TcpListener::bind(localhost).await?));
    }
    Ok((Used::now()?.since(&before), sockets))
}

/// Their sockets and as many bare ones are fewer than the 1,024 files that a process may usually have open.
const AGENTS: usize = 200;
