//! An agent of L or S on a UDP socket and a TCP port.

use std::future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task;
use tokio::time;

use super::super::{AgentEmulator, Effect, LAgent, Program, SAgent, Side, Talk, TalkEffect};
use super::segments::Segments;
use super::transcript::{Shared, Transcript, text};
use super::{BUFFER, MAX_COMMANDS};
use crate::network::{bind_a_new_port, local_address};

/// An emulated agent that runs until it is dropped, or ends by itself.
///
/// It does one thing at a time, because its user has one screen: while it waits for its node it accepts
/// nobody, and while it is in a conversation neither.
#[derive(Debug)]
pub struct EmulatedAgent {
    /// `user@domain`.
    pub address: String,
    /// Its UDP address.
    pub local: SocketAddrV4,
    /// The address at which it listens for conversations.
    pub listening: SocketAddrV4,
    transcript: Transcript,
    commands: mpsc::Sender<Command>,
}

enum Command {
    Register,
    Call(String),
    Dial(SocketAddrV4, Duration),
    Deregister,
    Say(String),
    Write(Vec<u8>),
    HangUp,
    Reset,
    Freeze(bool),
    FreezeWhenCalled,
    Repeat(usize),
    Send(Vec<u8>),
    ReadAll(oneshot::Sender<()>),
}

impl EmulatedAgent {
    /// Starts the agent of `address` on 127.0.0.1, and waits until it is registered at `node`. As S often
    /// does, an agent of S publishes 0.0.0.0.
    ///
    /// # Panics
    /// If it is not registered.
    pub async fn start(program: Program, address: &str, node: SocketAddrV4) -> Self {
        let published = match program {
            Program::L => Ipv4Addr::LOCALHOST,
            Program::S => Ipv4Addr::UNSPECIFIED,
        };
        Self::start_at(Ipv4Addr::LOCALHOST, published, program, address, node).await
    }

    /// Starts it on `ip`, publishing that it listens on `published`.
    ///
    /// # Panics
    /// If it is not registered.
    pub async fn start_at(
        ip: Ipv4Addr,
        published: Ipv4Addr,
        program: Program,
        address: &str,
        node: SocketAddrV4,
    ) -> Self {
        let mut agent = Self::set_up(ip, published, program, address, node).await;
        agent.register().await;
        agent.expect("registered").await;
        agent
    }

    /// Sets it up, but does not register.
    ///
    /// # Panics
    /// If there are no sockets for it.
    pub async fn set_up(
        ip: Ipv4Addr,
        published: Ipv4Addr,
        program: Program,
        address: &str,
        node: SocketAddrV4,
    ) -> Self {
        let udp = bind_a_new_port(ip).await;
        let listener = TcpListener::bind((ip, 0)).await.expect("a socket");
        let port = listener.local_addr().expect("it is bound").port();
        let publish = SocketAddrV4::new(published, port);
        let emulator: Box<dyn AgentEmulator> = match program {
            Program::L => {
                udp.connect(node).await.expect("a loopback address");
                Box::new(LAgent::new(address, node, publish))
            }
            Program::S => Box::new(SAgent::new(address, node, publish)),
        };
        let transcript = Transcript::new(format!("agent {address}"), program);
        let (commands, receiver) = mpsc::channel(MAX_COMMANDS);
        let local = local_address(&udp);
        let task = Task {
            program,
            ip,
            nickname: address.split('@').next().unwrap_or_default().to_owned(),
            udp,
            listener,
            emulator,
            talk: None,
            segments: Segments::default(),
            reads_late: false,
            transcript: transcript.writer(),
            is_frozen: false,
            freezes_when_called: false,
            copies: 1,
        };
        tokio::spawn(task.run(receiver));
        let listening = SocketAddrV4::new(ip, port);
        Self { address: address.to_owned(), local, listening, transcript, commands }
    }

    /// Sends `PR`, as when it is started.
    pub async fn register(&self) {
        self.command(Command::Register).await;
    }

    /// Its user calls: it asks where `to` is, and dials.
    pub async fn call(&self, to: &str) {
        self.command(Command::Call(to.to_owned())).await;
    }

    /// Calls, and waits for the conversation.
    ///
    /// # Panics
    /// If there is none.
    pub async fn talk_to(&mut self, to: &str) {
        self.call(to).await;
        self.expect("begun ").await;
    }

    /// Calls, and returns what its user is told why not.
    ///
    /// # Panics
    /// If it is told nothing.
    pub async fn fail_to_reach(&mut self, to: &str) -> String {
        self.call(to).await;
        self.expect(&format!("failed Locate({to:?}): ")).await
    }

    /// Dials without asking its node.
    pub async fn dial(&self, at: SocketAddrV4) {
        self.dial_slowly(at, Duration::ZERO).await;
    }

    /// Dials without asking its node, and is held up for so long before it gives its nickname.
    pub async fn dial_slowly(&self, at: SocketAddrV4, pause: Duration) {
        self.command(Command::Dial(at, pause)).await;
    }

    /// Its user leaves: it sends `PD`.
    pub async fn leave(&self) {
        self.command(Command::Deregister).await;
    }

