//! The full screen, at a real terminal: what people type, see and are left with.

mod callers;
mod disk;
mod first_start;
mod history;
mod keys;
mod pasting;
mod widths;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use integration_tests::programs::{AgentTerminal, DATA, Key, Screen, Terminal, Wheel, at_home, eventually};
use mi_proto::split_line;
use vt100::Color;

use super::*;

/// A node with these users, and a way to start their agents.
struct Town {
    node: NodeProgram,
}

impl Town {
    fn new() -> Self {
        Self { node: NodeProgram::start("bb.com", &["laura", "joya", "pere"], &[]) }
    }

    fn at_terminal(&self, user: &str, arguments: &[&str]) -> AgentTerminal {
        self.at_terminal_of(user, arguments, (24, 90))
    }

    fn at_terminal_of(&self, user: &str, arguments: &[&str], size: (u16, u16)) -> AgentTerminal {
        let agent = AgentTerminal::start(&format!("{user}@bb.com"), self.node.address(), arguments, size);
        agent.wait_for(|screen| screen.text().contains("registered"));
        // The terminal reports from now on what the program has asked for.
        agent.wait_for(Screen::reports_focus);
        agent
    }

    fn in_lines(&self, user: &str) -> AgentProgram {
        let mut agent = AgentProgram::start(&format!("{user}@bb.com"), self.node.address(), &[]);
        agent.expect_line("* listening");
        agent
    }
}

/// Laura at a terminal calls Joya.
fn talking(town: &Town, arguments: &[&str]) -> (AgentTerminal, AgentProgram) {
    let mut joya = town.in_lines("joya");
    let laura = town.at_terminal("laura", arguments);
    laura.type_line("/call joya@bb.com");
    joya.expect_line("* in conversation with laura");
    laura.expect_text("in conversation with joya");
    (laura, joya)
}

/// The frames of a line are cut between words, and shown and kept as one paragraph.
#[test]
fn a_long_line_is_one_paragraph() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &[]);
    let raw = RawAgent::register("joya@bb.com", town.node.address());
    let answer = raw.ask("PLjoya@bb.com:laura@bb.com");
    let at = answer.strip_prefix("RL0joya@bb.com:laura@bb.com:").expect("she can be called");
    let mut joya = TcpStream::connect(at.trim_end_matches(":T")).expect("laura listens");
    joya.write_all(b"N04joya").expect("written");
    joya.read_exact(&mut [0; 8]).expect("a nickname");
    let words = (1..=60).map(|number| format!("word-{number}")).collect::<Vec<_>>().join(" ");
    let link = format!("https://example.org/{}", "0123456789".repeat(25));
    let said = [&words, "a link:", &link, "the end"];
    let pieces: Vec<_> = said.iter().flat_map(|line| split_line(line).expect("a line")).collect();
    assert!(pieces.len() > 9 && pieces[0].as_str().ends_with(' '), "{pieces:?}");
    // They are written at once, so that a busy machine puts no pause between them.
    let frames: String = pieces.iter().map(|piece| format!("L{:02}{piece}", piece.as_str().len())).collect();
    joya.write_all(frames.as_bytes()).expect("written");
    laura.expect_text("the end");
    let screen = laura.screen();
    for begin in ["joya word-", "joya a link:", "joya https://", "joya the end"] {
        assert_eq!(screen.text().matches(begin).count(), 1, "{begin:?}; {screen}");
    }
    assert_eq!(
        screen.text().matches("joya ").count() - screen.text().matches("with joya ").count(),
        4,
        "{screen}"
    );
    laura.type_line("/quit");
    joya.read_to_end(&mut Vec::new()).expect("FIN");
    drop(joya);
    assert_eq!(laura.wait_exit(), 0);
    let mut history = Command::new(executable(AGENT));
    at_home(&mut history, laura.folder()).args(["history", "--from", "laura@bb.com", "joya@bb.com"]);
    let kept = history.output().expect("it starts").stdout;
    let kept = String::from_utf8(kept).expect("UTF-8");
    let texts: Vec<_> = kept.lines().map(|line| line.split_once("> ").expect("a nickname").1).collect();
    assert_eq!(texts, said);
}

