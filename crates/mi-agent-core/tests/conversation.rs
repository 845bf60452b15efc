//! The decisions of a conversation in which something goes wrong.

use std::time::Duration;

use mi_agent_core::{Broken, ConversationOutput, ConversationState, GreetingFailure, Nickname, Side};

/// Our nickname is the only write of a greeting. In a hurry it has no more time than any other.
#[test]
fn a_nickname_that_is_not_read_holds_a_hurried_end_up_no_longer_than_a_line() {
    let start = tokio::time::Instant::now().into_std();
    let nickname = Nickname::new("laura").expect("a nickname");
    let mut state = ConversationState::new(start, Side::Caller, nickname, Duration::from_millis(20));
    assert!(matches!(state.poll_output(start), Some(ConversationOutput::Write(_))));

    let mut now = start + Duration::from_secs(1);
    state.handle_shutdown(now, true);
    let mut outputs = Vec::new();
    let end = loop {
        state.handle_timeout(now);
        outputs.extend(std::iter::from_fn(|| state.poll_output(now)));
        match state.poll_timeout() {
            Some(next) => now = next,
            None => break now,
        }
    };
    assert_eq!(end, start + Duration::from_millis(1_000 + 3 * 150));
    let expected = [
        ConversationOutput::Failed(GreetingFailure::TimedOut),
        ConversationOutput::CloseWrite,
        ConversationOutput::Ended { unsent: 0, unsaid: 0 },
    ];
    assert_eq!(outputs, expected);
}

/// There was no conversation that could be lost.
#[test]
fn a_connection_that_breaks_after_the_greeting_failed_is_not_lost() {
    let start = tokio::time::Instant::now().into_std();
    let nickname = Nickname::new("laura").expect("a nickname");
    let mut state = ConversationState::new(start, Side::Caller, nickname, Duration::from_millis(20));
    assert!(matches!(state.poll_output(start), Some(ConversationOutput::Write(_))));
    state.handle_written(start, true);

    state.handle_given_up(start);
    let failed = ConversationOutput::Failed(GreetingFailure::GivenUp);
    assert_eq!(state.poll_output(start), Some(failed));
    state.handle_broken(start, Broken::Connection);
    assert_eq!(state.poll_output(start), Some(ConversationOutput::CloseWrite));
    state.handle_written(start, true);
    assert_eq!(state.poll_output(start), Some(ConversationOutput::Ended { unsent: 0, unsaid: 0 }));
    assert_eq!(state.poll_output(start), None);
}
