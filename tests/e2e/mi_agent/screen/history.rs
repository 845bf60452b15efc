//! Conversations and calls that are kept.

use std::collections::BTreeSet;

use integration_tests::raw_user::RawUser;

use super::*;

#[test]
fn what_was_said_is_there_the_next_time() {
    let town = Town::new();
    let (laura, mut joya) = talking(&town, &[]);
    laura.type_line("fins demà");
    joya.expect_line("<laura> fins demà");
    joya.type_line("adeu");
    laura.expect_text("joya adeu");
    let folder = laura.folder().join(DATA).join("mi-agent/laura@bb.com");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
    let history = folder.join("history/joya@bb.com.jsonl");
    for file in [&history, &folder.join("contacts.json")] {
        assert_eq!(fs::metadata(file).expect("it is kept").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::read_to_string(&history).expect("it is kept").lines().count(), 2);
    // The same folder, by two keys.
    let mut again = Command::new(executable(AGENT));
    again.args(["laura@bb.com", "--node", &town.node.address().to_string()]);
    let again = Terminal::start_command(&again, laura.folder(), (24, 90));
    again.expect_text("type /call and an address");
    again.press(Key::F(3));
    again.expect_text("joya@bb.com  called");
    again.press(Key::Enter);
    let screen = again.wait_for(|screen| {
        screen.text().contains("fins demà") && screen.text().contains("in conversation with joya")
    });
    let [earlier, now] = ["fins demà", "in conversation with"].map(|text| screen.position_of(text));
    assert!(earlier < now, "{screen}");
}

/// It is read from the contacts, and by the command.
#[test]
fn the_history_is_read_without_calling() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &[]);
    laura.type_line("/add joya@bb.com");
    laura.expect_text("joya@bb.com is in your contacts");
    let history = laura.folder().join(DATA).join("mi-agent/laura@bb.com/history");
    fs::create_dir_all(&history).expect("the folder is the test's own");
    let line = |n| {
        format!(
            "{{\"at\":\"2026-11-25T15:40:00Z\",\"way\":\"sent\",\"nick\":\"Laura\",\"text\":\"Line {n}.\"}}\n"
        )
    };
    let lines: String = (0..200).map(line).collect();
    fs::write(history.join("joya@bb.com.jsonl"), lines).expect("the folder is the test's own");
    laura.press(Key::F(3));
    laura.expect_text("joya@bb.com  added");
    laura.type_text("h");
    laura.expect_text("Line 199.");
    laura.expect_text("PageUp shows more of the history");
    // More is loaded meanwhile, so the number of pages differs.
    eventually("the first line is shown", || {
        laura.press(Key::PageUp);
        laura.screen().text().contains("Line 0.")
    });
    laura.type_line("/find lINE 7");
    laura.expect_text("11 lines have \"lINE 7\" in it, in upper or lower case");
    laura.expect_text("Line 79.");

    let arguments = ["history", "joya", "--from", "laura@bb.com", "--search", "line 19"];
    let printed = |more: &[&str]| {
        let mut command = Command::new(executable(AGENT));
        let output =
            at_home(&mut command, laura.folder()).args(arguments).args(more).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let words = printed(&[]);
    assert_eq!(words.lines().count(), 11, "{words}");
    assert!(words.lines().next().is_some_and(|line| line.ends_with(" <Laura> Line 19.")), "{words}");
    let last = r#"{"at":"2026-11-25T15:40:00Z","nick":"Laura","text":"Line 199.","way":"sent"}"#;
    assert_eq!(printed(&["--json"]).lines().last(), Some(last));
    let said = r#"{"at":"2026-11-25T15:41:00Z","way":"received","nick":"Joya","text":"\tline 19\u001b"}"#;
    let mut file = File::options().append(true).open(history.join("joya@bb.com.jsonl")).expect("it is there");
    writeln!(file, "{said}").expect("the folder is the test's own");
    let last = r#"{"at":"2026-11-25T15:41:00Z","nick":"Joya","raw":"\tline 19\u001b","text":"    line 19\\x1b","way":"received"}"#;
    assert_eq!(printed(&["--json"]).lines().last(), Some(last));
    let mut nobody = Command::new(executable(AGENT));
    let output = at_home(&mut nobody, laura.folder())
        .args(["history", "pere@bb.com", "--from", "laura@bb.com"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "mi-agent: there is no history of laura@bb.com with pere@bb.com\n"
    );
}

/// The file of a caller is full, so what is said now is on the screen only. What was said before is there all
/// the same.
#[test]
fn scrolling_skips_no_line_while_others_are_left_out() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &[]);
    let callers = laura.folder().join(DATA).join("mi-agent/laura@bb.com/history/callers");
    fs::create_dir_all(&callers).expect("the folder is the test's own");
    let line = |n| {
        let (at, way) = ("2026-11-25T15:40:00Z", "received");
        format!("{{\"at\":\"{at}\",\"way\":\"{way}\",\"nick\":\"U\",\"text\":\"Line {n}.\"}}\n")
    };
    let lines: String = (0..200).map(line).collect();
    let full = (64 << 10) - 150 - lines.len();
    let path = callers.join("u@cc.com.jsonl");
    fs::write(&path, "x".repeat(full) + "\n" + &lines).expect("the folder is the test's own");
    let stranger = RawUser::new(town.node.address());
    let at = stranger.locates("u@cc.com", "laura@bb.com");
    let mut call = TcpStream::connect(at).expect("laura listens");
    call.write_all(b"N01u").expect("written");
    let said: String = (0..100).map(|n| format!("L07more {n:02}")).collect();
    call.write_all(said.as_bytes()).expect("written");
    laura.expect_text("more 99");
    // More is loaded meanwhile, so the number of pages differs.
    eventually("the first line is shown", || {
        laura.press(Key::PageUp);
        laura.screen().text().contains("Line 0.")
    });
    let mut seen = BTreeSet::new();
    loop {
        let text = laura.screen().text();
        seen.extend((0..200).filter(|n| text.contains(&format!(" Line {n}."))));
        if text.contains("more 99") {
            break;
        }
        laura.wheel(Wheel::Down, 5, 5);
        laura.wait_for(|screen| screen.text() != text);
    }
    assert_eq!(seen.len(), 200, "{seen:?}");
    let kept = fs::read_to_string(path).expect("it is kept");
    assert!(!kept.contains("\"more 9"), "{kept}");
}

