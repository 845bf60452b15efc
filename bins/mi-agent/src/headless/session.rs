//! An agent that a program uses: what happens is told, what it commands is done.

use std::collections::BTreeMap;
use std::future;
use std::io;
use std::process::ExitCode;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mi_agent_core::{
    Agent, CallError, Conversation, ConversationError, ConversationId, Conversations, DeregisterError, Event,
    Events, Heard, LocateError, Refusal, SayError,
};
use plumi_proto::MiAddress;
use tokio::time;

use super::commands::{Command, Commands, Given, NoCommand, Order};
use super::output::Output;
use crate::exit;
use crate::options::values::MAX_CONVERSATIONS;
use crate::report::Reference;
use crate::report::{Report, Shown, Way};
use crate::session::refusals::Refusals;
use crate::signals::{HURRY, LAST_WORDS, Signals};

/// A running agent and the program that uses it.
pub(crate) struct Session {
    agent: Agent,
    events: Events,
    /// Until the end of input.
    commands: Option<Commands>,
    calls: FuturesUnordered<BoxFuture<'static, Called>>,
    conversations: Conversations,
    talks: BTreeMap<u64, Talk>,
    refusals: Refusals,
    /// Of the command to quit.
    quit: Option<Reference>,
    output: Output,
}

/// What became of a call.
struct Called {
    to: MiAddress,
    reference: Option<Reference>,
    outcome: Result<Conversation, CallError>,
}

/// What there is to know of a conversation whose end has not been heard.
struct Talk {
    id: ConversationId,
    nickname: Shown,
    lost: bool,
    /// Of the command that ends it.
    bye: Option<Reference>,
}

impl Session {
    pub(crate) fn new(agent: Agent, events: Events, output: Output) -> Self {
        let commands = output.json.then(Commands::start);
        let (calls, conversations, talks, refusals) = Default::default();
        Self { agent, events, commands, calls, conversations, talks, refusals, quit: None, output }
    }

    /// Runs until it is told to end, then deregisters.
    ///
    /// # Errors
    /// Nothing can be printed any more. The user has been deregistered all the same.
    pub(crate) async fn run(mut self, signals: &mut Signals) -> io::Result<ExitCode> {
        let agent = self.agent.clone();
        let left = tokio::select! {
            left = async { self.serve().await?; self.leave().await } => left,
            () = signals.next() => return self.leave_in_a_hurry(signals).await,
        };
        if left.is_err() {
            // There is nobody left to tell how it went.
            drop(self);
            _ = agent.shutdown_within(HURRY).await;
        }
        left
    }

    /// Until a command says to quit.
    async fn serve(&mut self) -> io::Result<()> {
        let registered = Report::Registered {
            address: Shown::new(self.agent.address()),
            node: Shown::new(self.agent.node()),
            listening: Shown::new(self.agent.listening()),
        };
        self.output.tell(&registered).await?;
        loop {
            tokio::select! {
                Some(event) = self.events.next() => self.event(event).await?,
                (id, heard) = self.conversations.next() => self.heard(id, heard).await?,
                Some(called) = self.calls.next() => self.called(called).await?,
                given = next(&mut self.commands) => match given {
                    Some((line, Err(error))) => self.wrong(line, error).await?,
                    Some((_, Ok(order))) => if self.obey(order).await? { return Ok(()) },
                    None => self.commands = None,
                },
            }
        }
    }

    async fn event(&mut self, event: Event) -> io::Result<()> {
        let report = match event {
            Event::Incoming(talk) => return self.begin(talk, Way::Incoming, None).await,
            Event::Refused { nickname, remote, address, reason } => Report::Refused {
                news: self.refusals.called(&nickname, remote, address, reason).map(Shown::new),
                nickname: Shown::new(nickname),
                address: address.map(Shown::new),
                remote: Shown::new(remote),
                kind: kind_of_refusal(reason),
                reason: Shown::new(reason),
            },
            Event::Missed { from, reason } => Report::Missed {
                news: self.refusals.asked(from, reason).map(Shown::new),
                address: Shown::new(from),
                kind: kind_of_refusal(reason),
                reason: Shown::new(reason),
            },
            Event::RegistrationLost { reason } => Report::RegistrationLost { reason: Shown::new(reason) },
            Event::RegistrationRegained => Report::RegistrationRegained {
                address: Shown::new(self.agent.address()),
                node: Shown::new(self.agent.node()),
            },
            _ => return Ok(()),
        };
        self.output.tell(&report).await
    }

