//! `lumi-node watch` at a terminal.

use std::process::Command;

use integration_tests::captured::write_log_of_pc_c;
use integration_tests::programs::{Key, NODE, Screen, Signal, Terminal, eventually, executable};
use vt100::Color;

use super::{SOCKET, start};
use crate::lumi_node::User;

/// The captured exchange at a terminal of this size; the folder lasts as long as it is needed.
fn captured(size: (u16, u16)) -> (Terminal, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    write_log_of_pc_c(folder.path());
    let terminal = Terminal::start(NODE, folder.path(), &["watch", "--file", "nodelumi-PC-c.log"], size);
    (terminal, folder)
}

fn ends_well(terminal: &Terminal) {
    assert_eq!(terminal.wait_exit(), 0);
    assert_eq!(terminal.left_behind(), [""; 0]);
}

#[test]
fn the_captured_exchange_is_drawn() {
    let (terminal, _folder) = captured((14, 140));
    // The words come first, and the bytes when they are asked for.
    let screen = terminal.expect_text("8 messages · the end of nodelumi-PC-c.log");
    let words: Vec<_> =
        screen.rows()[2..10].iter().map(|row| row.rsplit("  ").next().map(str::to_owned)).collect();
    let says = ["register u1@PC-c", "registered", "u1@PC-c asks where u2@PC-d is"];
    assert_eq!(words[..3], says.map(|says| Some(says.to_owned())), "{screen}");
    terminal.type_text("b");
    let screen = terminal.expect_text("RD0  3 B  deregistered");
    let drawn = include_str!("../../../../crates/message-ladder/tests/captured/PC-c.txt");
    for (row, line) in screen.rows().iter().zip(drawn.lines()) {
        // The longest are cut off.
        let shown = row.strip_suffix('…').unwrap_or(row);
        assert!(line.starts_with(shown) && shown.len() > 60 || row == line, "{screen}");
    }
    terminal.press(Key::Home);
    terminal.expect_text("1 of 8");
    terminal.press(Key::Down);
    terminal.press(Key::Down);
    terminal.press(Key::Down);
    terminal.press(Key::Enter);
    let screen = terminal.expect_text(" message 4 · PL ");
    for text in [
        "from     PC-c, this node",
        "to       PC-d at 10.100.100.104:3344",
        "message  PLu1@PC-c:u2@PC-d",
        "length   17 bytes",
    ] {
        assert!(screen.position_of(text).is_some(), "{text}\n{screen}");
    }
    terminal.press(Key::Esc);
    terminal.wait_for(|screen| screen.position_of("message 4").is_none());
    terminal.type_text("?");
    terminal.expect_text("choose a message");
    terminal.type_text("?");
    // Ctrl-L draws what another program has written over.
    let cleared = || terminal.raw_output().matches("\x1b[2J").count();
    let before = cleared();
    terminal.press(Key::Ctrl('l'));
    eventually("it is drawn again", || cleared() > before);
    terminal.expect_text("4 of 8 · the end of nodelumi-PC-c.log");
    terminal.type_text("q");
    ends_well(&terminal);
}

#[test]
fn a_window_of_any_size_will_do() {
    let (terminal, _folder) = captured((24, 80));
    terminal.expect_text("8 messages");
    for size in [(10, 40), (3, 10), (1, 1), (2, 3), (50, 200), (6, 30)] {
        terminal.resize(size);
        terminal.press(Key::Enter);
        terminal.type_text("?");
    }
    terminal.resize((24, 90));
    terminal.wait_for(|screen| screen.rows()[0].contains("u1@PC-c") && screen.rows()[9].contains("◀"));
    terminal.resize((12, 40));
    // There is room for all columns, and for the beginning of what is said.
    terminal.wait_for(|screen| {
        let rows = screen.rows();
        rows[0].split_whitespace().eq(["u1@PC-c", "PC-c", "PC-d"]) && rows[9].contains("│  deregistered")
    });
    terminal.resize((12, 20));
    terminal.wait_for(|screen| {
        let rows = screen.rows();
        rows[0].split_whitespace().eq(["2", "others", "PC-c"]) && rows[9].contains("│◀─RD0───┤")
    });
    terminal.press(Key::Ctrl('c'));
    ends_well(&terminal);
}

