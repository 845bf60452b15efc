//! From the command line to a running session.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU8;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use lumi_dns::NodeDirectory;
use mi_agent_core::{Agent, AgentBuilder};
use plumi_proto::MiAddress;
use tokio::io::AsyncWrite;
use tokio::time;

use crate::cli::Cli;
use crate::input::Input;
use crate::screen::Screen;
use crate::session::Session;
use crate::signals::Signals;
use crate::{exit, logging};

/// Registers the user and runs the session.
pub(crate) fn run(cli: &Cli, address: MiAddress, hints: bool) -> anyhow::Result<ExitCode> {
    logging::start(cli, &address)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let screen = Screen::new(tokio::io::stdout());
        session(builder(cli, address)?, address, screen, hints, &mut signals)
            .await
            .context("cannot write to stdout")
    });
    // Not to wait for a line that nobody takes.
    runtime.shutdown_background();
    code
}

async fn session<W: AsyncWrite + Unpin>(
    builder: AgentBuilder,
    address: MiAddress,
    mut screen: Screen<W>,
    hints: bool,
    signals: &mut Signals,
) -> io::Result<ExitCode> {
    if hints {
        let news = format!("registering {address}");
        tokio::select! {
            told = async { screen.news(format_args!("{news}")).await } => told?,
            () = signals.next() => return Ok(ExitCode::from(exit::FAILURE)),
        }
    }
    let mut start = pin!(builder.start());
    let started = tokio::select! {
        started = &mut start => started,
        () = signals.next() => {
            screen.hurry();
            // The node may have heard: whoever is online there has to be deregistered.
            if let Ok(Ok((agent, _))) = time::timeout(LATE_ANSWER, start).await {
                _ = agent.shutdown_within(NonZeroU8::MIN).await;
            }
            screen.failure(format_args!("cannot register {address}: interrupted")).await?;
            return Ok(ExitCode::from(exit::FAILURE));
        }
    };
    match started {
        Ok((agent, events)) => Session::new(agent, events, Input::start(), screen).run(signals, hints).await,
        Err(error) => {
            let failure = format!("cannot register {address}: {error}");
            tokio::select! {
                told = async { screen.failure(format_args!("{failure}")).await } => told?,
                () = signals.next() => {}
            }
            Ok(exit::of_start(&error))
        }
    }
}

fn builder(cli: &Cli, address: MiAddress) -> anyhow::Result<AgentBuilder> {
    let mut builder = Agent::builder(address)
        .listen(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, cli.port.unwrap_or(0)))
        .bare_user(cli.bare_user);
    if let Some(nick) = &cli.nick {
        builder = builder.nickname(nick.as_str());
    }
    match cli.node {
        Some(node) => builder = builder.node(node),
        None => {
            let servers = cli.name_servers.iter();
            let directory = servers.fold(NodeDirectory::builder(), |all, &server| all.name_server(server));
            builder = builder.directory(directory.build().context("cannot ask for domains")?);
        }
    }
    if let Some(ip) = cli.advertise {
        builder = builder.advertise(ip);
    }
    Ok(builder)
}

/// How long the answer to a registration is waited for by a program that was told to end: two tries.
const LATE_ANSWER: Duration = Duration::from_secs(2);
