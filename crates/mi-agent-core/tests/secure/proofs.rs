//! Agents that prove their registrations, against a socket that plays the node (protocol.md §12).

use lumi_proof::{Code, handle, verify};
use mi_agent_core::{
    DeregisterError, EnrolError, EnrolmentFile, HostIp, RefreshError, RequestSchedule, StartError, UdpAddress,
};
use plumi_proto::{
    Challenge, DeregisterCode, Extension, KeyAndMac, Message, Nonce, RegisterCode, Registrant, Verb,
};
use tokio::net::UdpSocket;

use super::*;

/// A node that a test plays by hand.
struct PlayedNode {
    socket: UdpSocket,
    user: MiAddress,
}

impl PlayedNode {
    async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        Self { socket, user: laura() }
    }

    fn builder(&self, identity: &Identity) -> AgentBuilder {
        let SocketAddr::V4(at) = self.socket.local_addr().expect("it is bound") else { unreachable!() };
        Agent::builder(self.user).node(at).identity(identity.clone()).schedule(schedule())
    }

    async fn receive(&self) -> (Message, SocketAddr) {
        let mut datagram = [0; 200];
        let received = time::timeout(DEADLINE, self.socket.recv_from(&mut datagram)).await;
        let (length, from) = received.expect("a message comes").expect("it is received");
        (Message::decode(&datagram[..length]).expect("a message"), from)
    }

    /// Expects this message, and returns its sender.
    async fn expect(&self, message: Message) -> SocketAddr {
        let (received, from) = self.receive().await;
        assert_eq!(received, message);
        from
    }

    async fn send(&self, message: Message, to: SocketAddr) {
        self.socket.send_to(&message.encode(), to).await.expect("it is sent");
    }

    /// Expects a request for a challenge, gives one, and checks the proof.
    async fn challenge(&self, verb: Verb, key: PublicKey, seen: Option<UdpAddress>) -> SocketAddr {
        let from = self.expect(Message::RequestChallenge { verb, address: self.user }).await;
        let challenge = challenge(seen, from);
        let extension = challenge.extension();
        let asked = match verb {
            Verb::Register => refused(extension),
            Verb::Deregister => Message::DeregisterReply { code: DeregisterCode::NoSuchUser, extension },
        };
        self.send(asked, from).await;
        let (proof, prover) = self.receive().await;
        let Message::Prove(proof) = proof else { panic!("{proof:?}") };
        assert_eq!(prover, from);
        assert_eq!(
            (proof.verb, proof.handle, proof.hint),
            (verb, handle(&self.user), challenge.nonce.hint())
        );
        assert!(verify(key.as_bytes(), &self.user, &challenge, &proof));
        from
    }
}

fn laura() -> MiAddress {
    "laura@bb.com".parse().expect("an address")
}

fn schedule() -> RequestSchedule {
    RequestSchedule::new(5.try_into().expect("is not 0"), Duration::from_millis(200))
}

fn challenge(seen: Option<UdpAddress>, from: SocketAddr) -> Challenge {
    let SocketAddr::V4(from) = from else { unreachable!() };
    Challenge { nonce: Nonce::new([7; 12]), seen: seen.unwrap_or(UdpAddress::new(*from.ip(), from.port())) }
}

fn plain() -> Message {
    Message::Register(Registrant::Address(laura()))
}

fn registered() -> Message {
    Message::RegisterReply { code: RegisterCode::Registered, extension: Extension::NONE }
}

fn refused(extension: Extension) -> Message {
    Message::RegisterReply { code: RegisterCode::NoSuchUser, extension }
}

fn deregistered() -> Message {
    Message::DeregisterReply { code: DeregisterCode::Deregistered, extension: Extension::NONE }
}

