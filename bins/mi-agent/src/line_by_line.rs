//! The loop of the front ends that read and print lines: line mode and `listen`.

use std::future;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::AsyncWrite;

use crate::exit;
use crate::printed_lines::PrintedLines;
use crate::session::{Done, Happened, Leave, Refused, Session, Wish};
use crate::signals::{HURRY, LAST_WORDS, Signals};
use crate::typed_lines::TypedLines;

/// A front end that reads and prints lines. It waits for nothing.
pub(crate) trait FrontEnd {
    type Input: Send + 'static;

    /// Starts reading the input, once the user is registered, or the node is waited for.
    ///
    /// A program that does not start leaves its input to others. `None` if no input is read.
    fn input(&self) -> Option<TypedLines<Self::Input>>;

    /// Returns whether the next input may come.
    fn takes_input(&self) -> bool;

    /// Takes input that came, or `None` at its end.
    fn typed(&mut self, input: Option<Self::Input>);

    /// Takes an event. While the user leaves, these are only the [last ones](is_of_the_end).
    fn happened(&mut self, happened: &Happened);

    /// Takes the answer to [`Effect::Wish`].
    fn answered(&mut self, answer: Result<Done, Refused>);

    /// The program ends now, and the node has not answered.
    fn left_at_once(&mut self);

    /// Returns the next effect; `None` when everything is done.
    fn poll_effect(&mut self) -> Option<Effect>;
}

/// An effect that a front end asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// Print a line, without its end.
    Print(String),
    Wish(Wish),
    Leave(Leave),
}

/// Runs `front_end` until its session is over.
///
/// While a line waits to be printed, nothing else happens, so nothing more comes to be printed; peers have to
/// wait. The first signal hurries, and then Ctrl-C ends the program at once.
///
/// # Errors
/// The output is unusable. The user has been deregistered nevertheless.
pub(crate) async fn run<F: FrontEnd>(
    mut front_end: F,
    mut session: Session,
    mut printed: PrintedLines<impl AsyncWrite + Unpin>,
    signals: &mut Signals,
) -> io::Result<ExitCode> {
    let mut input = None;
    let mut reads_input = false;
    let mut code = None;
    let mut failure = None;
    let code = loop {
        while let Some(effect) = front_end.poll_effect() {
            match effect {
                Effect::Print(line) => printed.push(&line),
                Effect::Wish(wish) => front_end.answered(session.carry_out(wish)),
                Effect::Leave(how) => session.leave(how),
            }
        }
        let is_printing = printed.has_to_print();
        let is_in_a_hurry = session.is_in_a_hurry();
        let takes_input = !is_printing && !session.is_leaving() && front_end.takes_input();
        if let (Some(code), false) = (code, is_printing) {
            break code;
        }
        tokio::select! {
            done = printed.print(), if is_printing => if let Err(error) = done {
                failure = Some(error);
                printed.hurry(Duration::ZERO);
                session.leave(Leave::Hurried);
            },
            happened = session.next(), if !is_printing => {
                code = exit_code(&happened);
                if matches!(happened, Happened::Started { .. } | Happened::StartDelayed { .. }) && !reads_input {
                    (input, reads_input) = (front_end.input(), true);
                }
                if !session.is_leaving() || is_of_the_end(&happened) {
                    front_end.happened(&happened);
                }
            }
            typed = next_input(&mut input), if takes_input => {
                if typed.is_none() {
                    if let Some(error) = input.as_ref().and_then(TypedLines::failure) {
                        tracing::warn!("stdin cannot be read: {error}; that counts as its end");
                    }
                    input = None;
                }
                front_end.typed(typed);
            }
            () = end_wanted(signals, is_in_a_hurry) => {
                if is_in_a_hurry && code.is_none() {
                    front_end.left_at_once();
                    code = Some(ExitCode::from(exit::FAILURE));
                } else {
                    session.leave(Leave::Hurried);
                    printed.hurry(HURRY + LAST_WORDS);
                }
            }
        }
    };
    if session.finish().is_err() {
        tracing::warn!("the disk takes too long, so the last change of rules or keys may not be kept");
    }
    failure.map_or(Ok(code), Err)
}

/// Whether an event is still reported while the user leaves.
pub(crate) fn is_of_the_end(happened: &Happened) -> bool {
    matches!(
        happened,
        Happened::Started { .. }
            | Happened::NotStarted(_)
            | Happened::Unproved { .. }
            | Happened::Line { .. }
            | Happened::ConversationFailed { .. }
            | Happened::KeyRefused { .. }
            | Happened::Answered(_)
            | Happened::NotSent { .. }
            | Happened::Ended { .. }
            | Happened::Left(_)
    )
}

/// Returns the exit code after the last event of a session.
pub(crate) fn exit_code(happened: &Happened) -> Option<ExitCode> {
    match happened {
        Happened::NotStarted(error) => Some(exit::of_start(error)),
        Happened::Left(Ok(())) => Some(ExitCode::from(exit::WELL)),
        Happened::Left(Err(error)) => Some(exit::of_deregistration(error)),
        _ => None,
    }
}

/// Returns the next input, or `None` at its end; never ready without input. Cancel safe.
async fn next_input<T: Send + 'static>(input: &mut Option<TypedLines<T>>) -> Option<T> {
    match input {
        Some(input) => input.next().await,
        None => future::pending().await,
    }
}

/// Waits for the next signal or, in a hurry, for the next Ctrl-C. Cancel safe.
pub(crate) async fn end_wanted(signals: &mut Signals, is_in_a_hurry: bool) {
    if is_in_a_hurry { signals.interrupted().await } else { signals.next().await }
}
