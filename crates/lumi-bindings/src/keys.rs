//! The names of the keys in the engine.

use plumi_proto::{Domain, HostIp};

/// The keys of one domain. Those of a partition hash to one slot of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    domain: String,
}

impl Keys {
    /// Equal domains have equal keys.
    pub(crate) fn new(domain: &Domain) -> Self {
        Self { domain: domain.as_str().trim_end_matches('.').to_ascii_lowercase() }
    }

    /// The hash of a partition with the entries of a part of its users.
    pub(crate) fn entries(&self, partition: u8, bucket: u8) -> String {
        format!("lumi:{{{}/{partition}}}:at:{bucket}", self.domain)
    }

    /// The stream of changes in a partition.
    pub(crate) fn log(&self, partition: u8) -> String {
        format!("lumi:{{{}/{partition}}}:log", self.domain)
    }

    /// The epochs of all serving addresses in a partition.
    pub(crate) fn epoch(&self, partition: u8) -> String {
        format!("lumi:{{{}/{partition}}}:epoch", self.domain)
    }

    /// The lease of a serving address.
    pub(crate) fn lease(&self, serving: HostIp) -> String {
        format!("lumi:{}:node:{serving}", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_they_are_documented() {
        let keys = Keys::new(&"BB.com".parse().unwrap());
        assert_eq!(keys.entries(3, 255), "lumi:{bb.com/3}:at:255");
        assert_eq!(keys.log(63), "lumi:{bb.com/63}:log");
        assert_eq!(keys.epoch(0), "lumi:{bb.com/0}:epoch");
        assert_eq!(keys.lease(HostIp::new(10, 0, 0, 2)), "lumi:bb.com:node:10.0.0.2");
    }
}
