//! The HTTP interface of a node (docs/metrics.md).

mod exposition;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use integration_tests::dns_server::DnsServer;
use integration_tests::network::ip_with_free_node_port;
use integration_tests::programs::{DEADLINE, NodeProgram, Signal, eventually, write_settings};
use integration_tests::skipped;
use tokio::time::Instant;

use self::exposition::Exposition;
use super::{User, failure, folder_with};

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_moves_as_messages_pass() {
    let Some(elsewhere_ip) = ip_with_free_node_port() else {
        skipped("a program of this host uses port 3344 at every address");
        return;
    };
    let dns = DnsServer::start().await.expect("a DNS server");
    let cc = NodeProgram::start("cc.com", &["pere", "quim"], &[]);
    let peer = format!("cc.com={}", cc.address());
    let name_server = dns.address().to_string();
    let arguments = [&ARGUMENTS[..], &["--peer", &peer, "--name-server", &name_server]].concat();
    let node = NodeProgram::start(
        "bb.com",
        &["laura", "marc"],
        &[&arguments[..], &["--rate-limit", "100"]].concat(),
    );
    let web = web_of(&node);
    let [laura, marc, stranger] = [0; 3].map(|_| User::of(&node));
    let pere = User::of(&cc);

    assert_eq!((&*laura.ask("PRlaura"), &*marc.ask("PRmarc"), &*pere.ask("PRpere")), ("RR0", "RR0", "RR0"));
    assert_eq!(
        (&*stranger.ask("PRghost"), &*stranger.ask("PDlaura"), &*marc.ask("PDmarc")),
        ("RR1", "RD1", "RD0")
    );
    for answer in ["RL0laura@bb.com:pere@cc.com:127.0.0.1:4456", "RL1laura@bb.com:pere@cc.com"] {
        laura.say(b"PLlaura@bb.com:pere@cc.com");
        assert_eq!(pere.hear(), "PLlaura@bb.com:pere@cc.com");
        pere.say(answer.as_bytes());
        assert_eq!(laura.hear(), answer);
    }
    assert_eq!(laura.ask("PLlaura@bb.com:ghost@cc.com"), "RL2laura@bb.com:ghost@cc.com");
    assert_eq!(laura.ask("PLlaura@bb.com:quim@cc.com"), "RL3laura@bb.com:quim@cc.com");
    let mut expected = Expected::default();
    expected.received([("PR", 3), ("PD", 2), ("PL", 4), ("RL0", 1), ("RL1", 1), ("RL2", 1), ("RL3", 1)]);
    expected.sent([("RR0", 2), ("RR1", 1), ("RD0", 1), ("RD1", 1), ("PL", 4)]);
    expected.sent([("RL0", 1), ("RL1", 1), ("RL2", 1), ("RL3", 1)]);
    for outcome in ["found", "busy", "no-such-user", "offline"] {
        expected.add(&format!("location_duration_seconds_count{{outcome=\"{outcome}\"}}"), 1);
    }
    expected.add("lookups_total{result=\"found\"}", 1);
    expected.add("lookups_saved_total", 3);
    expected.add("lookups_kept", 1);
    expected.add("users", 2);
    expected.add("users_online", 1);
    expected.come(web);

    for datagram in ["", "XX", "RR0", "RR1", "RD0", "RD1", "RL0laura@bb.com:pere@cc.com:127.0.0.1:1"] {
        stranger.say(datagram.as_bytes());
    }
    stranger.say(b"PLeve@dd.com:pere@cc.com");
    let from_port_of_nodes = UdpSocket::bind((elsewhere_ip, 3344)).expect("it is nobody else's");
    from_port_of_nodes.send_to(b"PRlaura", node.address()).unwrap();
    expected.dropped([("malformed", 2), ("unexpected", 4), ("unasked", 1), ("foreign", 1), ("spoofed", 1)]);
    expected.received([("RR0", 1), ("RR1", 1), ("RD0", 1), ("RD1", 1), ("RL0", 1), ("PL", 1), ("PR", 1)]);
    expected.come(web);

    // Nothing can be sent there from a loopback address.
    dns.set("away.com", Ipv4Addr::new(192, 0, 2, 1));
    dns.set("zero.com", Ipv4Addr::UNSPECIFIED);
    laura.say(b"PLlaura@bb.com:joya@away.com");
    for domain in ["nowhere.com", "zero.com"] {
        let parties = format!("laura@bb.com:joya@{domain}");
        assert_eq!(laura.ask(&format!("PL{parties}")), format!("RL2{parties}"));
    }
    dns.set_silent(true);
    laura.say(b"PLlaura@bb.com:joya@silent.com");
    expected.received([("PL", 4)]);
    expected.sent([("PL", 1), ("RL2", 2)]);
    expected.add("send_errors_total", 1);
    for (result, count) in [("found", 1), ("not-found", 1), ("unusable", 1)] {
        expected.add(&format!("lookups_total{{result=\"{result}\"}}"), count);
    }
    expected.add("location_duration_seconds_count{outcome=\"no-such-user\"}", 2);
    expected.add("lookups_kept", 3);
    assert_eq!(laura.hear(), "RL2laura@bb.com:joya@silent.com");
    expected.sent([("RL2", 1)]);
    expected.add("lookups_total{result=\"no-answer\"}", 1);
    expected.add("location_duration_seconds_count{outcome=\"no-such-user\"}", 1);
    expected.add("lookups_kept", 1);
    // Nobody is online at that socket, which may have 8 requests pending.
    let elsewhere = User::at(&elsewhere_ip.to_string(), &node);
    for number in 0..65 {
        elsewhere.say(format!("PLjoya{number}@bb.com:laura@bb.com").as_bytes());
    }
    expected.received([("PL", 65)]);
    expected.sent([("PL", 65)]);
    expected.add("locations_displaced_total", 57);
    // The request to away.com is one of them.
    expected.add("locations_unanswered_total", 9);
    expected.come(web);

    for _ in 0..1000 {
        elsewhere.say(b"XX");
    }
    let kept_out = || scrape(web).of("lumi_node_datagrams_dropped_total{reason=\"too-many\"}");
    eventually("some are kept out", || kept_out() > 0.0);
    // Each lasts only a while, so start another one if it was over before the scrape.
    let mut number = 0;
    eventually("a look-up is under way", || {
        number += 1;
        laura.say(format!("PLlaura@bb.com:joya@silent{number}.com").as_bytes());
        scrape(web).of("lumi_node_lookups_in_flight") > 0.0
    });
    eventually("a location is under way", || {
        number += 1;
        marc.say(format!("PLjoan{number}@dd.com:laura@bb.com").as_bytes());
        scrape(web).of("lumi_node_locations_pending") > 0.0
    });
    // Marc moves to another port, and then to another host.
    for place in [User::of(&node), User::of(&node), User::at("127.0.0.8", &node)] {
        assert_eq!(place.ask("PRmarc"), "RR0");
    }
    eventually("a request is repeated at once", || {
        number += 1;
        let question = format!("PLjoan{number}@dd.com:laura@bb.com");
        marc.say(question.as_bytes());
        marc.say(question.as_bytes());
        scrape(web).of("lumi_node_datagrams_dropped_total{reason=\"repeated\"}") > 0.0
    });
    eventually("a look-up gives way", || {
        for _ in 0..33 {
            number += 1;
            laura.say(format!("PLlaura@bb.com:joya@silent{number}.com").as_bytes());
        }
        scrape(web).of("lumi_node_lookups_displaced_total") > 0.0
    });
    let still_at_0 = [
        "lumi_node_challenges_total",
        "lumi_node_datagrams_dropped_total{reason=\"being-saved\"}",
        "lumi_node_datagrams_dropped_total{reason=\"no-room\"}",
        "lumi_node_datagrams_dropped_total{reason=\"too-many-proofs\"}",
        "lumi_node_datagrams_dropped_total{reason=\"unknown-proof\"}",
        "lumi_node_diagnostics_lost_total",
        "lumi_node_enrolments_total",
        "lumi_node_log_lines_lost_total",
        "lumi_node_messages_received_total{message=\"PK\"}",
        "lumi_node_messages_sent_total{message=\"PD\"}",
        "lumi_node_messages_sent_total{message=\"PK\"}",
        "lumi_node_messages_sent_total{message=\"PR\"}",
        "lumi_node_proofs_total{result=\"accepted\"}",
        "lumi_node_proofs_total{result=\"refused\"}",
        "lumi_node_proofs_total{result=\"repeated\"}",
        "lumi_node_receive_errors_total",
    ];
    // A busy machine may take long to write the log.
    let figures = scrape(web);
    let mut at_0 = figures.counters_at_0();
    at_0.retain(|name| {
        !["lumi_node_early_answers_total", "lumi_node_unpromised_answers_total"].contains(name)
    });
    assert_eq!(at_0, still_at_0, "there was room, nobody had a key, and nothing failed");
}

