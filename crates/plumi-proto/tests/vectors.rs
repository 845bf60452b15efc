//! The bytes of a real exchange, and of everything that is nearly a message.

#[path = "samples/no_messages.rs"]
mod no_messages;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddrV4};

use plumi_proto::{
    AddressError, Challenge, DecodeReason, DeregisterCode, Domain, Extension, KeyAndMac, Locate,
    LocateOutcome, MAX_EXTENSION, MAX_MESSAGE, Message, MiAddress, MiSocketAddress, NameError, Nonce, Proof,
    RegisterCode, Registrant, UserName, Verb,
};

use no_messages::{NO_MESSAGES, forbidden};

/// Every message of the captured exchange (protocol.md §8), with its length as the capture has it.
#[test]
fn captured_messages_decode_and_encode_to_the_same_bytes() {
    let u1 = Registrant::Address(address("u1@PC-c"));
    let u2 = Registrant::Address(address("u2@PC-d"));
    let locate = locate("u1@PC-c", "u2@PC-d");
    let found = found([10, 100, 100, 102], 43038);
    let captured: [(&[u8], usize, Message); 8] = [
        (b"PRu1@PC-c", 9, Message::Register(u1)),
        (b"PRu2@PC-d", 9, Message::Register(u2)),
        (b"RR0", 3, registered(RegisterCode::Registered)),
        (b"PLu1@PC-c:u2@PC-d", 17, Message::Locate(locate)),
        (b"RL0u1@PC-c:u2@PC-d:10.100.100.102:43038", 39, located(locate, found)),
        (b"PDu1@PC-c", 9, Message::Deregister(u1)),
        (b"PDu2@PC-d", 9, Message::Deregister(u2)),
        (b"RD0", 3, deregistered(DeregisterCode::Deregistered)),
    ];
    for (bytes, length, message) in captured {
        assert_eq!(bytes.len(), length);
        assert_eq!(Message::decode(bytes), Ok(message));
        assert_eq!(&*message.encode(), bytes);
    }
}

#[test]
fn every_code_has_its_digit() {
    let locate = locate("laura@bb.com", "joya@cc.com");
    let reply = |outcome| located(locate, outcome);
    for (bytes, message) in [
        ("RR1", registered(RegisterCode::NoSuchUser)),
        ("RD1", deregistered(DeregisterCode::NoSuchUser)),
        ("RL1laura@bb.com:joya@cc.com", reply(LocateOutcome::Busy)),
        ("RL2laura@bb.com:joya@cc.com", reply(LocateOutcome::NoSuchUser)),
        ("RL3laura@bb.com:joya@cc.com", reply(LocateOutcome::Offline)),
        ("RL0laura@bb.com:joya@cc.com:0.0.0.0:1", reply(found([0, 0, 0, 0], 1))),
    ] {
        assert_eq!(Message::decode(bytes.as_bytes()), Ok(message));
        assert_eq!(&*message.encode(), bytes.as_bytes());
    }
}

#[test]
fn a_bare_registration_keeps_its_form() {
    let laura = Registrant::User(UserName::new("laura").expect("a name"));
    assert_eq!(Message::decode(b"PRlaura"), Ok(Message::Register(laura)));
    assert_eq!(&*Message::Deregister(laura).encode(), b"PDlaura");
}

#[test]
fn an_answer_has_the_extension_that_follows_its_last_field() {
    let extensions =
        [&b":"[..], b":T", b":T:more", b"::", b":0.0.0.0:0", b":\0\xff@\n", &[b':'; MAX_EXTENSION + 1]];
    for message in
        ["RR0", "RR1", "RD0", "RD1", "RL0a@b:c@d:1.2.3.4:5", "RL1a@b:c@d", "RL2a@b:c@d", "RL3a@b:c@d"]
    {
        let plain = Message::decode(message.as_bytes()).expect("a message");
        assert_eq!(extension(plain).text(), None);
        for bytes in extensions {
            let datagram = [message.as_bytes(), bytes].concat();
            let shown = datagram.escape_ascii();
            if datagram.len() > MAX_MESSAGE {
                assert_eq!(
                    reason(&datagram),
                    (DecodeReason::TooLong { length: datagram.len() }, 100),
                    "{shown}"
                );
                continue;
            }
            let extended = Message::decode(&datagram).expect("a message");
            assert_eq!(*extended.encode(), *datagram, "{shown}");
            assert_eq!(extension(extended).as_bytes(), bytes, "{shown}");
            assert_eq!(extension(extended).text(), Some(&bytes[1..]), "{shown}");
            assert_eq!(extended.without_extension(), plain, "{shown}");
        }
    }
}

