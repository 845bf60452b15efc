//! Conversations between real agents, encrypted or not.

#![cfg(feature = "secure")]

mod gnutls;
mod offers;
mod proofs;
mod relay;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lumi_testkit::DEADLINE;
use lumi_testkit::network::TestNode;
use mi_agent_core::{
    Admission, Agent, AgentBuilder, CallError, Conversation, ConversationError, Day, Event, Events, Identity,
    KeyLog, KeyWords, MemoryTrust, NotSecure, PeerSecurity, Pin, PublicKey, Refusal, Security, Trust,
    TrustStore,
};
use plumi_proto::{MiAddress, TcpAddress};
use tokio::time;

/// A user with an identity and known keys of others, coming and going.
struct User {
    address: MiAddress,
    identity: Identity,
    trust: Arc<MemoryTrust>,
}

impl User {
    fn new(name: &str) -> Self {
        Self {
            address: format!("{name}@bb.com").parse().expect("an address"),
            identity: Identity::generate().expect("randomness"),
            trust: Arc::default(),
        }
    }

    fn builder(&self, node: &TestNode, security: Security) -> AgentBuilder {
        let builder = node.agent(self.address.user().as_str()).identity(self.identity.clone());
        builder.trust(Arc::clone(&self.trust)).security(security)
    }

    async fn comes(&self, node: &TestNode, security: Security) -> (Agent, Events) {
        self.builder(node, security).start().await.expect("registered")
    }
}

/// Both ends of a call from `caller` to `callee`, neither of which is in a conversation.
async fn call(caller: &Agent, callee: &Agent, events: &mut Events) -> (Conversation, Conversation) {
    let accepting = async {
        loop {
            if let Some(Event::Incoming(incoming)) = events.next().await {
                return incoming.accept().expect("a conversation");
            }
        }
    };
    let (called, accepted) = within(async { tokio::join!(caller.call(callee.address()), accepting) }).await;
    (called.expect("a conversation"), accepted)
}

/// Ends a conversation on both sides, and waits until they may have another.
async fn end(ends: (Conversation, Conversation), agents: [&Agent; 2]) {
    drop(ends);
    free(agents).await;
}

async fn free(agents: [&Agent; 2]) {
    until(|| agents.iter().all(|agent| agent.conversations() == 0)).await;
}

/// Waits until it `is_so`.
async fn until(is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(looking).await;
}

fn trust_of(talk: &Conversation) -> Option<Trust> {
    match talk.peer().security {
        PeerSecurity::Tls { trust, .. } => Some(trust),
        _ => None,
    }
}

async fn refused(events: &mut Events) -> Refusal {
    let refused = async {
        loop {
            if let Some(Event::Refused { reason, .. }) = events.next().await {
                return reason;
            }
        }
    };
    within(refused).await
}

/// Waits for what has to happen, up to a limit.
async fn within<T>(happens: impl Future<Output = T>) -> T {
    time::timeout(DEADLINE, happens).await.expect("it happens")
}

#[tokio::test]
async fn what_is_said_is_encrypted_and_both_keys_are_known_the_next_time() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya) = (User::new("laura"), User::new("joya"));
    let (of_laura, _) = laura.comes(&node, Security::Offer).await;
    let (of_joya, mut events) = joya.comes(&node, Security::Offer).await;
    let (mut here, mut there) = call(&of_laura, &of_joya, &mut events).await;
    assert_eq!((trust_of(&here), trust_of(&there)), (Some(Trust::New), Some(Trust::New)));
    assert_eq!(there.peer().address, Some(laura.address));
    let PeerSecurity::Tls { key, .. } = there.peer().security else { panic!("it is encrypted") };
    assert_eq!(key, laura.identity.public_key());
    for n in 0..500 {
        here.send(&format!("line {n}")).await.expect("sent");
    }
    for n in 0..500 {
        let line = there.next_line().await.expect("heard").expect("a line");
        assert_eq!(line.raw(), format!("line {n}"));
    }
    there.send("adeu").await.expect("sent");
    assert_eq!(here.next_line().await.expect("heard").expect("a line").raw(), "adeu");
    drop(there.hang_up());
    assert!(here.next_line().await.expect("an end").is_none());
    drop(here);
    free([&of_laura, &of_joya]).await;
    // Laura met the key, and Joya was only shown one.
    assert_eq!(laura.trust.pins(&joya.address).expect("read").len(), 1);
    assert_eq!(joya.trust.pins(&laura.address).expect("read").len(), 0);
    let (here, _there) = call(&of_laura, &of_joya, &mut events).await;
    assert!(matches!(trust_of(&here), Some(Trust::Known(_))));
    of_laura.shutdown().await.expect("deregistered");
}

