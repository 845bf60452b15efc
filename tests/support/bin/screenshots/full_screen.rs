//! The full screen, as a user has it at a terminal.

use integration_tests::programs::{AgentTerminal, Key, NodeProgram};

use crate::camera::Camera;

/// All that F1 says, as far as there is room.
pub(crate) fn help(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura"], &[]);
    let laura = start("laura@bb.com", &node, camera);
    laura.press(Key::F(1));
    camera.shoot("laura", &laura.expect_text("What you see"));
}

/// Takes the messages that pass while a call is made.
pub(crate) fn protocol(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura", "joya"], &[]);
    let joya = start("joya@bb.com", &node, camera);
    let laura = start("laura@bb.com", &node, camera);
    laura.press(Key::F(2));
    laura.type_line("/call joya@bb.com");
    laura.expect_text("in conversation with joya");
    say(&laura, &joya, "hola");
    camera.shoot("laura", &laura.expect_text("head L04"));
}

/// Two agents talk, and one of them shows what passes.
pub(crate) fn two_agents(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura", "joya"], &[]);
    let joya = start("joya@bb.com", &node, camera);
    let laura = start("laura@bb.com", &node, camera);
    laura.press(Key::F(2));
    laura.type_line("/call joya@bb.com");
    laura.expect_text("in conversation with joya");
    joya.expect_text("in conversation with laura");
    say(&laura, &joya, "hola, com va la pràctica?");
    say(&joya, &laura, "bé! el node ja respon");
    say(&laura, &joya, "quedem demà a les dues?");
    say(&joya, &laura, "perfecte");
    let (laura, joya) = (laura.expect_text("says: perfecte"), joya.expect_text("joya perfecte"));
    camera.shoot_side_by_side("f2", &[(&laura, "laura"), (&joya, "joya")]);
}

/// An agent that is registered.
pub(crate) fn start(address: &str, node: &NodeProgram, camera: &Camera<'_>) -> AgentTerminal {
    let agent = AgentTerminal::start(address, node.address(), &[], camera.size());
    agent.expect_text("listening for conversations on");
    agent
}

/// `from` says `text`, and `to` sees it.
pub(crate) fn say(from: &AgentTerminal, to: &AgentTerminal, text: &str) {
    from.type_line(text);
    // A longer one is wrapped.
    let start: String = text.chars().take(20).collect();
    to.expect_text(&start);
}
