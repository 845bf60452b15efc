//! A thread that reads and writes the data of a user, so a slow disk does not block anything else.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use mi_agent_core::{Admission, ConversationId};
use plumi_proto::MiAddress;
use tokio::sync::mpsc as events;

use super::contacts::Contacts;
use super::history::{Entry, History, Kept, Mark, Recalled, Talk};
use super::rules::Rules;

/// The handle of the thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: SyncSender<Job>,
    events: events::Receiver<KeeperEvent>,
    done: Receiver<()>,
    shared: Arc<Shared>,
}

/// The state that the handle and the thread share.
#[derive(Debug, Default)]
struct Shared {
    /// The contacts as they are to be written: only the latest, however many calls change them.
    contacts: Mutex<Option<Contacts>>,
    /// The jobs in the queue for lines of mere callers.
    of_callers: AtomicUsize,
    /// The queue was full, that has been reported, and nothing has been written since.
    is_behind: AtomicBool,
}

#[derive(Debug)]
enum Job {
    Contacts,
    Admission(Admission),
    Remember(Talk, Entry),
    Recall(MiAddress),
    RecallMore { peer: MiAddress, before: Mark },
    Find { peer: MiAddress, text: String },
}

/// The result of a job.
#[derive(Debug)]
pub(crate) enum KeeperEvent {
    /// The last lines of conversations with a peer, or those before a mark.
    Recalled(MiAddress, Recalled),
    /// The last lines with a text in conversations with a peer, oldest first.
    Found(MiAddress, String, Vec<Entry>),
    /// More was said in a conversation than is kept.
    LeftOut(ConversationId),
    /// The reason why something was not stored or read.
    Trouble(String),
    /// Something is stored again, for the first time after a trouble.
    Recovered,
}

impl Keeper {
    /// Starts the thread. Without `rules` or `history`, it does not store rules for calls or lines.
    pub(crate) fn start(rules: Option<Rules>, history: Option<History>) -> Self {
        let (jobs, jobs_to_do) = sync_channel(MAX_JOBS);
        let (report, events) = events::channel(MAX_EVENTS);
        let (is_done, done) = sync_channel(1);
        let shared = Arc::<Shared>::default();
        let mut work = Work {
            rules,
            history,
            report,
            failed: BTreeMap::new(),
            owes_recovery: false,
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || {
            jobs_to_do.iter().for_each(|job| work.carry_out(job));
            // The caller may have stopped waiting.
            _ = is_done.send(());
        });
        Self { jobs, events, done, shared }
    }

    /// Queues the job of writing `contacts`.
    ///
    /// # Errors
    /// The queue is full, and the job is dropped. This is reported once, until something is written again.
    /// The same applies to the other jobs.
    pub(crate) fn save_contacts(&mut self, contacts: Contacts) -> Result<(), &'static str> {
        if self.shared.contacts().replace(contacts).is_some() {
            // They take the place of those before.
            return Ok(());
        }
        self.give(Job::Contacts)
    }

    /// Queues the job of writing the rules for calls.
    pub(crate) fn save_admission(&mut self, admission: Admission) -> Result<(), &'static str> {
        self.give(Job::Admission(admission))
    }

    /// Queues the job of adding `entry` to the history of `talk`. Those of mere callers take half of the
    /// queue at most.
    pub(crate) fn remember(&mut self, talk: Talk, entry: Entry) -> Result<(), &'static str> {
        if talk.is_known {
            return self.give(Job::Remember(talk, entry));
        }
        if self.shared.of_callers.load(Ordering::Relaxed) >= MAX_JOBS / 2 {
            return self.is_full();
        }
        self.shared.of_callers.fetch_add(1, Ordering::Relaxed);
        self.give(Job::Remember(talk, entry))
    }

    /// Queues the job of reading the last lines of conversations with `peer`.
    pub(crate) fn recall(&mut self, peer: MiAddress) -> Result<(), &'static str> {
        self.give(Job::Recall(peer))
    }

    /// Queues the job of reading the lines before a mark.
    pub(crate) fn recall_more(&mut self, peer: MiAddress, before: Mark) -> Result<(), &'static str> {
        self.give(Job::RecallMore { peer, before })
    }

    /// Queues the job of finding the lines that contain `text`.
    pub(crate) fn find(&mut self, peer: MiAddress, text: String) -> Result<(), &'static str> {
        self.give(Job::Find { peer, text })
    }

    /// Waits for the next result of a job. Never ready once no more can come. Cancel safe.
    pub(crate) async fn next(&mut self) -> KeeperEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Waits until all jobs are done, for `limit` at most.
    ///
    /// # Errors
    /// The jobs take longer.
    pub(crate) fn finish(self, limit: Duration) -> io::Result<()> {
        drop(self.jobs);
        match self.done.recv_timeout(limit) {
            Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }

    fn give(&self, job: Job) -> Result<(), &'static str> {
        match self.jobs.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                if matches!(job, Job::Contacts) {
                    // The next ones need a job.
                    self.shared.contacts().take();
                }
                self.shared.left(&job);
                self.is_full()
            }
        }
    }

    fn is_full(&self) -> Result<(), &'static str> {
        match self.shared.is_behind.swap(true, Ordering::Relaxed) {
            true => Ok(()),
            false => Err("the disk takes too long: what is said now is not kept"),
        }
    }
}

