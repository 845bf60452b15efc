//! Windows over the conversation.

use super::*;

#[test]
fn contacts_are_listed() {
    let mut screen = Screen::new(60, 12);
    screen.press(KeyCode::F(3));
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent
15:42         * listening for conversations on
                127.0.0.1:3500
15:42         * F1 helps · F2 the protocol · F3 contacts ·
┌ contacts · Enter calls, h history, Del removes, Esc clos…┐
│nobody yet: /call ADDRESS calls, /add ADDRESS adds one    │
└──────────────────────────────────────────────────────────┘
15:42         * type /call and an address, such as /call
                joya@cc.com
 laura@bb.com · registered at node 127.0.0.2:3344 · E 0 R 0
 /call ADDRESS calls · F1 helps
>
"#,
    );
    screen.press(KeyCode::Esc);
    screen.app.begun(now() - 48.hours(), id(1), peer("pere@bb.com"), Way::CalledBy);
    screen.app.begun(now(), id(2), peer("joya@cc.com"), Way::Called);
    screen.press(KeyCode::F(3));
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 pere@bb.com · plain  3 joya@cc.com (1)
11-23         * in conversation with pere (pere@bb.com) at
                127.0.0.1:4456
┌ contacts · Enter calls, h history, Del removes, Esc clos…┐
│joya@cc.com  called 15:42  joya                           │
│pere@bb.com  called you 11-23 15:42  pere                 │
└──────────────────────────────────────────────────────────┘


 laura@bb.com · registered at node 127.0.0.2:3344 · E 0 R 0
 plain: anyone on the way can read and change this
>
"#,
    );
}

#[test]
fn the_protocol_is_shown_as_it_passes() {
    let mut screen = Screen::talking(80, 14);
    screen.press(KeyCode::F(2));
    assert!(screen.picture().contains("nothing has passed yet"));
    screen.calls_in_the_protocol();
    screen.passes_frame(Direction::Sent, FrameKind::Nickname, b"N05Laura");
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:42            * calling joya@cc.com
15:42            * in conversation with joya (joya@cc.com) at 127.0.0.1:4456
15:42            * plain: anyone on the way can read and change this

 protocol: E sent, R received · F2 closes ──────────────────────────────────────
15:42:00 R ← joya@cc.com is at TCP 127.0.0.1:4456
             127.0.0.2:3344 UDP 42 bytes
         RL0laura@bb.com:joya@cc.com:127.0.0.1:4456
15:42:00 E → nickname: Laura
             127.0.0.1:4456 TCP 8 bytes  head N05
 laura@bb.com as Laura · registered at node 127.0.0.2:3344 · E 2 R 2
 joya@cc.com as joya · plain: anyone on the way can read and change this
>
"#,
    );
    screen.press(KeyCode::F(2));
    assert!(!screen.picture().contains("protocol"));
}

