//! Connections that break: what was said before is shown, and then that it is lost, not ended.

use super::*;

#[tokio::test]
async fn a_reset_at_each_byte_of_a_frame_is_a_loss() {
    let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let frame = "L05adéu".as_bytes();
    for offset in 0..=frame.len() {
        let mut raw = RawPeer::connect(&pere).await;
        raw.write(b"N04joan").await;
        let mut talk = incoming(&mut events).await;
        // Read, so that the RST is not about that.
        raw.read_exactly(b"N04pere").await;
        raw.write(&[b"L04hola", &frame[..offset]].concat()).await;
        raw.reset();
        let whole = if offset == frame.len() { &["hola", "adéu"][..] } else { &["hola"] };
        for line in whole {
            assert_eq!(next(&mut talk).await, *line, "offset {offset}");
        }
        let lost = talk.next_line().await.expect_err("RST");
        assert!(matches!(lost, ConversationError::Lost(_)), "{lost} at offset {offset}");
        assert_eq!(talk.next_line().await.expect("once"), None);
    }
}

/// The same bytes, and a FIN: the conversation has ended, and nothing that was typed is lost.
#[tokio::test]
async fn an_end_at_each_byte_of_a_frame_is_an_end() {
    let node = TestNode::start("bb.com", &["pere"], directory(&[])).await;
    let (pere, mut events) = node.agent("pere").start().await.expect("registered");
    let frame = b"L04hola";
    for offset in 0..=frame.len() {
        let mut raw = RawPeer::connect(&pere).await;
        raw.write(b"N04joan").await;
        let mut talk = incoming(&mut events).await;
        raw.write(&frame[..offset]).await;
        raw.shut_down().await;
        if offset > 3 {
            assert_eq!(next(&mut talk).await.as_bytes(), &frame[3..offset]);
        }
        assert_eq!(talk.next_line().await.expect("no loss"), None, "offset {offset}");
        assert_eq!(raw.read_to_end().await, b"N04pere");
    }
}
