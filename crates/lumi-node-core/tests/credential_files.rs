//! The files of keys and invitations on the disk, and what a crash leaves of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lumi_node_core::{Code, CredentialFiles, EnrolRequest, KeyOrigin, PublicKey, UserKey};
use lumi_proof::Signer;
use plumi_proto::{Domain, MiAddress, UserName};
use tempfile::TempDir;

const NOW: i64 = 1_795_975_200;
const DAY: i64 = 86_400;

struct Files {
    folder: TempDir,
    files: CredentialFiles,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("it works");
        let files = CredentialFiles::open(&folder.path().join("nodelumi.cfg"), domain()).expect("it works");
        Self { folder, files }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("nodelumi.cfg.{ending}"))
    }

    fn text(&self, ending: &str) -> String {
        fs::read_to_string(self.path(ending)).unwrap_or_default()
    }

    fn invite(&mut self) -> Code {
        let invited = self.files.invite(&users(&["laura"]), NOW, NOW + DAY).expect("it works");
        invited[0].1
    }

    /// The node is started again.
    fn restart(&mut self) {
        self.files =
            CredentialFiles::open(&self.folder.path().join("nodelumi.cfg"), domain()).expect("it works");
    }

    fn keys(&self) -> Vec<PublicKey> {
        self.files
            .keys()
            .keys()
            .of(&"laura".parse().expect("it is one"))
            .iter()
            .map(|known| known.key)
            .collect()
    }
}

fn users(names: &[&str]) -> Vec<UserName> {
    names.iter().map(|name| name.parse().expect("it is one")).collect()
}

fn domain() -> Domain {
    "bb.com".parse().expect("it is one")
}

fn laura() -> MiAddress {
    "laura@bb.com".parse().expect("it is one")
}

fn key(number: u8) -> PublicKey {
    PublicKey(Signer::from_seed(&[number; 32]).expect("it works").public_key())
}

fn request(code: &Code, number: u8) -> EnrolRequest {
    EnrolRequest::new(
        "10.0.0.1:5000".parse().expect("it is one"),
        laura(),
        code.enrol(&laura(), key(number).0),
    )
}

