//! Wishes that change keys, on their way to the disk.

use std::future;
use std::io;
use std::sync::mpsc as jobs;
use std::thread;
use std::time::Duration;

use mi_agent_core::{Agent, KeyWords};
use plumi_proto::MiAddress;
use tokio::sync::{mpsc, watch};

use super::happened::{Done, Refused};
use super::keys;

/// Carries wishes that change keys out in a thread, one after the other, so that a slow disk holds up nothing
/// else.
///
/// The thread is started by the first of them, because most sessions have none.
#[derive(Default)]
pub(super) struct KeyWishes {
    thread: Option<Thread>,
    /// The wishes whose answers have not been returned.
    waiting: usize,
    /// The wishes that were given to the thread since it was started.
    given: u64,
}

struct Thread {
    jobs: jobs::Sender<(Agent, KeyWish)>,
    answers: mpsc::UnboundedReceiver<Result<Done, Refused>>,
    /// The number of wishes that were carried out.
    done: watch::Receiver<u64>,
    /// Disconnected at the end of the thread.
    end: jobs::Receiver<()>,
}

/// A wish that changes keys.
pub(super) enum KeyWish {
    Verify { address: MiAddress, words: KeyWords },
    Trust(MiAddress),
}

impl KeyWishes {
    /// Has `wish` carried out, after all that were given before.
    ///
    /// # Errors
    /// Too many wait, or the system starts no more threads. The wish is dropped.
    pub(super) fn give(&mut self, agent: &Agent, wish: KeyWish) -> Result<Done, Refused> {
        if self.waiting >= MAX_WAITING {
            return Err(Refused::NotKept("the disk takes too long: no key is changed, try again later"));
        }
        if self.thread.is_none() {
            self.thread = Some(Thread::start().map_err(|_| Refused::NotKept(NO_THREAD))?);
        }
        if let Some(thread) = &self.thread {
            // An error: the thread has panicked, and the answer says so.
            _ = thread.jobs.send((agent.clone(), wish));
        }
        self.waiting += 1;
        self.given += 1;
        Ok(Done::Later)
    }

