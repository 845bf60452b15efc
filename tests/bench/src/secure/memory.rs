//! The memory that conversations hold in which nothing is said.

use std::cell::RefCell;
use std::net::SocketAddrV4;
use std::rc::Rc;

use anyhow::ensure;
use mi_agent_core::{Agent, Conversation, Event, Events};
use tokio::task::{self, LocalSet};

use super::{CALLS, Protection, address, is_encrypted, start};
use crate::agents::Used;
use crate::domain::{NO_LIMIT, NodeOfMany};
use crate::report::{Report, Target};

pub(super) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let node = NodeOfMany::start(3 * AGENTS, &NO_LIMIT)?;
    let at = node.address();
    let each = LocalSet::new().block_on(&super::runtime()?, async {
        let mut groups = Vec::new();
        // The first group takes the memory that others have left, and what the program needs only once.
        for (protection, number) in
            [Protection::Keys, Protection::None, Protection::Keys].into_iter().zip(0..)
        {
            groups.push(Group::begin(at, number * AGENTS, protection).await?);
        }
        let each: Vec<_> = groups.iter().map(|group| group.bytes as f64 / SIDES as f64 / 1024.0).collect();
        for group in groups {
            group.end().await?;
        }
        anyhow::Ok(each)
    })?;
    let [_, plain, encrypted] = each[..] else { unreachable!("there are three groups") };
    let figure = "memory for a side of an idle encrypted conversation : plain";
    report.beside(figure, encrypted, plain, "KiB", Target::AtMost(48.0));
    Ok(())
}

/// Agents in conversations with each other, and what these have added to the memory of this process.
struct Group {
    agents: Vec<Agent>,
    talks: Rc<RefCell<Vec<Conversation>>>,
    bytes: usize,
}

impl Group {
    /// One agent, that of the `first` user, calls each of several as often as they let it at once.
    async fn begin(node: SocketAddrV4, first: usize, protection: Protection) -> anyhow::Result<Self> {
        let talks = Rc::new(RefCell::new(Vec::with_capacity(SIDES)));
        let mut agents = Vec::new();
        for number in first..first + AGENTS {
            let (agent, events) = start(node, number, protection).await?;
            agents.push(agent);
            task::spawn_local(accept_all(events, Rc::clone(&talks)));
        }
        let before = Used::now()?;
        for number in first + 1..first + AGENTS {
            for _ in 0..CALLS {
                let talk = agents[0].call(address(number)?).await?;
                ensure!(is_encrypted(&talk) == (protection == Protection::Keys), "protected otherwise");
                talks.borrow_mut().push(talk);
            }
        }
        while talks.borrow().len() < SIDES {
            task::yield_now().await;
        }
        let bytes = Used::now()?.since(&before).bytes;
        Ok(Self { agents, talks, bytes })
    }

    async fn end(self) -> anyhow::Result<()> {
        self.talks.borrow_mut().clear();
        for agent in self.agents {
            agent.shutdown().await?;
        }
        Ok(())
    }
}

async fn accept_all(mut events: Events, talks: Rc<RefCell<Vec<Conversation>>>) {
    while let Some(event) = events.next().await {
        if let Event::Incoming(incoming) = event
            && let Ok(talk) = incoming.accept()
        {
            talks.borrow_mut().push(talk);
        }
    }
}

/// The agents of each group: one that calls, and those that are called.
const AGENTS: usize = 4;

/// Both sides of all conversations of a group, which are in this process. Three groups have fewer than the
/// 1,024 files that a process may usually have open.
const SIDES: usize = 2 * (AGENTS - 1) * CALLS;
