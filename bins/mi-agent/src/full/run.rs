//! The full screen at work: waits for whatever happens, tells the [`App`], and carries out what that wants done.

use std::future;
use std::io;
use std::process::ExitCode;

use crossterm::event::{Event as TerminalEvent, EventStream};
use full_screen::{Asked, JobControl, Reports, Screen};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mi_agent_core::{
    Agent, AgentBuilder, CallError, Conversation, Conversations, DeregisterError, Event, Events, LocateError,
    StartError, Traffic, traffic,
};
use plumi_proto::MiAddress;
use tokio::sync::{mpsc, oneshot};
use tokio::time;

use super::app::{App, Effect, Setup};
use super::theme::Theme;
use super::view;
use crate::clock::this_second as now;
use crate::exit;
use crate::signals::{HURRY, LAST_WORDS, Signals};
use crate::store::contacts::Way;
use crate::store::keeper::{Keeper, Told};

/// What the screen needs beside an agent.
pub(crate) struct Chat {
    pub(crate) setup: Setup,
    pub(crate) keeper: Keeper,
    pub(crate) takes_mouse: bool,
    pub(crate) theme: Theme,
    /// To be told at once: what could not be read.
    pub(crate) troubles: Vec<String>,
    pub(crate) diagnostics: mpsc::Receiver<String>,
}

/// Runs until the user leaves. Afterwards, `last_words` has what is to be printed on the terminal.
///
/// # Errors
/// The terminal cannot be used any more. The user has been deregistered all the same.
pub(crate) async fn run(
    builder: AgentBuilder,
    signals: &mut Signals,
    chat: Chat,
    last_words: &mut Vec<String>,
) -> io::Result<ExitCode> {
    let Chat { setup, keeper, takes_mouse, theme, troubles, diagnostics } = chat;
    let own = setup.own;
    let (tap, traffic) = traffic();
    let builder = builder.traffic(tap).admission(setup.admission.clone()).conversations(setup.conversations);
    let (interrupt, interrupted) = oneshot::channel::<()>();
    let start = builder.start_unless(async { _ = interrupted.await }, HURRY);
    let mut running = Running {
        app: App::new(setup),
        theme,
        screen: Screen::enter(Reports { mouse: takes_mouse, focus: true })?,
        keys: Some(EventStream::new()),
        job_control: JobControl::listen()?,
        phase: Phase::Starting(Box::pin(start)),
        interrupt: Some(interrupt),
        agent: None,
        conversations: Conversations::new(),
        calls: FuturesUnordered::new(),
        call_holders: Vec::new(),
        traffic,
        keeper,
        diagnostics,
        has_changed: true,
    };
    running.app.registering(now());
    troubles.iter().for_each(|trouble| running.app.trouble(now(), trouble));
    let left = running.until_the_end(signals).await;
    if left.is_err() {
        // There is no terminal left to tell how it went.
        running.conversations = Conversations::new();
        if let Some((agent, _)) = &running.agent {
            _ = agent.shutdown_within(HURRY).await;
        }
    } else {
        // What nobody takes is lost.
        _ = time::timeout(LAST_WORDS, running.screen.leave()).await;
    }
    if running.keeper.finish(LAST_WORDS).is_err() {
        last_words.push("! the disk takes too long: something of what was said is not kept".into());
    }
    drop(running.screen);
    Ok(match left? {
        Left::NotStarted(error) => {
            last_words.push(format!("! cannot register {own}: {error}"));
            if matches!(error, StartError::NoAnswer { .. } | StartError::Domain { .. }) {
                last_words.push("* mi-agent --node IP:PORT ADDRESS asks another node".into());
            }
            exit::of_start(&error)
        }
        Left::Deregistered(Ok(())) => {
            last_words.push(format!("* deregistered {own}"));
            ExitCode::from(exit::WELL)
        }
        Left::Deregistered(Err(error)) => {
            last_words.push(format!("! cannot deregister {own}: {error}"));
            exit::of_deregistration(&error)
        }
        Left::AtOnce => {
            last_words.push("! left without being deregistered".into());
            ExitCode::from(exit::FAILURE)
        }
    })
}