#[test]
fn without_history_nothing_is_kept_of_what_is_said() {
    let town = Town::new();
    let (laura, mut joya) = talking(&town, &["--no-history"]);
    laura.type_line("a secret");
    joya.expect_line("<laura> a secret");
    laura.type_line("/quit");
    laura.wait_exit();
    assert!(!laura.folder().join(DATA).join("mi-agent/laura@bb.com/history").exists());
}

#[test]
fn a_missed_call_is_in_the_contacts() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &["--conversations", "1"]);
    let (mut joya, mut pere) = (town.in_lines("joya"), town.in_lines("pere"));
    joya.type_line("/call laura@bb.com");
    joya.expect_line("* in conversation with laura");
    pere.type_line("/call laura@bb.com");
    pere.expect_line("! cannot reach laura@bb.com: user is busy");
    laura.wait_for(|screen| screen.rows()[0].contains("mi-agent · 1 missed"));
    laura.press(Key::F(3));
    laura.expect_text("pere@bb.com  missed ");
    laura.press(Key::Esc);
    // An Esc that is still on its way would make Alt-/ of the first letter.
    laura.wait_for(|screen| !screen.text().contains("missed"));
    laura.type_line("/add marta@bb.com");
    laura.expect_text("marta@bb.com is in your contacts");
    laura.press(Key::F(3));
    laura.expect_text("marta@bb.com  added ");
}