/// The last byte of these is another code, which deployed agents take for the code.
#[test]
fn the_code_of_an_answer_is_its_third_byte() {
    for (datagram, message) in [
        ("RR1:0", registered(RegisterCode::NoSuchUser)),
        ("RR0:1", registered(RegisterCode::Registered)),
        ("RD1:", deregistered(DeregisterCode::NoSuchUser)),
        ("RD0:1", deregistered(DeregisterCode::Deregistered)),
    ] {
        let decoded = Message::decode(datagram.as_bytes()).expect("a message");
        assert_eq!(decoded.without_extension(), message, "{datagram}");
    }
}

#[test]
fn an_extension_that_has_no_room_is_left_out_as_a_whole() {
    let text = [b'T'; MAX_EXTENSION];
    let longest = Extension::new(&text).expect("it fits");
    assert_eq!(Extension::new(&[b'T'; MAX_EXTENSION + 1]), None);
    let code = RegisterCode::NoSuchUser;
    assert_eq!(Message::RegisterReply { code, extension: longest }.encode().len(), MAX_MESSAGE);

    let locate = locate("laura@bb.com", "joya@cc.com");
    let with = |ip, length| {
        let extension = Extension::new(&text[..length]).expect("it fits");
        Message::LocateReply { locate, outcome: found(ip, 4456), extension }.encode()
    };
    assert_eq!(with([0, 0, 0, 0], 59).len(), MAX_MESSAGE);
    assert_eq!(&*with([0, 0, 0, 0], 60), b"RL0laura@bb.com:joya@cc.com:0.0.0.0:4456");
    assert_eq!(&*with([192, 168, 100, 200], 59), b"RL0laura@bb.com:joya@cc.com:192.168.100.200:4456");
}

#[test]
fn requests_of_a_bare_user_and_locations_have_no_extensions() {
    for (datagram, at) in
        [("PRa:T", 3), ("PDa:", 3), ("PRa:A.........................", 3), ("PLa@b:c@d:T", 9)]
    {
        assert_eq!(reason(datagram.as_bytes()), (DecodeReason::TooMuch, at), "{datagram}");
    }
}

/// Too short, too long, or padded with something else: an extension like any other.
#[test]
fn an_extension_of_a_request_that_means_nothing_is_ignored() {
    let laura = Registrant::Address(address("laura@bb.com"));
    for extension in [
        "",
        "T",
        "A",
        "A.",
        "A...............",
        "A................x",
        "A..................",
        "a................",
        ":A",
        "\u{0}",
    ] {
        let (register, deregister) =
            (format!("PRlaura@bb.com:{extension}"), format!("PDlaura@bb.com:{extension}"));
        assert_eq!(Message::decode(register.as_bytes()), Ok(Message::Register(laura)), "{register}");
        assert_eq!(Message::decode(deregister.as_bytes()), Ok(Message::Deregister(laura)), "{deregister}");
    }
    let enrol = "PDlaura@bb.com:EAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v";
    assert_eq!(Message::decode(enrol.as_bytes()), Ok(Message::Deregister(laura)));
    assert_eq!(Message::decode(b"PRlaura@bb.com:\xff"), Ok(Message::Register(laura)));
}

