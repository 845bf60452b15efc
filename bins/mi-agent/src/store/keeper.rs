//! A thread that reads and writes what is kept, so that a disk that takes its time holds nothing else up.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use mi_agent_core::Admission;
use plumi_proto::MiAddress;
use tokio::sync::mpsc as told;

use super::contacts::Contacts;
use super::history::{Entry, History};
use super::rules::Rules;

/// The way to that thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: SyncSender<Job>,
    told: told::Receiver<Told>,
    done: Receiver<()>,
    /// Jobs found no room, and that has been told.
    is_behind: bool,
}

#[derive(Debug)]
enum Job {
    Contacts(Contacts),
    Admission(Admission),
    Remember(MiAddress, Entry),
    Recall(MiAddress),
}

/// What came of a job.
#[derive(Debug)]
pub(crate) enum Told {
    /// What was said last with somebody, the oldest first.
    Recalled(MiAddress, Vec<Entry>),
    /// Why something is not kept.
    Trouble(String),
}

impl Keeper {
    /// Starts the thread, which keeps who may call in `rules`, and what is said in `history`, if there are any.
    pub(crate) fn start(rules: Option<Rules>, history: Option<History>) -> Self {
        let (jobs, jobs_to_do) = sync_channel(MAX_JOBS);
        let (tell, told) = told::channel(MAX_TOLD);
        let (is_done, done) = sync_channel(1);
        thread::spawn(move || {
            let mut work = Work { rules, history, tell, failed: None };
            jobs_to_do.iter().for_each(|job| work.carry_out(job));
            // Whoever waited may have gone.
            _ = is_done.send(());
        });
        Self { jobs, told, done, is_behind: false }
    }

    /// # Errors
    /// This and the other jobs: why it will not be done, told once until there is room again.
    pub(crate) fn save_contacts(&mut self, contacts: Contacts) -> Result<(), &'static str> {
        self.give(Job::Contacts(contacts))
    }

    pub(crate) fn save_admission(&mut self, admission: Admission) -> Result<(), &'static str> {
        self.give(Job::Admission(admission))
    }

    pub(crate) fn remember(&mut self, peer: MiAddress, entry: Entry) -> Result<(), &'static str> {
        self.give(Job::Remember(peer, entry))
    }

    pub(crate) fn recall(&mut self, peer: MiAddress) -> Result<(), &'static str> {
        self.give(Job::Recall(peer))
    }

    /// What came of jobs. Never ready once there is no more to come. Cancel safe.
    pub(crate) async fn told(&mut self) -> Told {
        match self.told.recv().await {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }

    /// Waits until all is kept that was said, for `limit` at most.
    ///
    /// # Errors
    /// The disk takes longer.
    pub(crate) fn finish(self, limit: Duration) -> io::Result<()> {
        drop(self.jobs);
        match self.done.recv_timeout(limit) {
            Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }

    fn give(&mut self, job: Job) -> Result<(), &'static str> {
        match self.jobs.try_send(job) {
            Ok(()) => {
                self.is_behind = false;
                Ok(())
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) if self.is_behind => Ok(()),
            Err(_) => {
                self.is_behind = true;
                Err("the disk takes too long: what is said now is not kept")
            }
        }
    }
}

struct Work {
    rules: Option<Rules>,
    history: Option<History>,
    tell: told::Sender<Told>,
    /// What went wrong last, so that a disk that stays full is told of once.
    failed: Option<String>,
}

impl Work {
    fn carry_out(&mut self, job: Job) {
        let (what, done) = match job {
            Job::Contacts(contacts) => ("contacts", contacts.save()),
            Job::Admission(admission) => {
                let nowhere = || Err(io::ErrorKind::NotFound.into());
                ("who may call", self.rules.as_mut().map_or_else(nowhere, |rules| rules.save(&admission)))
            }
            Job::Remember(peer, entry) => (
                "what is said",
                self.history.as_mut().map_or(Ok(()), |history| history.append(&peer, &entry)),
            ),
            Job::Recall(peer) => ("what was said", self.recall(peer)),
        };
        match done {
            Ok(()) => self.failed = None,
            Err(error) => {
                let trouble = format!("cannot keep or read {what}: {error}");
                if self.failed.as_ref() != Some(&trouble) {
                    self.tell(Told::Trouble(trouble.clone()));
                }
                self.failed = Some(trouble);
            }
        }
    }

