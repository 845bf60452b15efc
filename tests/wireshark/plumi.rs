//! PLUMI messages one by one: what Wireshark shows of each, and what it flags.

use plumi_proto::{AddressError, DecodeReason, Message, NameError};

use crate::capture::Capture;
use crate::messages::MESSAGES;
use crate::no_messages::NO_MESSAGES;
use crate::tshark::Tshark;
use crate::{LAURA, NODE};

const PROOF: &str =
    "PKRAq83vASNFAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";

/// Every kind and code, in the words of the list of packets, and its fields.
#[test]
fn every_kind_is_a_sentence_and_fields() {
    let Some(tshark) = Tshark::find() else { return };
    let fields = [
        "plumi.type",
        "plumi.code",
        "plumi.address",
        "plumi.user",
        "plumi.from",
        "plumi.to",
        "plumi.ip",
        "plumi.port",
        "plumi.extension",
    ];
    let (laura, joya) = ("laura@bb.com", "joya@cc.com");
    #[rustfmt::skip]
    let expected = [
        ("PRlaura@bb.com", "laura@bb.com registers", ["PR", "", laura, "", "", "", "", "", ""]),
        ("PRlaura", "laura registers", ["PR", "", "", "laura", "", "", "", "", ""]),
        ("RR0", "the user is registered", ["RR", "0", "", "", "", "", "", "", ""]),
        ("RR1", "the user is not registered: no such user, or not from there", ["RR", "1", "", "", "", "", "", "", ""]),
        ("PDlaura@bb.com", "laura@bb.com deregisters", ["PD", "", laura, "", "", "", "", "", ""]),
        ("PDlaura", "laura deregisters", ["PD", "", "", "laura", "", "", "", "", ""]),
        ("RD0", "the user is deregistered", ["RD", "0", "", "", "", "", "", "", ""]),
        ("RD1", "the user is not deregistered: no such user, or not from there", ["RD", "1", "", "", "", "", "", "", ""]),
        ("PLlaura@bb.com:joya@cc.com", "laura@bb.com asks where joya@cc.com is", ["PL", "", "", "", laura, joya, "", "", ""]),
        ("RL0laura@bb.com:joya@cc.com:10.0.0.1:4456", "joya@cc.com is at 10.0.0.1, TCP port 4456",
            ["RL", "0", "", "", laura, joya, "10.0.0.1", "4456", ""]),
        ("RL0laura@bb.com:joya@cc.com:10.0.0.1:4456:T:x", "joya@cc.com is at 10.0.0.1, TCP port 4456, offers TLS (extension: T:x)",
            ["RL", "0", "", "", laura, joya, "10.0.0.1", "4456", "T:x"]),
        ("RL0laura@bb.com:joya@cc.com:10.0.0.1:4456:T", "joya@cc.com is at 10.0.0.1, TCP port 4456, offers TLS",
            ["RL", "0", "", "", laura, joya, "10.0.0.1", "4456", "T"]),
        ("RL0laura@bb.com:joya@cc.com:10.0.0.1:4456:x:T", "joya@cc.com is at 10.0.0.1, TCP port 4456 (extension: x:T)",
            ["RL", "0", "", "", laura, joya, "10.0.0.1", "4456", "x:T"]),
        ("RL3laura@bb.com:joya@cc.com:T", "joya@cc.com is offline (extension: T)",
            ["RL", "3", "", "", laura, joya, "", "", "T"]),
        ("RL1laura@bb.com:joya@cc.com:\n", r"joya@cc.com is busy, in a conversation (extension: \x0a)",
            ["RL", "1", "", "", laura, joya, "", "", r"\x0a"]),
        ("RR1:x1", "the user is not registered: no such user, or not from there (extension: x1)",
            ["RR", "1", "", "", "", "", "", "", "x1"]),
        ("RD0:", "the user is deregistered (extension: )", ["RD", "0", "", "", "", "", "", "", ""]),
        ("RL1laura@bb.com:joya@cc.com", "joya@cc.com is busy, in a conversation", ["RL", "1", "", "", laura, joya, "", "", ""]),
        ("RL2laura@bb.com:joya@cc.com", "joya@cc.com is not to be found: no such user or domain",
            ["RL", "2", "", "", laura, joya, "", "", ""]),
        ("RL3laura@bb.com:joya@cc.com", "joya@cc.com is offline", ["RL", "3", "", "", laura, joya, "", "", ""]),
        ("PRlaura@bb.com:A................", "laura@bb.com registers, asks for a challenge",
            ["PR", "", laura, "", "", "", "", "", "A................"]),
        ("PDlaura@bb.com:A................", "laura@bb.com deregisters, asks for a challenge",
            ["PD", "", laura, "", "", "", "", "", "A................"]),
        ("PRlaura@bb.com:x1", "laura@bb.com registers", ["PR", "", laura, "", "", "", "", "", "x1"]),
        ("RR1:AAECAwQFBgcICQoLxjNkBxOI1", "the user is not registered yet: prove it (seen at 198.51.100.7:5000)",
            ["RR", "1", "", "", "", "", "", "", "AAECAwQFBgcICQoLxjNkBxOI1"]),
        (PROOF, "proof of ?, to register", ["PK", "", "", "", "", "", "", "", ""]),
        ("PRlaura@bb.com:EAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v",
            "laura@bb.com enrols a key, by an invitation",
            ["PR", "", laura, "", "", "", "", "", "EAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v"]),
        ("RR0:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v",
            "the user is enrolled: the node has taken the key, and knows the invitation",
            ["RR", "0", "", "", "", "", "", "", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v"]),
    ];
    let mut capture = Capture::new();
    for (port, (message, ..)) in (4000..).zip(expected) {
        // Each by itself.
        let agent = format!("10.0.0.1:{port}");
        let ends = if message.starts_with('P') { [&agent, NODE] } else { [NODE, &agent] };
        capture.udp(ends[0], ends[1], message.as_bytes());
    }
    let packets = tshark.read(&capture, &fields);
    for (packet, (message, info, values)) in packets.iter().zip(expected) {
        assert_eq!(packet.info(), info, "{message}");
        assert_eq!(fields.map(|field| &packet[field]), values, "{message}");
        assert_eq!(&packet["_ws.col.Protocol"], "PLUMI");
    }
    assert_eq!(packets.len(), expected.len());
}

/// A proof names nobody. It is of the user in the last request for a challenge from the same socket.
#[test]
fn a_proof_is_of_the_user_who_asked_for_a_challenge() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    let challenge = b"RR1:AAECAwQFBgcICQoLxjNkBxOI1";
    let elsewhere = "10.0.0.9:5000";
    capture.udp(LAURA, NODE, b"PRpere@bb.com:A.................");
    capture.udp(LAURA, NODE, b"PRlaura@bb.com:A................");
    capture.udp(NODE, LAURA, challenge);
    capture.udp(LAURA, NODE, PROOF.as_bytes());
    capture.udp(NODE, LAURA, b"RR0");
    capture.udp(elsewhere, NODE, PROOF.as_bytes());
    let fields =
        ["plumi.about", "plumi.nonce", "plumi.seen", "plumi.verb", "plumi.handle", "plumi.request_in"];
    let packets = tshark.read(&capture, &fields);
    let infos: Vec<_> = packets.iter().map(super::tshark::Packet::info).collect();
    assert_eq!(
        infos[2..],
        [
            "laura@bb.com is not registered yet: prove it (seen at 198.51.100.7:5000)",
            "proof of laura@bb.com, to register",
            "laura@bb.com is registered",
            "proof of ?, to register",
        ]
    );
    let values = |at: usize| fields.map(|field| packets[at][field].to_owned());
    assert_eq!(values(2), ["laura@bb.com", "AAECAwQFBgcICQoL", "198.51.100.7:5000", "", "", "2"]);
    assert_eq!(values(3), ["laura@bb.com", "", "", "R", "q83vASNF", ""]);
    assert_eq!(values(4)[5], "4");
}

/// The samples of plumi-proto, and everything that differs in one byte from a message: what is no message is
/// flagged, in the words of plumi-proto, and nothing else is.
#[test]
fn what_is_no_message_is_flagged_as_plumi_proto_says() {
    let Some(tshark) = Tshark::find() else { return };
    let mut datagrams: Vec<_> = NO_MESSAGES.iter().map(|(datagram, _)| datagram.to_vec()).collect();
    for message in MESSAGES {
        datagrams.extend((0..=message.len()).map(|end| message[..end].to_vec()));
        for at in 0..message.len() {
            // Bytes that mean something somewhere, and what begins, continues or is no character.
            for &byte in b"\0\n '\\+.0:@R\x80\xc2\xed\xff" {
                let mut changed = message.to_vec();
                changed[at] = byte;
                datagrams.push(changed);
                let mut longer = message.to_vec();
                longer.insert(at, byte);
                datagrams.push(longer);
            }
            let mut shorter = message.to_vec();
            shorter.remove(at);
            datagrams.push(shorter);
        }
    }
    let mut capture = Capture::new();
    for datagram in &datagrams {
        capture.udp(LAURA, NODE, datagram);
    }
    let packets = tshark.read_once(&capture, &["plumi.malformed"]);
    assert_eq!(packets.len(), datagrams.len());
    let mut refused = 0;
    for (packet, datagram) in packets.iter().zip(&datagrams) {
        let shown = datagram.escape_ascii();
        match Message::decode(datagram) {
            Ok(_) => assert_eq!(&packet["plumi.malformed"], "", "{shown}"),
            // Wireshark knows many of these, but not all.
            Err(error) if has_odd_character(error.reason) && packet["plumi.malformed"].is_empty() => {
                assert!(!NO_MESSAGES.iter().any(|(sample, _)| sample == datagram), "{shown}");
            }
            Err(error) => {
                refused += 1;
                let error = escape_non_ascii(&error.to_string());
                assert_eq!(packet.info(), error, "{shown}");
                let upper = error.replacen('n', "N", 1);
                assert!(packet.flags().contains(&("error", &upper)), "{shown}: {:?}", packet.flags());
            }
        }
    }
    assert!(refused > 10_000, "only {refused} of {} are no messages", packets.len());
}

/// A letter or a digit of any script is none too few for a name.
#[test]
fn no_letter_is_taken_for_something_else() {
    let Some(tshark) = Tshark::find() else { return };
    let letters: Vec<_> = ('\u{80}'..=char::MAX).filter(|character| character.is_alphanumeric()).collect();
    let mut capture = Capture::new();
    let names: Vec<_> = letters.chunks(8).map(String::from_iter).collect();
    for name in &names {
        capture.udp(LAURA, NODE, format!("PR{name}").as_bytes());
    }
    let packets = tshark.read_once(&capture, &["plumi.malformed"]);
    assert_eq!(packets.len(), names.len());
    for (packet, name) in packets.iter().zip(names) {
        assert_eq!(&packet["plumi.malformed"], "", "{}", name.escape_unicode());
    }
}

#[test]
fn symbols_and_marks_are_not_taken_for_letters() {
    let Some(tshark) = Tshark::find() else { return };
    let odd = ["e\u{301}", "a\u{202e}", "a😀", "a\u{a0}", "a€", "a×", "a\u{e000}", "a\u{200b}", "a→"];
    let mut capture = Capture::new();
    for name in odd {
        capture.udp(LAURA, NODE, format!("PR{name}@bb.com").as_bytes());
    }
    for (packet, name) in tshark.read(&capture, &[]).iter().zip(odd) {
        let error =
            Message::decode(format!("PR{name}@bb.com").as_bytes()).expect_err("no message").to_string();
        assert_eq!(packet.info(), escape_non_ascii(&error));
    }
}

#[test]
fn odd_forms_of_deployed_programs_are_explained() {
    let Some(tshark) = Tshark::find() else { return };
    let other_node = "10.0.0.4:3344";
    let cases = [
        (LAURA, NODE, "PRlaura", ("note", "A user without a domain")),
        (LAURA, NODE, "PDlaura", ("note", "A user without a domain")),
        (LAURA, NODE, "RL1a@b:c@d:10.0.0.1:4456", ("note", "An address behind the names of an RL1")),
        (LAURA, NODE, "RL0a@b:c@d:0.0.0.0:4456", ("note", "The agent does not know its own address")),
        (NODE, other_node, "RL0a@b:c@d:0.0.0.0:4456", ("warning", "Nobody can be called at this address")),
        (NODE, LAURA, "RL0a@b:c@d:0.1.2.3:4456", ("warning", "Nobody can be called at this address")),
        (NODE, LAURA, "RL0a@b:c@d:224.0.0.1:4456", ("warning", "Nobody can be called at this address")),
        (NODE, LAURA, "RR1:x", ("warning", "Deployed agents take the last byte for the code")),
        (NODE, LAURA, "RD0:11", ("warning", "Deployed agents take the last byte for the code")),
        (NODE, LAURA, "RL0a@b:c@d:255.255.255.255:4456", ("warning", "Nobody can be called at this address")),
    ];
    let mut capture = Capture::new();
    for (from, to, message, _) in cases {
        capture.udp(from, to, message.as_bytes());
    }
    for (packet, (_, _, message, (severity, text))) in tshark.read(&capture, &[]).iter().zip(cases) {
        let flags = packet.flags();
        assert!(
            flags.iter().any(|flag| flag.0 == severity && flag.1.starts_with(text)),
            "{message}: {flags:?}"
        );
        assert!(flags.iter().all(|flag| flag.0 != "error"), "{message}: {flags:?}");
    }
}

#[test]
fn text_of_strangers_is_shown_escaped() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    // A Hangul filler is a letter, and nobody sees it.
    capture.udp(LAURA, NODE, "PRla\u{3164}ura@bb.com".as_bytes());
    capture.udp(LAURA, NODE, "PRx\u{1b}[2J\u{202e}\u{ff}@bb.com".as_bytes());
    capture.udp(LAURA, NODE, b"PR\xff\x00\x9b@bb.com");
    let packets = tshark.read(&capture, &["plumi.address", "plumi.text", "plumi.about"]);
    assert_eq!(packets[0].info(), r"la\u{3164}ura@bb.com registers");
    assert_eq!(&packets[0]["plumi.address"], r"la\u{3164}ura@bb.com");
    assert_eq!(&packets[0]["plumi.about"], r"la\u{3164}ura@bb.com");
    assert_eq!(&packets[1]["plumi.text"], r"PRx\x1b[2J\u{202e}ÿ@bb.com");
    assert_eq!(&packets[2]["plumi.text"], r"PR\xff\x00\x9b@bb.com");
}

