//! The terminal loop of the full screen: passes keys and events to the [`App`], carries out its effects, and
//! draws it.

mod first_start;

use std::collections::HashMap;
use std::future;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use crossterm::event::Event as TerminalEvent;
use full_screen::{Asked, JobControl, Keys, Reports, Screen};
use mi_agent_core::{AgentBuilder, DeregisterError, StartError, Traffic, traffic};
use plumi_proto::MiAddress;
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use super::app::{App, Effect, Setup};
use super::theme::Theme;
use super::view;
use crate::clock::this_second as now;
use crate::exit;
use crate::reason;
use crate::session::post::PostSettings;
use crate::session::{CallId, Done, Happened, Leave, Refused, Session, Wish};
use crate::signals::{LAST_WORDS, Signals};
use crate::store::keeper::Keeper;
use crate::store::lock::AddressLock;

/// The parts of a full screen, apart from the agent.
pub(crate) struct Chat {
    pub(crate) setup: Setup,
    pub(crate) lock: Option<AddressLock>,
    pub(crate) keeper: Keeper,
    pub(crate) takes_mouse: bool,
    pub(crate) theme: Theme,
    /// The files that could not be read.
    pub(crate) troubles: Vec<String>,
    pub(crate) diagnostics: mpsc::Receiver<String>,
    /// The settings that messages for users who are not there go by.
    pub(crate) post: PostSettings,
    /// A user whom the node does not admit, or not with this machine's key, is asked for the code of an
    /// invitation.
    pub(crate) asks_for_code: bool,
}

/// Runs until the user leaves. Puts the lines to be printed afterwards on the terminal into `last_words`.
///
/// # Errors
/// The terminal is unusable. The user has been deregistered nevertheless.
pub(crate) async fn run(
    builder: AgentBuilder,
    signals: &mut Signals,
    chat: Chat,
    last_words: &mut Vec<String>,
) -> io::Result<ExitCode> {
    let Chat { setup, lock, post, keeper, takes_mouse, theme, troubles, diagnostics, asks_for_code } = chat;
    let own = setup.own;
    let (tap, traffic) = traffic();
    let builder = builder.traffic(tap).admission(setup.admission.clone()).conversations(setup.conversations);
    let mut running = Running {
        app: App::new(setup),
        theme,
        screen: Screen::enter(Reports { mouse: takes_mouse, focus: true })?,
        keys: Some(Keys::listen()?),
        job_control: JobControl::listen()?,
        session: Session::start_patiently(builder.clone(), Some(keeper))
            .with_lock(lock)
            .with_outbox(own, post),
        calls: HashMap::new(),
        traffic,
        diagnostics,
        not_sent: Vec::new(),
        has_changed: true,
        drawn_until: Instant::now(),
    };
    running.app.registering(now());
    troubles.iter().for_each(|trouble| running.app.trouble(now(), trouble));
    let mut end = running.until_the_end(signals).await;
    // The node may know the key of another machine of the user, and not the one of this machine.
    let refused = match end {
        Ok(End::NotStarted(StartError::NotAdmitted)) => Some(StartError::NotAdmitted),
        Ok(End::NotStarted(StartError::KeyNotKnown)) => Some(StartError::KeyNotKnown),
        _ => None,
    };
    if let Some(error) = refused.filter(|_| asks_for_code && !running.session.is_leaving()) {
        end = running.enrol(&own, error, builder, signals).await;
    }
    if end.is_err() {
        // No terminal is left to show the outcome.
        running.session.leave(Leave::Hurried);
        while !running.session.next().await.is_last() {}
    } else if !matches!(end, Ok(End::NotEnrolled { .. })) {
        // A terminal that takes nothing loses the rest.
        _ = time::timeout(LAST_WORDS, running.screen.leave()).await;
    }
    if running.session.finish().is_err() {
        last_words.push("! the disk takes too long: something of what was said is not kept".into());
    }
    drop(running.screen);
    last_words.append(&mut running.not_sent);
    Ok(match end? {
        End::NotStarted(error) => {
            last_words.push(format!("! cannot register {own}: {}", reason::of_start(&own, &error)));
            last_words.extend(reason::hint_for_start(&own, &error).map(|hint| format!("* {hint}")));
            exit::of_start(&error)
        }
        End::NotEnrolled { code, hint } => {
            last_words.extend(hint.map(|hint| format!("* {hint}")));
            code
        }
        End::Left(Ok(())) => {
            last_words.push(format!("* deregistered {own}"));
            ExitCode::from(exit::WELL)
        }
        End::Left(Err(error)) => {
            last_words.push(format!("! cannot deregister {own}: {error}"));
            exit::of_deregistration(&error)
        }
        End::AtOnce => {
            last_words.push("! left without being deregistered".into());
            ExitCode::from(exit::FAILURE)
        }
    })
}

