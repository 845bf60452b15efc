//! The loads that agents bear, and their effect on others.

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_tests::emulators::Program;
use integration_tests::emulators::sockets::EmulatedAgent;
use integration_tests::loads::at_rate;
use integration_tests::programs::NodeProgram;
use integration_tests::raw_user::RawUser;
use mi_agent_core::{Agent, Event};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use crate::Options;
use crate::report::{Report, in_ms};

/// Ten thousand location requests a second for a user with an agent that answers.
pub(crate) fn many_questions(_: &Options, report: &mut Report) {
    let mut node = NodeProgram::start("bb.com", &["pere"], &["--rate-limit", "off", "-qq"]);
    let runtime = Runtime::new().expect("a runtime");
    let pere = Agent::builder("pere@bb.com".parse().expect("an address")).node(node.address()).start();
    let (_pere, _events) = runtime.block_on(pere).expect("pere registers");
    let asker = RawUser::new(node.address());
    let (mut found, mut offline) = (0, 0);
    let mut hear = || {
        while let Some(answer) = asker.heard() {
            found += usize::from(answer.starts_with("RL0"));
            offline += usize::from(answer.starts_with("RL3"));
        }
    };
    at_rate(QUESTIONS_A_SECOND, QUESTIONS, |_| {
        asker.say("PLlaura@cc.com:pere@bb.com");
        hear();
    });
    hear();
    report.note("location requests sent", QUESTIONS);
    report.note("of them answered", found);
    report.law("answers that the user is offline", offline, "0", offline == 0);
    let is_online = node.is_online("pere");
    report.law("the user is online in the end", is_online, "true", is_online);
}

/// Ten thousand lines at the default pace to each of the deployed programs, called and calling.
pub(crate) fn lines_to_others(_: &Options, report: &mut Report) {
    let node = NodeProgram::start("bb.com", &["a0", "a1", "a2", "a3", "e0", "e1", "e2", "e3"], &["-qq"]);
    let runtime = Runtime::new().expect("a runtime");
    let cases = [(Program::L, true), (Program::L, false), (Program::S, true), (Program::S, false)];
    runtime.block_on(async {
        let stall = Arc::new(Mutex::new(Duration::ZERO));
        let watch = tokio::spawn(watch_stalls(Arc::clone(&stall)));
        let mut talks = JoinSet::new();
        for (number, (program, calls)) in cases.into_iter().enumerate() {
            talks.spawn(say_lines(number, program, calls, node.address()));
        }
        while let Some(said) = talks.join_next().await {
            let (who, heard, death) = said.expect("it is not dropped");
            let is_whole = heard == LINES && death.is_none();
            let is = death.map_or_else(|| heard.to_string(), |death| format!("{heard}, and died: {death}"));
            let figure = format!("of 10,000 lines, heard by {who}");
            // An emulator that did not run for so long found two segments where one was.
            if *stall.lock().expect("nothing panics") < PACE {
                report.law(&figure, is, "10000", is_whole);
            } else {
                report.figure(&figure, is, "10000", is_whole);
            }
        }
        watch.abort();
        let stall = *stall.lock().expect("nothing panics");
        report.figure("the longest that this machine let us wait", in_ms(stall), "< 20 ms", stall < PACE);
    });
}

/// Keeps the longest time by which a timer was late.
async fn watch_stalls(longest: Arc<Mutex<Duration>>) {
    let interval = Duration::from_millis(1);
    loop {
        let start = Instant::now();
        time::sleep(interval).await;
        let late = start.elapsed().saturating_sub(interval);
        let mut longest = longest.lock().expect("nothing panics");
        *longest = late.max(*longest);
    }
}

/// Says the lines to an emulator that `calls`, or is called. How many it heard, and what it died of.
async fn say_lines(
    number: usize,
    program: Program,
    calls: bool,
    node: SocketAddrV4,
) -> (String, usize, Option<String>) {
    let (ours, theirs) = (format!("a{number}@bb.com"), format!("e{number}@bb.com"));
    let (agent, mut events) =
        Agent::builder(ours.parse().expect("an address")).node(node).start().await.expect("it registers");
    let mut emulator = EmulatedAgent::start(program, &theirs, node).await;
    let talk = if calls {
        emulator.talk_to(&ours).await;
        match events.next().await {
            Some(Event::Incoming(incoming)) => incoming.accept().expect("a conversation"),
            event => panic!("no call but {event:?}"),
        }
    } else {
        agent.call(theirs.parse().expect("an address")).await.expect("a conversation")
    };
    for line in 0..LINES {
        if talk.send(&format!("line {line}")).await.is_err() {
            break;
        }
    }
    let mut rest = talk.hang_up();
    while let Ok(Some(_)) = rest.next_line().await {}
    emulator.read_all().await;
    let heard = emulator.heard();
    let in_order = heard.iter().enumerate().take_while(|(number, line)| **line == format!("line {number}"));
    let who = format!("{program:?}, which {}", if calls { "called" } else { "was called" });
    let lines = in_order.count();
    let has_died = !emulator.all("died: ").is_empty();
    (who, lines, if has_died { Some(emulator.expect_death().await) } else { None })
}

const LINES: usize = 10_000;

/// The pause of agents between two frames.
const PACE: Duration = Duration::from_millis(20);

const QUESTIONS_A_SECOND: usize = 10_000;

const QUESTIONS: usize = 100_000;
