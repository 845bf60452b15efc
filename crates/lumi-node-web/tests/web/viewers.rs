//! The viewers of a node, and their places.

use tokio::time::MissedTickBehavior;

use super::*;

/// A crowd from one address does not keep out others.
#[tokio::test]
async fn a_newcomer_from_another_address_takes_the_oldest_place_of_the_crowd() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let mut passing = watch();
    let web = show_with(administrator, passing.clone()).await;
    let mut crowd = Vec::new();
    for _ in 0..32 {
        crowd.push(Viewer::come(web).await);
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, 9), 0).into()).unwrap();
    let mut newcomer = Viewer::come_by(socket.connect(web).await.unwrap(), web).await;
    assert_eq!(newcomer.head.status(), "HTTP/1.1 200 OK");
    let mut oldest = crowd.remove(0);
    time::timeout(DEADLINE, oldest.stream.read_to_end(&mut Vec::new())).await.expect("it is closed").ok();
    assert_eq!(get(web, "/events").await.status(), "HTTP/1.1 503 Service Unavailable");
    pass(&mut passing, "PRlaura");
    for viewer in crowd.iter_mut().chain([&mut newcomer]) {
        let changes = viewer.next("ladder").await;
        assert!(changes.as_array().unwrap().iter().any(|change| change["arrow"]["message"] == "PRlaura"));
    }
}

#[tokio::test]
async fn who_watches_is_told_what_passes_and_who_there_is() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let mut passing = watch();
    pass(&mut passing, "PRlaura");
    let web = show_with(administrator.clone(), passing.clone()).await;
    let mut viewer = Viewer::come(web).await;
    assert_eq!(viewer.head.status(), "HTTP/1.1 200 OK");
    assert_eq!(viewer.head.header("content-type"), Some("text/event-stream"));
    let snapshot = viewer.next("snapshot").await;
    assert_eq!(snapshot["arrows"][0]["message"], "PRlaura");
    assert_eq!(viewer.next("status").await["domain"], "bb.com");
    assert_eq!(viewer.next("users").await["users"], 2);
    pass(&mut passing, "PDlaura");
    assert_eq!(viewer.next("ladder").await[0]["arrow"]["message"], "PDlaura");
    administrator.add_user("joan".parse().unwrap()).await.unwrap();
    assert_eq!(viewer.next("users").await["users"], 3);
    // A viewer that reconnects receives everything again, exactly once.
    let mut again = Viewer::come(web).await;
    let snapshot = again.next("snapshot").await;
    let messages: Vec<_> =
        snapshot["arrows"].as_array().unwrap().iter().map(|arrow| &arrow["message"]).collect();
    assert_eq!(messages, ["PRlaura", "PDlaura"]);
}

#[tokio::test]
async fn there_are_so_many_places_and_no_crowd_takes_one_away() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    let mut passing = watch();
    let web = show_with(administrator, passing.clone()).await;
    let mut viewers = Vec::new();
    for _ in 0..32 {
        viewers.push(Viewer::come(web).await);
    }
    let refused = get(web, "/events").await;
    assert_eq!(refused.status(), "HTTP/1.1 503 Service Unavailable");
    assert_eq!(refused.body(), "32 watch this node already, and no more can: try again later\n");
    assert_eq!(refused.header("retry-after"), Some("30"));
    // These are more connections than there are slots for other clients.
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(web).await.unwrap());
    }
    assert!(get(web, "/metrics").await.body().contains("lumi_node_users 2"));
    pass(&mut passing, "PRlaura");
    for viewer in &mut viewers {
        let changes = viewer.next("ladder").await;
        assert!(changes.as_array().unwrap().iter().any(|change| change["arrow"]["message"] == "PRlaura"));
    }
    // A viewer that disconnects frees its slot, as soon as the node notices.
    viewers.pop();
    let come = async { while !Viewer::come(web).await.head.status().starts_with("HTTP/1.1 200") {} };
    time::timeout(DEADLINE, come).await.unwrap();
}

#[tokio::test]
async fn who_watches_and_does_not_read_is_not_waited_for() {
    let (server, administrator, _folder) = node().await;
    task::spawn(server.run(future::pending()));
    // The network buffers of both sides are small, so that little has to be written to fill them.
    let listener = socket_with_small_buffers();
    listener.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let mut passing = watch();
    let web = show_on(listener.listen(64).unwrap(), administrator, passing.clone());
    let mut idle = Vec::new();
    for _ in 0..32 {
        let stream = socket_with_small_buffers().connect(web).await.unwrap();
        idle.push(Viewer::come_by(stream, web).await);
    }
    let mut asks = time::interval(Duration::from_millis(200));
    asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let dropped = async {
        // The viewers have more to receive each time. The first new viewer takes the slot of one that does
        // not read.
        loop {
            asks.tick().await;
            (0..64).for_each(|_| pass(&mut passing, &"\u{1}".repeat(200)));
            if get_head(web, "/events").await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    time::timeout(DEADLINE, dropped).await.expect("one is dropped");
    drop(idle);
}

/// A socket with buffers for a few thousand bytes.
fn socket_with_small_buffers() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.set_send_buffer_size(4096).expect("a size");
    socket
}

/// A viewer on a persistent connection.
struct Viewer {
    stream: TcpStream,
    head: Answer,
    text: String,
}

impl Viewer {
    async fn come(web: SocketAddr) -> Self {
        Self::come_by(TcpStream::connect(web).await.expect("it listens"), web).await
    }

    async fn come_by(mut stream: TcpStream, web: SocketAddr) -> Self {
        let request = format!("GET /events HTTP/1.1\r\nHost: {web}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        let mut viewer = Self { stream, head: Answer(String::new()), text: String::new() };
        while !viewer.text.contains("\r\n\r\n") {
            viewer.read().await;
        }
        let (head, text) = viewer.text.split_once("\r\n\r\n").expect("it is there");
        (viewer.head, viewer.text) = (Answer(format!("{head}\r\n\r\n")), text.to_owned());
        viewer
    }

    /// Returns the data of the next event of this `name`, and skips others.
    async fn next(&mut self, name: &str) -> Value {
        let start = format!("event: {name}\ndata: ");
        loop {
            if let Some((_, event)) = self.text.split_once(&start)
                && let Some((data, rest)) = event.split_once("\n\n")
            {
                // HTTP chunks end where events do, but may begin within a long event.
                let data: String = data.split("\r\n").step_by(2).collect();
                let data = serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"));
                self.text = rest.to_owned();
                return data;
            }
            self.read().await;
        }
    }

    async fn read(&mut self) {
        let mut buffer = [0; 4096];
        let read = time::timeout(DEADLINE, self.stream.read(&mut buffer)).await.expect("something comes");
        let length = read.expect("the connection holds");
        assert!(length > 0, "it has ended: {}", self.text);
        self.text += std::str::from_utf8(&buffer[..length]).expect("it is ASCII here");
    }
}
