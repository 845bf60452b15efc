//! Line mode, for scripts and for people that prefer lines.

use integration_tests::programs::{AgentTerminal, NodeProgram};

use crate::camera::Camera;

/// Laura calls Joya, and both see the same conversation.
pub(crate) fn conversation(camera: &mut Camera<'_>) {
    let node = NodeProgram::start("bb.com", &["laura", "joya"], &[]);
    let start = |address| {
        let agent = AgentTerminal::start(address, node.address(), &["--plain"], camera.size());
        agent.expect_text("* listening for conversations on ");
        agent
    };
    let joya = start("joya@bb.com");
    let laura = start("laura@bb.com");
    laura.type_line("/call joya@bb.com");
    laura.expect_text("* in conversation with joya ");
    laura.type_line("hola, com va la pràctica?");
    joya.expect_text("<laura> hola");
    joya.type_line("bé! el node ja respon 👋");
    laura.expect_text("<joya> bé! ");
    laura.type_line("quedem a les 日本?");
    joya.expect_text("<laura> quedem");
    joya.type_line("/bye");
    for (agent, other) in [(&laura, "joya"), (&joya, "laura")] {
        agent.expect_text(&format!("* conversation with {other} ended"));
    }
    camera.shoot("laura", &laura.screen());
}