#[test]
fn help_lists_commands_and_keys() {
    let mut screen = Screen::talking(90, 53);
    screen.types("/help\n");
    assert_picture(
        &mut screen,
        r#"
 1 mi-agent  2 joya@cc.com · plain
15:┌ help · Esc closes, ↑ ↓ scroll ───────────────────────────────────────────────────┐
15:│Commands                                                                          │
15:│  /call ADDRESS           call somebody (joya: of your own domain)                │
   │  /bye, /exit             end the conversation                                    │
   │  /contacts               calls made, taken or missed while busy; Enter calls     │
   │  /add ADDRESS            add somebody to the contacts; Del removes one there     │
   │  /find TEXT              search the history of this tab                          │
   │  /block ADDRESS          take no calls of somebody, who is told you are busy     │
   │  /unblock ADDRESS        take them again                                         │
   │  /allow-only ADDRESS…    take calls of these alone; off: of everybody            │
   │  /words                  show the words of your key, to read them out            │
   │  /verify ADDRESS WORD…   compare somebody's words: type what you hear            │
   │  /trust ADDRESS [WORD…]  take the new key of somebody, after a warning           │
   │  /plain ADDRESS          call somebody once without encryption                   │
   │  /later ADDRESS TEXT     leave a message for somebody who is not there           │
   │  /resend ID              send a message again that may have arrived              │
   │  /forget ID              drop a message that waits                               │
   │  /protocol               show or hide every message as it passes                 │
   │  /close                  close this tab, after /bye                              │
   │  /help                   show this                                               │
   │  /quit                   deregister and leave                                    │
   │  EXIT                    as /quit                                                │
   │  //text                  say /text, as what begins with one / is a command       │
   │Keys                                                                              │
   │  F1 · F2 · F3            help · protocol · contacts                              │
   │  Enter                   sends the line, or carries the command out              │
   │  Tab, Shift-Tab          complete a command or an address                        │
   │  ↑ ↓                     lines typed before                                      │
   │  PageUp, PageDown, wheel scroll, load history; with Alt, the protocol            │
   │  Ctrl-Home, Ctrl-End     to the first line, to the last                          │
   │  Esc                     closes what lies above, or goes to the last line        │
   │  Ctrl-N, Ctrl-P, Alt-1 … the next tab, the one before, that of a number          │
   │  Ctrl-← →, Alt-B Alt-F   by words                                                │
   │  Ctrl-A, Ctrl-E          to the beginning of the line, to its end                │
   │  Ctrl-W, Alt-D           delete the word before, the word behind                 │
   │  Ctrl-U, Ctrl-K, Ctrl-Y  delete to the beginning, to the end; put it back        │
   │  Ctrl-L, Ctrl-Z          draw all of it again, suspend                           │
   │  Ctrl-C                  clears the line; if it is empty, leaves at once         │
   │  Ctrl-D                  leaves, if the line is empty                            │
   │What you see                                                                      │
   │  * !                     news, a failure and its reason                          │
   │  (2) behind a tab        so many lines came that you have not seen               │
   │  · plain                 anyone on the way can read and change what is said      │
   │  · new · known           encrypted; a key met for the first time, or again       │
   │  · introduced            encrypted; the node of the peer's domain has its key    │
   │  · verified              encrypted, and you compared the words of the key        │
   │  as Joya, unverified     nicknames prove nothing; addresses only with a key      │
   │  E 4 R 4                 messages sent and received, as in the message log       │
   └──────────────────────────────────────────────────────────────────────────────────┘
 laura@bb.com as Laura · registered at node 127.0.0.2:3344 · E 2 R 2
 joya@cc.com as joya, both unverified · plain: anyone on the way can read and change this
>
"#,
    );
    for (width, height) in [(80, 56), (40, 128)] {
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        screen = Screen { terminal, ..screen };
        let picture = screen.picture();
        let inside = |row: &str| Some(row.split_once('│')?.1.split_once('│')?.0.trim_end().to_owned());
        let rows: Vec<_> = picture.lines().filter_map(inside).filter(|row| !row.is_empty()).collect();
        let titles = rows.iter().filter(|row| !row.starts_with("  ")).collect::<Vec<_>>();
        assert_eq!(titles, ["Commands", "Keys", "What you see"], "nothing is wrapped to the left\n{picture}");
        let is_wrapped = rows.iter().any(|row| row.starts_with(&" ".repeat(26)));
        assert!(width < 80 || !is_wrapped, "{picture}");
    }
    let mut small = Screen { terminal: Terminal::new(TestBackend::new(40, 10)).unwrap(), ..screen };
    (0..100).for_each(|_| small.press(KeyCode::PageDown));
    assert!(small.picture().contains("message log"), "its end is reached\n{}", small.picture());
    (0..100).for_each(|_| small.press(KeyCode::PageUp));
    assert!(small.picture().contains("/call ADDRESS"), "{}", small.picture());
}
