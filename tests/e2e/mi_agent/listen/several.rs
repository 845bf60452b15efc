//! Several conversations at a time.

use std::collections::VecDeque;

use integration_tests::programs::eventually;
use integration_tests::raw_user::connect_from;

use super::*;

#[test]
fn several_conversations_go_on_side_by_side() {
    let node = NodeProgram::start("bb.com", &["bot", "laura", "pere", "joan"], &[]);
    let at = node.address();
    let mut bot = Listener::start("bot@bb.com", at, &["--conversations", "2"]);
    bot.expect("registered");
    let mut joan = AgentProgram::start("joan@bb.com", at, &[]);
    joan.expect_line("* listening");
    bot.give(&json!({"call": "joan@bb.com"}));
    assert_eq!(bot.expect("begun")["nickname"], "joan");
    let mut pere = AgentProgram::start("pere@bb.com", at, &["--nick", "joan"]);
    pere.type_line("/call bot@bb.com");
    assert_eq!(bot.expect("begun")["conversation"], 2);
    pere.type_line("sóc l'altre");
    joan.expect_line("* in conversation");
    let line = bot.expect("line");
    assert_eq!((&line["conversation"], &line["text"]), (&json!(2), &json!("sóc l'altre")));
    joan.type_line("hola");
    assert_eq!(bot.expect("line")["conversation"], 1);
    bot.give(&json!({"say": "a tu", "to": 2}));
    bot.give(&json!({"say": "i a tu", "to": 1}));
    assert_eq!(pere.expect_line("<bot>"), "<bot> a tu");
    assert_eq!(joan.expect_line("<bot>"), "<bot> i a tu");

    // There is no slot for a third conversation, whichever side begins it.
    let mut laura = AgentProgram::start("laura@bb.com", at, &[]);
    laura.type_line("/call bot@bb.com");
    assert_eq!(laura.expect_line("!"), "! cannot reach bot@bb.com: user is busy");
    assert_eq!(
        without_chance(bot.expect("missed")),
        json!({"event": "missed", "address": "laura@bb.com", "kind": "busy", "reason": "you are busy"})
    );
    bot.give(&json!({"call": "laura@bb.com", "ref": 3}));
    let failed = bot.expect("failed");
    assert_eq!((&failed["kind"], &failed["ref"]), (&json!("engaged"), &json!(3)));
    assert_eq!(failed["reason"], "you have as many conversations as you may; end one first");

    bot.give(&json!({"bye": 1}));
    assert_eq!(bot.expect("ended")["conversation"], 1);
    joan.expect_line("* conversation with bot ended");
    // Now there is a slot for a third conversation, while the second goes on.
    bot.give(&json!({"call": "laura@bb.com"}));
    assert_eq!(bot.expect("begun")["conversation"], 3);
    pere.type_line("/quit");
    assert_eq!(pere.wait_exit(), 0);
    assert_eq!(bot.expect("ended")["conversation"], 2);
    let told = bot.quit();
    let ended = &told[told.len() - 2];
    assert_eq!((&ended["event"], &ended["conversation"]), (&json!("ended"), &json!(3)));
    laura.expect_line("* conversation with bot ended");
}

/// Eight friends are taken at once, and a script that did not ask for that reads lines without numbers.
#[test]
fn eight_may_call_and_lines_have_no_number_unless_asked_for() {
    let users: Vec<_> = (0..9).map(|n| format!("u{n}")).collect();
    let roster: Vec<_> = users.iter().map(String::as_str).chain(["bot"]).collect();
    let node = NodeProgram::start("bb.com", &roster, &[]);
    let at = node.address();
    let mut bot = Listener::start_plain("bot@bb.com", at, &[]);
    listening(&mut bot.program);
    let mut friends: Vec<_> =
        users.iter().map(|user| AgentProgram::start(&format!("{user}@bb.com"), at, &[])).collect();
    for (friend, user) in friends.iter_mut().zip(&users).take(8) {
        friend.type_line("/call bot@bb.com");
        friend.expect_line("* in conversation with bot");
        friend.type_line("hola");
        bot.program.expect_line(&format!("* in conversation with {user} ({user}@bb.com) at "));
        bot.program.expect_line(&format!("<{user}> hola"));
    }
    friends[8].type_line("/call bot@bb.com");
    friends[8].expect_line("! cannot reach bot@bb.com: user is busy");
}

