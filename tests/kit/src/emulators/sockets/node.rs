//! A node of L or S on a UDP socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task;

use super::super::{Effect, LNode, NodeEmulator, Program, SNode};
use super::transcript::{Shared, Transcript};
use super::{BUFFER, MAX_COMMANDS, fence};
use crate::network::local_address;

/// An emulated node that serves until it is dropped, or ends by itself.
#[derive(Debug)]
pub struct EmulatedNode {
    /// The address at which it listens.
    pub address: SocketAddrV4,
    domain: String,
    transcript: Transcript,
    commands: mpsc::Sender<Command>,
}

enum Command {
    AddPeer(String, SocketAddrV4),
    RemoveUser(String),
    Restart,
    AddressOf(String, oneshot::Sender<Option<SocketAddrV4>>),
    Freeze(bool),
    Send(SocketAddrV4, Vec<u8>),
    ReadAll(oneshot::Sender<()>),
}

impl EmulatedNode {
    /// Starts the node of `domain` on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If there is no socket.
    pub async fn start(program: Program, domain: &str, users: &[&str]) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let address = local_address(&socket);
        let node: Box<dyn NodeEmulator> = match program {
            Program::L => Box::new(LNode::new(domain, users, &[])),
            Program::S => Box::new(SNode::new(domain, users, &[])),
        };
        let transcript = Transcript::new(format!("node of {domain}"), program);
        let (commands, receiver) = mpsc::channel(MAX_COMMANDS);
        let task = Task { socket, node, transcript: transcript.writer(), is_frozen: false };
        tokio::spawn(task.run(receiver));
        Self { address, domain: domain.to_owned(), transcript, commands }
    }

    /// Makes it find the node of `domain` at `node` from now on.
    pub async fn add_peer(&self, domain: &str, node: SocketAddrV4) {
        self.command(Command::AddPeer(domain.to_owned(), node)).await;
    }

    /// Its administrator removes a user.
    pub async fn remove_user(&self, user: &str) {
        self.command(Command::RemoveUser(user.to_owned())).await;
    }

    /// Its program is started again, so quickly that nobody sees its port closed: everybody is offline.
    pub async fn restart(&self) {
        self.command(Command::Restart).await;
    }

    /// Returns the address at which a user is online, if so.
    ///
    /// # Panics
    /// If it has ended.
    pub async fn address_of(&self, user: &str) -> Option<SocketAddrV4> {
        let (sender, address) = oneshot::channel();
        self.command(Command::AddressOf(user.to_owned(), sender)).await;
        address.await.expect("it lives")
    }

    /// It stands still: what is sent to it waits.
    pub async fn freeze(&self) {
        self.command(Command::Freeze(true)).await;
    }

    /// It goes on.
    pub async fn thaw(&self) {
        self.command(Command::Freeze(false)).await;
    }

    /// Somebody makes it send this.
    pub async fn send(&self, to: SocketAddrV4, message: &[u8]) {
        self.command(Command::Send(to, message.to_vec())).await;
    }

    /// Waits until it has served everything that was sent to it before.
    ///
    /// # Panics
    /// If it has ended.
    pub async fn fence(&self) {
        self.assert_alive();
        fence(self.address, &self.domain).await;
    }

    /// Fails unless it lives, after everything that was sent to it.
    ///
    /// # Panics
    /// If it does not, or it was sent anything odd.
    pub async fn end(self) {
        let (sender, done) = oneshot::channel();
        self.command(Command::ReadAll(sender)).await;
        // It answers unless it has ended, which is told better here.
        _ = done.await;
        self.assert_alive();
        self.assert_nothing_odd();
    }

    async fn command(&self, command: Command) {
        // One that has ended takes none; the transcript shows it.
        _ = self.commands.send(command).await;
    }
}

impl Deref for EmulatedNode {
    type Target = Transcript;

    fn deref(&self) -> &Transcript {
        &self.transcript
    }
}

impl DerefMut for EmulatedNode {
    fn deref_mut(&mut self) -> &mut Transcript {
        &mut self.transcript
    }
}

struct Task {
    socket: UdpSocket,
    node: Box<dyn NodeEmulator>,
    transcript: Arc<Shared>,
    is_frozen: bool,
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut buffer = [0; BUFFER];
        while self.node.death().is_none() {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.carry_out(command, &mut buffer).await,
                    None => return,
                },
                received = self.socket.recv_from(&mut buffer), if !self.is_frozen => {
                    self.receive(received, &buffer).await;
                }
            }
        }
    }

    async fn carry_out(&mut self, command: Command, buffer: &mut [u8]) {
        match command {
            Command::AddPeer(domain, node) => self.node.add_peer(&domain, node),
            Command::RemoveUser(user) => self.node.remove_user(&user),
            Command::Restart => self.node.restart(),
            // The test that asked may have gone.
            Command::AddressOf(user, answer) => _ = answer.send(self.node.address_of(&user)),
            Command::Freeze(is_frozen) => self.is_frozen = is_frozen,
            Command::Send(to, message) => self.send(to, &message).await,
            Command::ReadAll(done) => {
                // The runtime has to look before it knows what has come.
                task::yield_now().await;
                while self.node.death().is_none() {
                    match self.socket.try_recv_from(buffer) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        received => self.receive(received, buffer).await,
                    }
                }
                _ = done.send(());
            }
        }
    }

    async fn receive(&mut self, received: io::Result<(usize, SocketAddr)>, buffer: &[u8]) {
        let Ok((length, SocketAddr::V4(from))) = received else { return };
        self.transcript.received(&buffer[..length]);
        self.node.datagram(tokio::time::Instant::now().into_std(), from, &buffer[..length]);
        while let Some(effect) = self.node.poll_output() {
            match effect {
                Effect::Send(to, message) => self.send(to, &message).await,
                Effect::Odd(message) => self.transcript.odd(&message),
                Effect::Died(death) => self.transcript.died(&death),
                effect => unreachable!("a node has no {effect:?}"),
            }
        }
    }

    async fn send(&mut self, to: SocketAddrV4, message: &[u8]) {
        // Nothing is lost on loopback but what nobody listens for.
        _ = self.socket.send_to(message, to).await;
        self.transcript.sent(message);
    }
}
