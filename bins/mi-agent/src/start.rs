//! From the command line to a running session.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;

use anyhow::Context;
use lumi_dns::NodeDirectory;
use mi_agent_core::{Agent, AgentBuilder, StartError};
use plumi_proto::MiAddress;
use tokio::io::AsyncWrite;

use crate::cli::{Cli, Refresh};
use crate::input::Input;
use crate::screen::Screen;
use crate::session::Session;
use crate::signals::{HURRY, LAST_WORDS, Signals};
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
    match builder.start_unless(signals.next(), HURRY).await {
        Ok((agent, events)) => Session::new(agent, events, Input::start(), screen).run(signals, hints).await,
        Err(error) => {
            let failure = format!("cannot register {address}: {error}");
            if matches!(error, StartError::Interrupted) {
                screen.hurry(LAST_WORDS);
            }
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
    match cli.refresh {
        Some(Refresh::Every(interval)) => builder = builder.refresh(Some(interval)),
        Some(Refresh::Off) => builder = builder.refresh(None),
        None => {}
    }
    if let Some(ip) = cli.advertise {
        builder = builder.advertise(ip);
    }
    Ok(builder)
}
