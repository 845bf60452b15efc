//! The sources that are there without the feature `dns`, and what becomes of other names.

use lumi_dns::{LookupError, NodeDirectory};
use plumi_proto::Domain;

#[tokio::test]
async fn peers_literals_and_the_hosts_file_need_no_dns() {
    let node = "10.0.0.2:3344".parse().expect("an address");
    let directory = NodeDirectory::builder().peer(domain("bb.com"), node).build().expect("a directory");
    for (name, address) in
        [("BB.com.", "10.0.0.2:3344"), ("10.0.0.3", "10.0.0.3:3344"), ("localhost", "127.0.0.1:3344")]
    {
        let found = directory.find(&domain(name)).await.expect(name);
        assert_eq!(found.address.to_string(), address, "{name}");
    }
}

#[cfg(not(feature = "dns"))]
#[tokio::test]
async fn another_name_is_refused_with_the_reason() {
    let directory = NodeDirectory::builder().build().expect("a directory");
    assert_eq!(directory.find(&domain("cc.invalid")).await, Err(LookupError::WithoutDns));
}

#[test]
fn the_reason_reads_on_from_the_name_of_the_domain() {
    let reason = LookupError::WithoutDns.to_string();
    assert_eq!(reason, "cannot be resolved: this program is built without DNS");
}

fn domain(name: &str) -> Domain {
    name.parse().expect(name)
}
