//! Conversations of our agent with agents of L and S: nothing is lost, and nothing ends them.

use integration_tests::emulators::Program::{self, L, S};
use integration_tests::emulators::sockets::EmulatedAgent;
use integration_tests::network::{TestNode, directory};
use mi_agent_core::{Agent, Conversation, Events};

use super::{BOTH, ours};
use crate::conversation::{incoming, next, soon};

/// Our agent of u1 and an emulated one of u2, at our node.
struct Pair {
    node: TestNode,
    agent: Agent,
    events: Events,
    emulator: EmulatedAgent,
}

impl Pair {
    async fn start(program: Program) -> Self {
        let node = TestNode::start("bb", &["u1", "u2"], directory(&[])).await;
        let (agent, events) = ours("u1@bb", node.address).start().await.expect("registered");
        let emulator = EmulatedAgent::start(program, "u2@bb", node.address).await;
        Self { node, agent, events, emulator }
    }

    async fn ours_calls(&mut self) -> Conversation {
        let talk = self.agent.call(super::mi("u2@bb")).await.expect("a conversation");
        assert_eq!(talk.peer().nickname, "u2");
        assert_eq!(self.emulator.expect("begun ").await, "u1");
        talk
    }

    async fn ours_is_called(&mut self) -> Conversation {
        self.emulator.talk_to("u1@bb").await;
        let talk = incoming(&mut self.events).await;
        assert_eq!(talk.peer().nickname, "u2");
        assert_eq!(talk.peer().address, Some(super::mi("u2@bb")));
        talk
    }

    async fn end(self) {
        soon(self.agent.shutdown()).await.expect("deregistered");
        self.emulator.end().await;
        self.node.stop().await;
    }
}

/// `count` lines each way at the same time, ours at its usual pace. Then ours ends it, or the other.
async fn exchange(program: Program, count: usize, ours_calls: bool, ours_ends: bool) {
    let mut pair = Pair::start(program).await;
    let talk = if ours_calls { pair.ours_calls().await } else { pair.ours_is_called().await };
    let line = |n| format!("line {n:03} {}", "x".repeat(n % 80));
    let expected: Vec<_> = (0..count).map(line).collect();
    let (_, sender, mut receiver) = talk.split();
    let saying = async {
        for line in &expected {
            sender.send(line).await.expect("handed over");
        }
        sender
    };
    let hearing = async {
        let mut heard = Vec::new();
        while heard.len() < count {
            heard.push(soon(receiver.next_line()).await.expect("no loss").expect("a line").raw().to_owned());
        }
        (heard, receiver)
    };
    let emulator = &mut pair.emulator;
    let emulating = async {
        for line in &expected {
            emulator.say(line).await;
        }
        let last = format!("heard {}", expected[count - 1]);
        emulator.wait_for(|line| line == last).await;
    };
    let (sender, (heard, mut receiver), ()) = tokio::join!(saying, hearing, emulating);
    assert_eq!(heard, expected);
    assert_eq!(pair.emulator.heard(), expected);
    if ours_ends {
        drop(sender);
        pair.emulator.expect("closed").await;
        assert_eq!(soon(receiver.next_line()).await.expect("no loss"), None);
    } else {
        pair.emulator.hang_up().await;
        assert_eq!(soon(receiver.next_line()).await.expect("no loss"), None);
    }
    pair.end().await;
}

pub(super) async fn three_hundred_lines_each_way_arrive() {
    tokio::join!(
        exchange(L, 300, true, true),
        exchange(L, 300, false, false),
        exchange(S, 300, true, false),
        exchange(S, 300, false, true),
    );
}

#[tokio::test]
async fn lines_arrive_whoever_calls_and_whoever_ends() {
    for program in BOTH {
        tokio::join!(
            exchange(program, 15, true, true),
            exchange(program, 15, true, false),
            exchange(program, 15, false, true),
            exchange(program, 15, false, false),
        );
    }
}

