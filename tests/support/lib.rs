//! What the tests of this workspace share: a DNS server, for now.

pub mod dns_server;