/// A new user is refused, proves, and is remembered; the next start asks at once. Leaving is proved as well.
#[tokio::test]
async fn a_registration_is_proved_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let file = EnrolmentFile::new(folder.path().join("enrolled"));
    let identity = Identity::generate().unwrap();
    let key = identity.public_key();
    for start in 0..2 {
        let node = PlayedNode::new().await;
        let starting = tokio::spawn(node.builder(&identity).enrolment(file.clone()).start());
        if start == 0 {
            let from = node.expect(plain()).await;
            node.send(refused(Extension::NONE), from).await;
        }
        let from = node.challenge(Verb::Register, key, None).await;
        node.send(registered(), from).await;
        let (agent, mut events) = starting.await.unwrap().unwrap();
        assert!(agent.is_registered());
        let leaving = tokio::spawn(async move { agent.shutdown().await });
        let from = node.challenge(Verb::Deregister, key, None).await;
        node.send(deregistered(), from).await;
        leaving.await.unwrap().unwrap();
        assert!(events.next().await.is_none(), "nothing else is told");
        // A thread writes it.
        until(|| file.read(&laura()).unwrap().is_some()).await;
        assert_eq!(file.read(&laura()).unwrap().unwrap().day, Day::today());
    }
}

/// Each row: the day that is remembered, whether the user minds, and whether it is reported.
#[tokio::test]
async fn a_node_that_asks_for_no_proof_any_more_is_reported() {
    for (remembers, accepts, is_told) in [(true, false, true), (true, true, false), (false, false, false)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("enrolled");
        if remembers {
            std::fs::write(&path, "laura@bb.com 2026-11-29\n").unwrap();
        }
        let identity = Identity::generate().unwrap();
        let node = PlayedNode::new().await;
        let builder = node.builder(&identity).enrolment(EnrolmentFile::new(path)).accept_unproved(accepts);
        let starting = tokio::spawn(builder.start());
        let asks = Message::RequestChallenge { verb: Verb::Register, address: laura() };
        let from = node.expect(if remembers { asks } else { plain() }).await;
        node.send(registered(), from).await;
        let (agent, mut events) = starting.await.unwrap().unwrap();
        let event = time::timeout(Duration::from_millis(100), events.next()).await;
        if is_told {
            let Ok(Some(Event::Unproved { since })) = event else { panic!("{event:?}") };
            assert_eq!(since.to_string(), "2026-11-29");
        } else {
            assert!(event.is_err(), "{event:?}");
        }
        agent.stay_registered();
        agent.shutdown().await.unwrap();
    }
}

/// Each row: what the node claims to have seen, the settings, and whether the agent proves anything.
#[tokio::test]
async fn a_relay_gets_no_proof() {
    let relay: HostIp = "127.0.0.9".parse().unwrap();
    let identity = Identity::generate().unwrap();
    for (advertise, behind_nat, proves) in [
        (None, false, false),
        (Some(relay), false, true),
        (None, true, true),
        (Some("127.0.0.8".parse().unwrap()), false, false),
    ] {
        let node = PlayedNode::new().await;
        let mut builder = node.builder(&identity).behind_nat(behind_nat);
        if let Some(ip) = advertise {
            builder = builder.advertise(ip);
        }
        let starting = tokio::spawn(builder.start());
        let from = node.expect(plain()).await;
        node.send(refused(Extension::NONE), from).await;
        let seen = UdpAddress::new(relay, 9);
        if proves {
            let from = node.challenge(Verb::Register, identity.public_key(), Some(seen)).await;
            node.send(registered(), from).await;
            let (agent, _events) = starting.await.unwrap().unwrap();
            agent.stay_registered();
            agent.shutdown().await.unwrap();
            continue;
        }
        let asks = Message::RequestChallenge { verb: Verb::Register, address: laura() };
        let from = node.expect(asks).await;
        node.send(refused(challenge(Some(seen), from).extension()), from).await;
        let error = starting.await.unwrap().unwrap_err();
        let own = advertise.unwrap_or("127.0.0.1".parse().unwrap());
        let told = format!("its node saw 127.0.0.9:9 and this agent is at {own}:{}", from.port());
        assert!(matches!(error, StartError::SeenElsewhere(_)));
        assert_eq!(error.to_string(), told);
        let silent = time::timeout(Duration::from_millis(300), node.receive()).await;
        assert!(silent.is_err(), "nothing is sent: {silent:?}");
    }
}

