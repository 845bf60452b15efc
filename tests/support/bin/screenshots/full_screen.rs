//! The full screen, for who chats.

use integration_tests::programs::{AgentTerminal, Key, NodeProgram, Screen};

use crate::camera::Camera;

/// What a new user sees.
pub(crate) fn first(camera: &mut Camera<'_>) {
    let node = node();
    let laura = agent(camera, &node, "laura", &[]);
    camera.shoot("screen", &laura.screen());
}

/// Laura calls Joya, and looks at the protocol.
pub(crate) fn chat(camera: &mut Camera<'_>) {
    let node = node();
    let (laura, joya) = talking(camera, &node);
    camera.shoot("conversation", &laura.screen());
    laura.press(Key::F(2));
    laura.expect_text("says ");
    camera.shoot("protocol", &laura.screen());
    laura.press(Key::F(2));
    laura.press(Key::F(1));
    laura.expect_text(" help ");
    camera.shoot("help", &laura.screen());
    drop(joya);
}

/// Several conversations, and who was talked with.
pub(crate) fn tabs(camera: &mut Camera<'_>) {
    let node = node();
    let laura = agent(camera, &node, "laura", &["--conversations", "3"]);
    let callers = ["joya", "pere", "anna"].map(|user| {
        let caller = agent(camera, &node, user, &[]);
        caller.type_line("/call laura@bb.com");
        caller.expect_text("in conversation with laura");
        caller.type_line("hola Laura! tens un moment?");
        laura.wait_for(|screen| screen.rows()[0].contains(user));
        caller
    });
    callers[2].type_line("és per la pràctica de dijous");
    laura.wait_for(|screen| screen.rows()[0].contains("anna@bb.com (3)"));
    laura.type_text("un moment, que");
    laura.expect_text("> un moment, que");
    camera.shoot("unread", &laura.screen());
    laura.press(Key::F(3));
    laura.expect_text(" contacts ");
    camera.shoot("contacts", &laura.screen());
}

fn node() -> NodeProgram {
    NodeProgram::start("bb.com", &["laura", "joya", "pere", "anna"], &[])
}

/// The agent of `user`, registered, at a terminal of the scene's size.
fn agent(camera: &Camera<'_>, node: &NodeProgram, user: &str, arguments: &[&str]) -> AgentTerminal {
    let agent = AgentTerminal::start(&format!("{user}@bb.com"), node.address(), arguments, camera.size());
    agent.wait_for(|screen| screen.text().contains("registered") && Screen::reports_focus(screen));
    agent
}

/// Laura and Joya, who have said something to each other.
fn talking(camera: &Camera<'_>, node: &NodeProgram) -> (AgentTerminal, AgentTerminal) {
    let joya = agent(camera, node, "joya", &["--nick", "Joya"]);
    let laura = agent(camera, node, "laura", &["--nick", "Laura"]);
    laura.type_line("/call joya@bb.com");
    joya.expect_text("Laura (laura@bb.com)");
    laura.wait_for(|screen| screen.text().contains("Joya"));
    laura.type_line("hola, com va la pràctica?");
    joya.expect_text("com va la");
    joya.type_line("bé! el node ja respon 👋");
    laura.expect_text("ja respon");
    laura.type_line("quedem a les 5, davant del 日本?");
    joya.expect_text("davant");
    joya.type_line("sí, fins ara");
    laura.expect_text("fins ara");
    (laura, joya)
}
