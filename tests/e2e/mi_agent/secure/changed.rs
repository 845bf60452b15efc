//! Keys that change, and peers that show none.

use super::*;

/// Pere gets a new machine, and brings nothing from the old one.
fn new_machine(pere: &Home) -> Home {
    assert!(pere.data("identity.pem").exists());
    Home::of(pere.address)
}

/// Returns the first two words of the key in `home`.
fn first_words(home: &Home) -> String {
    home.key("--words").split(' ').take(2).collect::<Vec<_>>().join(" ")
}

const CHANGED: &str = "! cannot reach pere@bb.com: its key is not the one known since DAY";

/// Laura asks Pere by phone, and takes the new key.
#[test]
fn a_changed_key_is_refused_until_it_is_trusted() {
    let (node, laura, old) = node_and_homes();
    let mut old_talks = old.chat(&node, &[]);
    let mut laura_talks = laura.chat(&node, &[]);
    laura_talks.type_line("/trust pere@bb.com");
    let told = laura_talks.expect_line("!");
    let nothing = "! the key of pere@bb.com is not trusted: no key of it was refused since this agent started; \
         /call pere@bb.com meets it";
    assert_eq!(told, nothing);
    call(&mut laura_talks, "pere@bb.com");
    end(&mut laura_talks, &mut old_talks);
    drop(old_talks);

    let new = new_machine(&old);
    let mut new_talks = new.chat(&node, &[]);
    laura_talks.type_line("/call pere@bb.com");
    assert_eq!(undated(&laura_talks.expect_line("!")), CHANGED);
    let begins = first_words(&new);
    let hint = format!(
        "* its key begins with `{begins}` now: pere@bb.com may have a new machine, or somebody sits in between; \
         ask another way, then: /trust pere@bb.com"
    );
    assert_eq!(laura_talks.wait_for(|_| true), hint);
    laura_talks.type_line("/trust pere@bb.com");
    let trusted = format!(
        "* the key of pere@bb.com that begins with `{begins}` is known from now on; /verify pere@bb.com compares words"
    );
    assert_eq!(laura_talks.wait_for(|_| true), trusted);
    assert_eq!(undated(&call(&mut laura_talks, "pere@bb.com")), KNOWN_PERE);
    assert_eq!(begun(&mut new_talks), NEW_LAURA);
    assert_eq!(laura.known().len(), 1, "it takes the place of the old one");
    assert!(laura.known()[0].starts_with(&new.key("--line")));
    assert_eq!(new_talks.stdout().len(), 4, "he heard of no call before: {:?}", new_talks.stdout());
}

/// A command without words is not enough to replace a verified key.
#[test]
fn a_verified_key_changes_only_by_words() {
    let (node, laura, old) = node_and_homes();
    let mut old_talks = old.chat(&node, &[]);
    let mut laura_talks = laura.chat(&node, &[]);
    call(&mut laura_talks, "pere@bb.com");
    laura_talks.type_line(&format!("/verify pere@bb.com {}", old.key("--words")));
    laura_talks.expect_line("* the words are right");
    end(&mut laura_talks, &mut old_talks);
    drop(old_talks);

    let new = new_machine(&old);
    let mut new_talks = new.chat(&node, &[]);
    laura_talks.type_line("/call pere@bb.com");
    assert_eq!(undated(&laura_talks.expect_line("!")), CHANGED);
    let hint = laura_talks.wait_for(|_| true);
    let asks = "ask another way for the words of the new key, then: /trust pere@bb.com WORD…";
    assert!(hint.ends_with(asks), "{hint}");
    laura_talks.type_line("/trust pere@bb.com");
    let told = laura_talks.expect_line("!");
    assert!(told.ends_with("so those of the new key have to be, too: /trust pere@bb.com WORD…"), "{told}");
    laura_talks.type_line("/call pere@bb.com");
    laura_talks.expect_line("! cannot reach pere@bb.com: its key is not");
    laura_talks.type_line(&format!("/trust pere@bb.com {}", new.key("--words")));
    laura_talks.expect_line("* the words are right");
    assert_eq!(undated(&call(&mut laura_talks, "pere@bb.com")), "* encrypted, key verified on DAY");
    begun(&mut new_talks);
    assert_eq!(laura.known().len(), 2, "the other machine may still be his");
}

