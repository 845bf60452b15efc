//! Reloads roster, keys and settings while the node serves.

use std::path::PathBuf;

use anyhow::Context;
use lumi_node_core::{Administrator, Reloaded, ServerSettings};
use tokio::sync::Mutex;
use tokio::task;

use super::keys::KeyRing;
use super::report::{commented_out, counted_users};
use crate::logging::Logs;
use crate::options::given::GivenOptions;
use crate::options::settings::Settings;
use crate::service::Service;

/// Reloads roster, keys and settings. Either all of it takes effect, or nothing changes.
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

    /// Reloads all for the node of `administrator`, and returns the answer.
    ///
    /// # Errors
    /// Roster, keys or settings are wrong, and nothing has changed.
    pub(crate) async fn reload(
        &self,
        administrator: &Administrator,
        keys: &KeyRing,
    ) -> anyhow::Result<String> {
        let _turn = self.turn.lock().await;
        self.service.reloading();
        let reloaded = self.try_reload(administrator, keys).await.context("cannot reload");
        // The node is ready again even if the reload failed.
        self.service.ready();
        reloaded
    }

    async fn try_reload(&self, administrator: &Administrator, keys: &KeyRing) -> anyhow::Result<String> {
        let unchanged = "nothing has changed";
        let (config, given, local) = (self.config.clone(), self.given.clone(), self.started.listen);
        // The disk may be slow, and the watchdog must not wait for it.
        let load = move || {
            let settings = Settings::load(config.as_deref(), &given)?;
            // The node stays where it is, whatever `listen` is now.
            Ok::<_, anyhow::Error>((settings.directory(local)?, settings))
        };
        let (directory, settings) = task::spawn_blocking(load).await?.context(unchanged)?;
        let read = keys.read_again().await.context(unchanged)?;
        let node = ServerSettings::new(settings.node(), directory);
        let reloaded = administrator.reload(Some(node)).await?;
        let about_keys = keys.take(read, administrator).await?;
        self.logs.set(settings.diagnostics, settings.log_max_size)?;
        let waiting = self.started.changed_at_restart(&settings);
        let mut said = in_words(&reloaded);
        if let Some(about_keys) = about_keys {
            said += &format!("; {about_keys}");
        }
        if !waiting.is_empty() {
            said += &format!("; the node has to be restarted for the new {}", waiting.join(", "));
        }
        Ok(said)
    }
}

/// Says which users came and went.
fn in_words(reloaded: &Reloaded) -> String {
    let new = reloaded.named_new.iter().map(ToString::to_string).collect();
    let gone = reloaded.named_gone.iter().map(|(user, was_online)| {
        let online = if *was_online { ", who was online" } else { "" };
        format!("{user}{online}")
    });
    let changes: Vec<_> = [("new", reloaded.new, new), ("gone", reloaded.gone, gone.collect::<Vec<_>>())]
        .into_iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(what, count, named)| match count - named.len() {
            0 => format!("{what} {}", named.join(", ")),
            more => format!("{what} {} and {more} more", named.join(", ")),
        })
        .collect();
    let mut said = format!("reloaded, {}", counted_users(reloaded.users));
    if !changes.is_empty() {
        said += &format!(": {}", changes.join("; "));
    }
    if let Some(note) = commented_out(reloaded.named_new.iter()) {
        said += &format!("; {note}");
    }
    said
}

#[cfg(test)]
mod tests {
    use plumi_proto::UserName;

    use super::*;

    fn name(user: &str) -> UserName {
        user.parse().unwrap()
    }

    fn reloaded(new: &[&str], gone: &[(&str, bool)]) -> Reloaded {
        let mut reloaded = Reloaded::default();
        (reloaded.users, reloaded.new, reloaded.gone) = (2, new.len(), gone.len());
        reloaded.named_new = new.iter().map(|user| name(user)).collect();
        reloaded.named_gone = gone.iter().map(|(user, was_online)| (name(user), *was_online)).collect();
        reloaded
    }

    #[test]
    fn a_reload_says_who_came_and_went() {
        for (reloaded, expected) in [
            (reloaded(&[], &[]), "reloaded, 2 users"),
            (
                reloaded(&["joia"], &[("joya", true)]),
                "reloaded, 2 users: new joia; gone joya, who was online",
            ),
            (reloaded(&[], &[("joan", false), ("laura", false)]), "reloaded, 2 users: gone joan, laura"),
            (
                reloaded(&["#maria"], &[("maria", false)]),
                "reloaded, 2 users: new #maria; gone maria; a roster has no comments, so #maria is a user",
            ),
        ] {
            assert_eq!(in_words(&reloaded), expected);
        }
        let mut many = reloaded(&["joan", "pere"], &[]);
        many.new = 100;
        assert_eq!(in_words(&many), "reloaded, 2 users: new joan, pere and 98 more");
    }
}
