//! Messages as sentences, for people.

use plumi_proto::Message;

#[test]
fn each_message_is_told_in_words() {
    for (message, words) in [
        ("PRu1@PC-c", "register u1@PC-c"),
        ("PRu1", "register u1"),
        ("RR0", "registered"),
        ("RR1", "not registered: no such user, or not from there"),
        ("PDu1@PC-c", "deregister u1@PC-c"),
        ("RD0", "deregistered"),
        ("RD1", "not deregistered: no such user, or not from there"),
        ("PLu1@PC-c:u2@PC-d", "u1@PC-c asks where u2@PC-d is"),
        ("RL0u1@PC-c:u2@PC-d:10.100.100.102:43038", "u2@PC-d is at TCP 10.100.100.102:43038"),
        ("RL1u1@PC-c:u2@PC-d", "u2@PC-d is busy, in a conversation"),
        ("RL2u1@PC-c:u2@PC-d", "there is no user or domain u2@PC-d"),
        ("RL3u1@PC-c:u2@PC-d", "u2@PC-d is offline"),
        ("RR0:5", "registered (extension: 5)"),
        ("RR1:challenge1", "not registered: no such user, or not from there (extension: challenge1)"),
        ("RD0:", "deregistered (extension: )"),
        ("RL0u1@PC-c:u2@PC-d:10.0.0.2:43038:T", "u2@PC-d is at TCP 10.0.0.2:43038, offers TLS"),
        (
            "RL0u1@PC-c:u2@PC-d:10.0.0.2:43038:T:x",
            "u2@PC-d is at TCP 10.0.0.2:43038, offers TLS (extension: T:x)",
        ),
        ("RL0u1@PC-c:u2@PC-d:10.0.0.2:43038:TLS", "u2@PC-d is at TCP 10.0.0.2:43038 (extension: TLS)"),
        ("RL3u1@PC-c:u2@PC-d:T", "u2@PC-d is offline (extension: T)"),
        ("PRlaura@bb.com:A................", "register laura@bb.com, asks for a challenge"),
        ("PDlaura@bb.com:A................", "deregister laura@bb.com, asks for a challenge"),
        ("PRlaura@bb.com:A", "register laura@bb.com"),
        ("RR1:AAECAwQFBgcICQoLxjNkBxOI1", "not registered yet: prove it (seen at 198.51.100.7:5000)"),
        ("RD1:AAECAwQFBgcICQoLxjNkBxOI1", "not deregistered yet: prove it (seen at 198.51.100.7:5000)"),
        (
            "PKRAq83vASNFAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw",
            "proof of ?, to register",
        ),
        (
            "PKD_q83vASNFAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw",
            "proof of ?, to deregister",
        ),
        (
            "PRlaura@bb.com:EAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v",
            "enrol a key of laura@bb.com, by an invitation",
        ),
        (
            "RR0:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v",
            "enrolled: the node has taken the key, and knows the invitation",
        ),
        ("RL1u1@PC-c:u2@PC-d:0.0.0.0:0", "u2@PC-d is busy, in a conversation (extension: 0.0.0.0:0)"),
    ] {
        assert_eq!(Message::decode(message.as_bytes()).unwrap().in_words().to_string(), words);
    }
    let proof = Message::decode(
        b"PKRAq83vASNFAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw",
    )
    .unwrap();
    let laura = "laura@bb.com".parse().ok();
    assert_eq!(proof.in_words().of(laura).to_string(), "proof of laura@bb.com, to register");
    let words = Message::decode(b"RD0:a\xff\xfeb\xc3").unwrap().in_words().to_string();
    assert_eq!(words, "deregistered (extension: a\u{fffd}\u{fffd}b\u{fffd})");
}
