//! Incoming calls.

mod accepting;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mi_proto::Nickname;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tracing::{debug, warn};

#[cfg(feature = "secure")]
use super::callee_stream::{CalleeStream, Encryption};
use super::connection::{self, Connection, TEND_TCP, Tend, now};
use super::driver::{Caller, Driver, capacity};
use super::places::{Place, Places};
#[cfg(feature = "secure")]
use super::protection::Protection;
use super::slot::{Slots, Taken};
use super::talk::{self, ConversationOptions};
use super::turns::{CallerTurn, CallerTurns};
use crate::conversation::Peer;
use crate::error::IncomingError;
use crate::event::Event;
use crate::incoming::{Decision, caller, incoming};
#[cfg(feature = "secure")]
use crate::key::PublicKey;
use crate::peer_security::PeerSecurity;
use crate::safe_text::PeerText;
use crate::state::acceptor::Verdict;
use crate::state::admission::Refusal;
use crate::state::conversation_events::{ConversationOutput, Side};
#[cfg(feature = "secure")]
use crate::state::trust::{CallerRefused, Identified, Trust};

pub(crate) use self::accepting::{bind, listen};

/// Accepts or refuses incoming calls.
#[derive(Clone)]
pub(crate) struct Acceptor {
    nickname: Nickname,
    options: ConversationOptions,
    /// The slots of conversations.
    slots: Slots,
    events: mpsc::Sender<Event>,
    driver: Driver,
    /// The slots of callers without a conversation.
    places: Places,
    turns: CallerTurns,
    #[cfg(feature = "secure")]
    protection: Protection,
}

/// The encryption that a caller may begin.
#[cfg(feature = "secure")]
type Offered = Option<Arc<Encryption>>;
#[cfg(not(feature = "secure"))]
type Offered = ();

impl Acceptor {
    pub(crate) fn new(
        nickname: Nickname,
        options: ConversationOptions,
        slots: Slots,
        events: mpsc::Sender<Event>,
        driver: Driver,
        #[cfg(feature = "secure")] protection: Protection,
    ) -> Self {
        Self {
            nickname,
            options,
            slots,
            events,
            driver,
            places: Places::default(),
            turns: CallerTurns::default(),
            #[cfg(feature = "secure")]
            protection,
        }
    }

    fn spawn(self, stream: TcpStream, remote: SocketAddr) {
        match connection::prepare(&stream) {
            #[cfg(feature = "secure")]
            Ok(()) => {
                let driver = self.driver.clone();
                let tls = self.protection.tls().cloned();
                let stream =
                    CalleeStream::new(stream, tls, connection::take_first, move || driver.encrypted_call());
                let encryption = stream.encryption();
                self.start(stream, remote, TEND_CALLEE, Some(encryption));
            }
            #[cfg(not(feature = "secure"))]
            Ok(()) => self.start(stream, remote, TEND_TCP, ()),
            Err(error) => debug!(%remote, %error, "a call that was gone at once"),
        }
    }

