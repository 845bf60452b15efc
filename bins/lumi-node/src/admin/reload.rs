//! Reloads roster and settings while the node serves.

use std::path::PathBuf;

use anyhow::Context;
use lumi_node_core::{Administrator, ServerSettings};
use tokio::sync::Mutex;
use tokio::task;

use super::report::counted_users;
use crate::logging::Logs;
use crate::options::given::GivenOptions;
use crate::options::settings::Settings;
use crate::service::Service;

/// Reloads roster and settings. Either all of it takes effect, or nothing changes.
#[derive(Debug)]
pub(crate) struct Reloader {
    /// The settings file, if one was named.
    config: Option<PathBuf>,
    /// The options of the command line, which win over the file whenever it is read.
    given: GivenOptions,
    /// The settings that the node was started with.
    started: Settings,
    logs: Logs,
    service: Service,
    /// Allows one reload at a time.
    turn: Mutex<()>,
}

impl Reloader {
    /// A reloader for a node that was `started` with the settings from `config` and `given`.
    pub(crate) fn new(
        config: Option<PathBuf>,
        given: GivenOptions,
        started: Settings,
        logs: Logs,
        service: Service,
    ) -> Self {
        Self { config, given, started, logs, service, turn: Mutex::new(()) }
    }

    /// Reloads both for the node of `administrator`, and returns the answer.
    ///
    /// # Errors
    /// Roster or settings are wrong, and nothing has changed.
    pub(crate) async fn reload(&self, administrator: &Administrator) -> anyhow::Result<String> {
        let _turn = self.turn.lock().await;
        self.service.reloading();
        let reloaded = self.try_reload(administrator).await.context("cannot reload");
        // The node is ready again even if the reload failed.
        self.service.ready();
        reloaded
    }

    async fn try_reload(&self, administrator: &Administrator) -> anyhow::Result<String> {
        let unchanged = "nothing has changed";
        let (config, given, local) = (self.config.clone(), self.given.clone(), self.started.listen);
        // The disk may be slow, and the watchdog must not wait for it.
        let load = move || {
            let settings = Settings::load(config.as_deref(), &given)?;
            // The node stays where it is, whatever `listen` is now.
            Ok::<_, anyhow::Error>((settings.directory(local)?, settings))
        };
        let (directory, settings) = task::spawn_blocking(load).await?.context(unchanged)?;
        let node = ServerSettings::new(settings.node(), directory);
        let users = administrator.reload(Some(node)).await?;
        self.logs.set(settings.diagnostics, settings.log_max_size)?;
        let waiting = self.started.changed_at_restart(&settings);
        let mut said = format!("reloaded, {}", counted_users(users));
        if !waiting.is_empty() {
            said += &format!("; the node has to be restarted for the new {}", waiting.join(", "));
        }
        Ok(said)
    }
}
