//! Ranges of IPv4 addresses, for settings (RFC 4632).

use core::fmt;
use core::str::FromStr;

use ipnet::Ipv4Net;

use crate::host::HostIp;

/// The IPv4 addresses with the same first bits.
///
/// Written as an address and the number of those bits: `192.0.2.0/24` is 192.0.2.0 to 192.0.2.255. An address
/// alone is a range of one; what follows the counted bits means nothing, so that `192.0.2.7/24` is the same.
///
/// ```
/// use plumi_proto::AddressRange;
///
/// let range: AddressRange = "192.0.2.7/24".parse()?;
/// assert!(range.contains([192, 0, 2, 200].into()));
/// assert_eq!(range.to_string(), "192.0.2.0/24");
/// # Ok::<(), plumi_proto::AddressRangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange(Ipv4Net);

impl AddressRange {
    /// Returns whether `address` is one of them.
    pub fn contains(&self, address: HostIp) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let address = address.parse().map_err(|_| AddressRangeError::Address)?;
        // A sign is no digit, though the standard library reads one.
        let bits = Some(bits).filter(|bits| !bits.starts_with('+')).and_then(|bits| bits.parse().ok());
        let range = bits.and_then(|bits| Ipv4Net::new(address, bits).ok()).ok_or(AddressRangeError::Bits)?;
        Ok(Self(range.trunc()))
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The reason why a text is no [`AddressRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressRangeError {
    /// It does not begin with an IPv4 address.
    #[error("a range of addresses is an IPv4 address, alone or as in 192.0.2.0/24")]
    Address,
    /// The text behind the `/` is not a number of bits.
    #[error("after the '/' of a range of addresses stands how many bits they share, 0 to 32")]
    Bits,
}