/// A store on a disk that hangs until it is released.
#[derive(Debug)]
struct Hanging {
    kept: MemoryTrust,
    held: Mutex<mpsc::Receiver<()>>,
}

impl TrustStore for Hanging {
    fn pins(&self, address: &MiAddress) -> io::Result<Vec<Pin>> {
        self.kept.pins(address)
    }

    fn holders(&self, key: &PublicKey) -> io::Result<Vec<(MiAddress, Pin)>> {
        self.kept.holders(key)
    }

    fn change(&self, address: &MiAddress, change: &mut dyn FnMut(&mut Vec<Pin>)) -> io::Result<()> {
        // An error: the test has failed.
        _ = self.held.lock().expect("no panic").recv_timeout(DEADLINE);
        self.kept.change(address, change)
    }
}

#[tokio::test]
async fn a_disk_that_hangs_holds_no_conversation() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya) = (User::new("laura"), User::new("joya"));
    let (let_go, held) = mpsc::channel();
    let store = Arc::new(Hanging { kept: MemoryTrust::default(), held: Mutex::new(held) });
    let builder = laura.builder(&node, Security::Offer).trust(Arc::clone(&store));
    let (of_laura, _) = builder.start().await.expect("registered");
    let (of_joya, mut events) = joya.comes(&node, Security::Offer).await;
    // If it held the agent, this would not return.
    let (mut here, mut there) = call(&of_laura, &of_joya, &mut events).await;
    here.send("hola").await.expect("sent");
    assert_eq!(there.next_line().await.expect("heard").expect("a line").raw(), "hola");
    there.send("hola!").await.expect("sent");
    assert_eq!(here.next_line().await.expect("heard").expect("a line").raw(), "hola!");
    assert_eq!(store.pins(&joya.address).expect("read"), []);
    let_go.send(()).expect("it waits");
    until(|| store.pins(&joya.address).expect("read").len() == 1).await;
}

#[tokio::test]
async fn words_that_are_compared_verify_a_key_on_either_side() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya) = (User::new("laura"), User::new("joya"));
    let (of_laura, _) = laura.comes(&node, Security::Offer).await;
    let (of_joya, mut events) = joya.comes(&node, Security::Offer).await;
    end(call(&of_laura, &of_joya, &mut events).await, [&of_laura, &of_joya]).await;
    let words = KeyWords::of(&joya.address, &joya.identity.public_key());
    let other = KeyWords::of(&joya.address, &laura.identity.public_key());
    assert!(of_laura.verify(&joya.address, &other).is_err());
    assert_eq!(of_laura.verify(&joya.address, &words).expect("verified"), joya.identity.public_key());
    // Joya verifies the key with which Laura called.
    let words = KeyWords::of(&laura.address, &laura.identity.public_key());
    assert_eq!(of_joya.verify(&laura.address, &words).expect("verified"), laura.identity.public_key());
    let (here, there) = call(&of_laura, &of_joya, &mut events).await;
    for talk in [here, there] {
        assert!(matches!(trust_of(&talk), Some(Trust::Verified(_))), "{:?}", talk.peer());
    }
}

/// A new machine of Joya, or an impostor.
#[tokio::test]
async fn another_key_is_refused_until_it_is_trusted() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya, new) = (User::new("laura"), User::new("joya"), User::new("joya"));
    let (of_laura, _) = laura.comes(&node, Security::Offer).await;
    let (of_joya, mut events) = joya.comes(&node, Security::Offer).await;
    end(call(&of_laura, &of_joya, &mut events).await, [&of_laura, &of_joya]).await;
    of_joya.shutdown().await.expect("deregistered");
    let (of_joya, mut events) = new.comes(&node, Security::Offer).await;
    let error = of_laura.call(joya.address).await.expect_err("it is another key");
    let CallError::KeyChanged { known, offered } = error else { panic!("{error:?}") };
    assert_eq!((known.key, offered), (joya.identity.public_key(), new.identity.public_key()));
    assert_eq!(error_text(&known), format!("its key is not the one known since {}", known.since));
    // The callee sees how it ends, too.
    free([&of_laura, &of_joya]).await;
    of_laura.trust(&joya.address).expect("trusted");
    let (here, _there) = call(&of_laura, &of_joya, &mut events).await;
    assert!(matches!(trust_of(&here), Some(Trust::Known(_))));
}

