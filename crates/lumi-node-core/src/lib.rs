//! The LUMI node of a domain: it knows the users of the domain and where each one is online, and asks the
//! nodes of other domains.
//!
//! The decisions are in [`Node`], a state machine under `state/` that never touches a socket, a clock, a file
//! or a name server: time is passed in as an argument, and effects are returned as [`Output`] values.
//! [`Server`] is the task that carries them out on a UDP socket that its caller bound. [`RosterFile`] is
//! `nodelumi.cfg`; users from elsewhere come from a [`RosterStore`], or through a [`ServerHandle`]. Where
//! users are registered is saved in a [`BindingStore`], if there is one, and survives a restart. Unix only.
//!
//! A server logs each message as an event of the target [`message_log::TARGET`] at the level TRACE. A message
//! log is a layer of the subscriber; a program that wants the messages themselves uses
//! [`ServerBuilder::traffic`].
//!
//! The feature `serde` serializes [`AddressRange`], [`Ask`], [`RateLimit`] and [`Takeover`] as their texts,
//! and deserializes them by their parsers, as the names and addresses of `plumi-proto`.
//!
//! ```no_run
//! use lumi_node_core::{Node, NodeDirectory, NodeSettings, RosterFile, Server};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (file, roster) = RosterFile::open("config/nodelumi.cfg")?;
//! let socket = tokio::net::UdpSocket::bind("127.0.0.2:3344").await?;
//! let node = Node::new(roster, "127.0.0.2:3344".parse()?, NodeSettings::default());
//! let directory = NodeDirectory::builder().build()?;
//! let (server, administrator) = Server::builder(socket, node).directory(directory).store(file).build()?;
//! server.run(async { _ = tokio::signal::ctrl_c().await }).await?;
//! # drop(administrator);
//! # Ok(())
//! # }
//! ```

#[cfg(not(unix))]
compile_error!("lumi-node-core runs on Unix only");

mod administrator;
#[cfg(feature = "serde")]
mod serde;
mod io {
    mod administration;
    pub(crate) mod bindings;
    #[cfg(feature = "proof")]
    pub(crate) mod credential_files;
    mod datagrams;
    mod durable;
    #[cfg(feature = "proof")]
    pub(crate) mod enrolments;
    pub(crate) mod events;
    #[cfg(feature = "proof")]
    pub(crate) mod key_file;
    mod outbox;
    mod rate_limited_counter;
    mod resolving;
    pub(crate) mod roster_file;
    pub(crate) mod roster_store;
    pub(crate) mod server;
    mod socket;
    mod task;
    #[cfg(test)]
    mod tests {
        pub(super) mod diagnostics;
    }
}
mod state {
    pub(crate) mod address_range;
    pub(crate) mod admin;
    pub(crate) mod binding;
    pub(crate) mod bindings;
    #[cfg(feature = "proof")]
    mod credentials;
    pub(crate) mod dropped;
    #[cfg(feature = "proof")]
    pub(crate) mod enrolment;
    pub(crate) mod event;
    pub(crate) mod held_answers;
    #[cfg(feature = "proof")]
    pub(crate) mod invitations;
    #[cfg(feature = "proof")]
    pub(crate) mod keys;
    pub(crate) mod limiter;
    mod location;
    pub(crate) mod location_times;
    pub(crate) mod lookups;
    mod members;
    pub(crate) mod message_counts;
    mod moved_users;
    mod name_table;
    pub(crate) mod node;
    pub(crate) mod notice;
    mod online;
    pub(crate) mod output;
    mod owner;
    pub(crate) mod party;
    mod pendings;
    pub(crate) mod policy;
    #[cfg(feature = "proof")]
    mod proving;
    mod registration;
    pub(crate) mod roster;
    pub(crate) mod settings;
    pub(crate) mod source;
    pub(crate) mod status;
    mod user;
    mod user_shares;
    pub(crate) mod users;
}

pub use administrator::{AdminError, Administrator, ServerHandle, ServerSettings};
pub use lumi_bindings::{
    BindingChange, DirectoryReport, Entry, LeaseReport, NO_AGENT, NotSaved as NotSavedInStore, SaveId, Saved,
    Sibling, Stamp, StoredBinding, UnixMillis,
};
pub use lumi_dns::{
    AddressOfNode, DirectoryError, FoundNode, LookupError, NodeDirectory, NodeDirectoryBuilder,
};
pub use message_log::{
    Content, Direction, FrameKind, LogProgress, MAX_TRAFFIC, MAX_TRAFFIC_BYTES, Passed, Traffic, TrafficTap,
    traffic,
};
pub use plumi_proto::{
    AddressError, AddressRange, AddressRangeError, DecodeError, DeregisterCode, Domain, Extension, HostIp,
    Locate, LocateOutcome, Message, MiAddress, MiSocketAddress, NameError, NodeAddress, RegisterCode,
    Registrant, UdpAddress, UserName,
};

pub use io::bindings::BindingStore;
#[cfg(feature = "sqlite")]
pub use io::bindings::BindingsDatabase;
#[cfg(feature = "proof")]
pub use io::credential_files::{CredentialFiles, CredentialFilesError};
#[cfg(feature = "proof")]
pub use io::enrolments::Enrolments;
pub use io::events::{NodeEventSender, NodeEvents, node_events};
#[cfg(feature = "proof")]
pub use io::key_file::{KeyFile, KeyFileError};
pub use io::roster_file::{RosterFile, RosterFileError};
pub use io::roster_store::RosterStore;
pub use io::server::{ServeError, Server, ServerBuilder};
#[cfg(feature = "proof")]
pub use lumi_proof::{Code, NoRandomness, random};
pub use state::admin::{
    AdminCommand, AdminId, AdminRefusal, AdminReply, MAX_NAMED, NotRead, NotSaved, Presence, ReloadRefusal,
    Reloaded, RosterChange, UserStatus,
};
pub use state::binding::Binding;
pub use state::bindings::BindingCounts;
pub use state::dropped::{DropReason, Dropped};
#[cfg(feature = "proof")]
pub use state::enrolment::{CredentialState, EnrolRequest, Enrolled};
pub use state::event::{GoneReason, NodeEvent};
#[cfg(feature = "proof")]
pub use state::invitations::{Invitation, Invitations, InvitationsError, Used};
#[cfg(feature = "proof")]
pub use state::keys::{
    KeyOrigin, KeyRefusal, Keys, KeysError, KeysReason, MAX_KEYS, PublicKey, PublicKeyError, UserKey,
};
pub use state::limiter::{RateLimit, RateLimitError};
pub use state::location_times::{LocationTimes, Locations};
pub use state::lookups::{LookupId, LookupStatus};
pub use state::message_counts::{MessageCounts, MessageKind};
pub use state::node::Node;
pub use state::notice::Notice;
pub use state::output::{BindingNotSaved, NotOneAddress, Output};
pub use state::party::{Party, leads_to};
pub use state::policy::{LocateVerdict, Policy, RegisterVerdict};
pub use state::roster::{Roster, RosterError, RosterReason};
pub use state::settings::{Ask, AskError, Auth, AuthError, NodeSettings, Takeover, TakeoverError};
pub use state::source::Source;
pub use state::status::{NodeStatus, ProofCounts, ServerStatus};
pub use state::users::Moves;

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
