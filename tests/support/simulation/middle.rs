//! A person in the middle, who changes answers on their way and answers calls in the place of others.

use std::net::{Ipv4Addr, SocketAddrV4};

use fastrand::Rng;
use mi_agent_core::PublicKey;
use plumi_proto::MAX_MESSAGE;

use super::keys::draw_key;
use super::network::Datagram;

/// The person in the middle of a world, with a key of their own.
#[derive(Debug)]
pub(super) struct Middle {
    /// Everything about keys is drawn from this, so that worlds without them are as they were.
    pub(super) rng: Rng,
    pub(super) key: PublicKey,
    is_there: bool,
}

/// The way in which a call is answered by somebody in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Impostor {
    /// It encrypts, with its own key.
    Encrypts,
    /// It answers in plain text, whatever comes.
    Plain,
}

impl Middle {
    pub(super) fn draw(mut rng: Rng) -> Self {
        let key = draw_key(&mut rng);
        let is_there = rng.u8(0..100) < 60;
        Self { rng, key, is_there }
    }

    /// Leaves for good.
    pub(super) fn leave(&mut self) {
        self.is_there = false;
    }

    /// Changes an answer on its way now and then: takes an offer of encryption out, puts one or something
    /// like one in, or gives another address. Returns what it did.
    pub(super) fn tampers(&mut self, datagram: &mut Datagram) -> Option<&'static str> {
        if !self.is_there || !datagram.bytes.starts_with(b"RL0") || self.rng.u8(0..TAMPERED) != 0 {
            return None;
        }
        let text = String::from_utf8(datagram.bytes.clone()).ok()?;
        let fields: Vec<_> = text.split(':').collect();
        let &[names_from, names_to, ip, port, ref extension @ ..] = &fields[..] else { return None };
        let place = format!("{names_from}:{names_to}:{ip}:{port}");
        let (changed, deed) = match self.rng.u8(0..4) {
            0 if !extension.is_empty() => (place, "an offer of encryption was taken out"),
            1 => (format!("{place}:{}", self.rng.choice(LIKE_OFFERS)?), "something like an offer was put in"),
            2 => (format!("{place}:T"), "an offer of encryption was put in"),
            3 => (
                text.replacen(&format!(":{ip}:{port}"), &format!(":{MIDDLE}"), 1),
                "another address was put in",
            ),
            _ => return None,
        };
        if changed.len() > MAX_MESSAGE {
            return None;
        }
        datagram.bytes = changed.into_bytes();
        (datagram.content.attacker, datagram.cause.attacker) = (true, true);
        Some(deed)
    }

    /// Returns how a call to `at` is answered, unless it arrives where it was meant to.
    pub(super) fn answers(&mut self, at: SocketAddrV4) -> Option<Impostor> {
        let is_intercepted = at == MIDDLE || self.is_there && self.rng.u8(0..INTERCEPTED) == 0;
        let impostor = if self.rng.u8(0..4) == 0 { Impostor::Plain } else { Impostor::Encrypts };
        is_intercepted.then_some(impostor)
    }
}

/// The address that it gives as that of others.
const MIDDLE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 66), 6_666);

/// One answer of so many is changed.
const TAMPERED: u8 = 8;

/// One call of so many is answered by it.
const INTERCEPTED: u8 = 8;

/// Extensions that are no offers, and odd ones that are.
const LIKE_OFFERS: &[&str] = &["t", "TT", "x:T", " T", "", "T:x", "T:"];
