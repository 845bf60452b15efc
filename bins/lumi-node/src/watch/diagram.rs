//! `lumi-node watch --mermaid`: a sequence diagram of what was seen.

use message_ladder::{Ladder, mermaid};

use super::print;
use super::source::{LineCounts, Source, SourceEvent, say};
use crate::signals::EndSignals;

/// Prints the diagram of what `source` has about `user`, or of all, when that ends or a signal comes.
///
/// # Errors
/// It cannot be read, or not be printed.
pub(super) async fn run(
    mut source: Source,
    user: Option<&str>,
    mut signals: EndSignals,
) -> anyhow::Result<()> {
    let mut ladder = Ladder::new(&source.owner, MAX_ARROWS);
    let mut lines = LineCounts::default();
    let mut count: u64 = 0;
    if source.is_live {
        say("the diagram is printed at the end: Ctrl-C ends it");
    }
    let ended = loop {
        let seen = tokio::select! {
            biased;
            () = signals.come() => break Ok(()),
            seen = source.next() => seen,
        };
        match seen {
            Ok(SourceEvent::Message { number, at, entry }) => {
                lines.read();
                count += 1;
                number.into_iter().for_each(|number| ladder.skip_to(number));
                ladder.push(at, &entry);
            }
            Ok(SourceEvent::Missed(count)) => say(&format!("{count} messages passed too fast to be seen")),
            Ok(SourceEvent::Wrong { line, reason }) => lines.wrong(line, &reason),
            Ok(SourceEvent::End(reason)) => {
                if source.is_live {
                    say(&reason);
                }
                break lines.end();
            }
            // What was seen is not lost with it.
            Err(error) => break Err(error),
        }
    };
    if count > MAX_ARROWS as u64 {
        say(&format!("of {count} messages, the diagram has the last {MAX_ARROWS}"));
    }
    print(mermaid(&ladder, user).as_bytes(), &mut signals).await?;
    ended
}

/// The most messages of a diagram: far more than Mermaid draws, and some ten megabytes.
const MAX_ARROWS: usize = 20_000;
