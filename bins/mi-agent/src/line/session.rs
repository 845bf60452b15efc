//! Line mode: from the registration to the deregistration.

use std::future;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_agent_core::{
    Agent, CallError, Conversation, ConversationError, DeregisterError, Event, Events, LineReceiver,
    LineSender, Peer, PeerText, SendError,
};
use plumi_proto::MiAddress;
use tokio::io::AsyncWrite;
use tokio::time;

use crate::admission::AdmissionCommand;
use crate::command::{ALSO, Command, CommandError, Mode, in_mode};
use crate::exit;
use crate::printed_lines::PrintedLines;
use crate::report::Report;
use crate::session::Happened;
use crate::session::refusals::Refusals;
use crate::signals::{HURRY, LAST_WORDS, Signals};
use crate::store::keeper::Told;
use crate::store::user_data::UserData;
use crate::typed_lines::TypedLines;

/// A running agent and the user who types.
pub(crate) struct Session<W> {
    agent: Agent,
    events: Events,
    input: TypedLines,
    screen: PrintedLines<W>,
    calling: Option<BoxFuture<'static, (MiAddress, Result<Conversation, CallError>)>>,
    saying: Option<BoxFuture<'static, Result<(), SendError>>>,
    talk: Option<Talk>,
    refusals: Refusals,
    kept: UserData,
}

struct Talk {
    peer: Peer,
    receiver: LineReceiver,
    /// `None` once this side has hung up.
    sender: Option<Arc<LineSender>>,
    /// It has been told that the connection was lost; that says that it ended, too.
    lost: bool,
}

impl<W: AsyncWrite + Unpin> Session<W> {
    pub(crate) fn new(
        agent: Agent,
        events: Events,
        input: TypedLines,
        screen: PrintedLines<W>,
        kept: UserData,
    ) -> Self {
        let refusals = Refusals::default();
        Self { agent, events, input, screen, calling: None, saying: None, talk: None, refusals, kept }
    }

    /// Runs until the user leaves, then deregisters. A signal while that takes its time hurries, and then Ctrl-C
    /// leaves at once.
    ///
    /// # Errors
    /// Nothing can be printed any more. The user has been deregistered all the same.
    pub(crate) async fn run(mut self, signals: &mut Signals, hints: bool) -> io::Result<ExitCode> {
        let left = self.until_left(signals, hints).await;
        if self.kept.keeper.finish(LAST_WORDS).is_err() {
            tracing::warn!("the disk takes too long: who may call is not kept");
        }
        left
    }

    async fn until_left(&mut self, signals: &mut Signals, hints: bool) -> io::Result<ExitCode> {
        let agent = self.agent.clone();
        let left = tokio::select! {
            left = async { self.converse(hints).await?; self.leave().await } => left,
            () = signals.next() => return self.leave_in_a_hurry(signals).await,
        };
        if left.is_err() {
            // There is nobody left to tell how it went.
            (self.talk, self.calling) = (None, None);
            _ = agent.shutdown_within(HURRY).await;
        }
        left
    }

    /// Until the user wants to leave.
    async fn converse(&mut self, hints: bool) -> io::Result<()> {
        let agent = &self.agent;
        self.screen.news(format_args!("registered {} at node {}", agent.address(), agent.node())).await?;
        self.screen.news(format_args!("listening for conversations on {}", agent.listening())).await?;
        if hints {
            let hint = "type /call ADDRESS to call somebody, or wait to be called; /help says more";
            self.screen.news(format_args!("{hint}")).await?;
        }
        loop {
            // What is typed waits for what was typed before: a script need not know how long a call takes.
            let is_hanging_up = self.talk.as_ref().is_some_and(|talk| talk.sender.is_none());
            let takes_input = self.calling.is_none() && self.saying.is_none() && !is_hanging_up;
            tokio::select! {
                Some(event) = self.events.next() => self.event(event).await?,
                heard = heard(&mut self.talk) => self.heard(heard).await?,
                (to, called) = outcome(&mut self.calling) => self.called(to, called).await?,
                said = outcome(&mut self.saying) => self.said(said).await?,
                told = self.kept.keeper.told() => if let Told::Trouble(trouble) = told {
                    self.screen.failure(format_args!("{trouble}")).await?;
                },
                line = self.input.next(), if takes_input => match line {
                    Some(line) => if self.typed(&line).await? { return Ok(()) },
                    None => return Ok(()),
                },
            }
        }
    }

