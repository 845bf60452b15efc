//! Whether the harnesses find what they are there to find: bugs are put in on purpose, one at a time, each of which breaks
//! one rule, and each has to be found. They are in the code behind the feature `planted-bugs`:
//!
//! ```sh
//! cargo test -p integration-tests --features planted-bugs --test planted
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use integration_tests::fuzz_targets::TARGETS;
use integration_tests::simulation::{Report, run_seed, run_seeds};

/// How a bug is found.
#[derive(Clone, Copy, Debug)]
enum Finder {
    /// By the laws of simulated worlds.
    Simulation,
    /// By this fuzz target, on the inputs that are kept.
    FuzzTarget(&'static str),
}

/// What found a bug.
#[derive(Debug)]
struct Find {
    by: String,
    after: u64,
}

use Finder::{FuzzTarget, Simulation};

/// Every bug, and how it is found.
const BUGS: [(&str, Finder); 48] = [
    // Who is online.
    ("a foreign PD counts", Simulation),
    ("takeover is not denied", Simulation),
    ("anybody may register", Simulation),
    ("the domain of a PR is not read", Simulation),
    ("a PR without a domain is refused", Simulation),
    ("domains are compared with case", Simulation),
    ("every PL is a strike", Simulation),
    ("signs of life clear no strikes", Simulation),
    ("a struck user never comes back", Simulation),
    ("a removed user stays online", Simulation),
    ("a reload cuts nobody off", Simulation),
    // Which answers pass.
    ("an RL passes from anywhere", Simulation),
    ("an RL leaves its request pending", Simulation),
    ("an RL is sent twice", Simulation),
    ("requests are pending for ever", Simulation),
    ("removal leaves requests pending", Simulation),
    ("a refusal leaves the request pending", Simulation),
    ("all requests have no bound", Simulation),
    ("the requests of a source have no bound", Simulation),
    ("0.0.0.0 is handed on", Simulation),
    // What is sent on, and what is answered at all.
    ("a PL is proxied for anybody", Simulation),
    ("own users are asked for by DNS", Simulation),
    ("a question outlives its asker", Simulation),
    ("a node asks itself", Simulation),
    ("a PR from the port of nodes is answered", Simulation),
    ("an RR is answered by an RR", Simulation),
    ("there is no rate limit", Simulation),
    // DNS.
    ("look-ups have no bound", Simulation),
    ("a name is looked up twice at a time", Simulation),
    ("failures of DNS are forgotten", Simulation),
    ("what DNS said is kept too long", Simulation),
    // Agents.
    ("any sender is believed", Simulation),
    ("the names of an RL are not compared", Simulation),
    ("a PL that comes while it asks is swallowed", Simulation),
    ("a busy agent says where it is", Simulation),
    ("a blocked user is told where", Simulation),
    ("an answered request goes on", Simulation),
    ("a request is repeated for ever", Simulation),
    ("tries follow on each other", Simulation),
    ("a registration is not refreshed", Simulation),
    ("a lost registration stays lost", Simulation),
    ("an agent never says its domain", Simulation),
    // Conversations, and what is shown and written.
    ("a byte is lost where a read ends", Simulation),
    ("a line is cut inside a character", Simulation),
    ("a long line loses its end", Simulation),
    ("a line end stands in the log", Simulation),
    ("safe text lets ESC pass", FuzzTarget("safe_text")),
    ("an edit of the roster drops a line", FuzzTarget("roster")),
];

/// Under how many seeds a bug has to be found.
const SEEDS: u64 = 1_000;

#[test]
fn every_bug_is_found_and_without_one_the_same_seeds_pass() {
    let finds = on_all_processors(&BUGS, |&(bug, finder)| {
        plant(bug);
        let find = match finder {
            Simulation => by_simulation(),
            FuzzTarget(target) => by_fuzz_target(target),
        };
        plant("");
        find
    });
    let mut table = String::from("planted bug -> found by, after so many seeds or inputs\n");
    for ((bug, _), find) in BUGS.iter().zip(&finds) {
        table += &match find {
            Some(Find { by, after }) => format!("  {bug:<46} {by:<26} {after:>5}\n"),
            None => format!("  {bug:<46} NOT FOUND\n"),
        };
    }
    write!(io::stdout(), "{table}").expect("stdout");
    assert!(finds.iter().all(Option::is_some), "{table}");

    let most = finds.iter().flatten().map(|find| find.after).max().expect("there are bugs");
    let Report { statistics, failures } = run_seeds(0..most, processors());
    assert!(failures.is_empty(), "without a bug: {}", failures[0]);
    assert_eq!(statistics.seeds, most);
}

#[test]
fn every_bug_in_the_code_is_in_the_table() {
    let in_table: BTreeSet<_> = BUGS.iter().map(|(bug, _)| (*bug).to_owned()).collect();
    assert_eq!(in_table.len(), BUGS.len());
    let mut in_code = BTreeSet::new();
    for file in source_files(&root().join("crates")) {
        let code = fs::read_to_string(file).expect("a file of code");
        let calls = code.split("planted::has(\"").skip(1);
        in_code.extend(calls.map(|rest| rest.split('"').next().expect("a name").to_owned()));
    }
    assert_eq!(in_code, in_table);
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

/// The bug of this name is on this thread from now on, in whichever crate has it.
fn plant(bug: &'static str) {
    plumi_proto::planted::plant(bug);
    mi_proto::planted::plant(bug);
    message_log::planted::plant(bug);
    lumi_node_core::planted::plant(bug);
    mi_agent_core::planted::plant(bug);
}

/// What `work` makes of each item, in their order. Panics in it, which are how bugs are found, say nothing.
fn on_all_processors<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() != Some(WORKER) {
            usual(info);
        }
    }));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..processors() {
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

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => source_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the repository").to_owned()
}

const WORKER: &str = "planted";
