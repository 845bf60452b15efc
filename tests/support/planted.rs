//! The table of bugs that the tests have to find, and how they are put into the code.

use std::path::Path;

use serde::Deserialize;

/// A bug that breaks one rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bug {
    /// The name by which the code asks whether the bug is turned on.
    pub name: String,
    /// The file that it is put into, from the root of the workspace.
    pub file: String,
    /// Code that occurs exactly once in that file.
    pub find: String,
    /// The code that takes its place.
    pub put: String,
    /// [`SIMULATION`], or the name of a fuzz target.
    pub found_by: String,
    /// The threads on which it is there while it is turned on.
    #[serde(default)]
    pub thread: Threads,
}

/// The threads on which a bug is there while it is turned on.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Threads {
    /// The one that turned it on, so that several bugs can be looked for at a time.
    #[default]
    Own,
    /// Every thread of the process.
    Any,
}

/// Reads `tests/planted/bugs.toml`.
///
/// # Panics
/// It is not a table of bugs.
pub fn bugs() -> Vec<Bug> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        bug: Vec<Bug>,
    }
    let Table { bug } = toml::from_str(include_str!("../planted/bugs.toml")).expect("a table of bugs");
    bug
}

/// Puts `bugs`, all of one file, into its `text`.
///
/// # Errors
/// The name of a bug with code that does not occur exactly once, or overlaps with that of another bug.
pub fn put_in(bugs: &[&Bug], text: &str) -> Result<String, String> {
    let mut places = Vec::new();
    for bug in bugs {
        match text.match_indices(&bug.find).map(|(at, _)| at).collect::<Vec<_>>()[..] {
            [at] => places.push((at, bug)),
            ref all => {
                return Err(format!("{:?}: its code occurs {} times in {}", bug.name, all.len(), bug.file));
            }
        }
    }
    places.sort_by_key(|(at, _)| *at);
    let (mut planted, mut done) = (String::new(), 0);
    for (at, bug) in places {
        let before =
            text.get(done..at).ok_or_else(|| format!("{:?}: its code is also another bug's", bug.name))?;
        planted += before;
        planted += &bug.put;
        done = at + bug.find.len();
    }
    Ok(planted + &text[done..])
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the workspace")
}

/// [`Bug::found_by`] of a bug that the laws of simulated worlds find.
pub const SIMULATION: &str = "simulation";

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;

    use super::*;
    use crate::fuzz_targets::TARGETS;

    /// The bin `planted` shows that each bug is found; this shows that each can still be put in.
    #[test]
    fn every_bug_can_be_put_into_the_code() {
        let bugs = bugs();
        let (mut names, mut files) = (BTreeSet::new(), BTreeMap::<_, Vec<_>>::new());
        for bug in &bugs {
            let Bug { name, file, find, put, found_by, .. } = bug;
            assert!(names.insert(name), "two bugs are called {name:?}");
            let switch = format!("crate::planted::has(\"{name}\")");
            assert_eq!(put.matches("planted::has").count(), 1, "{name:?} has one switch");
            assert!(put.contains(&switch), "{name:?} is switched by its name");
            // Comments are rewritten without a thought for this table.
            assert!(!find.contains("//"), "{name:?} looks for a comment");
            let is_target = TARGETS.iter().any(|(target, _)| target == found_by);
            assert!(is_target || found_by == SIMULATION, "{name:?} is found by {found_by:?}");
            files.entry(file).or_default().push(bug);
        }
        for (file, bugs) in files {
            let text =
                fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            put_in(&bugs, &text).unwrap();
        }
    }

    #[test]
    fn a_bug_is_put_in_once_and_beside_others() {
        let bug = |find: &str, put: &str| Bug {
            name: find.into(),
            file: "a.rs".into(),
            find: find.into(),
            put: put.into(),
            found_by: SIMULATION.into(),
            thread: Threads::Own,
        };
        let (b, cd, d, ab) = (bug("b", "B, bb"), bug("cd", "CD"), bug("d", "D"), bug("ab", ""));
        assert_eq!(put_in(&[&cd, &b], "abcdeb"), Err("\"b\": its code occurs 2 times in a.rs".into()));
        assert_eq!(put_in(&[&cd, &b], "abcde").as_deref(), Ok("aB, bbCDe"));
        assert_eq!(put_in(&[&cd], "abc"), Err("\"cd\": its code occurs 0 times in a.rs".into()));
        assert_eq!(put_in(&[&d, &cd], "abcde"), Err("\"d\": its code is also another bug's".into()));
        assert_eq!(put_in(&[&ab, &b], "abc"), Err("\"b\": its code is also another bug's".into()));
    }
}
