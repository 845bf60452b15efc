//! Callers of a user at a terminal: what they leave on the disk, and what stays of the user's own.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_tests::loads::at_rate;
use integration_tests::programs::{AgentProgram, AgentTerminal, DATA, NodeProgram, eventually};
use integration_tests::raw_user::{RawUser, connect_from};
use serde_json::Value;
use tokio::time::Instant;

use crate::Options;
use crate::report::{Report, in_kib};

/// Somebody calls in the name of a friend and says empty lines, and then lines that take six times as much on
/// the disk.
pub(crate) fn history(_: &Options, report: &mut Report) {
    let node = NodeProgram::start("bb.com", &["laura", "joya"], &["-qq"]);
    let laura = at_terminal(&node);
    call_and_be_left(&node, &laura, "joya", &LINES);
    let file = data_of(&laura).join("history/joya@bb.com.jsonl");
    let before = size(&file);
    let entries = || received(&file).count();
    let lines_of_joya = entries();
    let stranger = RawUser::new(node.address());

    let mut call = connect_from(Ipv4Addr::LOCALHOST, stranger.locates("joya@bb.com", "laura@bb.com"));
    say(&mut call, &[b"N01J", &b"L00".repeat(EMPTY_LINES)[..]].concat());
    eventually("they are kept", || entries() == lines_of_joya + EMPTY_LINES);
    let wire = EMPTY_LINES * 3;
    let ratio = (size(&file) - before) as f64 / wire as f64;
    report.note("bytes of empty lines in the friend's name", wire);
    report.figure("bytes on the disk for each of them", format!("{ratio:.1}"), "<= 22", ratio <= 22.0);

    let before = size(&file);
    let mut call = connect_from(Ipv4Addr::LOCALHOST, stranger.locates("joya@bb.com", "laura@bb.com"));
    say(&mut call, &[b"N01J", &[&b"L99"[..], &[1; 99]].concat().repeat(LONG_LINES)[..]].concat());
    let is_enough = || fs::read_to_string(&file).expect("it is kept").contains("more was said than is kept");
    eventually("enough is kept", is_enough);
    let (wire, more) = (LONG_LINES * 102, size(&file) - before);
    report.note("bytes of long lines in the friend's name", wire);
    let ratio = more as f64 / wire as f64;
    report.figure("bytes on the disk for each of them", format!("{ratio:.1}"), "<= 22", ratio <= 22.0);
    report.law("on the disk in all", in_kib(more), "<= 1 MiB", more <= CONVERSATION);

    let kept = fs::read_to_string(&file).expect("it is kept");
    let said = kept.lines().filter(|line| LINES.iter().any(|said| line.ends_with(&format!("\"{said}\"}}"))));
    let lines = said.count();
    report.law("lines that the user said to the friend", lines, "5", lines == LINES.len());
}

/// A thousand callers in a minute, each with a name of its own.
pub(crate) fn contacts(_: &Options, report: &mut Report) {
    let node = NodeProgram::start("bb.com", &["laura", "joya", "pere", "anna"], &["-qq"]);
    let laura = at_terminal(&node);
    for friend in FRIENDS {
        call_and_be_left(&node, &laura, friend, &["hola"]);
    }
    let stranger = RawUser::new(node.address());
    let begun = Instant::now();
    let mut last = String::new();
    at_rate(CALLERS_A_SECOND, CALLERS, |number| {
        let name = format!("spam{number}@cc.com");
        let host = u8::try_from(number % HOSTS).expect("it is less than 256");
        let mut call =
            connect_from(Ipv4Addr::new(127, 0, 7, 1 + host), stranger.locates(&name, "laura@bb.com"));
        call.write_all(b"N01uL04hola").expect("written");
        // Laura has taken the call, or is busy with others.
        call.read_exact(&mut [0; 8]).expect("a nickname");
        call.shutdown(Shutdown::Write).expect("FIN");
        last = name;
    });
    report.note("callers", CALLERS);
    report.note("seconds", begun.elapsed().as_secs());
    let folder = data_of(&laura);
    let kept = || fs::read_to_string(folder.join("contacts.json")).expect("there are contacts");
    eventually("the last caller is kept", || kept().contains(&last));
    let contacts: Vec<Value> = serde_json::from_str(&kept()).expect("it is JSON");
    let is_called = |friend: &&str| {
        contacts
            .iter()
            .any(|contact| contact["address"] == format!("{friend}@bb.com") && contact["way"] == "called")
    };
    let friends = FRIENDS.iter().filter(|friend| is_called(friend)).count();
    report.law("contacts that the user called", friends, "3", friends == FRIENDS.len());
    let others = contacts.len() - friends;
    report.law("contacts that called", others, "<= 100", others <= 100);
    let history = folder.join("history");
    let of_friends = FRIENDS.iter().filter(|friend| history.join(format!("{friend}@bb.com.jsonl")).exists());
    let of_friends = of_friends.count();
    report.law("files with what was said to these", of_friends, "3", of_friends == FRIENDS.len());
    let files: Vec<_> = fs::read_dir(history.join("callers")).expect("they said something").collect();
    report.law("files of callers", files.len(), "<= 100", files.len() <= 100);
    let bytes: usize = files.iter().map(|file| size(&file.as_ref().expect("it is there").path())).sum();
    report.law("their bytes", in_kib(bytes), "<= 6400 KiB", bytes <= 100 * 64 * 1024);
}

