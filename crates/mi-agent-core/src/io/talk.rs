//! The task of one conversation, between its [`Connection`] and the program.

use std::collections::VecDeque;
use std::future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::OptionFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time;
use tracing::debug;

use super::connection::{Connection, now};
use super::handed_over::HandedOver;
use super::shutdown::ShutdownWatch;
use super::slot::{Hold, Slot};
use crate::conversation::{Conversation, Delivered, LineReceiver, LineSender, Peer, Progress, Said, Waiting};
use crate::error::ConversationError;
use crate::safe_text::PeerText;
use crate::state::conversation::ConversationState;
use crate::state::conversation_events::ConversationOutput;
use crate::state::conversation_slots::GaveWay;
use crate::state::intake::{Intake, Limited};
use crate::state::outgoing_lines::MAX_HANDED_OVER;
use crate::traffic::TrafficTap;

/// The options that all conversations of an agent share.
#[derive(Clone, Debug)]
pub(crate) struct ConversationOptions {
    /// The shortest time between two frames.
    pub(crate) pace: Duration,
    /// The pace at which a peer is read, if it is limited.
    pub(crate) intake: Option<Intake>,
    /// The number of frames of all conversations that are handed over and not written.
    pub(crate) outstanding: Arc<AtomicUsize>,
    /// Ends the conversations with their agent.
    pub(crate) shutdown: ShutdownWatch,
    /// Receives every frame that passes.
    pub(crate) tap: Option<TrafficTap>,
}

/// The program's side of a conversation, for the task.
pub(crate) struct Talk {
    said: mpsc::UnboundedReceiver<Said>,
    /// The room for frames that are handed over.
    room: Arc<Semaphore>,
    handed_over: HandedOver,
    has_hung_up: bool,
    /// The claim to the slot; `None` for a conversation that never gives way, or that has.
    hold: Option<Hold>,
    limited: Option<Limited>,
    /// The conversation is over for the program, and only its connection still has to end.
    has_given_way: bool,
    /// Dropped before `delivered`: a program that sees the end may call again at once.
    slot: Option<Slot>,
    /// `None` once the program has the end of a conversation that gave way.
    delivered: Option<mpsc::Sender<Delivered>>,
    /// The lines for which the program has no room: one, or two at the end.
    undelivered: VecDeque<Delivered>,
    waiting: Arc<Waiting>,
}

/// Creates a conversation and its task's side. It holds `slot` until the connection is closed and the program
/// has taken the end of the conversation, or has dropped the conversation.
pub(crate) fn pair(peer: Peer, slot: Slot, outstanding: Arc<AtomicUsize>) -> (Conversation, Talk) {
    let (sender, said) = mpsc::unbounded_channel();
    let (delivered, lines) = mpsc::channel(MAX_INCOMING);
    let room = Arc::new(Semaphore::new(MAX_HANDED_OVER));
    let progress = watch::Sender::new(Progress::default());
    let waiting = Arc::default();
    let handed_over = HandedOver::new(progress.clone(), Arc::clone(&outstanding));
    let sender = LineSender::new(sender, Arc::clone(&room), Arc::clone(&waiting), progress, outstanding);
    let receiver = LineReceiver::new(lines, slot.clone());
    let talk = Talk {
        said,
        room,
        handed_over,
        has_hung_up: false,
        hold: None,
        limited: None,
        has_given_way: false,
        slot: Some(slot),
        delivered: Some(delivered),
        undelivered: VecDeque::new(),
        waiting,
    };
    (Conversation::new(peer, sender, receiver), talk)
}

/// Carries on a conversation that has begun until it has ended.
pub(crate) async fn converse<S>(connection: Connection<S>, mut talk: Talk, shutdown: ShutdownWatch)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (unsent, is_answered) = carry_on(connection, &mut talk, shutdown).await;
    talk.ends(is_answered && unsent == 0);
    let unsent = (unsent > 0).then_some(Err(ConversationError::Unsent(unsent)));
    let Some(delivered) = &talk.delivered else { return };
    for last in std::mem::take(&mut talk.undelivered).into_iter().chain(unsent) {
        // An error: the program dropped the conversation, so it does not want to know.
        _ = delivered.send(last).await;
    }
}

