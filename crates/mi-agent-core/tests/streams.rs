//! The streams of an agent, as the combinators of futures-util see them.

use futures_util::StreamExt;
use lumi_testkit::network::TestNode;
use mi_agent_core::{Conversations, Event, Heard, traffic};

#[tokio::test]
async fn events_lines_conversations_and_traffic_are_streams() {
    let node = TestNode::alone("bb.com", &["laura", "pere"]).await;
    let (tap, passed) = traffic();
    let (laura, _) = node.agent("laura").start().await.expect("registered");
    let (pere, mut events) = node.agent("pere").traffic(tap).start().await.expect("registered");
    let talk = laura.call(pere.address()).await.expect("the nicknames are exchanged");
    let Some(Event::Incoming(caller)) = StreamExt::next(&mut events).await else { panic!("no call") };
    let heard = caller.accept().expect("a conversation");
    for line in ["hola", "que tal?"] {
        talk.send(line).await.expect("handed over");
    }
    heard.send("be").await.expect("handed over");

    let mut talks = Conversations::new();
    let talking = talks.add(talk);
    let (id, said) = StreamExt::next(&mut talks).await.expect("it never ends");
    let Heard::Line(line) = said else { panic!("{said:?}") };
    assert_eq!((id, line.raw()), (talking, "be"));
    drop(talks);
    let (_, _sender, lines) = heard.split();
    let lines: Vec<_> = lines.map(|line| line.expect("no loss").raw().to_owned()).collect().await;
    assert_eq!(lines, ["hola", "que tal?"]);

    pere.shutdown().await.expect("deregistered");
    assert_eq!(events.count().await, 0);
    let passed: Vec<_> =
        passed.map(|passed| passed.content.bytes().escape_ascii().to_string()).collect().await;
    assert_eq!(passed.first().map(String::as_str), Some("PRpere@bb.com"));
    assert_eq!(passed.last().map(String::as_str), Some("RD0"));
}