    /// `true`: the user wants to leave.
    async fn typed(&mut self, line: &str) -> io::Result<bool> {
        match Command::parse(line, Mode::Line) {
            Ok(Command::Quit) => return Ok(true),
            Ok(Command::Call(_)) if self.talk.is_some() => {
                self.screen.failure(format_args!("you are in a conversation; /bye ends it")).await?;
            }
            Ok(Command::Call(Some(to))) => {
                self.screen.news(format_args!("calling {to}")).await?;
                let agent = self.agent.clone();
                self.calling = Some(Box::pin(async move { (to, agent.call(&to).await) }));
            }
            Ok(Command::Bye) => match &mut self.talk {
                Some(talk) => talk.sender = None,
                None => self.screen.failure(format_args!("you are in no conversation")).await?,
            },
            Ok(Command::Help) => {
                let commands = in_mode(Mode::Line).map(|known| (known.usage(), known.meaning));
                let also = ALSO.iter().map(|(typed, meaning)| ((*typed).to_owned(), *meaning));
                for (typed, meaning) in commands.chain(also) {
                    self.screen.news(format_args!("{typed:<20} {meaning}")).await?;
                }
            }
            Ok(Command::Admission(command)) => self.admit(command).await?,
            // What is no command is said as it stands: a script must not lose a line that begins with a path.
            Ok(Command::Say(text)) | Err(CommandError::Unknown(text)) if self.talk.is_some() => {
                self.say(text);
            }
            Ok(Command::Say(text)) if text.trim().is_empty() => {}
            Ok(Command::Say(_)) => {
                self.screen
                    .failure(format_args!(
                        "you are in no conversation, so nobody hears that; /call ADDRESS starts one"
                    ))
                    .await?;
            }
            // On a screen they are more; they are never read here.
            Ok(Command::Call(None) | Command::Contacts | Command::Protocol | Command::Close) => {}
            Err(error) => self.screen.failure(format_args!("{error}")).await?,
        }
        Ok(false)
    }

    /// Changes whose calls are taken, and keeps that.
    async fn admit(&mut self, command: AdmissionCommand) -> io::Result<()> {
        let UserData { admission, keeper, .. } = &mut self.kept;
        let before = admission.clone();
        match command.carry_out(admission) {
            Ok(words) => {
                if *admission != before {
                    self.agent.set_admission(admission.clone());
                    if let Err(trouble) = keeper.save_admission(admission.clone()) {
                        self.screen.failure(format_args!("{trouble}")).await?;
                    }
                }
                self.screen.news(format_args!("{words}")).await
            }
            Err(error) => self.screen.failure(format_args!("{error}")).await,
        }
    }

    fn say(&mut self, text: &str) {
        let sender = self.talk.as_ref().and_then(|talk| talk.sender.clone());
        if let Some(sender) = sender {
            let text = text.to_owned();
            self.saying = Some(Box::pin(async move { sender.send(&text).await }));
        }
    }

