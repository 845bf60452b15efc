//! Line mode, for scripts, pipes and screen readers.
//!
//! Its state prints nothing and waits for nothing. Lines and events come in, and effects come out of
//! [`FrontEnd::poll_effect`].

use std::collections::VecDeque;

use mi_agent_core::{Admission, ConversationId, OutboxItem, SayError, safe_text};
use plumi_proto::MiAddress;

use crate::admission::AdmissionCommand;
use crate::command::{Command, CommandError, Mode, also, in_mode};
use crate::line_by_line::{Effect, FrontEnd};
use crate::reason::Reason;
use crate::report::Report;
use crate::session::post::{PostWish, later};
use crate::session::{Done, Happened, Leave, Refused, Wish};
use crate::typed_lines::TypedLines;
use crate::{keys, mail, reason};

/// The state of line mode: the user's address, and the commands that are possible now.
#[derive(Debug)]
pub(crate) struct LineMode {
    own: MiAddress,
    shows_hints: bool,
    admission: Admission,
    conversation: Option<ConversationId>,
    /// The event that the next line waits for. A script need not know how long a call takes.
    waits_for: Option<WaitsFor>,
    effects: VecDeque<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    Answer,
    HandedOver,
    End,
    Keys,
    Outbox,
}

impl LineMode {
    /// Creates the line mode of the user at `own`. It reports `troubles` first.
    pub(crate) fn new(own: MiAddress, admission: Admission, shows_hints: bool, troubles: &[String]) -> Self {
        let effects = VecDeque::new();
        let mut new = Self { own, shows_hints, admission, conversation: None, waits_for: None, effects };
        if shows_hints {
            new.news(&format!("registering {own}"));
        }
        for trouble in troubles {
            new.failure(trouble);
        }
        new
    }

    fn help(&mut self) {
        let commands = in_mode(Mode::Line).map(|known| (known.usage(), known.meaning));
        let also = also(Mode::Line).map(|(typed, meaning)| (typed.to_owned(), meaning));
        for (typed, meaning) in commands.chain(also) {
            self.news(&format!("{typed:<22} {meaning}"));
        }
    }

    /// Changes which users may call.
    fn admit(&mut self, command: AdmissionCommand) {
        let before = self.admission.clone();
        match command.carry_out(&mut self.admission) {
            Ok(words) => {
                if self.admission != before {
                    self.wish(Wish::SetAdmission(self.admission.clone()), None);
                }
                self.news(&words);
            }
            Err(error) => self.failure(&error.to_string()),
        }
    }

    fn post(&mut self, wish: PostWish) {
        self.wish(Wish::Post(wish), Some(WaitsFor::Outbox));
    }

    fn wish(&mut self, wish: Wish, waits_for: Option<WaitsFor>) {
        self.waits_for = waits_for;
        self.effects.push_back(Effect::Wish(wish));
    }

    /// Says what has become of a message.
    fn mail(&mut self, item: Option<&OutboxItem>) {
        if let Some(words) = item.and_then(mail::words) {
            self.news(&words);
        }
    }

    fn news(&mut self, text: &str) {
        self.effects.push_back(Effect::Print(marked('*', text)));
    }

    fn failure(&mut self, text: &str) {
        self.effects.push_back(Effect::Print(marked('!', text)));
    }
}

impl FrontEnd for LineMode {
    type Input = String;

