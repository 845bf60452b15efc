//! Users that prove their registrations by keys, at a node that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use integration_tests::camera::scan;
use integration_tests::programs::NodeProgram;
use lumi_proof::Code;
use plumi_proto::{Message, MiAddress, Verb};
use serde_json::{Value, json};

use super::{ctl, done, run, start};
use crate::lumi_node::{User, key, prove, signer};

#[test]
fn a_key_that_an_administrator_adds_is_needed_from_then_on() {
    let node = start("bb.com", &["laura", "pere"], &[]);
    let (laura, thief, pere) = (User::of(&node), User::of(&node), User::of(&node));
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(pere.ask("PRpere@bb.com"), "RR0");
    let added = "added a key of laura, who has to prove a registration from now on\n";
    assert_eq!(done(&node, &["key", "add", "laura", &key(1)]), added);
    let text = fs::read_to_string(keys(&node)).unwrap();
    let line = text.lines().find(|line| !line.starts_with('#')).unwrap();
    assert!(line.starts_with(&format!("laura ed25519 {} 20", key(1))) && line.ends_with(" added"), "{text}");
    // She is unregistered, and a plain request does not bring her back.
    assert_eq!(pere.ask("PLpere@bb.com:laura@bb.com"), "RL3pere@bb.com:laura@bb.com");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR1");
    assert_eq!(prove(&thief, Verb::Register, 2), "RR1");
    assert_eq!(prove(&laura, Verb::Register, 1), "RR0");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(thief.ask("PRlaura@bb.com"), "RR1");
    assert_eq!(thief.ask("PDlaura@bb.com"), "RD1");
    pere.say(b"PLpere@bb.com:laura@bb.com");
    assert_eq!(laura.hear(), "PLpere@bb.com:laura@bb.com");

    let listed = done(&node, &["keys"]);
    assert!(listed.lines().nth(1).is_some_and(|line| line.ends_with("added  yes")), "{listed}");
    let today = line.split(' ').nth(3).unwrap();
    let introduced = format!("laura@bb.com ed25519 {} introduced {today}\n", key(1));
    assert_eq!(done(&node, &["keys", "--known-peers"]), introduced);
    let status = done(&node, &["status"]);
    assert!(status.contains("PK 2"), "{status}");
    let proofs = "2 challenges were sent, 1 proofs were accepted, 0 came again, and 1 were refused. 0 keys were enrolled.";
    assert!(status.contains(proofs), "{status}");
    assert_eq!(prove(&laura, Verb::Deregister, 1), "RD0");

    let (code, _, said) = ctl(&node, &["key", "add", "laura", &key(1)]);
    assert_eq!(
        (code, &*said),
        (1, "lumi-node: cannot add a key of laura: nothing has changed: laura has that key already\n")
    );
    let (code, _, said) = ctl(&node, &["key", "add", "joan", &key(1)]);
    assert!(code == 1 && said.contains("joan does not belong to the domain"), "{said}");
    let removed = "removed a key of laura, who registers without a proof from now on\n";
    assert_eq!(done(&node, &["key", "remove", "laura", &key(1)]), removed);
    assert_eq!(thief.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(fs::read_to_string(keys(&node)).unwrap().lines().count(), 1, "the comment stays");
}

#[test]
fn keys_are_read_at_the_start_and_at_a_reload() {
    let node = start("bb.com", &["laura"], &[]);
    let laura = User::of(&node);
    assert_eq!(laura.ask("PRlaura@bb.com:A................"), "RR0", "as long as there is no key");
    let line = |number| format!("laura ed25519 {} 2026-11-29 invited\n", key(number));
    fs::write(keys(&node), line(1)).unwrap();
    assert_eq!(done(&node, &["reload"]), "reloaded, 1 user\n");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR1");
    assert_eq!(prove(&laura, Verb::Register, 1), "RR0");
    // A wrong line and a missing file change nothing.
    fs::write(keys(&node), line(2) + "laura\n").unwrap();
    let (code, _, said) = ctl(&node, &["reload"]);
    assert!(code == 1 && said.contains("line 2: a line is a user"), "{said}");
    fs::remove_file(keys(&node)).unwrap();
    let said = done(&node, &["reload"]);
    assert!(said.contains("are missing, so those before hold on"), "{said}");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    // Another program's edit is not overwritten.
    fs::write(keys(&node), line(1) + &line(2)).unwrap();
    let (code, _, said) = ctl(&node, &["key", "add", "laura", &key(3)]);
    assert!(code == 1, "{said}");
    assert_eq!(fs::read_to_string(keys(&node)).unwrap(), line(1) + &line(2));
}

#[test]
fn required_proofs_are_required_of_all_and_no_proofs_of_nobody() {
    for (auth, plain, asks) in [("required", "RR1", "RR1"), ("off", "RR0", "RR0")] {
        let node = start("bb.com", &["laura", "pere"], &["--auth", auth]);
        done(&node, &["key", "add", "laura", &key(1)]);
        let (laura, pere) = (User::of(&node), User::of(&node));
        assert_eq!(pere.ask("PRpere@bb.com"), plain, "{auth}");
        assert_eq!(laura.ask("PRlaura@bb.com"), plain, "{auth}");
        assert!(laura.ask("PRlaura@bb.com:A................").starts_with(asks), "{auth}");
    }
}

#[test]
fn check_says_what_is_wrong_with_keys() {
    let node = start("bb.com", &["laura", "pere"], &[]);
    let line = |user: &str| format!("{user} ed25519 {} 2026-11-29 invited\n", key(1));
    fs::write(keys(&node), line("laura")).unwrap();
    let (_, said, _) = run(node.folder(), &["check", "--roster", "config/nodelumi.cfg"]);
    assert!(said.contains("nodelumi.cfg.keys: 1 user have keys"), "{said}");
    fs::write(keys(&node), line("laura") + &line("pere") + &line("joan")).unwrap();
    fs::set_permissions(keys(&node), fs::Permissions::from_mode(0o666)).unwrap();
    let (code, said, _) = run(node.folder(), &["check", "--roster", "config/nodelumi.cfg"]);
    assert_eq!(code, 1);
    for expected in [
        "keys, joan: the roster has no such user",
        "joan, laura, pere have the same",
        "its mode is 666, so others may add a key",
    ] {
        assert!(said.contains(expected), "{expected} is missing in {said}");
    }
}

#[test]
fn an_invitation_lets_one_key_in() {
    let node = start("bb.com", &["pere"], &["-v"]);
    let (laura, thief) = (User::of(&node), User::of(&node));
    let said = done(&node, &["invite", "laura"]);
    let (address, code) = said.trim_end().split_once(' ').unwrap();
    assert_eq!((address, code.len()), ("laura@bb.com", 19));
    assert_eq!(node.roster(), "bb.com\npere\nlaura\n", "she is a user now");
    let code: Code = code.parse().unwrap();
    let open = done(&node, &["invites"]);
    assert!(open.contains("laura  open until  20"), "{open}");

    let address: MiAddress = address.parse().unwrap();
    let enrol = |code: &Code, key: u8| {
        let key = code.enrol(&address, signer(key).public_key());
        String::from_utf8(Message::Enrol { address, key }.encode().to_vec()).unwrap()
    };
    let wrong = Code::from_random([7; 10]);
    assert_eq!(thief.ask(&enrol(&wrong, 2)), "RR1");
    // A lost answer: the same enrolment again gets the same answer.
    for _ in 0..2 {
        let answer = Message::decode(laura.ask(&enrol(&code, 1)).as_bytes()).unwrap();
        assert!(code.has_answered(&address, &answer.enrolled().unwrap()), "{answer:?}");
    }
    // It registers nobody, and from now on a proof is needed.
    assert_eq!(thief.ask("PLpere@bb.com:laura@bb.com"), "RL3pere@bb.com:laura@bb.com");
    assert_eq!(laura.ask("PRlaura@bb.com"), "RR1");
    assert_eq!(prove(&laura, Verb::Register, 1), "RR0");
    assert_eq!(thief.ask(&enrol(&code, 2)), "RR1", "it is used");
    assert!(fs::read_to_string(keys(&node)).unwrap().contains(" invited\n"));
    let used = done(&node, &["invites"]);
    assert!(used.contains("laura  used  20"), "{used}");
    for file in ["config/nodelumi.cfg.invites", "config/nodelumi.cfg.identity"] {
        let mode = fs::metadata(node.folder().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    // Neither the message log nor the diagnostics have the code.
    let log = fs::read_to_string(node.folder().join("nodelumi-bb.com.log")).unwrap();
    for text in [log, node.stderr().join("\n"), used, open] {
        let bare = String::from_utf8(code.as_bytes().to_vec()).unwrap();
        assert!(!text.contains(&code.to_string()) && !text.contains(&bare), "{text}");
    }
}

/// A whole class is invited by one command, and enrols at once.
#[test]
fn a_class_is_invited_at_once_and_enrols_within_seconds() {
    let class: Vec<_> = (1..=30_u8).map(|number| format!("pupil{number}")).collect();
    let node = start("bb.com", &class.iter().map(String::as_str).collect::<Vec<_>>(), &["-v"]);
    let invited = done(&node, &["invite", "--all-new", "--format", "csv"]);
    let (header, rows) = invited.split_once('\n').unwrap();
    assert_eq!((header, rows.lines().count()), ("address,code,expires", 30));
    let nobody = "nobody is invited: every user has a key or an open invitation\n";
    assert_eq!(done(&node, &["invite", "--all-new"]), nobody, "their invitations are open");
    let pupils: Vec<_> = (1..=30_u8)
        .zip(rows.lines())
        .map(|(number, row)| {
            let [address, code, _] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let (address, code): (MiAddress, Code) = (address.parse().unwrap(), code.parse().unwrap());
            let key = code.enrol(&address, signer(number).public_key());
            (User::of(&node), code, address, Message::Enrol { address, key }.encode())
        })
        .collect();
    pupils.iter().for_each(|(agent, _, _, enrol)| agent.say(enrol));
    for (agent, code, address, _) in &pupils {
        let answer = Message::decode(agent.hear().as_bytes()).unwrap();
        assert!(code.has_answered(address, &answer.enrolled().unwrap()), "{answer:?}");
    }
    assert_eq!(done(&node, &["keys"]).lines().count(), 31);
    assert_eq!(done(&node, &["list"]).matches(" offline (key) ").count(), 30);
    assert!(done(&node, &["status", "--json"]).contains(r#""enrolled": 30"#));
    assert_eq!(done(&node, &["list", "--json"]).matches(r#""key":true"#).count(), 30);
    assert_eq!(done(&node, &["invite", "--all-new"]), nobody, "they have keys");
    // Only a later user is new.
    done(&node, &["register", "joya"]);
    let late = done(&node, &["invite", "--all-new", "--valid", "30d"]);
    assert!(late.starts_with("joya@bb.com ") && late.lines().count() == 1, "{late}");
    let diagnostics = node.stderr().join("\n");
    assert!(diagnostics.contains("invited pupil1, pupil10, "), "{diagnostics}");
    assert!(pupils.iter().all(|(_, code, ..)| !diagnostics.contains(&code.to_string())), "{diagnostics}");
}

#[test]
fn several_are_invited_by_name_or_none_of_them() {
    let node = start("bb.com", &["pere"], &[]);
    let table = done(&node, &["invite", "pere", "laura", "--format", "table"]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0] == "ADDRESS       CODE" && lines[1].starts_with("pere@bb.com   "), "{table}");
    assert!(
        lines[2].starts_with("laura@bb.com  ") && lines[4].starts_with("Each code lets one key in, until 20")
    );
    assert_eq!(node.roster(), "bb.com\npere\nlaura\n");
    done(&node, &["invite", "pere", "pere", "pere"]);
    let (code, _, said) = ctl(&node, &["invite", "laura", "pere"]);
    let expected = "lumi-node: cannot invite laura, pere: nothing has changed: pere has 4 keys";
    assert!(code == 1 && said.starts_with(expected), "{said}");
    assert_eq!(done(&node, &["invites"]).lines().count(), 1 + 5, "laura has one");
    let expires = |valid: &str| {
        let row = done(&node, &["invite", "joan", "--valid", valid, "--format", "csv"]);
        row.trim_end().rsplit_once(',').unwrap().1.to_owned()
    };
    assert!(expires("5min") < expires("1h") && expires("2d") < expires("30d"));
    let (code, _, said) = ctl(&node, &["invite", "laura", "--valid", "31d"]);
    assert!(code == 2 && said.contains("from 5min to 30d"), "{said}");
    let (code, _, said) = ctl(&node, &["invite", "laura", "--all-new"]);
    assert!(code == 2 && said.contains("cannot be used with"), "{said}");
}

/// Programs read JSON, and an administrator who removes all keys of a user need not type them.
#[test]
fn keys_and_invitations_are_listed_for_programs_and_removed_at_once() {
    let node = start("bb.com", &["laura"], &["--auth", "keys"]);
    done(&node, &["invite", "pere", "--for", "7d"]);
    done(&node, &["key", "add", "laura", &key(1)]);
    done(&node, &["key", "add", "laura", &key(2)]);
    assert_eq!(prove(&User::of(&node), Verb::Register, 2), "RR0");
    let read = |arguments: &[&str]| serde_json::from_str::<Value>(&done(&node, arguments)).unwrap();
    let keys = read(&["keys", "--json"]);
    let since = keys[0]["since"].as_str().unwrap();
    let row = |number, proved: bool| json!({ "user": "laura", "key": key(number), "since": since, "origin": "added", "proved": proved });
    assert_eq!(keys, json!([row(1, false), row(2, true)]));
    let invites = read(&["invites", "--json"]);
    let time = invites[0]["time"].as_str().unwrap();
    assert!(time.len() == "2026-11-30T18:00:00Z".len() && time.ends_with('Z'), "{time}");
    assert_eq!(invites, json!([{ "user": "pere", "state": "open", "time": time }]));
    let removed = "removed all keys of laura, who registers without a proof from now on\n";
    assert_eq!(done(&node, &["key", "remove", "laura"]), removed);
    assert_eq!(read(&["keys", "--json"]), json!([]));
    let (code, _, said) = ctl(&node, &["key", "remove", "laura"]);
    assert!(code == 1 && said.contains("cannot remove a key of laura"), "{said}");
    assert_eq!(User::of(&node).ask("PRlaura@bb.com"), "RR0");
}

/// `#laura` is a name (protocol.md §2), and in these files a comment: the key would be gone after a restart.
#[test]
fn a_user_whose_line_would_be_a_comment_has_neither_key_nor_invitation() {
    let node = start("bb.com", &["#laura", "pere"], &[]);
    let reason = "a line that begins with # is a comment, so #laura can have no key";
    for command in [&["key", "add", "#laura", &key(1)][..], &["invite", "#laura"]] {
        let (code, _, said) = ctl(&node, command);
        assert!(code == 1 && said.ends_with(&format!("{reason}\n")), "{said}");
    }
    assert!(done(&node, &["invite", "--all-new"]).starts_with("pere@bb.com "));
    assert_eq!(User::of(&node).ask("PR#laura@bb.com"), "RR0", "as before");
}

/// A code for cameras follows each line, with the address and the code of that line.
#[test]
fn an_invitation_is_drawn_for_cameras() {
    let node = start("bb.com", &[], &[]);
    let longest = "l".repeat(20);
    let drawn = done(&node, &["invite", "laura", &longest, "--qr"]);
    let lines: Vec<_> = drawn.lines().collect();
    let starts: Vec<_> = (0..lines.len()).filter(|number| lines[*number].contains("@bb.com ")).collect();
    let [0, second] = starts[..] else { panic!("{drawn}") };
    for block in [&lines[..second], &lines[second..]] {
        let (address, code) = block[0].split_once(' ').unwrap();
        assert_eq!(scan(&block[1..].join("\n")), format!("mi:{address}?code={}", code.replace('-', "")));
    }
    let nobody = "nobody is invited: every user has a key or an open invitation\n";
    assert_eq!(done(&node, &["invite", "--all-new", "--qr"]), nobody);
    let (code, _, said) = ctl(&node, &["invite", "laura", "--qr", "--format", "csv"]);
    assert!(code == 2 && said.contains("cannot be used with"), "{said}");
}

/// The file of keys of a node, beside its roster.
fn keys(node: &NodeProgram) -> PathBuf {
    node.folder().join("config/nodelumi.cfg.keys")
}
