//! A store of bindings that works, hangs, fails, ends and comes back.

use std::task::{Context, Poll};

use lumi_bindings::{BindingChange, NotSaved, SaveId, Saved, UnixMillis};

use super::*;
use crate::io::bindings::BindingStore;

/// A store that does what the test says.
struct Scripted {
    given: mpsc::UnboundedSender<Vec<(SaveId, BindingChange)>>,
    results: mpsc::UnboundedReceiver<Saved>,
    has_ended: bool,
    is_closed: watch::Sender<bool>,
}

impl BindingStore for Scripted {
    fn save(&mut self, changes: Vec<(SaveId, BindingChange)>) {
        // The test may look at none.
        _ = self.given.send(changes);
    }

    fn poll_saved(&mut self, context: &mut Context<'_>) -> Poll<Option<Saved>> {
        assert!(!self.has_ended, "it is polled after its end");
        let saved = self.results.poll_recv(context);
        self.has_ended = matches!(saved, Poll::Ready(None));
        saved
    }

    fn close(&mut self) {
        self.is_closed.send_replace(true);
    }
}

/// The test's end of a store.
struct Ends {
    given: mpsc::UnboundedReceiver<Vec<(SaveId, BindingChange)>>,
    results: mpsc::UnboundedSender<Saved>,
    is_closed: watch::Receiver<bool>,
}

impl Ends {
    /// Returns the number of changes that the store is given in a turn.
    async fn is_given(&mut self) -> usize {
        self.given.recv().await.expect("the task goes on").len()
    }

    fn commits(&self, last: u64) {
        let saved = Saved { last: SaveId(last), result: Ok(()), anew: false };
        self.results.send(saved).expect("the task goes on");
    }

    fn fails(&self, last: u64) {
        let result = Err(NotSaved { reason: "the disk is full".to_owned() });
        let saved = Saved { last: SaveId(last), result, anew: false };
        self.results.send(saved).expect("the task goes on");
    }
}

fn start() -> (Host, Ends) {
    let (give, given) = mpsc::unbounded_channel();
    let (results, to_task) = mpsc::unbounded_channel();
    let (close, is_closed) = watch::channel(false);
    let store = Scripted { given: give, results: to_task, has_ended: false, is_closed: close };
    let host = Host::start_task(NodeSettings::default().rate_limit(None), |task| {
        task.node.save_bindings(now(), UnixMillis(1_790_000_000_000), [], |_| true);
        task.bindings.save_in(Box::new(store));
    });
    (host, Ends { given, results, is_closed })
}

