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
    pub(crate) mod known_peers;
    pub(crate) mod listener;
    pub(crate) mod node_link;
    pub(crate) mod places;
    #[cfg(feature = "secure")]
    pub(crate) mod protection;
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
    pub(crate) mod frames;
    pub(crate) mod given_way;
    pub(crate) mod intake;
    #[cfg(feature = "secure")]
    pub(crate) mod key_memory;
    pub(crate) mod nodes;
    pub(crate) mod outgoing_lines;
    pub(crate) mod output;
    pub(crate) mod refresh;
    pub(crate) mod request;
    pub(crate) mod tls_offers;
    #[cfg(feature = "secure")]
    pub(crate) mod trust;
    pub(crate) mod turns;
}

pub use agent::Agent;
pub use builder::AgentBuilder;
pub use conversation::{Conversation, LineReceiver, LineSender, MAX_LINE, MAX_WAITING_LINES, Peer};
pub use conversations::{ConversationId, Conversations, Heard};
pub use error::{
    CallError, ConversationError, DeregisterError, IncomingError, LocateError, RefreshError, SayError,
    SendError, StartError, SystemError,
};
pub use event::{Event, Events, MAX_EVENTS};
#[cfg(feature = "secure")]
pub use identity::{Identity, IdentityError};
pub use incoming::Incoming;
#[cfg(feature = "secure")]
pub use io::known_peers::{KnownPeers, KnownPeersError};
pub use io::node_link::MessageCounts;
#[cfg(feature = "secure")]
pub use key::{KeyWords, KeyWordsError, PublicKey, PublicKeyError};
#[cfg(feature = "secure")]
pub use key_log::{KeyLog, KeyLogError};
pub use lumi_dns::{DirectoryError, LookupError, NodeDirectory, NodeDirectoryBuilder};
pub use message_log::Direction;
pub use mi_proto::{Frame, FrameError, Line, Nickname, Received, ReceivedKind, TextError};
#[cfg(feature = "secure")]
pub use pin::{Day, DayError, MemoryTrust, Pin, Strength, TrustStore};
pub use plumi_proto::{
    AddressError, AddressRange, AddressRangeError, DecodeError, DecodeReason, DeregisterCode, Domain,
    Extension, HostIp, Locate, LocateOutcome, Message, MiAddress, MiSocketAddress, MiSocketAddressError,
    NameError, NodeAddress, RegisterCode, Registrant, TcpAddress, UdpAddress, UserName,
};
pub use safe_text::{PeerText, safe_text};
pub use security::{PeerSecurity, Security, SecurityError};
pub use state::acceptor::{AcceptorState, Capacity, Verdict};
pub use state::admission::{Admission, AdmissionFull, MAX_ADMISSION_ENTRIES, Refusal};
pub use state::client::{ClientSettings, LumiClient, MAX_REQUESTS, Whereabouts};
pub use state::connection_slots::CallerId;
pub use state::conversation::ConversationState;
pub use state::conversation_events::{Broken, ConversationOutput, GreetingFailure, Side, WantedInput};
pub use state::conversation_slots::{ConversationSlots, DEFAULT_IDLE, GaveWay};
pub use state::dialling::Dialling;
pub use state::frames::{Bytes, BytesMut, IncomingFrames};
pub use state::intake::{Intake, Limited};
pub use state::output::{LossReason, LumiOutput, RegistrationChange};
pub use state::refresh::{DEFAULT_REFRESH, RETRY};
pub use state::request::{LumiAnswer, LumiRequest, RequestId, RequestSchedule};
#[cfg(feature = "secure")]
pub use state::trust::{
    CallPlan, CallerRefused, Identified, KeyRefused, MAX_KEYS, NotSecure, Trust, TrustError,
};
pub use state::turns::{NewTurn, Turns};
pub use traffic::{Content, FrameKind, MAX_TRAFFIC, MAX_TRAFFIC_BYTES, Passed, Traffic, TrafficTap, traffic};
#[cfg(feature = "secure")]
pub use trust::KeyError;

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
