//! Reading a PLUMI message.

use plumi_proto::{MAX_ADDRESS, MAX_MESSAGE, MIN_CHALLENGE_REQUEST, Message, MiAddress, Registrant};

/// Any datagram is one message or one error; what was read is written again, as it came.
///
/// # Panics
/// If it is not.
pub fn plumi(datagram: &[u8]) {
    match Message::decode(datagram) {
        Ok(message) => reads_back(datagram, &message),
        Err(error) => {
            assert!(error.at <= datagram.len().min(MAX_MESSAGE), "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
        }
    }
}

fn reads_back(datagram: &[u8], message: &Message) {
    let bytes = message.encode();
    assert!(bytes.len() <= MAX_MESSAGE, "{bytes:?}");
    if let Message::Register(Registrant::Address(_)) | Message::Deregister(Registrant::Address(_)) = message {
        // An extension without a meaning is not kept.
        let more = datagram.strip_prefix(&*bytes).expect("the beginning of the datagram");
        assert!(more.first().is_none_or(|byte| *byte == b':'), "{message:?}");
    } else {
        assert_eq!(*bytes, *datagram, "{message:?}");
    }
    answers_fit(message);
    let plain = message.without_extension();
    assert!(datagram.starts_with(&plain.encode()), "{plain:?} of {message:?}");
    assert_eq!(plain == *message, plain.encode().len() == bytes.len(), "{message:?}");
    match message {
        Message::Register(Registrant::Address(address))
        | Message::Deregister(Registrant::Address(address)) => {
            is_an_address(address);
        }
        Message::RequestChallenge { address, .. } | Message::Enrol { address, .. } => is_an_address(address),
        Message::Locate(locate) | Message::LocateReply { locate, .. } => {
            is_an_address(&locate.from);
            is_an_address(&locate.to);
        }
        _ => {}
    }
}

/// A challenge and the answer to an enrolment are no larger than their requests, and say the same in words
/// and bytes.
fn answers_fit(message: &Message) {
    let length = message.encode().len();
    match message {
        Message::RequestChallenge { .. } => assert!(length >= MIN_CHALLENGE_REQUEST, "{message:?}"),
        Message::Enrol { key, .. } => {
            assert!(length >= "RR0".len() + key.extension().as_bytes().len(), "{message:?}");
        }
        Message::Prove(_) => assert_eq!(length, 98, "{message:?}"),
        Message::RegisterReply { extension, .. } | Message::DeregisterReply { extension, .. } => {
            if let Some((_, challenge)) = message.challenge() {
                assert_eq!(challenge.extension(), *extension);
                assert!(length <= MIN_CHALLENGE_REQUEST, "{message:?}");
            }
            if let Some(key) = message.enrolled() {
                assert_eq!(key.extension(), *extension);
            }
        }
        _ => {}
    }
}

/// It is made of its parts.
fn is_an_address(address: &MiAddress) {
    assert!(address.as_str().len() <= MAX_ADDRESS);
    let (user, domain) = (address.user(), address.domain());
    assert_eq!(format!("{user}@{domain}"), address.as_str());
    assert_eq!(MiAddress::new(&user, &domain), Ok(*address));
    let other_case = domain.as_str().to_ascii_uppercase();
    assert_eq!(other_case.parse(), Ok(domain), "a domain in other letters");
}