#[tokio::test(start_paused = true)]
async fn changes_that_come_together_are_given_together_and_answered_when_they_are_saved() {
    let (mut host, mut store) = start();
    let begun = TokioInstant::now();
    host.hears_together(LAURA, FIRST, "PRlauraPRpere.", 7);
    host.hears(LAURA, FIRST, "PRpere");
    assert_eq!(store.is_given().await, 2);
    host.hears(PERE, FIRST, "PRnobody");
    let refusals = [host.says().await, host.says().await];
    assert_eq!(refusals, [said(LAURA, FIRST, "RR1"), said(PERE, FIRST, "RR1")]);
    store.commits(2);
    for _ in 0..2 {
        assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    }
    host.hears(LAURA, FIRST, "PRlaura");
    assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(store.given.try_recv().is_err(), "a refresh is not saved");
    drop(store);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_one_wait_and_is_reported_once_a_minute() {
    let diagnostics = Diagnostics::record();
    let (mut host, mut store) = start();
    let begun = TokioInstant::now();
    host.hears(LAURA, FIRST, "PRlaura");
    assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    let waited = begun.elapsed();
    let patience = Duration::from_millis(250);
    assert!((patience..=patience + Duration::from_millis(1)).contains(&waited), "{waited:?}");
    for (request, answer) in [("PDlaura", "RD0"), ("PRlaura", "RR0")] {
        host.hears(LAURA, FIRST, request);
        assert_eq!(host.says().await, said(LAURA, FIRST, answer));
    }
    assert_eq!(begun.elapsed(), waited);
    let status = host.administrator.status().await.expect("it serves").node.bindings.expect("a store");
    assert_eq!((status.unpromised, status.unsaved, status.is_failing), (3, 2, true));
    let told = diagnostics.lines("bindings are not saved");
    assert!(told.len() == 1 && told[0].contains("it takes longer than 250 ms"), "{told:?}");

    // It comes back, and gets what has changed meanwhile.
    assert_eq!(store.is_given().await, 1);
    store.commits(1);
    assert_eq!(store.is_given().await, 1);
    store.commits(2);
    host.hears(PERE, FIRST, "PRpere");
    assert_eq!(store.is_given().await, 1);
    store.commits(3);
    assert_eq!(host.says().await, said(PERE, FIRST, "RR0"));
    assert_eq!(begun.elapsed(), waited);
    drop(store);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_is_reported_with_its_reason_and_made_good() {
    let diagnostics = Diagnostics::record();
    let (mut host, mut store) = start();
    host.hears(LAURA, FIRST, "PRlaura");
    assert_eq!(store.is_given().await, 1);
    store.fails(1);
    assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    let begun = TokioInstant::now();
    for last in 2..65 {
        assert_eq!(store.is_given().await, 1);
        store.fails(last);
    }
    assert!(begun.elapsed() >= Duration::from_secs(63), "{:?}", begun.elapsed());
    assert_eq!(store.is_given().await, 1);
    let status = host.administrator.status().await.expect("it serves");
    assert_eq!(status.bindings_failure.as_deref(), Some("the disk is full"));
    let told = diagnostics.lines("bindings are not saved");
    assert!(told.len() == 2 && told[0].contains("the disk is full"), "{told:?}");
    store.commits(65);
    host.hears(PERE, FIRST, "PRpere");
    assert_eq!(store.is_given().await, 1);
    store.commits(66);
    assert_eq!(host.says().await, said(PERE, FIRST, "RR0"));
    drop(store);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_ends_ends_nothing_else() {
    let (mut host, Ends { given, results, .. }) = start();
    drop((given, results));
    for (request, answer) in [("PRlaura", "RR0"), ("PDlaura", "RD0")] {
        host.hears(LAURA, FIRST, request);
        assert_eq!(host.says().await, said(LAURA, FIRST, answer));
        time::advance(Duration::from_secs(2)).await;
    }
    let status = host.administrator.status().await.expect("it serves");
    assert_eq!(status.bindings_failure.as_deref(), Some("the store of bindings has ended"));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_confirmed_when_the_store_has_it() {
    let (host, mut store) = start();
    let removal = host.administrator.remove_user("laura".parse().expect("a name"));
    let commit = async {
        let changes = store.given.recv().await.expect("the task goes on");
        let [(SaveId(1), BindingChange::Removed { user })] = changes[..] else { panic!("{changes:?}") };
        assert_eq!(user.as_str(), "laura");
        store.commits(1);
    };
    let (removed, ()) = tokio::join!(removal, commit);
    removed.expect("it is removed");
    drop(store);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_commits_and_then_for_the_store() {
    let (host, mut store) = start();
    host.hears(LAURA, FIRST, "PRlaura");
    host.hears(PERE, FIRST, "PRpere");
    let Host { stop, task, mut said, arrivals, .. } = host;
    stop.send(()).expect("it runs");
    let mut given = 0;
    while given < 2 {
        given += store.is_given().await;
    }
    assert!(!*store.is_closed.borrow());
    store.commits(2);
    store.is_closed.wait_for(|is_closed| *is_closed).await.expect("it is closed");
    for _ in 0..2 {
        assert_eq!(said.recv().await.expect("it was sent").text, "RR0");
    }
    task::yield_now().await;
    assert!(!arrivals.is_closed(), "the socket is closed last");
    drop(store);
    task.await.expect("no panic");
    assert!(arrivals.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_put_off_the_end() {
    let (host, _store) = start();
    let begun = TokioInstant::now();
    host.hears(LAURA, FIRST, "PRlaura");
    let Host { stop, task, mut said, .. } = host;
    stop.send(()).expect("it runs");
    task.await.expect("no panic");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(said.recv().await.expect("it was sent").text, "RR0");
}

#[tokio::test(start_paused = true)]
async fn results_of_a_large_commit_are_applied_some_at_a_time() {
    let (give, _given) = mpsc::unbounded_channel();
    let (results, to_task) = mpsc::unbounded_channel();
    let (close, _closed) = watch::channel(false);
    let mut bindings = Bindings::default();
    bindings.save_in(Box::new(Scripted {
        given: give,
        results: to_task,
        has_ended: false,
        is_closed: close,
    }));
    let user = "laura".parse().expect("a name");
    (1..=1_000).for_each(|id| bindings.add(SaveId(id), BindingChange::Removed { user }));
    bindings.hand_over();
    let mut steps = Vec::new();
    for last in [600, 1_000] {
        results.send(Saved { last: SaveId(last), result: Ok(()), anew: last == 600 }).expect("it is there");
        while steps.last().is_none_or(|(id, _)| *id < last) {
            let step = bindings.next().await;
            steps.push((step.last.0, step.is_lost));
        }
    }
    assert_eq!(steps, [(256, true), (512, false), (600, false), (856, false), (1_000, false)]);
}
