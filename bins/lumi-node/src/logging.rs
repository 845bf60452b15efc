//! Where events go: diagnostics as the settings say, PLUMI messages to the message log.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;
use message_log::{LineWriter, MessageLayer, TARGET};
use plumi_proto::Domain;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::diagnostics;
use crate::keys::Diagnostics;
use crate::settings::Settings;

/// Starts both for the node of `domain`, for the rest of the process.
///
/// # Errors
/// A message log that cannot be opened; a RUST_LOG that is wrong; a journal that is asked for and not there.
pub(crate) fn start(settings: &Settings, domain: &Domain) -> anyhow::Result<()> {
    let filter = filter(settings.diagnostics)?;
    let diagnostics = diagnostics::layer(settings.diagnostics_format)?.with_filter(filter);
    let path = match &settings.log {
        Some(path) => path.clone(),
        None => PathBuf::from(message_log::node_log_name(domain.as_str())),
    };
    let log = if path == Path::new("-") { LineWriter::stdout() } else { LineWriter::open(&path) };
    let log = log
        .with_context(|| format!("cannot open the message log {}", path.display()))?
        .max_size(settings.log_max_size.0)
        .on_failure(|failure| tracing::error!("{failure}"));
    let messages = MessageLayer::new(log).with_filter(filter_fn(message_log::is_message));
    // The message log comes last: it emits diagnostics while it handles an event, and a layer that is yet to see
    // that event would then be told to by the filter's verdict on the diagnostics.
    tracing_subscriber::registry().with(diagnostics).with(messages).init();
    tracing::info!(roster = %settings.roster.display(), message_log = %path.display(), "starting");
    Ok(())
}

/// RUST_LOG, or else `level`. PLUMI messages are in their own log, unless RUST_LOG names their target.
fn filter(level: Diagnostics) -> anyhow::Result<EnvFilter> {
    let given = env::var(EnvFilter::DEFAULT_ENV).ok().filter(|directives| !directives.trim().is_empty());
    let directives = given.unwrap_or_else(|| match level {
        Diagnostics::Info | Diagnostics::Debug => format!("{level},{QUIET}"),
        _ => level.to_string(),
    });
    // Of two directives for one target, the later holds.
    EnvFilter::builder()
        .parse(format!("{TARGET}=off,{directives}"))
        .with_context(|| format!("{} is wrong", EnvFilter::DEFAULT_ENV))
}

/// The library that speaks DNS says much that only its authors want to know.
const QUIET: &str = "hickory_net=warn,hickory_proto=warn,hickory_resolver=warn";
