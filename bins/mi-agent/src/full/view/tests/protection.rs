//! The protection of conversations, and calls that are refused on account of keys.

use mi_agent_core::{CallError, Day, KeyWords, NotSecure, Peer, Pin, Trust};
use proptest::prelude::*;

use super::*;
use crate::full::pane::Kind;
use crate::full::tests::fixtures::{with_key, without_key};
use crate::session::{CallId, Done};

fn joya() -> plumi_proto::MiAddress {
    "joya@cc.com".parse().unwrap()
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn talking_with(peer: Peer, width: u16) -> Screen {
    let mut screen = Screen::new(width, 24);
    screen.app.begun(now(), id(1), peer, Way::CalledBy);
    screen
}

/// The row of tabs and that of the conversation.
fn rows(screen: &mut Screen) -> [String; 2] {
    let picture = screen.picture();
    let rows: Vec<_> = picture.lines().collect();
    [rows[0], rows[rows.len() - 2]].map(|row| row.trim().to_owned())
}

#[test]
fn each_protection_is_a_word_and_a_sentence_at_any_width() {
    let tls = |trust| with_key(peer("joya@cc.com"), trust);
    let since = day("2026-11-29");
    for (peer, word, wide, narrow) in [
        (
            peer("joya@cc.com"),
            "plain",
            "joya@cc.com as joya · plain: anyone on the way can read and change this",
            "plain: anyone on the way can read and change this",
        ),
        (
            without_key("joya@cc.com"),
            "plain",
            "joya@cc.com as joya · plain, without its key: it may be somebody else",
            "joya@cc.com as joya · plain, without its key",
        ),
        (
            tls(Trust::New),
            "new",
            "joya@cc.com as joya · encrypted, new key: /verify joya@cc.com compares words",
            "joya@cc.com as joya · encrypted, new key",
        ),
        (
            tls(Trust::Known(since)),
            "known",
            "joya@cc.com as joya · encrypted, key known since 2026-11-29",
            "encrypted, key known since 2026-11-29",
        ),
        (
            tls(Trust::Introduced),
            "introduced",
            "joya@cc.com as joya · encrypted, key introduced by the node of cc.com",
            "joya@cc.com as joya · encrypted, key introduced",
        ),
        (
            tls(Trust::Verified(since)),
            "verified",
            "joya@cc.com as joya · encrypted, key verified on 2026-11-29",
            "encrypted, key verified on 2026-11-29",
        ),
    ] {
        let tabs = format!("1 mi-agent  2 joya@cc.com · {word}");
        assert_eq!(rows(&mut talking_with(peer.clone(), 80)), [tabs.clone(), wide.to_owned()]);
        assert_eq!(rows(&mut talking_with(peer.clone(), 50)), [tabs, narrow.to_owned()]);
        for width in (6..60).step_by(3).chain([80, 110, 200]) {
            let [tabs, state] = rows(&mut talking_with(peer.clone(), width));
            assert!(width < 36 || tabs.contains(&format!(" · {word}")), "{width}: {tabs}");
            // The beginning of the word remains at least.
            let begin = &word[..word.len().min(usize::from(width) - 4)];
            let is_said = state.contains(begin) || width > 20 && state.contains("encrypted");
            assert!(is_said, "{width}: {state}");
        }
    }
    let unknown = rows(&mut talking_with(with_key(stranger("qui sap"), Trust::New), 80));
    assert_eq!(
        unknown,
        [
            "1 mi-agent  2 ? qui sap · new",
            "in conversation with ? as qui sap, at 127.0.0.1:4457 · encrypted, new key"
        ]
    );
}

#[test]
fn words_are_read_out_from_a_window() {
    let mut screen = Screen::talking(80, 18);
    let words = KeyWords::of(&screen.app.own, &key(7));
    screen.app.done(now(), Done::OwnWords(words));
    let [one, two, three, four, five, six, seven, eight] = words.words();
    let picture = screen.picture();
    let rows: Vec<_> = picture.lines().map(|row| row.trim_matches(['│', ' '])).collect();
    let at = rows.iter().position(|row| row.starts_with("1  ")).expect("they are shown");
    for (row, [left, right]) in [[one, two], [three, four], [five, six], [seven, eight]].iter().enumerate() {
        let (odd, even) = (2 * row + 1, 2 * row + 2);
        assert_eq!(rows[at + row], format!("{odd}  {left:<12}{even}  {right}"), "{picture}");
    }
    assert!(picture.contains("They are typed there: /verify laura@bb.com and the words."), "{picture}");
    let mut narrow = Screen { terminal: Terminal::new(TestBackend::new(50, 18)).unwrap(), ..screen };
    let picture = narrow.picture();
    assert!(words.words().iter().all(|word| picture.contains(word)), "{picture}");
    narrow.press(KeyCode::Esc);
    assert!(!narrow.picture().contains(eight));
}

#[test]
fn a_refused_call_says_what_is_wrong_and_what_to_do() {
    let known = Pin::seen(key(1), day("2026-11-29"));
    let offered = key(7);
    let [first, second, ..] = KeyWords::of(&joya(), &offered).words();
    for (error, told) in [
        (
            CallError::KeyChanged { known, offered },
            vec![
                "! joya's key is not the one known since 2026-11-29. Nothing was sent. joya may have a new machine, \
                 or somebody sits in between."
                    .to_owned(),
                format!(
                    "* Ask joya another way, such as by phone, whether the machine is new. If it is: /trust \
                     joya@cc.com takes the key that begins with `{first} {second}`. Until then only the old key is \
                     taken."
                ),
            ],
        ),
        (
            CallError::KeyChanged { known: known.verified(day("2026-12-01")), offered },
            vec![
                "! joya's key is not the one you verified on 2026-12-01. Nothing was sent. joya may have a new \
                 machine, or somebody sits in between."
                    .to_owned(),
                "* Ask joya another way, such as by phone, for the words that /words shows there. Then type: /trust \
                 joya@cc.com WORD… Until then only the old key is taken."
                    .to_owned(),
            ],
        ),
        (
            NotSecure::HasKey.into(),
            vec![
                "! joya@cc.com offers no encryption, though it has a key. Nothing was sent.".to_owned(),
                "* /plain joya@cc.com calls once without encryption. Anyone on the way can read and change what is \
                 said then."
                    .to_owned(),
            ],
        ),
    ] {
        let mut screen = Screen::new(80, 24);
        screen.types("/call joya@cc.com\n");
        let call = CallId::of_test(1);
        let line = format!("cannot reach joya@cc.com: {error}");
        screen.app.happened(now(), Happened::CallFailed { call, to: joya(), error });
        let entries = |screen: &Screen, at: usize| -> Vec<_> {
            let entries = screen.app.tabs[at].pane.entries();
            let mark = |kind: &Kind| if matches!(kind, Kind::Failure) { '!' } else { '*' };
            entries.map(|entry| format!("{} {}", mark(&entry.kind), entry.text)).collect()
        };
        assert_eq!(entries(&screen, 1)[1..], told);
        assert_eq!(entries(&screen, 0).last(), Some(&format!("! {line}")), "the contract has this line");
        // No row is cut off.
        let picture = screen.picture().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.iter().all(|told| picture.contains(told)), "{picture}");
    }
}

