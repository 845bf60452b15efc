//! `kill -9`: the node is gone from one instruction to the next.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;
use integration_tests::programs::{NodeProgram, write_roster};

use super::changes::{Changes, Users, beside_the_roster};
use super::load::Load;
use super::{LANES, in_lanes};

#[test]
fn a_node_killed_within_a_change_leaves_the_old_roster_or_the_new_one() {
    let within = AtomicUsize::new(0);
    in_lanes(|lane| {
        let mut rng = Rng::with_seed(lane);
        let folder = tempfile::tempdir().expect("a folder");
        let mut roster = Users::numbered(USERS);
        write_roster(folder.path(), &roster.text());
        for _ in 0..KILLS_OF_CHANGES / LANES {
            let was_within = is_killed_within_a_change(folder.path(), &mut roster, &mut rng);
            within.fetch_add(usize::from(was_within), Ordering::Relaxed);
        }
        // The next change removes what the last one left.
        let mut node = NodeProgram::start_in(folder.path(), &["--console", "--log", "/dev/null"]);
        Changes::type_at(&mut node, &roster, &mut rng, 1).wait_for(&mut node, 1);
        assert_eq!(beside_the_roster(folder.path()), [""; 0]);
    });
    let within = within.into_inner();
    assert!(within >= 20, "only {within} nodes were killed within a change: this shows little");
}

/// Starts a node on `roster`, types changes, kills it, and looks at what it left; that is the roster from
/// then on. Returns whether it was killed within a change.
fn is_killed_within_a_change(folder: &Path, roster: &mut Users, rng: &mut Rng) -> bool {
    let mut node = NodeProgram::start_in(folder, &["--console", "--log", "/dev/null"]);
    let ready = &node.stdout()[0];
    assert!(ready.ends_with(&format!(", {} users", roster.0.len())), "{ready}");
    let mut left = beside_the_roster(folder);
    let changes = Changes::type_at(&mut node, roster, rng, CHANGES);
    let confirmed = rng.usize(..CHANGES);
    changes.wait_for(&mut node, confirmed);
    if confirmed > 0 {
        // It is gone since; what is there now is new.
        left.clear();
    }
    // Somewhere within the next change; in every other round, when its temporary file is to be seen.
    let (looks, stops_at_sight) = if rng.bool() { (10_000, true) } else { (rng.usize(..100), false) };
    for _ in 0..looks {
        let temporary = beside_the_roster(folder);
        if stops_at_sight && temporary.len() > left.len() {
            break;
        }
    }
    node.kill();

    let saved = changes.saved(&node, folder);
    let temporary = beside_the_roster(folder);
    assert!(temporary.len() <= 1, "of all that were killed, {temporary:?} are left");
    *roster = saved.roster;
    saved.is_unconfirmed || temporary.len() > left.len()
}

#[test]
fn a_node_killed_under_load_has_logged_every_answer_that_was_seen() {
    in_lanes(|lane| {
        let mut rng = Rng::with_seed(lane);
        for _ in 0..KILLS_UNDER_LOAD / LANES {
            let users = Users::numbered(IN_FLIGHT);
            let mut node = users.start(&["--rate-limit", "off"]);
            let mut load = Load::start(&users, &node);
            load.turn(rng.usize(1..10 * IN_FLIGHT));
            node.kill();
            load.assert_logged(&node);
            // The lines of answers that were not sent any more may be there, too: of all that came together.
            let sent = node.log().iter().filter(|line| line.starts_with("E: ")).count();
            let seen = load.answered();
            assert!((seen..=seen + IN_FLIGHT).contains(&sent), "{seen} of {sent}");
        }
    });
}

const KILLS_OF_CHANGES: u64 = 200;

const KILLS_UNDER_LOAD: u64 = 100;

/// Enough for a roster that takes several pages.
const USERS: usize = 1_000;

/// Changes that are typed at once.
const CHANGES: usize = 4;

/// Requests under way at a time.
const IN_FLIGHT: usize = 64;
