//! `lumi-node` as its administrator, its users and its scripts meet it (commands.md).

mod bindings;
mod check;
mod console;
mod control;
#[cfg(target_os = "linux")]
mod frozen_disk;
#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(target_os = "linux")]
mod journal;
mod logs;
#[cfg(target_os = "linux")]
mod mounted;
mod page;
#[cfg(target_os = "linux")]
mod places;
mod reload;
mod service;
mod settings;
mod start;
mod unread;
mod watch;
mod web;

use integration_tests::raw_user::uninterrupted;
use std::net::{SocketAddrV4, UdpSocket};
use std::path::Path;

use integration_tests::programs::{DEADLINE, NODE, NodeProgram, Program, write_roster};
use lumi_node_core::PublicKey;
use lumi_proof::Signer;
use plumi_proto::{Challenge, Message, MiAddress, Verb};

/// A user's agent, as far as a node can see it.
struct User(UdpSocket);

impl User {
    fn of(node: &NodeProgram) -> Self {
        Self::at("127.0.0.1", node)
    }

    fn at(ip: &str, node: &NodeProgram) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a socket");
        socket.connect(node.address()).expect("a loopback address");
        socket.set_read_timeout(Some(DEADLINE)).expect("is not 0");
        Self(socket)
    }

    fn say(&self, message: &[u8]) {
        self.0.send(message).expect("it is sent");
    }

    fn hear(&self) -> String {
        receive(&self.0)
    }

    fn ask(&self, message: &str) -> String {
        self.say(message.as_bytes());
        self.hear()
    }

    fn address(&self) -> SocketAddrV4 {
        self.0.local_addr().expect("it is bound").to_string().parse().expect("it is an IPv4 address")
    }
}

/// The secret key with this number.
fn signer(number: u8) -> Signer {
    Signer::from_seed(&[number; 32]).expect("a seed")
}

/// The public half of it, as administrators see it.
fn key(number: u8) -> String {
    PublicKey(signer(number).public_key()).to_string()
}

/// Asks for a challenge to laura and answers it.
fn prove(agent: &User, verb: Verb, key: u8) -> String {
    let laura: MiAddress = "laura@bb.com".parse().expect("an address");
    let asks = Message::RequestChallenge { verb, address: laura }.encode();
    agent.say(&asks);
    let answer = Message::decode(agent.hear().as_bytes()).expect("a message");
    let (_, challenge): (_, Challenge) = answer.challenge().unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!(challenge.seen, agent.address());
    agent.say(&Message::Prove(signer(key).prove(verb, &laura, &challenge)).encode());
    agent.hear()
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 100];
    let length = uninterrupted(|| socket.recv(&mut buffer)).expect("a message comes");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn folder_with(roster: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write_roster(folder.path(), roster);
    folder
}

/// Returns the exit code and the message of a node that cannot start: one line on stderr and nothing else.
fn failure(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut node = Program::start(NODE, folder, arguments);
    let code = node.wait_exit();
    assert_eq!(node.stdout(), [""; 0]);
    let [line] = &node.stderr()[..] else { panic!("not one line: {:?}", node.stderr()) };
    (code, line.strip_prefix("lumi-node: ").expect("it says who speaks").to_owned())
}

fn words<const N: usize>(line: &str) -> [String; N] {
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    words.try_into().unwrap_or_else(|words| panic!("not {N} words: {words:?}"))
}