#[test]
fn what_passes_is_followed_filtered_and_paused() {
    let mut node = start(&["laura", "pere"]);
    let (laura, pere) = (User::of(&node), User::of(&node));
    laura.ask("PRlaura@bb.com");
    let arguments = ["watch", "--socket", SOCKET];
    let terminal = Terminal::start(NODE, node.folder(), &arguments, (20, 150));
    terminal.expect_text("register laura@bb.com");
    pere.ask("PRpere@bb.com");
    terminal.expect_text("register pere@bb.com");
    // The screen shows only those about her from now on.
    terminal.type_text("ulaura\r");
    terminal.expect_text("2 messages · about laura");
    terminal.wait_for(|screen| screen.position_of("register pere").is_none());
    terminal.type_text("p");
    terminal.expect_text("paused, 0 more");
    laura.ask("PDlaura@bb.com");
    terminal.expect_text("paused, 2 more · 2 messages");
    terminal.type_text("p");
    terminal.expect_text("deregister laura@bb.com");
    terminal.type_text("/\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\r");
    terminal.expect_text("6 messages");
    // The last message is seen until somebody looks back.
    for number in 0..30 {
        pere.ask(if number % 2 == 0 { "PDpere@bb.com" } else { "PRpere@bb.com" });
    }
    terminal.expect_text("66 messages");
    terminal.press(Key::Home);
    terminal.expect_text("1 of 66");
    pere.say(b"\x1b[2Jhola");
    let screen = terminal.expect_text("1 of 67");
    assert!(screen.position_of("hola").is_none(), "{screen}");
    terminal.press(Key::End);
    terminal.expect_text("not a PLUMI message");
    terminal.type_text("b");
    terminal.expect_text(r"\x1b[2Jhola  8 B  not a PLUMI message");
    node.signal(Signal::Terminate);
    node.wait_exit();
    terminal.expect_text("67 messages · the node has ended, or has given this watcher up");
    terminal.type_text("q");
    ends_well(&terminal);
}

#[test]
fn the_terminal_is_given_back_at_a_signal() {
    for signal in [Signal::Terminate, Signal::Interrupt, Signal::HangUp] {
        let (terminal, _folder) = captured((24, 80));
        terminal.expect_text("8 messages");
        terminal.signal(signal);
        ends_well(&terminal);
    }
}

#[test]
fn a_shell_can_stop_it_and_let_it_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    write_log_of_pc_c(folder.path());
    let arguments = ["watch", "--file", "nodelumi-PC-c.log"];
    let terminal = Terminal::start_in_shell(NODE, folder.path(), &arguments, (24, 90));
    terminal.expect_text("8 messages");
    terminal.press(Key::Ctrl('z'));
    let screen = terminal.expect_text("it stopped");
    assert!(!screen.cells().alternate_screen(), "{screen}");
    terminal.type_line("");
    terminal.expect_text("8 messages");
    terminal.type_text("q");
    terminal.expect_text("it ended with 0");
}

#[test]
fn what_cannot_be_read_is_told_when_it_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let terminal = Terminal::start(NODE, folder.path(), &["watch", "--file", "."], (10, 90));
    terminal.expect_text("directory");
    terminal.type_text("q");
    assert_eq!(terminal.wait_exit(), 1);
    terminal.expect_text("lumi-node: cannot read on in the log .: ");
}

/// The input there is a log, and no keys; and not everything that shows text can be drawn on.
#[test]
fn lines_are_printed_where_there_are_no_keys_or_nothing_can_be_drawn() {
    for (file, term) in [("-", "xterm"), ("nodelumi-PC-c.log", "dumb")] {
        let folder = tempfile::tempdir().expect("a folder");
        write_log_of_pc_c(folder.path());
        let mut command = Command::new(executable(NODE));
        command.args(["watch", "--file", file]).env("TERM", term);
        let terminal = Terminal::start_command(&command, folder.path(), (24, 100));
        if file == "-" {
            terminal.type_line("R: 10.100.100.101:UDP:51189, PDu1@PC-c, 9");
        }
        terminal.expect_text("deregister u1@PC-c");
        if file == "-" {
            terminal.press(Key::Ctrl('c'));
        }
        ends_well(&terminal);
        assert!(!terminal.raw_output().contains("\x1b[?1049h"), "{term}");
        assert_eq!(terminal.raw_output().contains("\x1b[1m"), term != "dumb");
    }
}

#[test]
fn colours_can_be_done_without() {
    let has_colours = |screen: &Screen| {
        let (rows, columns) = screen.size();
        (0..rows).any(|row| {
            (0..columns).any(|column| {
                screen.cells().cell(row, column).is_some_and(|cell| cell.fgcolor() != Color::Default)
            })
        })
    };
    for no_color in ["", "1"] {
        let folder = tempfile::tempdir().unwrap();
        let log = write_log_of_pc_c(folder.path());
        for more in [&[][..], &["--text"]] {
            let mut command = Command::new(executable(NODE));
            command.args(["watch", "--file"]).arg(&log).args(more).env("NO_COLOR", no_color);
            let terminal = Terminal::start_command(&command, folder.path(), (24, 100));
            let screen = terminal.wait_for(|screen| screen.row_containing("deregistered").is_some());
            assert_eq!(has_colours(&screen), no_color.is_empty(), "{more:?} {screen}");
        }
    }
}
