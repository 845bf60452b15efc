//! Peers that call and talk as much as they can: the user's own data stays, and their share is bounded.

use std::collections::BTreeSet;
use std::thread;

use integration_tests::raw_user::{RawUser, connect_from};

use super::*;

#[test]
fn every_contact_that_was_called_is_there_after_a_thousand_callers() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &[]);
    let mut friends = ["joya", "pere"].map(|user| town.in_lines(user));
    for (tab, friend) in ["joya", "pere"].into_iter().zip(&mut friends) {
        laura.type_line(&format!("/call {tab}@bb.com"));
        friend.expect_line("* in conversation with laura");
        friend.type_line("EXIT");
        laura.expect_text(&format!("conversation with {tab} ended by {tab}"));
    }
    let stranger = RawUser::new(town.node.address());
    // A hundred hosts call in turn.
    for (n, host) in (0..1_000).zip((0..100).cycle()) {
        let at = stranger.locates(&format!("u{n}@cc.com"), "laura@bb.com");
        let mut call = connect_from(Ipv4Addr::new(127, 0, 1, host), at);
        call.write_all(b"N01uL04hola").expect("written");
        // Laura has taken the call, or is busy with others.
        call.read_exact(&mut [0; 8]).expect("a nickname");
        call.shutdown(Shutdown::Write).expect("FIN");
    }
    let folder = laura.folder().join(DATA).join("mi-agent/laura@bb.com");
    let kept = || fs::read_to_string(folder.join("contacts.json")).expect("there are contacts");
    eventually("the last caller is kept", || kept().contains("u999@cc.com"));
    for friend in ["joya", "pere"] {
        let line = format!("{{\"address\":\"{friend}@bb.com\",\"nickname\":\"{friend}\",\"way\":\"called\"");
        assert!(kept().contains(&line), "{friend} in {}", kept());
    }
    assert!(kept().matches("\"address\"").count() <= 102, "{}", kept());
    let of_callers = fs::read_dir(folder.join("history/callers")).expect("they have said something").count();
    assert!(of_callers <= 100, "{of_callers} files");
}

