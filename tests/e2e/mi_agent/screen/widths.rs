//! Text that terminals give different widths, in a real terminal.

use integration_tests::programs::{Tmux, Xterm};

use super::*;

/// Clusters on which terminals disagree, each with its name.
const CLUSTERS: [(&str, &str); 24] = [
    ("emoji", "👋"),
    ("new emoji", "🫨"),
    ("skin tone", "👋🏽"),
    ("skin tone of a symbol", "☝🏿"),
    ("flag", "🇨🇦"),
    ("half a flag", "🇨"),
    ("keycap", "1\u{fe0f}\u{20e3}"),
    ("keycap without variant", "#\u{20e3}"),
    ("variant of a wide symbol", "☕\u{fe0f}"),
    ("variant of a narrow symbol", "❤\u{fe0f}"),
    ("text variant", "⌚\u{fe0e}"),
    ("joined", "👩\u{200d}💻"),
    ("joined, with a skin tone", "👩🏽\u{200d}🚀"),
    ("joined, with a variant", "❤\u{fe0f}\u{200d}🔥"),
    ("family", "👨\u{200d}👩\u{200d}👧\u{200d}👦"),
    ("accent", "e\u{301}"),
    ("two accents", "o\u{302}\u{323}"),
    ("enclosed", "a\u{20dd}"),
    ("Hindi", "क\u{94d}\u{200d}ष"),
    ("Persian", "می\u{200c}خ"),
    ("Thai", "กำ"),
    ("Korean", "\u{1112}\u{1161}\u{11ab}"),
    ("Chinese", "你"),
    ("wide in East Asian fonts only", "·“…”→"),
];

/// The drawing is the same for each of these names of a terminal.
const TERMS: [&str; 3] = ["tmux-256color", "xterm-256color", "linux"];

/// Laura, in a window of tmux, talks with Joya.
struct Window {
    _town: Town,
    laura: Tmux,
    joya: AgentProgram,
    /// The history with Joya, which has a line as soon as it has been said.
    history: PathBuf,
    lines: usize,
    _folder: tempfile::TempDir,
}

impl Window {
    /// Returns `None` where there is no tmux.
    fn open(term: &str, size: (u16, u16)) -> Option<Self> {
        let town = Town::new();
        let mut joya = town.in_lines("joya");
        let folder = tempfile::tempdir().expect("a folder");
        let mut agent = Command::new(executable(AGENT));
        // A message that passes between two drawings would be a difference.
        agent.args(["laura@bb.com", "--refresh", "off", "--node", &town.node.address().to_string()]);
        let laura = Tmux::start(&agent, folder.path(), term, size)?;
        laura.wait_for("laura is registered", |rows| rows.concat().contains("listening for conversations"));
        laura.type_text("/call joya@bb.com\r");
        joya.expect_line("* in conversation with laura");
        laura.wait_for("they talk", |rows| rows.concat().contains("in conversation with joya"));
        let history = folder.path().join(DATA).join("mi-agent/laura@bb.com/history/joya@bb.com.jsonl");
        Some(Self { _town: town, laura, joya, history, lines: 0, _folder: folder })
    }

    /// Joya says something, and Laura's agent has heard it.
    fn hears(&mut self, text: &str) {
        self.joya.type_line(text);
        self.lines += 1;
        eventually("the line is heard", || {
            fs::read_to_string(&self.history).is_ok_and(|text| text.lines().count() == self.lines)
        });
    }

    /// Returns the screen once everything until now is drawn. What is in the input line is deleted.
    fn settled(&self) -> Vec<String> {
        self.laura.type_text("z9");
        let last = |rows: &[String]| rows.last().cloned().unwrap_or_default();
        self.laura.wait_for("what is typed is shown", |rows| last(rows).contains("z9"));
        self.laura.press(Key::Ctrl('u'));
        let rows = self.laura.wait_for("it is deleted", |rows| last(rows) == ">");
        without_counts(&rows)
    }

    /// Returns the screen as it is, and as it is when all of it is drawn again.
    fn as_it_is_and_drawn_again(&self) -> (Vec<String>, Vec<String>) {
        let mut is = self.settled();
        // A window that just got its size may be drawn once more.
        eventually("nothing changes any more", || {
            let before = std::mem::replace(&mut is, self.settled());
            before == is
        });
        self.laura.press(Key::Ctrl('l'));
        (is, self.settled())
    }
}

#[test]
fn letters_beside_a_cluster_stay_where_they_are() {
    for term in TERMS {
        let Some(mut window) = Window::open(term, (36, 90)) else { return };
        for (name, cluster) in CLUSTERS {
            window.hears(&format!("{cluster}<{name}>{cluster}|"));
        }
        let (is, again) = window.as_it_is_and_drawn_again();
        assert_letters(term, &is);
        assert!(is == again, "{term}: {}", compared(&is, &again));
        // Nothing of it stays in another tab.
        window.laura.press(Key::Alt('1'));
        let (is, again) = window.as_it_is_and_drawn_again();
        assert!(is.concat().contains("type /call and an address"), "{is:?}");
        assert!(!is.concat().contains('|') && is == again, "{term}: {}", compared(&is, &again));
    }
}

