//! An embeddable MI agent: it registers its user at the node of the user's domain, answers location requests,
//! finds other users, and talks with them line by line.
//!
//! A driver task owns the sockets, so nothing depends on the embedding program to poll: requests are answered
//! and retried, and lines are sent, while the program does something else. The decisions of the LUMI side are
//! in [`LumiClient`], a state machine under `state/` that never touches a socket or a clock.
//!
//! A bot that answers every line with the same line:
//!
//! ```no_run
#![doc = include_str!("../examples/echo-bot.rs")]
//! ```
//!
//! A caller that drops its events, so it accepts no calls:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mi_agent_core::Agent;
//!
//! let (agent, _) = Agent::builder("laura@bb.com".parse()?).start().await?;
//! let mut talk = agent.call("joya@cc.com".parse()?).await?;
//! talk.send("hola").await?;
//! while let Some(line) = talk.next_line().await? {
//!     println!("<{}> {line}", talk.peer().nickname);
//! }
//! agent.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Conversations between agents that have an [`Identity`](AgentBuilder::identity) are encrypted by TLS 1.3,
//! and both prove their keys. [`AgentBuilder::trust`] keeps the keys of others, [`AgentBuilder::security`] sets
//! the least protection that is accepted, and [`Peer::security`] is the protection that a conversation has:
//!
//! ```no_run
//! # #[cfg(feature = "secure")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mi_agent_core::{Agent, CallError, Identity, KeyWords, KnownPeers, Security};
//!
//! let (identity, _) = Identity::load_or_create("identity.pem".as_ref())?;
//! let builder = Agent::builder("laura@bb.com".parse()?);
//! let builder = builder.identity(identity).trust(KnownPeers::open("known_peers")?);
//! let (agent, _) = builder.security(Security::Encrypted).start().await?;
//! let joya = "joya@cc.com".parse()?;
//! if let Err(CallError::KeyChanged { offered, .. }) = agent.call(joya).await {
//!     println!("Joya's key is another one. Ask her for its words: {}", KeyWords::of(&joya, &offered));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The feature `serde` serializes the names and addresses of `plumi-proto` and `mi-proto` as their texts, and
//! deserializes them by their parsers. [`PeerText`] is only serialized.
//!
//! A program with a screen cannot wait for a single conversation. [`Conversations`] holds several of them
//! and queues lines. [`Admission`] decides which users may call. [`traffic()`] shows every datagram and
//! frame from the first one on. [`Agent::messages`] counts the datagrams.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mi_agent_core::{Admission, Agent, Conversations, traffic};
//!
//! let mut admission = Admission::default();
//! admission.block("joan@dd.com".parse()?)?;
//! let (tap, mut traffic) = traffic();
//! let builder = Agent::builder("laura@bb.com".parse()?).admission(admission.clone()).traffic(tap);
//! let (agent, _) = builder.conversations(2).start().await?;
//! let mut talks = Conversations::new();
//! for address in ["joya@cc.com", "pere@cc.com"] {
//!     let id = talks.add(agent.call(address.parse()?).await?);
//!     talks.say(id, "hola")?;
//! }
//! admission.unblock(&"joan@dd.com".parse()?);
//! agent.set_admission(admission);
//! agent.shutdown().await?;
//! while let Some(passed) = traffic.next().await {
//!     println!("{} {}", passed.direction.letter(), passed.content.bytes().escape_ascii());
//! }
//! # Ok(())
//! # }
//! ```

