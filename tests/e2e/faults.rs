//! Faults around the programs, done to real processes on real sockets.

mod agents;
mod changes;
mod descriptors;
mod frozen;
mod kills;
mod load;
mod name_servers;
mod network;
mod signals;
mod strangers;

use std::thread;

/// Runs `lane` [`LANES`] times at once, each with its number, for what would take long one by one.
fn in_lanes(lane: impl Fn(u64) + Sync) {
    thread::scope(|scope| {
        for number in 0..LANES {
            let lane = &lane;
            scope.spawn(move || lane(number));
        }
    });
}

/// More than there may be processors: half of the time is the disk's.
const LANES: u64 = 4;
