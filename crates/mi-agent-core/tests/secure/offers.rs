//! Offers of encryption that are lost on their way, or dropped.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lumi_testkit::network::TestNode;
use mi_agent_core::{CallError, Day, Event, NotSecure, PeerSecurity, Pin, Security, Trust, TrustStore};

use super::relay::Relay;
use super::{User, call, end, trust_of, within};

fn is_offer(datagram: &[u8]) -> bool {
    datagram.starts_with(b"RL0") && datagram.ends_with(b":T")
}

/// One lost datagram is no reason to warn a user.
#[tokio::test]
async fn an_offer_that_is_lost_is_asked_for_again() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya) = (User::new("laura"), User::new("joya"));
    let pin = |pins: &mut Vec<_>| pins.push(Pin::seen(joya.identity.public_key(), Day::today()));
    laura.trust.change(&joya.address, &mut { pin }).expect("kept");
    let (mut is_first, dropped) = (true, Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&dropped);
    let relay = Relay::start(node.address.into(), move |datagram| {
        let drops = is_offer(datagram) && mem::take(&mut is_first);
        counted.fetch_add(usize::from(drops), Ordering::Relaxed);
        !drops
    })
    .await;
    let builder = laura.builder(&node, Security::Offer).node(relay.node);
    let (of_laura, _) = builder.start().await.expect("registered");
    let (of_joya, mut events) =
        joya.builder(&node, Security::Offer).conversations(2).start().await.expect("registered");
    let answering = async {
        let mut calls = Vec::new();
        while let Some(Event::Incoming(incoming)) = events.next().await {
            calls.push(incoming.accept().expect("a conversation"));
            if calls.len() == 2 {
                return calls;
            }
        }
        panic!("{calls:?}");
    };
    let (called, calls) = within(async { tokio::join!(of_laura.call(joya.address), answering) }).await;
    assert!(matches!(trust_of(&called.expect("a conversation")), Some(Trust::Known(_))));
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    // The first call was ended, because an agent without encryption hears nothing more until it is called.
    assert_eq!(calls[0].peer().security, PeerSecurity::Plain { lacks_key: false });
    assert!(matches!(calls[1].peer().security, PeerSecurity::Tls { .. }));
    drop(of_joya);
}

/// A node of version 0.1 drops every offer.
#[tokio::test]
async fn a_node_that_drops_offers_leaves_new_contacts_plain_and_known_ones_unreached() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya) = (User::new("laura"), User::new("joya"));
    let relay = Relay::start(node.address.into(), |datagram| !is_offer(datagram)).await;
    let builder = laura.builder(&node, Security::Offer).node(relay.node);
    let (of_laura, _) = builder.start().await.expect("registered");
    let (of_joya, mut events) = joya.comes(&node, Security::Offer).await;
    let (here, there) = call(&of_laura, &of_joya, &mut events).await;
    assert_eq!(here.peer().security, PeerSecurity::Plain { lacks_key: false });
    end((here, there), [&of_laura, &of_joya]).await;
    let pin = |pins: &mut Vec<_>| pins.push(Pin::seen(joya.identity.public_key(), Day::today()));
    laura.trust.change(&joya.address, &mut { pin }).expect("kept");
    let accepting = async {
        while let Some(event) = events.next().await {
            if let Event::Incoming(incoming) = event {
                drop(incoming.accept());
            }
        }
    };
    let called = tokio::select! {
        called = of_laura.call(joya.address) => called,
        () = accepting => panic!("the agent goes on"),
    };
    let error = called.expect_err("no encryption");
    assert!(matches!(error, CallError::NotSecure(NotSecure::HasKey)), "{error:?}");
}
