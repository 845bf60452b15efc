//! Line mode at work: its state, and the lines that the user types.

use std::future;
use std::io;
use std::process::ExitCode;

use mi_agent_core::AgentBuilder;
use plumi_proto::MiAddress;
use tokio::io::stdout;

use super::state::LineMode;
use crate::line_by_line::{self, Effect, FrontEnd};
use crate::printed_lines::PrintedLines;
use crate::session::{Done, Happened, Refused, Session};
use crate::signals::Signals;
use crate::store::user_data::UserData;
use crate::typed_lines::TypedLines;

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
    let state = LineMode::new(address, admission, shows_hints, &troubles);
    let front_end = AtStdin { state, typed: None };
    line_by_line::run(front_end, session, PrintedLines::new(stdout()), signals).await
}

struct AtStdin {
    state: LineMode,
    /// From the registration on: a program that does not start leaves its input to others.
    typed: Option<TypedLines>,
}

impl FrontEnd for AtStdin {
    type Input = Option<String>;

    async fn next_input(&mut self) -> Option<String> {
        match &mut self.typed {
            Some(typed) if self.state.takes_input() => typed.next().await,
            _ => future::pending().await,
        }
    }

    fn typed(&mut self, line: Option<String>) {
        self.state.typed(line.as_deref());
    }

    fn happened(&mut self, happened: Happened) {
        if matches!(happened, Happened::Started { .. }) {
            self.typed = Some(TypedLines::start());
        }
        self.state.happened(&happened);
    }

    fn answered(&mut self, answer: Result<Done, Refused>) {
        self.state.answered(answer);
    }

    fn left_at_once(&mut self) {
        self.state.left_at_once();
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.state.poll_effect()
    }
}
