//! What passes at a node, as a ladder.

use integration_tests::captured::write_log_of_pc_c;
use integration_tests::programs::{Key, NODE, Terminal};

use crate::camera::Camera;

/// The captured exchange of protocol.md §8, at the node PC-c, with all about the message that found the user.
pub(crate) fn captured(camera: &mut Camera<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    write_log_of_pc_c(folder.path());
    let arguments = ["watch", "--file", "nodelumi-PC-c.log"];
    let ladder = Terminal::start(NODE, folder.path(), &arguments, camera.size());
    ladder.expect_text("the end of nodelumi-PC-c.log");
    (0..2).for_each(|_| ladder.press(Key::Up));
    ladder.expect_text("6 of 8");
    ladder.press(Key::Enter);
    camera.shoot("PC-c", &ladder.expect_text(" message 6 "));
}