    async fn begin(&mut self, talk: Conversation, way: Way, reference: Option<Reference>) -> io::Result<()> {
        let peer = talk.peer();
        let nickname = Shown::new(&peer.nickname);
        let (address, remote) = (peer.address.map(Shown::new), Shown::new(peer.remote));
        // Before it is told, which a signal can interrupt.
        let id = self.conversations.add(talk);
        let conversation = id.into();
        let talk = Talk { id, nickname: nickname.clone(), lost: false, bye: None };
        self.talks.insert(conversation, talk);
        self.output.tell(&Report::Begun { conversation, way, nickname, address, remote, reference }).await
    }

    async fn heard(&mut self, id: ConversationId, heard: Heard) -> io::Result<()> {
        let conversation = id.into();
        let Some(talk) = self.talks.get_mut(&conversation) else { return Ok(()) };
        let nickname = talk.nickname.clone();
        let report = match heard {
            Heard::Line(text) => Report::Line { conversation, nickname, text: Shown::new(text) },
            Heard::Trouble(error) => {
                talk.lost |= matches!(error, ConversationError::Lost(_));
                Report::Trouble { conversation, nickname, reason: Shown::new(error) }
            }
            Heard::Ended { unsaid } => {
                let (lost, reference) = (talk.lost, talk.bye.take());
                self.talks.remove(&conversation);
                Report::Ended { conversation, nickname, lost, unsaid, reference }
            }
            _ => return Ok(()),
        };
        self.output.tell(&report).await
    }

    async fn called(&mut self, called: Called) -> io::Result<()> {
        let Called { to, reference, outcome } = called;
        match outcome {
            Ok(talk) => self.begin(talk, Way::Outgoing, reference).await,
            Err(error) => self.call_failed(to, kind_of_call(&error), &error.to_string(), reference).await,
        }
    }

