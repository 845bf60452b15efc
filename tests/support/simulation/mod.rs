//! A world in one thread, in virtual time, from one seed: nodes and agents as they ship, emulators of the programs that
//! are deployed, strangers, and a network that does to datagrams what networks do.
//!
//! A seed draws everything: who there is and what they run, what gets lost, doubled, late and damaged, what DNS says,
//! what crashes and freezes, what administrators and users do. After every event the laws of [`Law`] are checked. In the
//! end the network heals, and every live pair of users has to find each other. The same seed has the same trace.
//!
//! Nothing here sleeps or opens a socket: a minute of the world takes milliseconds. Its clock only moves forward to what
//! happens next; the programs are state machines that are told the time.
//!
//! Out of reach are the tables of 4,096: a node forgets any one name when it knows more, and which one that is differs
//! from run to run.

mod agents;
mod attackers;
mod dns;
mod ending;
mod faults;
mod laws;
mod log;
mod network;
mod nodes;
mod report;
mod runner;
mod scenario;
mod talks;
mod trace;
mod users;
mod world;

pub use laws::Law;
pub use report::{Failure, Outcome, Statistics};
pub use runner::{Report, run_seed, run_seeds};
