//! The directory against a real DNS server on loopback.

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use futures_util::future::join_all;
use integration_tests::dns_server::DnsServer;
use lumi_dns::{DirectoryError, FoundNode, LookupError, MAX_ADDRESSES, MAX_TTL, NodeDirectory};
use plumi_proto::{Domain, NODE_PORT, NodeAddress};
use tokio::time;

type TestResult = Result<(), Box<dyn Error>>;

#[tokio::test]
async fn a_name_is_found_for_the_time_of_its_record_and_a_minute_at_most() -> TestResult {
    let dns = DnsServer::start().await?;
    let directory = asking(&[dns.address()]);
    for (ttl, valid_for) in [(0, 0), (7, 7), (60, 60), (86_400, 60)] {
        dns.set_ttl("bb.com", NODE, ttl);
        let found = find(&directory, "bb.com").await?;
        assert_eq!(found.address, NodeAddress::new(NODE, NODE_PORT));
        assert_eq!(found.valid_for, Duration::from_secs(valid_for));
    }
    Ok(())
}

#[tokio::test]
async fn every_look_up_asks_anew() -> TestResult {
    let dns = DnsServer::start().await?;
    let directory = asking(&[dns.address()]);
    dns.set("bb.com", NODE);
    find(&directory, "bb.com").await?;
    dns.set("bb.com", OTHER);
    assert_eq!(find(&directory, "bb.com").await?.address.ip(), OTHER);
    dns.remove("bb.com");
    assert_eq!(find(&directory, "bb.com").await, Err(LookupError::NotFound));
    dns.set("bb.com", NODE);
    assert_eq!(find(&directory, "bb.com").await?.address.ip(), NODE);
    Ok(())
}

