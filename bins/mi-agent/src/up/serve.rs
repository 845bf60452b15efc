//! The loop of an agent that is up: between its session, its fronts and signals.

use std::io;
use std::process::ExitCode;

use plumi_proto::MiAddress;

use super::fronts::{FrontEvent, Fronts};
use super::hub::{Effect, Hub};
use super::service;
use crate::exit;
use crate::line_by_line::{end_wanted, exit_code};
use crate::printed_lines::PrintedLines;
use crate::report::Report;
use crate::session::{Happened, Leave, Session};
use crate::signals::{HURRY, LAST_WORDS, Signals};

/// Runs until the session is over. The first signal hurries, and then Ctrl-C ends the program at once.
///
/// # Errors
/// The line that the agent is up cannot be printed. The user has been deregistered nevertheless.
pub(super) async fn run(
    own: MiAddress,
    mut hub: Hub,
    mut session: Session,
    mut fronts: Fronts,
    signals: &mut Signals,
) -> io::Result<ExitCode> {
    let mut printed = PrintedLines::on_stdout();
    let (mut code, mut failure) = (None, None);
    let code = loop {
        while let Some(effect) = hub.poll_effect() {
            carry_out(effect, &mut hub, &mut session, &mut fronts);
        }
        if let Some(code) = code {
            break code;
        }
        let is_in_a_hurry = session.is_in_a_hurry();
        let is_printing = printed.has_to_print();
        tokio::select! {
            // The fronts go on while nobody reads that line.
            done = printed.print(), if is_printing => if let Err(error) = done {
                failure = Some(error);
                session.leave(Leave::Hurried);
            },
            happened = session.next() => {
                code = exit_code(&happened);
                if let Happened::Started { .. } = &happened {
                    service::ready();
                    printed.push(&format!("mi-agent: {own} is up"));
                }
                log(own, &happened);
                hub.happened(&happened, session.is_leaving());
            }
            event = fronts.next() => match event {
                FrontEvent::Came(front) => hub.came(front),
                FrontEvent::Gave(front, line) => hub.gave(front, line),
                FrontEvent::Left(front) => hub.left(front),
            },
            () = end_wanted(signals, is_in_a_hurry) => {
                if is_in_a_hurry && code.is_none() {
                    hub.left_at_once();
                    code = Some(ExitCode::from(exit::FAILURE));
                } else {
                    session.leave(Leave::Hurried);
                    printed.hurry(HURRY + LAST_WORDS);
                }
            }
        }
    };
    service::stopping();
    printed.hurry(LAST_WORDS);
    // With a limit there is no error.
    _ = printed.print().await;
    // The next agent of the address has a socket of its own, once the session has given up the lock.
    fronts.stop_listening();
    if session.finish().is_err() {
        tracing::warn!("the disk takes too long, so the last lines may not be kept");
    }
    // The address is free by now, so whoever waits for the end of the connection can use it.
    fronts.finish(LAST_WORDS).await;
    failure.map_or(Ok(code), Err)
}

fn carry_out(effect: Effect, hub: &mut Hub, session: &mut Session, fronts: &mut Fronts) {
    match effect {
        Effect::Tell(front, line) => {
            if !fronts.tell(front, &line) {
                hub.gone(front);
            }
        }
        Effect::Close(front) => fronts.close(front),
        Effect::Wish(front, wish) => {
            let answer = session.carry_out(wish.clone());
            hub.answered(front, &wish, answer);
        }
        Effect::Keep(wish) => {
            if let Err(refused) = session.carry_out(wish) {
                tracing::warn!("something is not kept: {refused}");
            }
        }
        Effect::Leave(how) => session.leave(how),
    }
}

/// Logs what whoever runs the agent has to know.
fn log(own: MiAddress, happened: &Happened) {
    match happened {
        Happened::NotStarted(_)
        | Happened::StartDelayed { .. }
        | Happened::RegistrationLost(_)
        | Happened::RegistrationRegained { .. }
        | Happened::Unproved { .. }
        | Happened::Left(Err(_)) => {
            let words = Report::of(own, happened, None).and_then(|report| report.words(false));
            // A mark says nothing in a log.
            words.iter().flat_map(|words| words.lines()).for_each(|line| {
                tracing::warn!("{}", line.trim_start_matches(['!', '*', ' ']));
            });
        }
        Happened::NotKept(reason) => tracing::warn!("{reason}"),
        Happened::KeptAgain => tracing::warn!("everything is kept again"),
        _ => {}
    }
}
