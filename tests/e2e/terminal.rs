//! Programs at terminals of their own. The first tests show that these are real terminals.

use std::path::Path;
use std::process::Command;

use integration_tests::programs::{
    AGENT, AgentTerminal, CONFIG, DATA, Key, NODE, NodeProgram, Signal, Terminal, Wheel, eventually,
    executable, write_roster,
};
use tempfile::TempDir;
use vt100::Color;

const SIZE: (u16, u16) = (24, 80);

/// Runs `script` in a shell at a terminal.
fn shell(script: &str) -> Terminal {
    // The script reads and writes no file.
    Terminal::start_command(Command::new("sh").args(["-c", script]), Path::new("/"), SIZE)
}

/// Sets the terminal `modes` and runs `cat`, which shows what keys send.
fn keyboard(modes: &str) -> Terminal {
    let terminal = shell(&format!("stty raw -echo; printf '{modes}ready '; exec cat -v"));
    terminal.expect_text("ready");
    terminal
}

#[test]
fn a_program_sees_the_size_of_its_window_and_hears_of_another_one() {
    let script = "trap 'stty size' WINCH; stty size; sleep 60 & wait; wait";
    let terminal = Terminal::start_command(Command::new("sh").args(["-c", script]), Path::new("/"), (10, 40));
    terminal.expect_text("10 40");
    terminal.resize((30, 100));
    assert_eq!(terminal.expect_text("30 100").size(), (30, 100));
}

#[test]
fn the_terminal_is_the_one_that_controls_the_program() {
    let script = "trap 'exit 7' INT; test -t 0 && test -t 1 && test -t 2 && echo \"one on $TERM\" >/dev/tty; \
                  sleep 60 & wait";
    let terminal = shell(script);
    terminal.expect_text("one on xterm-256color");
    terminal.press(Key::Ctrl('c'));
    assert_eq!(terminal.wait_exit(), 7);
}

#[test]
fn nothing_is_left_behind_by_a_program_that_puts_everything_in_order() {
    let modes = "?1049h\\033[?25l\\033[?2004h\\033[?1000h\\033[?1006h\\033[?1004h\\033[?1h\\033[1;31mred";
    let orders = "?1h\\033[?1l\\033[?1004l\\033[?1006l\\033[?1000l\\033[?2004l\\033[m\\033[?25h\\033[?1049l";
    let script = format!(
        "printf 'before\\n'; before=$(stty -g); stty raw -echo; printf '\\033[{modes}'; read -r go; \
         printf '\\033[{orders}'; stty $before"
    );
    let terminal = shell(&script);
    let screen = terminal.expect_text("red");
    let cells = screen.cells();
    assert!(cells.alternate_screen() && cells.hide_cursor() && cells.bracketed_paste());
    assert_eq!((screen.row_containing("before"), screen.cursor()), (None, None));
    assert!(screen.reports_focus());
    terminal.type_text("\n");
    assert_eq!(terminal.left_behind(), [""; 0]);
    assert_eq!(terminal.screen().text(), "before");
    assert!(terminal.raw_output().starts_with("before\r\n\x1b[?1049h"), "{:?}", terminal.raw_output());
    assert!(terminal.raw_output().ends_with("\x1b[?1049l"), "{:?}", terminal.raw_output());
}

#[test]
fn whatever_a_program_leaves_behind_is_told() {
    for (script, left) in [
        ("printf '\\033[?1049h'", "the alternate screen"),
        ("printf '\\033[?25l'", "a hidden cursor"),
        ("printf '\\033[31m'", "a colour or a style"),
        ("printf '\\033[7m'", "a colour or a style"),
        ("printf '\\033[?2004h'", "bracketed paste"),
        ("printf '\\033[?1000h'", "reports of the mouse"),
        ("printf '\\033[?1003h'", "reports of the mouse"),
        ("printf '\\033[?1004h'", "reports of the focus"),
        ("printf '\\033[?1h'", "keys of an application"),
        ("stty raw", "settings of the line"),
        ("stty -echo", "settings of the line"),
        ("stty intr x", "settings of the line"),
        // Neither end says good-bye.
        ("stty raw; kill -KILL $$", "settings of the line"),
        ("printf '\\033[?1049h\\033[3'; kill -KILL $$", "the alternate screen"),
    ] {
        assert_eq!(shell(script).left_behind(), [left], "{script}");
    }
}

