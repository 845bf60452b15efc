//! `mi-agent listen` as programs use it.

mod document;
mod several;
mod texts;

use std::thread;
use std::time::Duration;

use integration_tests::programs::DATA;
use serde_json::{Value, json};
use socket2::SockRef;
use tempfile::TempDir;

use super::ending::SilentNode;
use super::send::command;

use super::*;

/// A running `mi-agent listen` in a folder of its own.
struct Listener {
    program: Program,
    folder: TempDir,
}

impl Listener {
    /// Starts one with JSON events and commands.
    fn start(address: &str, node: impl Into<SocketAddr>, arguments: &[&str]) -> Self {
        Self::start_plain(address, node, &[arguments, &["--json"]].concat())
    }

    fn start_plain(address: &str, node: impl Into<SocketAddr>, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let node = node.into().to_string();
        let arguments = [&["listen", "--from", address, "--node", &node], arguments].concat();
        let program = Program::start_command(&mut command(folder.path(), &arguments));
        Self { program, folder }
    }

    /// Writes a command to its stdin.
    fn give(&mut self, command: &Value) {
        self.program.type_line(&command.to_string());
    }

    /// Waits for the next event of this name, and skips the events before it.
    fn expect(&mut self, event: &str) -> Value {
        let is_it = |line: &str| parsed(line)["event"] == event;
        parsed(&self.program.wait_for(is_it))
    }

    /// Waits for the next event.
    fn next(&mut self) -> Value {
        parsed(&self.program.wait_for(|_| true))
    }

    /// The protection that others report of the first call with this agent of `address`.
    fn security(&self, address: &str) -> Value {
        let line = ["key", "show", "--from", address, "--line"];
        let mut line = Program::start_command(&mut command(self.folder.path(), &line));
        let line = line.expect_line(address);
        let key = line.rsplit(' ').next().expect("a key");
        json!({"protection": "tls", "trust": "new", "key": format!("ed25519:{key}")})
    }

    fn quit(mut self) -> Vec<Value> {
        self.give(&json!({"quit": true}));
        assert_eq!(self.program.wait_exit(), 0, "{:?}", self.program.stderr());
        self.program.stdout().iter().map(|line| parsed(line)).collect()
    }
}

/// Parses a line: one JSON object with a name and a time, and without control characters.
fn parsed(line: &str) -> Value {
    assert!(line.chars().all(message_log::is_visible), "{line:?}");
    let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let at = event["at"].as_str().expect("a time");
    assert_eq!(at.len(), "2026-11-25T15:40:00.120Z".len(), "{at}");
    assert!(at.starts_with("20") && at.ends_with('Z') && at.as_bytes()[10] == b'T', "{at}");
    assert!(event["event"].is_string(), "{line}");
    event
}

/// `event` without the time and the remote address, which differ from run to run.
fn without_chance(mut event: Value) -> Value {
    let fields = event.as_object_mut().expect("an object");
    fields.remove("at");
    fields.remove("remote");
    event
}