struct Running {
    app: App,
    theme: Theme,
    screen: Screen,
    /// `None`: nobody types any more.
    keys: Option<EventStream>,
    job_control: JobControl,
    phase: Phase,
    interrupt: Option<oneshot::Sender<()>>,
    agent: Option<(Agent, Events)>,
    conversations: Conversations,
    calls: FuturesUnordered<Calling>,
    /// Dropped, they give a call up.
    call_holders: Vec<(MiAddress, oneshot::Sender<()>)>,
    traffic: Traffic,
    keeper: Keeper,
    diagnostics: mpsc::Receiver<String>,
    /// What is on the screen is not how it is.
    has_changed: bool,
}

enum Phase {
    Starting(BoxFuture<'static, Result<(Agent, Events), StartError>>),
    Open,
    /// What was said still goes out.
    HangingUp,
    Ending {
        deregistered: BoxFuture<'static, Result<(), DeregisterError>>,
        in_a_hurry: bool,
    },
}

enum Outcome {
    Started(Result<(Agent, Events), StartError>),
    Deregistered(Result<(), DeregisterError>),
}

enum Left {
    NotStarted(StartError),
    Deregistered(Result<(), DeregisterError>),
    AtOnce,
}

/// A call that is under way, and what becomes of it; `None` if it was given up.
type Calling = BoxFuture<'static, (MiAddress, Option<Result<Conversation, CallError>>)>;

impl Running {
    async fn until_the_end(&mut self, signals: &mut Signals) -> io::Result<Left> {
        loop {
            if let Some(left) = self.carry_out().await? {
                return Ok(left);
            }
            self.draw()?;
            tokio::select! {
                event = next_key(&mut self.keys) => self.typed(event)?,
                written = self.screen.write(), if self.screen.has_to_write() => {
                    written?;
                    // Nothing else has happened.
                    continue;
                }
                outcome = outcome(&mut self.phase) => if let Some(left) = self.came_of(outcome) { return Ok(left) },
                Some(event) = next_event(&mut self.agent) => self.event(event),
                (id, heard) = self.conversations.next() => self.app.heard(now(), id, heard),
                Some((to, called)) = self.calls.next() => self.called(to, called),
                Some(passed) = self.traffic.next() => {
                    self.app.passed(now(), &passed);
                    self.app.protocol.missed(now(), self.traffic.missed());
                }
                told = self.keeper.told() => match told {
                    Told::Recalled(peer, entries) => self.app.recalled(peer, entries),
                    Told::Trouble(trouble) => self.app.trouble(now(), &trouble),
                },
                Some(diagnostic) = self.diagnostics.recv() => self.app.trouble(now(), &diagnostic),
                asked = self.job_control.next() => match asked {
                    Asked::ToStop => self.suspend().await?,
                    Asked::ToGoOn => self.screen.resume()?,
                },
                () = signals.next() => if let Some(left) = self.leave_in_a_hurry() { return Ok(left) },
            }
            self.has_changed = true;
        }
    }

