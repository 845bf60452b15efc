//! Reading and writing a message allocates nothing. A file of its own: what is counted is this thread's.

use plumi_proto::Message;

#[test]
fn no_message_is_allocated_for() {
    for bytes in [
        &b"PRlaura@bb.com"[..],
        b"PRlaura",
        b"RR0",
        b"PDlaura@bb.com",
        b"RD1",
        b"PLlaura@bb.com:joya@cc.com",
        b"RL0laura@bb.com:joya@cc.com:84.88.154.3:4456",
        b"RL1laura@bb.com:joya@cc.com:84.88.154.3:4456",
        b"RR1:more1",
        b"PRlaura@bb.com:A................",
        b"RR1:AAECAwQFBgcICQoLxjNkBxOI1",
        b"PKRAq83vASNFAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw",
        b"PRlaura@bb.com:EAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:ZGVmZ2hpamtsbW5v",
        b"PLlaura@bb.com:joya",
        b"garbage",
    ] {
        let info = allocation_counter::measure(|| {
            if let Ok(message) = Message::decode(bytes) {
                assert!(*bytes == *message.encode());
            }
        });
        assert_eq!(info.count_total, 0, "{}", bytes.escape_ascii());
    }
}
