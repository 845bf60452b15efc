//! The texts of a peer, as `mi-agent listen` prints them.

use super::*;

/// Emoji and scripts that need joiners are text, and whatever could do harm is an escape, beside which
/// programs find what came.
#[test]
fn text_is_safe_to_show_and_there_as_it_came() {
    let node = NodeProgram::start("bb.com", &["bot", "laura"], &[]);
    let mut bot = Listener::start("bot@bb.com", node.address(), &[]);
    bot.expect("registered");
    let mut laura = Listener::start("laura@bb.com", node.address(), &[]);
    laura.expect("registered");
    laura.give(&json!({"call": "bot@bb.com"}));
    laura.expect("begun");
    for (said, text) in [
        ("👩\u{200d}💻 ☕\u{fe0f} می\u{200c}خواهم", "👩\u{200d}💻 ☕\u{fe0f} می\u{200c}خواهم"),
        (r"\x1b[2J", r"\x1b[2J"),
        ("\x1b[2J", r"\x1b[2J"),
        ("if a:\tb", "if a:    b"),
        ("a\u{200d} \u{202e}b", r"a\u{200d} \u{202e}b"),
    ] {
        laura.give(&json!({"say": said, "to": 1}));
        let mut expected = json!({"event": "line", "conversation": 1, "nickname": "laura", "text": text});
        if said != text {
            expected["raw"] = said.into();
        }
        assert_eq!(without_chance(bot.expect("line")), expected);
    }
}

/// Each frame is an event. A program joins those that continue a line, if it wants to. A frame with room for
/// more was no piece.
#[test]
fn the_pieces_of_a_line_say_so() {
    let node = NodeProgram::start("bb.com", &["pere"], &[]);
    let mut pere = Listener::start("pere@bb.com", node.address(), &[]);
    let at = pere.expect("registered")["listening"].as_str().expect("an address").to_owned();
    let mut joan = TcpStream::connect(&*at).expect("a connection");
    let own = format!("L98{}L03end", "w".repeat(98));
    let line = format!("L99{}L98{} L02z.{own}", "x".repeat(99), "y".repeat(97));
    joan.write_all(format!("N04joan{line}").as_bytes()).expect("written");
    let expected =
        [(99, Value::Null), (98, json!(true)), (2, json!(true)), (98, Value::Null), (3, Value::Null)];
    for (length, continues) in expected {
        let event = pere.expect("line");
        assert_eq!((event["text"].as_str().map(str::len), &event["continues"]), (Some(length), &continues));
    }
    drop(joan);
    pere.quit();
}