fn error_text(known: &Pin) -> String {
    CallError::KeyChanged { known: *known, offered: known.key }.to_string()
}

/// Somebody calls as Laura with a key of their own, and learns why that is no use.
#[tokio::test]
async fn who_calls_with_another_key_is_refused_and_told() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya, thief) = (User::new("laura"), User::new("joya"), User::new("laura"));
    let (of_joya, mut events) = joya.comes(&node, Security::Offer).await;
    let (of_laura, mut of_lauras_calls) = laura.comes(&node, Security::Offer).await;
    end(call(&of_joya, &of_laura, &mut of_lauras_calls).await, [&of_joya, &of_laura]).await;
    of_laura.shutdown().await.expect("deregistered");
    let (of_thief, _) = thief.comes(&node, Security::Offer).await;
    let (called, reason) = tokio::join!(of_thief.call(joya.address), refused(&mut events));
    assert_eq!(reason, Refusal::KeyChanged(laura.address));
    let mut talk = called.expect("the nicknames are exchanged");
    let error = talk.next_line().await.expect_err("a refusal");
    let ConversationError::Refused(line) = error else { panic!("{error:?}") };
    assert_eq!(line.raw(), "key: another one is known here for laura@bb.com");
    drop(talk);
    free([&of_thief, &of_joya]).await;
    // Joya is not told of every attempt.
    of_thief
        .call(joya.address)
        .await
        .expect("the nicknames are exchanged")
        .next_line()
        .await
        .expect_err("a refusal");
    assert!(events.try_next().is_none());
    assert_eq!(of_joya.refused_caller_key(&laura.address), Some(thief.identity.public_key()));
    // It was Laura, on a new machine, and she reads its words out.
    let words = KeyWords::of(&laura.address, &thief.identity.public_key());
    assert_eq!(of_joya.verify(&laura.address, &words).expect("verified"), thief.identity.public_key());
    free([&of_thief, &of_joya]).await;
    let (_here, there) = call(&of_thief, &of_joya, &mut events).await;
    assert!(matches!(trust_of(&there), Some(Trust::Verified(_))), "{:?}", there.peer());
}

/// Laura's key is known. She calls after Pere has asked, and is blocked regardless of the asker.
#[tokio::test]
async fn the_key_tells_who_calls_and_then_the_blocks_count() {
    let node = TestNode::alone("bb.com", &["laura", "joya", "pere"]).await;
    let (laura, joya) = (User::new("laura"), User::new("joya"));
    let as_pere = User { identity: laura.identity.clone(), ..User::new("pere") };
    let pin = Pin::seen(laura.identity.public_key(), Day::today());
    joya.trust.change(&laura.address, &mut |pins| pins.push(pin)).expect("kept");
    let (of_joya, mut events) = joya.comes(&node, Security::Offer).await;
    let (of_pere, _) = as_pere.comes(&node, Security::Offer).await;
    let (here, there) = call(&of_pere, &of_joya, &mut events).await;
    assert_eq!(there.peer().address, Some(laura.address));
    assert!(matches!(trust_of(&there), Some(Trust::Known(_))));
    end((here, there), [&of_pere, &of_joya]).await;
    let mut admission = Admission::default();
    admission.block(laura.address).expect("there is room");
    of_joya.set_admission(admission);
    let (called, reason) = tokio::join!(of_pere.call(joya.address), refused(&mut events));
    assert_eq!(reason, Refusal::Blocked);
    let error = called.expect("the nicknames are exchanged").next_line().await.expect_err("a refusal");
    assert!(matches!(error, ConversationError::Refused(_)), "{error:?}");
}

