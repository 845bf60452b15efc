//! A loopback address that is published: other hosts cannot call there.

use integration_tests::skipped;

use super::*;

/// The hosts file of a Debian host PC-c has the line `127.0.1.1 PC-c`.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_domain_is_at_loopback_is_warned() {
    let dns = DnsServer::start().await.expect("a DNS server");
    let name_server = dns.address().to_string();
    let Some(ip) = ip_with_free_node_port() else {
        skipped("a program of this host uses port 3344 at every address");
        return;
    };
    dns.set("PC-c", ip);
    let _node = NodeProgram::start("PC-c", &["laura"], &["--listen", &format!("{ip}:3344")]);
    let start = |arguments: &[&str]| {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = [&["--name-server", &name_server, "laura@PC-c"], arguments].concat();
        let mut laura = Program::start(AGENT, folder.path(), &arguments);
        laura.expect_line("* listening");
        laura.close_stdin();
        assert_eq!(laura.wait_exit(), 0);
        laura.stderr()
    };
    let told = start(&[]);
    let [warning] = &told[..] else { panic!("{told:?}") };
    let words = format!(
        "only programs on this host can call laura@PC-c: PC-c is at {ip}:3344 here, so 127.0.0.1 is published; \
         advertise another address, or correct the line of PC-c in the hosts file"
    );
    assert!(warning.contains("WARN") && warning.contains(&words), "{warning}");
    // Users that name the address or the node know what they do.
    assert_eq!(start(&["--advertise", "127.0.0.1"]), [""; 0]);
    assert_eq!(start(&["--node", &format!("{ip}:3344")]), [""; 0]);
}

#[test]
fn a_caller_is_told_that_a_loopback_address_was_published() {
    let node = NodeProgram::start("bb.com", &["laura", "joan"], &[]);
    // Nobody listens there.
    let nowhere =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    for (arguments, is_told) in [(&["--advertise", "192.0.2.7"][..], true), (&[], false)] {
        let joan = RawAgent::register("joan@bb.com", node.address());
        let mut laura = AgentProgram::start("laura@bb.com", node.address(), arguments);
        laura.expect_line("* listening");
        laura.type_line("/call joan@bb.com");
        joan.answer_one_question(&nowhere.to_string());
        let reason = "! cannot reach joan@bb.com: joan@bb.com does not accept the connection";
        assert_eq!(laura.expect_line("!"), reason);
        laura.close_stdin();
        assert_eq!(laura.wait_exit(), 0);
        let words = "the agent of joan@bb.com published 127.0.0.1, which leads to this host";
        assert_eq!(laura.stderr().iter().any(|line| line.contains(words)), is_told, "{:?}", laura.stderr());
    }
}
