//! Directories of several nodes with a real engine, which is stopped, killed, emptied and misconfigured.

#![expect(clippy::unwrap_used, reason = "this is a test throughout")]

mod claims;
mod engine;
mod faults;
mod leases;

use std::collections::HashMap;
use std::time::Duration;

use lumi_bindings::{
    Directory, DirectoryOptions, DirectoryReport, DirectoryReports, Entry, LeaseReport, Stamp, Token,
};
use plumi_proto::UserName;

use engine::Engine;

/// A node: its directory, and its copy of all entries.
struct Node {
    directory: Option<Directory>,
    reports: DirectoryReports,
    copy: HashMap<UserName, Entry>,
}

impl Node {
    /// Opens a directory as 127.0.0.`host`, with a token of `token`.
    fn open(engine: &Engine, host: u8, token: u8) -> Self {
        Self::with(DirectoryOptions {
            url: engine.url(),
            credentials: None,
            domain: "bb.com".parse().unwrap(),
            serving: [127, 0, 0, host].into(),
            token: Token([token; 16]),
        })
    }

    fn with(options: DirectoryOptions) -> Self {
        let (directory, reports) = Directory::open(options).unwrap();
        Self { directory: Some(directory), reports, copy: HashMap::new() }
    }

    /// Opens a directory that has joined.
    async fn joined(engine: &Engine, host: u8) -> Self {
        let mut node = Self::open(engine, host, host);
        node.until(|report| matches!(report, DirectoryReport::Joined)).await;
        node
    }

    fn claim(&self, claims: impl IntoIterator<Item = (UserName, Entry)>) {
        self.directory.as_ref().unwrap().claim(claims);
    }

    /// Merges reports until one is as it should be, which is returned.
    async fn until(&mut self, is_it: impl Fn(&DirectoryReport) -> bool) -> DirectoryReport {
        let wait = async {
            loop {
                let report = self.reports.next().await.expect("the thread runs");
                self.merge(&report);
                if is_it(&report) {
                    return report;
                }
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.expect("it happens in time")
    }

    /// Waits until the copy has `entry` of `user`.
    async fn knows(&mut self, user: UserName, entry: Entry) {
        let wait = async {
            while self.copy.get(&user) != Some(&entry) {
                let report = self.reports.next().await.expect("the thread runs");
                self.merge(&report);
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.expect("it happens in time");
    }

    fn merge(&mut self, report: &DirectoryReport) {
        use DirectoryReport::{Changed, Claimed, Joining, Refused};
        if let Joining(entries) | Changed(entries) | Claimed(entries) | Refused(entries) = report {
            for &(user, entry) in entries {
                let known = self.copy.entry(user).or_insert(entry);
                if entry.beats(known) {
                    *known = entry;
                }
            }
        }
    }

    async fn cut_off(&mut self) -> String {
        let report = self.until(|report| matches!(report, DirectoryReport::CutOff { .. })).await;
        let DirectoryReport::CutOff { reason } = report else { unreachable!() };
        reason
    }

    async fn leased(&mut self) -> u64 {
        let report =
            self.until(|report| matches!(report, DirectoryReport::Lease(LeaseReport::Taken { .. }))).await;
        let DirectoryReport::Lease(LeaseReport::Taken { epoch, .. }) = report else { unreachable!() };
        epoch
    }

    /// Closes the directory, and waits for its end.
    async fn close(mut self) {
        self.directory = None;
        let wait = async { while self.reports.next().await.is_some() {} };
        tokio::time::timeout(DEADLINE, wait).await.expect("it ends in time");
    }
}

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

/// An agent that was heard at 127.0.0.`host`.
fn entry(host: u8, stamp: u64) -> Entry {
    let agent = Some(format!("10.0.0.7:{}", 1 + stamp % 0xffff).parse().unwrap());
    Entry { serving: [127, 0, 0, host].into(), agent, stamp: Stamp(stamp) }
}

/// The time in which everything happens, on a busy machine too.
const DEADLINE: Duration = Duration::from_secs(60);
