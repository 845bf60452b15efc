//! Values to bytes.

use std::fmt;
use std::io::Write;
use std::ops::Deref;

use crate::message::{DeregisterCode, Locate, LocateOutcome, MAX_MESSAGE, Message, RegisterCode, Registrant};

impl Message {
    /// The datagram that carries this message.
    pub fn encode(&self) -> EncodedMessage {
        let mut out = EncodedMessage { length: 0, bytes: [0; MAX_MESSAGE] };
        match self {
            Self::Register(registrant) => {
                out.put("PR");
                out.put(registrant.as_str());
            }
            Self::RegisterReply(RegisterCode::Registered) => out.put("RR0"),
            Self::RegisterReply(RegisterCode::NoSuchUser) => out.put("RR1"),
            Self::Deregister(registrant) => {
                out.put("PD");
                out.put(registrant.as_str());
            }
            Self::DeregisterReply(DeregisterCode::Deregistered) => out.put("RD0"),
            Self::DeregisterReply(DeregisterCode::NoSuchUser) => out.put("RD1"),
            Self::Locate(locate) => {
                out.put("PL");
                out.put_locate(locate);
            }
            Self::LocateReply { locate, outcome } => {
                out.put(match outcome {
                    LocateOutcome::Found(_) => "RL0",
                    LocateOutcome::Busy => "RL1",
                    LocateOutcome::NoSuchUser => "RL2",
                    LocateOutcome::Offline => "RL3",
                });
                out.put_locate(locate);
                if let LocateOutcome::Found(address) = outcome {
                    out.put_fmt(format_args!(":{}:{}", address.ip, address.port));
                }
            }
        }
        out
    }
}

impl Registrant {
    fn as_str(&self) -> &str {
        match self {
            Self::Address(address) => address.as_str(),
            Self::User(user) => user.as_str(),
        }
    }
}

impl fmt::Display for Registrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The bytes of one message, held in place: encoding does not allocate.
#[derive(Clone, Copy)]
pub struct EncodedMessage {
    length: usize,
    bytes: [u8; MAX_MESSAGE],
}

impl EncodedMessage {
    fn put(&mut self, text: &str) {
        self.put_fmt(format_args!("{text}"));
    }

    fn put_locate(&mut self, locate: &Locate) {
        self.put(locate.from.as_str());
        self.put(":");
        self.put(locate.to.as_str());
    }

    fn put_fmt(&mut self, text: fmt::Arguments<'_>) {
        let mut room = &mut self.bytes[self.length..];
        room.write_fmt(text).expect("names are limited so that every message fits");
        self.length = MAX_MESSAGE - room.len();
    }
}

impl Deref for EncodedMessage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Debug for EncodedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}
