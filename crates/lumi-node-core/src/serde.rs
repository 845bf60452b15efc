//! Settings as serde values: texts, read by their parsers. `Takeover` derives the same.

use crate::state::limiter::RateLimit;

plumi_proto::impl_serde_as_text! {
    RateLimit, "a rate limit in quotes";
}
