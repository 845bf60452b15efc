//! Line mode: from the registration to the deregistration.

use std::future;
use std::io::{self, Write};
use std::num::NonZeroU8;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_agent_core::{
    Agent, CallError, ConnectionLost, Conversation, DeregisterError, Event, Events, LineReceiver, LineSender,
    Peer, PeerText, SendError,
};
use plumi_proto::MiAddress;

use crate::command::{Command, CommandError, HELP};
use crate::exit;
use crate::input::Input;
use crate::screen::Screen;
use crate::signals::Signals;

/// A running agent and the user who types.
pub(crate) struct Session<W> {
    agent: Agent,
    events: Events,
    input: Input,
    screen: Screen<W>,
    calling: Option<BoxFuture<'static, (MiAddress, Result<Conversation, CallError>)>>,
    saying: Option<BoxFuture<'static, Result<(), SendError>>>,
    talk: Option<Talk>,
}

struct Talk {
    peer: Peer,
    receiver: LineReceiver,
    /// `None` once this side has hung up.
    sender: Option<Arc<LineSender>>,
}

/// Why the session ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Quit,
    Signal,
}

impl<W: Write> Session<W> {
    pub(crate) fn new(agent: Agent, events: Events, input: Input, screen: Screen<W>) -> Self {
        Self { agent, events, input, screen, calling: None, saying: None, talk: None }
    }

    /// Runs until the user leaves, then deregisters. A second signal leaves at once.
    ///
    /// # Errors
    /// Nothing can be printed any more. The user has been deregistered all the same.
    pub(crate) async fn run(mut self, signals: &mut Signals, hints: bool) -> io::Result<ExitCode> {
        let agent = self.agent.clone();
        let result = match self.converse(signals, hints).await {
            Ok(leaving) => tokio::select! {
                result = self.leave(leaving) => result,
                () = signals.next() => {
                    self.screen.failure(format_args!("not deregistered, as you are in such a hurry"))?;
                    return Ok(ExitCode::from(exit::FAILURE));
                }
            },
            Err(error) => Err(error),
        };
        if result.is_err() {
            // There is nobody left to tell how it went.
            _ = agent.shutdown_within(HURRIED_ATTEMPTS).await;
        }
        result
    }

    async fn converse(&mut self, signals: &mut Signals, hints: bool) -> io::Result<Leaving> {
        let agent = &self.agent;
        self.screen.news(format_args!("registered {} at node {}", agent.address(), agent.node()))?;
        self.screen.news(format_args!("listening for conversations on {}", agent.listening()))?;
        if hints {
            self.screen.news(format_args!("wait to be called, or type /call ADDRESS; /help says more"))?;
        }
        loop {
            // What is typed waits for what was typed before: a script need not know how long a call takes.
            let is_hanging_up = self.talk.as_ref().is_some_and(|talk| talk.sender.is_none());
            let takes_input = self.calling.is_none() && self.saying.is_none() && !is_hanging_up;
            tokio::select! {
                Some(event) = self.events.next() => self.event(event)?,
                heard = heard(&mut self.talk) => self.heard(heard)?,
                (to, called) = outcome(&mut self.calling) => self.called(to, called)?,
                said = outcome(&mut self.saying) => self.said(said)?,
                line = self.input.next(), if takes_input => match line {
                    Some(line) => if self.typed(&line)? { return Ok(Leaving::Quit) },
                    None => return Ok(Leaving::Quit),
                },
                () = signals.next() => return Ok(Leaving::Signal),
            }
        }
    }

