//! `lumi-node watch --mermaid`: prints the messages as a sequence diagram.

use message_ladder::{Ladder, mermaid};

use super::print;
use super::source::{AWAY, BACK, LineCounts, Source, SourceEvent, say};
use crate::signals::EndSignals;

/// Prints a diagram of the messages about `user`, or of all, when `source` ends or a signal comes.
///
/// # Errors
/// The source cannot be read, or stdout cannot be written to.
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
            Ok(SourceEvent::Away) => say(AWAY),
            Ok(SourceEvent::Back) => say(BACK),
            Ok(SourceEvent::End(reason)) => {
                if source.is_live {
                    say(&reason);
                }
                break lines.end();
            }
            // The messages read so far are printed in spite of the error.
            Err(error) => break Err(error),
        }
    };
    if count > MAX_ARROWS as u64 {
        say(&format!("of {count} messages, the diagram has the last {MAX_ARROWS}"));
    }
    print(mermaid(&ladder, user).as_bytes(), &mut signals).await?;
    ended
}

/// The maximum number of messages in a diagram: far more than Mermaid draws, and some ten megabytes.
const MAX_ARROWS: usize = 20_000;
