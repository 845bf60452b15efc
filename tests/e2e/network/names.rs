//! Name servers and names that appear, change and mislead.

use std::net::Ipv4Addr;

use integration_tests::host::Host;
use integration_tests::programs::AGENT;

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
    assert_eq!(laura.stdout(), ["! cannot register laura@zz.com: domain zz.com not found"]);
    assert_eq!(dns.names_asked(), 1);
}
