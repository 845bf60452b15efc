//! A callee that gives its callers an address of their own host, or one that a bot may not call.

use integration_tests::raw_user::uninterrupted;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};

use integration_tests::host::Host;
use integration_tests::programs::{AGENT, DEADLINE};

#[test]
fn a_callee_sends_nobody_to_where_nobody_may_be_called() {
    let Some(host) = Host::new() else { return };
    host.ip("addr add 192.0.2.1/32 dev lo");
    let service = host.on(|| TcpListener::bind("0.0.0.0:0").expect("a socket"));
    service.set_nonblocking(true).expect("set");
    let port = service.local_addr().expect("its address").port();
    for (node, arguments, found, reason) in [
        ("192.0.2.1:0", &[][..], "127.0.0.1", Some("which leads back to this host")),
        ("192.0.2.1:0", &["--dial", "127.0.0.0/8"], "127.0.0.1", Some("which leads back to this host")),
        ("192.0.2.1:0", &["--dial", "192.0.2.2"], "192.0.2.1", Some("which you do not call")),
        ("192.0.2.1:0", &["--dial", "192.0.2.0/24"], "192.0.2.1", None),
        ("127.0.0.1:0", &[], "127.0.0.1", None),
    ] {
        let node = host.on(|| UdpSocket::bind(node).expect("an address of the host"));
        node.set_read_timeout(Some(DEADLINE)).expect("set");
        let at = node.local_addr().expect("its address").to_string();
        let folder = tempfile::tempdir().expect("a folder");
        let arguments =
            [&["send", "--from", "laura@bb.com", "--node", &at], arguments, &["joya@cc.com", "hola"]];
        let mut laura = host.start(AGENT, folder.path(), &arguments.concat());
        let question = loop {
            let (message, from) = receive(&node);
            if let Some(names) = message.strip_prefix("PL") {
                break node.send_to(format!("RL0{names}:{found}:{port}").as_bytes(), from);
            }
            assert_eq!(message, "PRlaura@bb.com");
            node.send_to(b"RR0", from).expect("sent");
        };
        question.expect("sent");
        match reason {
            Some(reason) => {
                deregister(&node);
                assert_eq!(laura.wait_exit(), 1);
                let told = format!(
                    "! cannot reach joya@cc.com: the user's agent gave {found}:{port} as its address, {reason}"
                );
                assert_eq!(laura.stderr(), [told]);
                let dialled = service.accept().expect_err("nobody has called");
                assert_eq!(dialled.kind(), ErrorKind::WouldBlock);
            }
            None => {
                service.set_nonblocking(false).expect("set");
                drop(service.accept().expect("a call"));
                service.set_nonblocking(true).expect("set");
                deregister(&node);
                assert_eq!(laura.wait_exit(), 7, "nobody gives a nickname");
            }
        }
    }
}

/// Answers until the agent has deregistered.
fn deregister(node: &UdpSocket) {
    loop {
        let (message, from) = receive(node);
        let is_last = message.starts_with("PD");
        node.send_to(if is_last { b"RD0" } else { b"RR0" }, from).expect("sent");
        if is_last {
            return;
        }
    }
}

fn receive(node: &UdpSocket) -> (String, std::net::SocketAddr) {
    let mut buffer = [0; 100];
    let (length, from) = uninterrupted(|| node.recv_from(&mut buffer)).expect("a message");
    (String::from_utf8_lossy(&buffer[..length]).into_owned(), from)
}
