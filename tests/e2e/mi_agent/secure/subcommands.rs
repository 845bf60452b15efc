//! `mi-agent key` and `mi-agent trust`.

use integration_tests::camera::scan;

use super::*;

fn trust(home: &Home, arguments: &[&str]) -> (i32, Vec<String>, Vec<String>) {
    home.run(&[&["trust", "--from", home.address], arguments].concat())
}

/// A user that starts with `key show` has the key from then on.
#[test]
fn the_own_key_is_shown_in_every_form() {
    let laura = Home::of("laura@bb.com");
    let line = laura.key("--line");
    assert!(line.starts_with("laura@bb.com ed25519 "), "{line}");
    let base64 = &line["laura@bb.com ed25519 ".len()..];
    assert_eq!(base64.len(), 44);
    let (words, digits) = (laura.key("--words"), laura.key("--digits"));
    assert_eq!(words.split(' ').count(), 8);
    assert!(
        digits.split(' ').count() == 9 && digits.chars().all(|c| c == ' ' || c.is_ascii_digit()),
        "{digits}"
    );
    let (_, all, _) = laura.run(&["key", "show", "--from", "laura@bb.com"]);
    assert_eq!(all, [line.clone(), format!("words   {words}"), format!("digits  {digits}")]);
    assert_eq!(laura.key("--line"), line, "it stays");
    let code = laura.key("--qr");
    let widths: Vec<_> = code.lines().map(|line| line.chars().count()).collect();
    // Two squares are one above the other in a character, and four are left white around the code.
    assert!(
        widths.iter().all(|width| *width == widths[0]) && widths.len() == widths[0].div_ceil(2),
        "{code}"
    );
    assert!(code.chars().all(|c| " \n█▀▄".contains(c)) && code.starts_with('█'), "{code}");
    assert_eq!(scan(&code), format!("mi:laura@bb.com?key={base64}"));
    let (code, _, told) = laura.run(&["key", "show", "--from", "laura@bb.com", "--line", "--words"]);
    assert!(code == 2 && told[0].contains("cannot be used with"), "{told:?}");
    let (code, _, told) = laura.run(&["key", "show"]);
    assert!(code == 2 && told[0].contains("--from is missing, and the settings have no address"), "{told:?}");
    // The words are those of the user's address.
    integration_tests::programs::write_agent_settings(laura.path(), "address = 'laura@bb.com'\n");
    assert_eq!(laura.run(&["key", "show", "--words"]).1, std::slice::from_ref(&words));
    let path = laura.data("identity.pem");
    let other =
        ["key", "show", "--from", "joan@bb.com", "--words", "--identity", path.to_str().expect("a path")];
    assert_ne!(laura.run(&other).1, [words]);
}

#[test]
fn keys_are_listed_verified_and_forgotten() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    assert_eq!(trust(&laura, &["list"]), (0, vec![], vec![]));
    assert_eq!(laura.send(&node, &["pere@bb.com", "hola"]), (0, vec![]));
    pere_talks.expect_line("* conversation with ");
    let (_, listed, _) = trust(&laura, &["list"]);
    assert_eq!(listed, laura.known());
    assert_eq!(undated(&listed[0]), format!("{} seen DAY", pere.key("--line")));

    let words = pere.key("--words");
    let words: Vec<_> = words.split(' ').collect();
    let verify = |words: &[&str]| trust(&laura, &[&["verify", "pere"], words].concat());
    let (code, _, told) = verify(&words[..7]);
    assert!(code == 2 && told[0].contains("these words are 7, and a key has 8"), "{told:?}");
    let mut wrong = words.clone();
    wrong[4] = if words[4] == "zoo" { "able" } else { "zoo" };
    let told = "mi-agent: the key of pere@bb.com is not verified: word 5 is another one";
    assert_eq!(verify(&wrong), (1, vec![], vec![told.into()]));
    let told = "* the key of pere@bb.com is verified";
    assert_eq!(verify(&words), (0, vec![told.into()], vec![]));
    assert!(undated(&laura.known()[0]).ends_with(" seen DAY verified DAY"), "{:?}", laura.known());
    let (code, _, told) = trust(&laura, &[&["verify", "joan"], &words[..]].concat());
    let nothing = "mi-agent: no key of joan@bb.com is known: call it first, or import its key";
    assert_eq!((code, told), (1, vec![nothing.to_owned()]));

    // A slip of the pen does not forget what two people compared.
    let forget = |arguments: &[&str]| trust(&laura, &[&["forget"], arguments].concat());
    let told =
        "mi-agent: the words of a key of pere@bb.com were compared; --verified forgets it all the same";
    assert_eq!(forget(&["pere"]), (1, vec![], vec![told.into()]));
    let stays = "mi-agent: the keys of pere@bb.com stay as they are: no such key is known";
    let other = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    assert_eq!(forget(&["--verified", "pere", other]), (1, vec![], vec![stays.into()]));
    assert_eq!(laura.known().len(), 1);
    let before = laura.known().remove(0);
    let told = format!("* forgotten: {before}");
    assert_eq!(forget(&["--verified", "pere"]), (0, vec![told], vec![]));
    assert_eq!(laura.known(), [""; 0]);
    assert_eq!(forget(&["pere"]), (1, vec![], vec![stays.into()]));
    let mut laura_talks = laura.chat(&node, &[]);
    assert_eq!(call(&mut laura_talks, "pere@bb.com"), NEW_PERE);
}

