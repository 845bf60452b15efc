//! Answers to an administrator while the disk is slow or fails. The other tests are in `tests/e2e`.

use std::fs;

use tokio::time::Instant as TokioInstant;

use super::*;
use crate::io::tests::diagnostics::Diagnostics;
use crate::state::settings::NodeSettings;

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_does_not_hold_the_end_for_ever() {
    let diagnostics = Diagnostics::record();
    let mut domain = Domain::new();
    let hangs = domain.save();
    let begun = TokioInstant::now();
    domain.administration.finish(begun.into_std(), &mut domain.node).await;
    assert_eq!(begun.elapsed(), SAVE_PATIENCE);
    assert_eq!(diagnostics.lines("ending while the roster is being saved").len(), 1);
    drop(hangs);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_slow_is_waited_for() {
    let mut domain = Domain::new();
    let saving = domain.save();
    tokio::spawn(async move {
        time::sleep(SAVE_PATIENCE / 2).await;
        saving.disk.send(Ok(())).expect("it is waited for");
        assert!(matches!(saving.answered.await, Ok(Ok(AdminReply::Save(_)))));
    });
    let begun = TokioInstant::now();
    domain.administration.finish(begun.into_std(), &mut domain.node).await;
    assert_eq!(begun.elapsed(), SAVE_PATIENCE / 2);
    assert_eq!(domain.users(), ["joan", "laura"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_what_is_only_read() {
    let mut domain = Domain::new();
    let (_disk, done) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    domain.administration.work = Some(Work::Read(None, answer, done));
    let begun = TokioInstant::now();
    domain.administration.finish(begun.into_std(), &mut domain.node).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(domain);
    assert!(answered.await.is_err(), "who asked is told that the node has ended");
}

#[tokio::test]
async fn a_thread_that_ends_early_has_changed_nothing() {
    let mut domain = Domain::new();
    let Saving { disk, answered } = domain.save();
    drop(disk);
    let event = domain.administration.next_event().await;
    _ = domain.administration.handle(domain.now, &mut domain.node, event);
    let answer = answered.await.expect("an answer");
    assert!(matches!(answer, Err(AdminError::NotSaved(RosterFileError::Lost))), "{answer:?}");
    assert_eq!(domain.users(), ["laura"]);
    assert!(domain.administration.work.is_none(), "the next one can be carried out");
}

/// A watchdog asks for the status. A slow disk is no reason to end a node that serves.
#[tokio::test(start_paused = true)]
async fn how_the_server_is_can_be_told_while_a_change_is_being_saved() {
    let mut domain = Domain::new();
    let saving = domain.save();
    let administrator = domain.administrator.clone();
    let asking = tokio::spawn(async move { administrator.status().await });
    let event = domain.administration.next_event().await;
    let output = domain.administration.handle(domain.now, &mut domain.node, event);
    assert!(matches!(output, Some(AdminOutput::Tell(_))), "{output:?}");
    drop(output);
    assert!(matches!(asking.await, Ok(Err(AdminError::NodeGone))), "nobody has told it here");

    // The status is also answered during shutdown, which still waits for the save.
    let administrator = domain.administrator.clone();
    tokio::spawn(async move {
        _ = administrator.status().await;
        saving.disk.send(Ok(())).expect("it is waited for");
    });
    domain.administration.finish(domain.now, &mut domain.node).await;
    assert_eq!(domain.users(), ["joan", "laura"]);
}

/// The domain bb.com, with the user laura.
struct Domain {
    node: Node,
    administration: Administration,
    administrator: Administrator,
    now: Instant,
    _folder: tempfile::TempDir,
}

/// A change that adds the user joan, being saved to a disk that the test controls.
struct Saving {
    disk: oneshot::Sender<Result<(), RosterFileError>>,
    answered: oneshot::Receiver<Result<AdminReply, AdminError>>,
}

impl Domain {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nodelumi.cfg");
        fs::write(&path, "bb.com\nlaura\n").expect("it is ours");
        let (file, roster) = RosterFile::open(path).expect("a roster");
        let node = Node::new(roster, "127.0.0.1:3344".parse().expect("an address"), NodeSettings::default());
        let (administration, administrator) = Administration::new(file);
        Self { node, administration, administrator, now: TokioInstant::now().into_std(), _folder: folder }
    }

    fn save(&mut self) -> Saving {
        let (disk, done) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let change = RosterChange::Add("joan".parse().expect("a name"));
        self.administration.work = Some(Work::Save(change, answer, done));
        Saving { disk, answered }
    }

    fn users(&self) -> Vec<String> {
        match self.node.handle_admin(self.now, AdminCommand::List) {
            AdminReply::Users(mut users) => {
                users.sort_unstable_by_key(|status| status.user);
                users.iter().map(|status| status.user.to_string()).collect()
            }
            reply => panic!("{reply:?}"),
        }
    }
}