#[test]
fn the_file_of_a_key_log_is_named_in_every_tab() {
    let mut screen = Screen::talking(80, 8);
    screen.app.key_log = Some("/tmp/keys.log".into());
    let row = |screen: &mut Screen| screen.picture().lines().nth(5).unwrap().to_owned();
    assert_eq!(row(&mut screen), " laura@bb.com · registered · keys are written to /tmp/keys.log");
    screen.app.happened(now(), Happened::NotKept("No space left on device".into()));
    let both = " registered · keys are written to /tmp/keys.log · No space left on device";
    assert_eq!(row(&mut screen), both);
    screen.app.happened(now(), Happened::KeptAgain);
    screen.app.key(now(), KeyEvent::new(KeyCode::Char('1'), KeyModifiers::ALT));
    let mut narrow = Screen { terminal: Terminal::new(TestBackend::new(50, 8)).unwrap(), ..screen };
    assert_eq!(row(&mut narrow), " registered · keys are written to /tmp/keys.log");
}

/// A step of a conversation about keys, by number.
fn step(screen: &mut Screen, step: u8, number: u64) {
    let trusts = [Trust::New, Trust::Known(day("2026-11-29")), Trust::Verified(day("2026-12-01"))];
    let trust = trusts[usize::from(step) % trusts.len()];
    let call = CallId::of_test(number);
    let (known, offered) = (Pin::seen(key(1), day("2026-11-29")), key(7));
    match step % 11 {
        0 => screen.app.begun(now(), id(number), with_key(peer("joya@cc.com"), trust), Way::Called),
        1 => screen.app.begun(now(), id(number), peer("joya@cc.com"), Way::CalledBy),
        2 => screen.app.begun(now(), id(number), without_key("joya@cc.com"), Way::CalledBy),
        3 => screen.app.begun(now(), id(number), with_key(stranger("m"), trust), Way::CalledBy),
        4 => screen.app.done(now(), Done::Verified { address: joya(), key: key(7) }),
        5 => screen.app.done(now(), Done::Trusted { address: joya(), key: key(7) }),
        6 => screen.app.ended(now(), id(number), End::ByPeer, 0),
        7 => {
            screen.types("/call joya@cc.com\n");
            let error = CallError::KeyChanged { known, offered };
            screen.app.happened(now(), Happened::CallFailed { call, to: joya(), error });
        }
        8 => screen.app.done(now(), Done::OwnWords("zoo zoo zoo zoo zoo zoo zoo zoo".parse().unwrap())),
        9 => screen.press(KeyCode::Esc),
        _ => screen.press(KeyCode::PageUp),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever happened before, the screen is the one that would be drawn afresh.
    #[test]
    fn nothing_of_an_earlier_protection_stays_on_the_screen(
        steps in proptest::collection::vec((any::<u8>(), 1..4_u64), 1..20), width in 30..90_u16
    ) {
        let mut screen = Screen::new(width, 16);
        for (kind, number) in steps {
            step(&mut screen, kind, number);
            screen.draw();
        }
        let drawn = screen.picture();
        let afresh = Terminal::new(TestBackend::new(width, 16)).unwrap();
        let mut fresh = Screen { terminal: afresh, ..screen };
        prop_assert_eq!(drawn, fresh.picture());
        for tab in &fresh.app.tabs {
            // A tab without a conversation has no protection.
            prop_assert_eq!(tab.protection().is_some(), tab.id().is_some());
        }
    }
}
