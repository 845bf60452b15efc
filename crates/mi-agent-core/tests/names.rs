//! A program needs no other crate to name what it passes to an agent and what it is returned.

use mi_agent_core::{
    BytesMut, ClientSettings, Frame, FrameError, IncomingFrames, Line, LocateOutcome, LumiAnswer, LumiClient,
    LumiOutput, LumiRequest, Message, NodeDirectory, NodeDirectoryBuilder, Received, ReceivedKind,
    RegisterCode,
};
use tokio::time::Instant;

fn fill(buffer: &mut BytesMut, frame: &str) {
    buffer.extend_from_slice(frame.as_bytes());
}

#[test]
fn a_conversation_without_io_needs_no_other_crate() {
    let mut frames = IncomingFrames::new();
    fill(frames.read_buffer(), "N05laura");
    let next: Option<Result<(Received, std::time::Instant), FrameError>> =
        frames.next(Instant::now().into_std());
    let (nickname, _) = next.expect("a frame").expect("no error");
    assert_eq!((nickname.kind(), nickname.bytes()), (ReceivedKind::Nickname, &b"laura"[..]));
    assert!(matches!(Frame::from(Line::new("hola").expect("it fits")), Frame::Line(_)));
}

#[test]
fn a_client_without_io_needs_no_other_crate() {
    let address = "laura@bb.com".parse().expect("an address");
    let listening = "127.0.0.1:4456".parse().expect("an address");
    let node = "127.0.0.1:3344".parse().expect("an address");
    let mut client = LumiClient::new(ClientSettings::new(address, node, listening));
    let now = Instant::now().into_std();
    let id = client.request(now, LumiRequest::Register, None);
    assert!(matches!(client.poll_output(), Some(LumiOutput::Transmit(Message::Register(_)))));
    client.handle_datagram(now, node, b"RR0");
    let answer = LumiAnswer::Register(RegisterCode::Registered);
    assert_eq!(client.poll_output(), Some(LumiOutput::Done(id, answer)));
    assert_ne!(answer, LumiAnswer::Locate { outcome: LocateOutcome::Busy, offers_tls: false });
}

#[test]
fn a_directory_needs_no_other_crate() {
    let directory: NodeDirectoryBuilder = NodeDirectory::builder();
    assert!(directory.build().is_ok());
}
