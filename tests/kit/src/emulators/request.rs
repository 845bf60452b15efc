//! A request of an agent, sent again and again until something comes.

use std::time::{Duration, Instant};

use super::text;

/// A request of an agent to its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `PR`.
    Register,
    /// `PD`.
    Deregister,
    /// `PL`, for this address.
    Locate(String),
}

/// The reason why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was answered with this digit.
    Code(char),
    /// It was not answered, as often as it was sent.
    NoAnswer,
    /// The program took a message for its answer that is not one.
    Misread(Vec<u8>),
}

/// A request under way.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) request: Request,
    /// The message that is sent.
    pub(super) message: Vec<u8>,
    tries_left: u32,
    interval: Duration,
    due: Instant,
}

/// The next step once a try has not been answered in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    NotYet,
    SendAgain,
    GiveUp,
}

impl Asking {
    /// `message` has been sent for the first time.
    pub(super) fn new(
        now: Instant,
        request: Request,
        message: Vec<u8>,
        tries: u32,
        interval: Duration,
    ) -> Self {
        Self { request, message, tries_left: tries - 1, interval, due: now + interval }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn timeout(&mut self, now: Instant) -> Due {
        if now < self.due {
            return Due::NotYet;
        }
        let Some(left) = self.tries_left.checked_sub(1) else { return Due::GiveUp };
        self.tries_left = left;
        self.due = now + self.interval;
        Due::SendAgain
    }
}

impl Request {
    /// The letters of its answer.
    pub(super) fn awaited(&self) -> &'static [u8; 2] {
        match self {
            Self::Register => b"RR",
            Self::Deregister => b"RD",
            Self::Locate(_) => b"RL",
        }
    }

    /// Returns its outcome by this answer. The text behind the two letters and the code is not compared with
    /// anything.
    pub(super) fn answered(self, answer: &[u8]) -> super::Effect {
        use super::Effect::{Deregistered, Failed, Located, Registered};

        let code = answer.strip_prefix(self.awaited()).and_then(|rest| rest.first());
        match (self, code) {
            (Self::Register, Some(b'0')) => Registered,
            (Self::Deregister, Some(b'0')) => Deregistered,
            (Self::Locate(to), Some(b'0')) => match text::found(answer) {
                Some(at) => Located { to, at },
                None => Failed(Self::Locate(to), Failure::Misread(answer.to_vec())),
            },
            (request, Some(&code)) if code.is_ascii_digit() => Failed(request, Failure::Code(code.into())),
            (request, _) => Failed(request, Failure::Misread(answer.to_vec())),
        }
    }
}