/// One frame has 99 bytes at most, and is cut between characters.
#[tokio::test]
async fn long_lines_arrive_in_pieces_of_whole_characters() {
    for program in BOTH {
        let mut pair = Pair::start(program).await;
        let talk = pair.ours_calls().await;
        let said = [
            "a".repeat(99),
            "b".repeat(100),
            "c".repeat(150),
            "d".repeat(1_000),
            format!("x{}", "è".repeat(75)),
            "€".repeat(50),
            format!("yy{}", "😀".repeat(40)),
            format!("{}é", "z".repeat(98)),
            String::new(),
            " ".into(),
            "L05hola".into(),
            "N02u9".into(),
            "end".into(),
        ];
        for line in &said {
            talk.send(line).await.expect("handed over");
        }
        pair.emulator.expect("heard end").await;
        let heard = pair.emulator.heard();
        assert!(heard.iter().all(|line| line.len() <= 99 && !line.contains('\u{fffd}')), "{heard:?}");
        assert_eq!(heard.concat(), said.concat());
        // A line that fits is one frame, and so is an empty one.
        for (line, times) in [(&said[0], 1), (&said[8], 1), (&said[10], 1), (&said[11], 1)] {
            assert_eq!(heard.iter().filter(|heard| *heard == line).count(), times, "{line}");
        }
        drop(talk);
        pair.emulator.expect("closed").await;
        pair.end().await;
    }
}

/// The bytes that an L sends for them have a header of four bytes, and lack the last one. Its other lines
/// come before and after, and however TCP puts them together.
#[tokio::test]
async fn lines_of_more_than_99_characters_from_an_l_are_shown_and_the_rest_in_step() {
    for ours_calls in [true, false] {
        let mut pair = Pair::start(L).await;
        let mut talk = if ours_calls { pair.ours_calls().await } else { pair.ours_is_called().await };
        for length in [99, 100, 120, 150, 151, 300, 999] {
            let long = "abcdefghij".repeat(100)[..length].to_owned();
            let shown = if length > 99 { &long[..length - 1] } else { &long };
            pair.emulator.say("before").await;
            assert_eq!(next(&mut talk).await, "before");
            pair.emulator.say(&long).await;
            assert_eq!(next(&mut talk).await, shown, "{length}");
            pair.emulator.say("after").await;
            assert_eq!(next(&mut talk).await, "after");
        }
        talk.send("and back").await.expect("sent");
        assert_eq!(pair.emulator.expect("heard ").await, "and back");
        pair.emulator.hang_up().await;
        assert_eq!(soon(talk.next_line()).await.expect("no loss"), None);
        pair.end().await;
    }
}

/// Their frames may arrive in any pieces: several at once, or byte by byte.
#[tokio::test]
async fn frames_of_theirs_are_put_together_however_they_come() {
    for program in BOTH {
        let mut pair = Pair::start(program).await;
        let mut talk = pair.ours_is_called().await;
        let frames: String = (0..50).map(|n| format!("L08line {n:03}")).collect();
        pair.emulator.write(frames.as_bytes()).await;
        for n in 0..50 {
            assert_eq!(next(&mut talk).await, format!("line {n:03}"));
        }
        for n in 0..10 {
            for byte in format!("L06drip{n:02}").bytes() {
                pair.emulator.write(&[byte]).await;
                tokio::task::yield_now().await;
            }
        }
        for n in 0..10 {
            assert_eq!(next(&mut talk).await, format!("drip{n:02}"));
        }
        pair.emulator.write(b"L04\xff\x1b[2L00L03fin").await;
        assert_eq!(next(&mut talk).await, "\u{fffd}\u{1b}[2");
        assert_eq!(next(&mut talk).await, "");
        assert_eq!(next(&mut talk).await, "fin");
        pair.emulator.hang_up().await;
        assert_eq!(soon(talk.next_line()).await.expect("no loss"), None);
        pair.end().await;
    }
}

/// Everything that was said before the end is heard, in both directions.
#[tokio::test]
async fn both_may_end_it_at_once() {
    for program in BOTH {
        let mut pair = Pair::start(program).await;
        for _ in 0..5 {
            let talk = pair.ours_calls().await;
            pair.emulator.say("adéu").await;
            pair.emulator.hang_up().await;
            let mut rest = talk.hang_up();
            assert_eq!(soon(rest.next_line()).await.expect("no loss").expect("a line"), "adéu");
            assert_eq!(soon(rest.next_line()).await.expect("no loss"), None);
            pair.emulator.expect("closed").await;
        }
        pair.end().await;
    }
}
