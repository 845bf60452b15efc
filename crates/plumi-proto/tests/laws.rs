//! The laws for every message and for every sequence of bytes.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use plumi_proto::{
    Challenge, DeregisterCode, Extension, KeyAndMac, Locate, LocateOutcome, MAX_ADDRESS, MAX_EXTENSION,
    MAX_MESSAGE, MIN_CHALLENGE_REQUEST, Message, MiAddress, MiSocketAddress, Nonce, Proof, RegisterCode,
    Registrant, UserName, Verb,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_message_survives_the_wire(message in message()) {
        let bytes = message.encode();
        prop_assert!(bytes.len() <= MAX_MESSAGE);
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
        // Equal addresses may differ in the case of their domains: the bytes must not.
        prop_assert_eq!(&*Message::decode(&bytes).expect("a message").encode(), &*bytes);
    }

    /// A challenge, an enrolment and their answers are what was meant, and no answer is larger than its
    /// request (N8).
    #[test]
    fn an_answer_about_a_proof_is_no_larger_than_its_request(
        (address, verb) in (address(), verb()),
        challenge in challenge(),
        key in key(),
    ) {
        let request = Message::RequestChallenge { verb, address }.encode();
        let length = address.as_str().len();
        prop_assert_eq!(request.len(), MIN_CHALLENGE_REQUEST.max("PR:A".len() + length));
        let extension = challenge.extension();
        let answer = match verb {
            Verb::Register => Message::RegisterReply { code: RegisterCode::NoSuchUser, extension },
            Verb::Deregister => Message::DeregisterReply { code: DeregisterCode::NoSuchUser, extension },
        };
        prop_assert_eq!(Message::decode(&answer.encode()).expect("a message").challenge(), Some((verb, challenge)));
        prop_assert_eq!(answer.encode().len(), 29);
        prop_assert!(answer.encode().len() <= request.len());
        prop_assert!(answer.encode().ends_with(b"1"));

        let request = Message::Enrol { address, key }.encode();
        prop_assert_eq!(request.len(), 64 + length);
        let answer = Message::RegisterReply { code: RegisterCode::Registered, extension: key.extension() };
        prop_assert_eq!(Message::decode(&answer.encode()).expect("a message").enrolled(), Some(key));
        prop_assert_eq!(answer.encode().len(), 64);
    }

    #[test]
    fn a_proof_is_98_bytes(proof in proof()) {
        prop_assert_eq!(Message::Prove(proof).encode().len(), 98);
    }

    #[test]
    fn any_bytes_are_one_message_or_one_error(bytes in proptest::collection::vec(any::<u8>(), 0..130)) {
        assert_total(&bytes);
    }

    /// Cut off anywhere, or with any one byte changed, a message is read as what it now is or not at all.
    #[test]
    fn no_damage_is_overlooked(message in message(), damage in any::<u8>()) {
        let bytes = message.encode();
        for at in 0..bytes.len() {
            assert_total(&bytes[..at]);
            let mut damaged = bytes.to_vec();
            damaged[at] ^= damage;
            assert_total(&damaged);
        }
    }
}

fn assert_total(bytes: &[u8]) {
    match Message::decode(bytes) {
        Ok(message) => {
            let again = message.encode();
            let shown = bytes.escape_ascii();
            match message {
                // An extension without a meaning is not kept.
                Message::Register(Registrant::Address(_)) | Message::Deregister(Registrant::Address(_)) => {
                    let more = bytes.strip_prefix(&*again).expect("the beginning");
                    assert!(more.first().is_none_or(|byte| *byte == b':'), "{shown} was read as {message:?}");
                }
                _ => assert!(*again == *bytes, "{shown} was read as {message:?}"),
            }
        }
        Err(error) => assert!(error.at <= bytes.len(), "{error}: {}", bytes.escape_ascii()),
    }
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        registrant().prop_map(Message::Register),
        registrant().prop_map(Message::Deregister),
        (
            prop_oneof![Just(RegisterCode::Registered), Just(RegisterCode::NoSuchUser)],
            extension(MAX_EXTENSION)
        )
            .prop_map(|(code, extension)| Message::RegisterReply { code, extension }),
        (
            prop_oneof![Just(DeregisterCode::Deregistered), Just(DeregisterCode::NoSuchUser)],
            extension(MAX_EXTENSION)
        )
            .prop_map(|(code, extension)| Message::DeregisterReply { code, extension }),
        locate().prop_map(Message::Locate),
        (verb(), address()).prop_map(|(verb, address)| Message::RequestChallenge { verb, address }),
        proof().prop_map(Message::Prove),
        (address(), key()).prop_map(|(address, key)| Message::Enrol { address, key }),
        (locate(), outcome()).prop_flat_map(|(locate, outcome)| {
            let plain = Message::LocateReply { locate, outcome, extension: Extension::NONE };
            // The extension has at least one byte beside the colon.
            let room = MAX_MESSAGE - plain.encode().len() - 1;
            extension(room).prop_map(move |extension| Message::LocateReply { locate, outcome, extension })
        }),
    ]
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![Just(Verb::Register), Just(Verb::Deregister)]
}

fn challenge() -> impl Strategy<Value = Challenge> {
    (any::<[u8; 12]>(), any::<std::net::SocketAddrV4>())
        .prop_map(|(nonce, seen)| Challenge { nonce: Nonce::new(nonce), seen })
}

fn key() -> impl Strategy<Value = KeyAndMac> {
    (any::<[u8; 32]>(), any::<[u8; 12]>()).prop_map(|(key, mac)| KeyAndMac { key, mac })
}

fn proof() -> impl Strategy<Value = Proof> {
    (verb(), challenge(), any::<[u8; 6]>(), any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(
        |(verb, challenge, handle, r, s)| {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&r);
            signature[32..].copy_from_slice(&s);
            Proof { verb, hint: challenge.nonce.hint(), handle, signature }
        },
    )
}

/// None, or one with a text of `most` bytes at most.
fn extension(most: usize) -> impl Strategy<Value = Extension> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=most))
        .prop_map(|text| text.map_or(Extension::NONE, |text| Extension::new(&text).expect("it fits")))
}

fn registrant() -> impl Strategy<Value = Registrant> {
    prop_oneof![
        address().prop_map(Registrant::Address),
        "[!-9;-?A-~é名]{1,11}".prop_map(|user| Registrant::User(UserName::new(&user).expect("a name"))),
    ]
}

fn locate() -> impl Strategy<Value = Locate> {
    (address(), address()).prop_map(|(from, to)| Locate { from, to })
}

fn address() -> impl Strategy<Value = MiAddress> {
    ("[!-9;-?A-~é名]{1,20}", "[a-zA-Z0-9_-]{1,10}(\\.[a-z]{1,5}){0,2}\\.?")
        .prop_map(|(user, domain)| format!("{user}@{domain}"))
        .prop_filter("an address is limited", |address| address.len() <= MAX_ADDRESS)
        .prop_map(|address| address.parse().expect("an address"))
}

fn outcome() -> impl Strategy<Value = LocateOutcome> {
    prop_oneof![
        (any::<Ipv4Addr>(), any::<NonZeroU16>())
            .prop_map(|(ip, port)| LocateOutcome::Found(MiSocketAddress { ip, port })),
        Just(LocateOutcome::Busy),
        Just(LocateOutcome::NoSuchUser),
        Just(LocateOutcome::Offline),
    ]
}
