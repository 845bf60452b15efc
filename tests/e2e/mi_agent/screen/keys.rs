//! Two people without any knowledge of keys, at their terminals: they talk, compare words, and get a new
//! machine.

use tempfile::TempDir;

use super::*;

/// A user with a terminal and a machine, which stays when the program ends.
struct Person<'a> {
    town: &'a Town,
    name: &'static str,
    machine: TempDir,
    terminal: Terminal,
}

impl<'a> Person<'a> {
    fn new(town: &'a Town, name: &'static str) -> Self {
        let machine = tempfile::tempdir().expect("a folder");
        let terminal = Self::start(town, name, machine.path());
        Self { town, name, machine, terminal }
    }

    fn start(town: &Town, name: &str, machine: &Path) -> Terminal {
        let mut agent = Command::new(executable(AGENT));
        agent.args(["--node", &town.node.address().to_string(), &format!("{name}@bb.com")]);
        let terminal = Terminal::start_command(&agent, machine, (24, 80));
        terminal.expect_text("type /call and an address");
        terminal.wait_for(Screen::reports_focus);
        terminal
    }

    fn leaves(&self) {
        self.terminal.type_line("/quit");
        assert_eq!(self.terminal.wait_exit(), 0, "{}", self.terminal.screen());
    }

    fn comes_back(&mut self) {
        self.leaves();
        self.terminal = Self::start(self.town, self.name, self.machine.path());
    }

    /// Comes back at a machine that has the data of the old one, but not its key.
    fn comes_back_with_a_new_key(&mut self) {
        self.leaves();
        let identity =
            self.machine.path().join(DATA).join(format!("mi-agent/{}@bb.com/identity.pem", self.name));
        fs::remove_file(identity).expect("there is a key");
        self.terminal = Self::start(self.town, self.name, self.machine.path());
    }

    fn types(&self, line: &str) {
        self.terminal.type_line(line);
    }

    fn sees(&self, text: &str) {
        self.terminal.expect_text(text);
    }

    /// Waits until the text is on the screen, wherever its lines are broken.
    fn reads(&self, text: &str) {
        let whole = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.terminal.wait_for(|screen| whole(&screen.text()).contains(text));
    }

    fn shows_tab(&self, number: char) {
        self.terminal.press(Key::Alt(number));
    }

    /// Reads the words of the own key out.
    fn reads_out(&self) -> String {
        self.types("/words");
        let is_whole = |words: &Vec<(u8, String)>| words.iter().map(|(number, _)| *number).eq(1..=8);
        let screen = self.terminal.wait_for(|screen| is_whole(&words_on(screen)));
        self.terminal.press(Key::Esc);
        self.terminal.wait_for(|screen| words_on(screen).is_empty());
        let words: Vec<_> = words_on(&screen).into_iter().map(|(_, word)| word).collect();
        words.join(" ")
    }
}

/// The words in the window of `/words`, with their numbers.
fn words_on(screen: &Screen) -> Vec<(u8, String)> {
    let rows = screen.rows();
    let inside = rows.iter().filter_map(|row| row.split('│').nth(1));
    let fields: Vec<_> = inside.flat_map(str::split_whitespace).map(str::to_owned).collect();
    fields.windows(2).filter_map(|pair| Some((pair[0].parse().ok()?, pair[1].clone()))).collect()
}

/// Nobody has to compare anything before the first word is said.
#[test]
fn two_people_talk_are_known_again_and_compare_words() {
    let town = Town::new();
    let (mut laura, mut joya) = (Person::new(&town, "laura"), Person::new(&town, "joya"));
    laura.types("/call joya@bb.com");
    laura.sees(" 2 joya@bb.com · new ");
    laura.sees("* encrypted, new key: /verify joya@bb.com compares words");
    joya.sees(" 2 laura@bb.com · new ");
    laura.types("hola");
    joya.sees("laura hola");
    joya.types("bon dia");
    laura.sees("joya bon dia");
    laura.comes_back();
    joya.comes_back();
    joya.types("/call laura@bb.com");
    laura.sees(" 2 joya@bb.com · known ");
    joya.sees(" 2 laura@bb.com · new ");
    joya.types("/bye");
    joya.sees("conversation with laura ended by you");
    joya.types("/call");
    joya.sees(" 2 laura@bb.com · known ");
    laura.reads("encrypted, key known since");

    let of_joya = joya.reads_out();
    let mut wrong: Vec<_> = of_joya.split(' ').collect();
    let other = if wrong[2] == "zoo" { "zebra" } else { "zoo" };
    wrong[2] = other;
    laura.types(&format!("/verify joya@bb.com {}", wrong.join(" ")));
    laura.reads(&format!("word 3, `{other}`, is another one"));
    laura.sees(" 2 joya@bb.com · known ");
    laura.types(&format!("/verify joya@bb.com {of_joya}"));
    laura.reads("the words are right");
    laura.sees(" 2 joya@bb.com · verified ");
    laura.sees("encrypted, key verified on 20");
    // The other way round, and what was typed by mistake does not count.
    let of_laura = laura.reads_out();
    joya.types(&format!("/verify laura@bb.com {of_joya}"));
    joya.reads("is another one");
    joya.types(&format!("/verify laura@bb.com {}", of_laura.to_uppercase()));
    joya.sees(" 2 laura@bb.com · verified ");
    joya.types("ara sí");
    laura.sees("joya ara sí");
    laura.comes_back();
    laura.types("/call joya@bb.com");
    laura.sees(" 2 joya@bb.com · verified ");
    joya.sees(" 2 laura@bb.com · verified ");
}

