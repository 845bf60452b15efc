//! The way from a domain to its node. One question has one answer: IPv4 addresses and a port, or the reason
//! why there are none.
//!
//! This crate keeps no answer and repeats none: each [`NodeDirectory::find`] asks anew, for at most
//! [`LOOKUP_DEADLINE`], and says how long its answer holds. A program that asks often, or for strangers,
//! caches. The library that speaks DNS does not show: none of its types is in this interface.
//!
//! The sources, in their order; the first that knows the domain decides:
//!
//! ```text
//! 1  peers           domains with a node that the builder was given
//! 2  the domain      if it is an IPv4 literal, it answers itself
//! 3  the hosts file  the system's, hosts(5), whichever name servers are asked; `localhost` is always in it
//! 4  name servers    those the builder was told, or else the system's, resolv.conf(5) with its search list
//! ```
//!
//! The two files of the system are read again when they have changed.
//!
//! The feature `dns`, which is on by default, is the fourth source. A program without it needs a third of the
//! crates.
//!
//! The search list completes single labels only. A domain with a dot is looked up as it stands.
//!
//! Two equal [`Domain`](plumi_proto::Domain)s have the same node: case and a trailing dot change nothing, so
//! a single label is tried with the search list even when it ends with a dot.
//!
//! ```
//! use lumi_dns::NodeDirectory;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = NodeDirectory::builder().peer("bb.com".parse()?, "10.0.0.2:3344".parse()?).build()?;
//! assert_eq!(directory.find(&"BB.com.".parse()?).await?.address, "10.0.0.2:3344".parse()?);
//! assert_eq!(directory.find(&"10.0.0.3".parse()?).await?.address, "10.0.0.3:3344".parse()?);
//! # Ok(())
//! # }
//! ```

mod directory;
mod error;
mod hosts;
#[cfg_attr(not(feature = "dns"), path = "no_name_servers.rs")]
mod name_servers;
mod watched_file;

pub use directory::{
    AddressOfNode, FoundNode, LOOKUP_DEADLINE, MAX_ADDRESSES, MAX_TTL, NodeDirectory, NodeDirectoryBuilder,
    is_of_this_host,
};
pub use error::{DirectoryError, LookupError};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
