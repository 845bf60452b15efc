//! Values to bytes.

use core::fmt;
use core::ops::Deref;

use crate::extension::Extension;
use crate::message::{DeregisterCode, Locate, LocateOutcome, MAX_MESSAGE, Message, RegisterCode, Registrant};
use crate::proof::{Verb, challenge_request};

impl Message {
    /// The datagram that carries this message.
    pub fn encode(&self) -> EncodedMessage {
        let mut out = EncodedMessage { length: 0, bytes: [0; MAX_MESSAGE] };
        match self {
            Self::Register(registrant) => {
                out.put(b"PR");
                out.put(registrant.as_bytes());
            }
            Self::RegisterReply { code, extension } => {
                out.put(match code {
                    RegisterCode::Registered => b"RR0",
                    RegisterCode::NoSuchUser => b"RR1",
                });
                out.put_extension(extension);
            }
            Self::Deregister(registrant) => {
                out.put(b"PD");
                out.put(registrant.as_bytes());
            }
            Self::DeregisterReply { code, extension } => {
                out.put(match code {
                    DeregisterCode::Deregistered => b"RD0",
                    DeregisterCode::NoSuchUser => b"RD1",
                });
                out.put_extension(extension);
            }
            Self::Locate(locate) => {
                out.put(b"PL");
                out.put_locate(locate);
            }
            Self::LocateReply { locate, outcome, extension } => {
                out.put(match outcome {
                    LocateOutcome::Found(_) => b"RL0",
                    LocateOutcome::Busy => b"RL1",
                    LocateOutcome::NoSuchUser => b"RL2",
                    LocateOutcome::Offline => b"RL3",
                });
                out.put_locate(locate);
                if let LocateOutcome::Found(address) = outcome {
                    for (number, octet) in (0..).zip(address.ip.octets()) {
                        out.put(if number == 0 { b":" } else { b"." });
                        out.put_number(octet.into());
                    }
                    out.put(b":");
                    out.put_number(address.port.get());
                }
                out.put_extension(extension);
            }
            Self::RequestChallenge { verb, address } => {
                out.put(match verb {
                    Verb::Register => b"PR",
                    Verb::Deregister => b"PD",
                });
                out.put(address.as_bytes());
                out.put(b":");
                challenge_request(address).for_each(|byte| out.put(&[byte]));
            }
            Self::Prove(proof) => {
                out.put(b"PK");
                out.put(&proof.encode());
            }
            Self::Enrol { address, key } => {
                out.put(b"PR");
                out.put(address.as_bytes());
                out.put(b":E");
                out.put(&key.text());
            }
        }
        out
    }
}

impl Registrant {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Address(address) => address.as_bytes(),
            Self::User(user) => user.as_bytes(),
        }
    }
}

impl fmt::Display for Registrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::User(user) => user.fmt(f),
        }
    }
}

/// The bytes of one message, held in place: encoding does not allocate.
#[derive(Clone, Copy)]
pub struct EncodedMessage {
    length: usize,
    bytes: [u8; MAX_MESSAGE],
}

impl EncodedMessage {
    /// Names are limited so that every message without an extension fits.
    fn put(&mut self, text: &[u8]) {
        let end = self.length + text.len();
        self.bytes[self.length..end].copy_from_slice(text);
        self.length = end;
    }

    fn put_locate(&mut self, locate: &Locate) {
        self.put(locate.from.as_bytes());
        self.put(b":");
        self.put(locate.to.as_bytes());
    }

    /// Leaves out an extension that does not fit.
    fn put_extension(&mut self, extension: &Extension) {
        let extension = extension.as_bytes();
        if extension.len() <= MAX_MESSAGE - self.length {
            self.put(extension);
        }
    }

    /// Adds a decimal number, without leading zeros.
    fn put_number(&mut self, number: u16) {
        for power in [10_000, 1000, 100, 10, 1] {
            if number >= power || power == 1 {
                self.put(&[b'0' + (number / power % 10) as u8]);
            }
        }
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