#[test]
fn all_that_was_printed_is_there_at_the_end_and_so_is_the_exit_code() {
    let terminal = shell("seq 1 20000; exit 5");
    assert_eq!(terminal.wait_exit(), 5);
    assert_eq!(terminal.screen().row_containing("20000").as_deref(), Some("20000"));
    let output = terminal.raw_output();
    assert!(output.ends_with("\r\n19999\r\n20000\r\n"));
    assert_eq!(output.len(), 64 * 1_024 - "\x18\x1b]terminal;ended;5\x07".len(), "no more is kept");
    let missing = Terminal::start_command(&Command::new("/missing"), Path::new("/"), SIZE);
    assert_eq!(missing.wait_exit(), 127);
}

#[test]
#[should_panic = "the program was ended by signal 15"]
fn an_end_by_a_signal_is_no_exit_code() {
    let terminal = shell("echo here; sleep 60");
    terminal.expect_text("here");
    terminal.signal(Signal::Terminate);
    terminal.wait_exit();
}

#[test]
#[should_panic = "| what there is"]
fn what_does_not_come_is_told_with_a_picture() {
    shell("echo what there is").expect_text("what there is not");
}

#[test]
fn bells_are_counted_and_titles_read() {
    let terminal = shell("printf '\\a\\033]0;one\\ados\\a\\033]2;due\\033\\\\tres\\n'; sleep 60");
    let screen = terminal.expect_text("dostres");
    assert_eq!((screen.bells(), screen.title()), (2, "due"));
}

#[test]
fn characters_stand_in_the_columns_that_they_take() {
    let terminal = shell("printf '日本|e\\314\\201|👋|fi \\033[1;32mverd\\033[m\\n'");
    let screen = terminal.expect_text("fi");
    assert_eq!(screen.text(), "日本|e\u{301}|👋|fi verd");
    let at = |text| screen.position_of(text).map(|(_, column)| column);
    assert_eq!(
        [at("日本|e"), at("本"), at("|"), at("e\u{301}"), at("👋"), at("fi verd")],
        [0, 2, 4, 5, 7, 10].map(Some)
    );
    let green = screen.cells().cell(0, 13).unwrap();
    assert!(green.bold() && green.fgcolor() == Color::Idx(2), "{green:?}");
}

#[test]
fn keys_are_those_of_xterm() {
    let keys = [
        (Key::Up, "^[[A"),
        (Key::Left, "^[[D"),
        (Key::End, "^[[F"),
        (Key::PageUp, "^[[5~"),
        (Key::BackTab, "^[[Z"),
        (Key::Backspace, "^?"),
        (Key::Enter, "^M"),
        (Key::Esc, "^["),
        (Key::CtrlLeft, "^[[1;5D"),
        (Key::CtrlPageDown, "^[[6;5~"),
        (Key::F(1), "^[OP"),
        (Key::F(5), "^[[15~"),
        (Key::F(6), "^[[17~"),
        (Key::F(10), "^[[21~"),
        (Key::F(12), "^[[24~"),
        (Key::Ctrl('w'), "^W"),
        (Key::Alt('b'), "^[b"),
    ];
    let terminal = keyboard("");
    let mut shown = "ready ".to_owned();
    for (key, sent) in keys {
        terminal.press(key);
        shown += sent;
    }
    terminal.wait_for(|screen| screen.rows().concat() == shown);
    let application = keyboard("\\033[?1h");
    application.press(Key::Up);
    application.press(Key::PageUp);
    application.expect_text("ready ^[OA^[[5~");
}

