//! The directory that the nodes of one domain share, in Redis or Valkey: the handle of a node.
//!
//! ```text
//!            claim, one per user            scripts, ≤ 512 users of a partition
//!   node ──────────────────────► Claims ──► thread ───────────────────────────► engine
//!        ◄───────────────────── reports ◄──┘      ◄── entries, then changes from 64 streams
//! ```
//!
//! The directory is an index. The node at which an agent registered is the authority on it, and repairs the
//! directory after anything that happens to the engine.

use std::io;
use std::sync::Arc;

use plumi_proto::UserName;

use crate::claims::Claims;
use crate::directory_report::DirectoryReport;
use crate::driver;
use crate::entry::Entry;
use crate::options::DirectoryOptions;
use crate::report_queue::{ReportReceiver, report_queue};

/// The handle of a directory. When it is dropped, the lease is released and the thread ends.
#[derive(Debug)]
pub struct Directory {
    claims: Arc<Claims>,
}

impl Directory {
    /// Starts the thread of the directory, which connects to the engine and stays connected. Does not wait for
    /// the engine: everything that happens comes as a report.
    ///
    /// # Errors
    /// The system has no thread, or no runtime.
    pub fn open(options: DirectoryOptions) -> io::Result<(Self, DirectoryReports)> {
        let claims = Arc::<Claims>::default();
        let (sender, receiver) = report_queue();
        driver::start(options, Arc::clone(&claims), sender)?;
        Ok((Self { claims }, DirectoryReports { receiver }))
    }

    /// Leaves claims to the thread: entries of users who registered or logged out at this node. A later claim
    /// of a user replaces one that waits. Never waits for the engine. Call it once a turn.
    ///
    /// Claims are sent at most 20 ms later, and wait while the engine is away. Each is answered by
    /// [`DirectoryReport::Claimed`] or [`DirectoryReport::Refused`], unless a later one replaced it or the
    /// session ended meanwhile: then the node claims again after [`DirectoryReport::Joined`] or
    /// [`DirectoryReport::Resumed`]. The bound of the queue is the number of users.
    pub fn claim(&self, claims: impl IntoIterator<Item = (UserName, Entry)>) {
        self.claims.add(claims);
    }

    /// Returns the number of claims that were not sent yet.
    pub fn waiting(&self) -> usize {
        self.claims.waiting()
    }

    /// Sends the claims that wait, releases the lease and ends, all within 250 ms: after that, what is left of
    /// the claims stays with the node. Does not wait: [`DirectoryReports::next`] returns `None` at the end.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.claims.close();
    }
}

/// The receiver of what a directory reports. A session waits while [`MAX_REPORTS`] were not taken.
///
/// [`MAX_REPORTS`]: crate::MAX_REPORTS
#[derive(Debug)]
pub struct DirectoryReports {
    receiver: ReportReceiver,
}

impl DirectoryReports {
    /// Waits for the next report. `None` once the thread has ended. One task is woken, once for all reports
    /// that come until it looks.
    ///
    /// # Cancel safety
    /// Nothing is lost if it is dropped.
    pub async fn next(&mut self) -> Option<DirectoryReport> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Polls for what [`DirectoryReports::next`] waits for.
    pub fn poll_next(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<DirectoryReport>> {
        self.receiver.poll_next(context)
    }
}
