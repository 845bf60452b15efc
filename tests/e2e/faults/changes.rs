//! An administrator that changes the roster all the time, and the roster in the end.

use std::fs;
use std::path::Path;

use fastrand::Rng;
use integration_tests::programs::NodeProgram;
use lumi_node_core::Roster;

/// The users of bb.com.
#[derive(Clone, Debug)]
pub(super) struct Users(pub(super) Vec<String>);

impl Users {
    pub(super) fn numbered(count: usize) -> Self {
        Self((0..count).map(|number| format!("user-{number}")).collect())
    }

    /// Their roster.
    pub(super) fn text(&self) -> String {
        format!("bb.com\n{}\n", self.0.join("\n"))
    }

    /// Starts their node, in a folder of its own.
    pub(super) fn start(&self, arguments: &[&str]) -> NodeProgram {
        let names: Vec<_> = self.0.iter().map(String::as_str).collect();
        NodeProgram::start("bb.com", &names, arguments)
    }

    /// Makes a change, and returns what an administrator types for it. No name comes twice.
    fn change(&mut self, rng: &mut Rng) -> String {
        if rng.bool() {
            let user = format!("new-{:08x}", rng.u32(..));
            self.0.push(user.clone());
            format!("register {user}")
        } else {
            format!("deregister {}", self.0.remove(rng.usize(..self.0.len())))
        }
    }
}

/// Changes that were typed at a node's console.
#[derive(Debug)]
pub(super) struct Changes {
    /// The users of the domain after so many of them.
    after: Vec<Users>,
}

/// The changes that were found when the node had ended.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) roster: Users,
    /// One more was saved than was confirmed.
    pub(super) is_unconfirmed: bool,
}

impl Changes {
    /// Types `count` changes at a node that has these `users`, and does not wait for any.
    pub(super) fn type_at(node: &mut NodeProgram, users: &Users, rng: &mut Rng, count: usize) -> Self {
        let mut after = vec![users.clone()];
        for number in 0..count {
            let mut next = after[number].clone();
            node.type_line(&next.change(rng));
            after.push(next);
        }
        Self { after }
    }

    /// Waits until so many have been confirmed.
    pub(super) fn wait_for(&self, node: &mut NodeProgram, confirmed: usize) {
        for _ in 0..confirmed {
            node.wait_for(is_confirmation);
        }
    }

    /// Looks at the roster that `node`, which has ended, left in `folder`.
    ///
    /// # Panics
    /// If it is not exactly the one after all changes that were confirmed, or after those and the next.
    pub(super) fn saved(mut self, node: &NodeProgram, folder: &Path) -> Saved {
        let confirmed = node.stdout().iter().filter(|line| is_confirmation(line)).count();
        let text = fs::read_to_string(folder.join("config/nodelumi.cfg")).expect("a roster");
        Roster::parse(text.as_bytes()).expect("a whole roster");
        let next = self.after.len().min(confirmed + 2);
        let saved = (confirmed..next).find(|&saved| self.after[saved].text() == text);
        let Some(saved) = saved else {
            panic!("it is neither the roster after {confirmed} changes nor the one after the next: {text}");
        };
        Saved { roster: self.after.swap_remove(saved), is_unconfirmed: saved > confirmed }
    }
}

fn is_confirmation(line: &str) -> bool {
    line.starts_with("registered ") || line.starts_with("deregistered ")
}

/// The files beside the roster in the folder of a node: temporary ones.
pub(super) fn beside_the_roster(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder.join("config")).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    names.filter(|name| name != "nodelumi.cfg" && !name.starts_with("nodelumi.cfg.bindings")).collect()
}
