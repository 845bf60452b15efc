//! The full screen, as a user has it at a terminal.

use integration_tests::programs::{AgentTerminal, Key, NodeProgram};

use crate::camera::Camera;

/// Takes the screen that a user sees who has just started.
pub(crate) fn first(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let laura = start("laura@bb.com", &node, &[], camera);
    camera.shoot("laura", &laura.expect_text("F1 commands and keys"));
}

/// All that F1 says, as far as there is room.
pub(crate) fn help(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let laura = start("laura@bb.com", &node, &[], camera);
    laura.press(Key::F(1));
    camera.shoot("laura", &laura.expect_text("What you see"));
}

/// Laura calls Joya, and they talk.
pub(crate) fn chat(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura", "joya"], &[]);
    let joya = start("joya@bb.com", &node, &["--nick", "Joya"], camera);
    let laura = start("laura@bb.com", &node, &["--nick", "Laura"], camera);
    laura.type_line("/call joya@bb.com");
    laura.expect_text("in conversation with Joya");
    joya.expect_text("in conversation with Laura");
    say(&laura, &joya, "hola, com va la pràctica?");
    say(&joya, &laura, "bé! el node ja respon 👋");
    say(&laura, &joya, "quedem demà? m'han dit que el 日本 de la plaça és bo, i a prop de la facultat");
    say(&joya, &laura, "perfecte, a les dues");
    laura.type_text("porto els apunts");
    camera.shoot("laura", &laura.expect_text("> porto els apunts"));
}

/// Takes the messages that pass while a call is made.
pub(crate) fn protocol(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura", "joya"], &[]);
    let joya = start("joya@bb.com", &node, &[], camera);
    let laura = start("laura@bb.com", &node, &[], camera);
    laura.press(Key::F(2));
    laura.type_line("/call joya@bb.com");
    laura.expect_text("in conversation with joya");
    say(&laura, &joya, "hola");
    camera.shoot("laura", &laura.expect_text("04hola"));
}

/// Three conversations at once, one of them scrolled back; and whom Laura knows by then.
pub(crate) fn tabs(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura", "joya", "pere", "marta"], &[]);
    let laura = start("laura@bb.com", &node, &["--conversations", "3"], camera);
    let joya = start("joya@bb.com", &node, &[], camera);
    laura.type_line("/call joya@bb.com");
    laura.expect_text("in conversation with joya");
    joya.expect_text("in conversation with laura");
    for number in 1..=30 {
        say(&joya, &laura, &format!("exercici {number}: fet"));
    }
    laura.press(Key::PageUp);
    laura.expect_text("exercici 10: fet");
    let mut others = Vec::new();
    for (tab, address, text) in
        [(3, "pere@bb.com", "laura, hi ets?"), (4, "marta@bb.com", "et truco després")]
    {
        let other = start(address, &node, &[], camera);
        other.type_line("/call laura@bb.com");
        other.expect_text("in conversation with laura");
        other.type_line(text);
        laura.expect_text(&format!(" {tab} {address} ("));
        others.push(other);
    }
    joya.type_line("i ara, el protocol");
    laura.expect_text("3 new lines");
    camera.shoot("laura", &laura.screen());
    laura.press(Key::F(3));
    camera.shoot("contacts", &laura.expect_text("Enter calls"));
}

/// An agent that is registered.
fn start(address: &str, node: &NodeProgram, options: &[&str], camera: &Camera<'_>) -> AgentTerminal {
    let agent = AgentTerminal::start(address, node.address(), options, camera.size());
    agent.expect_text("listening for conversations on");
    agent
}

/// `from` says `text`, and `to` sees it.
fn say(from: &AgentTerminal, to: &AgentTerminal, text: &str) {
    from.type_line(text);
    // A longer one is wrapped.
    let start: String = text.chars().take(20).collect();
    to.expect_text(&start);
}
