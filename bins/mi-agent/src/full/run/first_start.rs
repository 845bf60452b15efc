//! The first start of a user with an invitation: the terminal asks for its code, and the screen comes back.

use std::io::{self, Write};
use std::process::ExitCode;

use full_screen::Keys;
use mi_agent_core::{AgentBuilder, InvitationCode, StartError};
use plumi_proto::MiAddress;
use standard_streams::{stdin, stdout};
use tokio::task::{self, JoinHandle};
use tokio::time;

use super::{End, Running, now};
use crate::enrol;
use crate::exit;
use crate::prompts;
use crate::reason;
use crate::signals::{LAST_WORDS, Signals};

impl Running {
    /// Gives the screen back because of `error`, asks for a code, enrols by it and goes on until the end.
    /// This happens once: a user whom the node does not admit after that needs more than a code.
    ///
    /// # Errors
    /// The terminal is unusable.
    pub(super) async fn enrol(
        &mut self,
        own: &MiAddress,
        error: StartError,
        builder: AgentBuilder,
        signals: &mut Signals,
    ) -> io::Result<End> {
        match time::timeout(LAST_WORDS, self.screen.leave()).await {
            Ok(left) => left?,
            // A terminal that takes nothing shows no question.
            Err(_) => return Ok(End::NotStarted(error)),
        }
        // The screen must not read what is typed now: it is the answer.
        self.keys = None;
        writeln!(stdout(), "! cannot register {own}: {}", reason::of_start(own, &error))?;
        let Some(code) = self.ask_for_code(signals).await? else {
            let hint = reason::hint_for_start(own, &error);
            return Ok(End::NotEnrolled { code: exit::of_start(&error), hint });
        };
        let code = enrol::enrol(own, &builder, code, signals).await?;
        if code != ExitCode::from(exit::WELL) {
            return Ok(End::NotEnrolled { code, hint: None });
        }
        self.screen.resume()?;
        self.keys = Some(Keys::listen()?);
        self.session.start_over(builder);
        self.app.registering(now());
        self.has_changed = true;
        self.until_the_end(signals).await
    }

    /// Returns what the user answers, or `None` at the end of input and at a signal that ends the program.
    async fn ask_for_code(&mut self, signals: &mut Signals) -> io::Result<Option<InvitationCode>> {
        // Reading the terminal blocks. If a signal comes, the process ends without the thread.
        let mut answer: JoinHandle<_> =
            task::spawn_blocking(|| prompts::ask_for_code_or_none(&mut stdin(), &mut stdout()));
        loop {
            tokio::select! {
                answered = &mut answer => return answered?,
                () = signals.next() => {
                    writeln!(stdout())?;
                    return Ok(None);
                }
                // There is no screen to give to the shell, or to take back from it.
                _ = self.job_control.next() => {}
            }
        }
    }
}