#[test]
fn another_port_can_be_chosen() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    capture.udp(LAURA, "10.0.0.3:5353", b"PRlaura@bb.com");
    capture.udp(LAURA, "10.0.0.3:4711", b"PRlaura@bb.com");
    let packets = tshark.read_as(&capture, &[], &["-d", "udp.port==4711,plumi"]);
    assert_ne!(&packets[0]["_ws.col.Protocol"], "PLUMI");
    assert_eq!(packets[1].info(), "laura@bb.com registers");
}

fn has_odd_character(reason: DecodeReason) -> bool {
    matches!(
        reason,
        DecodeReason::User(NameError::Forbidden { character, .. })
            | DecodeReason::Address(AddressError::User(NameError::Forbidden { character, .. }))
            if !character.is_ascii()
    )
}

/// `text` as Wireshark shows it, which knows no script.
fn escape_non_ascii(text: &str) -> String {
    let escape = |character: char| match character {
        ' '..='~' => character.to_string(),
        _ => character.escape_unicode().to_string(),
    };
    text.chars().map(escape).collect()
}

/// Installed and given by -X as well, it is run twice by some versions of Wireshark.
#[test]
fn a_dissector_that_is_there_twice_is_there_once() {
    let Some(tshark) = Tshark::find() else { return };
    tshark.install();
    let mut capture = Capture::new();
    capture.udp(LAURA, NODE, b"PRlaura@bb.com");
    let packets = tshark.read(&capture, &["plumi.type"]);
    assert_eq!((packets[0].info(), &packets[0]["plumi.type"]), ("laura@bb.com registers", "PR"));
}
