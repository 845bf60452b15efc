//! Hostile or idle callers: they delay nobody, and their connections end in order.

use std::net::Ipv4Addr;

use integration_tests::raw_user::connect_from;

use super::*;

/// They come from the honest caller's own address, each from one of its own, and all from another one.
#[tokio::test]
async fn five_hundred_who_never_finish_their_nickname_do_not_keep_out_who_does() {
    let other = |n: u8| Ipv4Addr::new(127, 0, 1, n);
    let addresses: [&dyn Fn(u8) -> Ipv4Addr; 3] = [&|_| Ipv4Addr::LOCALHOST, &other, &|_| other(1)];
    for address in addresses {
        let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
        let (pere, mut events) = node.agent("pere").start().await.expect("registered");
        // Connected by the kernel: the agent's tasks have no chance to run before all are there.
        let mut dribblers = Vec::new();
        let mut dribble = |n: u8| {
            dribblers.push(stranger(address(n), &pere, b"N"));
        };
        (1..=250).for_each(&mut dribble);
        let mut honest = stranger(Ipv4Addr::LOCALHOST, &pere, b"N04joan");
        (1..=250).for_each(&mut dribble);
        let mut talk = incoming(&mut events).await;
        assert_eq!(talk.peer().nickname, "joan");
        honest.read_exactly(b"N04pere").await;
        honest.write(b"L04hola").await;
        assert_eq!(next(&mut talk).await, "hola");
        if address(1) == address(2) && address(1) != Ipv4Addr::LOCALHOST {
            // Their connections end like those from the honest caller's address.
            continue;
        }
        for dribbler in dribblers {
            assert_eq!(dribbler.read_to_end().await, b"N04pere");
        }
    }
}

/// They come again and again, byte by byte, while an agent calls.
#[tokio::test]
async fn a_call_gets_through_at_the_first_try_in_their_midst() {
    let node = TestNode::start("bb.com", &["laura", "pere"], directory(&[])).await;
    let (laura, _laura_events) = node.agent("laura").start().await.expect("registered");
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let mut dribblers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let at = SocketAddr::V4(pere.listening().into());
        dribblers.spawn(async move {
            for _ in 0..10 {
                let mut stream = TcpStream::connect(at).await.expect("a connection");
                for byte in *b"N99" {
                    // Its connection may have ended.
                    _ = stream.write_all(&[byte]).await;
                    tokio::task::yield_now().await;
                }
                _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
    }
    let calling = async {
        // The first connections have ended.
        dribblers.join_next().await.expect("there are some").expect("no panic");
        laura.call(pere.address()).await
    };
    let (talk, heard) = tokio::join!(calling, incoming(&mut events));
    let talk = talk.expect("a conversation");
    assert_eq!((talk.peer().nickname.raw(), heard.peer().nickname.raw()), ("pere", "laura"));
}

/// A caller of an agent that is still starting is not lost, whatever becomes of the agent.
#[tokio::test]
async fn callers_of_an_agent_that_starts_wait_and_are_let_go_in_order_if_it_does_not() {
    for registered in [Some("RR0"), Some("RR1"), None] {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let node = local_address(&socket);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
        let SocketAddr::V4(at) = listener.local_addr().expect("its address") else { panic!("not IPv4") };
        drop(listener);
        let builder = Agent::builder("pere@bb.com".parse().expect("an address")).node(node).listen(at);
        let start = tokio::spawn(builder.start());
        let (_, agent) = socket.recv_from(&mut [0; 100]).await.expect("PR");
        let mut caller = RawPeer(TcpStream::connect(at).await.expect("a connection"));
        caller.write(b"N04joanL04hola").await;
        match registered {
            Some(answer) => _ = socket.send_to(answer.as_bytes(), agent).await.expect("sent"),
            None => start.abort(),
        }
        match (start.await, registered) {
            (Ok(Ok((_pere, mut events))), Some("RR0")) => {
                assert_eq!(next(&mut incoming(&mut events).await).await, "hola");
                caller.read_exactly(b"N04pere").await;
            }
            (Ok(Err(_)), Some("RR1")) | (Err(_), None) => {
                assert_eq!(caller.read_to_end().await, b"N04pereL00");
            }
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
}

/// A connection to `agent` from `ip` that has written `bytes`, without the runtime.
fn stranger(ip: Ipv4Addr, agent: &Agent, bytes: &[u8]) -> RawPeer {
    let mut stream = connect_from(ip, SocketAddr::V4(agent.listening().into()));
    stream.write_all(bytes).expect("written");
    stream.set_nonblocking(true).expect("set");
    RawPeer(TcpStream::from_std(stream).expect("within the runtime"))
}