    fn recall(&self, peer: MiAddress) -> io::Result<()> {
        let Some(history) = &self.history else { return Ok(()) };
        let entries = history.last(&peer, RECALLED)?;
        if !entries.is_empty() {
            self.tell(Told::Recalled(peer, entries));
        }
        Ok(())
    }

    fn tell(&self, told: Told) {
        // Whoever reads slowly, or has gone, does without.
        _ = self.tell.try_send(told);
    }
}

/// Jobs that wait for the disk: more than lines of a minute, of several conversations.
const MAX_JOBS: usize = 1024;

/// What waits to be read of what came of them.
const MAX_TOLD: usize = 64;

/// Lines shown when a conversation begins.
const RECALLED: usize = 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::folder::DataFolder;
    use super::super::history::Way;
    use super::*;

    fn entry(text: &str) -> Entry {
        let at = "2026-11-25T15:42:00Z".parse().unwrap();
        Entry { at, way: Way::Sent, nick: "Laura".into(), text: text.into() }
    }

    fn keeper(data: &tempfile::TempDir) -> (Keeper, MiAddress) {
        let folder = DataFolder::in_data(data.path(), &"laura@bb.com".parse().unwrap());
        let (rules, _) = Rules::load(&folder).unwrap();
        (Keeper::start(Some(rules), Some(History::of(&folder))), "joya@cc.com".parse().unwrap())
    }

    #[tokio::test]
    async fn what_is_given_first_is_kept_first_and_all_of_it_before_the_end() {
        let data = tempfile::tempdir().unwrap();
        let (mut keeper, joya) = keeper(&data);
        for n in 0..30 {
            keeper.remember(joya, entry(&n.to_string())).unwrap();
        }
        keeper.recall(joya).unwrap();
        let Told::Recalled(peer, entries) = keeper.told().await else { panic!("it can be read") };
        let texts: Vec<_> = entries.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!((peer, texts.len(), texts[0], texts[19]), (joya, RECALLED, "10", "29"));
        let mut admission = Admission::default();
        admission.block(joya).unwrap();
        keeper.save_admission(admission).unwrap();
        keeper.finish(Duration::from_secs(20)).unwrap();
        let rules = fs::read_to_string(data.path().join("mi-agent/laura@bb.com/rules.toml")).unwrap();
        assert!(rules.contains("\"joya@cc.com\""), "{rules}");
    }

    /// A disk that stays full is told of once, and of again after it was well.
    #[tokio::test]
    async fn trouble_is_told_once() {
        let data = tempfile::tempdir().unwrap();
        let (mut keeper, joya) = keeper(&data);
        let history = data.path().join("mi-agent/laura@bb.com/history");
        fs::create_dir_all(history.parent().unwrap()).unwrap();
        // Where a folder should be.
        fs::write(&history, "").unwrap();
        keeper.remember(joya, entry("one")).unwrap();
        keeper.remember(joya, entry("two")).unwrap();
        let Told::Trouble(trouble) = keeper.told().await else { panic!("nothing can be read") };
        assert!(trouble.starts_with("cannot keep or read what is said: "), "{trouble}");
        keeper.recall(joya).unwrap();
        let Told::Trouble(trouble) = keeper.told().await else { panic!("nothing can be read") };
        assert!(trouble.starts_with("cannot keep or read what was said: "), "{trouble}");
        fs::remove_file(&history).unwrap();
        keeper.remember(joya, entry("three")).unwrap();
        keeper.recall(joya).unwrap();
        let Told::Recalled(_, entries) = keeper.told().await else { panic!("it is well again") };
        assert_eq!(entries, [entry("three")]);
    }
}