/// Returns the number of frames that were handed over and not sent, and whether the peer answered the end.
async fn carry_on<S>(mut connection: Connection<S>, talk: &mut Talk, shutdown: ShutdownWatch) -> (usize, bool)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut begins, mut hurries) = (shutdown.clone(), shutdown);
    let (mut shutdown, mut hurry) = (pin!(begins.begun()), pin!(hurries.hurried()));
    let (mut is_shut_down, mut is_hurried) = (false, false);
    // The timer is here, on the agent's runtime, because the program may have none.
    let mut last_words = None;
    loop {
        tokio::select! {
            output = connection.next_but_sent(|left| talk.handed_over.frame_written(left)) => match output {
                ConversationOutput::LineSent => talk.waiting.line_sent(),
                ConversationOutput::HandedOver => talk.waiting.hand_over(),
                ConversationOutput::Ending => {
                    talk.accept_no_more();
                    // Lines that were handed over and have not been looked at are still sent.
                    if let Ok(said) = talk.said.try_recv() {
                        talk.handle(Some(said), &mut connection.state);
                    }
                }
                ConversationOutput::Left => {
                    last_words = talk.waiting.last_words().map(|limit| Box::pin(time::sleep(limit)));
                }
                ConversationOutput::Deliver(line) => talk.hear(line, &mut connection.state),
                ConversationOutput::Refused(line) => {
                    talk.deliver(Err(ConversationError::Refused(line)), &mut connection.state);
                }
                ConversationOutput::Lost => {
                    let loss = ConversationError::Lost(connection.loss());
                    talk.deliver(Err(loss), &mut connection.state);
                }
                ConversationOutput::Ended { unsent, unsaid, is_answered } => {
                    let (late_frames, late_lines) = talk.late().await;
                    debug!(remote = %connection.remote, unsent, unsaid, "the conversation has ended");
                    talk.waiting.end(unsaid + late_lines);
                    return (unsent + late_frames, is_answered);
                }
                _ => {}
            },
            said = talk.said.recv(), if !talk.has_hung_up => talk.handle(said, &mut connection.state),
            () = has_room(&talk.delivered), if !talk.undelivered.is_empty() => {
                if let Some(line) = talk.undelivered.pop_front() {
                    talk.pass_on(line, &mut connection.state);
                }
                talk.let_go();
            }
            reason = lost(&mut talk.hold), if talk.hold.is_some() => {
                debug!(remote = %connection.remote, %reason, "the conversation gives way to another caller");
                talk.gives_way(reason, &mut connection.state);
            }
            () = OptionFuture::from(last_words.as_mut()).map(drop), if last_words.is_some() => {
                last_words = None;
                talk.waiting.hear_no_more();
            }
            () = &mut shutdown, if !is_shut_down => {
                is_shut_down = true;
                connection.state.handle_shutdown(now(), false);
            }
            () = &mut hurry, if !is_hurried => {
                is_hurried = true;
                connection.state.handle_shutdown(now(), true);
            }
        }
    }
}

impl Talk {
    /// Lets the conversation give way to others, by this claim to its slot.
    pub(crate) fn held_by(mut self, hold: Hold) -> Self {
        self.hold = Some(hold);
        self
    }

    /// Handles what was said, and everything else that waits.
    fn handle(&mut self, mut said: Option<Said>, state: &mut ConversationState) {
        loop {
            match said {
                Some(Said::Line { frames, is_promised, room }) => {
                    self.said(frames.iter().any(|frame| !frame.as_str().is_empty()), true);
                    if is_promised {
                        self.handed_over.push(frames.len(), room);
                    }
                    state.handle_line(frames, is_promised);
                }
                Some(Said::HangUp) => self.accept_no_more(),
                None => {
                    self.has_hung_up = true;
                    return state.handle_hang_up(now());
                }
            }
            said = match self.said.try_recv() {
                Ok(said) => Some(said),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => return,
            };
        }
    }

