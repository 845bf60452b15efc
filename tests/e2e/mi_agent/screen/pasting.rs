//! Pasted text.

use super::*;

#[test]
fn several_pasted_lines_are_sent_when_that_is_meant() {
    let town = Town::new();
    let (laura, mut joya) = talking(&town, &[]);
    laura.paste("one line, not sent yet");
    laura.expect_text("> one line, not sent yet");
    laura.press(Key::Enter);
    joya.expect_line("<laura> one line, not sent yet");
    laura.paste("first\nsecond\nthird\n");
    laura.expect_text("3 lines were pasted");
    laura.press(Key::Esc);
    laura.expect_text("what was pasted was not sent");
    laura.paste("uno\ndos\ntres\n");
    laura.expect_text("3 lines were pasted");
    laura.press(Key::Enter);
    joya.expect_line("<laura> uno");
    joya.expect_line("<laura> dos");
    joya.expect_line("<laura> tres");
    assert!(!joya.stdout().iter().any(|line| line.contains("first")), "{:?}", joya.stdout());
}

/// Line ends of any kind, and more than fits anything.
#[test]
fn long_pastes_arrive_whole() {
    let town = Town::new();
    let (laura, _joya) = talking(&town, &[]);
    laura.type_text("\x1b[200~uno\r\ndos\r\n\x1b[201~");
    laura.expect_text("2 lines were pasted");
    laura.press(Key::Esc);
    laura.expect_text("what was pasted was not sent");
    laura.paste(&"0123456789".repeat(10_000));
    // 99 bytes each.
    laura.expect_text(" 1011 frames");
    laura.press(Key::Ctrl('c'));
    laura.wait_for(|screen| screen.rows()[23] == ">");
    laura.paste(&"line\n".repeat(20_000));
    laura.expect_text("20000 lines were pasted and not sent");
}

/// The end of a paste can be lost on the way.
#[test]
fn a_paste_that_never_ends_does_not_leave_the_keyboard_dead() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &[]);
    laura.type_text("\x1b[200~it never ends");
    laura.expect_text("> it never ends");
    laura.type_text("!");
    laura.expect_text("> it never ends!");
    // The end comes too late.
    laura.type_text("\x1b[201~?");
    laura.expect_text("> it never ends!?");
    laura.press(Key::Ctrl('u'));
    laura.wait_for(|screen| screen.rows()[23] == ">");
    // Nothing is typed yet, so Ctrl-C leaves.
    laura.type_text("\x1b[200~nor does this\x03");
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(laura.left_behind(), [""; 0]);
}
