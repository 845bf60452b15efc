//! Checks that the harnesses find what they are there to find.
//!
//! This is a test of the copy of the workspace that the bin `planted` makes: there, each crate has its bugs
//! of `bugs.toml` and a switch for them. One bug is turned on at a time, and has to be found.

use std::fs;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;

use integration_tests::fuzz_targets::TARGETS;
use integration_tests::planted::{Bug, SIMULATION, Threads, bugs};
use integration_tests::simulation::{Report, run_seed, run_seeds};

/// The harness that found a bug.
#[derive(Debug)]
struct Find {
    by: String,
    /// The number of seeds or inputs that it took.
    after: u64,
}

#[test]
fn every_bug_is_found_and_without_one_the_same_seeds_pass() {
    // A bug of the whole process would be there for the others as well.
    let (alone, together): (Vec<&Bug>, Vec<&Bug>) = BUGS.iter().partition(|bug| bug.thread == Threads::Any);
    let mut finds = on_all_processors(1, &alone, find);
    finds.extend(on_all_processors(processors(), &together, find));
    let mut table = String::from("planted bug -> found by, after so many seeds or inputs\n");
    for (bug, find) in alone.iter().chain(&together).zip(&finds) {
        table += &match find {
            Some(Find { by, after }) => format!("  {:<46} {by:<26} {after:>5}\n", bug.name),
            None => format!("  {:<46} NOT FOUND\n", bug.name),
        };
    }
    write!(io::stdout(), "{table}").expect("stdout");
    assert!(finds.iter().all(Option::is_some), "{table}");

    let most = finds.iter().flatten().map(|find| find.after).max().expect("there are bugs");
    let Report { statistics, failures } = run_seeds(0..most, processors());
    assert!(failures.is_empty(), "without a bug: {}", failures[0]);
    assert_eq!(statistics.seeds, most);
}

fn find(bug: &&'static Bug) -> Option<Find> {
    let on_any_thread = bug.thread == Threads::Any;
    plant(&bug.name, on_any_thread);
    let find = match bug.found_by.as_str() {
        SIMULATION => by_simulation(),
        target => by_fuzz_target(target),
    };
    plant("", on_any_thread);
    find
}

fn by_simulation() -> Option<Find> {
    (0..SEEDS).find_map(|seed| {
        let failure = run_seed(seed, false).failure?;
        Some(Find { by: format!("{:?}", failure.law), after: seed + 1 })
    })
}

fn by_fuzz_target(target: &str) -> Option<Find> {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let mut inputs: Vec<_> = fs::read_dir(root().join("crates/fuzz/corpus").join(target))
        .expect("a corpus")
        .map(|entry| entry.expect("a file").path())
        .collect();
    inputs.sort();
    (1..).zip(inputs).find_map(|(after, input)| {
        let input = fs::read(input).expect("an input");
        let is_found = panic::catch_unwind(AssertUnwindSafe(|| body(&input))).is_err();
        is_found.then(|| Find { by: format!("fuzz target {target}"), after })
    })
}

/// Turns on the bug of this name, in whichever crate has it.
fn plant(bug: &'static str, on_any_thread: bool) {
    fair_table::planted::plant(bug, on_any_thread);
    plumi_proto::planted::plant(bug, on_any_thread);
    mi_proto::planted::plant(bug, on_any_thread);
    message_log::planted::plant(bug, on_any_thread);
    lumi_dns::planted::plant(bug, on_any_thread);
    lumi_node_core::planted::plant(bug, on_any_thread);
    mi_agent_core::planted::plant(bug, on_any_thread);
}

/// Returns what `work` makes of each item, in their order. A panic in it, which is how a bug is found, prints
/// nothing.
fn on_all_processors<T: Sync, R: Send>(threads: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() != Some(WORKER) {
            usual(info);
        }
    }));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            let worker = || {
                while let Some(item) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    items.get(number).map(|item| (number, item))
                } {
                    let result = work(item.1);
                    done.lock().expect("no panic").push((item.0, result));
                }
            };
            thread::Builder::new().name(WORKER.to_owned()).spawn_scoped(scope, worker).expect("a thread");
        }
    });
    let mut done = done.into_inner().expect("no panic");
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the workspace")
}

/// The table.
static BUGS: LazyLock<Vec<Bug>> = LazyLock::new(bugs);

/// The number of seeds within which a bug has to be found.
const SEEDS: u64 = 1_000;

const WORKER: &str = "planted";