    /// Handles a call in its own task.
    fn start<S>(self, stream: S, remote: SocketAddr, tend: Option<Tend<S>>, offered: Offered)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let turn = self.turns.take(remote.ip());
        let place = matches!(turn, CallerTurn::Now).then(|| self.places.take(remote.ip()));
        let ConversationOptions { pace, intake, tap, .. } = self.options.clone();
        let nickname = self.nickname.clone();
        let mut connection = Connection::new(stream, remote, Side::Callee, nickname, pace, tap).tended(tend);
        connection.state.set_intake(intake);
        #[cfg(feature = "secure")]
        let connection = connection.encrypted(offered);
        #[cfg(not(feature = "secure"))]
        let () = offered;
        tokio::spawn(self.receive(connection, turn, place));
    }

    async fn receive<S>(mut self, mut connection: Connection<S>, mut turn: CallerTurn, place: Option<Place>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let remote = connection.remote;
        let (greeted, place) = match place {
            Some(place) => self.greet(&mut connection, place).await,
            None => self.wait(&mut connection, &mut turn).await,
        };
        match greeted {
            ConversationOutput::Greeted(nickname) => {
                turn.greeted();
                #[cfg(not(feature = "secure"))]
                let (asker, security) =
                    (self.driver.take_caller(None).await, PeerSecurity::Plain { lacks_key: false });
                #[cfg(feature = "secure")]
                let (asker, security) = self.identify(connection.key(), remote).await;
                let has_turn = tokio::select! {
                    biased;
                    // It is let go then.
                    () = self.options.shutdown.begun() => true,
                    has_turn = turn.comes() => has_turn,
                };
                drop(turn);
                if has_turn {
                    return self.decide(connection, place, nickname, asker, security).await;
                }
                debug!(%remote, "a call that gives way to others");
                self.turns.gave_way();
                self.refuse(connection, place, Refusal::Busy).await;
            }
            ConversationOutput::Failed(failure) => {
                drop(turn);
                let error = connection.greeting_error(failure, "given up");
                debug!(%remote, %error, "a call without a nickname");
                self.finish(connection, place).await;
            }
            _ => self.finish(connection, place).await,
        }
    }

    /// Returns the caller with `key`, or in plain text, and the protection of the call.
    #[cfg(feature = "secure")]
    async fn identify(&self, key: Option<PublicKey>, remote: SocketAddr) -> (Caller, PeerSecurity) {
        let plain = PeerSecurity::Plain { lacks_key: false };
        let known = key.and_then(|key| self.protection.holder(&key));
        let Caller { candidates, refusal } = self.driver.take_caller(known).await;
        let identified = self.protection.identify(key.as_ref(), &candidates);
        if let Some(key) = &key {
            self.tap_handshake(remote, key, &identified);
        }
        let identified = match identified {
            Ok(Ok(identified)) => identified,
            Ok(Err(refused)) => {
                let refusal = Some(refused.reason(key.is_some()));
                return (Caller { candidates, refusal }, plain);
            }
            Err(error) => {
                warn!("nobody can call, because the keys that are known cannot be read: {error}");
                return (Caller { candidates, refusal: Some(Refusal::Busy) }, plain);
            }
        };
        let Identified { candidates: who, trust, lacks_key } = identified;
        // The caller is identified first, and then admitted or not.
        let refusal = if who == candidates { refusal } else { self.driver.refusal(who.clone()).await };
        let security = match key.zip(trust) {
            Some((key, trust)) => PeerSecurity::Tls { key, trust },
            None => PeerSecurity::Plain { lacks_key },
        };
        (Caller { candidates: who, refusal }, security)
    }

    /// Reports the handshake with a caller to the tap.
    #[cfg(feature = "secure")]
    fn tap_handshake(
        &self,
        remote: SocketAddr,
        key: &PublicKey,
        identified: &io::Result<Result<Identified, CallerRefused>>,
    ) {
        let peer = match identified {
            Ok(Ok(Identified { candidates, .. })) => match candidates[..] {
                [only] => Some(only),
                _ => None,
            },
            Ok(Err(CallerRefused::KeyChanged(claimed))) => Some(*claimed),
            _ => None,
        };
        let decided = match identified {
            Ok(Ok(identified)) => Ok(identified.trust.map_or(Ok(Trust::New), Ok)),
            Ok(Err(refused)) => Ok(Err(*refused)),
            Err(error) => Err(error.kind().into()),
        };
        let tap = self.options.tap.as_ref();
        self.protection.tap_handshake(tap, remote, Side::Callee, (peer.as_ref(), key), &decided);
    }

    /// Waits for the turn of a caller, and then for its nickname, which may come before.
    async fn wait<S>(
        &mut self,
        connection: &mut Connection<S>,
        turn: &mut CallerTurn,
    ) -> (ConversationOutput, Place)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let remote = connection.remote;
        connection.state.handle_waiting();
        let has_turn = tokio::select! {
            biased;
            greeted = connection.next() => return (greeted, self.places.outside(remote.ip())),
            () = self.options.shutdown.begun() => false,
            has_turn = turn.comes() => has_turn,
        };
        if has_turn {
            connection.state.handle_turn(now());
            let place = self.places.take(remote.ip());
            return self.greet(connection, place).await;
        }
        debug!(%remote, "a call that is given up before its turn");
        let place = self.places.outside(remote.ip());
        (connection.give_up(&mut self.options.shutdown).await, place)
    }

    /// Waits for a caller's nickname when its turn has come.
    async fn greet<S>(
        &mut self,
        connection: &mut Connection<S>,
        mut place: Place,
    ) -> (ConversationOutput, Place)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let greeted = tokio::select! {
            // A nickname that has come is accepted even if the place is lost. `let_in` has it looked for
            // between two callers.
            biased;
            greeted = connection.next() => greeted,
            reason = self.gives_up(&mut place) => {
                debug!(remote = %connection.remote, reason, "a call that is given up");
                connection.give_up(&mut self.options.shutdown).await
            }
        };
        place.greeted();
        (greeted, place)
    }

    /// Waits until the wait for a caller's nickname ends. Returns the reason.
    async fn gives_up(&mut self, place: &mut Place) -> &'static str {
        tokio::select! {
            () = self.options.shutdown.begun() => "the agent ends",
            () = place.lost() => "others call",
        }
    }

    /// Admits or refuses a caller by its nickname.
    async fn decide<S>(
        mut self,
        mut connection: Connection<S>,
        place: Place,
        nickname: PeerText,
        asker: Caller,
        security: PeerSecurity,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let remote = connection.remote;
        let Caller { candidates, refusal } = asker;
        let peer = Peer { security, ..caller(nickname, remote, candidates) };
        #[cfg(feature = "secure")]
        let address = peer.address;
        let left = || capacity(&self.slots, &self.events);
        let take_room = || {
            // No conversation gives way to a caller that nobody hears of.
            let event = self.events.try_reserve().ok();
            event.and_then(|event| Some((self.slots.take(remote.ip())?, event))).ok_or_else(left)
        };
        let (taken, event) = match left().decide(refusal, take_room) {
            Verdict::Ask(room) => room,
            Verdict::Refuse(reason) => {
                let Peer { nickname, address, .. } = peer;
                #[cfg(feature = "secure")]
                let is_told = self.protection.tells(reason);
                #[cfg(not(feature = "secure"))]
                let is_told = true;
                if is_told {
                    // Dropped if nobody reads the events.
                    _ = self.events.try_send(Event::Refused { nickname, remote, address, reason });
                }
                return self.refuse(connection, place, reason).await;
            }
            Verdict::LetGo => {
                connection.state.handle_shutdown(now(), false);
                return self.finish(connection, place).await;
            }
        };
        let slot = match taken {
            Taken::Free(slot) => Some(slot),
            Taken::Soon => self.slots.freed().await,
        };
        let Some(slot) = slot else {
            drop(event);
            if self.slots.is_closed() {
                connection.state.handle_shutdown(now(), false);
                return self.finish(connection, place).await;
            }
            return self.refuse(connection, place, Refusal::Busy).await;
        };
        let outstanding = Arc::clone(&self.options.outstanding);
        let (conversation, talk) = talk::pair(peer, slot.clone(), outstanding);
        let (incoming, decision) = incoming(conversation, slot.clone());
        event.send(Event::Incoming(incoming));
        let Err(reason) = self.decision(&mut connection, decision).await else {
            #[cfg(feature = "secure")]
            if let Some(address) = address {
                self.protection.guard().begun(&address);
            }
            connection.state.handle_admitted(now(), Ok(()));
            let shutdown = self.options.shutdown.clone();
            let hold = self.slots.hold(place.id(), remote.ip());
            // The agent does not wait for this conversation to deregister, nor its traffic to end.
            drop((self, place, slot));
            return talk::converse(connection, talk.held_by(hold), shutdown).await;
        };
        // Even while the program keeps what it did not decide.
        slot.free();
        match reason {
            IncomingError::Ended => connection.state.handle_shutdown(now(), false),
            IncomingError::CallerLeft => debug!(%remote, "a caller that has left"),
            IncomingError::TooLate => connection.state.handle_admitted(now(), Err(Refusal::Busy)),
        }
        self.finish(connection, place).await;
    }

    /// Waits for the decision of the program. Returns an error if the caller is not accepted; a refusal by
    /// the program is treated as a decision that took too long.
    async fn decision<S>(
        &mut self,
        connection: &mut Connection<S>,
        mut decision: Decision,
    ) -> Result<(), IncomingError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Nobody takes an event that is sent after the program dropped its events.
        if self.events.is_closed() {
            return Err(IncomingError::TooLate);
        }
        let reason = tokio::select! {
            // A decision that was made counts.
            biased;
            is_accepted = decision.made() => {
                return if is_accepted { Ok(()) } else { Err(IncomingError::TooLate) };
            }
            () = self.options.shutdown.begun() => IncomingError::Ended,
            output = connection.next() => match output {
                ConversationOutput::CallerLeft => IncomingError::CallerLeft,
                _ => IncomingError::TooLate,
            },
        };
        if decision.withdraw(reason) { Ok(()) } else { Err(reason) }
    }

    async fn refuse<S>(&self, mut connection: Connection<S>, place: Place, reason: Refusal)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        connection.state.handle_admitted(now(), Err(reason));
        self.finish(connection, place).await;
    }

    /// Ends a connection in order. If too many take their time, the oldest is closed as it is: with a FIN,
    /// because everything received has been read.
    async fn finish<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut connection: Connection<S>,
        mut place: Place,
    ) {
        let remote = connection.remote;
        place.leave();
        tokio::select! {
            biased;
            () = connection.finish(self.options.shutdown.clone()) => {}
            () = place.lost() => debug!(%remote, "a call that takes its time to end"),
        }
    }
}

