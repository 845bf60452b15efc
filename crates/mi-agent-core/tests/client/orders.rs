//! Every request ends by its own answer, every question about this user is answered once, and nothing else
//! does anything, in whichever order messages come.

use super::*;

/// The sender of a message, the message, and its meaning.
type Flying = (&'static str, &'static str, Meaning);

#[derive(Clone, Copy)]
enum Meaning {
    /// The answer to the request of this number, if that has not been answered yet.
    Answer(usize, LumiAnswer),
    /// A question, and its answer.
    Question(&'static str),
    Stray,
}

use Meaning::{Answer, Question, Stray};

#[test]
fn every_order_of_what_is_in_flight_while_others_are_looked_for() {
    let at = MiSocketAddress::new(socket("192.0.2.7:4456")).expect("a port");
    let requests = [
        (LumiRequest::Register, "PRlaura@bb.com"),
        (LumiRequest::Locate(address("joya@cc.com")), "PLlaura@bb.com:joya@cc.com"),
        (LumiRequest::Locate(address("pere@bb.com")), "PLlaura@bb.com:pere@bb.com"),
    ];
    let flying = [
        (NODE, "RR0", Answer(0, LumiAnswer::Register(RegisterCode::Registered))),
        (NODE, "RR1", Answer(0, LumiAnswer::Register(RegisterCode::NoSuchUser))),
        (
            NODE,
            "RL0laura@bb.com:joya@cc.com:192.0.2.7:4456",
            Answer(1, LumiAnswer::Locate { outcome: LocateOutcome::Found(at), offers_tls: false }),
        ),
        (
            NODE,
            "RL3laura@bb.com:pere@bb.com",
            Answer(2, LumiAnswer::Locate { outcome: LocateOutcome::Offline, offers_tls: false }),
        ),
        (NODE, "PLpere@bb.com:laura@bb.com", Question("RL0pere@bb.com:laura@bb.com:127.0.0.1:3500")),
        (NODE, "PLjoya@cc.com:laura@bb.com", Question("RL0joya@cc.com:laura@bb.com:127.0.0.1:3500")),
        // The names the other way round, and from elsewhere.
        (NODE, "RL1joya@cc.com:laura@bb.com", Stray),
        (STRANGER, "RL2laura@bb.com:pere@bb.com", Stray),
    ];
    try_orders(&requests, &flying);
}

#[test]
fn every_order_of_what_is_in_flight_at_the_end() {
    let requests = [
        (LumiRequest::Locate(address("joya@cc.com")), "PLlaura@bb.com:joya@cc.com"),
        (LumiRequest::Deregister, "PDlaura@bb.com"),
    ];
    let flying = [
        (NODE, "RD0", Answer(1, LumiAnswer::Deregister(DeregisterCode::Deregistered))),
        (NODE, "RD1", Answer(1, LumiAnswer::Deregister(DeregisterCode::NoSuchUser))),
        (
            NODE,
            "RL1laura@bb.com:joya@cc.com:0.0.0.0:1",
            Answer(0, LumiAnswer::Locate { outcome: LocateOutcome::Busy, offers_tls: false }),
        ),
        (
            NODE,
            "RL2laura@bb.com:joya@cc.com",
            Answer(0, LumiAnswer::Locate { outcome: LocateOutcome::NoSuchUser, offers_tls: false }),
        ),
        (NODE, "PLlaura@bb.com:laura@bb.com", Question("RL0laura@bb.com:laura@bb.com:127.0.0.1:3500")),
        (STRANGER, "PLjoya@cc.com:laura@bb.com", Stray),
        // One is of a kind that nobody asked for, one of none.
        (NODE, "RR0", Stray),
        (NODE, "", Stray),
    ];
    try_orders(&requests, &flying);
}

/// Every order of every 6 of them, and so of every fewer.
fn try_orders(requests: &[(LumiRequest, &'static str)], flying: &[Flying; 8]) {
    let mut order = Vec::new();
    let mut tried = 0;
    each_order(flying, &mut order, &mut |order| {
        try_order(requests, order);
        tried += 1;
    });
    assert_eq!(tried, 8 * 7 * 6 * 5 * 4 * 3);
}

fn each_order(flying: &[Flying], order: &mut Vec<Flying>, tried: &mut impl FnMut(&[Flying])) {
    if order.len() == 6 {
        return tried(order);
    }
    for next in 0..flying.len() {
        order.push(flying[next]);
        each_order(&[&flying[..next], &flying[next + 1..]].concat(), order, tried);
        order.pop();
    }
}

fn try_order(requests: &[(LumiRequest, &'static str)], order: &[Flying]) {
    let mut client = TestClient::new();
    let mut open: Vec<_> = requests.iter().map(|&(kind, sent)| Some(client.request(kind, sent))).collect();
    let mut strays = 0;
    for &(from, datagram, meaning) in order {
        let expected = match meaning {
            Answer(request, answer) => open[request].take().map(|id| LumiOutput::Done(id, answer)),
            Question(answer) => Some(sends(answer)),
            Stray => None,
        };
        strays += u64::from(expected.is_none());
        let outputs = client.receive(from, datagram);
        assert_eq!(outputs, Vec::from_iter(expected), "{datagram:?} in {:?}", told(order));
    }
    assert_eq!(client.client.strays(), strays, "{:?}", told(order));
}

fn told(order: &[Flying]) -> Vec<&str> {
    order.iter().map(|(_, datagram, _)| *datagram).collect()
}