#[test]
fn a_paste_the_focus_and_the_wheel_are_told_to_who_asks_for_them() {
    let do_all = |terminal: &Terminal| {
        terminal.paste("a\nb");
        terminal.focus(false);
        terminal.focus(true);
        terminal.wheel(Wheel::Up, 2, 9);
        terminal.wheel(Wheel::Down, 0, 0);
        terminal.type_text(".");
    };
    let terminal = keyboard("");
    do_all(&terminal);
    terminal.expect_text("ready a^Mb.");
    let asked = keyboard("\\033[?2004h\\033[?1004h\\033[?1002h\\033[?1006h");
    do_all(&asked);
    asked.expect_text("ready ^[[200~a^Mb^[[201~^[[O^[[I^[[<64;10;3M^[[<65;1;1M.");
}

#[test]
fn a_program_finds_its_settings_in_its_folder() {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new("sh");
    let script = "echo $LANG $GIVEN; \
                  test $XDG_CONFIG_HOME = $(pwd)/$1 && test $XDG_DATA_HOME = $(pwd)/$2";
    command.args(["-c", script, "sh", CONFIG, DATA]).env("GIVEN", "given");
    let terminal = Terminal::start_command(&command, folder.path(), SIZE);
    assert_eq!(terminal.wait_exit(), 0);
    assert_eq!(terminal.screen().text(), "C.UTF-8 given");
}

#[test]
fn a_terminal_that_is_dropped_takes_its_program_with_it() {
    let terminal = shell("trap '' HUP TERM; echo here; sleep 60");
    terminal.expect_text("here");
    let process = Path::new("/proc").join(terminal.pid().as_raw_nonzero().to_string());
    assert!(process.exists());
    drop(terminal);
    eventually("it is gone", || !process.exists());
}

#[test]
fn who_names_no_address_is_asked_for_it() {
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
    let at = node.address();
    let pere = AgentTerminal::start("pere@bb.com", at, &["--plain"], SIZE);
    pere.expect_text("* registered pere@bb.com");
    let folder = TempDir::new().unwrap();
    let arguments = ["--node", &at.to_string(), "--plain"];
    let laura = Terminal::start(AGENT, folder.path(), &arguments, SIZE);
    laura.expect_text("Your address (user@domain): ");
    laura.type_line("laura");
    laura.expect_text("! laura: an address is user@domain, and there is no '@'");
    laura.type_line("laura@bb.com");
    laura.expect_text("Start with this address from now on? [Y/n] ");
    laura.press(Key::Enter);
    laura.expect_text(&format!("* registered laura@bb.com at node {at}"));
    laura.expect_text("* listening for conversations on 127.0.0.1:");
    laura.type_line("/call pere@bb.com");
    laura.expect_text("* in conversation with pere (pere@bb.com) at 127.0.0.1:");
    laura.type_line("hola, què tal?");
    pere.expect_text("<laura> hola, què tal?");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
    let screen = laura.screen();
    assert!(screen.row_containing("* deregistered laura@bb.com").is_some(), "{screen}");
    assert!(screen.row_containing("* from now on mi-agent starts as laura@bb.com (").is_some(), "{screen}");
    assert_eq!(laura.left_behind(), [""; 0]);
    // It is not asked for again.
    let again = Terminal::start(AGENT, folder.path(), &arguments, SIZE);
    again.expect_text(&format!("* registered laura@bb.com at node {at}"));
    assert!(again.screen().row_containing("Your address").is_none(), "{}", again.screen());
    again.press(Key::Ctrl('d'));
    assert_eq!(again.wait_exit(), 0);
    pere.expect_text("* conversation with laura ended by laura");
    pere.press(Key::Ctrl('d'));
    assert_eq!(pere.wait_exit(), 0);
    assert_eq!(pere.log().last().map(|line| line.ends_with(", RD0, 3")), Some(true));
}

#[test]
fn ctrl_c_deregisters_and_leaves() {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let laura = AgentTerminal::start("laura@bb.com", node.address(), &["--plain"], SIZE);
    laura.expect_text("* listening for conversations on ");
    laura.press(Key::Ctrl('c'));
    assert_eq!(laura.wait_exit(), 0);
    laura.expect_text("* deregistered laura@bb.com");
    assert_eq!(laura.left_behind(), [""; 0]);
}

