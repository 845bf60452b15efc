//! Encryption: TLS 1.3 between two agents that prove their raw public keys to each other (RFC 8446, RFC
//! 7250).
//!
//! This file and its module are the only ones that know rustls. The handshake accepts any key:
//! [`state/trust`](crate::state::trust) decides about it before a nickname is sent. Nothing is resumed, so
//! every conversation proves both keys again.

mod handshake;
mod stream;

use std::fmt;
use std::io;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use plumi_proto::{MiAddress, SIGNATURE_LENGTH};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error,
    ServerConfig, SignatureScheme,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

pub(crate) use self::handshake::Handshake;
pub(crate) use self::stream::TlsStream;
use crate::key::{PublicKey, canonical};
use crate::key_log::KeyLog;

/// The two sides of an agent's encryption.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    server: Arc<ServerConfig>,
    /// The name by which callers name this agent.
    own_name: String,
}

/// The reason why a handshake came to nothing.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The peer's first bytes are not those of TLS.
    NotTls,
    /// The peer encrypts in another way, or says that it does not want this connection.
    NoAgreement(io::Error),
    /// The connection ended or broke.
    Broken(io::Error),
}

impl Tls {
    /// Creates the encryption of the agent of `own` with its `key`. `log` receives the keys of every
    /// connection.
    pub(crate) fn new(key: &SecretKey, own: &MiAddress, log: Option<KeyLog>) -> Self {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Arc::new(AnyKey(algorithms));
        let certified = Arc::new(CertifiedKey::new(
            vec![CertificateDer::from(spki(&key.public_key()))],
            Arc::clone(&key.signing),
        ));
        let versions = &[&rustls::version::TLS13];
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("the provider has TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::clone(
                &certified,
            ))));
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the provider has TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.max_early_data_size = 0;
        if let Some(log) = log {
            let log = Arc::new(log);
            client.key_log = log.clone();
            server.key_log = log;
        }
        Self {
            connector: TlsConnector::from(Arc::new(client)),
            server: Arc::new(server),
            own_name: name_of(own),
        }
    }

    /// Begins to encrypt a call to `to`.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn connect<S>(&self, to: &MiAddress, stream: S) -> io::Result<Handshake<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(name_of(to)).expect("it is a name");
        let config = Arc::clone(self.connector.config());
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Handshake::of_caller(self.clone(), stream, connection.into()))
    }

    /// Takes part in the encryption that a caller begins on `stream`.
    pub(crate) fn accept<S>(&self, stream: S) -> Handshake<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Handshake::of_callee(self.clone(), stream)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("own_name", &self.own_name).finish_non_exhaustive()
    }
}

impl HandshakeError {
    fn of(error: Error) -> Self {
        match error {
            Error::InvalidMessage(_) => Self::NotTls,
            error => Self::NoAgreement(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::NotTls => Self::new(io::ErrorKind::InvalidData, "it does not speak TLS"),
            HandshakeError::NoAgreement(error) | HandshakeError::Broken(error) => error,
        }
    }
}

/// Returns the key that the peer proved to have, on a connection that speaks [`ALPN`].
fn proved(connection: &rustls::CommonState) -> Result<PublicKey, HandshakeError> {
    let other = |text| HandshakeError::NoAgreement(io::Error::new(io::ErrorKind::InvalidData, text));
    // rustls lets a peer without ALPN pass.
    if connection.alpn_protocol() != Some(ALPN) {
        return Err(other("it speaks another protocol"));
    }
    let key = connection.peer_certificates().and_then(|keys| keys.first()).and_then(|key| key_of(key));
    key.ok_or_else(|| other("it has no key"))
}

/// The secret key of a user: Ed25519.
#[derive(Clone)]
pub(crate) struct SecretKey {
    der: Arc<Zeroizing<Vec<u8>>>,
    signing: Arc<dyn SigningKey>,
    public: PublicKey,
}

impl SecretKey {
    /// Creates a key.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn generate() -> io::Result<Self> {
        let mut der = Zeroizing::new(PKCS8_PREFIX.to_vec());
        der.resize(PKCS8_PREFIX.len() + PublicKey::LENGTH, 0);
        let seed = &mut der[PKCS8_PREFIX.len()..];
        provider()
            .secure_random
            .fill(seed)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        Ok(Self::from_pkcs8(der).expect("any seed is a key"))
    }

    /// Reads a key in PKCS#8 (RFC 8410). `None` if it is something else.
    pub(crate) fn from_pkcs8(der: Zeroizing<Vec<u8>>) -> Option<Self> {
        // The provider's copy is not zeroized.
        let key = PrivatePkcs8KeyDer::from(der.to_vec());
        let signing = provider().key_provider.load_private_key(key.into()).ok()?;
        let public = key_of(&signing.public_key()?)?;
        Some(Self { der: Arc::new(der), signing, public })
    }