impl Shared {
    fn contacts(&self) -> MutexGuard<'_, Option<Contacts>> {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `job` is in the queue no more.
    fn left(&self, job: &Job) {
        if let Job::Remember(Talk { is_known: false, .. }, _) = job {
            self.of_callers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

struct Work {
    rules: Option<Rules>,
    history: Option<History>,
    report: events::Sender<KeeperEvent>,
    /// The last failure with each kind of data, until the same succeeds. A disk that stays full is reported
    /// once.
    failed: BTreeMap<&'static str, String>,
    /// Everything is well again, and there was no room to report it.
    owes_recovery: bool,
    shared: Arc<Shared>,
}

impl Work {
    fn carry_out(&mut self, job: Job) {
        self.shared.left(&job);
        let (what, done) = match job {
            Job::Contacts => {
                let latest = self.shared.contacts().take();
                let saved =
                    latest.map_or(Ok(Done::Nothing), |contacts| contacts.save().map(|()| Done::Wrote));
                ("contacts", saved)
            }
            Job::Admission(admission) => {
                let nowhere = || Err(io::ErrorKind::NotFound.into());
                let saved = self.rules.as_mut().map_or_else(nowhere, |rules| rules.save(&admission));
                ("who may call", saved.map(|()| Done::Wrote))
            }
            Job::Remember(talk, entry) => {
                let what = if talk.is_known { "what is said" } else { "what callers say" };
                (what, self.remember(&talk, &entry))
            }
            Job::Recall(peer) => ("what was said", self.recall(peer, None, RECALLED).map(|()| Done::Read)),
            Job::RecallMore { peer, before } => {
                ("what was said", self.recall(peer, Some(before), RECALLED_MORE).map(|()| Done::Read))
            }
            Job::Find { peer, text } => ("what was said", self.find(peer, text).map(|()| Done::Read)),
        };
        match done {
            Ok(Done::Nothing) => {}
            Ok(done) => {
                let was_behind = done == Done::Wrote && self.shared.is_behind.load(Ordering::Relaxed);
                self.owes_recovery |= self.failed.remove(what).is_some() || was_behind;
                if self.owes_recovery && self.failed.is_empty() && self.report(KeeperEvent::Recovered) {
                    self.owes_recovery = false;
                    self.shared.is_behind.store(false, Ordering::Relaxed);
                }
            }
            Err(error) => {
                let trouble = format!("cannot keep or read {what}: {error}");
                let before = self.failed.insert(what, trouble.clone());
                if before.as_ref() != Some(&trouble) {
                    self.report(KeeperEvent::Trouble(trouble));
                }
            }
        }
    }

    fn remember(&mut self, talk: &Talk, entry: &Entry) -> io::Result<Done> {
        let Some(history) = &mut self.history else { return Ok(Done::Nothing) };
        let kept = history.append(talk, entry)?;
        if kept == (Kept::LeftOut { is_first: true }) {
            self.report(KeeperEvent::LeftOut(talk.id));
        }
        Ok(if kept == Kept::Whole { Done::Wrote } else { Done::Nothing })
    }

    fn recall(&self, peer: MiAddress, before: Option<Mark>, lines: usize) -> io::Result<()> {
        let Some(history) = &self.history else { return Ok(()) };
        let recalled = history.before(&peer, before, lines)?;
        self.report(KeeperEvent::Recalled(peer, recalled));
        Ok(())
    }

    fn find(&self, peer: MiAddress, text: String) -> io::Result<()> {
        let Some(history) = &self.history else { return Ok(()) };
        let mut entries = VecDeque::new();
        history.search(Some(&peer), Some(&text), |entry| {
            if entries.len() == MAX_FOUND {
                entries.pop_front();
            }
            entries.push_back(entry);
            Ok(())
        })?;
        self.report(KeeperEvent::Found(peer, text, entries.into()));
        Ok(())
    }

    /// Returns whether there is room for the result. If nobody reads them in time, they are lost.
    fn report(&self, event: KeeperEvent) -> bool {
        self.report.try_send(event).is_ok()
    }
}

/// The effect of a job on the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Wrote,
    Read,
    Nothing,
}

/// The most jobs that wait for the disk: more than the lines of a minute of several conversations.
const MAX_JOBS: usize = 1024;

/// The most results that wait to be read.
const MAX_EVENTS: usize = 64;

/// The number of lines that are read when a conversation begins.
const RECALLED: usize = 20;

/// The number of earlier lines that are read at a time: several screens.
const RECALLED_MORE: usize = 100;

/// The most lines that a search returns: the last ones.
const MAX_FOUND: usize = 50;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::folder::DataFolder;
    use super::super::history::Way;
    use super::*;

    fn entry(text: &str) -> Entry {
        let at = "2026-11-25T15:42:00Z".parse().unwrap();
        let (nick, candidates) = ("Laura".into(), Vec::new());
        Entry { at, way: Way::Sent, nick, text: text.into(), continues: false, candidates }
    }

    fn talk_with(peer: MiAddress) -> Talk {
        Talk { id: 1.into(), peer: Some(peer), is_known: true, is_sure: true }
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
            keeper.remember(talk_with(joya), entry(&n.to_string())).unwrap();
        }
        keeper.recall(joya).unwrap();
        let KeeperEvent::Recalled(peer, recalled) = keeper.next().await else { panic!("it can be read") };
        let texts: Vec<_> = recalled.entries.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!((peer, texts.len(), texts[0], texts[19]), (joya, RECALLED, "10", "29"));
        let mut admission = Admission::default();
        admission.block(joya).unwrap();
        keeper.save_admission(admission).unwrap();
        keeper.finish(Duration::from_secs(20)).unwrap();
        let rules = fs::read_to_string(data.path().join("mi-agent/laura@bb.com/rules.toml")).unwrap();
        assert!(rules.contains("\"joya@cc.com\""), "{rules}");
    }

