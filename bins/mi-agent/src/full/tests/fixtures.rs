//! Fixtures that tests of the full screen share.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mi_agent_core::{Admission, ConversationId, Peer, PeerSecurity, PeerText, PublicKey, Trust};

use crate::full::app::Setup;
use crate::store::contacts::Contacts;

/// The time of the tests: 25 November 2026, 15:42 in UTC.
pub(crate) fn now() -> Timestamp {
    "2026-11-25T15:42:00Z".parse().unwrap()
}

/// The setup of Laura, without contacts.
pub(crate) fn setup() -> Setup {
    Setup {
        own: "laura@bb.com".parse().unwrap(),
        nickname: "Laura".into(),
        conversations: 1,
        keeps_history: true,
        rings_bell: true,
        zone: TimeZone::UTC,
        contacts: Contacts::default(),
        admission: Admission::default(),
        key_log: None,
    }
}

/// The user at `address`, nicknamed like the user part.
pub(crate) fn peer(address: &str) -> Peer {
    let address: plumi_proto::MiAddress = address.parse().unwrap();
    let nickname = PeerText::new(address.user().as_str());
    let mut peer = Peer::new(nickname, "127.0.0.1:4456".parse().unwrap());
    peer.address = Some(address);
    peer
}

/// The peer, as one that proved to have [`key`].
pub(crate) fn with_key(mut peer: Peer, trust: Trust) -> Peer {
    peer.security = PeerSecurity::Tls { key: key(7), trust };
    peer
}

/// The user at `address`, calling in plain text although a key is known.
pub(crate) fn without_key(address: &str) -> Peer {
    let mut peer = peer(address);
    peer.security = PeerSecurity::Plain { lacks_key: true };
    peer
}

/// The key of this number.
pub(crate) fn key(number: u8) -> PublicKey {
    PublicKey::from_bytes([number; 32])
}

/// A caller without a known address.
pub(crate) fn stranger(nickname: &str) -> Peer {
    Peer::new(PeerText::new(nickname), "127.0.0.1:4457".parse().unwrap())
}

/// The conversation with this number.
pub(crate) fn id(number: u64) -> ConversationId {
    ConversationId::from(number)
}