    /// Leaves, and waits for `RD0`.
    ///
    /// # Panics
    /// If that does not come.
    pub async fn deregister(&mut self) {
        self.leave().await;
        self.expect("deregistered").await;
    }

    /// Says a line.
    pub async fn say(&self, line: &str) {
        self.command(Command::Say(line.to_owned())).await;
    }

    /// Writes these bytes into the conversation.
    pub async fn write(&self, bytes: &[u8]) {
        self.command(Command::Write(bytes.to_vec())).await;
    }

    /// Ends the conversation.
    pub async fn hang_up(&self) {
        self.command(Command::HangUp).await;
    }

    /// Ends the conversation by RST, as when its host loses it.
    pub async fn reset(&self) {
        self.command(Command::Reset).await;
    }

    /// It stands still: what is sent to it waits.
    pub async fn freeze(&self) {
        self.command(Command::Freeze(true)).await;
    }

    /// It goes on.
    pub async fn thaw(&self) {
        self.command(Command::Freeze(false)).await;
    }

    /// It stands still as soon as the next call has come, before it has read or said anything.
    pub async fn freeze_when_called(&self) {
        self.command(Command::FreezeWhenCalled).await;
    }

    /// Makes the network deliver each of its datagrams so often from now on.
    pub async fn repeat(&self, copies: usize) {
        self.command(Command::Repeat(copies)).await;
    }

    /// Somebody makes it send this to its node.
    pub async fn send(&self, message: &str) {
        self.command(Command::Send(message.as_bytes().to_vec())).await;
    }

    /// The lines that it was told in conversations.
    pub fn heard(&self) -> Vec<String> {
        self.all("heard ")
    }

    /// Waits until it has read everything that was sent to it before.
    pub async fn read_all(&self) {
        let (sender, done) = oneshot::channel();
        self.command(Command::ReadAll(sender)).await;
        // It answers unless it has ended, which the transcript shows.
        _ = done.await;
    }

    /// Fails unless it lives, after everything that was sent to it.
    ///
    /// # Panics
    /// If it does not, or it was sent anything odd.
    pub async fn end(self) {
        self.read_all().await;
        self.assert_alive();
        self.assert_nothing_odd();
    }

    async fn command(&self, command: Command) {
        // One that has ended takes none; the transcript shows it.
        _ = self.commands.send(command).await;
    }
}

impl Deref for EmulatedAgent {
    type Target = Transcript;

    fn deref(&self) -> &Transcript {
        &self.transcript
    }
}

impl DerefMut for EmulatedAgent {
    fn deref_mut(&mut self) -> &mut Transcript {
        &mut self.transcript
    }
}