/// Each row: the levels of both, whether they have an identity, and how the call ends.
#[tokio::test]
async fn levels_hold_in_both_directions() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya) = (User::new("laura"), User::new("joya"));
    // A callee without an identity.
    let (of_joya, mut events) = node.agent("joya").start().await.expect("registered");
    let (of_laura, _) = laura.comes(&node, Security::Offer).await;
    let (here, there) = call(&of_laura, &of_joya, &mut events).await;
    assert_eq!((trust_of(&here), trust_of(&there)), (None, None));
    end((here, there), [&of_laura, &of_joya]).await;
    of_laura.shutdown().await.expect("deregistered");
    let (of_laura, _) = laura.comes(&node, Security::Encrypted).await;
    let error = of_laura.call(joya.address).await.expect_err("it cannot encrypt");
    assert!(
        matches!(error, CallError::NotSecure(NotSecure::CannotEncrypt(Security::Encrypted))),
        "{error:?}"
    );
    of_laura.shutdown().await.expect("deregistered");
    of_joya.shutdown().await.expect("deregistered");
    // A callee that nobody knows.
    let (_of_joya, mut events) = joya.comes(&node, Security::Encrypted).await;
    let (of_laura, _) = laura.comes(&node, Security::Known).await;
    let error = of_laura.call(joya.address).await.expect_err("its key is new");
    assert_eq!(error.to_string(), "its key is new, and security is `known`");
    of_laura.shutdown().await.expect("deregistered");
    // A caller in plain text.
    let (plain, _) = node.agent("laura").start().await.expect("registered");
    let (called, reason) = tokio::join!(plain.call(joya.address), refused(&mut events));
    assert_eq!(reason, Refusal::NotSecure { security: Security::Encrypted, is_encrypted: false });
    let error = called.expect("the nicknames are exchanged").next_line().await.expect_err("a refusal");
    assert_eq!(error.to_string(), "the call was refused: this agent takes encrypted calls only");
}

/// Once it is known that she has a key, a call that does not show it is nobody's.
#[tokio::test]
async fn a_known_key_forbids_plain_text_unless_the_user_permits_it() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya) = (User::new("laura"), User::new("joya"));
    let (of_laura, _) = laura.comes(&node, Security::Offer).await;
    let (of_joya, mut events) = joya.comes(&node, Security::Offer).await;
    end(call(&of_laura, &of_joya, &mut events).await, [&of_laura, &of_joya]).await;
    of_joya.shutdown().await.expect("deregistered");
    let (of_joya, mut events) = node.agent("joya").start().await.expect("registered");
    let error = of_laura.call(joya.address).await.expect_err("it offers no encryption");
    assert_eq!(error.to_string(), "it offers no encryption, and it has a key");
    // The call was begun and ended.
    let Some(Event::Incoming(incoming)) = within(events.next()).await else { panic!("a call") };
    drop(incoming.accept().expect("a conversation"));
    free([&of_laura, &of_joya]).await;
    of_laura.permit_plain(joya.address);
    let (here, _there) = call(&of_laura, &of_joya, &mut events).await;
    assert_eq!(here.peer().security, PeerSecurity::Plain { lacks_key: false });
}

/// The keys with which a conversation is encrypted, as both sides have them.
#[tokio::test]
async fn keys_are_logged_for_programs_that_read_captures() {
    let node = TestNode::alone("bb.com", &["laura", "joya"]).await;
    let (laura, joya) = (User::new("laura"), User::new("joya"));
    let folder = tempfile::tempdir().expect("a folder");
    let logs = ["laura", "joya"].map(|user| folder.path().join(user));
    let [of_lauras, of_joyas] = logs.each_ref().map(|path| KeyLog::open(path).expect("created"));
    let start = |user: &User, log| user.builder(&node, Security::Offer).key_log(log).start();
    let (of_laura, _) = start(&laura, of_lauras).await.expect("registered");
    let (of_joya, mut events) = start(&joya, of_joyas).await.expect("registered");
    for calls in 1..=2 {
        end(call(&of_laura, &of_joya, &mut events).await, [&of_laura, &of_joya]).await;
        let [mut here, mut there] = logs.each_ref().map(|path| {
            let text = std::fs::read_to_string(path).expect("a log");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        here.sort();
        there.sort();
        assert_eq!(here, there, "both derive the same keys");
        let of = |label: &str| here.iter().filter(|line| line.starts_with(&format!("{label} "))).count();
        for label in ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"]
        {
            assert_eq!(of(label), calls, "{here:?}");
        }
    }
}

/// Returns the place where callers connect to an agent.
fn socket_of(agent: &Agent) -> SocketAddr {
    TcpAddress::from(agent.listening()).into()
}