mod agent;
mod builder;
mod conversation;
mod conversations;
mod error;
mod event;
#[cfg(feature = "secure")]
mod identity;
mod incoming;
#[cfg(feature = "secure")]
mod key;
#[cfg(feature = "secure")]
mod key_log;
#[cfg(feature = "outbox")]
mod outbox;
#[cfg(feature = "outbox")]
mod outbox_store;
mod peer_security;
#[cfg(feature = "secure")]
mod pin;
mod safe_text;
mod security;
mod traffic;
#[cfg(feature = "secure")]
mod trust;
mod io {
    pub(crate) mod call;
    #[cfg(feature = "secure")]
    pub(crate) mod callee_stream;
    pub(crate) mod connection;
    pub(crate) mod dial;
    pub(crate) mod driver;
    #[cfg(feature = "secure")]
    pub(crate) mod enrolment;
    #[cfg(feature = "secure")]
    pub(crate) mod enrolment_file;
    #[cfg(feature = "secure")]
    pub(crate) mod file_access;
    mod handed_over;
    #[cfg(feature = "secure")]
    pub(crate) mod known_peers;
    pub(crate) mod listener;
    pub(crate) mod node_link;
    #[cfg(feature = "outbox")]
    pub(crate) mod outbox;
    pub(crate) mod places;
    #[cfg(feature = "secure")]
    pub(crate) mod protection;
    #[cfg(feature = "secure")]
    pub(crate) mod prover;
    #[cfg(target_os = "linux")]
    pub(crate) mod send_queue;
    pub(crate) mod shutdown;
    pub(crate) mod slot;
    pub(crate) mod talk;
    #[cfg(feature = "secure")]
    pub(crate) mod tls;
    pub(crate) mod turns;
    pub(crate) mod way;
}
mod state {
    pub(crate) mod acceptor;
    pub(crate) mod admission;
    pub(crate) mod askers;
    pub(crate) mod client;
    pub(crate) mod client_settings;
    pub(crate) mod connection_slots;
    pub(crate) mod conversation;
    pub(crate) mod conversation_events;
    pub(crate) mod conversation_intake;
    pub(crate) mod conversation_limits;
    pub(crate) mod conversation_phases;
    pub(crate) mod conversation_slots;
    pub(crate) mod conversation_times;
    pub(crate) mod deliveries;
    pub(crate) mod dialling;
    #[cfg(feature = "secure")]
    pub(crate) mod enrolling;
    pub(crate) mod frames;
    pub(crate) mod given_way;
    pub(crate) mod intake;
    #[cfg(feature = "secure")]
    pub(crate) mod key_guard;
    #[cfg(feature = "secure")]
    pub(crate) mod key_memory;
    pub(crate) mod nodes;
    #[cfg(feature = "outbox")]
    pub(crate) mod outbox;
    pub(crate) mod outgoing_lines;
    pub(crate) mod output;
    pub(crate) mod proving;
    pub(crate) mod refresh;
    pub(crate) mod request;
    pub(crate) mod source;
    pub(crate) mod tls_offers;
    #[cfg(feature = "secure")]
    pub(crate) mod trust;
    pub(crate) mod turns;
}

