//! A world from one seed, in one thread and in virtual time: nodes and agents as they ship, emulators of the
//! deployed programs, attackers, and a network with faults.
//!
//! A seed draws everything: the parties and their programs, lost, duplicated, late and damaged datagrams, the
//! answers of DNS, crashes and freezes, and the actions of administrators and users. After every event, the
//! laws of [`Law`] are checked. In the end the network heals, and every live pair of users has to find each
//! other. The same seed has the same trace.
//!
//! The simulation does not sleep and opens no socket, so a minute of the world takes milliseconds. Its clock
//! jumps to the next event, and the programs are state machines that take the time as an argument.
//!
//! The tables of 4,096 names are out of reach: a node that knows more names forgets an arbitrary one, which
//! differs from run to run.

mod agents;
mod attackers;
mod calls;
mod dns;
mod ending;
mod faults;
mod key_changes;
mod keys;
mod laws;
mod log;
mod middle;
mod network;
mod nodes;
mod proofs;
mod report;
mod runner;
mod scenario;
mod stores;
mod talks;
mod trace;
mod users;
mod world;

pub use laws::Law;
pub use report::{Failure, Outcome, Statistics};
pub use runner::{Report, run_seed, run_seed_within, run_seeds, run_seeds_within};
