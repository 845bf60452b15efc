//! The ladder on the whole screen: a state, a view that draws it, and the loop between them and the world.

mod app;
mod view;

use std::env;
use std::time::Duration;

use anyhow::Context;
use crossterm::event::{Event, EventStream};
use full_screen::{Asked, JobControl, Reports, Screen};
use futures_util::{FutureExt, StreamExt};
use tokio::time;

use self::app::App;
use self::view::Theme;
use super::source::{Source, SourceEvent};
use crate::signals::EndSignals;

/// Shows what `source` has about `user`, or all of it, until the user leaves or a signal comes.
///
/// # Errors
/// The terminal cannot be used, or is lost; there was nothing to read.
pub(super) async fn run(
    mut source: Source,
    user: Option<&str>,
    mut signals: EndSignals,
) -> anyhow::Result<()> {
    let theme = Theme::new(env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()));
    let mut app = App::new(&source.owner, user);
    let mut keys = EventStream::new();
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
                Some(Ok(Event::Key(key))) => app.key(key),
                Some(Ok(Event::Paste(text))) => app.paste(&text),
                // Even to the size that it had: what was cut off meanwhile is gone.
                Some(Ok(Event::Resize(..))) => screen.clear()?,
                Some(Ok(_)) => continue,
                // The terminal is gone.
                Some(Err(_)) | None => break,
            },
            asked = job_control.next() => match asked {
                Asked::ToStop => app.suspend(),
                Asked::ToGoOn => screen.resume()?,
            },
            written = screen.write(), if screen.has_to_write() => {
                written.context("the terminal is lost")?;
                // Nothing else has happened.
                continue;
            }
            seen = source.next(), if !app.has_ended() => take(&mut app, &mut source, seen),
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
    // What nobody takes is lost.
    _ = time::timeout(LAST_WORDS, screen.leave()).await;
    drop(screen);
    app.end()
}

/// What came, and what else there is: it is drawn together.
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

/// What is taken before it is drawn: keys do not wait for longer.
const TOGETHER: usize = 1000;

/// How long a terminal may take to be given back before the rest of the program is.
const LAST_WORDS: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests;
