//! Lines that the user types.

use jiff::{SignedDuration, Timestamp};
use mi_agent_core::DEFAULT_KEEP;
use plumi_proto::MiAddress;

use super::{App, Effect, Overlay, Registration};
use crate::command::{Command, CommandError, Mode, completions, example_for};
use crate::full::tab::{About, ConversationState, Tab};
use crate::session::Wish;
use crate::session::post::{PostWish, later};

impl App {
    /// Carries out the line in view, which goes to the history. A line that nobody can hear stays where it
    /// is.
    pub(super) fn enter(&mut self, now: Timestamp) {
        let (line, own) = (self.tab().editor.line().to_owned(), self.own);
        let command = Command::parse(&line, Mode::Full, &own);
        if let Ok(Command::Say(text)) = &command
            && !text.trim().is_empty()
            && let Err(reason) = self.is_heard()
        {
            if self.tab().is_offline && self.tab().is_idle() {
                return self.keep_for_later(now, text);
            }
            return self.tab_mut().failure(now, &format!("{reason} (Ctrl-U deletes the line)"));
        }
        self.editor().take();
        let done = match command {
            Ok(command) => self.carry_out(now, command),
            Err(CommandError::Unknown(line)) => {
                Err(format!("there is no command {line}; /help lists them; to send the line, type /{line}"))
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = done {
            self.tab_mut().failure(now, &reason);
        }
    }

    /// Offers to keep a line for the peer of the tab in view, who is offline. Enter on the same line accepts that.
    fn keep_for_later(&mut self, now: Timestamp, text: &str) {
        let Some(to) = self.tab().address() else { return };
        if self.tab().offered.as_deref() == Some(text) {
            self.tab_mut().offered = None;
            self.editor().take();
            self.effects.push_back(Effect::Wish(Wish::Post(later(to, text))));
            return;
        }
        let until =
            now.checked_add(SignedDuration::try_from(DEFAULT_KEEP).unwrap_or_default()).unwrap_or(now);
        let until = until.to_zoned(self.zone.clone()).strftime("%A %H:%M");
        let offer =
            format!("{} is offline. Enter keeps your line for them until {until}, Esc drops it.", to.user());
        let tab = self.tab_mut();
        tab.offered = Some(text.to_owned());
        tab.news(now, &offer);
    }

    /// Returns the user that a command is about: the peer of the tab in view if it names nobody.
    fn whom(&self, command: &'static str, named: Option<MiAddress>) -> Result<MiAddress, String> {
        let no_address = || CommandError::NoAddress(command, example_for(&self.own)).to_string();
        named.or_else(|| self.tab().address()).ok_or_else(no_address)
    }

    fn carry_out(&mut self, now: Timestamp, command: Command<'_>) -> Result<(), String> {
        match command {
            Command::Say(text) if text.trim().is_empty() => {}
            Command::Say(text) => self.say(text),
            Command::Call(to) => self.call(now, self.whom("call", to)?)?,
            Command::Bye => self.bye(now)?,
            Command::Close if self.current == 0 => return Err("this tab stays; /quit leaves".into()),
            Command::Close if !self.tab().is_idle() => return Err("/bye ends the conversation first".into()),
            Command::Close => self.close(self.current),
            Command::Contacts => self.show_contacts(),
            Command::Find(text) => {
                let peer = self.tab().address().filter(|_| self.keeps_history);
                let Some(peer) = peer else {
                    let is_of_unknown = matches!(self.tab().about, About::Stranger(_)) && self.keeps_history;
                    return Err(if is_of_unknown { NO_HISTORY_OF_UNKNOWN } else { NO_HISTORY }.into());
                };
                self.effects.push_back(Effect::Wish(Wish::Find { peer, text: text.to_owned() }));
            }
            Command::Add(whom) if whom == self.own => return Err("that is your own address".into()),
            Command::Add(whom) => {
                let news = if self.contacts.add(whom, now) {
                    self.save_contacts();
                    format!("{whom} is in your contacts; F3 shows them")
                } else {
                    format!("{whom} is in your contacts already")
                };
                self.tab_mut().news(now, &news);
            }
            Command::Words => self.effects.push_back(Effect::Wish(Wish::OwnWords)),
            Command::Verify { address, words } | Command::Trust { address, words: Some(words) } => {
                let address = self.whom("verify", address)?;
                self.effects.push_back(Effect::Wish(Wish::Verify { address, words }));
            }
            Command::Trust { address, words: None } => {
                let address = self.whom("trust", address)?;
                self.effects.push_back(Effect::Wish(Wish::Trust(address)));
            }
            Command::Later(to, _) if to == self.own => return Err(format!("{to} is your own address")),
            Command::Later(to, text) => self.effects.push_back(Effect::Wish(Wish::Post(later(to, text)))),
            Command::Resend(id) => self.effects.push_back(Effect::Wish(Wish::Post(PostWish::Resend(id)))),
            Command::Forget(id) => self.effects.push_back(Effect::Wish(Wish::Post(PostWish::Forget(id)))),
            Command::Plain(to) => self.call_plain(now, self.whom("plain", to)?)?,
            Command::Help => self.overlay = Some(Overlay::Help(0)),
            Command::Protocol => self.protocol.toggle(now),
            Command::Quit => self.effects.push_back(Effect::Quit { in_a_hurry: false }),
            Command::Admission(command) => {
                let mut admission = self.admission.clone();
                let words = command.carry_out(&mut admission).map_err(|error| error.to_string())?;
                if admission != self.admission {
                    self.admission = admission.clone();
                    self.effects.push_back(Effect::Wish(Wish::SetAdmission(admission)));
                }
                self.tab_mut().news(now, &words);
            }
        }
        Ok(())
    }

    fn say(&mut self, text: &str) {
        if let Some(id) = self.tab().id() {
            self.effects.push_back(Effect::Wish(Wish::Say { id, text: text.to_owned() }));
            self.tab_mut().pane.go_to_end();
        }
    }

    /// Checks whether somebody hears what is said in the tab in view.
    fn is_heard(&self) -> Result<(), &'static str> {
        match (&self.tab().conversation, &self.tab().about) {
            (ConversationState::Open { is_ending: false, .. }, _) => Ok(()),
            (ConversationState::Open { .. }, _) => Err("the conversation is ending, so nobody hears that"),
            (ConversationState::Calling, _) => {
                Err("the call has not been answered, so nobody hears that yet")
            }
            (ConversationState::None, About::Contact(_)) => {
                Err("the conversation has ended, so nobody hears that; /call calls again")
            }
            (ConversationState::None, _) => {
                Err("you are in no conversation here, so nobody hears that; /call ADDRESS starts one")
            }
        }
    }

    /// Calls a user, and shows the tab of the call.
    pub(super) fn call(&mut self, now: Timestamp, to: MiAddress) -> Result<(), String> {
        if self.shows_call(now, to)? {
            self.effects.push_back(Effect::Wish(Wish::Call(to)));
        }
        Ok(())
    }

    /// Calls a user once without encryption, and shows the tab of the call.
    fn call_plain(&mut self, now: Timestamp, to: MiAddress) -> Result<(), String> {
        if self.shows_call(now, to)? {
            self.tab_mut().news(now, "this call is not encrypted");
            self.effects.push_back(Effect::Wish(Wish::PermitPlain(to)));
            self.effects.push_back(Effect::Wish(Wish::Call(to)));
        }
        Ok(())
    }

    /// Shows the tab of a call, or that of what is going on with the user. Returns whether the call is to be
    /// made.
    fn shows_call(&mut self, now: Timestamp, to: MiAddress) -> Result<bool, String> {
        if to == self.own {
            return Err(format!("cannot reach {to}: that is your own address"));
        }
        match self.registration {
            Registration::Registering | Registration::Waiting(_) => {
                return Err("not yet: you are not registered".into());
            }
            Registration::Leaving => return Err("you are leaving".into()),
            Registration::Registered { .. } | Registration::Lost(_) => {}
        }
        let is_with = |tab: &Tab| tab.address() == Some(to) && !tab.is_idle();
        if let Some(at) = self.tabs.iter().position(is_with) {
            self.show(at);
            let tab = self.tab_mut();
            let news = match &tab.conversation {
                ConversationState::Calling => format!("you are already calling {to}; /bye gives up"),
                ConversationState::Open { is_ending: true, .. } => {
                    format!("the conversation with {to} is ending; call again in a moment")
                }
                ConversationState::Open { peer, .. } => {
                    format!("you are already talking with {}", peer.nickname)
                }
                ConversationState::None => return Ok(false),
            };
            tab.news(now, &news);
            return Ok(false);
        }
        if self.engaged() >= self.conversations {
            return Err(match (self.conversations, self.engaged_elsewhere()) {
                (1, Some(at)) => {
                    let (number, title) = (at + 1, self.tabs[at].title());
                    format!("you are in a conversation in tab {number} ({title}); /bye there ends it")
                }
                (1, None) => "you are in a conversation; /bye ends it".to_owned(),
                (most, _) if self.tab().is_idle() => {
                    format!(
                        "you are in {most} conversations, as many as may be; /bye in the tab of one ends it"
                    )
                }
                (most, _) => {
                    format!("you are in {most} conversations, as many as may be; /bye ends this one")
                }
            });
        }
        let at = self.tab_about(&About::Contact(to));
        self.show(at);
        self.close_untalked();
        let tab = self.tab_mut();
        tab.conversation = ConversationState::Calling;
        tab.news(now, &format!("calling {to}"));
        Ok(true)
    }

    fn bye(&mut self, now: Timestamp) -> Result<(), String> {
        let about = self.tab().about.clone();
        let tab = &mut self.tabs[self.current];
        match (&mut tab.conversation, about) {
            (ConversationState::Open { id, is_ending, .. }, _) => {
                *is_ending = true;
                self.effects.push_back(Effect::Wish(Wish::HangUp(*id)));
                Ok(())
            }
            (ConversationState::Calling, About::Contact(to)) => {
                tab.conversation = ConversationState::None;
                tab.news(now, "the call was given up");
                self.effects.push_back(Effect::GiveUp(to));
                Ok(())
            }
            _ => Err(match self.engaged_elsewhere() {
                Some(_) => "you are in no conversation here; Ctrl-N goes to the next tab",
                None => "you are in no conversation here",
            }
            .into()),
        }
    }

    /// Returns the first other tab with a conversation or a call.
    fn engaged_elsewhere(&self) -> Option<usize> {
        (0..self.tabs.len()).find(|&at| at != self.current && !self.tabs[at].is_idle())
    }

    /// Completes the line that is being typed, for the Tab key.
    pub(super) fn complete(&mut self, back: bool) {
        let mut addresses: Vec<_> = self.contacts.iter().map(|contact| contact.address).collect();
        for blocked in self.admission.blocked() {
            if !addresses.contains(&blocked) {
                addresses.push(blocked);
            }
        }
        self.editor().complete(back, |line| completions(line, &addresses));
    }
}

/// The reply to `/find` in a tab without a peer.
const NO_HISTORY: &str = "there is no history here; F3 and h show that with a contact";

/// The reply to `/find` in the tab of a caller that is not known.
const NO_HISTORY_OF_UNKNOWN: &str =
    "the screen shows no history of callers who are not known; mi-agent history --unknown prints it";
