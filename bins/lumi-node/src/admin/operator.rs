//! Executes the commands of an administrator, whether they come from the console, the control socket or a
//! signal.

use std::sync::Arc;

use anyhow::{Context, ensure};
use lumi_node_core::Administrator;
use tokio::task;
use wildmatch::WildMatch;

use super::command::{Command, KeyCommand, KeyOfUser, LogCommand};
use super::invitation::{InviteArgs, brief_list};
use super::keys::KeyRing;
use super::reload::Reloader;
use super::report::{self, Process};
use crate::logging::Logs;
use crate::reason;

/// The parts of the node that commands act on. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) administrator: Administrator,
    pub(crate) keys: KeyRing,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) logs: Logs,
}

impl Operator {
    /// Executes `command` and returns the answer.
    ///
    /// # Errors
    /// The command is refused.
    pub(crate) async fn carry_out(&self, command: Command) -> anyhow::Result<String> {
        let changes_something = command.changes_something();
        // The codes in the answer to an invitation are only for its users, and `invite` logs their names.
        let is_secret = matches!(command, Command::Invite(_));
        let carried_out = self.try_to(command).await;
        // The log keeps a record of every change.
        match &carried_out {
            Ok(said) if changes_something && !is_secret => tracing::info!("{said}"),
            Ok(_) => {}
            Err(error) => tracing::info!("refused: {}", reason::in_one_line(error)),
        }
        carried_out
    }

    async fn invite(&self, args: InviteArgs) -> anyhow::Result<String> {
        let InviteArgs { users, all_new, format, valid, qr: _ } = args;
        let valid = valid.unwrap_or_default();
        let invited = if all_new {
            let invited = self.keys.invite_all_new(&self.administrator, valid).await;
            invited.context("cannot invite all new users")?
        } else {
            ensure!(!users.is_empty(), "nobody is named; name users, or give --all-new");
            let names = brief_list(&users);
            let invited = self.keys.invite(&self.administrator, users, valid).await;
            invited.with_context(|| format!("cannot invite {names}"))?
        };
        let users: Vec<_> = invited.users().collect();
        if !users.is_empty() {
            tracing::info!("invited {}", brief_list(&users));
        }
        Ok(invited.text(format))
    }

    async fn try_to(&self, command: Command) -> anyhow::Result<String> {
        let administrator = &self.administrator;
        Ok(match command {
            Command::Register { user } => {
                administrator.add_user(user).await.with_context(|| format!("cannot register {user}"))?;
                format!("registered {user}")
            }
            Command::Deregister { user } => {
                administrator.remove_user(user).await.with_context(|| format!("cannot deregister {user}"))?;
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
                // A list of a million users takes a second.
                task::spawn_blocking(listed).await?
            }
            Command::Status { json } => {
                let status = administrator.status().await.context("cannot tell")?;
                let process = Process {
                    lines_lost: self.logs.messages.lost_lines(),
                    diagnostics_lost: diagnostics::lost(),
                };
                if json { report::status_json(&status, process) } else { report::status(&status, process) }
            }
            Command::Invite(args) => self.invite(args).await?,
            Command::Invites { json } => self.keys.invitations(json),
            Command::Keys { known_peers: false, json } => self.keys.list(administrator, json).await?,
            Command::Keys { known_peers: true, .. } => self.keys.known_peers(administrator).await?,
            Command::Key(KeyCommand::Add(KeyOfUser { user, key })) => {
                let added = self.keys.add(administrator, user, key).await;
                added.with_context(|| format!("cannot add a key of {user}"))?
            }
            Command::Key(KeyCommand::Remove { user, key }) => {
                let removed = self.keys.remove(administrator, user, key).await;
                removed.with_context(|| format!("cannot remove a key of {user}"))?
            }
            Command::Reload {} => self.reloader.reload(administrator, &self.keys).await?,
            Command::Log(LogCommand::Reopen) => {
                let messages = self.logs.messages.clone();
                task::spawn_blocking(move || messages.reopen()).await??
            }
        })
    }
}
