//! A node that is looked at over HTTP, on real sockets.

use std::fs;
use std::future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lumi_dns::NodeDirectory;
use lumi_node_core::{Administrator, Node, NodeSettings, RosterFile, Server};
use lumi_node_web::WebServer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::{task, time};

#[tokio::test]
async fn metrics_are_those_of_the_node_and_its_program() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let lost = Arc::new(AtomicU64::new(3));
    let of_program = Arc::clone(&lost);
    let web =
        show(administrator.clone(), |web| web.log_lines_lost(move || of_program.load(Ordering::Relaxed)));
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
        "lumi_node_log_lines_lost_total 3",
    ] {
        assert!(answer.body().lines().any(|found| found == line), "no {line} in\n{}", answer.body());
    }
    assert!(answer.body().contains(r#"lumi_node_domain_info{domain="bb.com",address="127.0.0.1:"#));

    administrator.register("joan".parse().unwrap()).await.unwrap();
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
    assert!(answer.body().contains("lumi_node_users 2") && !answer.body().contains("log_lines"));
}

#[tokio::test]
async fn every_other_request_is_answered_in_words() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let web = show(administrator, |web| web).await;
    let change = "there is nothing to change here: use GET or HEAD\n";
    let nothing = "there is nothing here, look at /\n";
    let index = "This is lumi-node.\n\n/metrics   how it is, for Prometheus\n";
    for (request, status, body) in [
        ("GET / HTTP/1.1", "200 OK", index),
        ("HEAD / HTTP/1.1", "200 OK", ""),
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
        let answer = ask(web, &format!("{request}\r\nHost: web\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((answer.status(), answer.body()), (&*format!("HTTP/1.1 {status}"), body), "{request}");
        if status.starts_with("400") {
            continue;
        }
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{request}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{request}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{request}");
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
    let request = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
    let last = "GET /metrics HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    let answers = ask(web, &format!("{request}{request}{last}")).await;
    assert_eq!(answers.0.matches("HTTP/1.1 200 OK").count(), 3);
    assert!(answers.0.contains("lumi_node_users 2"));
}

/// As when the disk that its roster is being saved on hangs.
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
    let web = task::spawn(WebServer::new(listener, administrator).run(async { _ = ended.await }));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await.unwrap();
    let mut some = [0; 15];
    idle.read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"HTTP/1.1 200 OK");
    end.send(()).unwrap();
    web.await.unwrap();
    _ = time::timeout(DEADLINE, idle.read_to_end(&mut Vec::new())).await.unwrap();
    TcpStream::connect(address).await.unwrap_err();
}

/// A node of bb.com that is yet to be served, and whose roster nobody else has.
async fn node() -> (Server, Administrator, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nodelumi.cfg");
    fs::write(&path, "bb.com\nlaura\npere\n").expect("the folder is the test's own");
    let (file, roster) = RosterFile::open(&path).expect("it is a roster");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let SocketAddr::V4(local) = socket.local_addr().expect("it is bound") else {
        unreachable!("to an IPv4 address")
    };
    let node = Node::new(roster, local, NodeSettings::default());
    let mut server =
        Server::new(socket, node, NodeDirectory::builder().build().expect("there is a hosts file, or none"));
    let administrator = server.administrator(file);
    (server, administrator, folder)
}

/// Where the node is shown that `administrator` reaches.
async fn show(administrator: Administrator, with: impl FnOnce(WebServer) -> WebServer) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let address = listener.local_addr().expect("it is bound");
    task::spawn(with(WebServer::new(listener, administrator)).run(future::pending()));
    address
}

async fn get(web: SocketAddr, path: &str) -> Answer {
    ask(web, &format!("GET {path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")).await
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

/// Many times what a slow machine needs.
const DEADLINE: Duration = Duration::from_secs(20);
