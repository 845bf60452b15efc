//! The conversations of L and S (protocol.md §5): what one read gives is one frame.

use std::collections::VecDeque;

use super::{Death, Program};

/// One conversation of an agent of L or S, from the connection on, until the agent is back at its menu.
///
/// Call [`Talk::segment`] with what each single read gave, and carry out every [`TalkEffect`].
#[derive(Clone, Debug)]
pub struct Talk {
    program: Program,
    nickname: String,
    side: Side,
    state: State,
    /// A line has come.
    has_heard: bool,
    effects: VecDeque<TalkEffect>,
}

/// The side that began it, or the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The agent called, and gives its nickname first.
    Caller,
    /// The agent was called.
    Callee,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// The peer's nickname has not come.
    Greeting,
    Talking,
    Ended,
    Dead(Death),
}

/// An effect of an agent in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TalkEffect {
    /// Writes this, in one write.
    Write(Vec<u8>),
    /// Shows that the conversation has begun, with this nickname.
    Begun(Vec<u8>),
    /// Shows a line.
    Heard(Vec<u8>),
    /// Closes the connection, and is back at its menu.
    Closed,
    /// Has ended as a program.
    Died(Death),
}

impl Talk {
    /// The connection is there.
    pub fn new(program: Program, side: Side, nickname: &str) -> Self {
        let nickname = nickname.to_owned();
        let (state, effects) = (State::Greeting, VecDeque::new());
        let mut talk = Self { program, nickname, side, state, has_heard: false, effects };
        if side == Side::Caller {
            talk.give_nickname();
        }
        talk
    }

    /// A read gave these bytes, which are not none.
    pub fn segment(&mut self, bytes: &[u8]) {
        let is_greeting = match self.state {
            State::Greeting => true,
            State::Talking => false,
            State::Ended | State::Dead(_) => return,
        };
        let awaited = if is_greeting { b'N' } else { b'L' };
        if self.program == Program::L && bytes[0] != awaited {
            return self.die(Death::UnexpectedFrame(bytes.to_vec()));
        }
        let length = match bytes {
            [_, tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => {
                3 + 10 * usize::from(tens - b'0') + usize::from(ones - b'0')
            }
            _ => usize::MAX,
        };
        if bytes.len() < length && self.program == Program::L {
            return self.die(Death::Split(bytes.to_vec()));
        }
        // S shows what there is.
        let text = bytes.get(3..length.min(bytes.len())).unwrap_or_default().to_vec();
        if is_greeting {
            self.state = State::Talking;
            if self.side == Side::Callee {
                self.give_nickname();
            }
            self.effects.push_back(TalkEffect::Begun(text));
        } else {
            self.has_heard = true;
            self.effects.push_back(TalkEffect::Heard(text));
        }
        if bytes.len() > length {
            self.die(Death::Coalesced(bytes.to_vec()));
        }
    }

    /// The peer has closed the connection.
    pub fn closed(&mut self) {
        match self.state {
            State::Greeting if self.program == Program::L => self.die(Death::ClosedBeforeNickname),
            State::Talking if self.program == Program::S && !self.has_heard => {
                self.die(Death::ClosedBeforeLine);
            }
            State::Greeting | State::Talking => self.end(),
            State::Ended | State::Dead(_) => {}
        }
    }

    /// The connection was reset.
    pub fn reset(&mut self) {
        match (&self.state, self.program) {
            (State::Ended | State::Dead(_), _) => {}
            (_, Program::L) => self.die(Death::Reset),
            (_, Program::S) => self.end(),
        }
    }

    /// Its user says a line of at most 999 bytes, without a line end.
    pub fn say(&mut self, line: &str) {
        if self.state != State::Talking {
            return;
        }
        let mut frame = format!("L{:02}", line.len()).into_bytes();
        // Its buffer ends a byte before such a line does (row 13).
        let length = if line.len() > 99 { line.len() - 1 } else { line.len() };
        frame.extend_from_slice(&line.as_bytes()[..length]);
        self.effects.push_back(TalkEffect::Write(frame));
    }

    /// Its user ends the conversation.
    pub fn hang_up(&mut self) {
        if matches!(self.state, State::Greeting | State::Talking) {
            self.end();
        }
    }

    /// Returns its next effect; `None` when that is all.
    pub fn poll_output(&mut self) -> Option<TalkEffect> {
        self.effects.pop_front()
    }

    /// Returns the death that ended the program, if anything has.
    pub fn death(&self) -> Option<&Death> {
        match &self.state {
            State::Dead(death) => Some(death),
            _ => None,
        }
    }

    fn give_nickname(&mut self) {
        let frame = format!("N{:02}{}", self.nickname.len(), self.nickname);
        self.effects.push_back(TalkEffect::Write(frame.into_bytes()));
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.effects.push_back(TalkEffect::Closed);
    }

    fn die(&mut self, death: Death) {
        self.effects.push_back(TalkEffect::Died(death.clone()));
        self.state = State::Dead(death);
    }
}

#[cfg(test)]
mod tests {
    use super::TalkEffect::{Begun, Closed, Died, Heard, Write};
    use super::*;

