//! Keys in the events and commands of `mi-agent listen --json`.

use serde_json::{Value, json};

use super::*;

struct Listener(Program);

impl Listener {
    fn start(home: &Home, node: &NodeProgram, arguments: &[&str]) -> Self {
        let at = node.address().to_string();
        let arguments = [&["listen", "--json", "--from", home.address, "--node", &at], arguments].concat();
        let mut new = Self(Program::start_command(&mut command(home.path(), &arguments)));
        new.expect("registered");
        new
    }

    fn give(&mut self, command: &Value) {
        self.0.type_line(&command.to_string());
    }

    /// Waits for the next event of this name.
    fn expect(&mut self, event: &str) -> Value {
        let parsed = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
        parsed(&self.0.wait_for(|line| parsed(line)["event"] == event))
    }
}

fn key(home: &Home) -> String {
    format!("ed25519:{}", home.key("--line").rsplit(' ').next().expect("a key"))
}

#[test]
fn events_have_keys_and_commands_decide_about_them() {
    let (node, laura, old) = node_and_homes();
    let mut bot = Listener::start(&laura, &node, &[]);
    let mut old_talks = old.chat(&node, &[]);
    bot.give(&json!({"call": "pere@bb.com"}));
    let begun = bot.expect("begun");
    assert_eq!(begun["security"], json!({"protection": "tls", "trust": "new", "key": key(&old)}));
    bot.give(&json!({"bye": begun["conversation"]}));
    bot.expect("ended");
    let words: Vec<_> = old.key("--words").split(' ').map(str::to_owned).collect();
    let mut wrong = words.clone();
    wrong[7] = if words[7] == "zoo" { "able".into() } else { "zoo".into() };
    bot.give(&json!({"verify": "pere@bb.com", "words": wrong, "ref": 1}));
    let failed = bot.expect("failed");
    let expected = json!({"command": "verify", "address": "pere@bb.com", "kind": "not-trusted", "ref": 1});
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&failed[field], value, "{failed}");
    }
    assert!(failed["reason"].as_str().expect("text").contains("word 8"), "{failed}");
    bot.give(&json!({"verify": "pere@bb.com", "words": words, "ref": 2}));
    let trusted = bot.expect("trusted");
    let expected = json!({"address": "pere@bb.com", "trust": "verified", "key": key(&old), "ref": 2});
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&trusted[field], value, "{trusted}");
    }
    old_talks.type_line("/call laura@bb.com");
    assert_eq!(bot.expect("begun")["security"]["trust"], "verified");
    old_talks.type_line("/quit");
    bot.expect("ended");

    // A new machine, both ways.
    let new = Home::of("pere@bb.com");
    let mut new_talks = new.chat(&node, &[]);
    bot.give(&json!({"call": "pere@bb.com", "ref": 3}));
    let failed = bot.expect("failed");
    assert_eq!((&failed["kind"], &failed["ref"]), (&json!("key-changed"), &json!(3)));
    assert_eq!((&failed["known"], &failed["offered"]), (&json!(key(&old)), &json!(key(&new))));
    new_talks.type_line("/call laura@bb.com");
    new_talks.expect_line("! cannot reach laura@bb.com: it knows another key for pere@bb.com");
    let refused = bot.expect("refused");
    assert_eq!(refused["kind"], "key-changed");
    assert_eq!((&refused["known"], &refused["offered"]), (&json!(key(&old)), &json!(key(&new))));
    assert_eq!(refused["reason"], "somebody called as pere@bb.com with another key");
    bot.give(&json!({"trust": "pere@bb.com"}));
    assert_eq!(bot.expect("failed")["kind"], "not-trusted", "the words of the old one were compared");
    let words: Vec<_> = new.key("--words").split(' ').map(str::to_owned).collect();
    bot.give(&json!({"trust": "pere@bb.com", "words": words}));
    assert_eq!(bot.expect("trusted")["trust"], "verified");
}

/// The callee of a refused key is told so in its own events.
#[test]
fn a_program_hears_that_its_key_is_another_one() {
    let (node, laura, old) = node_and_homes();
    let mut laura_talks = laura.chat(&node, &[]);
    let mut old_talks = old.chat(&node, &[]);
    call(&mut laura_talks, "pere@bb.com");
    end(&mut laura_talks, &mut old_talks);
    drop(old_talks);
    let new = Home::of("pere@bb.com");
    let mut bot = Listener::start(&new, &node, &[]);
    bot.give(&json!({"call": "laura@bb.com"}));
    bot.expect("begun");
    assert_eq!(bot.expect("trouble")["reason"], "it knows another key for pere@bb.com");
    bot.expect("ended");
}

#[test]
fn plain_calls_are_refused_and_permitted() {
    let (node, laura, pere) = node_and_homes();
    let mut bot = Listener::start(&laura, &node, &["--security", "encrypted"]);
    let mut pere_talks = pere.chat(&node, &["--security", "off"]);
    bot.give(&json!({"call": "pere@bb.com", "ref": "a"}));
    let failed = bot.expect("failed");
    assert_eq!((&failed["kind"], &failed["ref"]), (&json!("not-secure"), &json!("a")));
    assert_eq!(failed["reason"], "it cannot encrypt, and security is `encrypted`");
    pere_talks.expect_line("* conversation with ");
    pere_talks.type_line("/call laura@bb.com");
    assert_eq!(bot.expect("refused")["kind"], "not-secure");
    pere_talks.expect_line("<laura> this agent takes encrypted calls only");
    pere_talks.expect_line("* conversation with ");
    bot.give(&json!({"plain": "pere@bb.com", "ref": "b"}));
    let begun = bot.expect("begun");
    assert_eq!((&begun["security"], &begun["ref"]), (&json!({"protection": "plain"}), &json!("b")));
    pere_talks.expect_line("* in conversation with ");
    bot.give(&json!({"plain": "laura@bb.com", "ref": "c"}));
    let failed = bot.expect("failed");
    assert_eq!((&failed["command"], &failed["kind"]), (&json!("call"), &json!("yourself")));
}
