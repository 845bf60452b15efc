//! The ladder on the whole screen: a state, a view that draws it, and the loop that feeds both.

mod app;
mod view;

use std::env;
use std::time::Duration;

use anyhow::Context;
use crossterm::event::Event;
use full_screen::{Asked, JobControl, Keys, Reports, Screen};
use futures_util::FutureExt;
use tokio::time;

use self::app::App;
use self::view::Theme;
use super::source::{Source, SourceEvent};
use crate::signals::EndSignals;

/// Shows the messages about `user`, or all, until the user quits or a signal comes.
///
/// # Errors
/// The terminal cannot be used or is lost, or the source has no message.
pub(super) async fn run(
    mut source: Source,
    user: Option<&str>,
    mut signals: EndSignals,
) -> anyhow::Result<()> {
    let theme = Theme::new(env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()));
    let mut app = App::new(&source.owner, user);
    let mut keys = Keys::listen().context("cannot use the terminal")?;
    let mut job_control = JobControl::listen().context("cannot listen to signals")?;
    let mut screen = Screen::enter(Reports::default()).context("cannot use the terminal")?;
    let mut has_changed = true;
    while !app.is_left() {
        if has_changed && screen.draw(|frame| view::draw(frame, &mut app, &theme))? {
            has_changed = false;
        }
        tokio::select! {
            () = signals.come() => break,
            key = keys.next() => match key {
                Some(Event::Key(key)) => app.key(key),
                Some(Event::Paste(text)) => app.paste(&text),
                // The terminal may have cut off text, even if it has its old size again.
                Some(Event::Resize(..)) => screen.clear()?,
                Some(_) => continue,
                // The terminal is gone.
                None => break,
            },
            asked = job_control.next() => match asked {
                Asked::ToStop => app.suspend(),
                Asked::ToGoOn => screen.resume()?,
            },
            written = screen.write(), if screen.has_to_write() => {
                written.context("the terminal is lost")?;
                // The state has not changed.
                continue;
            }
            seen = source.next(), if !app.has_ended() => take(&mut app, &mut source, seen),
        }
        if app.take_redrawn() {
            screen.clear()?;
        }
        if app.take_suspended() {
            tokio::select! {
                () = signals.come() => break,
                suspended = job_control.suspend(&mut screen) => {
                    suspended.context("the terminal is lost")?;
                }
            }
        }
        has_changed = true;
    }
    // Output that the terminal does not take in time is lost.
    _ = time::timeout(LAST_WORDS, screen.leave()).await;
    drop(screen);
    app.end()
}

/// Handles an event, and others that are there at once, before the next drawing.
fn take(app: &mut App, source: &mut Source, seen: anyhow::Result<SourceEvent>) {
    app.handle(seen);
    for _ in 0..TOGETHER {
        if app.has_ended() {
            return;
        }
        let Some(seen) = source.next().now_or_never() else { return };
        app.handle(seen);
    }
}

/// The maximum number of events before a drawing, so that keys never wait for longer.
const TOGETHER: usize = 1000;

/// The time for the terminal to be restored, before the program ends anyway.
const LAST_WORDS: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests;
