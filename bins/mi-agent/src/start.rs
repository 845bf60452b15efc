//! Sets up what an agent needs, from the settings.

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use lumi_dns::NodeDirectory;
use mi_agent_core::{Agent, AgentBuilder, EnrolmentFile, KeyLog, Security};
use plumi_proto::{HostIp, MiAddress, TcpAddress};

use crate::logging::{self, Diagnostics};
use crate::options::settings::{DEFAULT_PORT, Settings};
use crate::own_keys::{self, OwnKeys};
use crate::reason::Reason;
use crate::signals::{Ending, Signals};
use crate::store::folder::DataFolder;

/// Sets up logs, runtime and signals, and lets `use_agent` start and use the agent.
///
/// # Errors
/// The logs cannot be started, or the system lacks something that the agent needs.
pub(crate) fn run(
    settings: &Settings,
    address: MiAddress,
    diagnostics: Diagnostics,
    ending: Ending,
    use_agent: impl AsyncFnOnce(AgentBuilder, &mut Signals) -> io::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let logs = logging::start(settings, &address, diagnostics)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(async {
        let mut signals = Signals::listen(ending).context("cannot listen for signals")?;
        use_agent(builder(settings, address).await?, &mut signals).await.context("cannot write to stdout")
    });
    // A thread may still be blocked by a line that nobody reads.
    runtime.shutdown_background();
    logs.drain();
    code
}

/// Returns the builder of the agent of the user at `address`, with its keys.
///
/// # Errors
/// A key is wrong, or there is none and there has to be; the system cannot ask for domains.
pub(crate) async fn builder(settings: &Settings, address: MiAddress) -> anyhow::Result<AgentBuilder> {
    let mut builder = Agent::builder(address)
        .listen(TcpAddress::new(HostIp::UNSPECIFIED, settings.port.unwrap_or(DEFAULT_PORT)))
        .bare_user(settings.bare_user)
        .idle(settings.idle.0)
        .dial(settings.dial.clone())
        .behind_nat(settings.behind_nat)
        .accept_unproved(settings.accept_unproved)
        .refresh(settings.refresh.0);
    if let Some(nick) = &settings.nick {
        builder = builder.nickname(nick.as_str());
    }
    match settings.node {
        Some(node) => builder = builder.node(node),
        None => {
            let servers = settings.name_servers.iter();
            let directory = servers.fold(NodeDirectory::builder(), |all, &server| all.name_server(server));
            builder = builder.directory(directory.build().context("cannot ask for domains")?);
        }
    }
    if let Some(ip) = settings.advertise {
        builder = builder.advertise(ip);
    }
    protected(builder, settings, &address).await
}

/// Gives the builder the keys of the user at `address`, and the level.
async fn protected(
    builder: AgentBuilder,
    settings: &Settings,
    address: &MiAddress,
) -> anyhow::Result<AgentBuilder> {
    let mut builder = builder.security(settings.security);
    let folder = DataFolder::of(address);
    let enrolment = folder.as_ref().map(own_keys::enrolment_file);
    if settings.security == Security::Off {
        return proved_only(builder, settings, address, folder, enrolment).await;
    }
    if let Some(file) = enrolment {
        builder = builder.enrolment(file);
    }
    let OwnKeys { identity, known_peers } = own_keys::load(settings, address).await?;
    match identity {
        Ok(identity) => builder = builder.identity(identity),
        Err(reason) if settings.security > Security::Offer => {
            bail!("security is `{}`, and {reason}", settings.security);
        }
        Err(reason) => {
            tracing::warn!("{reason}; conversations are plain, and users whose key is known are not called");
        }
    }
    if let Some(known_peers) = known_peers {
        builder = builder.trust(known_peers);
    }
    if let Some(path) = key_log(settings) {
        let log = KeyLog::open(&path);
        builder = builder
            .key_log(log.map_err(|error| anyhow!("the key log {} {}", path.display(), Reason(&error)))?);
        tracing::warn!(
            "keys are written to {}: whoever has that file can read your conversations",
            path.display()
        );
    }
    Ok(builder)
}

/// Gives a builder with plain conversations the key of an enrolled user: the node wants it proved all the
/// same.
async fn proved_only(
    builder: AgentBuilder,
    settings: &Settings,
    address: &MiAddress,
    folder: Option<DataFolder>,
    enrolment: Option<EnrolmentFile>,
) -> anyhow::Result<AgentBuilder> {
    let Some(file) = enrolment.filter(|file| file.read(address).is_ok_and(|known| known.is_some())) else {
        return Ok(builder);
    };
    let identity = own_keys::identity(settings, folder.as_ref()).await?;
    Ok(identity.into_iter().fold(builder.enrolment(file), AgentBuilder::identity))
}

/// Returns the file to which the keys of conversations are written, if they are: that of the option, or the
/// one in which all programs of this user log the keys of TLS.
pub(crate) fn key_log(settings: &Settings) -> Option<PathBuf> {
    if settings.security == Security::Off {
        return None;
    }
    let of_all = || env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    settings.tls_key_log.clone().or_else(of_all)
}