    /// Returns the key in the form in which it was read: version 1 of PKCS#8 if it was generated.
    pub(crate) fn to_pkcs8(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Signs `text`, by Ed25519: the same text has the same signature.
    pub(crate) fn sign(&self, text: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        let signer = self.signing.choose_scheme(&[SignatureScheme::ED25519]);
        let signature = signer.and_then(|signer| signer.sign(text).ok());
        signature.and_then(|signature| signature.try_into().ok()).expect("a key of Ed25519 signs any text")
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.write(label, client_random, secret);
    }
}

/// Accepts any Ed25519 key if the peer has its secret.
#[derive(Debug)]
struct AnyKey(rustls::crypto::WebPkiSupportedAlgorithms);

impl AnyKey {
    fn check(&self, key: &CertificateDer<'_>) -> Result<(), Error> {
        key_of(key).map(|_| ()).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
    }

    fn check_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signed, &self.0)
    }
}

/// The part of a verifier that is the same for both sides: TLS 1.3, and raw Ed25519 keys.
macro_rules! signatures_of_raw_keys {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _key: &CertificateDer<'_>,
            _signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(rustls::PeerIncompatible::Tls12NotOffered.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            key: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.check_signature(message, key, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(key).map(|()| ServerCertVerified::assertion())
    }

    signatures_of_raw_keys!();
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(key).map(|()| ClientCertVerified::assertion())
    }

    signatures_of_raw_keys!();
}

/// Returns the provider, which is named on every use: the default of a process panics if two are built in.
fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "post-quantum")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "post-quantum"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

/// Returns the name under which `address` is called, in both signatures of the handshake: a callee that
/// publishes the socket of another agent makes callers use a name that this other agent refuses.
fn name_of(address: &MiAddress) -> String {
    let mut hash = Sha256::new();
    hash.update(b"mi-callee-1\0");
    hash.update(address.user().as_str());
    hash.update(b"@");
    hash.update(canonical(address.domain().as_str()));
    let hash = BASE32_NOPAD.encode(&hash.finalize()[..16]).to_ascii_lowercase();
    hash + NAME_SUFFIX
}

/// Returns a name for a connection that takes the state of another.
fn any_name() -> ServerName<'static> {
    ServerName::try_from(&NAME_SUFFIX[1..]).expect("it is a name")
}

/// Returns the key in a SubjectPublicKeyInfo (RFC 8410 §4).
fn key_of(spki: &[u8]) -> Option<PublicKey> {
    let key = spki.strip_prefix(&SPKI_PREFIX)?;
    key.try_into().ok().map(PublicKey::from_bytes)
}

fn spki(key: &PublicKey) -> Vec<u8> {
    [&SPKI_PREFIX[..], key.as_bytes()].concat()
}

/// The frames of protocol.md §5, and nothing else.
const ALPN: &[u8] = b"pmi/1";

/// The end of the names of callees, in a domain that nobody has (RFC 6761 §6.4).
const NAME_SUFFIX: &str = ".pmi.invalid";

