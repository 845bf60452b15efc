//! The decisions of a conversation in which something goes wrong.

use std::time::Duration;

use lumi_testkit::conversation::{Connection, Stream};
use mi_agent_core::{
    Broken, ConversationOutput, ConversationState, Frame, GreetingFailure, IncomingFrames, Line, Nickname,
    Side,
};

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
        ConversationOutput::Ended { unsent: 0, unsaid: 0, is_answered: false },
    ];
    assert_eq!(outputs, expected);
}

/// Its program is suspended, or reads slowly, and its host answers.
#[test]
fn a_peer_that_takes_nothing_has_ten_minutes_and_at_the_end_thirty_seconds() {
    let start = tokio::time::Instant::now().into_std();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut caller = Connection::new(start, Side::Caller, "laura", Duration::from_millis(20));
    let mut incoming = Stream::default();
    incoming.write(b"N04joan");
    assert!(matches!(caller.next(start, &mut incoming, |all| all), Some(ConversationOutput::Write(_))));
    let state = &mut caller.state;
    assert_eq!(state.poll_timeout(), Some(at(5)));
    state.handle_progress(at(1));
    assert_eq!(state.poll_timeout(), Some(at(5)), "a nickname is one small frame");
    state.handle_written(start, true);
    let greeted = caller.next(start, &mut incoming, |all| all);
    assert!(matches!(greeted, Some(ConversationOutput::Greeted(_))), "{greeted:?}");

    let state = &mut caller.state;
    state.handle_line(vec![Line::new("hola").expect("a line")], false);
    let outputs: Vec<_> = std::iter::from_fn(|| state.poll_output(at(1))).collect();
    assert!(
        matches!(outputs[..], [ConversationOutput::HandedOver, ConversationOutput::Write(_)]),
        "{outputs:?}"
    );
    assert_eq!(state.poll_timeout(), Some(at(601)));
    state.handle_progress(at(500));
    assert_eq!(state.poll_timeout(), Some(at(1_100)));
    state.handle_hang_up(at(600));
    assert_eq!(state.poll_timeout(), Some(at(630)), "the end has less time");
    state.handle_progress(at(620));
    assert_eq!(state.poll_timeout(), Some(at(650)));
    state.handle_timeout(at(649));
    let outputs: Vec<_> = std::iter::from_fn(|| state.poll_output(at(649))).collect();
    assert_eq!(outputs, [ConversationOutput::Ending]);
    state.handle_timeout(at(650));
    let outputs: Vec<_> = std::iter::from_fn(|| state.poll_output(at(650))).collect();
    assert_eq!(outputs, [ConversationOutput::CloseWrite]);
    state.handle_progress(at(651));
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
    assert_eq!(
        state.poll_output(start),
        Some(ConversationOutput::Ended { unsent: 0, unsaid: 0, is_answered: false })
    );
    assert_eq!(state.poll_output(start), None);
}

/// Nobody waits for a decision about a caller that has left, unless there is something to hear.
#[test]
fn a_caller_that_leaves_before_the_decision_is_noticed() {
    let start = tokio::time::Instant::now().into_std();
    for (said, has_left) in [("", true), ("L00", true), ("L04hola", false)] {
        let mut callee = Connection::new(start, Side::Callee, "pere", Duration::from_millis(20));
        let mut incoming = Stream::default();
        incoming.write(format!("N04joan{said}").as_bytes());
        incoming.close();
        assert!(matches!(callee.next(start, &mut incoming, |all| all), Some(ConversationOutput::Write(_))));
        callee.state.handle_written(start, true);
        let greeted = callee.next(start, &mut incoming, |all| all);
        assert!(matches!(greeted, Some(ConversationOutput::Greeted(_))), "{greeted:?}");

        let left = callee.next(start, &mut incoming, |all| all);
        assert_eq!(left, has_left.then_some(ConversationOutput::CallerLeft), "{said}");
        if has_left {
            let closes = callee.next(start, &mut incoming, |all| all);
            assert_eq!(closes, Some(ConversationOutput::CloseWrite));
        } else {
            callee.state.handle_admitted(start, Ok(()));
            let heard = callee.next(start, &mut incoming, |all| all);
            assert!(matches!(heard, Some(ConversationOutput::Deliver(_))), "{heard:?}");
        }
    }
}

/// Whoever closes before reading everything sends an RST, so only a FIN shows that all was read.
#[test]
fn an_end_is_answered_if_everything_left_and_the_peer_ended_in_order() {
    for (is_line_written, is_ended, is_answered) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
    {
        let start = tokio::time::Instant::now().into_std();
        let nickname = Nickname::new("laura").expect("a nickname");
        let mut state = ConversationState::new(start, Side::Caller, nickname, Duration::ZERO);
        let mut now = start;
        let line = Line::new("hola").expect("a line");
        state.handle_line(vec![line], true);
        let mut ended = None;
        while ended.is_none() {
            state.handle_timeout(now);
            match state.poll_output(now) {
                Some(ConversationOutput::Write(Frame::Nickname(_))) => {
                    state.handle_written(now, true);
                    let mut frames = IncomingFrames::new();
                    frames.read_buffer().extend_from_slice(b"N04joya");
                    let (received, at) = frames.next(now).expect("it is whole").expect("it is a frame");
                    state.handle_received(now, received, at);
                    state.handle_hang_up(now);
                }
                Some(ConversationOutput::Write(_)) => state.handle_written(now, is_line_written),
                Some(ConversationOutput::CloseWrite) => {
                    state.handle_written(now, true);
                    if is_ended {
                        state.handle_peer_end(now);
                    } else {
                        state.handle_broken(now, Broken::Connection);
                    }
                }
                Some(ConversationOutput::Ended { is_answered, .. }) => ended = Some(is_answered),
                Some(_) => {}
                None => now = state.poll_timeout().expect("something follows"),
            }
        }
        assert_eq!(ended, Some(is_answered), "{is_line_written} {is_ended}");
    }
}