struct Running {
    app: App,
    theme: Theme,
    screen: Screen,
    /// The terminal's input; `None` once there is no more.
    keys: Option<Keys>,
    job_control: JobControl,
    session: Session,
    /// The calls under way, each by its callee.
    calls: HashMap<MiAddress, CallId>,
    traffic: Traffic,
    diagnostics: mpsc::Receiver<String>,
    /// Reports of lines that were not sent, for the terminal after the screen.
    not_sent: Vec<String>,
    /// Set if the screen shows an earlier state.
    has_changed: bool,
    /// The time until which nothing is drawn, because it was just before.
    drawn_until: Instant,
}

/// The end of the loop.
enum End {
    NotStarted(StartError),
    /// The user was asked for the code of an invitation, and is not registered. The screen has been given
    /// back, and the terminal has the reason.
    NotEnrolled {
        code: ExitCode,
        hint: Option<String>,
    },
    Left(Result<(), DeregisterError>),
    /// The user did not wait for the node's answer.
    AtOnce,
}

impl Running {
    async fn until_the_end(&mut self, signals: &mut Signals) -> io::Result<End> {
        loop {
            if let Some(end) = self.carry_out().await? {
                return Ok(end);
            }
            // The processor belongs to others too, whatever callers and the wire do.
            let is_early = self.has_changed && Instant::now() < self.drawn_until;
            if !is_early {
                self.draw()?;
            }
            self.session.set_watched(self.app.is_focused());
            tokio::select! {
                event = next_key(&mut self.keys) => self.typed(event)?,
                () = time::sleep_until(self.drawn_until), if is_early => continue,
                written = self.screen.write(), if self.screen.has_to_write() => {
                    written?;
                    // Nothing else has happened.
                    continue;
                }
                happened = self.session.next() => match happened {
                    Happened::NotStarted(error) => return Ok(End::NotStarted(error)),
                    Happened::NotSent { nickname, lines, .. } => {
                        self.not_sent.push(format!("! conversation with {nickname}: {}", reason::lines_not_sent(lines)));
                    }
                    Happened::Left(deregistered) => return Ok(End::Left(deregistered)),
                    happened => {
                        if let Happened::Begun { call: Some(over), .. } | Happened::CallFailed { call: over, .. } =
                            happened
                        {
                            self.calls.retain(|_, call| *call != over);
                        }
                        self.app.happened(now(), happened);
                    }
                },
                Some(passed) = self.traffic.next() => {
                    self.app.passed(now(), &passed);
                    self.app.protocol.missed(now(), self.traffic.missed());
                }
                Some(diagnostic) = self.diagnostics.recv() => self.app.trouble(now(), &diagnostic),
                asked = self.job_control.next() => match asked {
                    Asked::ToStop => self.suspend().await?,
                    Asked::ToGoOn => self.screen.resume()?,
                },
                () = signals.next() => if let Some(end) = self.hurry() { return Ok(end) },
            }
            self.has_changed = true;
        }
    }