/// Nobody types in xterm, so Joya calls.
#[test]
fn letters_stay_where_they_are_in_xterm() {
    let town = Town::new();
    let mut joya = town.in_lines("joya");
    let folder = tempfile::tempdir().expect("a folder");
    let mut agent = Command::new(executable(AGENT));
    agent.args(["laura@bb.com", "--node", &town.node.address().to_string()]);
    // Ctrl-L, and something that shows that it was pressed.
    let Some(laura) = Xterm::start(&agent, folder.path(), r"\014z9", (36, 90)) else { return };
    laura.wait_for("laura is registered", |rows| rows.concat().contains("listening for conversations"));
    joya.type_line("/call laura@bb.com");
    joya.expect_line("* in conversation with laura");
    for (name, cluster) in CLUSTERS {
        joya.type_line(&format!("{cluster}<{name}>{cluster}|"));
    }
    let (last, _) = CLUSTERS[CLUSTERS.len() - 1];
    let is = laura.wait_for("the last line is shown", |rows| rows.concat().contains(&format!("<{last}>")));
    assert_letters("xterm", &is);
    laura.answer();
    let again = laura.wait_for("it is drawn again", |rows| rows.concat().contains("> z9"));
    let without_input = |rows: &[String]| without_counts(rows.iter().filter(|row| !row.starts_with('>')));
    let (is, again) = (without_input(&is), without_input(&again));
    assert!(is == again, "{}", compared(&is, &again));
}

/// Checks that the row of each cluster begins and ends as it should.
fn assert_letters(terminal: &str, rows: &[String]) {
    for (name, _) in CLUSTERS {
        let row = rows.iter().find(|row| row.contains(&format!("<{name}>")));
        let row = row.unwrap_or_else(|| panic!("{name} in {terminal}:\n{}", rows.join("\n")));
        let begins = row.get(2..3) == Some(":") && row.contains(" joya ");
        assert!(begins && row.ends_with('|'), "{name} in {terminal}: {row}");
    }
}

/// The rows without how many messages passed, which changes at any time.
fn without_counts<'a>(rows: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    rows.into_iter().map(|row| row.split(" · E ").next().unwrap_or_default().to_owned()).collect()
}

/// The screen is what a fresh drawing would be, after any lines, tabs, sizes and overlays.
#[test]
fn the_screen_is_what_a_fresh_drawing_would_be() {
    let Some(mut window) = Window::open(TERMS[0], (24, 90)) else { return };
    let mut random = Random(SEED);
    let mut done = Vec::new();
    for step in 1..=STEPS {
        done.push(window.at_random(&mut random));
        if step % STEPS_BETWEEN == 0 {
            let (is, again) = window.as_it_is_and_drawn_again();
            assert!(is == again, "seed {SEED:#x}, after {done:?}: {}", compared(&is, &again));
        }
    }
}

impl Window {
    /// Does something, and returns what.
    fn at_random(&mut self, random: &mut Random) -> String {
        match random.below(10) {
            0..=2 => {
                let text = random.text();
                self.hears(&text);
                format!("hears {text:?}")
            }
            3 => {
                let text = random.text();
                self.laura.type_text(&text);
                format!("types {text:?}")
            }
            4 => {
                // Nobody hears a line in the tab of the agent.
                let text = random.text();
                self.laura.press(Key::Alt('2'));
                self.laura.type_text(&format!("{text}\r"));
                self.joya.expect_line("<laura>");
                self.lines += 1;
                format!("says {text:?}")
            }
            5 => {
                let size = [(24, 90), (12, 40), (30, 120), (9, 33)][random.below(4)];
                self.laura.resize(size);
                self.laura.wait_for("it has its size", |rows| rows.len() == usize::from(size.0));
                format!("is resized to {size:?}")
            }
            which => {
                let keys = [
                    &[Key::Ctrl('n')][..],
                    &[Key::F(1), Key::Down, Key::F(1)],
                    &[Key::F(2)],
                    &[Key::F(3), Key::F(3)],
                    &[Key::PageUp],
                    &[Key::PageDown],
                    &[Key::CtrlHome],
                    &[Key::CtrlEnd],
                ];
                let keys = keys[(which + random.below(8)) % 8];
                keys.iter().for_each(|&key| self.laura.press(key));
                format!("presses {keys:?}")
            }
        }
    }
}

/// A generator of xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("it is below a usize")
    }

    /// A line that fits a frame. It has no joiner: tmux keeps it and the emoji behind it or drops them,
    /// depending on how the bytes come.
    fn text(&mut self) -> String {
        let mut text = String::from("a");
        for _ in 0..=self.below(8) {
            let piece = match self.below(3) {
                0 => ["llarga", " i", "x", " "][self.below(4)],
                _ => CLUSTERS[self.below(CLUSTERS.len())].1,
            };
            if text.len() + piece.len() < 80 && !piece.contains('\u{200d}') {
                text.push_str(piece);
            }
        }
        text + "."
    }
}

/// The rows that differ.
fn compared(is: &[String], again: &[String]) -> String {
    let rows = is.iter().zip(again).enumerate().filter(|(_, (is, again))| is != again);
    let rows = rows.map(|(at, (is, again))| format!("\n{at:>3} is        {is:?}\n    should be {again:?}"));
    format!("{} and {} rows{}", is.len(), again.len(), rows.collect::<String>())
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

const STEPS: usize = 96;

/// The steps after which the screen is compared. One alone may repair what the one before left.
const STEPS_BETWEEN: usize = 3;