    async fn event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Incoming(talk) => self.begin(talk).await,
            Event::Refused { nickname, remote, address, reason } => {
                let is_news = self.refusals.called(address, reason);
                self.report(&Happened::Refused { nickname, remote, address, reason, is_news }).await
            }
            Event::Missed { from, reason } => {
                let is_news = self.refusals.asked(from, reason);
                self.report(&Happened::Missed { from, reason, is_news }).await
            }
            Event::RegistrationLost { reason } => {
                self.screen.failure(format_args!("registration lost: {reason}")).await
            }
            Event::RegistrationRegained => {
                let (address, node) = (self.agent.address(), self.agent.node());
                self.screen.news(format_args!("registered {address} again at node {node}")).await
            }
            _ => Ok(()),
        }
    }

    async fn report(&mut self, happened: &Happened) -> io::Result<()> {
        let report = Report::of(self.agent.address(), happened, None);
        match report.and_then(|report| report.words(false)) {
            Some(words) => {
                self.screen.push(&words);
                self.screen.print().await
            }
            None => Ok(()),
        }
    }

    async fn called(&mut self, to: MiAddress, called: Result<Conversation, CallError>) -> io::Result<()> {
        self.calling = None;
        match called {
            Ok(talk) => self.begin(talk).await,
            Err(error) => self.screen.failure(format_args!("cannot reach {to}: {error}")).await,
        }
    }

    async fn begin(&mut self, talk: Conversation) -> io::Result<()> {
        let (peer, sender, receiver) = talk.split();
        let address = peer.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
        let news = format!("in conversation with {} ({address}) at {}", peer.nickname, peer.remote);
        // Before it is told, which a signal can interrupt.
        self.talk = Some(Talk { peer, receiver, sender: Some(Arc::new(sender)), lost: false });
        self.screen.news(format_args!("{news}")).await
    }

    async fn said(&mut self, said: Result<(), SendError>) -> io::Result<()> {
        self.saying = None;
        match said {
            Ok(()) => Ok(()),
            // The end of the conversation is told by what is heard, and what was not sent with it.
            Err(SendError::Ended) => Ok(()),
            Err(error) => self.screen.failure(format_args!("not sent: {error}")).await,
        }
    }

    async fn heard(&mut self, heard: Heard) -> io::Result<()> {
        let Some(talk) = &mut self.talk else { return Ok(()) };
        let nickname = &talk.peer.nickname;
        match heard {
            Ok(Some(line)) => self.screen.said(nickname, &line).await,
            Ok(None) => {
                let lost = talk.lost;
                let news = format!("conversation with {nickname} ended");
                self.talk = None;
                if lost { Ok(()) } else { self.screen.news(format_args!("{news}")).await }
            }
            Err(error) => {
                talk.lost |= matches!(error, ConversationError::Lost(_));
                self.screen.failure(format_args!("conversation with {nickname}: {error}")).await
            }
        }
    }

    async fn leave(&mut self) -> io::Result<ExitCode> {
        self.hang_up().await?;
        let deregistered = self.agent.shutdown().await;
        self.deregistered(deregistered).await
    }

    /// Within [`HURRY`] and [`LAST_WORDS`], whatever the node, the peer and the terminal do.
    async fn leave_in_a_hurry(&mut self, signals: &mut Signals) -> io::Result<ExitCode> {
        self.screen.hurry(HURRY + LAST_WORDS);
        self.saying = None;
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
        self.screen.failure(format_args!("left without being deregistered")).await?;
        Ok(ExitCode::from(exit::FAILURE))
    }

    /// Ends what there is, and tells what the peer still says.
    async fn hang_up(&mut self) -> io::Result<()> {
        self.calling = None;
        if let Some(talk) = &mut self.talk {
            talk.sender = None;
        }
        while self.talk.is_some() {
            let heard = heard(&mut self.talk).await;
            self.heard(heard).await?;
        }
        Ok(())
    }

    async fn deregistered(&mut self, deregistered: Result<(), DeregisterError>) -> io::Result<ExitCode> {
        let address = self.agent.address();
        match deregistered {
            Ok(()) => {
                self.screen.news(format_args!("deregistered {address}")).await?;
                Ok(ExitCode::from(exit::WELL))
            }
            Err(error) => {
                self.screen.failure(format_args!("cannot deregister {address}: {error}")).await?;
                Ok(exit::of_deregistration(&error))
            }
        }
    }
}

type Heard = Result<Option<PeerText>, ConversationError>;

/// What the peer says; never ready while there is none.
async fn heard(talk: &mut Option<Talk>) -> Heard {
    match talk {
        Some(talk) => talk.receiver.next_line().await,
        None => future::pending().await,
    }
}

/// What becomes of what was begun; never ready while there is nothing.
async fn outcome<T>(begun: &mut Option<BoxFuture<'static, T>>) -> T {
    match begun {
        Some(begun) => begun.await,
        None => future::pending().await,
    }
}
