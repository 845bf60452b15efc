//! Requests that are sent again, that nobody answers, and answers that nobody asked for.

use crate::capture::Capture;
use crate::tshark::Tshark;
use crate::{LAURA, NODE};

const JOYA: &str = "10.0.0.2:5000";
const PL: &[u8] = b"PLlaura@bb.com:joya@bb.com";

/// Joya is registered, but her agent is frozen: the fifth strike takes her offline.
#[test]
fn strikes_are_seen() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    for _ in 0..4 {
        capture.udp(LAURA, NODE, PL);
        capture.udp(NODE, JOYA, PL);
        capture.wait(980);
    }
    capture.udp(LAURA, NODE, PL);
    capture.udp(NODE, LAURA, b"RL3laura@bb.com:joya@bb.com");
    let packets = tshark
        .read(&capture, &["plumi.repeats", "plumi.response_in", "plumi.response_time", "plumi.location"]);
    let told: Vec<_> = packets.iter().map(|packet| (packet.info(), &packet["plumi.repeats"])).collect();
    let asks = "laura@bb.com asks where joya@bb.com is";
    let (again, on, again_on) =
        (format!("{asks}, again"), format!("{asks} (sent on)"), format!("{asks}, again (sent on)"));
    assert_eq!(
        told,
        [
            (asks, ""),
            (&on, ""),
            (&again, "1"),
            (&again_on, "2"),
            (&again, "1"),
            (&again_on, "2"),
            (&again, "1"),
            (&again_on, "2"),
            (&again, "1"),
            ("joya@bb.com is offline", ""),
        ]
    );
    for packet in &packets {
        assert_eq!(&packet["plumi.location"], "1", "all of it is one location");
        let no_answer = &[("note", "No answer to this was captured")][..];
        let expected = if packet.info().ends_with("(sent on)") { no_answer } else { &[] };
        assert_eq!(packet.flags(), expected, "{}", packet.info());
    }
    assert_eq!(&packets[8]["plumi.response_in"], "10");
    assert_eq!(&packets[9]["plumi.response_time"], "4.010000000");
}

#[test]
fn what_is_asked_later_is_another_request() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    for answered in [true, false] {
        capture.udp(LAURA, NODE, PL);
        if answered {
            capture.udp(NODE, LAURA, b"RL1laura@bb.com:joya@bb.com");
        }
    }
    // The user gives up after 5 s, and calls again at once.
    for milliseconds in [1000, 2980, 1100] {
        capture.wait(milliseconds);
        capture.udp(LAURA, NODE, PL);
    }
    let packets = tshark.read(&capture, &["plumi.location", "plumi.repeats"]);
    let locations: Vec<_> =
        packets.iter().map(|packet| [&packet["plumi.location"], &packet["plumi.repeats"]]).collect();
    assert_eq!(locations, [["1", ""], ["1", ""], ["2", ""], ["2", "3"], ["2", "3"], ["3", ""]]);
}

#[test]
fn names_are_compared_as_nodes_do() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    capture.udp(LAURA, NODE, b"PLlaura@bb.com:joya@BB.com.");
    capture.udp(NODE, LAURA, b"RL1laura@bb.com:Joya@bb.com");
    capture.udp(NODE, LAURA, b"RL1laura@BB.COM:joya@bb.com");
    let packets = tshark.read(&capture, &["plumi.request_in"]);
    assert_eq!(&packets[1]["plumi.request_in"], "", "users have case");
    assert_eq!(&packets[2]["plumi.request_in"], "1");
}

#[test]
fn answers_that_nobody_asked_for_are_flagged() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    capture.udp(NODE, LAURA, b"RR0");
    capture.udp(LAURA, NODE, b"PRlaura@bb.com");
    capture.udp(LAURA, NODE, b"PRlaura@bb.com");
    for _ in 0..3 {
        capture.udp(NODE, LAURA, b"RR0");
    }
    capture.udp("10.0.0.66:3344", LAURA, b"RR0");
    let packets = tshark.read(&capture, &[]);
    let flags: Vec<_> = packets.iter().map(|packet| packet.flags().first().map(|flag| flag.0)).collect();
    assert_eq!(flags, [Some("note"), None, None, None, None, Some("warning"), Some("note")]);
}

/// An ICMP error quotes what it is about. It is not asked once more, and its answer is not one too many.
#[test]
fn what_an_icmp_error_quotes_was_not_sent_again() {
    let Some(tshark) = Tshark::find() else { return };
    let mut capture = Capture::new();
    capture.udp(LAURA, NODE, b"PRlaura@bb.com");
    capture.unreachable(NODE, LAURA, b"PRlaura@bb.com");
    capture.udp(NODE, LAURA, b"RR0");
    capture.udp(NODE, LAURA, b"RR0");
    capture.unreachable(NODE, LAURA, b"");
    let packets = tshark.read(&capture, &["plumi.repeats"]);
    assert_eq!(&packets[1]["plumi.repeats"], "");
    assert_eq!(&packets[1]["_ws.col.Protocol"], "ICMP");
    assert_eq!(&packets[2].flags(), &[]);
    assert_eq!(packets[3].flags()[0].0, "warning", "one request, two answers");
    assert!(!packets[4]["_ws.expert.message"].contains("PLUMI"));
}
