//! The first bytes of a caller, which may begin to encrypt.

use std::sync::OnceLock;

use futures_util::FutureExt;
use mi_agent_core::{CalleeStream, Identity, MiAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A caller sends these bytes, and no more. If they do not begin with TLS, they are read as they are, and
/// what is answered is sent as it is. If they do, nobody has proved a key: the callee reads an error, says
/// nothing in plain text and ends the stream in order.
///
/// # Panics
/// If it is not so.
pub fn first_bytes(data: &[u8]) {
    let (ours, mut theirs) = tokio::io::duplex(data.len() + ROOM);
    let mut callee = CalleeStream::with_identity(ours, identity(), &joya());
    let sent = async {
        theirs.write_all(data).await.expect("it has room");
        theirs.shutdown().await.expect("it ends");
    };
    sent.now_or_never().expect("it has room");
    let mut read = Vec::new();
    let result = callee.read_to_end(&mut read).now_or_never().expect("the caller says no more");
    let answered = callee.write_all(b"N04joya").now_or_never().expect("it has room");
    callee.shutdown().now_or_never().expect("the caller has ended").expect("it ends in order");
    drop(callee);
    let mut heard = Vec::new();
    theirs.read_to_end(&mut heard).now_or_never().expect("the callee has ended").expect("a FIN");
    if data.first() == Some(&HANDSHAKE) {
        result.expect_err("nobody has proved a key");
        answered.expect_err("it is encrypted or not sent");
        assert_eq!(read, b"", "{heard:?}");
        are_records(&heard);
    } else {
        result.expect("it is plain");
        answered.expect("it is plain");
        assert_eq!((&read[..], &heard[..]), (data, &b"N04joya"[..]));
    }
}

/// Checks that these are whole records of TLS, at least one (RFC 8446 §5.1).
fn are_records(mut bytes: &[u8]) {
    assert!(!bytes.is_empty(), "an alert at least");
    while let [kind, 3, _, high, low, rest @ ..] = bytes {
        assert!((0x14..=0x17).contains(kind), "{bytes:?}");
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        bytes = rest.get(length..).unwrap_or_else(|| panic!("a record is cut off: {bytes:?}"));
    }
    assert!(bytes.is_empty(), "no record: {bytes:?}");
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| Identity::generate().expect("randomness"))
}

fn joya() -> MiAddress {
    "joya@cc.com".parse().expect("an address")
}

/// The first byte of a handshake.
const HANDSHAKE: u8 = 0x16;

/// The longest answer, and more.
const ROOM: usize = 16 * 1024;