#[test]
fn two_people_talk_with_what_the_screen_tells_them() {
    let town = Town::new();
    let joya = town.at_terminal("joya", &[]);
    let laura = town.at_terminal("laura", &["--nick", "Laura B."]);
    laura.expect_text("type /call and an address");
    laura.type_line("/call joya@bb.com");
    laura.expect_text(" 2 joya@bb.com ");
    joya.expect_text("in conversation with Laura B. (laura@bb.com)");
    joya.type_line("què tal? 你好 👍");
    laura.expect_text("joya què tal? 你好 👍");
    // Lines that come do not disturb the one that is being typed.
    laura.type_text("b\u{e9}, i t");
    laura.expect_text("> bé, i t");
    joya.type_line("on ets?");
    let screen = laura.expect_text("joya on ets?");
    assert_eq!(screen.cursor(), Some((23, 9)), "{screen}");
    laura.type_text("u?\r");
    joya.expect_text("Laura B. bé, i tu?");
    laura.expect_text("joya@bb.com as joya · encrypted, new key");
    laura.type_line("/bye");
    joya.expect_text("conversation with Laura B. ended by Laura B.; /call calls again");
    laura.expect_text("conversation with joya ended by you; /call calls again");
    for agent in [&laura, &joya] {
        agent.type_line("/quit");
        assert_eq!(agent.wait_exit(), 0);
        assert_eq!(agent.left_behind(), [""; 0]);
    }
    // The screen shows again what was there before, and how the program ended.
    assert_eq!(laura.screen().rows()[0], "* deregistered laura@bb.com");
}

#[test]
fn a_window_of_any_size_will_do() {
    let town = Town::new();
    let (laura, mut joya) = talking(&town, &[]);
    joya.type_line(&"una línia molt llarga, ".repeat(4));
    laura.expect_text("una línia");
    laura.press(Key::F(2));
    laura.expect_text("protocol: E sent");
    for size in [(10, 40), (3, 10), (1, 1), (50, 200), (24, 90)] {
        laura.resize(size);
    }
    laura.press(Key::F(2));
    laura.wait_for(|screen| screen.text().contains("llarga") && !screen.text().contains("protocol: E"));
    laura.resize((10, 40));
    let screen = laura.wait_for(|screen| {
        screen.row_containing("laura@bb.com · registered · E ").is_some()
            && screen.row_containing(" encrypted, new key").is_some()
    });
    assert_eq!(screen.rows()[9], ">", "{screen}");
    laura.type_line("encara hi soc");
    joya.expect_line("<laura> encara hi soc");
}

#[test]
fn the_bell_rings_for_who_looks_elsewhere() {
    let town = Town::new();
    for (arguments, bells) in [(&[][..], 1), (&["--no-bell"], 0)] {
        let (laura, mut joya) = talking(&town, arguments);
        joya.type_line("you look");
        laura.expect_text("joya you look");
        assert_eq!(laura.screen().bells(), 0);
        laura.focus(false);
        // Typed after the focus was lost, so the program knows by then.
        laura.type_line("ara miro una altra cosa");
        joya.expect_line("<laura> ara miro");
        joya.type_line("you do not");
        laura.wait_for(|screen| screen.text().contains("joya you do not") && screen.bells() >= bells);
        assert_eq!(laura.screen().bells(), bells);
    }
}

#[test]
fn signals_give_the_terminal_back_and_deregister() {
    let mut town = Town::new();
    for signal in ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "ALRM"] {
        // A node on a busy machine may answer later than a hurried agent waits, and the agent says so then.
        eventually("it exits with 0", || {
            let (laura, mut joya) = talking(&town, &[]);
            let pid = laura.pid().as_raw_nonzero().to_string();
            let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
            assert!(sent.expect("there is a kill").success());
            let code = laura.wait_exit();
            assert_eq!(laura.left_behind(), [""; 0], "{signal}");
            let silent = "! cannot deregister laura@bb.com: node";
            assert!(code == 0 || laura.screen().text().contains(silent), "{signal}: {code}");
            joya.expect_line("* conversation with laura ended by laura");
            eventually("laura is offline", || !town.node.is_online("laura"));
            code == 0
        });
    }
}

/// Ctrl-C and Ctrl-D, as shells have them.
#[test]
fn keys_leave_when_nothing_is_typed() {
    let mut town = Town::new();
    for key in ['c', 'd'] {
        let laura = town.at_terminal("laura", &[]);
        laura.type_text("x");
        laura.expect_text("> x");
        laura.press(Key::Ctrl('c'));
        laura.wait_for(|screen| screen.rows()[23] == ">");
        laura.press(Key::Ctrl(key));
        assert_eq!(laura.wait_exit(), 0);
        assert_eq!(laura.left_behind(), [""; 0]);
        assert!(!town.node.is_online("laura"));
    }
}

/// A shell with job control: what it prints while the program is stopped is on its own screen.
#[test]
fn a_shell_can_stop_it_and_let_it_go_on() {
    let town = Town::new();
    let folder = tempfile::tempdir().expect("a folder");
    let at = town.node.address().to_string();
    let arguments = ["laura@bb.com", "--node", &at];
    let terminal = Terminal::start_in_shell(AGENT, folder.path(), &arguments, (24, 90));
    terminal.expect_text("type /call and an address");
    terminal.press(Key::Ctrl('z'));
    let screen = terminal.expect_text("it stopped");
    assert!(!screen.cells().alternate_screen() && !screen.reports_focus(), "{screen}");
    terminal.type_line("");
    terminal.expect_text("type /call and an address");
    terminal.type_line("/quit");
    terminal.expect_text("it ended with 0");
}