/// The fields are the bytes 0, 1, 2, … in base64url.
#[test]
fn proofs_and_what_belongs_to_them_are_read_and_written() {
    let laura = address("laura@bb.com");
    let nonce = Nonce::new(counted(0));
    let seen = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 5000);
    let challenge = Challenge { nonce, seen };
    let key = KeyAndMac { key: counted(0), mac: counted(100) };
    let proof = Proof {
        verb: Verb::Register,
        hint: nonce.hint(),
        handle: [171, 205, 239, 1, 35, 69],
        signature: counted(0),
    };
    let extension = challenge.extension();
    for (bytes, message) in [
        (
            "PRlaura@bb.com:A................",
            Message::RequestChallenge { verb: Verb::Register, address: laura },
        ),
        (
            "PDlaura@bb.com:A................",
            Message::RequestChallenge { verb: Verb::Deregister, address: laura },
        ),
        (
            "RR1:AAECAwQFBgcICQoLxjNkBxOI1",
            Message::RegisterReply { code: RegisterCode::NoSuchUser, extension },
        ),
        (
            "RD1:AAECAwQFBgcICQoLxjNkBxOI1",
            Message::DeregisterReply { code: DeregisterCode::NoSuchUser, extension },
        ),
        (
            "PKRAq83vASNFAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw",
            Message::Prove(proof),
        ),
        (
            "PRlaura@bb.com:EAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v",
            Message::Enrol { address: laura, key },
        ),
        (
            "RR0:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v",
            Message::RegisterReply { code: RegisterCode::Registered, extension: key.extension() },
        ),
    ] {
        assert_eq!(Message::decode(bytes.as_bytes()), Ok(message), "{bytes}");
        assert_eq!(&*message.encode(), bytes.as_bytes());
    }
    assert_eq!((&challenge.nonce.text(), &challenge.seen_text()), (b"AAECAwQFBgcICQoL", b"xjNkBxOI"));
    assert_eq!(key.key_text().as_slice(), b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
}

/// Every length of an address has its own padding, and no message is longer than any may be.
#[test]
fn requests_for_a_challenge_have_32_bytes_or_no_padding() {
    let key = KeyAndMac { key: [0xff; 32], mac: [0xff; 12] };
    for length in 3..=36 {
        let address = address(&format!("{}@b", "l".repeat(length - 2)));
        for verb in [Verb::Register, Verb::Deregister] {
            let bytes = Message::RequestChallenge { verb, address }.encode();
            assert_eq!(bytes.len(), 32.max(length + 4), "{bytes:?}");
            assert_eq!(Message::decode(&bytes), Ok(Message::RequestChallenge { verb, address }));
            let longer = [&*bytes, b"."].concat();
            let (shorter, last) = bytes.split_at(bytes.len() - 1);
            for other in [&longer, shorter] {
                let plain = Message::decode(other).expect("a message");
                assert!(matches!(plain, Message::Register(_) | Message::Deregister(_)), "{plain:?}");
            }
            assert!(last == b"." || length >= 28, "{bytes:?}");
        }
        assert_eq!(Message::Enrol { address, key }.encode().len(), 64 + length);
    }
}

#[test]
fn an_answer_with_another_extension_is_no_challenge_and_no_enrolment() {
    for bytes in [
        "RR1",
        "RR1:challenge1",
        "RR0:AAECAwQFBgcICQoLxjNkBxOI1",
        "RR1:AAECAwQFBgcICQoLxjNkBxOI0",
        "RR1:AAECAwQFBgcICQoLxjNkBxOI",
        "RR1:AAECAwQFBgcICQoLxjNkBxO=1",
        "RR1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v",
        "RR0:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5vx",
        "RD0:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v",
    ] {
        let message = Message::decode(bytes.as_bytes()).expect("a message");
        assert_eq!((message.challenge(), message.enrolled()), (None, None), "{bytes}");
        assert_eq!(&*message.encode(), bytes.as_bytes());
    }
}

/// A program that understands no extension treats each as the plain request.
#[test]
fn without_its_extension_a_request_is_a_plain_one() {
    for (bytes, plain) in [
        ("PRlaura@bb.com:A................", "PRlaura@bb.com"),
        ("PDlaura@bb.com:A................", "PDlaura@bb.com"),
        ("PRlaura@bb.com:EAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v", "PRlaura@bb.com"),
    ] {
        let message = Message::decode(bytes.as_bytes()).expect("a message");
        assert_eq!(Ok(message.without_extension()), Message::decode(plain.as_bytes()));
    }
}