    /// Refuses further lines. Those that wait for room learn it, too.
    fn accept_no_more(&mut self) {
        self.room.close();
        self.said.close();
        self.waiting.close();
        self.handed_over.wake_senders();
    }

    /// Counts the frames and lines that were said and came after the end.
    async fn late(&mut self) -> (usize, usize) {
        let (mut frames, mut lines) = (0, 0);
        self.accept_no_more();
        while let Some(said) = self.said.recv().await {
            match said {
                Said::Line { frames: late, is_promised: true, .. } => {
                    self.handed_over.push_late(late.len());
                    frames += late.len();
                }
                Said::Line { .. } => lines += 1,
                Said::HangUp => {}
            }
        }
        (frames, lines)
    }

    /// Nothing more is written, and nobody waits for it.
    fn ends(&mut self, is_answered: bool) {
        self.accept_no_more();
        self.handed_over.end(is_answered);
    }

    /// Records a line of this side or of the peer. An empty one keeps no slot.
    fn said(&self, is_text: bool, is_own: bool) {
        if let Some(hold) = self.hold.as_ref().filter(|_| is_text) {
            hold.said(is_own);
        }
    }

    /// Delivers a line of the peer.
    fn hear(&mut self, line: PeerText, state: &mut ConversationState) {
        self.said(!line.raw().is_empty(), false);
        let limited = state.limited();
        if let Some(hold) = &self.hold
            && std::mem::replace(&mut self.limited, limited) != limited
        {
            hold.limited(limited);
        }
        self.deliver(Ok(line), state);
    }

    /// Ends the conversation for the program now, so that its slot is free, and its connection in order.
    fn gives_way(&mut self, reason: GaveWay, state: &mut ConversationState) {
        self.hold = None;
        self.has_given_way = true;
        self.waiting.end(self.waiting.lines());
        self.undelivered.push_back(Err(ConversationError::GaveWay(reason)));
        state.handle_shutdown(now(), false);
    }

    /// Frees the slot of a conversation that gave way, once the program has everything.
    fn let_go(&mut self) {
        if self.has_given_way && self.undelivered.is_empty() {
            self.slot = None;
            self.delivered = None;
        }
    }

    fn deliver(&mut self, line: Delivered, state: &mut ConversationState) {
        if self.has_given_way {
            state.handle_taken();
        } else {
            self.pass_on(line, state);
        }
    }

    fn pass_on(&mut self, line: Delivered, state: &mut ConversationState) {
        let Some(delivered) = &self.delivered else { return };
        match delivered.try_send(line) {
            // Closed: the program dropped the conversation. The peer's text is read nevertheless.
            Ok(()) | Err(TrySendError::Closed(_)) => state.handle_taken(),
            Err(TrySendError::Full(line)) => self.undelivered.push_back(line),
        }
    }
}

/// The runtime may end before the conversation.
impl Drop for Talk {
    fn drop(&mut self) {
        self.ends(false);
    }
}

/// Waits until the program takes something, or stops taking anything. Cancel safe.
async fn has_room(delivered: &Option<mpsc::Sender<Delivered>>) {
    if let Some(delivered) = delivered {
        _ = delivered.reserve().await;
    }
}

/// Waits until the conversation has to give way, if it ever does. Cancel safe.
async fn lost(hold: &mut Option<Hold>) -> GaveWay {
    match hold {
        Some(hold) => hold.lost().await,
        None => future::pending().await,
    }
}

/// The limit of received lines that the program has not taken. Beyond it, the peer has to wait.
const MAX_INCOMING: usize = 64;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