#[test]
fn without_a_shell_it_is_not_stopped() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &[]);
    laura.press(Key::Ctrl('z'));
    laura.expect_text("there is no shell to go on from");
}

#[test]
fn the_protocol_is_shown_as_it_passed() {
    let town = Town::new();
    let (laura, _joya) = talking(&town, &[]);
    laura.resize((70, 110));
    laura.press(Key::F(2));
    laura.type_line("hola");
    let screen = laura.expect_text("says: hola");
    let text = screen.text();
    for shown in [
        "UDP 14 bytes  PRlaura@bb.com",
        "register laura@bb.com",
        "UDP 3 bytes  RR0",
        "UDP 26 bytes  PLlaura@bb.com:joya@bb.com",
        "laura@bb.com asks where joya@bb.com is",
        "RL0laura@bb.com:joya@bb.com:127.0.0.1:",
        "TCP 8 bytes  head N05",
        "TCP 7 bytes  head N04",
        "TCP 7 bytes  head L04",
    ] {
        assert!(text.contains(shown), "{shown}\n{screen}");
    }
    let rows: Vec<_> = text.lines().filter(|row| row.contains("E →") || row.contains("R ←")).collect();
    assert!(rows[0].contains("E →") && rows[1].contains("R ←"), "{screen}");
}

#[test]
fn the_wheel_scrolls_and_new_lines_are_counted() {
    let town = Town::new();
    let (laura, mut joya) = talking(&town, &[]);
    (0..40).for_each(|n| joya.type_line(&format!("line {n}")));
    laura.expect_text("line 39");
    laura.wheel(Wheel::Up, 5, 5);
    laura.expect_text("Esc: to the end");
    joya.type_line("one more");
    laura.expect_text("1 new line · Esc");
    laura.press(Key::Esc);
    laura.wait_for(|screen| screen.text().contains("one more") && !screen.text().contains("new line"));
}

#[test]
fn who_is_blocked_is_told_busy_and_the_user_who_called() {
    let town = Town::new();
    let mut joya = town.in_lines("joya");
    let laura = town.at_terminal("laura", &[]);
    laura.type_line("/block joya@bb.com");
    laura.expect_text("joya@bb.com is blocked");
    joya.type_line("/call laura@bb.com");
    joya.expect_line("! cannot reach laura@bb.com: user is busy");
    laura.expect_text("joya@bb.com wanted to call and was refused: blocked");
    laura.type_line("/unblock joya@bb.com");
    laura.expect_text("joya@bb.com is blocked no longer");
    joya.type_line("/call laura@bb.com");
    joya.expect_line("* in conversation with laura");
    // The same holds the next time, in line mode as well.
    joya.type_line("/bye");
    joya.expect_line("* conversation with laura ended");
    joya.type_line("/block laura@bb.com");
    joya.expect_line("* laura@bb.com is blocked");
    let rules = joya.folder().join(DATA).join("mi-agent/joya@bb.com/rules.toml");
    eventually("the rule is kept", || {
        fs::read_to_string(&rules).is_ok_and(|text| text.contains("laura@bb.com"))
    });
    // The peer's end of it comes after that of the side that ended it.
    laura.expect_text("conversation with joya ended by joya");
    laura.type_line("/call joya@bb.com");
    laura.expect_text("cannot reach joya@bb.com: user is busy");
    joya.expect_line("* laura@bb.com was refused: blocked");
}

#[test]
fn as_many_talk_as_may_and_others_are_told_busy() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &["--conversations", "2"]);
    let (mut joya, mut pere) = (town.in_lines("joya"), town.in_lines("pere"));
    for (caller, name) in [(&mut joya, "joya"), (&mut pere, "pere")] {
        caller.type_line("/call laura@bb.com");
        caller.expect_line("* in conversation with laura");
        caller.type_line(&format!("soc {name}"));
    }
    // The second one has a tab that is not in view.
    laura.wait_for(|screen| {
        screen.text().contains("soc joya") && screen.rows()[0].contains("pere@bb.com · new (2)")
    });
    laura.press(Key::Ctrl('n'));
    laura.expect_text("soc pere");
    laura.press(Key::Alt('2'));
    laura.type_line("hola joya");
    joya.expect_line("<laura> hola joya");
    laura.type_line("/call laura2@bb.com");
    laura.expect_text("you are in 2 conversations, as many as may be");
}

#[test]
fn a_registration_that_fails_ends_the_screen_with_its_reason() {
    let town = Town::new();
    let nobody = AgentTerminal::start("nobody@bb.com", town.node.address(), &[], (24, 90));
    nobody.expect_text("code of your invitation");
    nobody.press(Key::Enter);
    assert_eq!(nobody.wait_exit(), 3);
    assert_eq!(nobody.left_behind(), [""; 0]);
    nobody.expect_text("! cannot register nobody@bb.com: no such user at its node");
}