#[test]
fn lines_that_are_lost_are_counted() {
    let arguments = [&ARGUMENTS[..], &["--log", "/dev/full"]].concat();
    let node = NodeProgram::start("bb.com", &["laura"], &arguments);
    let web = web_of(&node);
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
    let mut expected = Expected::default();
    expected.add("log_lines_lost_total", 2);
    expected.come(web);
}

#[test]
fn every_figure_is_documented_and_no_other() {
    let node = NodeProgram::start("bb.com", &["laura"], &ARGUMENTS);
    let web = web_of(&node);
    let told = scrape(web).families;
    let documented: Vec<_> = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `lumi_node_")).collect();
    let names: BTreeSet<_> = documented
        .iter()
        .map(|row| {
            let [name, kind, labels, meaning, alarm, ""] =
                row.split(" | ").flat_map(|cell| cell.split(" |")).collect::<Vec<_>>()[..]
            else {
                panic!("not five cells: {row}")
            };
            let name = format!("lumi_node_{}", name.trim_end_matches('`'));
            let family = told.get(&name).unwrap_or_else(|| panic!("{name} is not told"));
            assert_eq!(family.kind, kind, "{name}");
            let quoted =
                |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
            let (labels, values) = labels.split_once(": ").unwrap_or((labels, ""));
            assert_eq!(family.labels.keys().cloned().collect::<BTreeSet<_>>(), quoted(labels), "{name}");
            if !values.is_empty() {
                assert_eq!(family.labels.values().next(), Some(&quoted(values)), "{name}");
            }
            assert!(!meaning.is_empty() && !alarm.is_empty(), "{name}");
            name
        })
        .collect();
    assert_eq!(names.len(), documented.len(), "one is documented twice");
    assert_eq!(told.into_keys().collect::<BTreeSet<_>>(), names);
    // These labels tell nodes apart.
    let info = format!("lumi_node_domain_info{{domain=\"bb.com\",address=\"{}\"}}", node.address());
    assert_eq!(scrape(web).of(&info), 1.0);
    assert_eq!(
        scrape(web).of(&format!("lumi_node_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))),
        1.0
    );
}

#[test]
fn hostile_clients_hold_up_neither_users_nor_others() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &ARGUMENTS);
    let web = web_of(&node);
    let files = node.open_files();
    let laura = User::of(&node);
    let mut slow = connect(web);
    // None of these ever sends a whole request.
    let crowd: Vec<_> = (0..300)
        .map(|number| {
            let mut stream = connect(web);
            // The connection may have had to give way already.
            _ = stream.write_all(&b"GET /metrics HTTP/1.1\r\nHost: web\r\nX-Slow: "[..number % 40]);
            assert_eq!(laura.ask("PRlaura"), "RR0");
            stream
        })
        .collect();
    assert_eq!(scrape(web).of("lumi_node_users_online"), 1.0, "who asks is answered");
    eventually("the oldest connections have given way", || node.open_files() - files < 80);
    eventually("the first one has", || is_gone(&mut slow, b"").is_some());
    drop(crowd);

    // This one sends byte after byte forever.
    let mut slow = connect(web);
    slow.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").unwrap();
    eventually("who does not come to an end is not heard", || is_gone(&mut slow, b"x").is_some());

    let long = "x".repeat(100_000);
    let many = "X-Many: 1\r\n".repeat(1000);
    for head in [
        format!("GET /{long} HTTP/1.1\r\nHost: web\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: web\r\nX-Long: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: web\r\n{many}\r\n"),
        format!("{long}\r\n\r\n"),
    ] {
        // The connection can end before the answer comes.
        let answer = ask(web, head.as_bytes()).unwrap_or_default();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let post = "POST /metrics HTTP/1.1\r\nHost: web\r\nContent-Length: 1000000000\r\n\r\n";
    let answer = ask(web, post.as_bytes()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let chunked = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n";
    let answer = ask(web, chunked.as_bytes()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    _ = ask(web, &[0xff; 10_000]);
    _ = ask(web, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");

    assert_eq!(laura.ask("PRlaura"), "RR0");
    assert_eq!(scrape(web).of("lumi_node_users_online"), 1.0);
    let _idle = connect(web);
    node.signal(Signal::Terminate);
    assert_eq!(node.wait_exit(), 0);
    assert!(!node.stderr().iter().any(|line| line.contains("panicked")), "{:?}", node.stderr());
}

#[test]
fn who_never_reads_is_not_waited_for() {
    let node = NodeProgram::start("bb.com", &["laura"], &ARGUMENTS);
    let web = web_of(&node);
    let mut stream = connect(web);
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: web\r\n\r\n".repeat(100);
    let error = loop {
        if let Err(error) = stream.write_all(&request) {
            break error;
        }
    };
    // The node ends the connection. If it did not, this side would report its own time-out.
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    assert_eq!(User::of(&node).ask("PRlaura"), "RR0");
}

#[test]
fn it_listens_where_it_is_told_or_does_not_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = folder_with("bb.com\n");
    let reason = format!("cannot show the node at http://{address}: address already in use");
    assert_eq!(failure(folder.path(), &["--listen", "127.0.0.1:0", "--web", &address]), (1, reason));

    write_settings(folder.path(), "web = '127.0.0.9:0'\ndiagnostics = 'info'\n");
    let node = NodeProgram::start_in(folder.path(), &[]);
    let web = web_of(&node);
    assert_eq!(web.ip(), Ipv4Addr::new(127, 0, 0, 9));
    assert_eq!(scrape(web).of("lumi_node_users"), 0.0);
    assert!(
        !node.stderr().iter().any(|line| line.contains("who looks for whom")),
        "loopback is nobody else's"
    );
    drop(node);
    let node = NodeProgram::start_in(folder.path(), &["--web", "0.0.0.0:0"]);
    node.wait_for_diagnostic("sees who looks for whom: it is for a network that you trust");
    drop(node);
    write_settings(folder.path(), "diagnostics = 'info'\n");
    let node = NodeProgram::start_in(folder.path(), &[]);
    node.wait_for_diagnostic("starting");
    assert!(!node.stderr().iter().any(|line| line.contains("http://")), "off unless it is given");
}

/// The samples that a test waits for, by their names without `lumi_node_`.
#[derive(Default)]
struct Expected(BTreeMap<String, f64>);

impl Expected {
    fn add(&mut self, sample: &str, count: u32) {
        *self.0.entry(format!("lumi_node_{sample}")).or_default() += f64::from(count);
    }

    fn received<const N: usize>(&mut self, counts: [(&str, u32); N]) {
        counts.iter().for_each(|(kind, count)| {
            self.add(&format!("messages_received_total{{message=\"{kind}\"}}"), *count);
        });
    }

    fn sent<const N: usize>(&mut self, counts: [(&str, u32); N]) {
        counts.iter().for_each(|(kind, count)| {
            self.add(&format!("messages_sent_total{{message=\"{kind}\"}}"), *count);
        });
    }

    fn dropped<const N: usize>(&mut self, counts: [(&str, u32); N]) {
        counts.iter().for_each(|(reason, count)| {
            self.add(&format!("datagrams_dropped_total{{reason=\"{reason}\"}}"), *count);
        });
    }

    /// Waits until one scrape has all of these values.
    fn come(&self, web: SocketAddr) {
        let start = Instant::now();
        loop {
            let told = scrape(web);
            let others: Vec<_> = self.0.iter().filter(|(sample, value)| told.of(sample) != **value).collect();
            if others.is_empty() {
                return;
            }
            let told: Vec<_> = others.iter().map(|(sample, _)| told.of(sample)).collect();
            assert!(start.elapsed() < DEADLINE, "{others:?} is expected, and told is {told:?}");
        }
    }
}

/// The HTTP address of `node`, which was started with [`ARGUMENTS`].
pub(super) fn web_of(node: &NodeProgram) -> SocketAddr {
    let told = node.wait_for_diagnostic("shown at http://");
    told.rsplit_once("http://").and_then(|(_, address)| address.parse().ok()).expect("an address")
}

fn scrape(web: SocketAddr) -> Exposition {
    let answer = ask(web, b"GET /metrics HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
    let answer = answer.expect("there is an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    Exposition::parse(body)
}

/// Sends `request` and reads until the connection ends.
fn ask(web: SocketAddr, request: &[u8]) -> io::Result<String> {
    let mut stream = connect(web);
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn connect(web: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(web).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("it is not 0");
    stream
}

/// Sends `more`, and returns whether the other side has ended the connection by then or a moment later.
fn is_gone(stream: &mut TcpStream, more: &[u8]) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("it is not 0");
    if stream.write_all(more).is_err() {
        return Some(());
    }
    match stream.read(&mut [0; 1000]) {
        Ok(0) => Some(()),
        Ok(_) => None,
        Err(error) => (!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)).then_some(()),
    }
}

/// Serves HTTP on a free port, which a diagnostic names.
pub(super) const ARGUMENTS: [&str; 3] = ["-v", "--web", "127.0.0.1:0"];

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");
