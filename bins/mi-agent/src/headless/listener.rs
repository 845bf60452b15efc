//! `mi-agent listen` at work: orders of a program become wishes, and events become its reports.

use std::collections::{BTreeMap, VecDeque};

use mi_agent_core::{ConversationId, PublicKey, SayError};
use plumi_proto::MiAddress;

use super::commands::{self, Command, Given, NoCommand, Order};
use crate::clock;
use crate::line_by_line::{Effect, FrontEnd};
use crate::report::{Reference, Report, SafeText, key_text};
use crate::session::post::{PostId, PostWish};
use crate::session::{CallId, Done, Happened, Leave, Refused, Wish};
use crate::typed_lines::TypedLines;

/// A program that uses an agent.
pub(crate) struct Listener {
    own: MiAddress,
    format: Format,
    /// The order that is being carried out: until its wish is answered, or the program has quit.
    order: Option<Order>,
    /// The orders about keys that are on their way to the disk, the oldest first.
    of_keys: VecDeque<Order>,
    /// The orders that calls answer.
    calls: BTreeMap<CallId, Option<Reference>>,
    /// The orders that the outbox answers, with their names.
    posts: BTreeMap<PostId, (&'static str, Option<Reference>)>,
    /// The conversations that were reported, with the order that ends each.
    conversations: BTreeMap<ConversationId, Option<Reference>>,
    effects: VecDeque<Effect>,
}

/// The format of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    Json,
    Words {
        /// Several conversations were asked for, so their lines are numbered.
        numbered: bool,
    },
}

impl Listener {
    pub(crate) fn new(own: MiAddress, format: Format) -> Self {
        let (of_keys, calls, posts, conversations, effects) = Default::default();
        Self { own, format, order: None, of_keys, calls, posts, conversations, effects }
    }

    /// Creates one that comes while `conversations` go on, and reports in JSON.
    pub(crate) fn attached(own: MiAddress, conversations: impl IntoIterator<Item = ConversationId>) -> Self {
        let conversations = conversations.into_iter().map(|id| (id, None)).collect();
        Self { conversations, ..Self::new(own, Format::Json) }
    }

    fn report(&mut self, report: &Report) {
        let line = match self.format {
            Format::Json => Some(report.json(clock::now())),
            Format::Words { numbered } => report.words(numbered),
        };
        self.effects.extend(line.map(Effect::Print));
    }

    /// Reports what became of an order.
    fn answer(&mut self, Order { command, reference }: Order, answer: Result<Done, Refused>) {
        match (command, answer) {
            // The answer to the call counts.
            (Command::Plain(to), Ok(Done::AtOnce)) => {
                self.effects.push_back(Effect::Wish(Wish::Call(to)));
                self.order = Some(Order { command: Command::Call(to), reference });
            }
            (command, Ok(Done::Later)) => self.of_keys.push_back(Order { command, reference }),
            (_, Ok(Done::Verified { address, key })) => {
                self.report(&trusted(address, "verified", &key, reference));
            }
            (_, Ok(Done::Trusted { address, key })) => {
                self.report(&trusted(address, "known", &key, reference));
            }
            (command, Ok(Done::Posting(post))) => {
                self.posts.insert(post, (name_of(&command), reference));
            }
            (_, Ok(Done::Calling(call))) => {
                self.calls.insert(call, reference);
            }
            (Command::Say { to, .. }, Ok(Done::Queued { waiting })) => {
                self.report(&Report::Said { conversation: to, waiting, reference });
            }
            // Its end answers.
            (Command::Bye(conversation), Ok(_)) => {
                self.conversations.insert(conversation.into(), reference);
            }
            (command, Err(refused)) => self.report(&refusal(&command, refused, reference)),
            _ => {}
        }
    }
}

impl FrontEnd for Listener {
    type Input = Given;

    fn input(&self) -> Option<TypedLines<Given>> {
        matches!(self.format, Format::Json).then(commands::start)
    }

    fn takes_input(&self) -> bool {
        true
    }