#[tokio::test]
async fn a_key_that_the_node_does_not_know_is_the_reason() {
    let identity = Identity::generate().unwrap();
    let node = PlayedNode::new().await;
    let starting = tokio::spawn(node.builder(&identity).start());
    let from = node.expect(plain()).await;
    node.send(refused(Extension::NONE), from).await;
    for _ in 0..6 {
        let from = node.challenge(Verb::Register, identity.public_key(), None).await;
        node.send(refused(Extension::NONE), from).await;
    }
    assert!(matches!(starting.await.unwrap().unwrap_err(), StartError::KeyNotKnown));

    let starting = tokio::spawn(node.builder(&identity).start());
    let from = node.expect(plain()).await;
    node.send(refused(Extension::NONE), from).await;
    node.expect(Message::RequestChallenge { verb: Verb::Register, address: laura() }).await;
    node.send(refused(Extension::NONE), from).await;
    assert!(matches!(starting.await.unwrap().unwrap_err(), StartError::NotAdmitted));
}

/// A key is taken off the node while the agent runs.
#[tokio::test]
async fn a_registration_whose_key_is_gone_is_lost_and_cannot_be_left() {
    let identity = Identity::generate().unwrap();
    let node = PlayedNode::new().await;
    let starting = tokio::spawn(node.builder(&identity).start());
    let from = node.expect(plain()).await;
    node.send(registered(), from).await;
    let (agent, mut events) = starting.await.unwrap().unwrap();
    agent.register_again();
    let from = node.expect(plain()).await;
    node.send(refused(Extension::NONE), from).await;
    for _ in 0..6 {
        let from = node.challenge(Verb::Register, identity.public_key(), None).await;
        node.send(refused(Extension::NONE), from).await;
    }
    let lost = time::timeout(DEADLINE, events.next()).await.unwrap();
    assert!(matches!(lost, Some(Event::RegistrationLost { reason: RefreshError::KeyNotKnown })), "{lost:?}");
    let leaving = tokio::spawn(async move { agent.shutdown().await });
    let leaves = Message::Deregister(Registrant::Address(laura()));
    let from = node.expect(leaves).await;
    node.send(
        Message::DeregisterReply { code: DeregisterCode::NoSuchUser, extension: Extension::NONE },
        from,
    )
    .await;
    assert_eq!(leaving.await.unwrap(), Err(DeregisterError::NoSuchUser));
}

#[tokio::test]
async fn an_invitation_is_taken_by_the_node_that_knows_it() {
    let code: Code = "kq7m 2xtn 9d4v w3rh".parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = EnrolmentFile::new(folder.path().join("enrolled"));
    let identity = Identity::generate().unwrap();
    let key = *identity.public_key().as_bytes();
    let node = PlayedNode::new().await;
    let builder = node.builder(&identity).enrolment(file.clone());
    let enrol = Message::Enrol { address: laura(), key: code.enrol(&laura(), key) };
    let answer = |answer: KeyAndMac| Message::RegisterReply {
        code: RegisterCode::Registered,
        extension: answer.extension(),
    };

    let enrolling = tokio::spawn({
        let builder = builder.clone();
        async move { builder.enrol(code).await }
    });
    let from = node.expect(enrol).await;
    let other: Code = "0000000000000000".parse().unwrap();
    node.send(answer(other.answer(&laura(), [9; 32])), from).await;
    let from = node.expect(enrol).await;
    node.send(answer(code.answer(&laura(), [9; 32])), from).await;
    let enrolled = enrolling.await.unwrap().unwrap();
    assert_eq!(enrolled.node_key, Some(PublicKey::from_bytes([9; 32])));
    assert_eq!(file.read(&laura()).unwrap(), Some(enrolled));

    let refusing = builder.clone();
    let refusing = tokio::spawn(async move { refusing.enrol(code).await });
    let from = node.expect(enrol).await;
    node.send(refused(Extension::NONE), from).await;
    assert!(matches!(refusing.await.unwrap(), Err(EnrolError::NotTaken)));

    let registering = builder.clone();
    let registering = tokio::spawn(async move { registering.enrol(code).await });
    let from = node.expect(enrol).await;
    node.send(registered(), from).await;
    node.expect(Message::Deregister(Registrant::Address(laura()))).await;
    node.send(deregistered(), from).await;
    assert!(matches!(registering.await.unwrap(), Err(EnrolError::NotSupported)));

    let silent = builder.enrol(code).await;
    assert!(matches!(silent, Err(EnrolError::Node(StartError::NoAnswer { .. }))), "{silent:?}");
    let nobody = Agent::builder(laura()).enrol(code).await;
    assert!(matches!(nobody, Err(EnrolError::NoIdentity)));
}
