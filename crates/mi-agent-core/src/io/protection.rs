//! The protection of an agent's conversations: its key, the keys of others, and the level.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use message_log::Direction;
use mi_proto::Nickname;
use plumi_proto::MiAddress;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::{task, time};

use super::call::Call;
use super::connection::{TEND_TCP, Tend, now};
use super::shutdown::ShutdownWatch;
use super::tls::{HandshakeError, Tls, TlsStream};
use crate::error::{CallError, LocateError};
use crate::key::PublicKey;
use crate::peer_security::PeerSecurity;
use crate::pin::{Day, Pin, TrustStore};
use crate::security::Security;
use crate::state::admission::Refusal;
use crate::state::conversation_events::Side;
use crate::state::conversation_times::{GREETING_TIMEOUT, HURRIED_LINGER, LINGER};
use crate::state::key_guard::KeyGuard;
use crate::state::trust::{
    CallPlan, CallerRefused, Identified, KeyRefused, NotSecure, Trust, pinned_by_call,
};
use crate::traffic::{Handshake, TrafficTap};

/// The means of an agent to protect its conversations. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Protection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: MiAddress,
    security: Security,
    /// `None` for an agent without an identity.
    own: Option<(Tls, PublicKey)>,
    trust: Arc<dyn TrustStore>,
    guard: Mutex<KeyGuard>,
}

impl Protection {
    /// Creates the protection of the user `address`, with the identity's side of encryption if there is one.
    pub(crate) fn new(
        address: MiAddress,
        security: Security,
        own: Option<(Tls, PublicKey)>,
        trust: Arc<dyn TrustStore>,
    ) -> Self {
        let guard = Mutex::new(KeyGuard::new(security, own.as_ref().map(|(_, key)| *key)));
        Self(Arc::new(Inner { address, security, own, trust, guard }))
    }

    /// Returns whether a key of that user is known.
    #[cfg(feature = "outbox")]
    pub(crate) fn knows_key_of(&self, user: &MiAddress) -> bool {
        self.0.trust.pins(user).is_ok_and(|pins| !pins.is_empty())
    }

    /// Creates the protection of an agent without an identity that knows no keys.
    #[cfg(test)]
    pub(crate) fn none(address: MiAddress) -> Self {
        Self::new(address, Security::default(), None, Arc::new(crate::pin::MemoryTrust::default()))
    }

    /// Returns whether callers may encrypt.
    pub(crate) fn offers_tls(&self) -> bool {
        self.tls().is_some()
    }

