//! From the first line that is printed to the last.

use std::io;
use std::process::ExitCode;

use mi_agent_core::{AgentBuilder, StartError};
use plumi_proto::MiAddress;
use tokio::io::stdout;

use super::session::Session;
use crate::exit;
use crate::printed_lines::PrintedLines;
use crate::signals::{HURRY, LAST_WORDS, Signals};
use crate::store::user_data::UserData;
use crate::typed_lines::TypedLines;

/// Registers the user and runs the session.
///
/// # Errors
/// Nothing can be printed any more.
pub(crate) async fn run(
    builder: AgentBuilder,
    signals: &mut Signals,
    address: MiAddress,
    kept: UserData,
    hints: bool,
) -> io::Result<ExitCode> {
    let mut screen = PrintedLines::new(stdout());
    if hints {
        let news = format!("registering {address}");
        tokio::select! {
            told = async { screen.news(format_args!("{news}")).await } => told?,
            () = signals.next() => return Ok(ExitCode::from(exit::FAILURE)),
        }
    }
    for trouble in &kept.troubles {
        screen.failure(format_args!("{trouble}")).await?;
    }
    let builder = builder.admission(kept.admission.clone());
    match builder.start_unless(signals.next(), HURRY).await {
        Ok((agent, events)) => {
            Session::new(agent, events, TypedLines::start(), screen, kept).run(signals, hints).await
        }
        Err(error) => {
            let failure = format!("cannot register {address}: {error}");
            if matches!(error, StartError::Interrupted) {
                screen.hurry(LAST_WORDS);
            }
            tokio::select! {
                told = async { screen.failure(format_args!("{failure}")).await } => told?,
                () = signals.next() => {}
            }
            Ok(exit::of_start(&error))
        }
    }
}
