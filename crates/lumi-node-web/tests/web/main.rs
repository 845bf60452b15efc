//! The web pages of a node, over HTTP on real sockets.

mod viewers;

use std::fs;
use std::future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use lumi_dns::NodeDirectory;
use lumi_node_core::{Administrator, Node, NodeSettings, RosterFile, Server};
use lumi_node_web::WebServer;
use message_ladder::Watch;
use message_log::{Direction, Entry, Sink};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::{task, time};

#[tokio::test]
async fn metrics_are_those_of_the_node_and_its_program() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let lost = Arc::new(AtomicU64::new(3));
    let of_program = Arc::clone(&lost);
    let web = show(administrator.clone(), |web| {
        web.log_lines_lost(move || of_program.load(Ordering::Relaxed)).diagnostics_lost(|| 5)
    });
    let web = web.await;
    let answer = get(web, "/metrics").await;
    assert_eq!(answer.status(), "HTTP/1.1 200 OK");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        r#"lumi_node_build_info{version="0.1.0"} 1"#,
        "lumi_node_users 2",
        "lumi_node_users_online 0",
        r#"lumi_node_messages_received_total{message="PR"} 0"#,
        r#"lumi_node_location_duration_seconds_bucket{outcome="found",le="0.001"} 0"#,
        "lumi_node_log_lines_left_out_total 0",
        "lumi_node_early_answers_total 0",
        "lumi_node_log_lines_lost_total 3",
        "lumi_node_diagnostics_lost_total 5",
    ] {
        assert!(answer.body().lines().any(|found| found == line), "no {line} in\n{}", answer.body());
    }
    assert!(answer.body().contains(r#"lumi_node_domain_info{domain="bb.com",address="127.0.0.1:"#));

    administrator.add_user("joan".parse().unwrap()).await.unwrap();
    lost.store(4, Ordering::Relaxed);
    let now = eventually(web, "lumi_node_users 3").await;
    assert!(now.body().contains("lumi_node_log_lines_lost_total 4"));
}

#[tokio::test]
async fn what_the_program_does_not_tell_is_left_out() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let web = show(administrator, |web| web).await;
    let answer = get(web, "/metrics").await;
    assert!(answer.body().contains("lumi_node_users 2") && !answer.body().contains("log_lines_lost"));
}

#[tokio::test]
async fn every_other_request_is_answered_in_words() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let web = show(administrator, |web| web).await;
    let change = "there is nothing to change here: use GET or HEAD\n";
    let nothing = "there is nothing here, look at /\n";
    for (request, status, body) in [
        ("GET /metrics/ HTTP/1.1", "404 Not Found", nothing),
        ("GET /../../etc/passwd HTTP/1.1", "404 Not Found", nothing),
        ("HEAD /users HTTP/1.1", "404 Not Found", ""),
        ("POST /metrics HTTP/1.1", "405 Method Not Allowed", change),
        ("DELETE / HTTP/1.1", "405 Method Not Allowed", change),
        ("OPTIONS * HTTP/1.1", "405 Method Not Allowed", change),
        ("BREW /tea HTTP/1.1", "405 Method Not Allowed", change),
        ("CONNECT bb.com:3344 HTTP/1.1", "405 Method Not Allowed", change),
        ("PRlaura", "400 Bad Request", ""),
    ] {
        let answer = ask(web, &format!("{request}\r\nHost: [::1]:8344\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((answer.status(), answer.body()), (&*format!("HTTP/1.1 {status}"), body), "{request}");
        if status.starts_with("400") {
            continue;
        }
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{request}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{request}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{request}");
        assert_eq!(answer.header("content-security-policy"), Some(OWN_ONLY), "{request}");
        assert_eq!(answer.header("set-cookie"), None);
        let allowed = status.starts_with("405").then_some("GET, HEAD");
        assert_eq!(answer.header("allow"), allowed, "{request}");
    }
    let head = ask(web, "HEAD /metrics HTTP/1.0\r\n\r\n").await;
    let length: usize = head.header("content-length").unwrap().parse().unwrap();
    assert!(head.status() == "HTTP/1.0 200 OK" && head.body().is_empty() && length > 1000, "{head:?}");
}

#[tokio::test]
async fn a_connection_serves_more_than_one_request() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let web = show(administrator, |web| web).await;
    let request = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let last = "GET /metrics HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    let answers = ask(web, &format!("{request}{request}{last}")).await;
    assert_eq!(answers.0.matches("HTTP/1.1 200 OK").count(), 3);
    assert!(answers.0.contains("lumi_node_users 2"));
}

