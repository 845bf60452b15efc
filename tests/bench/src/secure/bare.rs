//! The limit: rustls alone, set up as an agent sets it up, on connections that block.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use anyhow::Context;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    ServerConfig, ServerConnection, SignatureScheme, StreamOwned,
};

/// Both sides of TLS 1.3 with raw Ed25519 keys, without tickets and resumption.
#[derive(Clone)]
pub(crate) struct BareTls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// The caller's side of a connection, which says that it ends when it is dropped.
pub(crate) struct Caller(StreamOwned<ClientConnection, TcpStream>);

/// The callee's side of a connection.
pub(crate) type Callee = StreamOwned<ServerConnection, TcpStream>;

impl BareTls {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(AnyKey(provider.signature_verification_algorithms));
        let versions = &[&rustls::version::TLS13];
        let key = new_key(&provider)?;
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key)));
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        let key = new_key(&provider)?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key)));
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }

    /// Returns the caller's side on `stream`. The handshake begins with the first write.
    pub(crate) fn caller(&self, stream: TcpStream) -> anyhow::Result<Caller> {
        let connection = ClientConnection::new(Arc::clone(&self.client), ServerName::try_from(NAME)?)?;
        Ok(Caller(StreamOwned::new(connection, stream)))
    }

    /// Returns the callee's side on `stream`. The handshake begins with the first read.
    pub(crate) fn callee(&self, stream: TcpStream) -> anyhow::Result<Callee> {
        Ok(StreamOwned::new(ServerConnection::new(Arc::clone(&self.server))?, stream))
    }
}

impl Read for Caller {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Caller {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.conn.send_close_notify();
        // The reader counts what came, so a loss is seen there.
        _ = self.0.flush();
    }
}

/// Creates an Ed25519 key.
fn new_key(provider: &CryptoProvider) -> anyhow::Result<Arc<CertifiedKey>> {
    let mut der = PKCS8_PREFIX.to_vec();
    der.resize(PKCS8_PREFIX.len() + 32, 0);
    provider.secure_random.fill(&mut der[PKCS8_PREFIX.len()..]).ok().context("no random numbers")?;
    let signing = provider.key_provider.load_private_key(PrivatePkcs8KeyDer::from(der).into())?;
    let public = signing.public_key().context("a key pair")?;
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], signing)))
}

/// Accepts any key if the peer has its secret, as the handshake of an agent does.
#[derive(Debug)]
struct AnyKey(WebPkiSupportedAlgorithms);

impl AnyKey {
    fn check(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.0)
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
            Err(PeerIncompatible::Tls12NotOffered.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            key: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.check(message, key, signed)
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
        _key: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures_of_raw_keys!();
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _key: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    signatures_of_raw_keys!();
}

const ALPN: &[u8] = b"pmi/1";

/// A name of the form and length that agents have (protocol.md §11).
const NAME: &str = "nrmi252ggnffthnzka36stzpoe.pmi.invalid";

/// The beginning of every Ed25519 secret key in PKCS#8 (RFC 8410 §7). Its seed follows.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