    /// Carries out the effects of the app.
    async fn carry_out(&mut self) -> io::Result<Option<End>> {
        while let Some(effect) = self.app.poll_effect() {
            match effect {
                Effect::Wish(Wish::Call(to)) => match self.session.carry_out(Wish::Call(to)) {
                    Ok(Done::Calling(call)) => _ = self.calls.insert(to, call),
                    Ok(_) => {}
                    Err(refused) => self.app.not_reached(now(), to, &refused.to_string(), false),
                },
                Effect::GiveUp(to) => {
                    if let Some(call) = self.calls.remove(&to) {
                        self.wish(Wish::GiveUp(call));
                    }
                }
                Effect::Wish(Wish::Say { id, text }) => {
                    match self.session.carry_out(Wish::Say { id, text: text.clone() }) {
                        Ok(_) => self.app.said(now(), id, &text),
                        Err(refused) => self.app.not_said(now(), id, &text, &refused.to_string()),
                    }
                }
                Effect::Wish(wish) => self.wish(wish),
                Effect::Bell => self.screen.ring(),
                Effect::Redraw => self.screen.clear()?,
                Effect::Suspend => self.suspend().await?,
                Effect::Quit { in_a_hurry: false } => self.session.leave(Leave::Soon),
                Effect::Quit { in_a_hurry: true } => {
                    if let Some(end) = self.hurry() {
                        return Ok(Some(end));
                    }
                }
            }
        }
        Ok(None)
    }

    fn wish(&mut self, wish: Wish) {
        match self.session.carry_out(wish) {
            Ok(done) => self.app.done(now(), done),
            Err(Refused::NotKept(trouble)) => self.app.not_kept(now(), trouble),
            // The end of the conversation is reported anyway.
            Err(Refused::NoConversation) => {}
            Err(refused) => self.app.not_done(now(), &refused.to_string()),
        }
    }

    /// Leaves in a hurry, or at once if that has begun already.
    fn hurry(&mut self) -> Option<End> {
        if self.session.is_in_a_hurry() {
            return Some(End::AtOnce);
        }
        self.session.leave(Leave::Hurried);
        None
    }

    fn draw(&mut self) -> io::Result<()> {
        if !self.has_changed {
            return Ok(());
        }
        if let Some(messages) = self.session.messages() {
            self.app.messages = Some(messages);
        }
        for (id, waiting) in self.session.waiting() {
            self.app.set_waiting(id, waiting);
        }
        if self.session.is_leaving() {
            self.app.leaving();
        }
        let (app, theme) = (&mut self.app, &self.theme);
        if self.screen.draw(|frame| view::draw(frame, app, theme, now()))? {
            self.has_changed = false;
            self.drawn_until = Instant::now() + BETWEEN_DRAWINGS;
        }
        Ok(())
    }

    fn typed(&mut self, event: Option<TerminalEvent>) -> io::Result<()> {
        match event {
            Some(TerminalEvent::Key(key)) => self.app.key(now(), key),
            Some(TerminalEvent::Paste(text)) => self.app.paste(now(), &text),
            Some(TerminalEvent::Mouse(event)) => self.app.mouse(event),
            Some(TerminalEvent::FocusGained) => self.app.focus(true),
            Some(TerminalEvent::FocusLost) => self.app.focus(false),
            // This is needed even for the same size: a smaller window in between has cut the contents off.
            Some(TerminalEvent::Resize(..)) => self.screen.clear()?,
            // The terminal is gone, which counts as the end of input.
            None => {
                self.keys = None;
                self.session.leave(Leave::Soon);
            }
        }
        Ok(())
    }

    /// Gives the terminal to the shell until the shell continues the program.
    async fn suspend(&mut self) -> io::Result<()> {
        if !self.job_control.suspend(&mut self.screen).await? {
            self.app.trouble(now(), "there is no shell to go on from, so the program is not suspended");
        }
        self.has_changed = true;
        Ok(())
    }
}

/// The next input; never ready once the terminal sends no more.
async fn next_key(keys: &mut Option<Keys>) -> Option<TerminalEvent> {
    match keys {
        Some(keys) => keys.next().await,
        None => future::pending().await,
    }
}

/// The time between two drawings: nobody sees more of them, and what comes meanwhile costs none.
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(20);
