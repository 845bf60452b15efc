//! What a message says, for people.

use std::fmt;

use crate::message::{DeregisterCode, LocateOutcome, Message, RegisterCode};

impl Message {
    /// What this message says, as a `Display`: `laura@bb.com asks where joya@cc.com is`.
    ///
    /// Names stand in it as they came. They can have letters that are not seen, so whoever shows it escapes it as any
    /// text of strangers.
    pub fn in_words(&self) -> InWords<'_> {
        InWords(self)
    }
}

/// A message in words, see [`Message::in_words`].
#[derive(Clone, Copy, Debug)]
pub struct InWords<'a>(&'a Message);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Message::Register(user) => write!(f, "register {user}"),
            Message::RegisterReply(RegisterCode::Registered) => f.write_str("registered"),
            Message::RegisterReply(RegisterCode::NoSuchUser) => {
                f.write_str("not registered: no such user, or not from there")
            }
            Message::Deregister(user) => write!(f, "deregister {user}"),
            Message::DeregisterReply(DeregisterCode::Deregistered) => f.write_str("deregistered"),
            Message::DeregisterReply(DeregisterCode::NoSuchUser) => {
                f.write_str("not deregistered: no such user, or not from there")
            }
            Message::Locate(locate) => write!(f, "{} asks where {} is", locate.from, locate.to),
            Message::LocateReply { locate, outcome } => {
                let to = locate.to;
                match outcome {
                    LocateOutcome::Found(at) => write!(f, "{to} is at TCP {at}"),
                    LocateOutcome::Busy => write!(f, "{to} is busy, in a conversation"),
                    LocateOutcome::NoSuchUser => write!(f, "there is no user or domain {to}"),
                    LocateOutcome::Offline => write!(f, "{to} is offline"),
                }
            }
        }
    }
}
