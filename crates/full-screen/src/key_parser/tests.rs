use super::*;

/// Returns what is read of pieces that come one after the other.
fn read_pieces(pieces: &[&[u8]]) -> Vec<Event> {
    let mut parser = KeyParser::default();
    pieces.iter().for_each(|piece| parser.read(piece));
    events(&mut parser)
}

fn events(parser: &mut KeyParser) -> Vec<Event> {
    std::iter::from_fn(|| parser.next()).collect()
}

fn pressed(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn pasted(text: &str) -> Event {
    Event::Paste(text.into())
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;
const ALT: KeyModifiers = KeyModifiers::ALT;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;

/// Those of xterm, of the Linux console, of rxvt.
#[test]
fn keys_are_those_of_known_terminals() {
    use KeyCode::{
        BackTab, Backspace, Char, Delete, Down, End, Enter, F, Home, Insert, Left, PageDown, PageUp,
    };
    use KeyCode::{Right, Tab, Up};
    for (bytes, code, modifiers) in [
        ("a", Char('a'), NONE),
        ("A", Char('A'), SHIFT),
        ("è", Char('è'), NONE),
        ("你", Char('你'), NONE),
        ("😀", Char('😀'), NONE),
        ("\r", Enter, NONE),
        ("\t", Tab, NONE),
        ("\x7f", Backspace, NONE),
        ("\x08", Char('h'), CTRL),
        ("\n", Char('j'), CTRL),
        ("\x03", Char('c'), CTRL),
        ("\x1a", Char('z'), CTRL),
        ("\0", Char(' '), CTRL),
        ("\x1f", Char('7'), CTRL),
        ("\x1bb", Char('b'), ALT),
        ("\x1bB", Char('B'), ALT | SHIFT),
        ("\x1bé", Char('é'), ALT),
        ("\x1b\x7f", Backspace, ALT),
        ("\x1b[A", Up, NONE),
        ("\x1bOB", Down, NONE),
        ("\x1b[C", Right, NONE),
        ("\x1b[1;5D", Left, CTRL),
        ("\x1b[1;2A", Up, SHIFT),
        ("\x1b[1;3C", Right, ALT),
        ("\x1b[1;6C", Right, CTRL | SHIFT),
        ("\x1b[H", Home, NONE),
        ("\x1bOF", End, NONE),
        ("\x1b[1;5H", Home, CTRL),
        ("\x1b[1~", Home, NONE),
        ("\x1b[8~", End, NONE),
        ("\x1b[2~", Insert, NONE),
        ("\x1b[3~", Delete, NONE),
        ("\x1b[3;5~", Delete, CTRL),
        ("\x1b[5~", PageUp, NONE),
        ("\x1b[6;3~", PageDown, ALT),
        ("\x1b[Z", BackTab, SHIFT),
        ("\x1bOP", F(1), NONE),
        ("\x1b[[B", F(2), NONE),
        ("\x1b[13~", F(3), NONE),
        ("\x1b[15~", F(5), NONE),
        ("\x1b[21~", F(10), NONE),
        ("\x1b[24~", F(12), NONE),
        ("\x1b[1;2S", F(4), SHIFT),
        ("\x1b[97;5u", Char('a'), CTRL),
        ("\x1b[13;2u", Enter, SHIFT),
    ] {
        let expected = [pressed(code, modifiers)];
        assert_eq!(read_pieces(&[bytes.as_bytes()]), expected, "{bytes:?}");
        // However it is cut.
        let bytes: Vec<_> = bytes.as_bytes().chunks(1).collect();
        assert_eq!(read_pieces(&bytes), expected, "{bytes:?}");
    }
}

#[test]
fn the_mouse_and_the_focus_are_reported() {
    let mouse = |kind, column, row, modifiers| Event::Mouse(MouseEvent { kind, column, row, modifiers });
    for (bytes, event) in [
        (&b"\x1b[<64;10;5M"[..], mouse(MouseEventKind::ScrollUp, 9, 4, NONE)),
        (b"\x1b[<65;1;1M", mouse(MouseEventKind::ScrollDown, 0, 0, NONE)),
        (b"\x1b[<0;300;2M", mouse(MouseEventKind::Down(MouseButton::Left), 299, 1, NONE)),
        (b"\x1b[<2;3;2m", mouse(MouseEventKind::Up(MouseButton::Right), 2, 1, NONE)),
        (b"\x1b[<32;3;2M", mouse(MouseEventKind::Drag(MouseButton::Left), 2, 1, NONE)),
        (b"\x1b[<35;3;2M", mouse(MouseEventKind::Moved, 2, 1, NONE)),
        (b"\x1b[<20;3;2M", mouse(MouseEventKind::Down(MouseButton::Left), 2, 1, CTRL | SHIFT)),
        (b"\x1b[M`!!", mouse(MouseEventKind::ScrollUp, 0, 0, NONE)),
        (b"\x1b[M \xff\x21", mouse(MouseEventKind::Down(MouseButton::Left), 222, 0, NONE)),
        (b"\x1b[96;7;8M", mouse(MouseEventKind::ScrollUp, 6, 7, NONE)),
        (b"\x1b[I", Event::FocusGained),
        (b"\x1b[O", Event::FocusLost),
    ] {
        assert_eq!(read_pieces(&[bytes]), [event], "{bytes:?}");
    }
}

#[test]
fn a_paste_is_one_event_however_it_is_cut() {
    for text in
        ["", "one line", "uno\rdos\r\ntres", "\x1b[A", "\x1b[201", "a\x1b[20\x1b[200~b\x03c", "你好 👋🏽"]
    {
        let bytes = format!("x\x1b[200~{text}\x1b[201~y");
        let expected = [pressed(KeyCode::Char('x'), NONE), pasted(text), pressed(KeyCode::Char('y'), NONE)];
        for size in [1, 2, 3, 5, 7, 1_000] {
            // A Ctrl-C at the end of a piece is pressed.
            if !text.contains('\x03')
                || size > 3 && !bytes.as_bytes().chunks(size).any(|piece| piece.ends_with(&[3]))
            {
                let pieces: Vec<_> = bytes.as_bytes().chunks(size).collect();
                assert_eq!(read_pieces(&pieces), expected, "{text:?} in pieces of {size}");
            }
        }
    }
    assert_eq!(read_pieces(&[b"\x1b[200~\xff\x1b[201~"]), [pasted("\u{fffd}")]);
}

#[test]
fn a_paste_without_an_end_is_given_up() {
    let mut parser = KeyParser::default();
    parser.read(b"\x1b[200~never ends\x1b[20");
    assert_eq!((events(&mut parser), parser.patience()), (vec![], Some(REST_OF_PASTE)));
    parser.give_up();
    assert_eq!((events(&mut parser), parser.patience()), (vec![pasted("never ends")], None));
    // An end that comes too late is nothing.
    parser.read(b"\x1b[201~a");
    assert_eq!(events(&mut parser), [pressed(KeyCode::Char('a'), NONE)]);
}

#[test]
fn ctrl_c_is_a_key_during_a_paste() {
    let mut parser = KeyParser::default();
    parser.read(b"\x1b[200~never ends");
    parser.read(b"\x03");
    assert_eq!(events(&mut parser), [pressed(KeyCode::Char('c'), CTRL)]);
    parser.read(b"a");
    assert_eq!(events(&mut parser), [pressed(KeyCode::Char('a'), NONE)]);
}

#[test]
fn a_long_paste_is_kept_and_one_without_measure_is_cut() {
    for (length, kept) in [(100_000, 100_000), (MAX_PASTE + 9, MAX_PASTE)] {
        let text = "x".repeat(length);
        let bytes = format!("\x1b[200~{text}\x1b[201~a");
        let pieces: Vec<_> = bytes.as_bytes().chunks(1_024).collect();
        let read = read_pieces(&pieces);
        assert!(read == [pasted(&text[..kept]), pressed(KeyCode::Char('a'), NONE)], "{length}");
    }
    let mut parser = KeyParser::default();
    parser.read(b"\x1b[200~");
    (0..MAX_PASTE).for_each(|_| parser.read(b"\x1b["));
    parser.give_up();
    let Some(Event::Paste(text)) = parser.next() else { panic!("no paste") };
    assert!(text.len() <= MAX_PASTE + PASTE_END.len(), "{}", text.len());
}

#[test]
fn an_escape_alone_is_the_key() {
    let mut parser = KeyParser::default();
    parser.read(b"\x1b");
    assert_eq!((events(&mut parser), parser.patience()), (vec![], Some(REST_OF_KEY)));
    parser.give_up();
    assert_eq!((events(&mut parser), parser.patience()), (vec![pressed(KeyCode::Esc, NONE)], None));
    parser.read(b"\x1b\x1b[A");
    assert_eq!(events(&mut parser), [pressed(KeyCode::Esc, NONE), pressed(KeyCode::Up, NONE)]);
    parser.read(b"\x1b[");
    parser.give_up();
    assert_eq!(events(&mut parser), [pressed(KeyCode::Char('['), ALT)]);
    parser.read(b"\x1b[1;");
    parser.give_up();
    parser.read(b"a");
    assert_eq!(events(&mut parser), [pressed(KeyCode::Char('a'), NONE)]);
}

/// The keyboard is never dead: after anything, and the pauses, a letter is a letter.
#[test]
fn no_input_kills_the_keyboard() {
    let odd: [&[u8]; 16] = [
        b"\x1b", b"[", b"O", b"200~", b"201~", b"<", b"M", b";", b"9", b"99999", b"\xff", b"\xc3", b"a",
        b"\x03", b"?", b"\r",
    ];
    // A generator of xorshift, with a fixed seed.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit as u64).unwrap()
    };
    for _ in 0..20_000 {
        let mut parser = KeyParser::default();
        let pieces: Vec<_> = (0..below(12)).map(|_| odd[below(odd.len())]).collect();
        for piece in &pieces {
            parser.read(piece);
            assert!(parser.begun.len() <= MAX_SEQUENCE, "{pieces:?}");
        }
        parser.give_up();
        assert_eq!(parser.patience(), None, "{pieces:?}");
        events(&mut parser);
        parser.read(b"z");
        assert_eq!(events(&mut parser), [pressed(KeyCode::Char('z'), NONE)], "{pieces:?}");
    }
}
