//! The life of a node, from its settings to its end.

use std::io::{ErrorKind, Write};
use std::net::UdpSocket as StdUdpSocket;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use lumi_bindings::{BindingsFile, Found};
use lumi_node_core::{BindingsDatabase, Node, Roster, RosterFile, Server, UdpAddress};
use plumi_proto::udp_address;
use standard_streams::stdout;
use tokio::net::UdpSocket;
use tokio::runtime;
use tokio::sync::Notify;

use crate::admin::console::Console;
use crate::admin::control::socket::ControlSocket;
use crate::admin::keys::KeyRing;
use crate::admin::operator::Operator;
use crate::admin::reload::Reloader;
use crate::admin::thread::{AdminThread, HangUps};
use crate::logging::{self, Logs};
use crate::options::given::GivenOptions;
use crate::options::settings::Settings;
use crate::service::{self, Service};
use crate::signals::EndSignals;
use crate::{bindings, reason, sample, web};

/// Serves with the settings file and the options `given`, until a signal or an administrator ends the node.
///
/// # Errors
/// Settings, roster, a log or a socket cannot be used.
pub(crate) fn run(config: Option<PathBuf>, given: GivenOptions) -> anyhow::Result<()> {
    let settings = Settings::load(config.as_deref(), &given)?;
    sample::copy_to(&settings.roster)?;
    let (file, roster) = RosterFile::open(&settings.roster).map_err(reason::of_no_roster)?;
    let logs = logging::start(&settings, roster.domain())?;
    // Before the socket: what comes there is answered by what was stored.
    let bindings = bindings::open(&settings, roster.domain())?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let files = Files { roster: file, bindings };
    let served = runtime.block_on(serve(config, given, settings, logs.clone(), files, roster));
    // A disk that hangs, with a hosts file on it, must not delay the end.
    runtime.shutdown_background();
    logs.drain();
    served
}

/// The files that a node changes.
struct Files {
    roster: RosterFile,
    bindings: Option<(BindingsFile, Found)>,
}

async fn serve(
    config: Option<PathBuf>,
    mut given: GivenOptions,
    mut settings: Settings,
    logs: Logs,
    files: Files,
    roster: Roster,
) -> anyhow::Result<()> {
    let (mut end_signals, hang_ups) = (EndSignals::listen()?, HangUps::listen()?);
    let (socket, local) = match service::passed_socket()? {
        Some(passed) => {
            let (socket, local) = serve_on(passed)?;
            // This address wins over every `listen`, including that of a reload.
            given.set_passed(local);
            settings.listen = local;
            (socket, local)
        }
        None => listen(settings.listen).await?,
    };
    let directory = settings.directory(local)?;
    let (control_socket, control) = ControlSocket::bind(settings.control_socket.as_ref())?.unzip();
    let web = settings.web.map(web::bind).transpose()?;
    let ready = format!("domain {}, listening on {local}, {} users", roster.domain(), roster.len());
    let mut node = Node::new(roster, local.into(), settings.node());
    let keys = KeyRing::open(&settings.roster, &mut node, settings.auth)?;
    let server = Server::builder(socket, node).directory(directory).log_progress(logs.messages.progress());
    let server = match files.bindings {
        Some((bindings, found)) => server.bindings(BindingsDatabase::start(bindings)?, found.rows),
        None => server,
    };
    let (mut server, administrator) = server.store(files.roster).build()?;
    keys.save_enrolments(&mut server, &administrator)?;
    let exit = Arc::new(Notify::new());
    let (service, has_console) = (Service, settings.console);
    let operator = Operator {
        administrator,
        keys,
        reloader: Arc::new(Reloader::new(config, given, settings, logs.clone(), service)),
        logs,
    };
    let admin_thread =
        AdminThread { operator: operator.clone(), control, service, hang_ups, exit: Arc::clone(&exit) };
    let runtime = admin_thread.start()?;
    // The node also works if nobody reads this line.
    _ = stdout().write_all(format!("lumi-node: {ready}\n").as_bytes());
    tracing::info!("{ready}");
    if let Some(listener) = web {
        let messages = operator.logs.messages.clone();
        let watch = messages.watch().clone();
        web::start(listener, operator.administrator.handle().clone(), watch, move || messages.lost_lines())?;
    }
    service.ready();
    let console = has_console.then(|| Console::start(operator, runtime, Arc::clone(&exit))).transpose()?;
    let shutdown = async {
        tokio::select! { () = end_signals.come() => {}, () = exit.notified() => {} }
        tracing::info!("ending");
        service.stopping();
    };
    let served = Box::pin(server.run(shutdown)).await;
    drop((console, control_socket));
    Ok(served?)
}

/// Returns the passed socket and its address.
fn serve_on(passed: StdUdpSocket) -> anyhow::Result<(UdpSocket, UdpAddress)> {
    let socket = UdpSocket::from_std(passed)?;
    let local = socket.local_addr()?;
    match udp_address(local) {
        Some(local) => Ok((socket, local)),
        None => bail!("the socket that was passed is at {local}: a node is at an IPv4 address"),
    }
}

/// Binds a socket to the address `asked` for. Returns it with its address, since the system replaces port 0.
async fn listen(asked: UdpAddress) -> anyhow::Result<(UdpSocket, UdpAddress)> {
    let failed = || format!("cannot listen on {asked}");
    let socket = match UdpSocket::bind(asked).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("{}: {}; {WHO_HAS_IT}", failed(), reason::in_words(&error))
        }
        bound => bound.with_context(failed)?,
    };
    let port = socket.local_addr().with_context(failed)?.port();
    Ok((socket, UdpAddress::new(*asked.ip(), port)))
}

/// The most probable reason for a port in use.
const WHO_HAS_IT: &str = "a node may be running already: `lumi-node ctl status` asks it, and `lumi-node check` says who \
                          has the port";
