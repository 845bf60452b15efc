//! The capture of an agent's traffic, see [`AgentBuilder::traffic`](crate::AgentBuilder::traffic).

pub(crate) use message_log::WeakTap;
pub use message_log::{Content, MAX_TRAFFIC, MAX_TRAFFIC_BYTES, Passed, Traffic, TrafficTap, traffic};
