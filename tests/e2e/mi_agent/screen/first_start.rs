//! The first start of a user that the node does not admit yet: the terminal asks for the code of an
//! invitation.

use tempfile::TempDir;

use super::*;

#[test]
fn a_code_lets_a_new_user_in_and_is_asked_for_only_once() {
    let mut town = strict_town();
    let code = invite_laura(&mut town.node);
    let (first, folder) = at_first_start(&town);
    first.type_line(&code.to_lowercase());
    first.expect_text("registered laura@bb.com at node ");
    assert!(first.screen().cells().alternate_screen());
    assert!(town.node.is_online("laura"));
    leave(&first);
    first.expect_text("* laura@bb.com has enrolled: from now on its node asks for this agent's key");

    let second = start(&town, folder.path(), &[]);
    second.expect_text("registered laura@bb.com at node ");
    leave(&second);
    assert!(!second.raw_output().contains(QUESTION));
}

/// The node knows the key of the first machine, and the second one has a key of its own.
#[test]
fn a_second_machine_is_asked_for_a_code_of_its_own() {
    let mut town = strict_town();
    let code = invite_laura(&mut town.node);
    let (first, _folder) = at_first_start(&town);
    first.type_line(&code);
    first.expect_text("registered laura@bb.com at node ");
    leave(&first);
    let code = invite_laura(&mut town.node);
    let folder = tempfile::tempdir().expect("a folder");
    let second = start(&town, folder.path(), &[]);
    let screen = second.expect_text(QUESTION);
    let refused =
        "! cannot register laura@bb.com: the node does not know this agent's key: ask for an invitation";
    assert!(screen.text().contains(refused), "{screen}");
    second.type_line(&code);
    second.expect_text("registered laura@bb.com at node ");
    assert!(town.node.is_online("laura"));
    leave(&second);
    second.expect_text("* laura@bb.com has enrolled: from now on its node asks for this agent's key");
}

#[test]
fn a_wrong_code_ends_the_first_start_with_its_sentence() {
    let mut town = strict_town();
    invite_laura(&mut town.node);
    let (laura, _folder) = at_first_start(&town);
    laura.type_line("KQ7M");
    laura.expect_text("! KQ7M: a code has 16 characters, and this has 4");
    laura.type_line("0000-0000-0000-0000");
    assert_eq!(laura.wait_exit(), 3);
    assert_eq!(laura.left_behind(), [""; 0]);
    let screen = laura
        .expect_text("the invitation was not taken: mistyped, used already, or too old; ask for another");
    assert!(!screen.text().contains("upper and lower case differ"), "{screen}");
}

#[test]
fn without_a_code_the_first_start_ends_as_any_refusal_does() {
    let town = strict_town();
    for key in [Key::Enter, Key::Ctrl('d'), Key::Ctrl('c')] {
        let (laura, _folder) = at_first_start(&town);
        laura.press(key);
        assert_eq!(laura.wait_exit(), 3, "{key:?}");
        assert_eq!(laura.left_behind(), [""; 0]);
        let screen = laura.expect_text("* upper and lower case differ; the administrator of bb.com adds");
        assert_eq!(screen.text().matches(REFUSED).count(), 1, "{screen}");
    }
}

/// An enrolled user needs more than a code, and line mode asks no questions.
#[test]
fn nobody_else_is_asked_for_a_code() {
    let town = strict_town();
    let enrolled = tempfile::tempdir().expect("a folder");
    let data = enrolled.path().join(DATA).join("mi-agent/laura@bb.com");
    fs::create_dir_all(&data).expect("a folder");
    fs::write(data.join("enrolled"), "laura@bb.com 2026-11-29\n").expect("written");
    let new = tempfile::tempdir().expect("a folder");
    for (folder, arguments) in [(&enrolled, &[][..]), (&new, &["--plain"])] {
        let laura = start(&town, folder.path(), arguments);
        assert_eq!(laura.wait_exit(), 3);
        laura.expect_text(REFUSED);
        assert!(!laura.raw_output().contains(QUESTION));
    }
}

/// A town where every user has to prove a registration.
fn strict_town() -> Town {
    Town { node: NodeProgram::start("bb.com", &["laura"], &["--auth", "required"]) }
}

fn invite_laura(node: &mut NodeProgram) -> String {
    node.type_line("invite laura");
    let invitation = node.expect_line("laura@bb.com ");
    invitation.split(' ').nth(1).expect("the code").to_owned()
}

/// Starts Laura's agent in a folder of its own, and waits for the question.
fn at_first_start(town: &Town) -> (Terminal, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let laura = start(town, folder.path(), &[]);
    let screen = laura.expect_text(QUESTION);
    assert!(!screen.cells().alternate_screen(), "{screen}");
    assert!(screen.text().contains(REFUSED), "{screen}");
    (laura, folder)
}

fn start(town: &Town, folder: &Path, arguments: &[&str]) -> Terminal {
    let at = town.node.address().to_string();
    let arguments = [&["laura@bb.com", "--node", &at], arguments].concat();
    Terminal::start(AGENT, folder, &arguments, (24, 200))
}

fn leave(laura: &Terminal) {
    laura.type_line("/quit");
    assert_eq!(laura.wait_exit(), 0);
    assert_eq!(laura.left_behind(), [""; 0]);
}

const QUESTION: &str = "code of your invitation (Enter: none):";

const REFUSED: &str = "! cannot register laura@bb.com: no such user at its node, or the node does not know this agent's \
                       key: ask for an invitation (lumi-node ctl invite laura)";