#[test]
fn a_new_machine_is_let_in_again_by_its_user_or_by_words() {
    let town = Town::new();
    let (laura, mut joya) = (Person::new(&town, "laura"), Person::new(&town, "joya"));
    laura.types("/call joya@bb.com");
    joya.sees(" 2 laura@bb.com · new ");
    laura.sees(" 2 joya@bb.com · new ");
    joya.comes_back_with_a_new_key();
    laura.sees("conversation with joya ended by joya");
    laura.types("/call");
    laura.reads("joya's key is not the one known since");
    laura.reads("Nothing was sent. joya may have a new machine, or somebody sits in between.");
    laura.reads("If it is: /trust joya@bb.com takes the key");
    // She calls as well, and hears the reason.
    joya.types("/call laura@bb.com");
    joya.reads("! cannot reach laura@bb.com: it knows another key for joya@bb.com");
    joya.reads("/trust joya@bb.com WORD…");
    laura.shows_tab('1');
    laura.reads("! somebody called as joya@bb.com with another key, and was refused");
    laura.shows_tab('2');
    laura.types("/trust joya@bb.com");
    laura.reads("the key of joya@bb.com that begins with");
    laura.types("/call");
    laura.sees(" 2 joya@bb.com · known ");
    let words = joya.reads_out();
    laura.types(&format!("/verify joya@bb.com {words}"));
    laura.sees(" 2 joya@bb.com · verified ");

    // Another machine. Its key is taken only by its words.
    joya.comes_back_with_a_new_key();
    laura.reads("conversation with joya ended by joya");
    laura.types("/call");
    laura.reads("joya's key is not the one you verified on 20");
    laura.types("/trust joya@bb.com");
    laura.reads("its words were compared, so those of the new key have to be, too");
    let words = joya.reads_out();
    laura.types(&format!("/trust joya@bb.com {words}"));
    laura.reads("the words are right");
    laura.types("/call");
    laura.sees(" 2 joya@bb.com · verified ");
    joya.sees(" 2 laura@bb.com · ");
    laura.types("ets tu!");
    joya.sees("laura ets tu!");
}

/// Anybody with the file can read the conversation, so no tab hides it.
#[test]
fn a_log_of_keys_is_named_as_long_as_it_is_written() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &["--tls-key-log", "keys.log"]);
    let _joya = town.at_terminal("joya", &[]);
    laura.expect_text("· keys are written to keys.log");
    laura.type_line("/call joya@bb.com");
    laura.expect_text(" 2 joya@bb.com · new ");
    laura.expect_text("· keys are written to keys.log");
    let logged = fs::read_to_string(laura.folder().join("keys.log")).expect("they are written");
    assert!(logged.contains("CLIENT_TRAFFIC_SECRET_0 "), "{logged}");
    // The protocol window has the keys of both, and the frames inside.
    laura.press(Key::F(2));
    laura.expect_text("R ← key as joya@bb.com: `");
    laura.expect_text("E → key as laura@bb.com: `");
    laura.expect_text("R ← nickname: joya");
}

/// An agent of the past says nothing of encryption.
#[test]
fn who_has_a_key_and_offers_none_is_called_in_plain_text_only_when_the_user_says_so() {
    let town = Town::new();
    let (laura, joya) = (Person::new(&town, "laura"), Person::new(&town, "joya"));
    laura.types("/call joya@bb.com");
    joya.sees(" 2 laura@bb.com · new ");
    joya.leaves();
    laura.sees("conversation with joya ended by joya");
    let old = town.at_terminal("joya", &["--security", "off"]);
    laura.types("/call");
    laura.reads("! joya@bb.com offers no encryption, though it has a key. Nothing was sent.");
    laura.reads("/plain joya@bb.com calls once without encryption.");
    old.expect_text("conversation with laura ended by laura");
    laura.types("/plain joya@bb.com");
    laura.sees(" 2 joya@bb.com · plain ");
    laura.reads("* plain: anyone on the way can read and change this");
    laura.types("hola");
    old.expect_text("laura hola");
    old.type_line("/bye");
    old.expect_text("conversation with laura ended by you");
    // The next one is not permitted, and what a caller without the key says is not kept as hers.
    old.type_line("/call laura@bb.com");
    laura.reads("! joya@bb.com has a key, and this call does not show it");
    old.type_line("soc la joya");
    laura.sees("joya soc la joya");
    laura.leaves();
    let history = laura.machine.path().join(DATA).join("mi-agent/laura@bb.com/history");
    let of = |file: &str| fs::read_to_string(history.join(file)).expect("it is kept");
    assert!(!of("joya@bb.com.jsonl").contains("soc la joya"), "{}", of("joya@bb.com.jsonl"));
    let unknown = of("callers/unknown.jsonl");
    assert!(
        unknown.contains("soc la joya") && unknown.contains("\"candidates\":[\"joya@bb.com\"]"),
        "{unknown}"
    );
}