#[test]
fn an_extension_prints_as_it_is_sent() {
    let extension = Extension::new(b"T\xff,").expect("it fits");
    assert_eq!(format!("{extension:?}"), r#"":T\xff,""#);
}

#[test]
fn the_longest_messages_fit() {
    let long = format!("{}@{}", "u".repeat(17), "d".repeat(18));
    assert_eq!(long.len(), 36);
    let longest = format!("RL0{long}:{long}:255.255.255.255:65535");
    assert_eq!(longest.len(), 98);
    let message = Message::decode(longest.as_bytes()).expect("a message");
    assert_eq!(&*message.encode(), longest.as_bytes());
}

#[test]
fn what_is_no_message_says_what_is_wrong_and_where() {
    for &(datagram, expected) in NO_MESSAGES {
        assert_eq!(reason(datagram), expected, "{}", datagram.escape_ascii());
    }
    let error = Message::decode(b"PLlaura@bb.com:joya").expect_err("no message").to_string();
    assert_eq!(
        error, "not a PLUMI message: an address is user@domain, and there is no '@' (at byte 16)",
        "from 1"
    );
}

#[test]
fn an_address_has_36_bytes_at_most() {
    let longest = format!("{}@bb.com", "l".repeat(29));
    assert_eq!(longest.parse::<MiAddress>().expect("36 bytes").as_str(), longest);
    let too_long = format!("{}@bb.com", "l".repeat(30));
    assert_eq!(too_long.parse::<MiAddress>(), Err(AddressError::TooLong { length: 37 }));
    // Bytes count, not characters.
    let accents = format!("{}@bb.com", "ü".repeat(15));
    assert_eq!(accents.parse::<MiAddress>(), Err(AddressError::TooLong { length: 37 }));
    let user = UserName::new(&"l".repeat(30)).expect("a name");
    let domain = Domain::new("bb.com").expect("a domain");
    assert_eq!(MiAddress::new(&user, &domain), Err(AddressError::TooLong { length: 37 }));
    assert_eq!(address("laura@bb.com").user().as_str(), "laura");
    assert_eq!(address("laura@bb.com").domain().as_str(), "bb.com");
}

#[test]
fn user_names_are_printable_ascii_and_letters_of_any_script() {
    for good in ["laura", "L", "!#$%&'*+/=?^_`{|}~.", "josé", "Ψυχή", "名前", "٣"] {
        assert_eq!(UserName::new(good).expect("a name").as_str(), good);
    }
    for (bad, character, at) in [
        ("la:ura", ':', 2),
        ("@", '@', 0),
        ("a b", ' ', 1),
        ("\u{301}e", '\u{301}', 0),
        ("a\u{202e}", '\u{202e}', 1),
        ("a😀", '😀', 1),
        ("a\u{7f}", '\u{7f}', 1),
    ] {
        assert_eq!(UserName::new(bad), Err(forbidden(character, at)), "{bad:?}");
    }
    assert_eq!(UserName::new("é\u{301}"), Err(NameError::Decomposed { at: 2 }));
    let told = AddressError::User(NameError::Decomposed { at: 4 }).to_string();
    assert_eq!("jose\u{301}@bb.com".parse::<MiAddress>().map_err(|error| error.to_string()), Err(told));
    assert_ne!(UserName::new("Laura"), UserName::new("laura"), "case matters");
}

#[test]
fn domains_are_equal_whatever_their_case_and_trailing_dot() {
    let domain = |name| Domain::new(name).expect("a domain");
    assert_eq!(domain("bb.com"), domain("BB.Com."));
    assert_ne!(domain("bb.com"), domain("bb.co"));
    assert_eq!(domain("BB.Com.").as_str(), "BB.Com.", "it is sent on as it came");
    let set = std::collections::HashSet::from([domain("PC-c")]);
    assert!(set.contains(&domain("pc-C.")));
    assert_eq!(address("laura@bb.com"), address("laura@BB.COM."));
    assert_ne!(address("laura@bb.com"), address("Laura@bb.com"));

    for good in ["localhost", "PC-c", "10.100.100.103", "a_b.cat", "xn--bcher-kva.example"] {
        assert_eq!(domain(good).as_str(), good);
    }
    assert_eq!(Domain::new("bücher.example"), Err(forbidden('ü', 1)));
    assert_eq!(Domain::new("a..b"), Err(NameError::Label { at: 2 }));
    assert_eq!(Domain::new(".a"), Err(NameError::Label { at: 0 }));
    assert_eq!(Domain::new("."), Err(NameError::Label { at: 0 }));
    assert_eq!(Domain::new("a.."), Err(NameError::Label { at: 2 }));
    assert_eq!(Domain::new(&"d".repeat(35)), Err(NameError::TooLong { length: 35 }));
}

/// People count bytes from 1, as lines.
#[test]
fn what_is_no_address_says_at_which_byte() {
    for (text, expected) in [
        ("jo:ya@cc.com", "the user name has ':' at byte 3, which may not stand there"),
        (
            "jose\u{301}@cc.com",
            "the user name has a letter whose accent is a character of its own at byte 5; write both as one, composed",
        ),
        ("joya@c c.com", "the domain has ' ' at byte 2, which may not stand there"),
        ("joya@cc..com", "the domain has two dots in a row at byte 3"),
        ("joya@cc.com..", "the domain has two dots in a row at byte 7"),
        ("joya@.com", "the domain begins with a dot"),
        ("joya@.", "the domain begins with a dot"),
        ("joya@cc@com", "an address is user@domain, and there is a second '@' at byte 8"),
    ] {
        assert_eq!(text.parse::<MiAddress>().expect_err("no address").to_string(), expected, "{text:?}");
    }
}

#[test]
fn a_socket_address_has_a_port() {
    assert_eq!(MiSocketAddress::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)), None);
    let socket = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4456);
    assert_eq!(MiSocketAddress::new(socket).map(SocketAddrV4::from), Some(socket));
}