/// The way to look at the send queue of a caller's stream.
#[cfg(feature = "secure")]
const TEND_CALLEE: Option<Tend<CalleeStream<TcpStream>>> = match TEND_TCP {
    Some(_) => Some(|stream| match (TEND_TCP, stream.get_ref()) {
        (Some(tend), Some(stream)) => tend(stream),
        _ => Ok(0),
    }),
    None => None,
};

#[cfg(test)]
mod tests {
    use std::future;
    use std::io;
    use std::time::Duration;

    use plumi_proto::{MiSocketAddress, udp_address};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::net::UdpSocket;
    use tokio::time::Instant;
    use tokio::{task, time};

    use super::super::driver::Network;
    use super::super::node_link::NodeLink;
    use super::super::shutdown::Shutdown;
    use super::super::way::Way;
    use super::accepting::{ERROR_PAUSE, let_in};
    use super::*;
    use crate::state::acceptor::{MAX_LEAVING, MAX_WAITING, MAX_WAITING_OF_ONE_IP};
    use crate::state::client::LumiClient;
    use crate::state::client_settings::ClientSettings;
    use crate::state::conversation_times::LINGER;

    /// The acceptor of an agent with a silent node.
    async fn acceptor(events: mpsc::Sender<Event>) -> (Acceptor, Shutdown) {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = udp_address(silent.local_addr().unwrap()).unwrap();
        let address = "pere@bb.com".parse().unwrap();
        let link = NodeLink::open(address, None).await.unwrap();
        let network = Network {
            link,
            way: Way::new(*at.ip()),
            publishes_own: true,
            search: None,
            #[cfg(feature = "secure")]
            prover: None,
        };
        let listening = MiSocketAddress::new(at).unwrap();
        let client = LumiClient::new(ClientSettings {
            refresh: None,
            ..ClientSettings::new(address, at.into(), listening)
        });
        let slots = Slots::new(1, None);
        let driver = Driver::start(network, client, slots.clone(), events.clone());
        let shutdown = Shutdown::new();
        let options = ConversationOptions {
            pace: Duration::from_millis(20),
            intake: None,
            outstanding: Arc::default(),
            shutdown: shutdown.watch(),
            tap: None,
        };
        #[cfg(feature = "secure")]
        let protection = Protection::none("pere@bb.com".parse().unwrap());
        let acceptor = Acceptor::new(
            Nickname::new("pere").unwrap(),
            options,
            slots,
            events,
            driver,
            #[cfg(feature = "secure")]
            protection,
        );
        (acceptor, shutdown)
    }

