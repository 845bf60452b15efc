//! The node as a service of systemd: the socket that is passed to it, and what is told about it (sd_notify(3)).

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, ensure};
use listenfd::ListenFd;
use lumi_node_core::Administrator;
use sd_notify::NotifyState;
use tokio::time::{self, MissedTickBehavior};

/// Tells the service manager how the node is; nobody, if there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service;

impl Service {
    /// The node serves.
    pub(crate) fn ready(self) {
        tell(&[NotifyState::Ready]);
    }

    /// It reads settings and roster again, until [`Service::ready`].
    pub(crate) fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// It ends.
    pub(crate) fn stopping(self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Says every now and then that the node's task is at work, if the service manager wants to hear it; a node that
    /// does not answer within that time is restarted. Does not end while the node is there.
    pub(crate) async fn watch(self, administrator: Administrator) {
        let Some(patience) = sd_notify::watchdog_enabled() else { return };
        let mut ticks = time::interval((patience / 2).max(MIN_INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match time::timeout(patience, administrator.status()).await {
                Ok(Ok(_)) => tell(&[NotifyState::Watchdog]),
                // It has ended.
                Ok(Err(_)) => return,
                Err(_) => tracing::error!(waited = ?patience, "the node's task does not answer"),
            }
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// The UDP socket that the service manager holds for the node, if it passed one (sd_listen_fds(3)): what comes while no
/// node runs waits in it.
///
/// # Errors
/// What was passed is no UDP socket, or not the only one.
pub(crate) fn passed_socket() -> anyhow::Result<Option<UdpSocket>> {
    let mut passed = ListenFd::from_env();
    match passed.len() {
        0 => return Ok(None),
        count => ensure!(count == 1, "{count} sockets were passed: a node takes one, of UDP"),
    }
    let socket = passed.take_udp_socket(0).context("what was passed is no socket of UDP")?;
    let socket = socket.context("what was passed is no socket")?;
    let ready = || -> io::Result<()> { socket.set_nonblocking(true) };
    ready().context("cannot use the socket that was passed")?;
    Ok(Some(socket))
}

/// How often the service manager is told at most.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