/// Eight callers that only gave a nickname once held every slot forever.
#[test]
fn silent_callers_give_way_to_a_caller() {
    let node = NodeProgram::start("bb.com", &["bot", "laura"], &[]);
    let mut bot = Listener::start("bot@bb.com", node.address(), &["--idle", "1s"]);
    let at: SocketAddr =
        bot.expect("registered")["listening"].as_str().expect("it").parse().expect("an address");
    let mut silent = Vec::new();
    for _ in 0..8 {
        let mut caller = TcpStream::connect(at).expect("a connection");
        caller.write_all(b"N01m").expect("written");
        silent.push(caller);
        bot.expect("begun");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = node.address().to_string();
    let arguments = ["send", "--from", "laura@bb.com", "--node", &at, "--wait", "1m", "bot@bb.com", "hola"];
    let mut laura = Program::start_command(&mut command(folder.path(), &arguments));
    assert_eq!(
        without_chance(bot.expect("ended")),
        json!({"event": "ended", "conversation": 1, "nickname": "m", "lost": false, "by": "you",
               "reason": "nothing was said", "unsaid": 0})
    );
    let begun = bot.next();
    assert_eq!((&begun["event"], &begun["address"]), (&json!("begun"), &json!("laura@bb.com")));
    assert_eq!(bot.expect("line")["text"], "hola");
    assert_eq!(laura.wait_exit(), 0);
    // Its connection ended in order: an empty line comes before the FIN.
    let mut heard = Vec::new();
    silent.remove(0).read_to_end(&mut heard).expect("FIN");
    assert_eq!(heard, b"N03botL00");
}

/// They come from one host, and Laura from another.
#[test]
fn five_hundred_who_dribble_do_not_keep_out_a_caller() {
    let node = NodeProgram::start("bb.com", &["bot", "laura"], &[]);
    let mut bot = Listener::start("bot@bb.com", node.address(), &[]);
    let at: SocketAddr =
        bot.expect("registered")["listening"].as_str().expect("it").parse().expect("an address");
    let dribbler = || {
        let mut socket = connect_from(Ipv4Addr::new(127, 0, 0, 9), at);
        // An error: its connection has ended.
        _ = socket.write_all(b"N");
        socket
    };
    let _first: Vec<_> = (0..250).map(|_| dribbler()).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let node_at = node.address().to_string();
    let arguments = ["send", "--from", "laura@bb.com", "--node", &node_at, "bot@bb.com", "hola"];
    let mut laura = Program::start_command(&mut command(folder.path(), &arguments));
    let _others: Vec<_> = (0..250).map(|_| dribbler()).collect();
    let begun = bot.next();
    assert_eq!((&begun["event"], &begun["address"]), (&json!("begun"), &json!("laura@bb.com")));
    assert_eq!(bot.expect("line")["text"], "hola");
    assert_eq!(laura.wait_exit(), 0, "{:?}", laura.stderr());
}

#[test]
fn callers_that_give_way_to_others_are_told_together() {
    let node = NodeProgram::start("bb.com", &["bot"], &[]);
    let mut bot = Listener::start("bot@bb.com", node.address(), &[]);
    let at: SocketAddr =
        bot.expect("registered")["listening"].as_str().expect("it").parse().expect("an address");
    let mut callers = VecDeque::new();
    // Only 10 a second have their turn.
    eventually("somebody gives way", || {
        let mut caller = connect_from(Ipv4Addr::new(127, 0, 0, 9), at);
        // An error: its connection has ended.
        _ = caller.write_all(b"N01u");
        callers.push_back(caller);
        if callers.len() > MORE_THAN_WAIT {
            callers.pop_front();
        }
        bot.program.stdout().iter().any(|line| line.contains("\"gave-way\""))
    });
    let gave_way = bot.expect("gave-way");
    assert!(gave_way["callers"].as_u64().is_some_and(|callers| callers > 0), "{gave_way}");
}

/// More callers than have a turn at once and wait for one.
const MORE_THAN_WAIT: usize = 200;
