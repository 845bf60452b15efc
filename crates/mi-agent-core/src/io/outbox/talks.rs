//! The conversations of an outbox: calls, what is sent, and the end.

use std::num::NonZeroU8;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use plumi_proto::MiAddress;
use tokio::time;

use crate::agent::Agent;
use crate::conversation::{Conversation, Ending};
use crate::error::{CallError, ConversationError, LocateError};
use crate::peer_security::PeerSecurity;
use crate::safe_text::PeerText;
use crate::state::outbox::{Finished, ItemId, OutboxItem, Tried, Written};
use crate::state::request::RequestSchedule;

/// Something that has come of a wait.
pub(super) enum Step {
    /// The try with this number has failed.
    Failed(MiAddress, u64, Tried),
    Begun(MiAddress, Conversation),
    Written(MiAddress, ItemId, Written),
    /// The peer says something after it has everything.
    Spoke(MiAddress, Conversation, PeerText),
    Over(MiAddress, Finished),
    Nothing,
}

pub(super) type Steps = FuturesUnordered<Wait>;

type Wait = Pin<Box<dyn Future<Output = Step> + Send>>;

/// Asks once where the user is, and calls. An answer that comes late is followed by the call as well: some deployed
/// agents are deaf until then (protocol.md §7).
pub(super) fn try_once(agent: Agent, user: MiAddress, number: u64) -> Wait {
    Box::pin(async move {
        let schedule = RequestSchedule::new(NonZeroU8::MIN, LATEST_ANSWER);
        match agent.call_by(user, Some(schedule)).await {
            Ok(conversation) => Step::Begun(user, conversation),
            Err(error) => Step::Failed(user, number, tried(&error)),
        }
    })
}

/// Waits for as long as an answer may take before the next user may be asked for.
pub(super) fn patience(user: MiAddress, number: u64) -> Wait {
    Box::pin(async move {
        time::sleep(PATIENCE).await;
        Step::Failed(user, number, Tried::Silent)
    })
}

/// Sends the lines of a message, and waits until they are written.
pub(super) fn write(conversation: &Conversation, item: &OutboxItem, lines: Vec<String>) -> Wait {
    let (user, id) = (item.to, item.id);
    let sender = conversation.sender();
    Box::pin(async move {
        let mut handed_over = 0;
        for line in &lines {
            if sender.send(line).await.is_err() {
                break;
            }
            handed_over += 1;
        }
        let written = match handed_over {
            0 => Written::Nothing,
            _ if handed_over == lines.len() && sender.flush().await.is_ok() => Written::All,
            _ => Written::Part,
        };
        Step::Written(user, id, written)
    })
}

/// Ends a conversation once the peer has had time to say something.
pub(super) fn finish(mut conversation: Conversation, user: MiAddress) -> Wait {
    Box::pin(async move {
        // Whoever sends plain text can imitate a refusal, and would get everything again.
        let refused = match conversation.peer().security {
            PeerSecurity::Plain { .. } => Finished::Broken,
            #[cfg(feature = "secure")]
            PeerSecurity::Tls { .. } => Finished::Refused,
        };
        let ending = conversation.ending();
        match time::timeout(LISTENS, conversation.next_line()).await {
            Ok(Ok(Some(said))) => return Step::Spoke(user, conversation, said),
            Ok(Err(ConversationError::Refused(_))) => return Step::Over(user, refused),
            Ok(_) => {}
            Err(_) => {
                if let Err(ConversationError::Refused(_)) = hang_up(conversation).await {
                    return Step::Over(user, refused);
                }
            }
        }
        over_at(ending, user).await
    })
}

/// Waits until the conversation is over, whoever has it.
pub(super) fn over(ending: Ending, user: MiAddress) -> Wait {
    Box::pin(over_at(ending, user))
}

/// Ends a conversation that nobody needs.
pub(super) fn let_go(conversation: Conversation) -> Wait {
    Box::pin(async move {
        _ = hang_up(conversation).await;
        Step::Nothing
    })
}

async fn over_at(ending: Ending, user: MiAddress) -> Step {
    let finished = if ending.answered().await { Finished::Answered } else { Finished::Broken };
    Step::Over(user, finished)
}

async fn hang_up(conversation: Conversation) -> Result<(), ConversationError> {
    let mut lines = conversation.hang_up();
    while lines.next_line().await?.is_some() {}
    Ok(())
}

fn tried(error: &CallError) -> Tried {
    match error {
        CallError::Locate(LocateError::Busy) | CallError::Engaged => Tried::Busy,
        CallError::Locate(LocateError::NoSuchUser) => Tried::NoSuchUser,
        CallError::Locate(LocateError::NoAnswer { .. } | LocateError::PeerSilent { .. }) => Tried::Silent,
        #[cfg(feature = "secure")]
        CallError::NotSecure(_) | CallError::KeyChanged { .. } => Tried::TooWeak,
        _ => Tried::Offline,
    }
}

/// The time in which most answers come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time in which an answer still comes. The agent has few requests at a time, and its user wants some.
const LATEST_ANSWER: Duration = Duration::from_secs(20);

/// The time that a peer has to say something before the conversation ends.
const LISTENS: Duration = Duration::from_secs(15);