    /// `true`: to quit.
    async fn obey(&mut self, order: Order) -> io::Result<bool> {
        let Order { command, reference } = order;
        match command {
            Command::Call(to) if self.calls.len() >= MAX_CALLS => {
                self.call_failed(to, "engaged", "too many calls at a time", reference).await?;
            }
            Command::Call(to) => {
                let agent = self.agent.clone();
                self.calls
                    .push(Box::pin(async move { Called { to, reference, outcome: agent.call(&to).await } }));
            }
            Command::Say { text, to } => self.say(&text, to, reference).await?,
            Command::Bye(conversation) => {
                let talk = self.talks.get_mut(&conversation);
                // Answered by its end.
                match talk.filter(|talk| self.conversations.hang_up(talk.id)) {
                    Some(talk) => talk.bye = reference,
                    None => self.no_conversation("bye", conversation, reference).await?,
                }
            }
            Command::Quit => {
                self.quit = reference;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn say(&mut self, text: &str, to: u64, reference: Option<Reference>) -> io::Result<()> {
        let Some(talk) = self.talks.get(&to) else {
            return self.no_conversation("say", to, reference).await;
        };
        let report = match self.conversations.say(talk.id, text) {
            Ok(()) => {
                Report::Said { conversation: to, waiting: self.conversations.waiting(talk.id), reference }
            }
            Err(error) => Report::Failed {
                command: "say",
                address: None,
                conversation: Some(to),
                kind: kind_of_say(&error),
                reason: Shown::new(error),
                reference,
            },
        };
        self.output.tell(&report).await
    }

    async fn call_failed(
        &mut self,
        to: MiAddress,
        kind: &'static str,
        reason: &str,
        reference: Option<Reference>,
    ) -> io::Result<()> {
        let (address, reason) = (Some(Shown::new(to)), Shown::new(reason));
        let failed = Report::Failed { command: "call", address, conversation: None, kind, reason, reference };
        self.output.tell(&failed).await
    }

    async fn no_conversation(
        &mut self,
        command: &'static str,
        conversation: u64,
        reference: Option<Reference>,
    ) -> io::Result<()> {
        let failed = Report::Failed {
            command,
            address: None,
            conversation: Some(conversation),
            kind: "no-conversation",
            reason: Shown::new("there is no such conversation, or it is ending"),
            reference,
        };
        self.output.tell(&failed).await
    }

    async fn wrong(&mut self, line: u64, error: NoCommand) -> io::Result<()> {
        let NoCommand { reason, reference } = error;
        self.output.tell(&Report::Error { line, reason: Shown::new(reason), reference }).await
    }

    async fn leave(&mut self) -> io::Result<ExitCode> {
        self.hang_up().await?;
        let deregistered = self.agent.shutdown().await;
        self.deregistered(deregistered).await
    }

    /// Within [`HURRY`] and [`LAST_WORDS`], whatever the node, the peers and who reads the reports do.
    async fn leave_in_a_hurry(&mut self, signals: &mut Signals) -> io::Result<ExitCode> {
        self.output.screen.hurry(HURRY + LAST_WORDS);
        let agent = self.agent.clone();
        let leaving = async {
            // At the same time: the node must not wait for a peer.
            let (deregistered, _) =
                tokio::join!(agent.shutdown_within(HURRY), time::timeout(HURRY, self.hang_up()));
            deregistered
        };
        tokio::select! {
            deregistered = leaving => return self.deregistered(deregistered).await,
            () = signals.interrupted() => {}
        }
        let (address, reason) = (Shown::new(self.agent.address()), Shown::new("interrupted"));
        self.output.tell(&Report::NotDeregistered { address, reason, reference: None }).await?;
        Ok(ExitCode::from(exit::FAILURE))
    }

    /// Ends what there is, and tells what the peers still say.
    async fn hang_up(&mut self) -> io::Result<()> {
        self.calls.clear();
        for talk in self.talks.values() {
            self.conversations.hang_up(talk.id);
        }
        while !self.conversations.is_empty() {
            let (id, heard) = self.conversations.next().await;
            self.heard(id, heard).await?;
        }
        Ok(())
    }

    async fn deregistered(&mut self, deregistered: Result<(), DeregisterError>) -> io::Result<ExitCode> {
        let (address, reference) = (Shown::new(self.agent.address()), self.quit.take());
        let (report, code) = match deregistered {
            Ok(()) => (Report::Deregistered { address, reference }, ExitCode::from(exit::WELL)),
            Err(error) => {
                let code = exit::of_deregistration(&error);
                (Report::NotDeregistered { address, reason: Shown::new(error), reference }, code)
            }
        };
        self.output.tell(&report).await?;
        Ok(code)
    }
}

/// The next command; never ready once there are no more.
async fn next(commands: &mut Option<Commands>) -> Option<Given> {
    match commands {
        Some(commands) => commands.next().await,
        None => future::pending().await,
    }
}

/// Programs rely on these words.
fn kind_of_call(error: &CallError) -> &'static str {
    match error {
        CallError::Locate(LocateError::Busy) => "busy",
        CallError::Locate(LocateError::NoSuchUser) => "no-such-user",
        CallError::Locate(LocateError::Offline) => "offline",
        CallError::Locate(LocateError::NoAnswer { .. }) => "no-answer",
        CallError::NotAccepted { .. } => "not-accepted",
        CallError::Engaged => "engaged",
        CallError::Yourself => "yourself",
        _ => "other",
    }
}

/// As [`kind_of_call`].
fn kind_of_say(error: &SayError) -> &'static str {
    match error {
        SayError::Text(_) => "text",
        SayError::Full => "full",
        SayError::Ended => "no-conversation",
        _ => "other",
    }
}

/// As [`kind_of_call`].
fn kind_of_refusal(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Busy => "busy",
        Refusal::Blocked => "blocked",
        Refusal::NotAllowed => "not-allowed",
        _ => "other",
    }
}

/// Calls that are under way: as many as there can be conversations.
const MAX_CALLS: usize = MAX_CONVERSATIONS as usize;