    /// Returns whether all answers have been returned.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Waits until the wishes so far are carried out: what follows may depend on them.
    pub(super) fn settled(&self) -> impl Future<Output = ()> + Send + 'static {
        let (done, given) = (self.thread.as_ref().map(|thread| thread.done.clone()), self.given);
        async move {
            if let Some(mut done) = done {
                // An error: the thread has ended.
                _ = done.wait_for(|done| *done >= given).await;
            }
        }
    }

    /// Returns the answer to the next wish, in their order. Never ready while there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Done, Refused> {
        match &mut self.thread {
            Some(thread) if self.waiting > 0 => {
                let answer = thread.answers.recv().await;
                self.waiting -= 1;
                answer.unwrap_or(Err(Refused::NotKept(NO_THREAD)))
            }
            _ => future::pending().await,
        }
    }

    /// Waits until all wishes are carried out, for `limit` at most.
    ///
    /// # Errors
    /// They take longer.
    pub(super) fn finish(self, limit: Duration) -> io::Result<()> {
        let Some(Thread { jobs, end, .. }) = self.thread else { return Ok(()) };
        drop(jobs);
        match end.recv_timeout(limit) {
            Err(jobs::RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        // There is a place for each of the wishes that may wait.
        let (jobs, given) = jobs::channel::<(Agent, KeyWish)>();
        let (answer, answers) = mpsc::unbounded_channel();
        let (count, done) = watch::channel(0);
        let (ends, end) = jobs::channel::<()>();
        thread::Builder::new().name("keys".into()).spawn(move || {
            for (agent, wish) in given {
                let answered = match wish {
                    KeyWish::Verify { address, words } => keys::verify(&agent, address, &words),
                    KeyWish::Trust(address) => keys::trust(&agent, address),
                };
                // Nobody may be waiting any more.
                _ = answer.send(answered);
                count.send_modify(|count| *count += 1);
            }
            drop(ends);
        })?;
        Ok(Self { jobs, answers, done, end })
    }
}

/// The most wishes that wait for the disk: more than a person types until it is plain that the disk hangs.
const MAX_WAITING: usize = 64;

/// There is no thread, or it has panicked.
const NO_THREAD: &str = "there is no thread that could change keys";

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Condvar, Mutex};

    use integration_tests::network::{TestNode, directory};
    use integration_tests::programs::DEADLINE;
    use mi_agent_core::{Day, Event, Identity, MemoryTrust, Pin, PublicKey, TrustStore};
    use tokio::time;

    use super::super::{Happened, Leave, Session, Wish};
    use super::*;

    /// A store on a disk that hangs, and then fails.
    #[derive(Debug, Default)]
    struct SlowStore {
        keys: MemoryTrust,
        state: Mutex<Disk>,
        changed: Condvar,
    }

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    enum Disk {
        #[default]
        Hangs,
        Works,
        Fails,
    }

    impl SlowStore {
        fn set(&self, state: Disk) {
            *self.state.lock().unwrap() = state;
            self.changed.notify_all();
        }
    }

    impl TrustStore for SlowStore {
        fn pins(&self, address: &MiAddress) -> io::Result<Vec<Pin>> {
            self.keys.pins(address)
        }

        fn holders(&self, key: &PublicKey) -> io::Result<Vec<(MiAddress, Pin)>> {
            self.keys.holders(key)
        }

        fn change(&self, address: &MiAddress, change: &mut dyn FnMut(&mut Vec<Pin>)) -> io::Result<()> {
            let state = self.state.lock().unwrap();
            let state = self.changed.wait_while(state, |state| *state == Disk::Hangs).unwrap();
            match *state {
                Disk::Fails => Err(io::ErrorKind::StorageFull.into()),
                _ => self.keys.change(address, change),
            }
        }
    }

    async fn soon(session: &mut Session) -> Happened {
        time::timeout(DEADLINE, session.next()).await.expect("something happens")
    }

    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_calls_that_depend_on_it_and_nothing_else() {
        let node = TestNode::start("bb.com", &["laura", "pere", "joan"], directory(&[])).await;
        let store = Arc::new(SlowStore::default());
        let identity = Identity::generate().expect("a key");
        let key = identity.public_key();
        let (pere, mut pere_hears) = node.agent("pere").identity(identity).start().await.expect("registered");
        let (joan, _) = node.agent("joan").start().await.expect("registered");
        let (at_pere, at_joan) = (pere.address(), joan.address());
        let other = Pin::seen(PublicKey::from_bytes([1; 32]), Day::today());
        store.keys.change(&at_pere, &mut |pins| pins.push(other)).expect("it is in memory");
        let laura = node.agent("laura").identity(Identity::generate().expect("a key")).conversations(2);
        let mut session = Session::start(laura.trust(Arc::clone(&store)), None);
        assert!(matches!(soon(&mut session).await, Happened::Started { .. }));
        session.carry_out(Wish::Call(at_pere)).expect("a call");
        assert!(matches!(soon(&mut session).await, Happened::CallFailed { .. }), "his key is another one");

        assert_eq!(session.carry_out(Wish::Trust(at_pere)), Ok(Done::Later));
        assert_eq!(session.carry_out(Wish::Trust(at_joan)), Ok(Done::Later));
        let Ok(Done::Calling(call)) = session.carry_out(Wish::Call(at_pere)) else { panic!("a call") };
        let laura = "laura@bb.com".parse().expect("an address");
        let (joan_talks, begun) = tokio::join!(joan.call(laura), soon(&mut session));
        assert!(matches!(begun, Happened::Begun { call: None, .. }), "{begun:?}");
        store.set(Disk::Works);
        let mut answers = Vec::new();
        let (mut pere_talks, mut has_begun) = (None, false);
        while answers.len() < 2 || pere_talks.is_none() || !has_begun {
            tokio::select! {
                Some(Event::Incoming(caller)) = pere_hears.next() => {
                    pere_talks = Some(caller.accept().expect("a conversation"));
                }
                happened = soon(&mut session) => match happened {
                    Happened::Answered(answer) => answers.push(answer),
                    Happened::Begun { call: begun, .. } => has_begun = begun == Some(call),
                    other => panic!("{other:?}"),
                },
            }
        }
        assert_eq!(answers[0], Ok(Done::Trusted { address: at_pere, key }));
        let refused = |answer: &Result<Done, Refused>, why: &str| match answer {
            Err(Refused::NotTrusted { reason, .. }) => assert!(reason.contains(why), "{reason}"),
            other => panic!("{other:?}"),
        };
        refused(&answers[1], "no key of it was refused");

        // The user leaves, and hears what becomes of the last wish first.
        store.set(Disk::Hangs);
        let words = KeyWords::of(&at_pere, &key);
        assert_eq!(session.carry_out(Wish::Verify { address: at_pere, words }), Ok(Done::Later));
        session.leave(Leave::InOrder);
        drop((joan_talks, pere_talks));
        let mut ended = 0;
        while ended < 2 {
            ended += u32::from(matches!(soon(&mut session).await, Happened::Ended { .. }));
        }
        store.set(Disk::Fails);
        let Happened::Answered(answer) = soon(&mut session).await else { panic!("an answer") };
        refused(&answer, "the keys that are known cannot be read or kept");
        assert!(matches!(soon(&mut session).await, Happened::Left(Ok(()))));
    }
}