#[test]
fn an_enrolment_is_in_both_files_before_it_is_answered() {
    let mut files = Files::new();
    assert!(!files.path("invites").exists() && !files.path("identity").exists());
    let code = files.invite();
    let enrolled = files.files.enrol(&[request(&code, 1)], NOW + 60).unwrap();
    let node_key = files.files.state(NOW).node_key.unwrap();
    assert_eq!(enrolled.len(), 1);
    assert!(code.has_answered(&laura(), &enrolled[0].answer) && enrolled[0].answer.key == node_key.0);
    assert_eq!(files.keys(), [key(1)]);
    let line = format!("laura ed25519 {} 2026-11-29 invited\n", key(1));
    assert!(files.text("keys").ends_with(&line), "{}", files.text("keys"));
    assert!(files.text("invites").ends_with(&format!(" used 2026-11-29T18:01:00Z {}\n", key(1))));
    for secret in ["invites", "identity"] {
        assert_eq!(fs::metadata(files.path(secret)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    files.restart();
    assert_eq!(files.keys(), [key(1)]);
    assert_eq!(files.files.state(NOW).node_key, Some(node_key), "the node keeps its key");
}

/// The files as a kill between every two writes leaves them.
#[test]
fn a_crash_loses_no_enrolment_and_makes_no_second_one() {
    let mut files = Files::new();
    let code = files.invite();
    let before = ["invites", "keys"].map(|ending| files.text(ending));
    files.files.enrol(&[request(&code, 1)], NOW).unwrap();
    let after = ["invites", "keys"].map(|ending| files.text(ending));
    let using = after[0].replace(" used ", " using ");
    for (number, (invites, keys, has_key)) in [
        (&before[0], &before[1], false),
        (&using, &before[1], true),
        (&using, &after[1], true),
        (&after[0], &after[1], true),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(files.path("invites"), invites).unwrap();
        if keys.is_empty() {
            _ = fs::remove_file(files.path("keys"));
        } else {
            fs::write(files.path("keys"), keys).unwrap();
        }
        files.restart();
        assert_eq!(files.keys().len(), usize::from(has_key), "{number}");
        // The agent asks again.
        assert_eq!(files.files.enrol(&[request(&code, 1)], NOW + 5).unwrap().len(), 1, "{number}");
        assert_eq!(files.keys(), [key(1)], "{number}");
        // Nobody else enrols by it.
        assert_eq!(files.files.enrol(&[request(&code, 2)], NOW + 5).unwrap(), [], "{number}");
    }
}

#[test]
fn a_key_that_was_removed_does_not_come_back() {
    let mut files = Files::new();
    let code = files.invite();
    files.files.enrol(&[request(&code, 1)], NOW).unwrap();
    files.files.keys_mut().remove("laura".parse().unwrap(), &key(1)).unwrap();
    files.restart();
    assert_eq!(files.keys(), []);
    files.invite();
    files.restart();
    assert_eq!(files.keys(), []);
}

#[test]
fn a_code_is_good_once_and_in_time() {
    let mut files = Files::new();
    let (code, late) = (files.invite(), files.invite());
    let both = [request(&code, 1), request(&code, 2), request(&code, 1)];
    let enrolled = files.files.enrol(&both, NOW).unwrap();
    assert_eq!(enrolled.iter().map(|one| one.request).collect::<Vec<_>>(), [both[0], both[2]]);
    assert_eq!(files.keys(), [key(1)]);
    assert_eq!(files.files.enrol(&[request(&late, 2)], NOW + DAY).unwrap(), []);
    assert_eq!(files.files.enrol(&[request(&late, 2)], NOW + DAY - 1).unwrap().len(), 1);
    // The same key is answered again for 10 min, and no longer.
    assert_eq!(files.files.enrol(&[request(&code, 1)], NOW + 600).unwrap().len(), 1);
    assert_eq!(files.files.enrol(&[request(&code, 1)], NOW + 601).unwrap(), []);
}

#[test]
fn keys_and_open_invitations_are_four_at_most() {
    let mut files = Files::new();
    let codes: Vec<_> = (0..4).map(|_| files.invite()).collect();
    let refused = files.files.invite(&users(&["laura"]), NOW, NOW + DAY).unwrap_err();
    assert!(refused.to_string().contains("which are the most"), "{refused}");
    for (number, code) in (1..).zip(&codes) {
        assert_eq!(files.files.enrol(&[request(code, number)], NOW).unwrap().len(), 1);
    }
    assert_eq!(files.keys().len(), 4);
    assert!(files.files.invite(&users(&["laura"]), NOW, NOW + DAY).is_err());
}

#[test]
fn many_are_invited_all_or_none() {
    let mut files = Files::new();
    assert_eq!(files.files.invite(&[], NOW, NOW + DAY).unwrap(), []);
    assert!(!files.path("invites").exists(), "nothing is written for nobody");
    let invited = files.files.invite(&users(&["laura", "pere", "laura"]), NOW, NOW + DAY).unwrap();
    let of: Vec<_> = invited.iter().map(|(user, _)| user.to_string()).collect();
    assert_eq!(of, ["laura", "pere", "laura"]);
    let before = files.text("invites");
    assert!(invited.iter().all(|(user, code)| before.contains(&format!("\n{user} {code} "))), "{before}");

    // Laura has two, so that a fifth would be among these.
    let refused = files.files.invite(&users(&["joya", "laura", "laura", "laura"]), NOW, NOW + DAY);
    assert!(refused.unwrap_err().to_string().contains("laura has 4 keys and open"), "the whole is refused");
    let refused = files.files.invite(&vec![users(&["joya"])[0]; 10_001], NOW, NOW + DAY);
    assert!(refused.unwrap_err().to_string().contains("10001 users are more than"));
    assert_eq!(files.text("invites"), before);
}

#[test]
fn a_user_is_new_without_a_key_and_an_open_invitation() {
    let mut files = Files::new();
    let all = users(&["joya", "laura", "pere"]);
    files.files.invite(&users(&["joya"]), NOW, NOW + DAY).unwrap();
    let code = files.invite();
    files.files.enrol(&[request(&code, 1)], NOW).unwrap();
    assert_eq!(files.files.new_among(all.clone(), NOW + DAY - 1), users(&["pere"]));
    assert_eq!(files.files.new_among(all, NOW + DAY), users(&["joya", "pere"]), "that of joya has ended");
}

/// An administrator adds keys by hand while an invitation is open.
#[test]
fn an_invitation_lets_in_no_fifth_key() {
    let mut files = Files::new();
    let code = files.invite();
    let laura = "laura".parse().unwrap();
    for number in 1..=4 {
        let key = UserKey::new(key(number), "2026-11-29", KeyOrigin::Added);
        files.files.keys_mut().add(laura, key).unwrap();
    }
    assert_eq!(files.files.enrol(&[request(&code, 5)], NOW).unwrap(), []);
    assert!(!files.text("invites").contains("Z us"), "it is not spent: {}", files.text("invites"));
    // Nor does one that a crash cut off keep the node from starting.
    let using =
        files.text("invites").trim_end().to_owned() + &format!(" using 2026-11-29T18:00:00Z {}\n", key(5));
    fs::write(files.path("invites"), using).unwrap();
    files.restart();
    assert_eq!(files.keys().len(), 4);
}

#[test]
fn somebodys_edit_stays_and_the_invitation_is_not_spent() {
    let mut files = Files::new();
    let code = files.invite();
    let edited = files.text("invites") + "# mine\n";
    fs::write(files.path("invites"), &edited).unwrap();
    assert!(files.files.enrol(&[request(&code, 1)], NOW).is_err());
    assert_eq!(files.text("invites"), edited);
    assert_eq!(files.keys(), []);
    files.restart();
    assert_eq!(files.files.enrol(&[request(&code, 1)], NOW).unwrap().len(), 1);
}

#[test]
fn old_uses_are_forgotten_after_thirty_days() {
    let mut files = Files::new();
    let code = files.invite();
    files.files.enrol(&[request(&code, 1)], NOW).unwrap();
    let lines = |files: &Files| files.text("invites").lines().filter(|line| !line.starts_with('#')).count();
    for (days, expected) in [(30, 2), (31, 2)] {
        let now = NOW + days * DAY;
        files.files.invite(&users(&["pere"]), now, now + DAY).unwrap();
        assert_eq!(lines(&files), expected, "{days}");
    }
    assert_eq!(files.keys(), [key(1)], "the key stays");
}

#[test]
fn a_wrong_line_is_told_without_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let roster: &Path = &folder.path().join("nodelumi.cfg");
    fs::write(folder.path().join("nodelumi.cfg.invites"), "# a\nlaura KQ7M-2XTN-9D4V-W3RH tomorrow\n")
        .unwrap();
    let error = CredentialFiles::open(roster, domain()).unwrap_err();
    let words = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(words.ends_with(
        "line 2: an invitation is a user, a code and a time, and perhaps `used`, a time and a key"
    ));
    assert!(!words.contains("KQ7M") && !format!("{error:?}").contains("KQ7M"));
    fs::remove_file(folder.path().join("nodelumi.cfg.invites")).unwrap();
    fs::write(folder.path().join("nodelumi.cfg.identity"), "x").unwrap();
    let error = CredentialFiles::open(roster, domain()).unwrap_err();
    assert!(error.to_string().contains("has no secret key of Ed25519"), "{error}");
}