/// Boss asks where Laura is just before Joan calls, so the call may be that of either.
#[test]
fn what_a_caller_says_who_may_be_one_of_two_is_kept_under_neither() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &[]);
    let stranger = RawUser::new(town.node.address());
    stranger.locates("boss@evil.com", "laura@bb.com");
    let at = stranger.locates("joan@cc.com", "laura@bb.com");
    let mut call = connect_from(Ipv4Addr::LOCALHOST, at);
    call.write_all(b"N04JoanL04hola").expect("written");
    laura.expect_text("Joan hola");
    laura.type_line("who is it?");
    let mut said = [0; 21];
    call.read_exact(&mut said).expect("an answer");
    assert_eq!(&said, b"N05lauraL10who is it?");
    call.shutdown(Shutdown::Write).expect("FIN");
    laura.expect_text("conversation with Joan ended by Joan");
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
    let folder = laura.folder().join(DATA).join("mi-agent/laura@bb.com");
    assert!(!folder.join("contacts.json").exists(), "she has met nobody");
    let files = |folder: &Path| -> Vec<_> {
        let entries = fs::read_dir(folder).expect("something is kept");
        entries.map(|entry| entry.expect("it is there").file_name()).collect()
    };
    assert_eq!(files(&folder.join("history")), ["callers"]);
    assert_eq!(files(&folder.join("history/callers")), ["unknown.jsonl"]);
    let printed = |more: &[&str]| {
        let mut command = Command::new(executable(AGENT));
        at_home(&mut command, laura.folder()).args(["history", "--unknown", "--from", "laura@bb.com"]);
        let output = command.args(more).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let words = printed(&[]);
    let words: Vec<_> = words.lines().map(|line| line.get(20..).expect("a time")).collect();
    assert_eq!(
        words,
        ["* the caller may be boss@evil.com or joan@cc.com", "<Joan> hola", "<laura> who is it?"]
    );
    let json = printed(&["--json", "--search", "WHO"]);
    let (candidates, text) = (r#""candidates":["boss@evil.com","joan@cc.com"]"#, r#""text":"who is it?""#);
    assert!(json.lines().count() == 1 && json.contains(candidates) && json.contains(text), "{json}");
}

/// They are written in frames that take six times as much on the disk, until the caller is no longer read.
#[test]
fn the_lines_of_a_friend_survive_ten_megabytes_of_a_caller_under_the_name() {
    let town = Town::new();
    // A friend with a known key is not treated as such a caller.
    let (laura, mut joya) = talking(&town, &["--security", "off"]);
    let said = ["one", "two", "three", "four", "five"];
    for line in said {
        laura.type_line(line);
        joya.expect_line(&format!("<laura> {line}"));
    }
    joya.type_line("EXIT");
    laura.expect_text("conversation with joya ended by joya");
    // Nobody else may ask in her name while she is online.
    assert_eq!(joya.wait_exit(), 0);
    let at = RawUser::new(town.node.address()).locates("joya@bb.com", "laura@bb.com");
    let mut call = connect_from(Ipv4Addr::LOCALHOST, at);
    call.write_all(b"N04joya").expect("written");
    let writer = thread::spawn(move || {
        let frame = [&b"L99"[..], &[1; 99]].concat();
        let frames = frame.repeat(100);
        // An error: Laura has left.
        (0..10 << 20).step_by(frames.len()).take_while(|_| call.write_all(&frames).is_ok()).count()
    });
    let history = laura.folder().join(DATA).join("mi-agent/laura@bb.com/history");
    let kept = |file: &str| fs::read_to_string(history.join(file)).unwrap_or_default();
    let of_the_caller = "unanswered/joya@bb.com.jsonl";
    eventually("enough is kept", || kept(of_the_caller).contains("more was said than is kept"));
    let of_the_caller = kept(of_the_caller);
    assert!((200_000..=256 << 10).contains(&of_the_caller.len()), "{} bytes", of_the_caller.len());
    assert!(of_the_caller.ends_with("\"way\":\"left-out\",\"text\":\"more was said than is kept\"}\n"));
    let friends = kept("joya@bb.com.jsonl");
    assert_eq!(friends.lines().count(), said.len());
    for (line, text) in friends.lines().zip(said) {
        assert!(
            line.ends_with(&format!("\"way\":\"sent\",\"nick\":\"laura\",\"text\":\"{text}\"}}")),
            "{line}"
        );
    }
    let names: BTreeSet<_> = fs::read_dir(&history)
        .expect("a folder")
        .map(|entry| entry.expect("it is there").file_name())
        .collect();
    assert_eq!(names, BTreeSet::from(["joya@bb.com.jsonl", "unanswered"].map(Into::into)));
    drop(laura);
    writer.join().expect("no panic");
}

/// They say what takes four times as much on the screen: one as much as is read at once, and all together
/// more than all tabs keep.
#[test]
fn the_screen_takes_little_memory_whatever_callers_say() {
    let town = Town::new();
    let laura = town.at_terminal("laura", &[]);
    // No call comes into view beside a line that is being typed.
    laura.type_text("hola");
    laura.expect_text("> hola");
    let kibibytes = || -> usize {
        let status = format!("/proc/{}/status", laura.pid().as_raw_nonzero());
        let status = fs::read_to_string(status).expect("this is Linux");
        let written = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        written.expect("proc(5) says so").trim().trim_end_matches(" kB").parse().expect("a number")
    };
    let before = kibibytes();
    let stranger = RawUser::new(town.node.address());
    for n in 0..64 {
        let at = stranger.locates(&format!("u{n}@cc.com"), "laura@bb.com");
        let mut call = connect_from(Ipv4Addr::new(127, 0, 1, n), at);
        call.write_all(b"N01u").expect("written");
        let bytes = if n == 0 { 1 << 20 } else { 160 << 10 };
        call.write_all(&vec![1; bytes]).expect("written");
        call.shutdown(Shutdown::Write).expect("FIN");
        // Laura has read all of it.
        call.read_to_end(&mut Vec::new()).expect("her end");
    }
    let (after, more) = (kibibytes(), kibibytes().saturating_sub(before));
    assert!(after <= 64 << 10, "{after} KiB, {more} KiB of them for 64 tabs, which have 32 MiB together");
}
