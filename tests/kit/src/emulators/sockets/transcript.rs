//! The record of an emulator: what it has seen and done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::Notify;
use tokio::time;

use super::super::Program;
use crate::DEADLINE;

/// Lines, in their order: `R RR0` and `E PRu1@bb` for datagrams (S writes `S` for `E`, protocol.md §7, row
/// 14), and what its user would see: `registered`, `located u2@bb at 127.0.0.1:4000`,
/// `failed Locate("u2@bb"): Code('3')`, `accepted`, `begun u2`, `heard hola`, `closed`; and then `odd …`,
/// `died: …`.
#[derive(Debug)]
pub struct Transcript {
    shared: Arc<Shared>,
    /// Lines that [`Transcript::wait_for`] is past.
    read: usize,
    expects_death: bool,
}

/// The end to which the emulator's task writes.
#[derive(Debug)]
pub(super) struct Shared {
    name: String,
    program: Program,
    lines: Mutex<Vec<String>>,
    changed: Notify,
}

impl Transcript {
    pub(super) fn new(name: String, program: Program) -> Self {
        let shared = Shared { name, program, lines: Mutex::default(), changed: Notify::new() };
        Self { shared: Arc::new(shared), read: 0, expects_death: false }
    }

    pub(super) fn writer(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The next line that `is_it`; those before it are passed over.
    ///
    /// # Panics
    /// If it has not come within [`DEADLINE`], or the emulator ended without it.
    pub async fn wait_for(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let search = async {
            loop {
                let changed = self.shared.changed.notified();
                let lines = self.lines();
                if let Some(at) = lines[self.read..].iter().position(|line| is_it(line)) {
                    return Some((self.read + at, lines[self.read + at].clone()));
                }
                if lines.iter().any(|line| line.starts_with(DIED)) {
                    return None;
                }
                changed.await;
            }
        };
        let Ok(Some((at, line))) = time::timeout(DEADLINE, search).await else {
            panic!("what was waited for did not come; {self}");
        };
        self.read = at + 1;
        line
    }

    /// Waits until a line comes that begins with `start`, and returns what follows; those before are passed
    /// over.
    ///
    /// # Panics
    /// As [`Transcript::wait_for`].
    pub async fn expect(&mut self, start: &str) -> String {
        self.wait_for(|line| line.starts_with(start)).await[start.len()..].to_owned()
    }

    /// Waits until the emulator ends, and returns why.
    ///
    /// # Panics
    /// As [`Transcript::wait_for`].
    pub async fn expect_death(&mut self) -> String {
        self.expects_death = true;
        self.expect(DIED).await
    }

    /// All lines until now.
    pub fn lines(&self) -> Vec<String> {
        self.shared.lock().clone()
    }

    /// Returns the rest behind `start` of the lines that begin so.
    pub fn all(&self, start: &str) -> Vec<String> {
        self.lines().iter().filter_map(|line| line.strip_prefix(start)).map(str::to_owned).collect()
    }

    /// Fails unless the emulator lives.
    ///
    /// # Panics
    /// If it has ended.
    pub fn assert_alive(&self) {
        assert_eq!(self.all(DIED), [""; 0], "{self}");
    }

    /// Fails if the emulator was sent anything that it had to take for something else, or to pass over.
    ///
    /// A second answer is nothing odd if the emulator asked twice: S repeats `PR` and `PD` after 100 ms and
    /// `PL` after 200 ms, and on a busy machine the answer to the first one may take longer.
    ///
    /// # Panics
    /// If it was.
    pub fn assert_nothing_odd(&self) {
        let is_owed = |answer: &String| {
            let Some(owed) = question(answer) else { return false };
            let asked = ["E ", "S "].map(|sign| self.all(&format!("{sign}{owed}")).len());
            let answers = self.all("R R").into_iter().filter_map(|rest| question(&format!("R{rest}")));
            answers.filter(|answered| *answered == owed).count() <= asked[0] + asked[1]
        };
        let odd: Vec<_> = self.all(ODD).into_iter().filter(|message| !is_owed(message)).collect();
        assert_eq!(odd, [""; 0], "{self}");
    }
}

impl std::fmt::Display for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "this is what {:?} {} saw:", self.shared.program, self.shared.name)?;
        self.lines().iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        if !self.expects_death && !thread::panicking() {
            self.assert_alive();
        }
    }
}

impl Shared {
    pub(super) fn write(&self, line: String) {
        self.lock().push(line);
        self.changed.notify_waiters();
    }

    pub(super) fn received(&self, message: &[u8]) {
        self.write(format!("R {}", text(message)));
    }

    pub(super) fn sent(&self, message: &[u8]) {
        let letter = match self.program {
            Program::L => 'E',
            Program::S => 'S',
        };
        self.write(format!("{letter} {}", text(message)));
    }

    pub(super) fn odd(&self, message: &[u8]) {
        self.write(format!("{ODD}{}", text(message)));
    }

    pub(super) fn died(&self, death: &super::super::Death) {
        self.write(format!("{DIED}{death}"));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a text as the emulator's user would see it.
pub(super) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

const DIED: &str = "died: ";

const ODD: &str = "odd ";

/// Returns how the request begins that this message answers, if it is an answer.
fn question(message: &str) -> Option<String> {
    match message.get(..2)? {
        "RR" => Some("PR".to_owned()),
        "RD" => Some("PD".to_owned()),
        "RL" => {
            let mut names = message.get(3..)?.splitn(3, ':');
            Some(format!("PL{}:{}", names.next()?, names.next()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRATION: [&str; 2] = ["PRu1", "RR0"];
    const LOCATION: [&str; 2] = ["PLu1@bb:u2@bb", "RL0u1@bb:u2@bb:127.0.0.1:4000"];

    /// An agent of S that asked and was answered so often, and took the last answer for something else.
    fn transcript(asked: usize, answered: usize, [question, answer]: [&str; 2]) -> Transcript {
        let transcript = Transcript::new("agent u1@bb".to_owned(), Program::S);
        let writer = transcript.writer();
        (0..asked).for_each(|_| writer.sent(question.as_bytes()));
        (0..answered).for_each(|_| writer.received(answer.as_bytes()));
        writer.odd(answer.as_bytes());
        transcript
    }

    #[test]
    fn an_answer_to_each_request_is_nothing_odd() {
        transcript(2, 2, REGISTRATION).assert_nothing_odd();
        transcript(2, 2, LOCATION).assert_nothing_odd();
    }

    #[test]
    #[should_panic(expected = "odd RR0")]
    fn an_answer_more_is_odd() {
        transcript(2, 3, REGISTRATION).assert_nothing_odd();
    }

    #[test]
    #[should_panic(expected = "odd RL0")]
    fn a_location_more_is_odd() {
        transcript(2, 3, LOCATION).assert_nothing_odd();
    }

    #[test]
    #[should_panic(expected = "odd RL0")]
    fn a_location_of_somebody_else_is_odd() {
        transcript(2, 2, ["PLu1@bb:u3@bb", LOCATION[1]]).assert_nothing_odd();
    }
}