/// Laura's agent on the full screen, once it is registered.
fn at_terminal(node: &NodeProgram) -> AgentTerminal {
    let laura = AgentTerminal::start("laura@bb.com", node.address(), &[], (24, 90));
    laura.expect_text("registered");
    laura
}

/// Laura calls a friend and says `lines`. The friend hears them, says one, and leaves.
fn call_and_be_left(node: &NodeProgram, laura: &AgentTerminal, friend: &str, lines: &[&str]) {
    let mut agent = AgentProgram::start(&format!("{friend}@bb.com"), node.address(), &[]);
    agent.expect_line("* listening");
    laura.type_line(&format!("/call {friend}@bb.com"));
    agent.expect_line("* in conversation with laura");
    laura.expect_text(&format!("in conversation with {friend}"));
    for line in lines {
        laura.type_line(line);
        agent.expect_line(&format!("<laura> {line}"));
    }
    agent.type_line("adeu");
    laura.expect_text("adeu");
    agent.type_line("EXIT");
    laura.expect_text(&format!("conversation with {friend} ended by {friend}"));
    // Otherwise somebody else could not ask in the friend's name.
    assert_eq!(agent.wait_exit(), 0);
}

/// Says all of `bytes`, and waits until it has been read.
fn say(call: &mut TcpStream, bytes: &[u8]) {
    call.write_all(bytes).expect("written");
    call.shutdown(Shutdown::Write).expect("FIN");
    call.set_read_timeout(Some(PATIENCE)).expect("it is not 0");
    call.read_to_end(&mut Vec::new()).expect("her end");
}

/// Laura's data.
fn data_of(laura: &AgentTerminal) -> PathBuf {
    laura.folder().join(DATA).join("mi-agent/laura@bb.com")
}

fn size(path: &Path) -> usize {
    usize::try_from(fs::metadata(path).expect("it is kept").len()).expect("it is not that long")
}

/// The lines of the peer in a file of the history.
fn received(file: &Path) -> impl Iterator<Item = String> + use<> {
    let text = fs::read_to_string(file).expect("it is kept");
    let is_received = |line: &&str| line.contains("\"way\":\"received\"");
    text.lines().filter(is_received).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// The lines that Laura says to a friend.
const LINES: [&str; 5] = ["one", "two", "three", "four", "five"];

const FRIENDS: [&str; 3] = ["joya", "pere", "anna"];

/// They take 45 s at the pace at which a peer is read.
const EMPTY_LINES: usize = 5_000;

/// 300 kB, which would take 2 MB on the disk.
const LONG_LINES: usize = 3_000;

/// The bytes that are kept of a conversation in which the user says nothing, with the line that says so.
const CONVERSATION: usize = 1024 * 1024 + 1024;

const CALLERS: usize = 1_000;

const CALLERS_A_SECOND: usize = 17;

const HOSTS: usize = 100;

/// The time that the agent takes to read everything at its pace.
const PATIENCE: Duration = Duration::from_secs(120);
