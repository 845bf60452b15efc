//! Each row of protocol.md §3 and §9, on the state machine with a made-up clock.

mod administration;
mod asking;
mod bindings;
mod events;
mod limits;
mod location;
mod many_users;
mod members;
mod moves;
mod policy;
mod proofs;
mod proxy;
mod ranges;
mod registration;
mod saving;
mod status;
mod strikes;
mod texts;

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use lumi_dns::{FoundNode, LookupError};
use lumi_node_core::{
    AdminCommand, AdminId, AdminReply, DropReason, LookupId, Node, NodeSettings, Output, Roster, RosterChange,
};
use plumi_proto::Domain;

/// The node of bb.com with its users laura and pere.
struct TestNode {
    node: Node,
    now: Instant,
}

impl TestNode {
    fn new() -> Self {
        Self::with(NodeSettings::default())
    }

    fn with(settings: NodeSettings) -> Self {
        Self::of("bb.com\nlaura\npere\n", NODE, settings)
    }

    fn of(roster: &str, at: &str, settings: NodeSettings) -> Self {
        let roster = Roster::parse(roster.as_bytes()).expect("a roster");
        let now = tokio::time::Instant::now().into_std();
        Self { node: Node::new(roster, address(at).into(), settings), now }
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    /// Returns the outputs for a message that the node must not drop.
    fn receive(&mut self, from: &str, message: &str) -> Vec<Output> {
        self.try_receive(from, message).unwrap_or_else(|reason| panic!("{message}: {reason}"))
    }

    /// Returns whether the rate limit admits something from there that is no message.
    fn admits(&mut self, from: &str) -> bool {
        self.node.admit(self.now, address(from), b"hello")
    }

    fn try_receive(&mut self, from: &str, message: &str) -> Result<Vec<Output>, DropReason> {
        let handled = self.node.handle_datagram(self.now, address(from), message.as_bytes());
        let outputs = self.drain();
        if handled.is_err() {
            assert_eq!(outputs, [], "{message} was dropped");
        }
        handled.map(|()| outputs)
    }

    fn ask_elsewhere(&mut self, from: &str, question: &str, expected: &str) -> LookupId {
        match self.receive(from, question)[..] {
            [Output::Resolve { id, domain, .. }] => {
                assert_eq!(domain, expected.parse::<Domain>().expect("a domain"));
                id
            }
            ref outputs => panic!("{question}: {outputs:?}"),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "most answers are made in the call")]
    fn resolved(&mut self, id: LookupId, answer: Result<FoundNode, LookupError>) -> Vec<Output> {
        self.node.handle_resolved(self.now, id, &answer);
        self.drain()
    }

    /// Registers laura, and asks for her in vain until strikes take her offline.
    fn strike_laura_out(&mut self) {
        self.receive(LAURA, "PRlaura@bb.com");
        for _ in 0..5 {
            self.pass(1.0);
            self.receive(OTHER_NODE, "PLjoya@cc.com:laura@bb.com");
        }
        assert_eq!(self.address_of("laura"), None);
    }

    fn remove(&mut self, user: &str) {
        self.admin_save(AdminCommand::RemoveUser(user.parse().expect("a name")));
        self.saved();
    }

    fn add(&mut self, user: &str) {
        self.admin_save(AdminCommand::AddUser(user.parse().expect("a name")));
        self.saved();
    }

    fn admin(&mut self, command: AdminCommand) -> AdminReply {
        self.node.handle_admin(self.now, COMMAND, command);
        match self.reply() {
            AdminReply::Users(mut users) => {
                // They come in no order.
                users.sort_unstable_by_key(|status| status.user);
                AdminReply::Users(users)
            }
            reply => reply,
        }
    }

    fn admin_save(&mut self, command: AdminCommand) -> RosterChange {
        self.node.handle_admin(self.now, COMMAND, command);
        match self.drain()[..] {
            [Output::SaveRoster { id: COMMAND, change }] => change,
            ref outputs => panic!("{outputs:?}"),
        }
    }

    /// The change that the node wants saved is on the disk.
    fn saved(&mut self) {
        self.node.handle_roster_saved(self.now, COMMAND, Ok(()));
        assert!(matches!(self.reply(), AdminReply::Changed(_)));
    }

    /// The administrator reloads the roster, which is `text` by now.
    fn reload(&mut self, text: &str) -> AdminReply {
        self.node.handle_admin(self.now, COMMAND, AdminCommand::Reload);
        assert_eq!(self.drain(), [Output::ReadRoster { id: COMMAND }]);
        let roster = Roster::parse(text.as_bytes()).expect("a roster");
        self.node.handle_roster_read(self.now, COMMAND, Ok(roster));
        self.reply()
    }

    /// The answer to the command, and nothing else.
    fn reply(&mut self) -> AdminReply {
        match self.drain()[..] {
            [Output::Answer { id: COMMAND, ref reply }] => AdminReply::clone(reply),
            ref outputs => panic!("{outputs:?}"),
        }
    }

    fn address_of(&self, user: &str) -> Option<SocketAddrV4> {
        self.node.address_of(&user.parse().expect("a name"))
    }

    fn online_for(&self, user: &str) -> Option<Duration> {
        let status = self.node.users().find(|status| status.user.as_str() == user).expect("a user");
        status.presence.map(|presence| self.now - presence.online_since)
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.node.poll_output()).collect()
    }
}

/// Messages are compared as bytes: that is what the other side gets.
fn sent(to: &str, message: &str) -> Output {
    let decoded = plumi_proto::Message::decode(message.as_bytes()).expect("a message");
    assert_eq!(&*decoded.encode(), message.as_bytes());
    Output::Transmit { to: address(to), source: None, message: decoded }
}

fn found(node: &str, seconds: u64) -> Result<FoundNode, LookupError> {
    Ok(FoundNode::new(address(node), false, Duration::from_secs(seconds)))
}

fn address(text: &str) -> SocketAddrV4 {
    text.parse().expect("an address")
}

const COMMAND: AdminId = AdminId(7);

const NODE: &str = "127.0.0.2:3344";
const OTHER_NODE: &str = "127.0.0.3:3344";
const LAURA: &str = "127.0.0.1:4500";
const PERE: &str = "127.0.0.1:4501";
/// A port on the host of laura and pere that is neither of them.
const OTHER_PORT: &str = "127.0.0.1:4502";
const STRANGER: &str = "127.0.0.9:4600";