    /// What the app wants done.
    async fn carry_out(&mut self) -> io::Result<Option<Left>> {
        while let Some(effect) = self.app.poll_effect() {
            let kept = match effect {
                Effect::Call(to) => {
                    self.call(to);
                    Ok(())
                }
                Effect::GiveUp(to) => {
                    self.call_holders.retain(|(held, _)| *held != to);
                    Ok(())
                }
                Effect::Say { id, text } => {
                    match self.conversations.say(id, &text) {
                        Ok(()) => self.app.said(now(), id, &text),
                        Err(error) => self.app.not_said(now(), id, &text, &error),
                    }
                    Ok(())
                }
                Effect::HangUp(id) => {
                    self.conversations.hang_up(id);
                    Ok(())
                }
                Effect::SetAdmission(admission) => {
                    if let Some((agent, _)) = &self.agent {
                        agent.set_admission(admission.clone());
                    }
                    self.keeper.save_admission(admission)
                }
                Effect::SaveContacts(contacts) => self.keeper.save_contacts(contacts),
                Effect::Remember { peer, entry } => self.keeper.remember(peer, entry),
                Effect::Recall(peer) => self.keeper.recall(peer),
                Effect::Bell => {
                    self.screen.ring();
                    Ok(())
                }
                Effect::Redraw => {
                    self.screen.clear()?;
                    Ok(())
                }
                Effect::Suspend => {
                    self.suspend().await?;
                    Ok(())
                }
                Effect::Quit { in_a_hurry: false } => {
                    self.leave();
                    Ok(())
                }
                Effect::Quit { in_a_hurry: true } => match self.leave_in_a_hurry() {
                    Some(left) => return Ok(Some(left)),
                    None => Ok(()),
                },
            };
            if let Err(trouble) = kept {
                self.app.trouble(now(), trouble);
            }
        }
        if matches!(self.phase, Phase::HangingUp) && self.conversations.is_empty() {
            self.deregister(false);
        }
        Ok(None)
    }

    fn draw(&mut self) -> io::Result<()> {
        if !self.has_changed {
            return Ok(());
        }
        if let Some((agent, _)) = &self.agent {
            self.app.messages = agent.messages();
        }
        for id in self.conversations.ids().collect::<Vec<_>>() {
            self.app.set_waiting(id, self.conversations.waiting(id));
        }
        let (app, theme) = (&mut self.app, &self.theme);
        if self.screen.draw(|frame| view::draw(frame, app, theme, now()))? {
            self.has_changed = false;
        }
        Ok(())
    }

    fn typed(&mut self, event: Option<io::Result<TerminalEvent>>) -> io::Result<()> {
        match event {
            Some(Ok(TerminalEvent::Key(key))) => self.app.key(now(), key),
            Some(Ok(TerminalEvent::Paste(text))) => self.app.paste(now(), &text),
            Some(Ok(TerminalEvent::Mouse(event))) => self.app.mouse(event),
            Some(Ok(TerminalEvent::FocusGained)) => self.app.focus(true),
            Some(Ok(TerminalEvent::FocusLost)) => self.app.focus(false),
            // Even to the size that it had: what was cut off meanwhile is gone.
            Some(Ok(TerminalEvent::Resize(..))) => self.screen.clear()?,
            // The terminal is gone: as the end of input.
            Some(Err(_)) | None => {
                self.keys = None;
                self.leave();
            }
        }
        Ok(())
    }

    fn came_of(&mut self, outcome: Outcome) -> Option<Left> {
        match outcome {
            Outcome::Started(Ok((agent, events))) => {
                self.phase = Phase::Open;
                self.app.registered(now(), agent.node(), agent.listening());
                // It may have been changed meanwhile.
                agent.set_admission(self.app.admission().clone());
                self.agent = Some((agent, events));
                None
            }
            Outcome::Started(Err(error)) => Some(Left::NotStarted(error)),
            Outcome::Deregistered(deregistered) => Some(Left::Deregistered(deregistered)),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Incoming(talk) => self.begin(talk, Way::CalledBy),
            Event::Refused { nickname, remote, address, reason } => {
                self.app.refused(now(), &nickname, address, remote, reason);
            }
            Event::Missed { from, reason } => self.app.missed(now(), from, reason),
            Event::RegistrationLost { reason } => self.app.registration_lost(now(), &reason.to_string()),
            Event::RegistrationRegained => {
                if let Some((agent, _)) = &self.agent {
                    self.app.registration_regained(now(), agent.node());
                }
            }
            _ => {}
        }
    }

