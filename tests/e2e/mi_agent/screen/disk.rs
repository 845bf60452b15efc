//! A disk that becomes full, and a program that is gone from one instruction to the next.

use rustix::process::{self as processes, Resource, Rlimit, getrlimit, prlimit};

use super::*;

/// Laura at a terminal with files that may be limited: a write beyond the limit is an error, and not the end.
fn laura(town: &Town, folder: &Path) -> Terminal {
    let mut shell = Command::new("sh");
    let at = town.node.address().to_string();
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(executable(AGENT));
    shell.args(["--log", "off", "--node", &at, "laura@bb.com"]);
    let laura = Terminal::start_command(&shell, folder, (24, 100));
    laura.wait_for(|screen| screen.text().contains("registered laura@bb.com"));
    laura.wait_for(Screen::reports_focus);
    laura
}

#[test]
fn a_full_disk_is_seen_in_the_tab_of_the_conversation_until_there_is_room() {
    let town = Town::new();
    let mut joya = town.in_lines("joya");
    let folder = tempfile::tempdir().expect("a folder");
    let laura = laura(&town, folder.path());
    laura.type_line("/call joya@bb.com");
    joya.expect_line("* in conversation with laura");
    laura.expect_text("in conversation with joya");
    laura.type_line("one");
    joya.expect_line("<laura> one");
    let history = folder.path().join(DATA).join("mi-agent/laura@bb.com/history/joya@bb.com.jsonl");
    let kept = || fs::read_to_string(&history).unwrap_or_default();
    eventually("it is kept", || kept().lines().count() == 1);
    let given = getrlimit(Resource::Fsize);
    let limit = |current| {
        prlimit(Some(laura.pid()), Resource::Fsize, Rlimit { current, ..given })
            .expect("a process of this user");
    };
    limit(Some(10));
    laura.type_line("two");
    joya.expect_line("<laura> two");
    let states = |screen: &Screen| screen.rows()[21..23].join("\n");
    let trouble = "registered · cannot keep or read what is said: File too large";
    laura.wait_for(|screen| {
        states(screen).contains(trouble) && states(screen).contains("joya@bb.com as joya")
    });
    // It is there as long as nothing is kept.
    laura.type_line("three");
    joya.expect_line("<laura> three");
    laura.wait_for(|screen| screen.text().contains("laura three") && states(screen).contains(trouble));
    limit(given.current);
    laura.type_line("four");
    laura.wait_for(|screen| states(screen).contains("registered at node"));
    let kept: Vec<_> = kept().lines().map(str::to_owned).collect();
    assert!(kept.len() == 2 && kept[1].ends_with("\"text\":\"four\"}"), "{kept:?}");
}

#[test]
fn programs_that_are_killed_leave_one_temporary_file_at_most() {
    let town = Town::new();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join(DATA).join("mi-agent/laura@bb.com");
    let temporary = || {
        let names =
            fs::read_dir(&data).expect("a folder").map(|entry| entry.expect("it is there").file_name());
        names.filter(|name| name.as_encoded_bytes().starts_with(b".")).collect::<Vec<_>>()
    };
    for round in 0..8 {
        let laura = laura(&town, folder.path());
        laura.type_text(&(0..100).map(|n| format!("/add u{round}x{n}@cc.com\r")).collect::<String>());
        laura.wait_for(|screen| {
            screen
                .rows()
                .iter()
                .any(|row| row.contains(&format!("* u{round}x")) && row.contains("is in your contacts"))
        });
        processes::kill_process(laura.pid(), processes::Signal::KILL).expect("it runs");
        eventually("it is gone", || laura.has_ended());
        assert!(temporary().len() <= 1, "{:?}", temporary());
    }
    let laura = laura(&town, folder.path());
    laura.type_line("/add joya@bb.com");
    laura.expect_text("joya@bb.com is in your contacts");
    laura.press(Key::Ctrl('c'));
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(temporary(), [""; 0]);
}
