//! `--security`: what conversations must have at least.

use super::*;

#[test]
fn a_caller_with_a_level_calls_nobody_below_it() {
    let (node, laura, pere) = node_and_homes();
    let mut plain = pere.chat(&node, &["--security", "off"]);
    for level in ["encrypted", "known", "introduced", "verified"] {
        let (code, told) = laura.send(&node, &["--security", level, "pere@bb.com", "hola"]);
        let reason = format!("! cannot reach pere@bb.com: it cannot encrypt, and security is `{level}`");
        assert_eq!((code, &told[0]), (8, &reason));
        // A deployed agent would be deaf after a question without a call.
        assert_eq!(begun(&mut plain), PLAIN);
        plain.expect_line("* conversation with laura ended");
    }
    assert!(!plain.stdout().iter().any(|line| line.starts_with('<')), "{:?}", plain.stdout());
    drop(plain);
    let mut pere_talks = pere.chat(&node, &[]);
    for level in ["known", "introduced", "verified"] {
        let (code, told) = laura.send(&node, &["--wait", "2h", "--security", level, "pere@bb.com", "hola"]);
        let reason = format!("! cannot reach pere@bb.com: its key is new, and security is `{level}`");
        assert_eq!((code, &told[0]), (8, &reason));
    }
    assert_eq!(laura.known(), [""; 0]);
    assert_eq!(laura.send(&node, &["--security", "encrypted", "pere@bb.com", "hola"]), (0, vec![]));
    pere_talks.expect_line("<laura> hola");
    assert_eq!(laura.send(&node, &["--security", "known", "pere@bb.com", "adeu"]), (0, vec![]));
    pere_talks.expect_line("<laura> adeu");
    let (code, told) = laura.send(&node, &["--security", "introduced", "pere@bb.com", "hola"]);
    let reason = "! cannot reach pere@bb.com: its key is known, and security is `introduced`";
    assert_eq!((code, told[0].as_str()), (8, reason));
}

/// A user that accepts only known keys has to be able to learn one.
#[test]
fn at_a_level_the_refused_key_can_be_taken() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    let mut laura_talks = laura.chat(&node, &["--security", "known"]);
    laura_talks.type_line("/call pere@bb.com");
    laura_talks.expect_line("! cannot reach pere@bb.com: its key is new, and security is `known`");
    let hint = "* /trust pere@bb.com takes its key as it is; /verify pere@bb.com WORD… compares its words";
    assert_eq!(laura_talks.wait_for(|_| true), hint);
    laura_talks.type_line("/trust pere@bb.com");
    laura_talks.expect_line("* the key of pere@bb.com that begins with");
    assert_eq!(undated(&call(&mut laura_talks, "pere@bb.com")), KNOWN_PERE);
    end(&mut laura_talks, &mut pere_talks);
    drop(laura_talks);
    let mut laura_talks = laura.chat(&node, &["--security", "verified"]);
    laura_talks.type_line("/call pere@bb.com");
    laura_talks.expect_line("! cannot reach pere@bb.com: its key is known, and security is `verified`");
    let hint = laura_talks.wait_for(|_| true);
    assert_eq!(hint, "* ask another way for the words of its key, then: /verify pere@bb.com WORD…");
    laura_talks.type_line(&format!("/verify pere@bb.com {}", pere.key("--words")));
    laura_talks.expect_line("* the words are right");
    assert_eq!(undated(&call(&mut laura_talks, "pere@bb.com")), "* encrypted, key verified on DAY");
}

#[test]
fn a_callee_with_a_level_takes_no_call_below_it() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &["--security", "known"]);
    let joan = Home::of("joan@bb.com");
    for (home, level, takes) in [(&laura, "offer", "known keys only"), (&joan, "off", "encrypted calls only")]
    {
        let (code, told) = home.send(&node, &["--wait", "2h", "--security", level, "pere@bb.com", "hola"]);
        let reason = format!(
            "! cannot reach pere@bb.com: the call was ended at once, with the words: this agent takes {takes}"
        );
        assert_eq!((code, told), (8, vec![format!("<pere> this agent takes {takes}"), reason]));
        let refused = format!("* {} was refused: this agent takes {takes}", home.address);
        assert_eq!(pere_talks.wait_for(|_| true), refused);
    }
    // He knows her, once he has called her.
    let mut laura_talks = laura.chat(&node, &[]);
    pere_talks.type_line("/call laura@bb.com");
    pere_talks.expect_line("! cannot reach laura@bb.com: its key is new");
    pere_talks.type_line("/trust laura@bb.com");
    pere_talks.expect_line("* the key of laura@bb.com");
    call(&mut laura_talks, "pere@bb.com");
    let known = "* encrypted, key known since DAY: /verify laura@bb.com compares words";
    assert_eq!(undated(&begun(&mut pere_talks)), known);
}

/// A level is a setting, too, and a wrong one is no setting.
#[test]
fn a_level_is_set_or_given() {
    let (node, laura, pere) = node_and_homes();
    let _pere_talks = pere.chat(&node, &["--security", "off"]);
    integration_tests::programs::write_agent_settings(laura.path(), "security = 'encrypted'\n");
    assert_eq!(laura.send(&node, &["pere@bb.com", "hola"]).0, 8);
    assert_eq!(laura.send(&node, &["--security", "offer", "pere@bb.com", "hola"]), (0, vec![]));
    assert_eq!(laura.send(&node, &["--security", "on", "pere@bb.com", "hola"]).0, 2);
    let (_, told, _) = laura.run(&["config", "show"]);
    assert!(told.contains(&"security = \"encrypted\"".to_owned()), "{told:?}");
}
