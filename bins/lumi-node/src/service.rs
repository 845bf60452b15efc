//! The node as a service of systemd: the socket that it passes, and notifications (sd_notify(3)).

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, ensure};
use listenfd::ListenFd;
use lumi_node_core::Administrator;
use sd_notify::NotifyState;
use tokio::time::{self, MissedTickBehavior};

/// Notifies the service manager, if there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service;

impl Service {
    /// Reports that the node serves.
    pub(crate) fn ready(self) {
        tell(&[NotifyState::Ready]);
    }

    /// Reports a reload, which ends with [`Service::ready`].
    pub(crate) fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// Reports that the node ends.
    pub(crate) fn stopping(self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Reports regularly that the node's task works, if the service manager has a watchdog, which restarts a
    /// node that does not report in time. Returns when the node has ended.
    pub(crate) async fn watch(self, administrator: Administrator) {
        let Some(patience) = sd_notify::watchdog_enabled() else { return };
        let mut ticks = time::interval((patience / 2).max(MIN_INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match time::timeout(patience, administrator.status()).await {
                Ok(Ok(_)) => tell(&[NotifyState::Watchdog]),
                // The node has ended.
                Ok(Err(_)) => return,
                Err(_) => tracing::error!(
                    "the node's task has not answered for {patience:?}, so the service manager is about to restart the node"
                ),
            }
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot notify the service manager, which may take the node for hung: {error}");
    }
}

/// The UDP socket that the service manager passed, if there is one (sd_listen_fds(3)). Datagrams wait in it
/// while no node runs.
///
/// # Errors
/// The passed socket is not for UDP, or there are several.
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

/// The minimum time between two reports to the watchdog.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
