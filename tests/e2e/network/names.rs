//! Name servers and names that appear, change and mislead.

use std::net::Ipv4Addr;

use integration_tests::host::Host;
use integration_tests::programs::{AGENT, NODE, NodeProgram, eventually, write_roster};

/// The search list completes single labels only.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_with_a_dot_is_not_completed() {
    let Some(host) = Host::new() else { return };
    let dns = host.dns_server(Ipv4Addr::LOCALHOST);
    dns.set("zz.com.lab.example", Ipv4Addr::LOCALHOST);
    host.set_resolv_conf("nameserver 127.0.0.1\nsearch lab.example\noptions ndots:5\n");
    let folder = tempfile::tempdir().expect("a folder");
    let mut laura = host.start(AGENT, folder.path(), &["laura@zz.com"]);
    assert_eq!(laura.wait_exit(), 5);
    assert_eq!(
        laura.stdout(),
        [
            "! cannot register laura@zz.com: domain zz.com not found",
            "* check the spelling of zz.com; with --node IP:PORT, the domain is not looked up",
        ]
    );
    assert_eq!(dns.names_asked(), 1);
}

/// A VPN, a boot that is not over, a host that moves: name servers come after the programs.
#[tokio::test(flavor = "multi_thread")]
async fn name_servers_that_appear_later_are_asked() {
    let Some(host) = Host::new() else { return };
    let dns = host.dns_server(Ipv4Addr::LOCALHOST);
    dns.set("cc.com", Ipv4Addr::new(127, 0, 0, 3));
    let start = |domain: &str, user: &str, ip: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        write_roster(folder.path(), &format!("{domain}\n{user}\n"));
        let node = host.start(NODE, folder.path(), &["--listen", &format!("{ip}:3344")]);
        (NodeProgram::ready(node, folder.path()), folder)
    };
    let _bb = start("bb.com", "laura", "127.0.0.2");
    let _cc = start("cc.com", "joya", "127.0.0.3");
    let agent = |address: &str, node: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        (host.start(AGENT, folder.path(), &["--node", node, address]), folder)
    };
    let (mut joya, _joya_folder) = agent("joya@cc.com", "127.0.0.3:3344");
    joya.expect_line("* listening");
    let (mut laura, _laura_folder) = agent("laura@bb.com", "127.0.0.2:3344");
    laura.expect_line("* listening");
    laura.type_line("/call joya@cc.com");
    assert_eq!(laura.expect_line("!"), "! cannot reach joya@cc.com: no such user or domain");
    assert_eq!(dns.queries(), 0);

    host.set_resolv_conf("nameserver 127.0.0.1\n");
    // The node remembers for 5 s that the name servers gave no answer.
    eventually("the name server is asked", || {
        laura.type_line("/call joya@cc.com");
        let is_outcome = |line: &str| line.starts_with('!') || line.starts_with("* in conversation");
        !laura.wait_for(is_outcome).starts_with('!')
    });
    joya.expect_line("* in conversation with laura");
    assert!(dns.queries() > 0);
}
