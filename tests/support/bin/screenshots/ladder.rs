//! The messages of a node, as a ladder.

use std::net::UdpSocket;
use std::time::Duration;

use integration_tests::captured::write_log_of_pc_c;
use integration_tests::programs::{Key, NODE, NodeProgram, Terminal};

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

/// Pere's agent answers nothing, and is taken offline while somebody watches.
pub(crate) fn strikes(camera: &mut Camera<'_>) {
    let arguments = ["--control-socket", "ctl.sock"];
    let node = NodeProgram::start("bb.com", &["laura", "pere"], &arguments);
    let arguments = ["watch", "--socket", "ctl.sock"];
    let ladder = Terminal::start(NODE, node.folder(), &arguments, camera.size());
    ladder.expect_text("nothing has passed yet");
    let user = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(node.address()).expect("a loopback address");
        socket.set_read_timeout(Some(RETRY)).expect("is not 0");
        socket
    };
    let (laura, pere) = (user(), user());
    let register = |socket: &UdpSocket, user: &str| {
        socket.send(format!("PR{user}").as_bytes()).expect("it is sent");
        ladder.expect_text(&format!("register {user}"));
    };
    register(&laura, "laura@bb.com");
    register(&pere, "pere@bb.com");
    laura.recv(&mut [0; 100]).expect("she is told that she is registered");
    // Agents do so: a second apart, for as long as there is no answer.
    for _ in 0..5 {
        laura.send(b"PLlaura@bb.com:pere@bb.com").expect("it is sent");
        if laura.recv(&mut [0; 100]).is_ok() {
            break;
        }
    }
    camera.shoot("bb.com", &ladder.expect_text("taken offline"));
}

/// The time from one try of an agent to the next (protocol.md §4).
const RETRY: Duration = Duration::from_secs(1);
