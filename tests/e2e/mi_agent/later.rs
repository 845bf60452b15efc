//! Messages for users who are not there, with the real programs.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use integration_tests::programs::eventually;
use serde_json::Value;
use tempfile::TempDir;

use super::send::command;
use super::*;

/// Laura, whose programs share a folder, and the node of bb.com.
struct Laura {
    node: NodeProgram,
    folder: TempDir,
}

impl Laura {
    fn new() -> Self {
        let node = NodeProgram::start("bb.com", &["laura", "pere"], &[]);
        Self { node, folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves a message, and returns its id.
    fn leaves(&self, arguments: &[&str]) -> String {
        let all = [&["send", "--from", "laura@bb.com", "--later"], arguments].concat();
        let output = command(self.path(), &all).stdin(Stdio::null()).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        let id = String::from_utf8(output.stdout).expect("it is text");
        assert_eq!(id.trim_end().len(), 16, "{id}");
        id.trim_end().to_owned()
    }

    fn outbox(&self, arguments: &[&str]) -> (i32, String) {
        let all = [&["outbox", "--from", "laura@bb.com"], arguments].concat();
        let output = command(self.path(), &all).stdin(Stdio::null()).output().expect("it starts");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().expect("it ends"), String::from_utf8(text).expect("it is text"))
    }

    /// Returns the state of the only message that waits.
    fn state(&self) -> Option<String> {
        let (code, listed) = self.outbox(&["list", "--json"]);
        assert_eq!(code, 0, "{listed}");
        let item: Value = serde_json::from_str(listed.lines().next()?).expect("JSON");
        item["state"].as_str().map(str::to_owned)
    }

    fn listens(&self) -> Program {
        let at = self.node.address().to_string();
        let arguments = ["listen", "--from", "laura@bb.com", "--json", "--node", &at];
        let mut listen = Program::start_with_stdin(&mut command(self.path(), &arguments), Stdio::piped());
        listen.wait_for(|line| line.contains("\"registered\""));
        listen
    }
}

#[test]
fn a_message_is_delivered_once_its_receiver_is_there() {
    let laura = Laura::new();
    let first = laura.leaves(&["pere@bb.com", "the first\nof two lines"]);
    assert_eq!(laura.state().as_deref(), Some("queued"));
    let mut listen = laura.listens();
    listen.type_line(r#"{"later":"the second","for":"pere@bb.com","ref":7}"#);
    let queued: Value =
        serde_json::from_str(&listen.wait_for(|line| line.contains("\"queued\""))).expect("JSON");
    assert_eq!((&queued["address"], &queued["ref"]), (&"pere@bb.com".into(), &7.into()));
    let mut pere = AgentProgram::start("pere@bb.com", laura.node.address(), &[]);
    pere.expect_line("* listening");
    assert_eq!(laura.outbox(&["retry"]).0, 0);
    pere.expect_line("* in conversation with laura");
    for line in ["the first", "of two lines", "the second"] {
        assert_eq!(pere.expect_line("<laura> "), format!("<laura> {line}"));
    }
    // The messages are written, and whoever answers has a conversation.
    pere.type_line("gràcies");
    listen.wait_for(|line| line.contains("\"begun\""));
    listen.wait_for(|line| line.contains("gràcies"));
    listen.type_line(r#"{"say":"de res","to":1}"#);
    pere.expect_line("<laura> de res");
    pere.type_line("/bye");
    let sent: Value = serde_json::from_str(&listen.wait_for(|line| line.contains("\"sent\""))).expect("JSON");
    assert_eq!(sent["id"], first.as_str());
    listen.wait_for(|line| line.contains("\"sent\""));
    assert_eq!(laura.outbox(&[]), (0, "no message waits\n".into()));
    let folder = laura.path().join("data/mi-agent/laura@bb.com/outbox");
    assert!(!folder.exists() || folder.read_dir().expect("a folder").count() > 0);
    listen.type_line(r#"{"quit":true}"#);
    assert_eq!(listen.wait_exit(), 0);
}

/// Whether it has arrived cannot be known, so it is not sent a second time unless its writer says so.
#[test]
fn a_program_that_is_killed_while_it_sends_does_not_send_twice() {
    let laura = Laura::new();
    let id = laura.leaves(&["pere@bb.com", "once"]);
    let pere = RawAgent::register("pere@bb.com", laura.node.address());
    let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let at = socket.local_addr().expect("its address").to_string();

    let mut listen = laura.listens();
    assert_eq!(laura.outbox(&["retry"]).0, 0);
    pere.answer_one_question(&at);
    let mut talk = socket.accept().expect("she calls").0;
    talk.write_all(b"N04pere").expect("sent");
    assert!(heard(&mut talk, "L04once").starts_with("N05laura"));
    assert_eq!(laura.state().as_deref(), Some("trying"));
    assert_eq!(laura.outbox(&["forget", &id]).0, 1, "it is being delivered");
    listen.kill();
    drop(talk);

    let mut listen = laura.listens();
    eventually("it may have arrived", || laura.state().as_deref() == Some("unsure"));
    assert_eq!(laura.outbox(&["retry"]).0, 0);
    pere.0.set_nonblocking(true).expect("a socket can be");
    assert_eq!(pere.0.recv(&mut [0; 100]).ok(), None, "nobody is asked for");
    pere.0.set_nonblocking(false).expect("a socket can be");

    assert_eq!(laura.outbox(&["resend", &id]).0, 0);
    listen.wait_for(|line| line.contains("\"queued\""));
    assert_eq!(laura.outbox(&["retry"]).0, 0);
    pere.answer_one_question(&at);
    let mut talk = socket.accept().expect("she calls").0;
    talk.write_all(b"N04pere").expect("sent");
    heard(&mut talk, "L04once");
    // The end of both sides is what shows that it was read.
    drop(talk);
    let sent: Value = serde_json::from_str(&listen.wait_for(|line| line.contains("\"sent\""))).expect("JSON");
    assert_eq!(sent["id"], id.as_str());
}

#[test]
fn what_is_no_message_or_of_nobody_is_refused() {
    let laura = Laura::new();
    for (arguments, code, told) in [
        (&["resend", "0123456789abcdef"][..], 1, "there is no such message"),
        (&["forget", "0123456789abcdef"], 1, "there is no such message"),
        (&["forget", "x"], 2, "is not the id of a message"),
    ] {
        let (ended, said) = laura.outbox(arguments);
        assert!(ended == code && said.contains(told), "{arguments:?}: {ended} {said}");
    }
    let long = "x".repeat(4_097);
    for (arguments, code, told) in [
        (&["--later", "pere@bb.com", &long][..], 1, "a message has 1 to 4096 bytes, and this one has 4097"),
        (&["--later", "pere@bb.com", ""], 1, "a message has 1 to 4096 bytes"),
        (&["--later=59m", "pere@bb.com", "hola"], 2, "from 1h to 30d"),
        (&["--later", "--wait", "1m", "pere@bb.com", "hola"], 2, "cannot be used with"),
        (&["--later", "laura@bb.com", "hola"], 2, "TO is your own address"),
    ] {
        let all = [&["send", "--from", "laura@bb.com"], arguments].concat();
        let output = command(laura.path(), &all).stdin(Stdio::null()).output().expect("it starts");
        let said = String::from_utf8(output.stderr).expect("it is text");
        assert!(output.status.code() == Some(code) && said.contains(told), "{arguments:?}: {said}");
    }
    assert_eq!(laura.outbox(&[]), (0, "no message waits\n".into()));
}

/// Reads until what was heard ends with `last`.
fn heard(talk: &mut impl Read, last: &str) -> String {
    let (mut heard, mut byte) = (String::new(), [0]);
    while !heard.ends_with(last) {
        talk.read_exact(&mut byte).expect("it goes on");
        heard.push(char::from(byte[0]));
    }
    heard
}
