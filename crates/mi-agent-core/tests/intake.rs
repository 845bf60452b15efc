//! The pace at which a peer is read, on a clock that the tests move.

use std::time::{Duration, Instant};

use mi_agent_core::{
    ConversationOutput, ConversationState, IncomingFrames, Intake, Nickname, Side, WantedInput,
};

/// A conversation of a caller with a callee that keeps sending, and the time.
struct Flooded {
    state: ConversationState,
    frames: IncomingFrames,
    now: Instant,
    /// The number of lines that the program was given.
    delivered: usize,
}

impl Flooded {
    fn begin(intake: Option<Intake>) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let nickname = Nickname::new("laura").expect("a nickname");
        let mut state = ConversationState::new(now, Side::Caller, nickname, Duration::ZERO);
        state.set_intake(intake);
        let mut flooded = Self { state, frames: IncomingFrames::new(), now, delivered: 0 };
        flooded.runs();
        flooded.reads(b"N04joya");
        flooded
    }

    fn runs(&mut self) {
        while let Some(output) = self.state.poll_output(self.now) {
            match output {
                ConversationOutput::Write(_) | ConversationOutput::CloseWrite => {
                    self.state.handle_written(self.now, true);
                }
                ConversationOutput::Deliver(_) => {
                    self.delivered += 1;
                    self.state.handle_taken();
                }
                _ => {}
            }
        }
    }

    fn reads(&mut self, bytes: &[u8]) {
        self.frames.read_buffer().extend_from_slice(bytes);
        while let Some(Ok((received, read_at))) = self.frames.next(self.now) {
            self.state.handle_received(self.now, received, read_at);
        }
        self.runs();
    }

    /// Reads this as often as the state wants, until `millis` are over. Returns how often that was.
    fn floods(&mut self, bytes: &[u8], millis: u64) -> usize {
        let end = self.now + Duration::from_millis(millis);
        let mut read = 0;
        loop {
            while self.state.wants_input() == WantedInput::Frames && read < 1_000_000 {
                self.reads(bytes);
                read += 1;
            }
            match self.state.poll_timeout().filter(|at| *at <= end) {
                Some(at) => self.now = at,
                None => break,
            }
            self.state.handle_timeout(self.now);
            self.runs();
        }
        self.now = end;
        read
    }
}

#[test]
fn frames_are_read_as_fast_as_people_talk() {
    let mut flooded = Flooded::begin(Some(Intake::OF_PEOPLE));
    let first = flooded.floods(b"L00", 0);
    assert!((499..=501).contains(&first), "{first}");
    assert_eq!(flooded.floods(b"L00", 10_000), 1_000);
    let limited = flooded.state.limited().expect("it is at the limit");
    assert!(flooded.now - limited.since >= Duration::from_secs(10), "{limited:?}");
    // Half of 500 frames, at 100 a second.
    assert!(limited.until - flooded.now > Duration::from_millis(2_490), "{limited:?}");
    // Half of what may come at once has to be free again before the peer counts as one that pauses.
    flooded.now += Duration::from_secs(2);
    flooded.state.handle_timeout(flooded.now);
    flooded.reads(b"L00");
    assert_eq!(flooded.state.limited().map(|limited| limited.since), Some(limited.since));
    // A pause is not needed for long.
    flooded.now += Duration::from_secs(60);
    flooded.state.handle_timeout(flooded.now);
    flooded.reads(b"L00");
    assert_eq!(flooded.state.limited(), None);
}

/// They say nothing, so they must cost nothing either.
#[test]
fn nicknames_after_the_first_are_counted() {
    let mut flooded = Flooded::begin(Some(Intake::OF_PEOPLE));
    let first = flooded.floods(b"N00", 0);
    assert!((499..=501).contains(&first), "{first}");
    assert_eq!(flooded.floods(b"N00", 10_000), 1_000);
}

#[test]
fn unframed_text_is_counted_by_its_pieces_and_its_bytes() {
    let mut flooded = Flooded::begin(Some(Intake::OF_PEOPLE));
    let piece = [b'#'; 8 * 1024];
    let first = flooded.floods(&piece, 0);
    // Each is eight pieces of the codec, of which 500 may come at once, and 100 a second.
    assert!((62..=64).contains(&first), "{first}");
    let next = flooded.floods(&piece, 10_000);
    assert!((124..=126).contains(&next), "{next}");
    // By then, what is left of the first megabyte and 64 KiB a second are less.
    let last = flooded.floods(&piece, 10_000);
    assert!((98..=102).contains(&last), "{last}");
}

#[test]
fn a_peer_at_the_pace_of_deployed_programs_never_waits() {
    let mut flooded = Flooded::begin(Some(Intake::OF_PEOPLE));
    for _ in 0..10_000 {
        flooded.now += Duration::from_millis(20);
        flooded.reads(b"L02hi");
        assert_eq!(flooded.state.wants_input(), WantedInput::Frames);
    }
    assert_eq!(flooded.state.limited(), None);
}

#[test]
fn everything_is_read_at_once_without_limits_and_after_the_end() {
    let mut flooded = Flooded::begin(None);
    for _ in 0..10_000 {
        flooded.reads(b"L00");
    }
    assert_eq!(flooded.state.wants_input(), WantedInput::Frames);
    let mut flooded = Flooded::begin(Some(Intake::OF_PEOPLE));
    flooded.floods(b"L00", 0);
    assert_eq!(flooded.state.wants_input(), WantedInput::Nothing);
    flooded.state.handle_hang_up(flooded.now);
    assert_eq!(flooded.state.wants_input(), WantedInput::Frames, "its FIN is behind that");
    let before = flooded.delivered;
    for _ in 0..10_000 {
        flooded.reads(b"L00");
    }
    assert_eq!(flooded.state.wants_input(), WantedInput::Frames);
    assert!(flooded.delivered - before < 10, "the program is given no more than before");
}