#[test]
fn keys_are_imported_from_lines() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    let joya = Home::of("joya@cc.com");
    let file = laura.path().join("keys");
    let import = |text: &str, arguments: &[&str]| {
        fs::write(&file, text).expect("written");
        trust(&laura, &[&["import", "keys"], arguments].concat())
    };
    let (of_pere, of_joya) = (pere.key("--line"), joya.key("--line"));
    let both =
        format!("{of_pere}\n\n{of_joya} seen 2026-11-29 verified 2026-12-01\n{}\n", laura.key("--line"));
    let (code, told, _) = import(&both, &[]);
    let other = "! joya@cc.com is not of bb.com, whose node you believe; --any-domain learns it, too";
    assert_eq!((code, told), (1, vec!["* pere@bb.com is introduced".to_owned(), other.to_owned()]));
    let (code, told, _) = import(&both, &["--any-domain"]);
    let expected = ["* pere@bb.com is known with this key", "* joya@cc.com is introduced"];
    assert_eq!((code, told), (0, expected.map(str::to_owned).to_vec()));
    let known: Vec<_> = laura.known().iter().map(|line| undated(line)).collect();
    assert_eq!(known, [format!("{of_pere} introduced DAY"), format!("{of_joya} introduced DAY")]);

    assert_eq!(laura.send(&node, &["--security", "introduced", "pere@bb.com", "hola"]), (0, vec![]));
    pere_talks.expect_line("* conversation with ");
    let mut laura_talks = laura.chat(&node, &[]);
    let introduced = "* encrypted, key introduced by the node of bb.com";
    assert_eq!(call(&mut laura_talks, "pere@bb.com"), introduced);

    // One wrong line, and nothing is learned.
    let joan = Home::of("joan@bb.com").key("--line");
    for (text, reason) in [
        (format!("{joan}\n# joan\n"), "line 2 is not of the form ADDRESS ed25519 BASE64"),
        (format!("{joan}\njoan ed25519 {}\n", &joan[20..]), "line 2: an address is user@domain, "),
        (joan.replace('=', ""), "line 1: the key is not a key: 44 characters of base64 are one"),
    ] {
        let (code, told, stderr) = import(&text, &[]);
        let expected = format!("mi-agent: nothing was learned from keys: {reason}");
        assert!(code == 1 && told.is_empty() && stderr[0].starts_with(&expected), "{stderr:?}");
    }
    assert_eq!(laura.known().len(), 2);
    // A list of the domain, as its node prints it: everybody is in it, and the strength is always the same.
    let (new_pere, anna) = (Home::of("pere@bb.com").key("--line"), Home::of("anna@bb.com").key("--line"));
    fs::write(laura.data("known_peers"), format!("{of_pere} seen 2026-11-28\n")).expect("written");
    let list = format!(
        "{} introduced 2026-11-29\n{new_pere} introduced 2026-11-29\n{anna} seen 2026-11-29 verified 2026-11-29\n",
        laura.key("--line")
    );
    let stays = "! the keys of pere@bb.com stay as they are: a call met another one, or its words were compared; forget \
                 that one first";
    let (code, told, _) = import(&list, &[]);
    assert_eq!((code, told), (1, vec![stays.to_owned(), "* anna@bb.com is introduced".to_owned()]));
    let known: Vec<_> = laura.known().iter().map(|line| undated(line)).collect();
    assert_eq!(known, [format!("{anna} introduced DAY"), format!("{of_pere} seen DAY")]);
    let (code, told, _) = import(&format!("{of_pere} introduced 2026-11-29\n"), &[]);
    assert_eq!((code, told), (0, vec!["* pere@bb.com is known with this key".to_owned()]));
    assert!(laura.known()[1].ends_with(" introduced 2026-11-28"), "{:?}", laura.known());

    // Four keys of a user are the most.
    let keys: String =
        (1..=5).map(|n| format!("joan@bb.com ed25519 {}=\n", format!("{n}").repeat(42) + "A")).collect();
    let (code, told, _) = import(&keys, &[]);
    let full = "! the keys of joan@bb.com stay as they are: 4 keys are known already";
    assert_eq!((code, told.len(), told[4].as_str()), (1, 5, full));
}
