//! Serves a page and metrics of the node over HTTP.

use std::net::{SocketAddr, TcpListener};
use std::{future, io, thread};

use anyhow::Context;
use lumi_node_core::ServerHandle;
use lumi_node_web::WebServer;
use message_ladder::Watch;
use tokio::runtime;

use crate::reason;

/// Listens at `address`.
///
/// # Errors
/// Those of the operating system.
pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.with_context(|| format!("cannot show the node at http://{address}"))
}

/// Serves on `listener`, until the process ends: `node`, the messages of `watch`, and the
/// number of `lost` lines of its message log.
///
/// It has a thread of its own, so that visitors never block the node.
///
/// # Errors
/// The system starts no more threads.
pub(crate) fn start(
    listener: TcpListener,
    node: ServerHandle,
    watch: Watch,
    lost: impl Fn() -> u64 + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let work = move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let shown = runtime.and_then(|runtime| runtime.block_on(show(listener, node, watch, lost)));
        if let Err(error) = shown {
            tracing::error!(
                "the page at http://{address} is served no more: {}; the node goes on without it",
                reason::in_words(&error)
            );
        }
    };
    thread::Builder::new().name("web".into()).spawn(work).context("cannot start a thread for the web")?;
    tracing::info!("shown at http://{address}");
    if !address.ip().is_loopback() {
        tracing::warn!(
            "whoever reaches http://{address} sees who looks for whom: it is for a network that you trust"
        );
    }
    Ok(())
}

async fn show(
    listener: TcpListener,
    node: ServerHandle,
    watch: Watch,
    lost: impl Fn() -> u64 + Send + Sync + 'static,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let server = WebServer::new(listener, node, watch).log_lines_lost(lost);
    server.diagnostics_lost(diagnostics::lost).run(future::pending()).await;
    Ok(())
}