#[test]
fn strangers_cannot_draw_on_it() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &[]);
    let mut joya =
        AgentProgram::start("joya@bb.com", town.node.address(), &["--nick", "\x1b[31mjo\u{202e}ya"]);
    joya.expect_line("* listening");
    joya.type_line("/call laura@bb.com");
    joya.type_line("\x1b[2J\x1b[1;1Hgone \x07");
    let screen = laura.expect_text(r"\x1b[2J\x1b[1;1Hgone \x07");
    assert!(screen.row_containing(r"\x1b[31mjo\u{202e}ya").is_some(), "{screen}");
    assert_eq!(screen.bells(), 0);
}

#[test]
fn without_colours_there_are_none() {
    let town = Town::new();
    let folder = tempfile::tempdir().expect("a folder");
    let at = town.node.address().to_string();
    for (no_color, has_colours) in [("", true), ("1", false)] {
        let mut command = Command::new(executable(AGENT));
        command.args(["laura@bb.com", "--node", &at]).env("NO_COLOR", no_color);
        let laura = Terminal::start_command(&command, folder.path(), (24, 90));
        let screen = laura.expect_text("type /call and an address");
        let colour = |row, column| screen.cells().cell(row, column).map(vt100::Cell::fgcolor);
        let is_coloured = (0..24)
            .any(|row| (0..90).any(|column| !matches!(colour(row, column), None | Some(Color::Default))));
        assert_eq!(is_coloured, has_colours, "{no_color:?}\n{screen}");
    }
}

#[test]
fn a_terminal_that_cannot_draw_has_lines() {
    let town = Town::new();
    let folder = tempfile::tempdir().expect("a folder");
    let at = town.node.address().to_string();
    let mut command = Command::new(executable(AGENT));
    command.args(["laura@bb.com", "--node", &at]).env("TERM", "dumb");
    let laura = Terminal::start_command(&command, folder.path(), (24, 90));
    let screen = laura.expect_text("* type /call ADDRESS to call somebody");
    assert!(!screen.cells().alternate_screen());
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
}

#[test]
fn the_message_log_is_not_for_the_screen() {
    let town = Town::new();
    let laura = AgentTerminal::start("laura@bb.com", town.node.address(), &["--log", "-"], (24, 90));
    assert_eq!(laura.wait_exit(), 1);
    laura.expect_text("the message log cannot be on the screen");
}

/// Diagnostics come to the screen that they would spoil.
#[test]
fn diagnostics_are_shown_where_they_can_be_read() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &["-vv"]);
    laura.type_line("/call nobody@bb.com");
    laura.expect_text("cannot reach nobody@bb.com: no such user or domain");
    drop(town);
    laura.press(Key::Alt('1'));
    laura.type_line("/call joya@bb.com");
    laura.press(Key::Alt('1'));
    laura.expect_text("DEBUG the node gives no answer node=");
}

/// A window that hangs, or a connection to it: nobody takes what is drawn. The node is answered all the same,
/// and the program ends when it is told to.
#[test]
fn a_terminal_that_takes_nothing_holds_nobody_up() {
    let mut town = Town::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (line, program_side) = pty_process::blocking::open().expect("there are terminals");
    line.resize(pty_process::Size::new(24, 90)).expect("it is a terminal");
    let mut command = Command::new(executable(AGENT));
    at_home(&mut command, folder.path()).env("TERM", "xterm-256color");
    command.args(["laura@bb.com", "--conversations", "1", "--node", &town.node.address().to_string()]);
    let mut laura = pty_process::blocking::Command::from(command).spawn(program_side).expect("it starts");
    let mut joya = town.in_lines("joya");
    eventually("laura is registered", || town.node.is_online("laura"));
    joya.type_line("/call laura@bb.com");
    joya.expect_line("* in conversation with laura");
    // Many times what a terminal takes without being read; each is drawn.
    for n in 0..80 {
        joya.type_line(&format!("{n} {}", "x".repeat(90)));
    }
    let mut pere = town.in_lines("pere");
    for _ in 0..8 {
        // An agent beside many other programs may answer later than its node waits, so a call may fail.
        eventually("laura's agent says that she is busy", || {
            pere.type_line("/call laura@bb.com");
            pere.expect_line("! cannot reach laura@bb.com: ").ends_with("user is busy")
        });
    }
    Command::new("kill").arg(laura.id().to_string()).status().expect("there is a kill");
    eventually("it is gone", || laura.try_wait().expect("it is a child").is_some());
    eventually("laura is offline", || !town.node.is_online("laura"));
    drop(line);
}
