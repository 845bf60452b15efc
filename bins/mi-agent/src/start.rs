//! From the command line to a running session.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;

use anyhow::Context;
use lumi_dns::NodeDirectory;
use mi_agent_core::{Agent, AgentBuilder};
use plumi_proto::MiAddress;

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
    runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let screen = Screen(io::stdout());
        session(builder(cli, address)?, address, screen, hints, &mut signals)
            .await
            .context("cannot write to stdout")
    })
}

async fn session<W: Write>(
    builder: AgentBuilder,
    address: MiAddress,
    mut screen: Screen<W>,
    hints: bool,
    signals: &mut Signals,
) -> io::Result<ExitCode> {
    let started = tokio::select! {
        started = builder.start() => started,
        () = signals.next() => {
            screen.failure(format_args!("cannot register {address}: interrupted"))?;
            return Ok(ExitCode::from(exit::FAILURE));
        }
    };
    match started {
        Ok((agent, events)) => Session::new(agent, events, Input::start(), screen).run(signals, hints).await,
        Err(error) => {
            screen.failure(format_args!("cannot register {address}: {error}"))?;
            Ok(exit::of_start(&error))
        }
    }
}

fn builder(cli: &Cli, address: MiAddress) -> anyhow::Result<AgentBuilder> {
    let mut directory = NodeDirectory::builder();
    for &name_server in &cli.name_servers {
        directory = directory.name_server(name_server);
    }
    let mut builder = Agent::builder(address)
        .listen(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, cli.port.unwrap_or(0)))
        .directory(directory.build().context("cannot ask for domains")?)
        .bare_user(cli.bare_user);
    if let Some(nick) = &cli.nick {
        builder = builder.nickname(nick.as_str());
    }
    if let Some(node) = cli.node {
        builder = builder.node(node);
    }
    if let Some(ip) = cli.advertise {
        builder = builder.advertise(ip);
    }
    Ok(builder)
}