    fn typed(&mut self, given: Option<Given>) {
        match given {
            Some((_, Ok(order))) => {
                self.effects.push_back(match &order.command {
                    Command::Call(to) => Effect::Wish(Wish::Call(*to)),
                    Command::Say { text, to } => {
                        Effect::Wish(Wish::Say { id: (*to).into(), text: text.clone() })
                    }
                    Command::Bye(conversation) => Effect::Wish(Wish::HangUp((*conversation).into())),
                    Command::Verify { address, words } => {
                        Effect::Wish(Wish::Verify { address: *address, words: *words })
                    }
                    Command::Trust(address) => Effect::Wish(Wish::Trust(*address)),
                    Command::Plain(to) => Effect::Wish(Wish::PermitPlain(*to)),
                    Command::Later { text, to, keep } => {
                        let (to, text, keep) = (*to, text.clone(), *keep);
                        Effect::Wish(Wish::Post(PostWish::Later { to, text, keep }))
                    }
                    Command::Resend(id) => Effect::Wish(Wish::Post(PostWish::Resend(*id))),
                    Command::Forget(id) => Effect::Wish(Wish::Post(PostWish::Forget(*id))),
                    Command::Quit => Effect::Leave(Leave::InOrder),
                });
                self.order = Some(order);
            }
            Some((line, Err(NoCommand { reason, reference }))) => {
                self.report(&Report::Error { line, reason: SafeText::new(reason), reference });
            }
            // It goes on without orders.
            None => {}
        }
    }

    fn answered(&mut self, answer: Result<Done, Refused>) {
        if let Some(order) = self.order.take() {
            self.answer(order, answer);
        }
    }

    fn happened(&mut self, happened: &Happened) {
        if let Happened::Answered(answer) = happened {
            if let Some(order) = self.of_keys.pop_front() {
                self.answer(order, answer.clone());
            }
            return;
        }
        let mut of_post = None;
        let reference = match happened {
            Happened::Posted { post, .. } => self.posts.remove(post).and_then(|(name, reference)| {
                of_post = Some(name);
                reference
            }),
            Happened::Begun { id, call, .. } => {
                self.conversations.insert(*id, None);
                call.and_then(|call| self.calls.remove(&call)).flatten()
            }
            Happened::CallFailed { call, .. } => self.calls.remove(call).flatten(),
            // A conversation that began while the program quit has not been reported.
            Happened::Line { id, .. }
            | Happened::ConversationFailed { id, .. }
            | Happened::KeyRefused { id, .. }
            | Happened::Ended { id, .. }
                if !self.conversations.contains_key(id) =>
            {
                return;
            }
            Happened::Ended { id, .. } => self.conversations.remove(id).flatten(),
            Happened::Left(_) => self.order.take().and_then(|quit| quit.reference),
            _ => None,
        };
        if let Some(mut report) = Report::of(self.own, happened, reference) {
            if let (Report::Failed { command, .. }, Some(name)) = (&mut report, of_post) {
                *command = name;
            }
            self.report(&report);
        }
    }

    fn left_at_once(&mut self) {
        let (address, reason) = (SafeText::new(self.own), SafeText::new("interrupted"));
        self.report(&Report::NotDeregistered { address, reason, reference: None });
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }
}

/// The answer to an order that was not carried out.
fn refusal(command: &Command, refused: Refused, reference: Option<Reference>) -> Report {
    let (address, conversation) = match command {
        Command::Verify { address, .. } | Command::Trust(address) => (Some(SafeText::new(address)), None),
        Command::Call(to) | Command::Plain(to) | Command::Later { to, .. } => (Some(SafeText::new(to)), None),
        Command::Say { to, .. } => (None, Some(*to)),
        Command::Bye(conversation) => (None, Some(*conversation)),
        Command::Resend(_) | Command::Forget(_) | Command::Quit => (None, None),
    };
    let command = name_of(command);
    let kind = match &refused {
        Refused::TooManyCalls => "engaged",
        Refused::NoConversation => "no-conversation",
        Refused::NotSaid(error) => kind_of_say(error),
        Refused::NotTrusted { .. } => "not-trusted",
        Refused::NotNow | Refused::NotKept(_) | Refused::NoKey => "other",
    };
    let reason = SafeText::new(refused);
    Report::Failed { command, address, conversation, kind, reason, keys: None, reference }
}

/// Programs rely on these words.
fn name_of(command: &Command) -> &'static str {
    match command {
        Command::Verify { .. } => "verify",
        Command::Trust(_) => "trust",
        Command::Call(_) | Command::Plain(_) => "call",
        Command::Say { .. } => "say",
        Command::Bye(_) => "bye",
        Command::Later { .. } => "later",
        Command::Resend(_) => "resend",
        Command::Forget(_) => "forget",
        Command::Quit => "quit",
    }
}

fn trusted(address: MiAddress, trust: &'static str, key: &PublicKey, reference: Option<Reference>) -> Report {
    Report::Trusted { address: SafeText::new(address), trust, key: key_text(key), reference }
}

/// Programs rely on these words.
fn kind_of_say(error: &SayError) -> &'static str {
    match error {
        SayError::Text(_) => "text",
        SayError::Full => "full",
        SayError::Ended => "no-conversation",
        _ => "other",
    }
}
