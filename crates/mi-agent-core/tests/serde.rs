//! The values of an agent as serde values.

use std::fmt::Debug;
use std::str::FromStr;

use mi_agent_core::{Domain, MiAddress, MiSocketAddress, Nickname, NodeAddress, PeerText, UserName};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[test]
fn names_and_addresses_are_texts_both_ways() {
    is_written::<MiAddress>("laura@bb.com");
    is_written::<UserName>("laura");
    is_written::<Domain>("bb.com");
    is_written::<Nickname>("Laura de Vic");
    is_written::<NodeAddress>("127.0.0.2:3344");
    is_written::<MiSocketAddress>("127.0.0.1:3500");
}

#[test]
fn what_the_parsers_refuse_is_refused() {
    is_refused::<MiAddress>("\"laura\"", "an address is user@domain, and there is no '@'");
    is_refused::<Nickname>("\"\"", "is empty");
    is_refused::<MiSocketAddress>("\"127.0.0.1:0\"", "it is not ip:port");
    is_refused::<NodeAddress>(
        "3344",
        "invalid type: integer `3344`, expected an IPv4 address and a UDP port",
    );
}

#[test]
fn the_text_of_a_peer_is_written_as_it_came() {
    let text = PeerText::new("\u{1b}[2Jhola");
    assert_eq!(serde_json::to_string(&text).unwrap(), r#""\u001b[2Jhola""#);
}

fn is_written<T: FromStr<Err: Debug> + Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) {
    let value: T = text.parse().expect("it is well-formed");
    let quoted = format!("\"{text}\"");
    assert_eq!(serde_json::to_string(&value).expect("it is a text"), quoted);
    assert_eq!(serde_json::from_str::<T>(&quoted).expect("it is well-formed"), value);
}

fn is_refused<T: DeserializeOwned + Debug>(json: &str, reason: &str) {
    let error = serde_json::from_str::<T>(json).expect_err("it is refused").to_string();
    assert!(error.starts_with(reason), "{json}: {error}");
}
