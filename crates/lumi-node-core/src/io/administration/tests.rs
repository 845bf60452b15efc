//! The task's answers to an administrator while the disk is slow or fails. The other tests are in
//! `tests/e2e`.

use std::fs;
use std::time::Duration;

use lumi_dns::NodeDirectory;
use plumi_proto::{HostIp, UdpAddress};
use tokio::time::{self, Instant};

use super::*;
use crate::administrator::Administrator;
use crate::io::datagrams::Datagrams;
use crate::io::roster_file::RosterFile;
use crate::io::socket::DatagramSocket;
use crate::io::task::Task;
use crate::io::task::ending::SAVE_PATIENCE;
use crate::io::tests::diagnostics::Diagnostics;
use crate::state::node::Node;
use crate::state::settings::NodeSettings;

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_does_not_hold_the_end_for_ever() {
    let diagnostics = Diagnostics::record();
    let mut domain = Domain::new();
    let hangs = domain.save().await;
    let begun = Instant::now();
    domain.task.finish_saving().await;
    assert_eq!(begun.elapsed(), SAVE_PATIENCE);
    assert_eq!(diagnostics.lines("ending while the roster is being saved").len(), 1);
    drop(hangs);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_slow_is_waited_for() {
    let mut domain = Domain::new();
    let Saving { disk, answered } = domain.save().await;
    tokio::spawn(async move {
        time::sleep(SAVE_PATIENCE / 2).await;
        disk.send(Ok(())).expect("it is waited for");
    });
    let begun = Instant::now();
    domain.task.finish_saving().await;
    assert_eq!(begun.elapsed(), SAVE_PATIENCE / 2);
    assert!(matches!(answered.await, Ok(Ok(()))));
    assert_eq!(domain.users(), ["joan", "laura"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_what_is_only_read() {
    let mut domain = Domain::new();
    let administrator = domain.administrator.clone();
    let reloading = tokio::spawn(async move { administrator.reload(None).await });
    domain.begin().await;
    let (_disk, done) = oneshot::channel();
    domain.current().work = Some(Work::Read(done));
    let begun = Instant::now();
    domain.task.finish_saving().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(domain);
    assert!(matches!(reloading.await, Ok(Err(AdminError::NodeGone))));
}

#[tokio::test]
async fn a_thread_that_ends_early_has_changed_nothing() {
    let mut domain = Domain::new();
    let Saving { disk, answered } = domain.save().await;
    drop(disk);
    domain.begin().await;
    let answer = answered.await.expect("an answer");
    let Err(AdminError::NotSaved(error)) = answer else { panic!("{answer:?}") };
    assert!(error.is::<NoThread>(), "{error:?}");
    assert_eq!(domain.users(), ["laura"]);
    assert!(domain.administration().current.is_none(), "the next one can be carried out");
}

/// A watchdog asks for the status. A slow disk is no reason to end a node that serves.
#[tokio::test(start_paused = true)]
async fn the_status_is_told_while_a_change_is_being_saved() {
    let mut domain = Domain::new();
    let Saving { disk, .. } = domain.save().await;
    let administrator = domain.administrator.clone();
    let asking = tokio::spawn(async move { administrator.status().await });
    domain.begin().await;
    assert!(matches!(asking.await, Ok(Ok(_))));

    // The status is also answered during shutdown, which still waits for the save.
    let administrator = domain.administrator.clone();
    tokio::spawn(async move {
        administrator.status().await.expect("the task is there");
        disk.send(Ok(())).expect("it is waited for");
    });
    domain.task.finish_saving().await;
    assert_eq!(domain.users(), ["joan", "laura"]);
}

/// The next command meets the node as the one before has left it.
#[tokio::test(start_paused = true)]
async fn a_command_waits_for_the_answer_to_the_one_before() {
    let mut domain = Domain::new();
    let Saving { disk, answered } = domain.save().await;
    let administrator = domain.administrator.clone();
    let listing = tokio::spawn(async move { administrator.list().await });
    assert!(time::timeout(Duration::from_secs(1), domain.administration().next_event()).await.is_err());
    disk.send(Ok(())).expect("it is waited for");
    domain.begin().await;
    assert!(matches!(answered.await, Ok(Ok(()))));
    domain.begin().await;
    assert_eq!(listing.await.expect("no panic").expect("a list").len(), 2);
}

/// The task of the node of bb.com, with the user laura.
struct Domain {
    task: Task<NoSocket>,
    administrator: Administrator,
    _folder: tempfile::TempDir,
}

/// A change that adds the user joan, being saved to a disk that the test controls.
struct Saving {
    disk: oneshot::Sender<Result<(), StoreError>>,
    answered: oneshot::Receiver<Result<(), AdminError>>,
}

impl Domain {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nodelumi.cfg");
        fs::write(&path, "bb.com\nlaura\n").expect("it is ours");
        let (file, roster) = RosterFile::open(path).expect("a roster");
        let local = UdpAddress::new(HostIp::LOCALHOST, 3344);
        let node = Node::new(roster, local.into(), NodeSettings::default());
        let (mut administration, handle) = Administration::new();
        administration.keep_in(Store::new(file));
        let administrator = Administrator { handle };
        let directory = NodeDirectory::builder().build().expect("a directory");
        let task = Task::new(NoSocket, local.into(), node, directory, administration);
        Self { task, administrator, _folder: folder }
    }

    fn administration(&mut self) -> &mut Administration {
        &mut self.task.administration
    }

    fn current(&mut self) -> &mut Current {
        self.administration().current.as_mut().expect("a command is under way")
    }

    /// Has the task handle the next event of an administrator.
    async fn begin(&mut self) {
        let event = self.administration().next_event().await;
        self.task.administer(Instant::now().into_std(), event);
        self.task.drain_outputs(Instant::now().into_std());
    }

    async fn save(&mut self) -> Saving {
        let administrator = self.administrator.clone();
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            _ = answer.send(administrator.add_user("joan".parse().expect("a name")).await);
        });
        self.begin().await;
        let (disk, done) = oneshot::channel();
        // The real disk is not the test's.
        self.current().work = Some(Work::Save(done));
        Saving { disk, answered }
    }

    fn users(&self) -> Vec<String> {
        let mut users: Vec<_> = self.task.node.users().map(|status| status.user.to_string()).collect();
        users.sort_unstable();
        users
    }
}

/// A socket on which nothing comes.
struct NoSocket;

impl DatagramSocket for NoSocket {
    async fn receive(&mut self, _: &mut Datagrams) -> std::io::Result<()> {
        future::pending().await
    }

    fn try_receive(&mut self, _: &mut Datagrams) -> std::io::Result<()> {
        Err(std::io::ErrorKind::WouldBlock.into())
    }

    fn send(&self, _: UdpAddress, _: Option<HostIp>, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}
