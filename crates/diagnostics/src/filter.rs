//! The filter for diagnostics, taken from RUST_LOG or from a level.

use std::env;

use message_log::TARGET;
use tracing_subscriber::filter::{EnvFilter, ParseError};

use crate::level::Level;

/// The directives of RUST_LOG, if it has any.
pub fn rust_log() -> Option<String> {
    env::var(EnvFilter::DEFAULT_ENV).ok().filter(|directives| !directives.trim().is_empty())
}

/// The filter that `rust_log` describes, or the one for `level` if there is none.
///
/// PLUMI messages have their own log. They pass only if RUST_LOG names their target.
///
/// # Errors
/// `rust_log` has a directive that cannot be read.
pub fn filter(level: Level, rust_log: Option<&str>) -> Result<EnvFilter, FilterError> {
    let directives = rust_log.map_or_else(
        || match level {
            Level::Info | Level::Debug => format!("{level},{QUIET}"),
            _ => level.to_string(),
        },
        |directives| directives.split(',').map(of_messages).collect::<Vec<_>>().join(","),
    );
    // If two directives name the same target, the later one takes effect.
    EnvFilter::builder().parse(format!("{TARGET}=off,{directives}")).map_err(FilterError)
}

/// Messages are TRACE events, so that they do not disturb programs that embed a node or an agent. A directive
/// that names them wants them, at any level.
fn of_messages(directive: &str) -> String {
    match directive.trim().strip_prefix(TARGET) {
        Some("=info" | "=debug") => format!("{TARGET}=trace"),
        _ => directive.to_owned(),
    }
}

/// RUST_LOG cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} is wrong", EnvFilter::DEFAULT_ENV)]
pub struct FilterError(#[source] ParseError);

/// The libraries for DNS and line editing log much that matters only to their authors.
const QUIET: &str = "hickory_net=warn,hickory_proto=warn,hickory_resolver=warn,rustyline=warn";

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing::{Level as EventLevel, enabled};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Returns whether four events pass: one of this module, one of a library, a serious one of a library,
    /// and a PLUMI message.
    fn passed(level: Level, rust_log: Option<&str>) -> [bool; 4] {
        let subscriber = tracing_subscriber::registry().with(filter(level, rust_log).unwrap());
        with_default(subscriber, || {
            [
                enabled!(EventLevel::INFO),
                enabled!(target: "hickory_resolver", EventLevel::INFO),
                enabled!(target: "rustyline", EventLevel::WARN),
                enabled!(target: TARGET, EventLevel::TRACE),
            ]
        })
    }

    #[test]
    fn libraries_are_quiet_unless_everything_is_asked_for_and_messages_do_not_pass() {
        assert_eq!(passed(Level::Off, None), [false; 4]);
        assert_eq!(passed(Level::Warn, None), [false, false, true, false]);
        assert_eq!(passed(Level::Info, None), [true, false, true, false]);
        assert_eq!(passed(Level::Trace, None), [true, true, true, false]);
    }

    #[test]
    fn rust_log_wins_and_one_that_is_wrong_is_an_error() {
        assert_eq!(passed(Level::Trace, Some("off")), [false; 4]);
        assert_eq!(passed(Level::Off, Some("info")), [true, true, true, false]);
        assert_eq!(passed(Level::Off, Some(&format!("{TARGET}=info"))), [false, false, false, true]);
        let error = filter(Level::Info, Some("lumi_node=loud")).unwrap_err();
        assert_eq!(error.to_string(), "RUST_LOG is wrong");
    }
}