    fn input(&self) -> Option<TypedLines> {
        Some(TypedLines::start())
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn takes_input(&self) -> bool {
        self.waits_for.is_none()
    }

    fn typed(&mut self, line: Option<String>) {
        // A script may have piped more than a peer has read so far.
        let Some(line) = line else { return self.effects.push_back(Effect::Leave(Leave::InOrder)) };
        match (Command::parse(&line, Mode::Line, &self.own), self.conversation) {
            (Ok(Command::Quit), _) => self.effects.push_back(Effect::Leave(Leave::Soon)),
            (Ok(Command::Call(_)), Some(_)) => self.failure(IN_A_CONVERSATION),
            (Ok(Command::Call(Some(to))), None) => {
                self.news(&format!("calling {to}"));
                self.wish(Wish::Call(to), Some(WaitsFor::Answer));
            }
            (Ok(Command::Plain(_)), Some(_)) => self.failure(IN_A_CONVERSATION),
            (Ok(Command::Plain(Some(to))), None) => {
                self.wish(Wish::PermitPlain(to), None);
                self.news(&format!("calling {to} once without encryption"));
                self.wish(Wish::Call(to), Some(WaitsFor::Answer));
            }
            (Ok(Command::Words), _) => self.wish(Wish::OwnWords, None),
            (
                Ok(
                    Command::Verify { address: Some(address), words }
                    | Command::Trust { address: Some(address), words: Some(words) },
                ),
                _,
            ) => self.wish(Wish::Verify { address, words }, Some(WaitsFor::Keys)),
            (Ok(Command::Trust { address: Some(address), words: None }), _) => {
                self.wish(Wish::Trust(address), Some(WaitsFor::Keys));
            }
            (Ok(Command::Later(to, text)), _) => self.post(later(to, text)),
            (Ok(Command::Resend(id)), _) => self.post(PostWish::Resend(id)),
            (Ok(Command::Forget(id)), _) => self.post(PostWish::Forget(id)),
            (Ok(Command::Bye), Some(id)) => self.wish(Wish::HangUp(id), Some(WaitsFor::End)),
            (Ok(Command::Bye), None) => self.failure("you are in no conversation"),
            (Ok(Command::Help), _) => self.help(),
            (Ok(Command::Admission(command)), _) => self.admit(command),
            // An unknown command is sent as a line: a script must not lose a line that begins with a path.
            (
                Ok(Command::Say(text))
                | Err(CommandError::Unknown(text) | CommandError::Argument { line: text, .. }),
                Some(id),
            ) => {
                self.wish(Wish::Say { id, text: text.to_owned() }, Some(WaitsFor::HandedOver));
            }
            (Ok(Command::Say(text)), None) if text.trim().is_empty() => {}
            (Ok(Command::Say(_)), None) => {
                self.failure("you are in no conversation, so nobody hears that; /call ADDRESS starts one");
            }
            // These are commands of the full screen. Line mode does not read them.
            (
                Ok(
                    Command::Call(None)
                    | Command::Plain(None)
                    | Command::Verify { address: None, .. }
                    | Command::Trust { address: None, .. }
                    | Command::Contacts
                    | Command::Add(_)
                    | Command::Find(_)
                    | Command::Protocol
                    | Command::Close,
                ),
                _,
            ) => {}
            (Err(error), _) => self.failure(&error.to_string()),
        }
    }

    fn answered(&mut self, answer: Result<Done, Refused>) {
        let failure = match answer {
            Ok(done) => {
                // It comes before any words about later wishes.
                let words = keys::answer(done).map(|words| Effect::Print(marked('*', &words)));
                words.into_iter().for_each(|print| self.effects.push_front(print));
                return;
            }
            // The end of the conversation is reported anyway.
            Err(Refused::NotSaid(SayError::Ended)) => None,
            Err(Refused::NotSaid(error)) => Some(format!("not sent: {error}")),
            Err(refused) => Some(refused.to_string()),
        };
        self.waits_for = None;
        if let Some(failure) = failure {
            // The failure comes before any words about the effect of the wish.
            self.effects.push_front(Effect::Print(marked('!', &failure)));
        }
    }

    fn happened(&mut self, happened: &Happened) {
        match happened {
            Happened::Begun { id, call, .. } => {
                self.conversation = Some(*id);
                if call.is_some() {
                    self.waits_for = None;
                }
            }
            Happened::CallFailed { to, error, .. } => {
                self.waits_for = None;
                self.failure(&format!("cannot reach {to}: {}", reason::of_call(error)));
                if let Some(hint) = reason::hint_for_call(&self.own, to, error) {
                    self.news(&hint);
                }
            }
            // A conversation that began during the user's departure has not been reported.
            Happened::Line { id, .. }
            | Happened::ConversationFailed { id, .. }
            | Happened::KeyRefused { id, .. }
            | Happened::NotSent { id, .. }
            | Happened::Ended { id, .. }
                if self.conversation != Some(*id) =>
            {
                return;
            }
            Happened::HandedOver(id)
                if self.conversation == Some(*id) && self.waits_for == Some(WaitsFor::HandedOver) =>
            {
                self.waits_for = None;
            }
            Happened::Ended { .. } => {
                self.conversation = None;
                if matches!(self.waits_for, Some(WaitsFor::HandedOver | WaitsFor::End)) {
                    self.waits_for = None;
                }
            }
            Happened::Answered(answer) => {
                self.waits_for = None;
                self.answered(answer.clone());
            }
            Happened::Posted { answer, .. } => {
                self.waits_for = None;
                match answer {
                    Ok(item) => self.mail(item.as_ref()),
                    Err(error) => self.failure(&format!("not kept: {}", Reason(error))),
                }
            }
            Happened::Mail(item) => self.mail(Some(item)),
            Happened::NotKept(trouble) => self.failure(trouble),
            _ => {}
        }
        if let Some(words) = Report::of(self.own, happened, None).and_then(|report| report.words(false)) {
            self.effects.push_back(Effect::Print(words));
        }
        if matches!(happened, Happened::KeyRefused { .. }) {
            self.news(&reason::hint_for_own_key(&self.own));
        }
        if matches!(happened, Happened::Started { .. }) && self.shows_hints {
            self.news("type /call ADDRESS to call somebody, or wait to be called; /help says more");
        }
    }

    fn left_at_once(&mut self) {
        self.failure("left without being deregistered");
    }
}

/// The reply to a call while there is a conversation.
const IN_A_CONVERSATION: &str = "you are in a conversation; /bye ends it";

/// Formats a line, so that it is safe to show.
fn marked(mark: char, text: &str) -> String {
    format!("{mark} {}", safe_text(text))
}

#[cfg(test)]
mod tests;