    /// The history of the user is full, and callers go on.
    #[tokio::test]
    async fn what_is_kept_of_callers_does_not_hide_what_is_not_kept_of_the_user() {
        let data = tempfile::tempdir().unwrap();
        let (mut keeper, joya) = keeper(&data);
        let pere = Talk {
            id: 2.into(),
            peer: Some("pere@cc.com".parse().unwrap()),
            is_known: false,
            is_sure: false,
        };
        let history = data.path().join("mi-agent/laura@bb.com/history");
        // A folder is in the place of a file.
        fs::create_dir_all(history.join("joya@cc.com.jsonl")).unwrap();
        keeper.remember(talk_with(joya), entry("one")).unwrap();
        let KeeperEvent::Trouble(trouble) = keeper.next().await else { panic!("it cannot be kept") };
        assert!(trouble.starts_with("cannot keep or read what is said: "), "{trouble}");
        let of_caller = Entry { way: Way::Received, ..entry("spam") };
        keeper.remember(pere, of_caller).unwrap();
        keeper.remember(talk_with(joya), entry("two")).unwrap();
        keeper.recall("pere@cc.com".parse().unwrap()).unwrap();
        assert!(matches!(keeper.next().await, KeeperEvent::Recalled(..)), "neither is news");
        fs::remove_dir(history.join("joya@cc.com.jsonl")).unwrap();
        keeper.remember(talk_with(joya), entry("three")).unwrap();
        assert!(matches!(keeper.next().await, KeeperEvent::Recovered));
    }

