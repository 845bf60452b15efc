//! A user that answers every line with the same line: `cargo run --example echo-bot -- laura@localhost`.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::process::ExitCode;

use mi_agent_core::{Agent, Conversation, Event, SendError};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo-bot: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: echo-bot ADDRESS")?;
    let (agent, mut events) = Agent::builder(address.parse()?).nickname("echo").start().await?;
    println!("{} listens on {}; end it with Ctrl-C", agent.address(), agent.listening());
    loop {
        tokio::select! {
            // An error: this caller has waited too long. Others may call.
            Some(event) = events.next() => if let Event::Incoming(caller) = event
                && let Ok(talk) = caller.accept()
            {
                tokio::spawn(echo(talk));
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    Ok(agent.shutdown().await?)
}

async fn echo(mut talk: Conversation) {
    println!("{} calls", talk.peer().nickname);
    while let Ok(Some(line)) = talk.next_line().await {
        // A peer can send what no line may have, a line feed for example. That is not answered.
        if let Err(SendError::Ended) = talk.send(line.raw()).await {
            break;
        }
    }
    println!("{} is gone", talk.peer().nickname);
}
