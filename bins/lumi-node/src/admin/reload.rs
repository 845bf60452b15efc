//! Settings and roster are read again while the node serves.

use std::sync::Arc;

use anyhow::Context;
use lumi_node_core::{Administrator, ServerSettings};
use tokio::sync::Mutex;
use tokio::task;

use crate::cli::Cli;
use crate::logging::Logs;
use crate::options::settings::Settings;
use crate::service::Service;

/// Reads settings and roster again: all of it holds from then on, or nothing has changed.
#[derive(Debug)]
pub(crate) struct Reloader {
    /// The command line, which wins over the settings file as often as that is read.
    cli: Arc<Cli>,
    /// What the node was started with.
    started: Settings,
    /// `listen` tells nothing to a node whose socket is passed to it.
    is_passed: bool,
    logs: Logs,
    service: Service,
    /// One reload at a time.
    turn: Mutex<()>,
}

impl Reloader {
    /// Of a node that was started with `cli`, which gave it the settings `started`; whether its socket `is_passed`.
    pub(crate) fn new(cli: Cli, started: Settings, is_passed: bool, logs: Logs, service: Service) -> Self {
        Self { cli: Arc::new(cli), started, is_passed, logs, service, turn: Mutex::new(()) }
    }

    /// Reads them again, for the node of `administrator`, and returns what to say about it.
    ///
    /// # Errors
    /// What is wrong with them; everything is as it was then.
    pub(crate) async fn reload(&self, administrator: &Administrator) -> anyhow::Result<String> {
        let _turn = self.turn.lock().await;
        self.service.reloading();
        let reloaded = self.try_reload(administrator).await.context("cannot reload");
        // As well if it is as before.
        self.service.ready();
        reloaded
    }

    async fn try_reload(&self, administrator: &Administrator) -> anyhow::Result<String> {
        let unchanged = "nothing has changed";
        let cli = Arc::clone(&self.cli);
        // The disk may be slow, and the watchdog is not to wait for it.
        let load = move || Settings::load(&cli).and_then(|settings| Ok((settings.directory()?, settings)));
        let (directory, settings) = task::spawn_blocking(load).await?.context(unchanged)?;
        let node = settings.node.clone();
        let users = administrator.reload(Some(ServerSettings { node, directory })).await?;
        self.logs.set(settings.diagnostics, settings.log_max_size)?;
        let mut waiting = self.started.changed_at_restart(&settings);
        waiting.retain(|&key| key != "listen" || !self.is_passed);
        let mut said = format!("reloaded, {users} users");
        if !waiting.is_empty() {
            said += &format!("; the node has to be restarted for the new {}", waiting.join(", "));
        }
        Ok(said)
    }
}