    /// `true`: the user wants to leave.
    fn typed(&mut self, line: &str) -> io::Result<bool> {
        match Command::parse(line) {
            Ok(Command::Quit) => return Ok(true),
            Ok(Command::Call(_)) if self.talk.is_some() => {
                self.screen.failure(format_args!("you are in a conversation; /bye ends it"))?;
            }
            Ok(Command::Call(to)) => {
                self.screen.news(format_args!("calling {to}"))?;
                let agent = self.agent.clone();
                self.calling = Some(Box::pin(async move { (to, agent.call(&to).await) }));
            }
            Ok(Command::Bye) => match &mut self.talk {
                Some(talk) => talk.sender = None,
                None => self.screen.failure(format_args!("you are in no conversation"))?,
            },
            Ok(Command::Help) => {
                for (command, meaning) in HELP {
                    self.screen.news(format_args!("{command:<16} {meaning}"))?;
                }
            }
            Ok(Command::Say(text)) => match self.talk.as_ref().and_then(|talk| talk.sender.clone()) {
                Some(sender) => {
                    let text = text.to_owned();
                    self.saying = Some(Box::pin(async move { sender.send(&text).await }));
                }
                None if text.trim().is_empty() => {}
                None => self.screen.failure(format_args!(
                    "you are in no conversation, so nobody hears that; /call ADDRESS starts one"
                ))?,
            },
            Err(CommandError::NoAddress) => {
                self.screen.failure(format_args!("/call needs an address, such as /call joya@cc.com"))?;
            }
            Err(CommandError::Address(text, error)) => {
                self.screen.failure(format_args!("cannot call {text}: {error}"))?;
            }
            Err(CommandError::Unknown(text)) => self
                .screen
                .failure(format_args!("there is no command {text}; /help lists them, and /{text} says it"))?,
        }
        Ok(false)
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Incoming(talk) => self.begin(talk),
            Event::Refused { nickname, remote } => self.screen.news(format_args!(
                "{nickname} at {remote} called, and was told that you are in a conversation"
            )),
            _ => Ok(()),
        }
    }

    fn called(&mut self, to: MiAddress, called: Result<Conversation, CallError>) -> io::Result<()> {
        self.calling = None;
        match called {
            Ok(talk) => self.begin(talk),
            Err(error) => self.screen.failure(format_args!("cannot reach {to}: {error}")),
        }
    }

    fn begin(&mut self, talk: Conversation) -> io::Result<()> {
        let (peer, sender, receiver) = talk.split();
        let address = peer.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
        self.screen
            .news(format_args!("in conversation with {} ({address}) at {}", peer.nickname, peer.remote))?;
        self.talk = Some(Talk { peer, receiver, sender: Some(Arc::new(sender)) });
        Ok(())
    }

    fn said(&mut self, said: Result<(), SendError>) -> io::Result<()> {
        self.saying = None;
        match said {
            Ok(()) => Ok(()),
            Err(error) => self.screen.failure(format_args!("not sent: {error}")),
        }
    }

    fn heard(&mut self, heard: Heard) -> io::Result<()> {
        let Some(talk) = &self.talk else { return Ok(()) };
        let nickname = &talk.peer.nickname;
        match heard {
            Ok(Some(line)) => self.screen.said(nickname, &line),
            Ok(None) => {
                self.screen.news(format_args!("conversation with {nickname} ended"))?;
                self.talk = None;
                Ok(())
            }
            Err(error) => self.screen.failure(format_args!("conversation with {nickname}: {error}")),
        }
    }

    async fn leave(&mut self, leaving: Leaving) -> io::Result<ExitCode> {
        // What is being said is still sent; a call that has not come about never will.
        if self.saying.is_some() {
            let said = outcome(&mut self.saying).await;
            self.said(said)?;
        }
        self.calling = None;
        if let Some(talk) = &mut self.talk {
            talk.sender = None;
        }
        while self.talk.is_some() {
            let heard = heard(&mut self.talk).await;
            self.heard(heard)?;
        }
        let deregistered = match leaving {
            Leaving::Quit => self.agent.shutdown().await,
            Leaving::Signal => self.agent.shutdown_within(HURRIED_ATTEMPTS).await,
        };
        self.deregistered(deregistered)
    }

    fn deregistered(&mut self, deregistered: Result<(), DeregisterError>) -> io::Result<ExitCode> {
        let address = self.agent.address();
        match deregistered {
            Ok(()) => {
                self.screen.news(format_args!("deregistered {address}"))?;
                Ok(ExitCode::from(exit::WELL))
            }
            Err(error) => {
                self.screen.failure(format_args!("cannot deregister {address}: {error}"))?;
                Ok(exit::of_deregistration(&error))
            }
        }
    }
}

type Heard = Result<Option<PeerText>, ConnectionLost>;

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

/// How often a node is asked to deregister by a program that was told to end.
const HURRIED_ATTEMPTS: NonZeroU8 = NonZeroU8::new(2).expect("is not 0");
