//! A program of the shape that a GUI has: `cargo run --example event-loop -- laura@localhost`.
//!
//! Its main thread has no runtime, and waits for its own events alone. The agent is on a runtime of another
//! thread, from which values come over a std channel. Lines of stdin stand for what a person types in a
//! window: they go to the caller. Run it beside a node that has the user, call it as another user, and end it
//! with Ctrl-D.
#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::sync::mpsc::{self, Sender};
use std::{io, thread};

use mi_agent_core::{Agent, ConversationError, Event, Events, LineReceiver, LineSender, Peer, PeerText};
use tokio::runtime::Builder;

/// An event of the main thread.
enum Happened {
    Typed(String),
    Closed,
    Begun(Box<Peer>, LineSender),
    Heard(PeerText),
    Lost(ConversationError),
    Ended,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: event-loop ADDRESS")?.parse()?;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let builder = Agent::builder(address).runtime(runtime.handle().clone());
    // There is no window yet. Any executor will do, because the agent needs its own runtime alone.
    let (agent, events) = pollster::block_on(builder.start())?;
    println!("{} listens on {}; end it with Ctrl-D", agent.address(), agent.listening());
    let (sender, happened) = mpsc::channel();
    runtime.spawn(hear(events, sender.clone()));
    thread::spawn(move || read_keys(&sender));

    let mut caller: Option<LineSender> = None;
    for event in happened {
        match event {
            Happened::Begun(peer, sender) => {
                println!("{} calls", peer.nickname);
                caller = Some(sender);
            }
            Happened::Heard(line) => println!("<caller> {line}"),
            Happened::Lost(error) => println!("{error}"),
            Happened::Ended => {
                println!("the conversation has ended");
                caller = None;
            }
            Happened::Typed(line) => match caller.as_ref().map(|caller| caller.try_send(&line)) {
                Some(Ok(())) => {}
                Some(Err(error)) => println!("{error}"),
                None => println!("there is no caller"),
            },
            Happened::Closed => break,
        }
    }
    drop(caller);
    Ok(pollster::block_on(agent.shutdown())?)
}

/// Runs on the agent's runtime. An error of the channel: the main thread ends.
async fn hear(mut events: Events, happened: Sender<Happened>) {
    while let Some(event) = events.next().await {
        if let Event::Incoming(caller) = event
            && let Ok(talk) = caller.accept()
        {
            let (peer, sender, lines) = talk.split();
            _ = happened.send(Happened::Begun(Box::new(peer), sender));
            hear_caller(lines, &happened).await;
        }
    }
}

async fn hear_caller(mut lines: LineReceiver, happened: &Sender<Happened>) {
    loop {
        _ = happened.send(match lines.next_line().await {
            Ok(Some(line)) => Happened::Heard(line),
            // The end follows.
            Err(error) => Happened::Lost(error),
            Ok(None) => break,
        });
    }
    _ = happened.send(Happened::Ended);
}

fn read_keys(happened: &Sender<Happened>) {
    for line in io::stdin().lines().map_while(Result::ok) {
        _ = happened.send(Happened::Typed(line));
    }
    _ = happened.send(Happened::Closed);
}
