//! Carries out what an administrator asks, however it comes: by the console, the control socket or a signal.

use std::sync::Arc;

use anyhow::Context;
use lumi_node_core::Administrator;
use tokio::task;
use wildmatch::WildMatch;

use super::command::{Command, LogCommand};
use super::reload::Reloader;
use super::report::{self, Process};
use crate::logging::Logs;
use crate::reason;

/// What the administrator's commands are carried out on. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) administrator: Administrator,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) logs: Logs,
}

impl Operator {
    /// Carries `command` out, and returns what to say about it.
    ///
    /// # Errors
    /// Why it is not carried out.
    pub(crate) async fn carry_out(&self, command: Command) -> anyhow::Result<String> {
        let changes_something = command.changes_something();
        let carried_out = self.try_to(command).await;
        // So that it can be known afterwards.
        match &carried_out {
            Ok(said) if changes_something => tracing::info!("{said}"),
            Err(error) => tracing::info!("refused: {}", reason::in_one_line(error)),
            Ok(_) => {}
        }
        carried_out
    }

    async fn try_to(&self, command: Command) -> anyhow::Result<String> {
        let administrator = &self.administrator;
        Ok(match command {
            Command::Register { user } => {
                administrator.register(user).await.with_context(|| format!("cannot register {user}"))?;
                format!("registered {user}")
            }
            Command::Deregister { user } => {
                administrator.deregister(user).await.with_context(|| format!("cannot deregister {user}"))?;
                format!("deregistered {user}")
            }
            Command::List { json, pattern } => {
                let mut users = administrator.list().await.context("cannot list")?;
                let listed = move || {
                    if let Some(pattern) = pattern {
                        let pattern = WildMatch::new(&pattern);
                        users.retain(|status| pattern.matches(status.user.as_str()));
                    }
                    if json { report::users_json(&users) } else { report::table(&users) }
                };
                // Of a million users it takes a second.
                task::spawn_blocking(listed).await?
            }
            Command::Status { json } => {
                let status = administrator.status().await.context("cannot tell")?;
                let process = Process { lines_lost: self.logs.messages.lost_lines() };
                if json { report::status_json(&status, process) } else { report::status(&status, process) }
            }
            Command::Reload {} => self.reloader.reload(administrator).await?,
            Command::Log(LogCommand::Reopen) => {
                let messages = self.logs.messages.clone();
                task::spawn_blocking(move || messages.reopen()).await??
            }
        })
    }
}