pub use agent::Agent;
pub use builder::AgentBuilder;
pub use conversation::{Conversation, LineReceiver, LineSender, MAX_LINE, MAX_WAITING_LINES, Peer};
pub use conversations::{ConversationId, Conversations, Heard};
#[cfg(feature = "secure")]
pub use error::EnrolError;
pub use error::{
    CallError, ConversationError, DeregisterError, IncomingError, LocateError, RefreshError, SayError,
    SendError, StartError, SystemError,
};
pub use event::{Event, Events, MAX_EVENTS};
#[cfg(feature = "secure")]
pub use identity::{Identity, IdentityError};
pub use incoming::Incoming;
#[cfg(feature = "secure")]
pub use io::callee_stream::CalleeStream;
#[cfg(feature = "secure")]
pub use io::enrolment_file::{Enrolment, EnrolmentFile};
#[cfg(feature = "secure")]
pub use io::known_peers::{KnownPeers, KnownPeersError};
pub use io::node_link::MessageCounts;
#[cfg(feature = "outbox")]
pub use io::outbox::OutboxClock;
#[cfg(feature = "secure")]
pub use key::{KeyWords, KeyWordsError, PublicKey, PublicKeyError};
#[cfg(feature = "secure")]
pub use key_log::{KeyLog, KeyLogError};
pub use lumi_dns::{DirectoryError, LookupError, NodeDirectory, NodeDirectoryBuilder};
#[cfg(feature = "secure")]
pub use lumi_proof::{Code as InvitationCode, CodeError as InvitationCodeError};
pub use message_log::Direction;
pub use mi_proto::{Frame, FrameError, Line, Nickname, Received, ReceivedKind, TextError};
#[cfg(feature = "outbox")]
pub use outbox::{Outbox, OutboxEvents, OutboxOptions};
#[cfg(feature = "outbox")]
pub use outbox_store::{Changes, LeaveError, MAX_OUTBOX_EVENTS, OutboxEvent, OutboxStore, Stored};
pub use peer_security::PeerSecurity;
#[cfg(feature = "secure")]
pub use pin::{Day, DayError, MemoryTrust, Pin, Strength, TrustStore};
pub use plumi_proto::{
    AddressError, AddressRange, AddressRangeError, DecodeError, DecodeReason, DeregisterCode, Domain,
    Extension, HostIp, Locate, LocateOutcome, Message, MiAddress, MiSocketAddress, MiSocketAddressError,
    NameError, NodeAddress, RegisterCode, Registrant, TcpAddress, UdpAddress, UserName,
};
pub use safe_text::{PeerText, safe_text};
pub use security::{Security, SecurityError};
pub use state::acceptor::{AcceptorState, Capacity, Verdict};
pub use state::admission::{Admission, AdmissionFull, MAX_ADMISSION_ENTRIES, Refusal};
pub use state::client::{LumiClient, MAX_REQUESTS, Whereabouts};
pub use state::client_settings::{ClientSettings, ProofSettings};
pub use state::connection_slots::CallerId;
pub use state::conversation::ConversationState;
pub use state::conversation_events::{Broken, ConversationOutput, GreetingFailure, Side, WantedInput};
pub use state::conversation_slots::{ConversationSlots, DEFAULT_IDLE, GaveWay};
pub use state::dialling::Dialling;
pub use state::frames::{Bytes, BytesMut, IncomingFrames};
pub use state::intake::{Intake, Limited};
#[cfg(feature = "secure")]
pub use state::key_guard::KeyGuard;
#[cfg(feature = "outbox")]
pub use state::outbox::{
    DEFAULT_KEEP, Finished, ItemId, ItemIdError, ItemState, ItemStateError, LONGEST_KEEP, MAX_ITEM,
    MAX_ITEMS, MAX_ITEMS_OF_PEER, MAX_TRIES, OutboxError, OutboxItem, OutboxOutput, OutboxState, OutboxTime,
    SHORTEST_KEEP, Tried, Written, may_forget, may_put, may_resend,
};
pub use state::output::{LossReason, LumiOutput, RegistrationChange};
pub use state::refresh::{DEFAULT_REFRESH, RETRY};
pub use state::request::{LumiAnswer, LumiRequest, RequestId, RequestSchedule};
pub use state::source::{ExpectedSource, SeenElsewhere};
#[cfg(feature = "secure")]
pub use state::trust::{
    CallPlan, CallerRefused, Identified, KeyRefused, MAX_KEYS, NotSecure, Trust, TrustError,
};
pub use state::turns::{NewTurn, Turns};
pub use traffic::{
    Content, FrameKind, Handshake, MAX_TRAFFIC, MAX_TRAFFIC_BYTES, Passed, Traffic, TrafficTap, traffic,
};
#[cfg(feature = "secure")]
pub use trust::KeyError;

/// The rules for keys: what a call meets, what is believed, and what becomes a pin.
///
/// An agent goes by them. A program that changes what is known of a key without an agent passes them to
/// [`TrustStore::change`]:
///
/// ```
/// use mi_agent_core::{Day, Identity, MemoryTrust, Strength, TrustStore, key_rules};
///
/// let (store, joya) = (MemoryTrust::default(), "joya@cc.com".parse()?);
/// let (key, today) = (Identity::generate()?.public_key(), Day::today());
/// let mut changed = Ok(());
/// store.change(&joya, &mut |pins| changed = key_rules::introduce(pins, key, today))?;
/// changed?;
/// assert_eq!(store.pins(&joya)?[0].strength, Strength::Introduced);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "secure")]
pub mod key_rules {
    pub use crate::state::trust::{
        Candidate, accept, forget, identify_caller, introduce, judge_callee, pinned_by_call, plain_caller,
        plan_call, verify,
    };
}

/// Returns a time for tests of `state/`, which has no clock.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any time is as good as another")]
fn any_time() -> std::time::Instant {
    std::time::Instant::now()
}

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
