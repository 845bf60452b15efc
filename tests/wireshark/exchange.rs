//! The captured exchange of protocol.md §8, as Wireshark shows it.

use crate::capture::{Capture, Connection, Side};
use crate::tshark::{Packet, Tshark, flag_names};

const U1: &str = "10.100.100.101:51189";
const U2: &str = "10.100.100.102:43545";
const PC_C: &str = "10.100.100.103:3344";
const PC_D: &str = "10.100.100.104:3344";

/// All that is said, from start to end; what TCP does besides is left out.
const SENTENCES: [&str; 21] = [
    "1 .101 → .103 PLUMI u1@PC-c registers",
    "2 .103 → .101 PLUMI u1@PC-c is registered",
    "3 .102 → .104 PLUMI u2@PC-d registers",
    "4 .104 → .102 PLUMI u2@PC-d is registered",
    "5 .101 → .103 PLUMI u1@PC-c asks where u2@PC-d is",
    "6 .103 → .104 PLUMI u1@PC-c asks where u2@PC-d is (sent on)",
    "7 .104 → .102 PLUMI u1@PC-c asks where u2@PC-d is (sent on)",
    "8 .102 → .104 PLUMI u2@PC-d is at 10.100.100.102, TCP port 43038",
    "9 .104 → .103 PLUMI u2@PC-d is at 10.100.100.102, TCP port 43038 (sent on)",
    "10 .103 → .101 PLUMI u2@PC-d is at 10.100.100.102, TCP port 43038 (sent on)",
    "14 .101 → .102 PMI u1 calls",
    "15 .102 → .101 PMI u2 takes the call",
    "16 .101 → .102 PMI u1 says: Hola u2!",
    "17 .102 → .101 PMI u2 says: Hola! Que tal?",
    "18 .101 → .102 PMI u1 says: Be, haig de marxar, adeu",
    "19 .101 → .102 PMI u1 ends the conversation",
    "20 .102 → .101 PMI u2 ends it, too",
    "21 .101 → .103 PLUMI u1@PC-c deregisters",
    "22 .103 → .101 PLUMI u1@PC-c is deregistered",
    "23 .102 → .104 PLUMI u2@PC-d deregisters",
    "24 .104 → .102 PLUMI u2@PC-d is deregistered",
];

#[test]
fn the_captured_exchange_is_told_in_sentences() {
    let Some(tshark) = Tshark::find() else { return };
    let fields = ["ip.src", "ip.dst"];
    let flags = flag_names();
    let packets = tshark.read(&exchange(), &[&fields[..], &flags].concat());
    let told = packets.iter().filter(|packet| &packet["_ws.col.Protocol"] != "TCP").map(|packet| {
        let [from, to] =
            fields.map(|field| packet[field].strip_prefix("10.100.100").expect("one of the four"));
        format!("{} {from} → {to} {} {}", &packet["frame.number"], &packet["_ws.col.Protocol"], packet.info())
    });
    assert_eq!(told.collect::<Vec<_>>(), SENTENCES);
    for packet in packets {
        for &flag in &flags {
            assert_eq!(&packet[flag], "", "{flag}: {}", packet.info());
        }
    }
}

#[test]
fn questions_answers_hops_and_the_conversation_lead_to_each_other() {
    let Some(tshark) = Tshark::find() else { return };
    let links = [
        "plumi.request_in",
        "plumi.response_in",
        "plumi.location",
        "plumi.hop",
        "plumi.previous_hop",
        "plumi.next_hop",
        "plumi.conversation_in",
    ];
    let packets = tshark.read(
        &exchange(),
        &[
            &links[..],
            &["plumi.response_time", "plumi.about", "pmi.announced_in", "pmi.caller", "pmi.callee"],
        ]
        .concat(),
    );
    let links_of = |packet: &Packet| links.map(|link| packet[link].to_owned());
    let rows: Vec<_> = packets[..10].iter().map(links_of).collect();
    #[rustfmt::skip]
    assert_eq!(
        rows,
        [
            // request, response, location, hop, previous, next, conversation
            ["",  "2",  "",  "",  "",  "",   ""],
            ["1", "",   "",  "",  "",  "",   ""],
            ["",  "4",  "",  "",  "",  "",   ""],
            ["3", "",   "",  "",  "",  "",   ""],
            ["",  "10", "1", "1", "",  "6",  ""],
            ["",  "9",  "1", "2", "5", "7",  ""],
            ["",  "8",  "1", "3", "6", "",   ""],
            ["7", "",   "1", "3", "",  "9",  ""],
            ["6", "",   "1", "2", "8", "10", ""],
            ["5", "",   "1", "1", "9", "",   "11"],
        ]
    );
    let times: Vec<_> = [2, 8, 9, 10].map(|number| &packets[number - 1]["plumi.response_time"]).into();
    assert_eq!(times, ["0.010000000", "0.010000000", "0.030000000", "0.050000000"]);
    // An RR and an RD name nobody; their user is known all the same.
    assert_eq!(&packets[1]["plumi.about"], "u1@PC-c");
    assert_eq!(&packets[4]["plumi.about"], "u1@PC-c|u2@PC-d");
    for packet in &packets[13..18] {
        let conversation = ["pmi.announced_in", "pmi.caller", "pmi.callee"].map(|field| &packet[field]);
        assert_eq!(conversation, ["10", "u1@PC-c", "u2@PC-d"], "{}", packet.info());
    }
}

fn exchange() -> Capture {
    let mut capture = Capture::new();
    for (agent, node, register) in [(U1, PC_C, "PRu1@PC-c"), (U2, PC_D, "PRu2@PC-d")] {
        capture.udp(agent, node, register.as_bytes());
        capture.udp(node, agent, b"RR0");
    }
    let way = [(U1, PC_C), (PC_C, PC_D), (PC_D, U2)];
    for (from, to) in way {
        capture.udp(from, to, b"PLu1@PC-c:u2@PC-d");
    }
    for (to, from) in way.into_iter().rev() {
        capture.udp(from, to, b"RL0u1@PC-c:u2@PC-d:10.100.100.102:43038");
    }
    let mut talk = Connection::open(&mut capture, "10.100.100.101:51875", "10.100.100.102:43038");
    for (side, frame) in [
        (Side::Caller, "N02u1"),
        (Side::Callee, "N02u2"),
        (Side::Caller, "L08Hola u2!"),
        (Side::Callee, "L14Hola! Que tal?"),
        (Side::Caller, "L24Be, haig de marxar, adeu"),
    ] {
        talk.say(&mut capture, side, frame.as_bytes());
    }
    talk.finish(&mut capture, Side::Caller);
    talk.finish(&mut capture, Side::Callee);
    for (agent, node, deregister) in [(U1, PC_C, "PDu1@PC-c"), (U2, PC_D, "PDu2@PC-d")] {
        capture.udp(agent, node, deregister.as_bytes());
        capture.udp(node, agent, b"RD0");
    }
    capture
}
