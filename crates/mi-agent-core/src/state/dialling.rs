//! The addresses that an agent connects to. A callee chooses where its callers connect, so it could name any
//! service.

use plumi_proto::{AddressRange, MiSocketAddress, NodeAddress, is_reachable};

use crate::error::LocateError;

/// The rules for the addresses of callees.
#[derive(Clone, Debug, Default)]
pub struct Dialling {
    /// The only ranges that are dialled; none are all.
    ranges: Vec<AddressRange>,
}

impl Dialling {
    /// Creates rules that allow only addresses in `ranges`, or all of them if there are none.
    pub fn within(ranges: Vec<AddressRange>) -> Self {
        Self { ranges }
    }

    /// Returns the address at which a callee was `found`, if an agent of the node at `node` may dial it.
    ///
    /// Loopback is the callee's own host, which is this one only if its node is here as well.
    ///
    /// # Errors
    /// [`LocateError`]: the reason why it may not.
    pub fn check(&self, node: NodeAddress, found: MiSocketAddress) -> Result<MiSocketAddress, LocateError> {
        if !is_reachable(found.ip) {
            Err(LocateError::Unusable(found))
        } else if found.ip.is_loopback() && !node.ip().is_loopback() {
            Err(LocateError::Loopback(found))
        } else if !self.ranges.is_empty() && !self.ranges.iter().any(|range| range.contains(found.ip)) {
            Err(LocateError::NotAmongDialled(found))
        } else {
            Ok(found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_dialled_is() {
        let at = |text: &str| text.parse::<MiSocketAddress>().unwrap();
        let reason = |ranges: &[&str], node: &str, found: &str| {
            let ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
            let checked = Dialling::within(ranges).check(node.parse().unwrap(), at(found));
            checked.map(|dialled| assert_eq!(dialled, at(found))).err().map(|error| error.to_string())
        };
        let (near, far) = ("127.0.0.2:3344", "192.0.2.1:3344");
        for found in ["192.0.2.9:4456", "10.0.0.1:1", "169.254.0.1:1"] {
            for node in [near, far] {
                assert_eq!(reason(&[], node, found), None);
            }
        }
        for found in ["127.0.0.1:4456", "127.255.0.1:4456"] {
            assert_eq!(reason(&[], near, found), None);
            let told = format!("the user's agent gave {found} as its address, which leads back to this host");
            assert_eq!(reason(&[], far, found), Some(told.clone()));
            assert_eq!(reason(&["127.0.0.0/8"], far, found), Some(told));
        }
        let ranges = &["192.0.2.0/24", "127.0.0.1"];
        assert_eq!(reason(ranges, far, "192.0.2.9:4456"), None);
        assert_eq!(reason(ranges, near, "127.0.0.1:4456"), None);
        for (node, found) in [(far, "192.0.3.9:4456"), (near, "127.0.0.2:4456")] {
            let told = format!("the user's agent gave {found} as its address, which you do not call");
            assert_eq!(reason(ranges, node, found), Some(told));
        }
        let told = "the user's agent gave 224.0.0.1:1 as its address, which cannot be called";
        assert_eq!(reason(&["224.0.0.0/4"], far, "224.0.0.1:1"), Some(told.to_owned()));
    }
}