/// The beginning of the SubjectPublicKeyInfo of every Ed25519 key (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The beginning of every Ed25519 secret key in version 1 of PKCS#8 (RFC 8410 §7). Its seed follows.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The alert `unrecognized_name`, fatal and not encrypted yet (RFC 8446 §6). rustls would send another one.
const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70];

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    fn tls(address: &str) -> (Tls, PublicKey) {
        let key = SecretKey::generate().unwrap();
        (Tls::new(&key, &address.parse().unwrap(), None), key.public_key())
    }

    fn joya() -> MiAddress {
        "joya@cc.com".parse().unwrap()
    }

    type Shaken = Result<(TlsStream<DuplexStream>, PublicKey), HandshakeError>;

    /// Carries a handshake out, and ends it in order if it fails.
    async fn shake(mut handshake: Handshake<DuplexStream>) -> Shaken {
        match handshake.shake().await {
            Ok(key) => Ok((handshake.into_stream().unwrap(), key)),
            Err(error) => {
                handshake.end().await.unwrap();
                Err(error)
            }
        }
    }

    /// Both sides of a call of `caller` to `to`, which leads to `callee`.
    async fn both(caller: &Tls, to: &str, callee: &Tls) -> (Shaken, Shaken) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let to = to.parse().unwrap();
        tokio::join!(shake(caller.connect(&to, ours).unwrap()), shake(callee.accept(theirs)))
    }

    #[tokio::test]
    async fn both_keys_are_proved_and_what_is_said_arrives() {
        let ((laura, of_laura), (callee, of_callee)) = (tls("laura@bb.com"), tls("joya@CC.com."));
        let (called, accepted) = both(&laura, "joya@cc.com", &callee).await;
        let (mut called, key) = called.unwrap();
        assert_eq!(key, of_callee);
        let (mut accepted, key) = accepted.unwrap();
        assert_eq!(key, of_laura);
        called.write_all(b"N05laura").await.unwrap();
        called.flush().await.unwrap();
        let mut read = [0; 8];
        accepted.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"N05laura");
        // The end is one that the other side meant.
        called.shutdown().await.unwrap();
        assert_eq!(accepted.read(&mut read).await.unwrap(), 0);
    }

    /// A program that leaves in a hurry drops what is not done.
    #[tokio::test]
    async fn a_stream_that_is_dropped_has_ended() {
        let ((laura, _), (callee, _)) = (tls("laura@bb.com"), tls("joya@cc.com"));
        for drops_caller in [true, false] {
            let (called, accepted) = both(&laura, "joya@cc.com", &callee).await;
            let mut both = [called.unwrap().0, accepted.unwrap().0];
            if drops_caller {
                both.reverse();
            }
            let [mut left, dropped] = both;
            drop(dropped);
            assert_eq!(left.read(&mut [0; 8]).await.unwrap(), 0, "{drops_caller}");
        }
    }

    /// Somebody gives the socket of another agent as its own.
    #[tokio::test]
    async fn who_is_called_by_another_name_does_not_answer() {
        let ((laura, _), (callee, _)) = (tls("laura@bb.com"), tls("joya@cc.com"));
        let (called, accepted) = both(&laura, "joya@evil.com", &callee).await;
        assert!(matches!(accepted, Err(HandshakeError::NoAgreement(_))), "{accepted:?}");
        let Err(HandshakeError::NoAgreement(error)) = called else { panic!("{called:?}") };
        let alert = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
        assert_eq!(alert, Some(&Error::AlertReceived(rustls::AlertDescription::UnrecognisedName)));
    }

    /// Each of these is what a callee says, and how the call ends.
    #[tokio::test]
    async fn what_is_no_tls_is_told_from_silence() {
        let (laura, _) = tls("laura@bb.com");
        let call = async |said: &'static [u8]| {
            let (ours, mut theirs) = tokio::io::duplex(4096);
            let joya = joya();
            let says = async {
                theirs.write_all(said).await.unwrap();
                theirs.shutdown().await.unwrap();
                let mut heard = Vec::new();
                theirs.read_to_end(&mut heard).await.unwrap();
                heard
            };
            let (called, heard) = tokio::join!(shake(laura.connect(&joya, ours).unwrap()), says);
            assert_eq!(heard[0], 0x16, "a ClientHello");
            assert!(!heard.windows(5).any(|bytes| bytes == b"laura"), "nothing is plain");
            called.map(|_| ()).unwrap_err()
        };
        assert!(matches!(call(b"N04joya").await, HandshakeError::NotTls));
        assert!(matches!(call(b"").await, HandshakeError::Broken(_)));
        assert!(matches!(call(&UNRECOGNIZED_NAME).await, HandshakeError::NoAgreement(_)));
    }

    /// A callee of another kind: it has no key, or speaks no protocol of ours.
    #[tokio::test]
    async fn another_protocol_is_refused_on_both_sides() {
        for alpn in [&[][..], &[b"pmi/9".to_vec()]] {
            let ((mut laura, _), (callee, _)) = (tls("laura@bb.com"), tls("joya@cc.com"));
            let mut client = ClientConfig::clone(laura.connector.config());
            client.alpn_protocols = alpn.to_vec();
            laura.connector = TlsConnector::from(Arc::new(client));
            let (called, accepted) = both(&laura, "joya@cc.com", &callee).await;
            assert!(matches!(accepted, Err(HandshakeError::NoAgreement(_))), "{accepted:?}");
            assert!(matches!(called, Err(HandshakeError::NoAgreement(_))), "{called:?}");
        }
    }

    #[tokio::test]
    async fn any_bytes_end_in_an_error() {
        let (callee, _) = tls("joya@cc.com");
        let mut random = 1_u64;
        for round in 0..2_000 {
            let (mut ours, theirs): (DuplexStream, _) = tokio::io::duplex(4096);
            let mut bytes = vec![0x16];
            for _ in 0..round % 60 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                bytes.push(random.to_be_bytes()[0]);
            }
            ours.write_all(&bytes).await.unwrap();
            ours.shutdown().await.unwrap();
            assert!(shake(callee.accept(theirs)).await.is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn callees_have_names() {
        let name = name_of(&joya());
        // The sample of protocol.md §11, reckoned by another program.
        assert_eq!(name, "nrmi252ggnffthnzka36stzpoe.pmi.invalid");
        assert_eq!(name, name_of(&"joya@CC.COM.".parse().unwrap()));
        assert_ne!(name, name_of(&"joya@cc.org".parse().unwrap()));
    }
}
