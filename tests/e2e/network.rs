//! Networks that change under the real programs, each test on hosts of its own (network namespaces, as root).

mod loopback;
mod moves;
mod names;