#[test]
fn a_conversation_is_told_both_ways() {
    let node = NodeProgram::start("bb.com", &["laura", "bot"], &[]);
    let at = node.address();
    let mut bot = Listener::start("bot@bb.com", at, &[]);
    let registered = bot.next();
    let listening = registered["listening"].as_str().expect("an address").to_owned();
    assert_eq!(
        without_chance(registered),
        json!({"event": "registered", "address": "bot@bb.com", "node": at.to_string(), "listening": listening})
    );
    let mut laura = Listener::start("laura@bb.com", at, &["--nick", "la Laura"]);
    laura.expect("registered");
    let (of_bot, of_laura) = (bot.security("bot@bb.com"), laura.security("laura@bb.com"));
    laura.give(&json!({"call": "bot@bb.com", "ref": "c1"}));
    let begun = laura.next();
    assert_eq!(begun["remote"], listening.as_str());
    assert_eq!(
        without_chance(begun),
        json!({"event": "begun", "conversation": 1, "way": "outgoing", "nickname": "bot",
               "address": "bot@bb.com", "security": of_bot, "ref": "c1"})
    );
    let begun = bot.next();
    assert!(begun["remote"].as_str().is_some_and(|remote| remote.starts_with("127.0.0.1:")), "{begun}");
    assert_eq!(
        without_chance(begun),
        json!({"event": "begun", "conversation": 1, "way": "incoming", "nickname": "la Laura",
               "address": "laura@bb.com", "security": of_laura})
    );
    laura.give(&json!({"say": "hola, \"què\" tal? 😀", "to": 1, "ref": 7}));
    assert_eq!(
        without_chance(laura.next()),
        json!({"event": "said", "conversation": 1, "waiting": 1, "ref": 7})
    );
    assert_eq!(
        without_chance(bot.next()),
        json!({"event": "line", "conversation": 1, "nickname": "la Laura", "text": "hola, \"què\" tal? 😀"})
    );
    bot.give(&json!({"say": "bé", "to": 1}));
    assert_eq!(laura.next()["text"], "bé");
    laura.give(&json!({"bye": 1, "ref": 1.5}));
    assert_eq!(
        without_chance(laura.next()),
        json!({"event": "ended", "conversation": 1, "nickname": "bot", "lost": false, "by": "you", "unsaid": 0, "ref": 1.5})
    );
    assert_eq!(bot.expect("ended")["conversation"], 1);
    // The program goes on without stdin.
    bot.program.close_stdin();
    laura.give(&json!({"call": "bot@bb.com"}));
    assert_eq!(laura.expect("begun")["conversation"], 2);
    assert_eq!(bot.expect("begun")["conversation"], 2);
    laura.give(&json!({"say": "adéu", "to": 2}));
    laura.give(&json!({"quit": true, "ref": "q"}));
    assert_eq!(laura.program.wait_exit(), 0);
    let last = laura.expect("deregistered");
    assert_eq!(without_chance(last), json!({"event": "deregistered", "address": "laura@bb.com", "ref": "q"}));
    assert_eq!(bot.expect("line")["text"], "adéu", "what was said is sent before the end");
    bot.expect("ended");
    bot.program.signal(Signal::Terminate);
    assert_eq!(bot.program.wait_exit(), 0);
    assert_eq!(bot.next()["event"], "deregistered");
    assert_eq!(bot.program.stderr(), [""; 0]);
}

