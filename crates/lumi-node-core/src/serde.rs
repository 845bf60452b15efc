//! Settings as serde values: texts, read by their parsers.

use crate::state::limiter::RateLimit;
use crate::state::settings::{Ask, Auth, Takeover};

plumi_proto::impl_serde_as_text! {
    RateLimit, "a rate limit in quotes";
    Auth, "off, on or required in quotes";
    Takeover, "a takeover in quotes";
    Ask, "the askers that count in quotes";
}