/// Equal values have equal hashes. Tables also need that other values have other hashes.
#[test]
fn hashes_differ_where_values_do() {
    fn hash(value: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }
    let user = |name| hash(UserName::new(name).expect("a name"));
    assert_ne!(user("laura"), user("Laura"));
    let domain = |name| hash(Domain::new(name).expect("a domain"));
    assert_eq!(domain("bb.com"), domain("BB.Com."));
    assert_ne!(domain("bb.com"), domain("cc.com"));
    assert_eq!(hash(address("laura@bb.com")), hash(address("laura@BB.COM.")));
    assert_ne!(hash(address("laura@bb.com")), hash(address("laura@cc.com")));
    assert_ne!(hash(address("laura@bb.com")), hash(address("joya@bb.com")));
}

#[test]
fn user_names_are_in_the_order_of_their_bytes() {
    let mut names = ["pere", "ñ", "Pere", "laura"].map(|name| UserName::new(name).expect("a name"));
    names.sort();
    assert_eq!(names.map(|name| name.to_string()), ["Pere", "laura", "pere", "ñ"]);
    assert!(names[0] < names[1]);
}

#[test]
fn values_print_as_they_are_written() {
    let (laura, domain) = (address("laura@BB.com"), Domain::new("BB.com").expect("a domain"));
    assert_eq!(
        format!("{laura} {laura:?} {:>6} {:?}", laura.user(), laura.user()),
        r#"laura@BB.com "laura@BB.com"  laura "laura""#
    );
    assert_eq!(format!("{domain} {domain:?}"), r#"BB.com "BB.com""#);
    let (full, short) = (Registrant::Address(laura), Registrant::User(laura.user()));
    assert_eq!(format!("{full} {short}"), "laura@BB.com laura");
    let LocateOutcome::Found(socket) = found([10, 0, 0, 1], 4456) else { unreachable!() };
    assert_eq!(socket.to_string(), "10.0.0.1:4456");
    assert_eq!(format!("{:?}", Message::Register(short).encode()), r#""PRlaura""#);
}

/// The bytes `from`, `from` + 1, …
fn counted<const N: usize>(from: u8) -> [u8; N] {
    let mut next = from..;
    std::array::from_fn(|_| next.next().expect("few"))
}

fn address(text: &str) -> MiAddress {
    text.parse().expect("an address")
}

fn locate(from: &str, to: &str) -> Locate {
    Locate { from: address(from), to: address(to) }
}

fn registered(code: RegisterCode) -> Message {
    Message::RegisterReply { code, extension: Extension::NONE }
}

fn deregistered(code: DeregisterCode) -> Message {
    Message::DeregisterReply { code, extension: Extension::NONE }
}

fn located(locate: Locate, outcome: LocateOutcome) -> Message {
    Message::LocateReply { locate, outcome, extension: Extension::NONE }
}

fn extension(message: Message) -> Extension {
    match message {
        Message::RegisterReply { extension, .. }
        | Message::DeregisterReply { extension, .. }
        | Message::LocateReply { extension, .. } => extension,
        _ => panic!("a request has no extension"),
    }
}

fn found(ip: [u8; 4], port: u16) -> LocateOutcome {
    let socket = SocketAddrV4::new(ip.into(), port);
    LocateOutcome::Found(MiSocketAddress::new(socket).expect("a port"))
}

fn reason(datagram: &[u8]) -> (DecodeReason, usize) {
    let error = Message::decode(datagram).expect_err("no message");
    (error.reason, error.at)
}