#[tokio::test]
async fn a_name_is_found_however_it_is_written() -> TestResult {
    let dns = DnsServer::start().await?;
    let directory = asking(&[dns.address()]);
    for name in ["bb.com", "PC-c", "my_node.example.org", "_node", "-odd-", "1234"] {
        dns.set(name, NODE);
        for written in [name.to_owned(), format!("{name}."), name.to_uppercase(), name.to_lowercase()] {
            assert_eq!(find(&directory, &written).await?.address.ip(), NODE, "{written}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_such_name_and_no_a_record_are_not_found() -> TestResult {
    let dns = DnsServer::start().await?;
    dns.set_all("no-address.com", &[], 60);
    let directory = asking(&[dns.address()]);
    for name in ["nowhere.com", "no-address.com"] {
        assert_eq!(find(&directory, name).await, Err(LookupError::NotFound), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_name_with_ipv6_addresses_only_is_told_so() -> TestResult {
    let dns = DnsServer::start().await?;
    dns.set_ipv6_only("six.com", "2001:db8::7".parse()?);
    let error = find(&asking(&[dns.address()]), "six.com").await.expect_err("no IPv4 address");
    assert_eq!((error, error.to_string().as_str()), (LookupError::NoIpv4Address, "has no IPv4 address"));
    Ok(())
}

#[tokio::test]
async fn a_silent_a_refusing_and_a_closed_server_give_no_answer() -> TestResult {
    let (silent, refusing) = (DnsServer::start().await?, DnsServer::start().await?);
    silent.set_silent(true);
    refusing.set_refusing(true);
    let many = vec![silent.address(); 60];
    let cases = [vec![silent.address()], vec![refusing.address()], vec![closed()?, silent.address()], many];
    join_all(cases.iter().map(async |servers| {
        assert_eq!(find(&asking(servers), "bb.com").await, Err(LookupError::NoAnswer), "{servers:?}");
    }))
    .await;
    Ok(())
}

#[tokio::test]
async fn lost_datagrams_are_survived() -> TestResult {
    let dns = DnsServer::start().await?;
    dns.set("bb.com", NODE);
    let directory = asking(&[dns.address()]);
    for lost in [1, 2] {
        dns.lose(lost);
        assert_eq!(find(&directory, "bb.com").await?.address.ip(), NODE, "{lost} lost");
    }
    Ok(())
}

#[tokio::test]
async fn a_loss_is_survived_after_many_names_were_not_found() -> TestResult {
    let dns = DnsServer::start().await?;
    dns.set("bb.com", NODE);
    let directory = asking(&[dns.address()]);
    let names = (0..100).map(|number| format!("nowhere{number}.com"));
    join_all(names.map(async |name| assert_eq!(find(&directory, &name).await, Err(LookupError::NotFound))))
        .await;
    dns.lose(1);
    assert_eq!(find(&directory, "bb.com").await?.address.ip(), NODE);
    Ok(())
}

#[tokio::test]
async fn the_second_server_answers_when_the_first_does_not() -> TestResult {
    let (silent, refusing, dns) =
        (DnsServer::start().await?, DnsServer::start().await?, DnsServer::start().await?);
    silent.set_silent(true);
    refusing.set_refusing(true);
    dns.set("bb.com", NODE);
    for first in [silent.address(), refusing.address(), closed()?] {
        let directory = asking(&[first, dns.address()]);
        assert_eq!(find(&directory, "bb.com").await?.address.ip(), NODE, "after {first}");
        assert_eq!(find(&directory, "nowhere.com").await, Err(LookupError::NotFound), "after {first}");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_first_server_says_is_believed() -> TestResult {
    let (first, second) = (DnsServer::start().await?, DnsServer::start().await?);
    let directory = asking(&[first.address(), second.address()]);
    second.set("bb.com", OTHER);
    assert_eq!(find(&directory, "bb.com").await, Err(LookupError::NotFound));
    first.set("bb.com", NODE);
    assert_eq!(find(&directory, "bb.com").await?.address.ip(), NODE);
    Ok(())
}

#[tokio::test]
async fn all_addresses_that_a_node_can_have_are_told_in_order_and_once() -> TestResult {
    let dns = DnsServer::start().await?;
    let ips = [[0, 0, 0, 0], [10, 0, 0, 9], [127, 0, 0, 3], [10, 0, 0, 9], [10, 0, 0, 1]].map(Ipv4Addr::from);
    dns.set_all("bb.com", &ips, 60);
    let found = find(&asking(&[dns.address()]), "bb.com").await?;
    let told: Vec<_> = found.addresses().map(|at| (at.address.ip(), at.is_this_host)).collect();
    assert_eq!(told, [(ips[1], false), (ips[2], true), (ips[4], false)]);
    assert_eq!((found.address.ip(), found.is_this_host, found.others.len()), (ips[1], false, 2));
    let many: Vec<_> = (1..=20).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect();
    dns.set_all("bb.com", &many, 60);
    let found = find(&asking(&[dns.address()]), "bb.com").await?;
    assert_eq!(found.addresses().map(|at| at.address.ip()).collect::<Vec<_>>(), many[..MAX_ADDRESSES]);
    Ok(())
}

#[tokio::test]
async fn peers_win_over_everything_and_ask_nobody() -> TestResult {
    let dns = DnsServer::start().await?;
    dns.set("bb.com", NODE);
    let address = NodeAddress::new(OTHER, 4000);
    let directory = NodeDirectory::builder()
        .name_server(dns.address())
        .peer(domain("bb.com"), NODE_AT_ANY_PORT)
        .peer(domain("BB.com."), address)
        .peer(domain("localhost"), address)
        .peer(domain("10.9.9.9"), address)
        .build()?;
    for name in ["bb.com", "bb.COM.", "localhost", "10.9.9.9"] {
        assert_eq!(find(&directory, name).await, Ok(FoundNode::new(address, false, MAX_TTL)), "{name}");
    }
    assert_eq!(dns.queries(), 0);
    Ok(())
}

#[tokio::test]
async fn a_peer_has_its_addresses_in_their_order() -> TestResult {
    let at = |n: u8| NodeAddress::new(Ipv4Addr::new(10, 0, 0, n), NODE_PORT + u16::from(n));
    let many: Vec<_> = (1..=20).rev().map(at).collect();
    let builder = NodeDirectory::builder().peer(domain("bb.com"), at(9));
    let directory =
        builder.peer_at(domain("bb.com"), many.clone()).peer_at(domain("10.0.0.9"), vec![]).build()?;
    let found = find(&directory, "bb.com").await?;
    assert_eq!(found.addresses().map(|at| at.address).collect::<Vec<_>>(), many[..MAX_ADDRESSES]);
    assert_eq!(find(&directory, "10.0.0.9").await?.address.port(), NODE_PORT, "an empty list is no peer");
    let nowhere = vec![at(1), NodeAddress::new(NODE, 0)];
    let error = NodeDirectory::builder().peer_at(domain("bb.com"), nowhere).build().unwrap_err();
    assert_eq!(error.to_string(), "the node of domain bb.com cannot be at 10.0.0.2:0");
    Ok(())
}

#[tokio::test]
async fn a_node_on_this_host_is_known_to_be_there() -> TestResult {
    let directory = asking(&[]);
    assert!(find(&directory, "127.0.0.77").await?.is_this_host);
    // An address that belongs to nobody (RFC 5737).
    assert!(!find(&directory, "198.51.100.77").await?.is_this_host);
    Ok(())
}

#[test]
fn an_answer_is_kept_for_a_minute_at_most() {
    for (ttl, valid_for) in [(0, 0), (59, 59), (60, 60), (61, 60), (86_400, 60)] {
        let found = FoundNode::new(NODE_AT_ANY_PORT, false, Duration::from_secs(ttl));
        assert_eq!(found.valid_for, Duration::from_secs(valid_for));
    }
}

#[tokio::test]
async fn a_literal_answers_itself() -> TestResult {
    let dns = DnsServer::start().await?;
    let directory = NodeDirectory::builder().name_server(dns.address()).node_port(4000).build()?;
    for name in ["10.100.100.104", "10.100.100.104."] {
        let address = NodeAddress::new(Ipv4Addr::new(10, 100, 100, 104), 4000);
        assert_eq!(find(&directory, name).await, Ok(FoundNode::new(address, false, MAX_TTL)));
    }
    assert_eq!(dns.queries(), 0);
    Ok(())
}

#[tokio::test]
async fn the_hosts_file_answers_also_when_a_name_server_is_given() -> TestResult {
    let dns = DnsServer::start().await?;
    let directory = asking(&[dns.address()]);
    for name in ["localhost", "LocalHost."] {
        assert_eq!(find(&directory, name).await?.address, NodeAddress::new(Ipv4Addr::LOCALHOST, NODE_PORT));
    }
    let file = fs::read("/etc/hosts").unwrap_or_default();
    let file = String::from_utf8_lossy(&file);
    let lines = file.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    for mut words in lines {
        if words.next().is_some_and(|address| address.parse::<Ipv4Addr>().is_ok()) {
            for name in words.filter_map(|name| name.parse::<Domain>().ok()) {
                let found = find(&directory, name.as_str()).await;
                assert!(matches!(found, Ok(_) | Err(LookupError::Unusable(_))), "{name}: {found:?}");
            }
        }
    }
    assert_eq!(dns.queries(), 0);
    Ok(())
}

#[tokio::test]
async fn addresses_where_no_node_can_be_are_passed_over() -> TestResult {
    let dns = DnsServer::start().await?;
    let directory = asking(&[dns.address()]);
    for unusable in ["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "255.255.255.255"] {
        let ip = unusable.parse()?;
        assert_eq!(find(&directory, unusable).await, Err(LookupError::Unusable(ip)));
        dns.set("bb.com", ip);
        assert_eq!(find(&directory, "bb.com").await, Err(LookupError::Unusable(ip)));
        dns.set_all("bb.com", &[ip, Ipv4Addr::BROADCAST], 60);
        assert_eq!(find(&directory, "bb.com").await, Err(LookupError::Unusable(ip)));
        dns.set_all("bb.com", &[ip, NODE, OTHER], 60);
        assert_eq!(find(&directory, "bb.com").await?.address.ip(), NODE, "after {ip}");
        let built = NodeDirectory::builder().peer(domain("bb.com"), NodeAddress::new(ip, NODE_PORT)).build();
        assert!(matches!(built, Err(DirectoryError::UnusablePeer { .. })), "{built:?}");
    }
    let built = NodeDirectory::builder().peer(domain("bb.com"), NodeAddress::new(NODE, 0)).build();
    assert_eq!(built.unwrap_err().to_string(), "the node of domain bb.com cannot be at 10.0.0.2:0");
    Ok(())
}

#[tokio::test]
async fn a_node_is_sent_to_its_own_host_or_link_only_if_it_is_bound_there() -> TestResult {
    let dns = DnsServer::start().await?;
    let of_node = |ip: &str| {
        let builder = NodeDirectory::builder().name_server(dns.address()).bound_to(ip.parse().expect(ip));
        builder.peer(domain("named.com"), NodeAddress::new(Ipv4Addr::LOCALHOST, NODE_PORT)).build()
    };
    for (bound_to, is_at_loopback, is_at_link) in [
        ("0.0.0.0", false, false),
        ("10.0.0.1", false, false),
        ("127.0.0.2", true, false),
        ("169.254.7.7", false, true),
    ] {
        let directory = of_node(bound_to)?;
        for (target, is_accepted) in [
            ("127.0.0.1", is_at_loopback),
            ("127.255.255.254", is_at_loopback),
            ("169.254.0.1", is_at_link),
            ("169.254.169.254", is_at_link),
            ("126.255.255.255", true),
            ("128.0.0.1", true),
            ("169.253.0.1", true),
            ("10.0.0.2", true),
        ] {
            let ip = target.parse()?;
            dns.set("bb.com", ip);
            for name in [target, "bb.com"] {
                let expected = if is_accepted { Ok(ip) } else { Err(LookupError::Unusable(ip)) };
                let found = find(&directory, name).await.map(|found| found.address.ip());
                assert_eq!(found, expected, "{name}: {target} for {bound_to}");
            }
            dns.set_all("bb.com", &[ip, NODE], 60);
            let first = if is_accepted { ip } else { NODE };
            assert_eq!(find(&directory, "bb.com").await?.address.ip(), first, "{target} for {bound_to}");
        }
        let localhost = find(&directory, "localhost").await.is_ok();
        assert_eq!(localhost, is_at_loopback, "the hosts file is no exception");
        assert!(find(&directory, "named.com").await?.address.ip().is_loopback(), "the administrator's word");
    }
    Ok(())
}

#[tokio::test]
async fn literals_can_be_no_domains() -> TestResult {
    let dns = DnsServer::start().await?;
    dns.set("bb.com", NODE);
    let builder = NodeDirectory::builder().name_server(dns.address()).literals(false);
    let directory = builder.peer(domain("10.9.9.9"), NODE_AT_ANY_PORT).build()?;
    for name in ["10.0.0.2", "10.0.0.2.", "127.0.0.1"] {
        assert_eq!(find(&directory, name).await, Err(LookupError::NotFound), "{name}");
    }
    assert_eq!(dns.queries(), 0);
    for name in ["bb.com", "10.9.9.9"] {
        assert_eq!(find(&directory, name).await?.address.ip(), NODE, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn many_look_ups_run_at_once() -> TestResult {
    let dns = DnsServer::start().await?;
    let directory = asking(&[dns.address()]);
    let nodes = (0..=u8::MAX).map(|number| (format!("node{number}.com"), Ipv4Addr::new(10, 0, 1, number)));
    join_all(nodes.map(async |(name, ip)| {
        dns.set(&name, ip);
        let found = find(&directory.clone(), &name).await;
        assert_eq!(found.map(|node| node.address.ip()), Ok(ip), "{name}");
    }))
    .await;
    Ok(())
}

#[test]
fn errors_read_on_from_the_name_of_the_domain() {
    assert_eq!(LookupError::NotFound.to_string(), "not found");
    assert_eq!(LookupError::NoAnswer.to_string(), "cannot be resolved: the name servers give no answer");
    assert_eq!(
        LookupError::Unusable(Ipv4Addr::UNSPECIFIED).to_string(),
        "resolves to 0.0.0.0, where no node can be"
    );
}

#[test]
fn a_directory_goes_to_any_task() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<NodeDirectory>();
}

fn asking(name_servers: &[SocketAddr]) -> NodeDirectory {
    let builder = name_servers.iter().fold(NodeDirectory::builder(), |builder, &at| builder.name_server(at));
    builder.build().expect("it has no peers")
}

async fn find(directory: &NodeDirectory, name: &str) -> Result<FoundNode, LookupError> {
    let name = domain(name);
    time::timeout(DEADLINE, directory.find(&name)).await.expect("a look-up ends by itself")
}

fn domain(name: &str) -> Domain {
    name.parse().expect(name)
}

/// A UDP address at which nobody listens.
fn closed() -> std::io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Many times what a busy machine needs.
const DEADLINE: Duration = Duration::from_secs(60);

const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const NODE_AT_ANY_PORT: NodeAddress = NodeAddress::new(NODE, NODE_PORT);
