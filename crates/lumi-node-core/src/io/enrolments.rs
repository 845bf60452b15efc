//! Enrolments on their way to the disk, and the thread that saves them.

use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use tokio::sync::mpsc;
use tracing::warn;

use super::credential_files::CredentialFiles;
use crate::administrator::ServerHandle;
use crate::state::enrolment::{EnrolRequest, Enrolled};

/// The enrolments that a server asks to be saved, see [`Server::enrolments`](crate::Server::enrolments).
#[derive(Debug)]
pub struct Enrolments(mpsc::Receiver<EnrolRequest>);

/// The server's end of [`Enrolments`].
#[derive(Debug)]
pub(super) struct EnrolmentSender(mpsc::Sender<EnrolRequest>);

pub(super) fn enrolments() -> (EnrolmentSender, Enrolments) {
    let (sender, receiver) = mpsc::channel(MAX_WAITING);
    (EnrolmentSender(sender), Enrolments(receiver))
}

impl EnrolmentSender {
    /// Has an enrolment saved. If too many wait, it is dropped, and the agent asks again.
    pub(super) fn send(&self, request: EnrolRequest) {
        _ = self.0.try_send(request);
    }
}

impl Enrolments {
    /// Saves them in `files` on a thread of its own, those that wait together, and has the server of `handle`
    /// answer. `now` returns the time by the clock on the wall, in seconds since 1970.
    ///
    /// If the disk fails, or somebody edits a file meanwhile, nobody is answered, and the agents ask again.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn save_in(
        mut self,
        files: Arc<Mutex<CredentialFiles>>,
        handle: ServerHandle,
        now: impl Fn() -> i64 + Send + 'static,
    ) -> io::Result<()> {
        let work = move || {
            let mut requests = Vec::new();
            while self.0.blocking_recv_many(&mut requests, MAX_WAITING) > 0 {
                let saved = save(&files, &requests, now());
                requests.clear();
                let Some((enrolled, state)) = saved else { continue };
                if handle.enrolled(enrolled, state).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("enrolments".into()).spawn(work).map(drop)
    }
}

fn save(
    files: &Mutex<CredentialFiles>,
    requests: &[EnrolRequest],
    now: i64,
) -> Option<(Vec<Enrolled>, crate::CredentialState)> {
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    match files.enrol(requests, now) {
        Ok(enrolled) => Some((enrolled, files.state(now))),
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            warn!("{} enrolments are not saved, and agents ask again: {error}{cause}", requests.len());
            None
        }
    }
}

/// The limit of enrolments that wait: a class enrols within a minute. They share a write.
const MAX_WAITING: usize = 256;
