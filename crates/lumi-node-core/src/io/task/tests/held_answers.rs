//! Answers that wait until their lines are in the log.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_log_that_hangs_holds_up_one_answer_and_nobody_else() {
    let (go_on, held) = std_mpsc::channel();
    let log = LineWriter::new(Held(held)).in_background().expect("a thread");
    let progress = log.progress();
    let layer = MessageLayer::new(log);
    let _logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let mut host = Host::start_logging(NodeSettings::default().rate_limit(None), progress);
    let begun = TokioInstant::now();
    host.hears(LAURA, FIRST, "PRlaura");
    host.hears(CC_AGENT, FIRST, "PLjoya@cc.com:laura@bb.com");
    host.hears(PERE, FIRST, "PRnobody");
    assert_eq!(host.says().await, said(PERE, FIRST, "RR1"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(host.says().await, said(LAURA, FIRST, "RR0"));
    // An agent that waits for its answer is sent nothing before it, and nothing is lost.
    assert_eq!(host.says().await, said(LAURA, FIRST, "PLjoya@cc.com:laura@bb.com"));
    let waited = begun.elapsed();
    assert!((LOG_PATIENCE..=LOG_PATIENCE + Duration::from_millis(1)).contains(&waited), "{waited:?}");
    for (request, answer) in [("PRlaura", "RR0"), ("PDlaura", "RD0")] {
        host.hears(LAURA, FIRST, request);
        assert_eq!(host.says().await, said(LAURA, FIRST, answer));
    }
    assert_eq!(begun.elapsed(), waited, "the first has waited for all of them");
    assert_eq!(host.administrator.status().await.expect("it serves").early_answers, 3);
    drop(go_on);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn at_the_end_answers_that_wait_are_sent() {
    let (go_on, held) = std_mpsc::channel();
    let log = LineWriter::new(Held(held)).in_background().expect("a thread");
    let progress = log.progress();
    let layer = MessageLayer::new(log);
    let _logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let host = Host::start_logging(NodeSettings::default().rate_limit(None), progress);
    let begun = TokioInstant::now();
    host.hears(LAURA, FIRST, "PRlaura");
    host.hears(PERE, FIRST, "PRpere");
    let Host { stop, task, mut said, .. } = host;
    stop.send(()).expect("it runs");
    task.await.expect("no panic");
    let waited = begun.elapsed();
    assert!((LOG_PATIENCE..=LOG_PATIENCE + Duration::from_millis(1)).contains(&waited), "{waited:?}");
    for to in [LAURA, PERE] {
        let said = said.recv().await.expect("it was sent");
        assert_eq!((said.to.to_string(), &*said.text), (to.to_owned(), "RR0"));
    }
    drop(go_on);
}
