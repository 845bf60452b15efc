//! The start of line mode.

use std::io;
use std::process::ExitCode;

use mi_agent_core::AgentBuilder;
use plumi_proto::MiAddress;
use tokio::io::stdout;

use super::state::LineMode;
use crate::line_by_line;
use crate::printed_lines::PrintedLines;
use crate::session::Session;
use crate::signals::Signals;
use crate::store::user_data::UserData;

/// Registers the user and converses until the user leaves.
///
/// # Errors
/// Nothing can be printed any more. The user has been deregistered all the same.
pub(crate) async fn run(
    builder: AgentBuilder,
    signals: &mut Signals,
    address: MiAddress,
    data: UserData,
    shows_hints: bool,
) -> io::Result<ExitCode> {
    let UserData { admission, keeper, troubles, .. } = data;
    let session = Session::start(builder.admission(admission.clone()), Some(keeper));
    let line_mode = LineMode::new(address, admission, shows_hints, &troubles);
    line_by_line::run(line_mode, session, PrintedLines::new(stdout()), signals).await
}
