//! Callers of another make: `gnutls-cli`, with the identity of a user as our agents write it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use data_encoding::BASE64;
use lumi_testkit::network::TestNode;
use mi_agent_core::{ConversationError, Event, Identity, PeerSecurity, Security, Trust};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::{User, socket_of, within};

/// Returns whether the tests of this file can be run, and says so if not.
fn is_installed() -> bool {
    let found = std::process::Command::new("gnutls-cli").arg("--version").output().is_ok();
    if !found {
        // A test that is skipped says so even if its output is captured.
        _ = writeln!(io::stderr(), "SKIPPED, there is no gnutls-cli here: install gnutls-bin");
    }
    found
}

/// Calls the agent at `port` with the key of `identity`, and speaks by its stdin and stdout.
fn call(folder: &Path, identity: &Identity, port: u16, options: &[&str]) -> Child {
    let [secret, public] = ["key.pem", "pub.pem"].map(|name| folder.join(name));
    fs::write(&secret, identity.to_pem().as_bytes()).expect("written");
    let spki = [&SPKI_PREFIX[..], identity.public_key().as_bytes()].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&spki));
    fs::write(&public, pem).expect("written");
    let mut command = Command::new("gnutls-cli");
    command.arg("--no-ca-verification").arg("--rawpkkeyfile").arg(secret).arg("--rawpkfile").arg(public);
    command.args(["--priority", PRIORITY, "-p", &port.to_string()]).args(options).arg("127.0.0.1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("gnutls-cli starts")
}

/// Waits for its end, and returns what it wrote.
async fn end(caller: Child) -> (Output, String) {
    let output = within(caller.wait_with_output()).await.expect("its output");
    let text = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn gnutls_talks_with_an_agent_and_both_prove_their_keys() {
    if !is_installed() {
        return;
    }
    let node = TestNode::alone("bb.com", &["joya"]).await;
    let (laura, joya) = (Identity::generate().expect("randomness"), User::new("joya"));
    let (of_joya, mut events) = joya.comes(&node, Security::Encrypted).await;
    let folder = tempfile::tempdir().expect("a folder");
    for joya_hangs_up in [true, false] {
        let port = socket_of(&of_joya).port();
        let mut caller = call(folder.path(), &laura, port, &["--alpn", "pmi/1"]);
        let mut says = caller.stdin.take().expect("a pipe");
        // It sends whole lines of its stdin, so the line of the frame ends with one.
        says.write_all(b"N05lauraL05hola\n").await.expect("written");
        says.flush().await.expect("written");
        let Some(Event::Incoming(incoming)) = within(events.next()).await else { panic!("a call") };
        let mut talk = incoming.accept().expect("a conversation");
        assert_eq!(talk.peer().nickname, "laura");
        assert_eq!(talk.peer().security, PeerSecurity::Tls { key: laura.public_key(), trust: Trust::New });
        assert_eq!(within(talk.next_line()).await.expect("heard").expect("a line").raw(), "hola\n");
        talk.send("adeu").await.expect("sent");
        if joya_hangs_up {
            let mut receiver = talk.hang_up();
            let (output, wrote) = end(caller).await;
            assert!(output.status.success(), "{wrote}");
            // Once it is hung up on, it may close without an alert of its own, which is a loss.
            assert!(matches!(receiver.next_line().await, Ok(None) | Err(ConversationError::Lost(_))));
            for part in [
                "TLS1.3",
                "Application protocol: pmi/1",
                "N04joya",
                "L04adeu",
                "Peer has closed the GnuTLS connection",
            ] {
                assert!(wrote.contains(part), "{part}: {wrote}");
            }
        } else {
            drop(says);
            assert!(within(talk.next_line()).await.expect("an end").is_none());
            drop(talk);
            let (output, wrote) = end(caller).await;
            assert!(output.status.success(), "{wrote}");
        }
        super::free([&of_joya, &of_joya]).await;
    }
}

/// Each row: the options of the caller, and the answer that it gets.
#[tokio::test]
async fn gnutls_is_refused_without_our_protocol_and_by_another_name() {
    if !is_installed() {
        return;
    }
    let node = TestNode::alone("bb.com", &["joya"]).await;
    let (of_joya, mut events) = User::new("joya").comes(&node, Security::Offer).await;
    let folder = tempfile::tempdir().expect("a folder");
    let port = socket_of(&of_joya).port();
    let somebody = "a".repeat(26) + ".pmi.invalid";
    for (options, told) in [
        (&[][..], "Peer has closed the GnuTLS connection"),
        (&["--alpn", "pmi/9"], "No supported application protocol could be negotiated"),
        (&["--alpn", "pmi/1", "--sni-hostname", &somebody], "The server name sent was not recognized"),
    ] {
        let identity = Identity::generate().expect("randomness");
        let mut caller = call(folder.path(), &identity, port, options);
        let mut says = caller.stdin.take().expect("a pipe");
        says.write_all(b"N05lauraL05hola\n").await.expect("written");
        let (_, wrote) = end(caller).await;
        assert!(wrote.contains(told), "{options:?}: {wrote}");
        assert!(!wrote.contains("N04joya"), "{options:?}: {wrote}");
        assert!(events.try_next().is_none(), "{options:?}");
    }
}

/// Raw public keys of both sides, in TLS 1.3.
const PRIORITY: &str = "NORMAL:-VERS-ALL:+VERS-TLS1.3:\
    -CTYPE-CLI-X509:-CTYPE-SRV-X509:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK";

/// The beginning of the SubjectPublicKeyInfo of every Ed25519 key (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