/// `--wait` tries again for what passes by itself. This does not.
#[test]
fn a_script_does_not_try_a_changed_key_again() {
    let (node, laura, old) = node_and_homes();
    let old_talks = old.chat(&node, &[]);
    assert_eq!(laura.send(&node, &["pere@bb.com", "hola"]).0, 0);
    drop(old_talks);
    let new = new_machine(&old);
    let new_talks = new.chat(&node, &[]);
    let asks =
        |node: &NodeProgram| node.log().iter().filter(|line| line.contains(", PLlaura@bb.com:")).count();
    let before = asks(&node);
    let (code, told) = laura.send(&node, &["--wait", "2h", "--refresh", "off", "pere@bb.com", "hola"]);
    assert_eq!((code, undated(&told[0]).as_str()), (9, CHANGED));
    let import = "then: mi-agent trust forget pere@bb.com --from laura@bb.com; mi-agent trust import FILE --from laura@bb.com";
    assert!(told[1].contains(&first_words(&new)) && told[1].ends_with(import), "{told:?}");
    // The question, and the same forwarded.
    assert!(asks(&node) - before <= 2 * 5);
    assert_eq!(new_talks.stdout().len(), 2, "{:?}", new_talks.stdout());
    // The advice of the hint helps.
    fs::write(laura.path().join("pere.key"), new.key("--line") + "\n").expect("written");
    let import = &["trust", "import", "pere.key", "--from", "laura@bb.com"];
    let (code, told, _) = laura.run(import);
    let stays = "! the keys of pere@bb.com stay as they are: a call met another one, or its words were compared; forget \
                 that one first";
    assert_eq!((code, told), (1, vec![stays.to_owned()]));
    assert_eq!(laura.run(&["trust", "forget", "pere@bb.com", "--from", "laura@bb.com"]).0, 0);
    let (code, told, _) = laura.run(import);
    assert_eq!((code, told), (0, vec!["* pere@bb.com is introduced".to_owned()]));
    assert_eq!(laura.send(&node, &["pere@bb.com", "hola"]), (0, vec![]));
}

/// The one with the new machine calls. Nobody can tell whether it is Pere.
#[test]
fn a_caller_with_another_key_is_refused_and_told_why() {
    let (node, laura, old) = node_and_homes();
    let mut old_talks = old.chat(&node, &[]);
    let mut laura_talks = laura.chat(&node, &[]);
    call(&mut laura_talks, "pere@bb.com");
    end(&mut laura_talks, &mut old_talks);
    drop(old_talks);

    let new = new_machine(&old);
    let knows = "! cannot reach laura@bb.com: it knows another key for pere@bb.com";
    for _ in 0..2 {
        let (code, told) = new.send(&node, &["--wait", "2h", "laura@bb.com", "hola"]);
        assert_eq!((code, told[0].as_str()), (9, knows));
        let words =
            "read out what `mi-agent key show --words --from pere@bb.com` prints; the other side types: ";
        assert!(told[1].contains(words), "{told:?}");
    }
    let mut new_talks = new.chat(&node, &[]);
    new_talks.type_line("/call laura@bb.com");
    assert_eq!(new_talks.expect_line("!"), knows);
    assert!(new_talks.wait_for(|_| true).ends_with("the other side types: /trust pere@bb.com WORD…"));
    new_talks.expect_line("* conversation with laura ended");
    // Laura is told once, however often it is tried, and takes the key as the words that she hears say.
    laura_talks.type_line("/help");
    laura_talks.expect_line("* //text");
    let told = laura_talks.stdout();
    let warnings: Vec<_> = told.iter().filter(|line| line.contains("another key")).collect();
    assert_eq!(warnings, ["! somebody called as pere@bb.com with another key"]);
    laura_talks.type_line("/call pere@bb.com");
    laura_talks.expect_line("! cannot reach pere@bb.com: its key is not");
    laura_talks.type_line(&format!("/trust pere@bb.com {}", new.key("--words")));
    laura_talks.expect_line("* the words are right");
    new_talks.type_line("/call laura@bb.com");
    new_talks.expect_line("* in conversation with laura");
    assert_eq!(undated(&begun(&mut laura_talks)), "* encrypted, key verified on DAY");
}

