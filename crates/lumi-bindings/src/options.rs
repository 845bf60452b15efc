//! What a directory is opened with.

use std::fmt;

use plumi_proto::{Domain, HostIp};

use crate::directory_url::{Credentials, DirectoryUrl};

/// What a directory is opened with.
#[derive(Clone, Debug)]
pub struct DirectoryOptions {
    /// The engine.
    pub url: DirectoryUrl,
    /// The account at the engine. `None` for the default account without a password.
    pub credentials: Option<Credentials>,
    /// The domain of the node.
    pub domain: Domain,
    /// The one address at which the node serves.
    pub serving: HostIp,
    /// The name of this node among those that have served the address: a restart with the same token
    /// continues at once.
    pub token: Token,
}

/// The name of a node, random and stored beside its bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub [u8; 16]);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
