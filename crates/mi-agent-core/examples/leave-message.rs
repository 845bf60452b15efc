//! Leaves a message for a user who may be offline, and says what has become of it:
//! `cargo run --features outbox --example leave-message -- laura@localhost joya@localhost hola`.
//!
//! It runs beside a node that has both users. Joya gets the message once she is there.
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::io;

use mi_agent_core::{
    Agent, DEFAULT_KEEP, ItemState, Outbox, OutboxEvent, OutboxItem, OutboxOptions, OutboxStore, Stored,
};

/// A store that ends with the program. A bot that may be started again writes to a file or a database here.
struct Nowhere;

impl OutboxStore for Nowhere {
    fn load(&mut self) -> io::Result<Stored> {
        Ok(Stored::default())
    }

    fn save(&mut self, _item: &OutboxItem) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [from, to, text] = &arguments[..] else { return Err("usage: leave-message FROM TO TEXT".into()) };
    let (agent, mut seen) = Agent::builder(from.parse()?).start().await?;
    let (outbox, mut events) = Outbox::open(&agent, Nowhere, OutboxOptions::default()).await?;
    let message = outbox.leave(to.parse()?, text, DEFAULT_KEEP).await?;
    println!("{} is kept for {to}", message.id);
    // The user may be there already. Otherwise the outbox tries again by its timer, and at signs of life.
    outbox.retry();
    loop {
        tokio::select! {
            // An event of the agent may show that somebody is there.
            Some(event) = seen.next() => outbox.note(&event),
            Some(event) = events.next() => match event {
                OutboxEvent::Changed(item) if item.state != ItemState::Queued => {
                    println!("{} is {}", item.id, item.state);
                    return Ok(agent.shutdown().await?);
                }
                _ => {}
            },
        }
    }
}