/// Somebody takes the offer of encryption out of the answer, or Pere's agent cannot encrypt any more.
#[test]
fn a_user_with_a_key_who_offers_no_encryption_is_called_only_by_a_command_of_its_own() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    let mut laura_talks = laura.chat(&node, &[]);
    call(&mut laura_talks, "pere@bb.com");
    end(&mut laura_talks, &mut pere_talks);
    drop(pere_talks);

    let mut pere_talks = pere.chat(&node, &["--security", "off"]);
    laura_talks.type_line("/call pere@bb.com");
    let offers_none = "! cannot reach pere@bb.com: it offers no encryption, and it has a key";
    assert_eq!(laura_talks.expect_line("!"), offers_none);
    let hint = "* nothing was sent; /plain pere@bb.com calls once without encryption";
    assert_eq!(laura_talks.wait_for(|_| true), hint);
    assert_eq!(begun(&mut pere_talks), PLAIN, "his agent hears a call that ends at once");
    pere_talks.expect_line("* conversation with laura ended");
    laura_talks.type_line("/plain pere@bb.com");
    laura_talks.expect_line("* calling pere@bb.com once without encryption");
    assert_eq!(begun(&mut laura_talks), PLAIN);
    laura_talks.type_line("hola");
    assert_eq!(pere_talks.expect_line("<"), "<laura> hola");
    laura_talks.type_line("/plain pere@bb.com");
    assert_eq!(laura_talks.expect_line("!"), "! you are in a conversation; /bye ends it");
    end(&mut laura_talks, &mut pere_talks);
    // It was for once.
    laura_talks.type_line("/call pere@bb.com");
    assert_eq!(laura_talks.expect_line("!"), offers_none);
    pere_talks.expect_line("* conversation with laura ended");
    let sends = Home::of("joan@bb.com");
    fs::create_dir_all(sends.data("")).expect("a folder");
    fs::copy(laura.data("known_peers"), sends.data("known_peers")).expect("copied");
    let (code, told) = sends.send(&node, &["--wait", "2h", "pere@bb.com", "hola"]);
    assert_eq!((code, &told[told.len() - 2..]), (8, &[offers_none.to_owned(), IN_PLAIN.to_owned()][..]));

    // He calls in plain text, which anybody can do in his name.
    pere_talks.expect_line("* conversation with ");
    pere_talks.type_line("/call laura@bb.com");
    assert_eq!(begun(&mut laura_talks), PLAIN);
    let lacks = "! pere@bb.com has a key, and this call does not show it";
    assert_eq!(laura_talks.wait_for(|_| true), lacks);
    end(&mut laura_talks, &mut pere_talks);
    // If the words were compared, nobody calls so.
    let verifies = ["trust", "verify", "--from", "laura@bb.com", "pere@bb.com"];
    let words = pere.key("--words");
    let arguments = [&verifies[..], &words.split(' ').collect::<Vec<_>>()].concat();
    assert_eq!(laura.run(&arguments).0, 0);
    pere_talks.type_line("/call laura@bb.com");
    let refused = "* pere@bb.com was refused: the call does not show the key that was verified";
    assert_eq!(laura_talks.wait_for(|_| true), refused);
    pere_talks.expect_line("<laura> busy");
}

const IN_PLAIN: &str = "* nothing was sent; with --security off it is sent in plain text";

/// His agent must not take her second question for a repetition whose first answer was dropped on the way.
#[test]
fn after_a_plain_call_the_next_one_is_encrypted_at_once() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    let mut laura_talks = laura.chat(&node, &[]);
    call(&mut laura_talks, "pere@bb.com");
    end(&mut laura_talks, &mut pere_talks);
    laura_talks.type_line("/plain pere@bb.com");
    assert_eq!(begun(&mut laura_talks), PLAIN);
    end(&mut laura_talks, &mut pere_talks);
    assert_eq!(undated(&call(&mut laura_talks, "pere@bb.com")), KNOWN_PERE);
}
