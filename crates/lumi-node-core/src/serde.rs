//! Settings as serde values: texts, read by their parsers. `Takeover` derives the same.

use crate::state::address_range::AddressRange;
use crate::state::limiter::RateLimit;

plumi_proto::impl_serde_as_text! {
    AddressRange, "a range of addresses in quotes";
    RateLimit, "a rate limit in quotes";
}