    fn done(talk: &mut Talk) -> Vec<TalkEffect> {
        std::iter::from_fn(|| talk.poll_output()).collect()
    }

    /// Returns one side of a conversation with `ours`.
    fn talking(program: Program, side: Side) -> Talk {
        let mut talk = Talk::new(program, side, "u2");
        talk.segment(b"N04ours");
        assert_eq!(done(&mut talk), [Write(b"N02u2".to_vec()), Begun(b"ours".to_vec())]);
        talk
    }

    #[test]
    fn nicknames_lines_and_the_end_go_as_they_should() {
        for program in [Program::L, Program::S] {
            for side in [Side::Caller, Side::Callee] {
                let mut talk = talking(program, side);
                talk.segment(b"L04hola");
                talk.segment(b"L00");
                talk.say("Que tal?");
                let expected = [Heard(b"hola".to_vec()), Heard(b"".to_vec()), Write(b"L08Que tal?".to_vec())];
                assert_eq!(done(&mut talk), expected);
                talk.closed();
                talk.say("too late");
                talk.reset();
                assert_eq!(done(&mut talk), [Closed]);
                assert_eq!(talk.death(), None);
            }
        }
    }

    #[test]
    fn a_busy_line_and_an_orderly_close_lead_back_to_the_menu() {
        let mut talk = talking(Program::L, Side::Caller);
        talk.segment(b"L04busy");
        talk.closed();
        assert_eq!(done(&mut talk), [Heard(b"busy".to_vec()), Closed]);
    }

    #[test]
    fn several_frames_in_one_segment_end_both() {
        for program in [Program::L, Program::S] {
            let mut talk = talking(program, Side::Callee);
            talk.segment(b"L03oneL03twoL05three");
            let death = Death::Coalesced(b"L03oneL03twoL05three".to_vec());
            assert_eq!(done(&mut talk), [Heard(b"one".to_vec()), Died(death.clone())]);
            talk.segment(b"L04four");
            talk.say("hola");
            talk.hang_up();
            talk.closed();
            talk.reset();
            assert_eq!((done(&mut talk), talk.death()), (vec![], Some(&death)), "it stays dead");

            let mut talk = Talk::new(program, Side::Callee, "u2");
            talk.segment(b"N04oursL04hola");
            assert_eq!(talk.death(), Some(&Death::Coalesced(b"N04oursL04hola".to_vec())));
        }
    }

    #[test]
    fn a_split_frame_ends_l_and_leaves_s_confused() {
        for part in [&b"L"[..], b"L0", b"L04", b"L04hol"] {
            let mut talk = talking(Program::L, Side::Callee);
            talk.segment(part);
            assert_eq!(done(&mut talk), [Died(Death::Split(part.to_vec()))]);
        }
        let mut talk = talking(Program::S, Side::Callee);
        talk.segment(b"L04ho");
        talk.segment(b"la");
        assert_eq!(done(&mut talk), [Heard(b"ho".to_vec()), Heard(b"".to_vec())]);
    }

    #[test]
    fn an_unexpected_frame_ends_l() {
        for frame in [&b"X04hola"[..], b"N04ours", b"hola"] {
            let mut talk = talking(Program::L, Side::Caller);
            talk.segment(frame);
            assert_eq!(done(&mut talk), [Died(Death::UnexpectedFrame(frame.to_vec()))]);
        }
        let mut talk = Talk::new(Program::L, Side::Callee, "u2");
        talk.segment(b"L04hola");
        assert_eq!(done(&mut talk), [Died(Death::UnexpectedFrame(b"L04hola".to_vec()))]);
    }

    #[test]
    fn a_reset_and_a_close_before_the_nickname_end_l_and_not_s() {
        let greeting = |program| {
            let mut talk = Talk::new(program, Side::Caller, "u2");
            assert_eq!(done(&mut talk), [Write(b"N02u2".to_vec())]);
            talk
        };
        for (program, after_reset, after_close) in [
            (Program::L, Died(Death::Reset), Died(Death::ClosedBeforeNickname)),
            (Program::S, Closed, Closed),
        ] {
            for mut talk in [greeting(program), talking(program, Side::Callee)] {
                talk.reset();
                assert_eq!(done(&mut talk), std::slice::from_ref(&after_reset));
            }
            let mut talk = greeting(program);
            talk.closed();
            assert_eq!(done(&mut talk), [after_close]);
        }
    }

    #[test]
    fn a_line_of_150_characters_has_a_header_of_four_bytes() {
        let mut talk = talking(Program::L, Side::Callee);
        talk.say(&"x".repeat(150));
        talk.say(&"y".repeat(99));
        let expected = [format!("L150{}", "x".repeat(149)), format!("L99{}", "y".repeat(99))];
        assert_eq!(done(&mut talk), expected.map(|frame| Write(frame.into_bytes())));
    }
}