struct Task {
    program: Program,
    ip: Ipv4Addr,
    nickname: String,
    udp: UdpSocket,
    listener: TcpListener,
    emulator: Box<dyn AgentEmulator>,
    talk: Option<(Talk, TcpStream)>,
    segments: Segments,
    /// Set if the program has not read for a while, so that everything since is one segment to it.
    reads_late: bool,
    transcript: Arc<Shared>,
    is_frozen: bool,
    freezes_when_called: bool,
    /// The number of times that each datagram is sent.
    copies: usize,
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let (mut datagram, mut segment) = ([0; BUFFER], [0; BUFFER]);
        while self.is_alive() {
            let is_free = !self.is_frozen && !self.emulator.is_waiting();
            self.reads_late |= !is_free;
            let timeout = self.emulator.poll_timeout();
            let timeout = async move {
                match timeout {
                    Some(at) => time::sleep_until(at.into()).await,
                    None => future::pending().await,
                }
            };
            let has_talk = self.talk.is_some();
            let stream = self.talk.as_mut().map(|(_, stream)| stream);
            let read = async {
                match stream {
                    // One read is one segment, or several if this task is late.
                    Some(stream) => stream.read(&mut segment).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.carry_out(command, &mut datagram).await,
                    None => return,
                },
                received = self.udp.recv_from(&mut datagram), if !self.is_frozen => {
                    self.receive(received, &datagram).await;
                }
                accepted = self.listener.accept(), if is_free && !has_talk => {
                    let (stream, _) = accepted.expect("a listening socket");
                    self.is_frozen = std::mem::take(&mut self.freezes_when_called);
                    self.transcript.write("accepted".into());
                    self.begin(Side::Callee, stream).await;
                }
                read = read, if is_free => self.read(read, &segment).await,
                () = timeout, if !self.is_frozen => {
                    self.emulator.timeout(now());
                    self.drain().await;
                }
            }
        }
        if let Some((_, stream)) = self.talk.take() {
            // The kernel sends RST for bytes that an ending program leaves unread; a crash leaves them so.
            drop(stream);
        }
    }

    fn is_alive(&self) -> bool {
        self.emulator.death().is_none() && self.talk.as_ref().is_none_or(|(talk, _)| talk.death().is_none())
    }

    async fn carry_out(&mut self, command: Command, buffer: &mut [u8]) {
        match command {
            Command::Register => self.emulator.start(now()),
            Command::Call(to) => self.emulator.locate(now(), &to),
            Command::Deregister => self.emulator.deregister(now()),
            Command::Dial(at, pause) => self.dial(at, pause).await,
            Command::Say(line) => {
                if let Some((talk, _)) = &mut self.talk {
                    talk.say(&line);
                }
            }
            Command::Write(bytes) => {
                if let Some((_, stream)) = &mut self.talk {
                    stream.write_all(&bytes).await.expect("the peer reads");
                }
            }
            Command::HangUp => {
                if let Some((talk, _)) = &mut self.talk {
                    talk.hang_up();
                }
            }
            Command::Reset => {
                if let Some((_, stream)) = self.talk.take() {
                    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("set");
                    self.emulator.set_busy(false);
                }
            }
            Command::Freeze(is_frozen) => self.is_frozen = is_frozen,
            Command::FreezeWhenCalled => self.freezes_when_called = true,
            Command::Repeat(copies) => self.copies = copies,
            Command::Send(message) => self.send(&message).await,
            Command::ReadAll(done) => {
                // The runtime has to look before it knows what has come.
                task::yield_now().await;
                while self.is_alive() {
                    match self.udp.try_recv_from(buffer) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        received => self.receive(received, buffer).await,
                    }
                }
                _ = done.send(());
            }
        }
        self.drain().await;
        self.drain_talk().await;
    }

    async fn receive(&mut self, received: io::Result<(usize, SocketAddr)>, buffer: &[u8]) {
        match received {
            Ok((length, SocketAddr::V4(from))) => {
                self.transcript.received(&buffer[..length]);
                self.emulator.datagram(now(), from, &buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.emulator.icmp_refused(),
            received => panic!("{received:?} on a loopback address"),
        }
        self.drain().await;
    }

    async fn drain(&mut self) {
        while let Some(effect) = self.emulator.poll_output() {
            match effect {
                Effect::Send(_, message) => self.send(&message).await,
                Effect::Registered => self.transcript.write("registered".into()),
                Effect::Deregistered => self.transcript.write("deregistered".into()),
                Effect::Located { to, at } => {
                    self.transcript.write(format!("located {to} at {at}"));
                    self.dial(at, Duration::ZERO).await;
                }
                Effect::Failed(request, failure) => {
                    self.transcript.write(format!("failed {request:?}: {failure:?}"));
                }
                Effect::Odd(message) => self.transcript.odd(&message),
                Effect::Died(death) => self.transcript.died(&death),
            }
        }
    }

    async fn send(&mut self, message: &[u8]) {
        for _ in 0..self.copies {
            let sent = match self.program {
                Program::L => self.udp.send(message).await,
                Program::S => self.udp.send_to(message, self.emulator.node()).await,
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.emulator.icmp_refused();
                }
                // Nothing else can be lost on loopback.
                _ => {}
            }
        }
        // This comes last: a test that reads it goes by that it is on its way.
        self.transcript.sent(message);
    }

    async fn dial(&mut self, at: SocketAddrV4, pause: Duration) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddrV4::new(self.ip, 0).into()).expect("a loopback address");
        match socket.connect(at.into()).await {
            Ok(stream) => {
                self.transcript.write("dialled".into());
                time::sleep(pause).await;
                self.begin(Side::Caller, stream).await;
            }
            Err(error) => self.transcript.write(format!("cannot dial: {error}")),
        }
    }

    async fn begin(&mut self, side: Side, stream: TcpStream) {
        self.emulator.set_busy(true);
        self.segments = Segments::default();
        self.talk = Some((Talk::new(self.program, side, &self.nickname), stream));
        self.drain_talk().await;
    }

    async fn read(&mut self, read: io::Result<usize>, segment: &[u8]) {
        let Some((talk, stream)) = &mut self.talk else { return };
        match read {
            Ok(0) => talk.closed(),
            Ok(length) => {
                let bytes = &segment[..length];
                let segments = self.segments.of(stream, bytes);
                if std::mem::take(&mut self.reads_late) {
                    talk.segment(bytes);
                } else {
                    segments.into_iter().for_each(|segment| talk.segment(segment));
                }
            }
            Err(_) => talk.reset(),
        }
        self.drain_talk().await;
    }

    async fn drain_talk(&mut self) {
        while let Some((talk, stream)) = &mut self.talk {
            let Some(effect) = talk.poll_output() else { break };
            match effect {
                TalkEffect::Write(frame) => {
                    if stream.write_all(&frame).await.is_err() {
                        talk.reset();
                    }
                }
                TalkEffect::Begun(nickname) => self.transcript.write(format!("begun {}", text(&nickname))),
                TalkEffect::Heard(line) => self.transcript.write(format!("heard {}", text(&line))),
                TalkEffect::Closed => {
                    self.talk = None;
                    self.emulator.set_busy(false);
                    self.transcript.write("closed".into());
                }
                TalkEffect::Died(death) => self.transcript.died(&death),
            }
        }
    }
}

fn now() -> Instant {
    time::Instant::now().into_std()
}
