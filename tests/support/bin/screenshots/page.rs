//! The web page of a node, as it is seen in a browser.

use std::net::UdpSocket;

use integration_tests::browser::{Browser, View};
use integration_tests::exchange::Exchange;
use integration_tests::programs::NodeProgram;

use crate::camera::Camera;

/// The captured exchange, at a node that has other users too.
pub(crate) fn page(camera: &mut Camera<'_>) {
    let exchange = Exchange::at("127.0.0.101:51189", "127.0.0.104:3344").expect("nobody is there");
    let arguments = ["--listen", "127.0.0.103:3344", "--web", "127.0.0.1:8344", "--peer", &exchange.peer()];
    let node = NodeProgram::start("PC-c", &["u1", "joya", "laura", "marta", "pere"], &arguments);
    let mut browser = Browser::start().expect("there is a browser");
    browser.view(View { size: (1160, 750), is_dark: false });
    browser.open("http://127.0.0.1:8344/");
    browser.wait_until("document.querySelectorAll('#users tr').length === 5");
    for (user, address) in [("laura", "127.0.0.105:4500"), ("joya", "127.0.0.106:4500")] {
        let agent = UdpSocket::bind(address).expect("nobody is there");
        agent.send_to(format!("PR{user}@PC-c").as_bytes(), node.address()).expect("it is sent");
        browser.wait_until(&format!("document.querySelector('#users').textContent.includes('{address}')"));
    }
    exchange.play(node.address());
    browser.wait_until("document.querySelectorAll('.row').length === 12");
    // So that there is something to see in the plots.
    browser.wait_until("document.querySelector('.online .line').getAttribute('d').split('L').length > 15");
    browser.evaluate("document.querySelector('#about').focus()");
    browser.type_text("u1");
    browser.wait_until("document.querySelectorAll('.row').length === 8");
    browser.press("Tab");
    browser.press("Tab");
    for _ in 0..5 {
        browser.press("ArrowDown");
    }
    browser.wait_until("document.querySelector('#facts .message')?.textContent.startsWith('RL0') === true");
    for (what, view) in [
        ("light", View { size: (1160, 750), is_dark: false }),
        ("dark", View { size: (1160, 750), is_dark: true }),
        ("narrow", View { size: (360, 900), is_dark: false }),
    ] {
        browser.view(view);
        browser.wait_until("document.querySelector('#ladder').offsetWidth <= innerWidth");
        browser.evaluate("document.querySelector('#ladder').scrollTop = 0");
        camera.keep(what, "png", browser.picture());
    }
    assert_eq!(browser.troubles(), serde_json::json!([]), "the page is all right");
}
