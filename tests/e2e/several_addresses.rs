//! A node on all addresses of its host. On loopback these are all of 127.0.0.0/8.

use std::net::{Ipv4Addr, SocketAddrV4};

use integration_tests::network::{TestNode, directory, quick_schedule};
use integration_tests::programs::NodeProgram;
use integration_tests::raw_user::RawUser;
use mi_agent_core::{Agent, Event};
use tokio::net::UdpSocket;

/// Each of them has a connected socket, which hears nothing that comes from another address than it talks to.
#[test]
fn each_party_hears_from_the_address_that_it_talks_to() {
    let node = NodeProgram::start("bb.com", &["laura", "pere", "joan"], &["--listen", "0.0.0.0:0"]);
    let at = |ip: [u8; 4]| SocketAddrV4::new(ip.into(), node.address().port());
    let laura = RawUser::at(Ipv4Addr::new(127, 0, 0, 9), at([127, 0, 0, 5]));
    let pere = RawUser::at(Ipv4Addr::new(127, 0, 0, 10), at([127, 0, 0, 6]));
    let other_node = RawUser::at(Ipv4Addr::new(127, 0, 0, 11), at([127, 0, 0, 7]));

    assert_eq!(laura.ask("PRlaura@bb.com"), "RR0");
    assert_eq!(pere.ask("PRpere@bb.com"), "RR0");
    assert_eq!(laura.ask("PRnobody@bb.com"), "RR1");
    // Laura locates and is located, by parties that use other addresses than she does.
    for (asker, address) in [(&pere, "pere@bb.com"), (&other_node, "joya@cc.com")] {
        let names = format!("{address}:laura@bb.com");
        asker.say(format!("PL{names}"));
        assert_eq!(laura.hear(), format!("PL{names}"));
        laura.say(format!("RL0{names}:127.0.0.9:4456"));
        assert_eq!(asker.hear(), format!("RL0{names}:127.0.0.9:4456"));
    }
    laura.say("PLlaura@bb.com:pere@bb.com");
    assert_eq!(pere.hear(), "PLlaura@bb.com:pere@bb.com");
    pere.say("RL1laura@bb.com:pere@bb.com");
    assert_eq!(laura.hear(), "RL1laura@bb.com:pere@bb.com");
    // The node answers this by itself.
    assert_eq!(other_node.ask("PLjoya@cc.com:nobody@bb.com"), "RL2joya@cc.com:nobody@bb.com");
    assert_eq!(other_node.ask("PLjoya@cc.com:joan@bb.com"), "RL3joya@cc.com:joan@bb.com");
    assert_eq!(laura.ask("PDlaura@bb.com"), "RD0");
}

#[tokio::test]
async fn agents_find_each_other_by_way_of_any_address() {
    let cc = TestNode::start("cc.com", &["joya"], directory(&[])).await;
    let socket = UdpSocket::bind("0.0.0.0:0").await.expect("a socket");
    let bb = TestNode::start_on(socket, "bb.com", &["laura"], directory(&[("cc.com", cc.address)])).await;
    let (_joya, mut events) = cc.agent("joya").start().await.expect("joya registers");
    for address in [[127, 0, 0, 1], [127, 0, 0, 5], [127, 255, 0, 6]] {
        let node = SocketAddrV4::new(address.into(), bb.address.port());
        let laura = Agent::builder("laura@bb.com".parse().expect("an address")).node(node);
        let (laura, _events) = laura.schedule(quick_schedule()).start().await.expect("laura registers");
        let talk = laura.call("joya@cc.com".parse().expect("an address")).await.expect("a conversation");
        loop {
            if let Some(Event::Incoming(_)) = events.next().await {
                break;
            }
        }
        drop(talk);
        laura.shutdown().await.expect("laura deregisters");
    }
}