/// The node does not answer, for example because its disk hangs during a save.
#[tokio::test]
async fn a_node_that_does_not_answer_is_told() {
    let (server, administrator, _folder) = node().await;
    let web = show(administrator, |web| web).await;
    let answer = get(web, "/metrics").await;
    assert_eq!(answer.status(), "HTTP/1.1 503 Service Unavailable");
    assert_eq!(answer.body(), "the node has not answered for 5 s\n");
    assert_eq!(get(web, "/").await.status(), "HTTP/1.1 200 OK");
    task::spawn(server.run(future::pending()));
    assert_eq!(get(web, "/metrics").await.status(), "HTTP/1.1 200 OK", "it is asked again");
}

#[tokio::test]
async fn a_node_that_has_ended_is_told() {
    let (server, administrator, _folder) = node().await;
    let web = show(administrator, |web| web).await;
    server.run(future::ready(())).await.unwrap();
    let answer = get(web, "/metrics").await;
    assert_eq!(answer.status(), "HTTP/1.1 503 Service Unavailable");
    assert_eq!(answer.body(), "the node has ended\n");
}

#[tokio::test]
async fn its_end_is_the_end_of_connections() {
    let (_server, administrator, _folder) = node().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let web = task::spawn(WebServer::new(listener, administrator, watch()).run(async { _ = ended.await }));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    let mut some = [0; 15];
    idle.read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"HTTP/1.1 200 OK");
    end.send(()).unwrap();
    web.await.unwrap();
    _ = time::timeout(DEADLINE, idle.read_to_end(&mut Vec::new())).await.unwrap();
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn the_page_is_whole_and_has_nothing_from_elsewhere() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let web = show(administrator, |web| web).await;
    let mut seen = vec!["/".to_owned()];
    let mut at = 0;
    while let Some(path) = seen.get(at).cloned() {
        let answer = get(web, &path).await;
        assert_eq!(answer.status(), "HTTP/1.1 200 OK", "{path}");
        for (header, value) in [
            ("content-security-policy", OWN_ONLY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{path}");
        }
        let kind = match path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript",
            Some((_, "css")) => "text/css",
            _ => "text/html",
        };
        assert_eq!(answer.header("content-type"), Some(&*format!("{kind}; charset=utf-8")), "{path}");
        for text in [
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            " style=",
            "onclick",
        ] {
            // The name of the SVG namespace is allowed.
            let found = answer.body().replace("http://www.w3.org/2000/svg", "").contains(text);
            assert!(!found, "{text} is in {path}");
        }
        let mut parts = answer.body().split('"');
        parts.next();
        let named = parts
            .filter(|part| !part.contains(' '))
            .filter(|part| part.ends_with(".js") || part.ends_with(".css"));
        for name in named {
            let path = format!("/{}", name.trim_start_matches("./"));
            if !seen.contains(&path) {
                seen.push(path);
            }
        }
        at += 1;
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

/// A page under a foreign host name must not read this node's pages.
///
/// Its owner can have that name resolve to this node. The page then runs in the browser of any visitor.
#[tokio::test]
async fn who_comes_by_a_name_sees_figures_only() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let web = show(administrator, |web| web).await;
    let reason = "this page is shown to those who come by an IP address or localhost, not by another name\n";
    for (host, path, status) in [
        ("Host: evil.example\r\n", "/", "421 Misdirected Request"),
        ("Host: evil.example:8344\r\n", "/events", "421 Misdirected Request"),
        ("Host: evil.example\r\n", "/page.js", "421 Misdirected Request"),
        ("", "/events", "421 Misdirected Request"),
        ("Host: \r\n", "/events", "421 Misdirected Request"),
        ("Host: localhost:8344\r\n", "/", "200 OK"),
        ("Host: 10.0.0.1\r\n", "/", "200 OK"),
        ("Host: node.bb.com\r\n", "/metrics", "200 OK"),
    ] {
        let answer = ask(web, &format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n")).await;
        assert_eq!(answer.status(), format!("HTTP/1.1 {status}"), "{host}{path}");
        assert_eq!(answer.body() == reason, status.starts_with("421"), "{host}{path}");
    }
}

/// A page of others must not take the places of viewers, even if it cannot read what comes.
#[tokio::test]
async fn pages_of_others_are_refused() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let web = show(administrator, |web| web).await;
    let refused = "this page is not shown to pages of others: type its address\n";
    for (headers, is_shown) in [
        ("Sec-Fetch-Site: same-origin\r\n", true),
        ("Sec-Fetch-Site: none\r\n", true),
        ("Origin: http://127.0.0.1:8344\r\n", true),
        ("Origin: http://127.0.0.1:8344\r\nSec-Fetch-Site: same-origin\r\n", true),
        ("Sec-Fetch-Site: cross-site\r\n", false),
        ("Sec-Fetch-Site: same-site\r\n", false),
        ("Sec-Fetch-Site: \r\n", false),
        ("Sec-Fetch-Site: \u{e9}\r\n", false),
        ("Origin: null\r\n", false),
        ("Origin: http://evil.example\r\n", false),
        ("Origin: http://127.0.0.1:9000\r\n", false),
        ("Origin: http://127.0.0.1:9000\r\nSec-Fetch-Site: same-origin\r\n", false),
        ("Origin: http://127.0.0.1:8344\r\nSec-Fetch-Site: cross-site\r\n", false),
    ] {
        for path in ["/", "/page.js", "/events"] {
            let request =
                format!("HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1:8344\r\n{headers}Connection: close\r\n\r\n");
            let status = if is_shown { "200 OK" } else { "421 Misdirected Request" };
            assert_eq!(ask(web, &request).await.status(), format!("HTTP/1.1 {status}"), "{path} {headers}");
        }
        let request = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:8344\r\n{headers}Connection: close\r\n\r\n");
        assert_eq!(ask(web, &request).await.body() == refused, !is_shown, "{headers}");
    }
}

