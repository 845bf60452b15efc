//! Says a line to a user, and calls again while the user is busy or offline, later each time:
//! `cargo run --example retry-call -- laura@localhost joya@localhost hola`.
//!
//! It runs beside a node that has both users. Start it before joya is there: it waits 1 s, 2 s, 4 s, … 30 s,
//! eight times at most, each time a little less or more, so that many such programs do not call at once.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use mi_agent_core::{Agent, CallError, MiAddress};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("retry-call: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [from, to, text] = &arguments[..] else { return Err("usage: retry-call FROM TO TEXT".into()) };
    let (agent, _) = Agent::builder(from.parse()?).start().await?;
    let said = say(&agent, to.parse()?, text).await;
    let left = agent.shutdown().await;
    // The first failure may be the cause of the second one.
    said.and(left.map_err(Into::into))
}

async fn say(agent: &Agent, to: MiAddress, text: &str) -> Result<(), Box<dyn Error>> {
    let waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(30))
        .with_max_times(8)
        .with_jitter();
    let call = || agent.call(to);
    let talk = call
        .retry(waits)
        // A user that does not exist will not exist later either.
        .when(CallError::is_transient)
        .notify(|error, wait| println!("{to}: {error}; calling again in {:.1} s", wait.as_secs_f32()))
        .await?;
    println!("{} answers", talk.peer().nickname);
    talk.send(text).await?;
    let mut answers = talk.hang_up();
    while let Some(line) = answers.next_line().await? {
        println!("<{to}> {line}");
    }
    Ok(())
}