    /// Calls from the address that ends in `ip`, and sends `says`.
    async fn call(acceptor: &Acceptor, ip: u8, says: &[u8]) -> DuplexStream {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(says).await.unwrap();
        let remote = SocketAddr::from(([192, 0, 2, ip], 4456));
        acceptor.clone().start(ours, remote, None, Offered::default());
        task::yield_now().await;
        theirs
    }

    async fn heard(mut caller: DuplexStream) -> Vec<u8> {
        let mut heard = Vec::new();
        caller.read_to_end(&mut heard).await.unwrap();
        heard
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_who_says_nothing_makes_room_at_once() {
        let (events, _events) = mpsc::channel(1);
        let (acceptor, _shutdown) = acceptor(events).await;
        for ips in [[1; 8], [1, 2, 3, 4, 5, 6, 7, 8]] {
            let start = Instant::now();
            let stays = if ips[1] == 1 { MAX_WAITING_OF_ONE_IP } else { MAX_WAITING };
            let mut callers = Vec::new();
            for n in 0..20 {
                callers.push(call(&acceptor, ips[n % 8], b"N").await);
            }
            let patient = callers.split_off(20 - stays);
            for caller in callers {
                assert_eq!(heard(caller).await, b"N04pere");
            }
            // They could still give their nickname, but not take anybody's place with it.
            assert_eq!(start.elapsed(), LINGER);
            for caller in patient {
                assert_eq!(heard(caller).await, b"N04pere");
            }
            assert!(start.elapsed() >= Duration::from_secs(5));
        }
    }

    async fn assert_is_heard(events: &mut mpsc::Receiver<Event>) {
        let heard = time::timeout(Duration::from_secs(60), events.recv()).await.expect("a caller is heard");
        assert!(matches!(heard, Some(Event::Incoming(_))));
    }

    fn serve(acceptor: &Acceptor) {
        let turns = acceptor.turns.clone();
        let events = acceptor.events.clone();
        let report = move |callers| events.try_send(Event::GaveWay { callers }).expect("there is room");
        tokio::spawn(async move { turns.serve(report).await });
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_caller_begins_with_its_turn() {
        let (events, mut incoming) = mpsc::channel(1);
        let (acceptor, _shutdown) = acceptor(events).await;
        serve(&acceptor);
        let mut callers = Vec::new();
        for _ in 0..100 {
            callers.push(call(&acceptor, 1, b"N").await);
        }
        // The turn of the last one comes after 6 s.
        time::sleep(Duration::from_secs(8)).await;
        callers[99].write_all(b"04joan").await.unwrap();
        assert_is_heard(&mut incoming).await;
        assert_eq!(heard(callers.swap_remove(98)).await, b"N04pere", "its place is lost after 0.2 s");
    }

    /// They come from few addresses, or from its own.
    #[tokio::test(start_paused = true)]
    async fn five_hundred_who_say_nothing_do_not_keep_out_who_does() {
        for (dribblers, honest) in [([1, 1, 1, 1], 2), ([1, 1, 1, 1], 1), ([1, 3, 4, 5], 2)] {
            let (events, mut incoming) = mpsc::channel(1);
            let (acceptor, _shutdown) = acceptor(events).await;
            serve(&acceptor);
            let mut callers = Vec::new();
            for n in 0..250 {
                callers.push(call(&acceptor, dribblers[n % 4], b"N").await);
            }
            let _honest = call(&acceptor, honest, b"N04joan").await;
            for n in 0..250 {
                callers.push(call(&acceptor, dribblers[n % 4], b"N").await);
            }
            let start = Instant::now();
            assert_is_heard(&mut incoming).await;
            assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
            let mut let_go = 0;
            for caller in callers {
                assert_eq!(heard(caller).await, b"N04pere");
                let_go += 1;
            }
            assert_eq!(let_go, 500);
        }
    }

    /// It is slow, and has its turn and its place before they come.
    #[tokio::test(start_paused = true)]
    async fn callers_from_few_addresses_do_not_push_out_one_from_another() {
        let (events, mut incoming) = mpsc::channel(1);
        let (acceptor, _shutdown) = acceptor(events).await;
        serve(&acceptor);
        let mut honest = call(&acceptor, 2, b"").await;
        let mut callers = Vec::new();
        for n in 0..500 {
            callers.push(call(&acceptor, [1, 3, 4, 5][n % 4], b"N").await);
            time::sleep(Duration::from_millis(9)).await;
        }
        honest.write_all(b"N04joan").await.unwrap();
        assert_is_heard(&mut incoming).await;
    }

    /// A nickname that comes while a caller waits is answered, and its call is heard of when it has its turn.
    #[tokio::test(start_paused = true)]
    async fn who_waits_with_a_nickname_is_answered_and_has_one_turn() {
        let (events, mut incoming) = mpsc::channel(200);
        let (acceptor, _shutdown) = acceptor(events).await;
        serve(&acceptor);
        let start = Instant::now();
        let mut callers = Vec::new();
        for _ in 0..120 {
            callers.push(call(&acceptor, 1, b"N04joan").await);
        }
        // The agent is busy with the first one: each refusal is a call that the program hears of. Those that
        // gave way are reported together, except the first of them.
        let (mut told, mut gave_way) = (Vec::new(), Vec::new());
        while told.len() < 104 || gave_way.len() < 2 {
            match incoming.recv().await.unwrap() {
                Event::GaveWay { callers } => gave_way.push((callers, start.elapsed())),
                _ => told.push(start.elapsed()),
            }
        }
        let [(first, at), (others, later)] = gave_way[..] else { panic!("{gave_way:?}") };
        assert_eq!((first + others, told.len()), (16, 104));
        assert!(later - at >= Duration::from_secs(60), "{gave_way:?}");
        assert_eq!(told[39], Duration::ZERO);
        assert!(told[103] >= Duration::from_millis(6_400), "{:?}", told[103]);
        for caller in callers.drain(1..) {
            assert!(heard(caller).await.starts_with(b"N04pereL"));
        }
    }

    /// The nickname has come, but has not been read, when another caller takes the slot.
    #[tokio::test(start_paused = true)]
    async fn who_has_given_a_nickname_is_heard() {
        let (events, mut incoming) = mpsc::channel(1);
        let (acceptor, _shutdown) = acceptor(events).await;
        let (ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(b"N04joan").await.unwrap();
        let remote = SocketAddr::from(([192, 0, 2, 1], 4456));
        acceptor.clone().start(ours, remote, None, Offered::default());
        let _others = [acceptor.places.take(remote.ip()), acceptor.places.take(remote.ip())];
        assert!(matches!(incoming.recv().await, Some(Event::Incoming(_))));
    }

    /// Their end may not have begun when it becomes urgent.
    #[tokio::test(start_paused = true)]
    async fn callers_that_read_nothing_do_not_hold_up_a_hurried_end() {
        let (events, _incoming) = mpsc::channel(1);
        let (acceptor, shutdown) = acceptor(events).await;
        let (ours, _theirs) = tokio::io::duplex(4);
        acceptor.clone().start(ours, SocketAddr::from(([192, 0, 2, 1], 4456)), None, Offered::default());
        drop(acceptor);
        shutdown.assert_hurries().await;
    }

    /// They receive "busy" and do not close the connection.
    #[tokio::test(start_paused = true)]
    async fn those_who_leave_are_few() {
        let (events, _incoming) = mpsc::channel(1);
        let (acceptor, _shutdown) = acceptor(events).await;
        let _talk = call(&acceptor, 1, b"N04joan").await;
        let mut callers = Vec::new();
        for n in 0..MAX_LEAVING + 10 {
            // More calls of one address would wait for their turns.
            let ip = u8::try_from(n % 8).unwrap();
            callers.push(call(&acceptor, ip, b"N04joan").await);
            time::sleep(Duration::from_millis(25)).await;
        }
        for (n, mut caller) in callers.into_iter().enumerate() {
            let is_waited_for = caller.write_all(b"L04hola").await.is_ok();
            assert_eq!(is_waited_for, n >= 10, "{n}");
            assert!(heard(caller).await.ends_with(b"please call again later"));
        }
    }

    /// Too many open files: no caller is lost, and the processor is not used up.
    #[tokio::test(start_paused = true)]
    async fn an_error_that_lasts_is_waited_out() {
        let start = Instant::now();
        let mut calls = 0;
        let (accepted, mut callers) = mpsc::unbounded_channel();
        let next = || {
            calls += 1;
            future::ready(if calls % 10 == 0 { Ok(calls) } else { Err(io::ErrorKind::QuotaExceeded.into()) })
        };
        let accepting = let_in(next, |caller| accepted.send(caller).unwrap());
        tokio::select! {
            () = accepting => unreachable!("it goes on for ever"),
            () = async { for n in [10, 20, 30] { assert_eq!(callers.recv().await, Some(n)); } } => {}
        }
        assert!(start.elapsed() >= 27 * ERROR_PAUSE, "{:?}", start.elapsed());
    }
}