    /// Returns the encryption, unless there is none or it is off.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.0.own.as_ref().map(|(tls, _)| tls).filter(|_| self.0.security != Security::Off)
    }

    pub(crate) fn own_key(&self) -> Option<PublicKey> {
        self.0.own.as_ref().map(|(_, key)| *key)
    }

    pub(crate) fn trust(&self) -> &dyn TrustStore {
        &*self.0.trust
    }

    pub(crate) fn guard(&self) -> MutexGuard<'_, KeyGuard> {
        self.0.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a call on over `stream`, encrypted or not, until it has ended.
    pub(super) async fn call(
        self,
        mut call: Call,
        stream: TcpStream,
        remote: SocketAddr,
        announces_tls: bool,
    ) {
        let (is_encrypted, reason) = match self.plan(&call.to, announces_tls) {
            Err(error) => (false, Some(CallError::Trust(error))),
            Ok(CallPlan::Plain) => (false, None),
            Ok(CallPlan::Tls) => (true, None),
            Ok(CallPlan::EndAtOnce(reason)) => (false, Some(reason.into())),
        };
        match (self.tls().filter(|_| is_encrypted), reason) {
            (Some(tls), _) => {
                let tls = tls.clone();
                // It is large, and plain calls need not be.
                Box::pin(self.call_encrypted(call, &tls, stream, remote)).await;
            }
            (None, Some(reason)) => {
                // That much is seen of a user in any case.
                call.nickname = Nickname::new(self.0.address.user().as_str()).unwrap_or(call.nickname);
                let connection = call.connection(stream, remote, TEND_TCP);
                call.end_at_once(connection, reason).await;
            }
            (None, None) => {
                let (connection, to) = (call.connection(stream, remote, TEND_TCP), call.to);
                let begun = async {
                    self.begun(to, None).await;
                    PeerSecurity::Plain { lacks_key: false }
                };
                call.greet(connection, begun).await;
            }
        }
    }

    /// Carries an encrypted call on.
    async fn call_encrypted(self, mut call: Call, tls: &Tls, stream: TcpStream, remote: SocketAddr) {
        let (to, until) = (call.to, now() + GREETING_TIMEOUT);
        let shutdown = call.options.shutdown.clone();
        let mut handshake = match tls.connect(&to, stream) {
            Ok(handshake) => handshake,
            Err(error) => return call.fails(CallError::NotAccepted { to, error }),
        };
        let not_accepted = |error| CallError::NotAccepted { to, error };
        let shaken = tokio::select! {
            shaken = handshake.shake() => shaken.map_err(|error| {
                tracing::debug!(%to, %remote, ?error, "the encryption of a call came to nothing");
                match error {
                    HandshakeError::NotTls => NotSecure::AnswersPlain.into(),
                    HandshakeError::NoAgreement(_) => NotSecure::NoAgreement.into(),
                    HandshakeError::Broken(error) => not_accepted(error),
                }
            }),
            () = time::sleep_until(until.into()) => Err(not_accepted(io::ErrorKind::TimedOut.into())),
            () = call.options.shutdown.begun() => Err(LocateError::Ended.into()),
            () = call.called.closed() => Err(LocateError::Ended.into()),
        };
        let key = match shaken {
            Ok(key) => key,
            Err(error) => {
                call.fails(error);
                return within_linger(handshake.end(), shutdown).await;
            }
        };
        let Some(mut stream) = handshake.into_stream() else {
            return call.fails(not_accepted(io::ErrorKind::UnexpectedEof.into()));
        };
        let judged = self.judge(&to, &key);
        self.tap_handshake(call.options.tap.as_ref(), remote, Side::Caller, (Some(&to), &key), &judged);
        let trust = match judged {
            Ok(Ok(trust)) => trust,
            refused => {
                call.fails(match refused {
                    Ok(Err(KeyRefused::Changed(known))) => CallError::KeyChanged { known, offered: key },
                    Ok(Err(KeyRefused::NotSecure(reason))) => reason.into(),
                    Ok(Ok(_)) => unreachable!("it is handled above"),
                    Err(error) => CallError::Trust(error),
                });
                let leaving = async {
                    stream.shutdown().await?;
                    // Unread bytes would turn the FIN into a reset.
                    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
                };
                return within_linger(leaving, shutdown).await;
            }
        };
        let mut connection = call.connection(stream, remote, TEND_TLS);
        connection.state.set_encrypted();
        connection.state.limit_greeting(until);
        let begun = async {
            self.begun(to, Some((key, trust))).await;
            PeerSecurity::Tls { key, trust }
        };
        call.greet(connection, begun).await;
    }

    /// Returns the way to call `to`, by whether its agent announces encryption.
    ///
    /// # Errors
    /// The keys that are known of `to` cannot be read.
    pub(crate) fn plan(&self, to: &MiAddress, announces_tls: bool) -> io::Result<CallPlan> {
        let ignores_keys = self.guard().ignores_keys(now(), to);
        let pins = if ignores_keys { Vec::new() } else { self.0.trust.pins(to)? };
        Ok(self.guard().plan(now(), to, &pins, announces_tls))
    }

    /// Decides about the key that the callee `to` proved to have.
    ///
    /// # Errors
    /// The keys that are known of `to` cannot be read.
    pub(crate) fn judge(&self, to: &MiAddress, key: &PublicKey) -> io::Result<Result<Trust, KeyRefused>> {
        let pins = self.0.trust.pins(to)?;
        Ok(self.guard().judge(*to, &pins, *key))
    }

    /// Reports a handshake, in which this agent was on one `side`, to the tap: the keys of both, of which the
    /// callee proves its own first (RFC 8446 §2), and the decision about that of the peer.
    pub(super) fn tap_handshake<E: fmt::Display>(
        &self,
        tap: Option<&TrafficTap>,
        remote: SocketAddr,
        side: Side,
        (peer, key): (Option<&MiAddress>, &PublicKey),
        decided: &io::Result<Result<Trust, E>>,
    ) {
        let Some((tap, own)) = tap.zip(self.own_key()) else { return };
        let decision = match decided {
            Ok(Ok(trust)) => trust.to_string(),
            Ok(Err(reason)) => format!("refused, {reason}"),
            Err(_) => "refused, the keys that are known cannot be read".to_owned(),
        };
        let proof = |user: Option<&MiAddress>, key: &PublicKey, decision| {
            let user = user.map(MiAddress::to_string);
            Handshake { key: *key.as_bytes(), user, decision }
        };
        let mut proofs = [
            (Direction::Received, proof(peer, key, Some(decision))),
            (Direction::Sent, proof(Some(&self.0.address), &own, None)),
        ];
        if side == Side::Callee {
            proofs.reverse();
        }
        proofs.into_iter().for_each(|(direction, proof)| tap.handshake(direction, remote, proof));
    }

    /// Notes that the callee `to` has begun a conversation: a key of which nothing was known becomes a pin.
    ///
    /// A thread keeps the pin. The conversation waits for it for [`PIN_PATIENCE`] at most, and nothing else
    /// does.
    async fn begun(&self, to: MiAddress, met: Option<(PublicKey, Trust)>) {
        self.guard().begun(&to);
        let Some((key, Trust::New)) = met else { return };
        let protection = self.clone();
        let pinning = task::spawn_blocking(move || protection.pin(&to, key));
        // An error: the disk takes longer, or the runtime ends.
        _ = time::timeout(PIN_PATIENCE, pinning).await;
    }

    fn pin(&self, to: &MiAddress, key: PublicKey) {
        let today = Day::today();
        let kept = self.0.trust.change(to, &mut |pins: &mut Vec<Pin>| pinned_by_call(pins, key, today));
        if let Err(error) = kept {
            tracing::warn!("the key of {to} cannot be kept, so its next call will meet a new key: {error}");
        }
    }

    /// Returns the one user with the known key `key`.
    pub(crate) fn holder(&self, key: &PublicKey) -> Option<MiAddress> {
        // The reason why the keys cannot be read is reported when the caller is identified.
        match self.0.trust.holders(key).ok()?[..] {
            [(holder, _)] => Some(holder),
            _ => None,
        }
    }

    /// Returns whether a caller that is refused for this `reason` is reported to the user.
    pub(super) fn tells(&self, reason: Refusal) -> bool {
        match reason {
            Refusal::KeyChanged(address) => self.guard().tells(now(), address),
            _ => true,
        }
    }

    /// Identifies the caller with `key`, or in plain text, after `candidates` asked.
    ///
    /// # Errors
    /// The keys that are known cannot be read.
    pub(crate) fn identify(
        &self,
        key: Option<&PublicKey>,
        candidates: &[MiAddress],
    ) -> io::Result<Result<Identified, CallerRefused>> {
        let with_pins = |address: &MiAddress| Ok((*address, self.0.trust.pins(address)?));
        let candidates = candidates.iter().map(with_pins).collect::<io::Result<Vec<_>>>()?;
        let holders = key.map_or_else(|| Ok(Vec::new()), |key| self.0.trust.holders(key))?;
        Ok(self.guard().identify(now(), key.copied(), &holders, &candidates))
    }
}

/// Waits for the end of a connection, but not for long: the peer may be gone, or go on endlessly.
async fn within_linger<T>(ending: impl Future<Output = io::Result<T>>, mut shutdown: ShutdownWatch) {
    let hurried = async {
        shutdown.hurried().await;
        time::sleep(HURRIED_LINGER).await;
    };
    tokio::select! {
        // An error ends it, too.
        _ = ending => {}
        () = time::sleep(LINGER) => {}
        () = hurried => {}
    }
}

/// The way to look at the send queue of an encrypted call.
const TEND_TLS: Option<Tend<TlsStream<TcpStream>>> = match TEND_TCP {
    Some(_) => Some(|stream| TEND_TCP.map_or(Ok(0), |tend| tend(stream.get_ref()))),
    None => None,
};

/// The time that a conversation waits until the key of its callee is kept: many times what a disk takes that
/// works. The same key met again by then is new again, which harms nobody.
const PIN_PATIENCE: Duration = Duration::from_secs(1);
