//! Keys: a conversation with a verified key, and a peer with another key.

use std::process::Command;

use integration_tests::programs::{AgentTerminal, NodeProgram, at_home, executable};

use crate::camera::Camera;
use crate::full_screen::{say, start};

/// Laura compares Joya's words, and later meets another key at Joya's address.
pub(crate) fn conversation(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura", "joya"], &[]);
    let joya = start("joya@bb.com", &node, camera);
    let laura = start("laura@bb.com", &node, camera);
    laura.type_line("/call joya@bb.com");
    laura.expect_text("in conversation with joya");
    say(&laura, &joya, "hola! ets tu?");
    laura.type_line(&format!("/verify joya@bb.com {}", words(&joya, "joya@bb.com")));
    laura.expect_text("the words are right");
    say(&joya, &laura, "sí, soc jo");
    camera.shoot("verified", &laura.screen());
    joya.type_line("/quit");
    laura.expect_text("conversation with joya ended");
    joya.wait_exit();

    let other = start("joya@bb.com", &node, camera);
    laura.type_line("/call joya@bb.com");
    camera.shoot("changed", &laura.expect_text("the old key is taken"));
    drop(other);
}

/// The words of the key of the user at a terminal.
fn words(of: &AgentTerminal, address: &str) -> String {
    let mut show = Command::new(executable("mi-agent"));
    at_home(show.args(["key", "show", "--words", "--from", address]), of.folder());
    let shown = show.output().expect("it can be run");
    assert!(shown.status.success(), "{shown:?}");
    String::from_utf8(shown.stdout).expect("words").trim().to_owned()
}