/// Reads the first line of the answer, and nothing after it.
async fn get_head(web: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(web).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {web}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it is taken");
    let mut head = [0; 12];
    _ = time::timeout(DEADLINE, stream.read_exact(&mut head)).await.expect("there is an answer");
    String::from_utf8_lossy(&head).into_owned()
}

fn watch() -> Watch {
    Watch::new("bb.com", 500, || UNIX_EPOCH)
}

fn pass(watch: &mut Watch, message: &str) {
    let remote = "10.0.0.1:4000".parse().expect("it is an address");
    watch.take(&Entry::new("bb.com", Direction::Received, remote, message.as_bytes()));
    watch.write();
}

/// A node of bb.com that does not run yet. Nobody else uses its roster.
async fn node() -> (Server, Administrator, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nodelumi.cfg");
    fs::write(&path, "bb.com\nlaura\npere\n").expect("the folder is the test's own");
    let (file, roster) = RosterFile::open(&path).expect("it is a roster");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let SocketAddr::V4(local) = socket.local_addr().expect("it is bound") else {
        unreachable!("to an IPv4 address")
    };
    let node = Node::new(roster, local.into(), NodeSettings::default());
    let mut server =
        Server::new(socket, node, NodeDirectory::builder().build().expect("there is a hosts file, or none"));
    let administrator = server.administrator(file);
    (server, administrator, folder)
}

/// Starts a web server for the node behind `administrator`. Returns its address.
///
/// It shows the messages that `watch` sees.
async fn show_with(administrator: Administrator, watch: Watch) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    show_on(listener, administrator, watch)
}

/// Does the same as [`show_with`], on a listener of the test.
fn show_on(listener: TcpListener, administrator: Administrator, watch: Watch) -> SocketAddr {
    let address = listener.local_addr().expect("it is bound");
    task::spawn(WebServer::new(listener, administrator, watch).run(future::pending()));
    address
}

/// Does the same as [`show_with`], without messages, but with other settings of the web server.
async fn show(administrator: Administrator, with: impl FnOnce(WebServer) -> WebServer) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let address = listener.local_addr().expect("it is bound");
    task::spawn(with(WebServer::new(listener, administrator, watch())).run(future::pending()));
    address
}

async fn get(web: SocketAddr, path: &str) -> Answer {
    ask(web, &format!("GET {path} HTTP/1.1\r\nHost: {web}\r\nConnection: close\r\n\r\n")).await
}

async fn ask(web: SocketAddr, request: &str) -> Answer {
    let answer = async {
        let mut stream = TcpStream::connect(web).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it is text");
        Answer(answer)
    };
    time::timeout(DEADLINE, answer).await.expect("there is an answer, and the connection ends")
}

/// Waits until `line` is among the metrics.
async fn eventually(web: SocketAddr, line: &str) -> Answer {
    let look = async {
        loop {
            let answer = get(web, "/metrics").await;
            if answer.body().lines().any(|found| found == line) {
                return answer;
            }
        }
    };
    time::timeout(DEADLINE, look).await.unwrap_or_else(|_| panic!("{line} does not come"))
}

#[derive(Debug)]
struct Answer(String);

impl Answer {
    fn status(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n")?;
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// A deadline that even a busy machine meets many times over.
const DEADLINE: Duration = Duration::from_secs(60);

const OWN_ONLY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