#[test]
fn what_cannot_be_done_is_told_and_it_goes_on() {
    let node = NodeProgram::start("bb.com", &["laura", "joan", "pere"], &[]);
    let mut laura = Listener::start("laura@bb.com", node.address(), &[]);
    laura.expect("registered");
    for (line, number, reason) in [
        ("hola", 1, r#"a command is a JSON object, such as {"call":"joya@cc.com"}"#),
        ("", 2, ""),
        (r#"{"call":"joan"}"#, 3, "call is no address: an address is user@domain, and there is no '@'"),
        ("{\"\u{1b}[2J\":\u{202e}1}", 4, "it is no JSON: "),
        (r#"{"\u001b[2J":1,"ref":"r"}"#, 5, r"unknown field `\x1b[2J`, expected one of "),
        (&format!(r#"{{"call":"{}"}}"#, "x".repeat(70_000)), 6, "a line has 65536 bytes at most"),
        (r#"{"say":"hola"}"#, 7, "say needs to, the number of a conversation"),
    ] {
        laura.program.type_line(line);
        if !reason.is_empty() {
            let error = laura.next();
            assert_eq!((&error["event"], &error["line"]), (&json!("error"), &json!(number)), "{error}");
            assert!(error["reason"].as_str().is_some_and(|told| told.starts_with(reason)), "{error}");
            assert_eq!(error["ref"].as_str(), (number == 5).then_some("r"));
        }
    }
    for (command, kind, reason) in [
        (json!({"call": "joan@bb.com"}), "offline", "user is offline"),
        (json!({"call": "nobody@bb.com"}), "no-such-user", "no such user or domain"),
        (json!({"call": "laura@bb.com"}), "yourself", "that is your own address"),
        (
            json!({"say": "hola", "to": 1}),
            "no-conversation",
            "there is no such conversation, or it is ending",
        ),
        (json!({"bye": 1}), "no-conversation", "there is no such conversation, or it is ending"),
    ] {
        laura.give(&command);
        let failed = laura.next();
        assert_eq!((&failed["event"], &failed["kind"]), (&json!("failed"), &json!(kind)), "{failed}");
        assert_eq!((&failed["reason"], &failed["address"]), (&json!(reason), &command["call"]), "{failed}");
    }
    let joan = RawAgent::register("joan@bb.com", node.address());
    laura.give(&json!({"call": "joan@bb.com"}));
    let dead = TcpListener::bind("127.0.0.1:0").and_then(|dead| dead.local_addr()).expect("a socket");
    joan.answer_one_question(&dead.to_string());
    let failed = laura.next();
    assert_eq!((&failed["event"], &failed["kind"]), (&json!("failed"), &json!("not-accepted")), "{failed}");

    let mut pere = AgentProgram::start("pere@bb.com", node.address(), &["--security", "off"]);
    pere.type_line("/call laura@bb.com");
    laura.expect("begun");
    laura.give(&json!({"say": "two\nlines", "to": 1, "ref": "t"}));
    let failed = laura.next();
    assert_eq!((&failed["kind"], &failed["ref"]), (&json!("text"), &json!("t")), "{failed}");
    // Each line is five frames of 20 ms in plain text, so more lines wait than may, long before they are
    // sent.
    let long = "x".repeat(450);
    for _ in 0..300 {
        laura.give(&json!({"say": long, "to": 1}));
    }
    let failed = laura.expect("failed");
    assert_eq!((&failed["kind"], &failed["command"]), (&json!("full"), &json!("say")), "{failed}");
    let said = laura.program.stdout().iter().filter(|line| parsed(line)["event"] == "said").count();
    assert!((256..300).contains(&said), "{said}");
    pere.type_line("/quit");
    let ended = laura.expect("ended");
    assert!(ended["unsaid"].as_u64().is_some_and(|unsaid| unsaid > 0), "{ended}");
    laura.quit();
}

/// The node did not announce this caller. It tries to control the terminal and leaves without an orderly end.
#[test]
fn a_stranger_is_told_as_text() {
    let node = NodeProgram::start("bb.com", &["pere"], &[]);
    let mut pere = Listener::start("pere@bb.com", node.address(), &["--conversations", "1"]);
    let at = pere.expect("registered")["listening"].as_str().expect("an address").to_owned();
    let mut stranger = TcpStream::connect(&*at).expect("a connection");
    stranger.write_all(b"N09\x1b[2J\xe2\x80\xaeab").expect("written");
    let begun = pere.next();
    assert_eq!((&begun["nickname"], &begun["address"]), (&json!(r"\x1b[2J\u{202e}ab"), &Value::Null));
    stranger.read_exact(&mut [0; 7]).expect("a nickname");
    stranger.write_all(b"L13\x07a\r\n\"}\xe2\x81\xa6\xff\\u0").expect("written");
    assert_eq!(pere.next()["text"], r#"\x07a\r\n"}\u{2066}�\u"#.to_owned() + "0");

    let mut other = TcpStream::connect(&*at).expect("a connection");
    other.write_all(b"N02\x1bx").expect("written");
    let refused = pere.next();
    assert_eq!(
        without_chance(refused),
        json!({"event": "refused", "nickname": r"\x1bx", "address": null, "kind": "busy", "reason": "you are busy"})
    );

    SockRef::from(&stranger).set_linger(Some(Duration::ZERO)).expect("set");
    drop(stranger);
    let trouble = pere.next();
    assert!(
        trouble["reason"].as_str().is_some_and(|told| told.starts_with("connection lost: ")),
        "{trouble}"
    );
    let ended = pere.next();
    assert_eq!((&ended["event"], &ended["lost"]), (&json!("ended"), &json!(true)));
    pere.quit();
}

#[test]
fn a_registration_is_told_from_its_failure_to_its_end() {
    let mut node = NodeProgram::start("bb.com", &["laura"], &[]);
    let at = node.address();
    let mut joan = Listener::start("joan@bb.com", at, &[]);
    assert_eq!(joan.program.wait_exit(), 3);
    assert_eq!(
        without_chance(joan.next()),
        json!({"event": "not-registered", "address": "joan@bb.com", "reason": "no such user at its node, or the node does not know this agent's key: ask for an invitation (lumi-node ctl invite joan)"})
    );
    let mut laura = Listener::start("laura@bb.com", at, &["--refresh", "5"]);
    laura.expect("registered");
    node.type_line("deregister laura");
    node.expect_line("deregistered laura");
    let lost = laura.expect("registration-lost");
    assert_eq!(lost["reason"], "somebody else is registered as you, or you were taken off the roster");
    node.type_line("register laura");
    let regained = laura.expect("registration-regained");
    assert_eq!((&regained["address"], &regained["node"]), (&json!("laura@bb.com"), &json!(at.to_string())));
    node.type_line("deregister laura");
    node.expect_line("deregistered laura");
    laura.give(&json!({"quit": true}));
    assert_eq!(laura.program.wait_exit(), 3);
    assert_eq!(laura.expect("not-deregistered")["address"], "laura@bb.com");
}

#[test]
fn misuse_exits_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, told) in [
        (&["listen"][..], "--from"),
        (&["listen", "--from", "laura"], "there is no '@'"),
        (&["listen", "--from", "laura@bb.com", "pere@bb.com"], "pere@bb.com"),
        (&["listen", "--from", "laura@bb.com", "--conversations", "0"], "it is a number from 1 to 16"),
        (&["listen", "--from", "laura@bb.com", "--conversations", "17"], "it is a number from 1 to 16"),
        (&["listen", "--from", "laura@bb.com", "--idle", "0s"], "more than 0 and a year at most; or off"),
        (&["listen", "--from", "laura@bb.com", "--json", "--log", "-"], "among the JSON on stdout"),
    ] {
        let mut agent = Program::start(AGENT, folder.path(), arguments);
        assert_eq!(agent.wait_exit(), 2, "{arguments:?}");
        let diagnostics = agent.stderr().join("\n");
        assert!(diagnostics.contains(told), "{arguments:?}: {diagnostics}");
    }
}

#[test]
fn help_shows_options_where_they_have_an_effect() {
    let folder = tempfile::tempdir().expect("a folder");
    for (subcommand, has_idle) in [("listen", true), ("send", false)] {
        let mut agent = Program::start(AGENT, folder.path(), &[subcommand, "--help"]);
        assert_eq!(agent.wait_exit(), 0);
        let help = agent.stdout().join("\n");
        assert_eq!((help.contains("--idle"), help.contains("--dial")), (has_idle, true), "{help}");
    }
}

/// Input has no meaning without `--json`.
#[test]
fn without_json_it_prints_the_lines_of_line_mode() {
    let node = NodeProgram::start("bb.com", &["bot", "laura"], &[]);
    let at = node.address();
    for (conversations, number) in [("1", ""), ("2", "1 ")] {
        let mut listener = Listener::start_plain("bot@bb.com", at, &["--conversations", conversations]);
        let bot = &mut listener.program;
        let listens = listening(bot);
        bot.type_line("/quit");
        bot.close_stdin();
        let mut laura = AgentProgram::start("laura@bb.com", at, &[]);
        laura.type_line("/call bot@bb.com");
        laura.type_line("hola");
        laura.close_stdin();
        assert_eq!(laura.wait_exit(), 0);
        bot.expect_line("* conversation");
        bot.signal(Signal::Interrupt);
        assert_eq!(bot.wait_exit(), 0);
        let told = bot.stdout();
        assert_eq!(
            told[..2],
            [
                format!("* registered bot@bb.com at node {at}"),
                format!("* listening for conversations on {listens}")
            ]
        );
        let begun = format!("* in conversation {number}with laura (laura@bb.com) at 127.0.0.1:");
        assert!(told[2].starts_with(&begun), "{}", told[2]);
        assert_eq!(
            told[3..],
            [
                "* encrypted, new key: /verify laura@bb.com compares words".into(),
                format!("<{number}laura> hola"),
                format!("* conversation {number}with laura ended by laura"),
                "* deregistered bot@bb.com".into()
            ]
        );
    }
}

/// A signal ends the program whatever it is doing. Its user and its conversations end in order, and lines
/// that wait to be sent are dropped.
#[test]
fn a_signal_ends_it_and_its_conversations() {
    let mut node = NodeProgram::start("bb.com", &["bot", "laura"], &[]);
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.expect_line("* listening");
    let frames =
        |laura: &AgentProgram| laura.stdout().iter().filter(|line| line.starts_with("<bot> x")).count();
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let heard = frames(&laura);
        let mut bot = Listener::start("bot@bb.com", node.address(), &["--security", "off"]);
        bot.give(&json!({"call": "laura@bb.com"}));
        bot.expect("begun");
        // These are 200 frames, which take 4 s in plain text.
        bot.give(&json!({"say": "x".repeat(19_800), "to": 1}));
        bot.expect("said");
        laura.expect_line("<bot> x");
        bot.program.signal(signal);
        assert_eq!(bot.program.wait_exit(), 0);
        laura.expect_line("* conversation with bot ended");
        let heard = frames(&laura) - heard;
        assert!(heard < 150, "{heard} frames were sent");
        let told: Vec<_> = bot.program.stdout().iter().map(|line| parsed(line)).collect();
        let [.., ended, deregistered] = &*told else { panic!("{told:?}") };
        assert_eq!((&ended["event"], &ended["lost"]), (&json!("ended"), &json!(false)));
        assert_eq!(ended["by"], "you");
        assert_eq!(deregistered["event"], "deregistered");
        assert!(!node.is_online("bot"));
    }
}

/// After a signal, the agent sends a silent node two `PD`s within 600 ms, instead of five within 5 s.
#[test]
fn a_signal_does_not_wait_for_a_silent_node() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let node = SilentNode::start();
        let mut bot = Listener::start("bot@bb.com", node.address(), &[]);
        let (_, at) = node.receive();
        node.send("RR0", at);
        bot.expect("registered");
        bot.program.signal(signal);
        assert_eq!(bot.program.wait_exit(), 6);
        assert_eq!(node.rest(), ["PDbot@bb.com"; 2]);
    }
}

/// A program that does not read its events slows down only the peer. When it reads again, all events are
/// there in order, and a signal does not wait for it.
#[test]
fn a_program_that_does_not_read_loses_nothing_and_holds_no_end() {
    for ends in [false, true] {
        let mut node = NodeProgram::start("bb.com", &["bot", "laura"], &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let at = node.address().to_string();
        let arguments = ["listen", "--from", "bot@bb.com", "--conversations", "1", "--node", &at, "--json"];
        let mut bot = Program::start_unread(&mut command(folder.path(), &arguments));
        let laura = RawAgent::register("laura@bb.com", node.address());
        // A question before it is there has another answer, and too many have none.
        eventually("the bot is online", || node.is_online("bot"));
        let answer = laura.ask("PLlaura@bb.com:bot@bb.com");
        let found = answer.strip_prefix("RL0laura@bb.com:bot@bb.com:").expect("it is found");
        let mut talk = TcpStream::connect(found.trim_end_matches(":T")).expect("a connection");
        // The bot reads no faster than people talk, so little waits here.
        SockRef::from(&talk).set_send_buffer_size(4_096).expect("set");
        talk.write_all(b"N05laura").expect("written");
        talk.read_exact(&mut [0; 6]).expect("a nickname");
        talk.set_nonblocking(true).expect("set");
        // Write until nothing more fits into the pipe, the program and TCP. The rest of a partial frame is
        // written later.
        let (mut sent, mut held, mut rest) = (0, 0, Vec::new());
        while held < 50 {
            if rest.is_empty() {
                sent += 1;
                rest = format!("L99{sent:0>99}").into_bytes();
            }
            match talk.write(&rest) {
                Ok(length) => (held, rest) = (0, rest.split_off(length)),
                Err(_) => {
                    held += 1;
                    // The program may only be slow, so it gets the time of one more answer.
                    assert_eq!(laura.ask("PLlaura@bb.com:bot@bb.com"), "RL1laura@bb.com:bot@bb.com");
                }
            }
        }
        assert!(sent > 500, "{sent} lines are held");
        talk.set_nonblocking(false).expect("set");
        if ends {
            bot.signal(Signal::Terminate);
            // Nobody reads, so a program that waited for its last words to be read would never end.
            bot.wait_exit();
            assert!(!node.is_online("bot"));
            continue;
        }
        let writer = thread::spawn(move || {
            talk.write_all(&rest).expect("it is read");
            talk.shutdown(Shutdown::Write).expect("shut down");
            talk
        });
        bot.read_stdout();
        let mut texts = Vec::new();
        loop {
            let event = parsed(&bot.wait_for(|_| true));
            texts.extend(event["text"].as_str().map(str::to_owned));
            if event["event"] == "ended" {
                break;
            }
        }
        assert_eq!(texts, (1..=sent).map(|number| format!("{number:0>99}")).collect::<Vec<_>>());
        writer.join().expect("no panic");
    }
}

/// A user blocked in a chat is blocked here, too.
#[test]
fn who_is_blocked_is_missed() {
    let node = NodeProgram::start("bb.com", &["bot", "laura"], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join(DATA).join("mi-agent/bot@bb.com/rules.toml");
    fs::create_dir_all(rules.parent().expect("it is in a folder")).expect("the folder is the test's own");
    fs::write(&rules, "blocked = ['laura@bb.com']").expect("the folder is the test's own");
    let at = node.address().to_string();
    let arguments = ["listen", "--from", "bot@bb.com", "--node", &at, "--json"];
    let program = Program::start_command(&mut command(folder.path(), &arguments));
    let mut bot = Listener { program, folder };
    bot.expect("registered");
    let mut laura = AgentProgram::start("laura@bb.com", node.address(), &[]);
    laura.type_line("/call bot@bb.com");
    laura.expect_line("! cannot reach bot@bb.com: user is busy");
    let missed = bot.expect("missed");
    assert_eq!((&missed["address"], &missed["kind"]), (&json!("laura@bb.com"), &json!("blocked")));
}