    /// The thread does nothing, as on a disk that hangs.
    #[test]
    fn callers_leave_room_for_what_the_user_says() {
        let (jobs, waiting) = sync_channel(MAX_JOBS);
        let ((_, events), (_, done)) = (events::channel(1), sync_channel(1));
        let mut keeper = Keeper { jobs, events, done, shared: Arc::default() };
        let pere = || Talk {
            id: 2.into(),
            peer: Some("pere@cc.com".parse().unwrap()),
            is_known: false,
            is_sure: false,
        };
        for _ in 0..MAX_JOBS / 2 {
            keeper.save_contacts(Contacts::default()).unwrap();
            keeper.remember(pere(), entry("spam")).unwrap();
        }
        keeper.remember(pere(), entry("spam")).unwrap_err();
        let joya = "joya@cc.com".parse().unwrap();
        // The contacts are one job.
        for _ in 0..MAX_JOBS / 2 - 1 {
            keeper.remember(talk_with(joya), entry("hola")).unwrap();
        }
        assert!(keeper.jobs.try_send(Job::Recall(joya)).is_err(), "it is full");
        let of_friends = |job: &Job| matches!(job, Job::Remember(Talk { is_known: true, .. }, _));
        assert_eq!(waiting.try_iter().filter(of_friends).count(), MAX_JOBS / 2 - 1, "none of hers is lost");
    }

    /// A disk that stays full is reported once, and again after a success.
    #[tokio::test]
    async fn trouble_is_told_once_and_so_is_its_end() {
        let data = tempfile::tempdir().unwrap();
        let (mut keeper, joya) = keeper(&data);
        let history = data.path().join("mi-agent/laura@bb.com/history");
        fs::create_dir_all(history.parent().unwrap()).unwrap();
        // A file is in the place of the folder.
        fs::write(&history, "").unwrap();
        keeper.remember(talk_with(joya), entry("one")).unwrap();
        keeper.remember(talk_with(joya), entry("two")).unwrap();
        let KeeperEvent::Trouble(trouble) = keeper.next().await else { panic!("nothing can be kept") };
        assert!(trouble.starts_with("cannot keep or read what is said: "), "{trouble}");
        keeper.recall(joya).unwrap();
        let KeeperEvent::Trouble(trouble) = keeper.next().await else { panic!("nothing can be read") };
        assert!(trouble.starts_with("cannot keep or read what was said: "), "{trouble}");
        fs::remove_file(&history).unwrap();
        // Reading does not show that there is room.
        for _ in 0..2 {
            keeper.find(joya, "one".into()).unwrap();
            assert!(matches!(keeper.next().await, KeeperEvent::Found(..)));
        }
        keeper.remember(talk_with(joya), entry("three")).unwrap();
        keeper.remember(talk_with(joya), entry("four")).unwrap();
        keeper.recall(joya).unwrap();
        assert!(matches!(keeper.next().await, KeeperEvent::Recovered));
        let KeeperEvent::Recalled(_, recalled) = keeper.next().await else { panic!("it is well again") };
        assert_eq!(recalled.entries, [entry("three"), entry("four")]);
    }
}