#[test]
fn lines_of_the_console_are_edited_completed_and_had_again() {
    let (_folder, node) = node_at_a_terminal();
    node.type_line("regsiter pere");
    node.expect_text("! there is no command 'regsiter'; type help");
    wait_for_prompt(&node);
    node.press(Key::Up);
    node.type_text("x");
    node.press(Key::Backspace);
    node.press(Key::Home);
    (0..3).for_each(|_| node.press(Key::Right));
    (0..2).for_each(|_| node.press(Key::Delete));
    node.type_text("is");
    node.press(Key::Enter);
    node.expect_text("registered pere");
    wait_for_prompt(&node);
    node.type_text("/stat");
    node.press(Key::Tab);
    node.press(Key::Enter);
    node.expect_text("users      2 belong to the domain, and 0 are online.");
    wait_for_prompt(&node);
    node.type_text("deregister pere");
    node.press(Key::Ctrl('c'));
    // A paste brings several lines at once.
    node.type_text("\rregister joan\rlist\r");
    node.expect_text("pere   offline");
    node.expect_text("joan   offline");
    wait_for_prompt(&node);
    node.press(Key::Ctrl('c'));
    assert_eq!(node.wait_exit(), 0);
    assert_eq!(node.left_behind(), [""; 0]);
}

/// Diagnostics can come at any time.
#[test]
fn what_is_typed_at_the_console_stays_whole_below_diagnostics() {
    let (folder, node) = node_at_a_terminal();
    node.type_text("regist");
    node.expect_text("lumi-node> regist");
    write_roster(folder.path(), "bb.com\n@\n");
    node.signal(Signal::HangUp);
    // The terminal wraps the line anywhere.
    node.wait_for(|screen| {
        let text: String = screen.rows().concat().split_whitespace().collect();
        text.contains("cannotreload:nothinghaschanged")
    });
    node.wait_for(|screen| {
        let rows = screen.rows();
        rows.iter().rfind(|row| !row.is_empty()).is_some_and(|row| row == "lumi-node> regist")
    });
    node.press(Key::Ctrl('c'));
    node.press(Key::Ctrl('c'));
    assert_eq!(node.wait_exit(), 0);
}

#[test]
fn the_console_leaves_the_terminal_as_it_was_however_the_node_ends() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let (_folder, node) = node_at_a_terminal();
        node.type_text("regist");
        node.expect_text("lumi-node> regist");
        node.signal(signal);
        assert_eq!(node.wait_exit(), 0);
        assert_eq!(node.left_behind(), [""; 0], "{signal:?}");
    }
    let (_folder, node) = node_at_a_terminal();
    node.press(Key::Ctrl('d'));
    node.expect_text("no more commands here, but by `lumi-node ctl`; the node goes on, Ctrl-C ends it");
    node.press(Key::Ctrl('c'));
    assert_eq!(node.wait_exit(), 0);
    assert_eq!(node.left_behind(), [""; 0]);
}

/// Waits until the console reads keys. Before that, the terminal itself turns Ctrl-C into a signal, which
/// ends the node.
fn wait_for_prompt(node: &Terminal) {
    node.wait_for(|screen| {
        screen.rows().iter().rfind(|row| !row.is_empty()).is_some_and(|row| row.trim_end() == "lumi-node>")
    });
}

fn node_at_a_terminal() -> (TempDir, Terminal) {
    let folder = TempDir::new().expect("there can be temporary folders");
    write_roster(folder.path(), "bb.com\nlaura\n");
    let node = Terminal::start_command(
        Command::new(executable(NODE)).args(["--listen", "127.0.0.1:0"]),
        folder.path(),
        SIZE,
    );
    node.expect_text("lumi-node: domain bb.com, listening on 127.0.0.1:");
    node.expect_text("lumi-node> ");
    (folder, node)
}

/// The console needs no `--console` at a terminal.
#[test]
fn an_administrator_has_the_console_at_a_terminal() {
    let (_folder, node) = node_at_a_terminal();
    node.type_line("register pere");
    node.expect_text("registered pere");
    node.type_line("exit");
    assert_eq!(node.wait_exit(), 0);
    assert_eq!(node.left_behind(), [""; 0]);
}