    fn call(&mut self, to: MiAddress) {
        let Some((agent, _)) = &self.agent else { return };
        let agent = agent.clone();
        let (hold, given_up) = oneshot::channel::<()>();
        self.call_holders.push((to, hold));
        self.calls.push(Box::pin(async move {
            tokio::select! {
                called = agent.call(&to) => (to, Some(called)),
                _ = given_up => (to, None),
            }
        }));
    }

    fn called(&mut self, to: MiAddress, called: Option<Result<Conversation, CallError>>) {
        self.call_holders.retain(|(held, _)| *held != to);
        match called {
            Some(Ok(talk)) => self.begin(talk, Way::Called),
            Some(Err(error)) => {
                let exists = matches!(
                    error,
                    CallError::Locate(LocateError::Busy | LocateError::Offline | LocateError::Unusable(_))
                        | CallError::NotAccepted { .. }
                );
                self.app.not_reached(now(), to, &error.to_string(), exists);
            }
            None => {}
        }
    }

    fn begin(&mut self, talk: Conversation, way: Way) {
        let peer = talk.peer().clone();
        let id = self.conversations.add(talk);
        self.app.begun(now(), id, peer, way);
        // Who leaves begins nothing.
        if !matches!(self.phase, Phase::Open) {
            self.conversations.hang_up(id);
        }
    }

    /// In order: what was said goes out first.
    fn leave(&mut self) {
        match self.phase {
            Phase::Open => {
                self.app.leaving();
                self.call_holders.clear();
                self.conversations
                    .ids()
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|id| _ = self.conversations.hang_up(id));
                self.phase = Phase::HangingUp;
            }
            Phase::Starting(_) => {
                self.app.leaving();
                self.interrupt = None;
            }
            Phase::HangingUp | Phase::Ending { .. } => {}
        }
    }

    /// Within [`HURRY`]; asked a second time, at once.
    fn leave_in_a_hurry(&mut self) -> Option<Left> {
        match self.phase {
            Phase::Starting(_) => self.leave(),
            Phase::Open | Phase::HangingUp | Phase::Ending { in_a_hurry: false, .. } => {
                self.call_holders.clear();
                self.deregister(true);
            }
            Phase::Ending { in_a_hurry: true, .. } => return Some(Left::AtOnce),
        }
        None
    }

    fn deregister(&mut self, in_a_hurry: bool) {
        let Some((agent, _)) = &self.agent else { return };
        let agent = agent.clone();
        self.app.leaving();
        let deregistered: BoxFuture<'static, _> = if in_a_hurry {
            Box::pin(async move { agent.shutdown_within(HURRY).await })
        } else {
            Box::pin(async move { agent.shutdown().await })
        };
        self.phase = Phase::Ending { deregistered, in_a_hurry };
    }

    /// Gives the terminal to the shell until that lets the program go on.
    async fn suspend(&mut self) -> io::Result<()> {
        if !self.job_control.suspend(&mut self.screen).await? {
            self.app.trouble(now(), "there is no shell to go on from, so the program is not suspended");
        }
        self.has_changed = true;
        Ok(())
    }
}

/// What is typed next; never ready once nobody types any more.
async fn next_key(keys: &mut Option<EventStream>) -> Option<io::Result<TerminalEvent>> {
    match keys {
        Some(keys) => keys.next().await,
        None => future::pending().await,
    }
}

async fn next_event(agent: &mut Option<(Agent, Events)>) -> Option<Event> {
    match agent {
        Some((_, events)) => events.next().await,
        None => future::pending().await,
    }
}

/// What comes of the phase, if it ends by itself.
async fn outcome(phase: &mut Phase) -> Outcome {
    match phase {
        Phase::Starting(start) => Outcome::Started(start.await),
        Phase::Ending { deregistered, .. } => Outcome::Deregistered(deregistered.await),
        Phase::Open | Phase::HangingUp => future::pending().await,
    }
}
