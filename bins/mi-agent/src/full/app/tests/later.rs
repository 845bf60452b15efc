//! Messages for users who are not there.

use mi_agent_core::{
    CallError, DEFAULT_KEEP, ItemState, LeaveError, LocateError, OutboxError, OutboxItem, OutboxTime,
};

use super::*;
use crate::session::CallId;
use crate::session::post::later;

impl User {
    /// The call to `to` comes to nothing because the user is offline.
    fn finds_offline(&mut self, to: &str) -> &mut Self {
        let (to, error) = (address(to), CallError::Locate(LocateError::Offline));
        self.enters(&format!("/call {to}"));
        self.app.happened(self.now, Happened::CallFailed { call: CallId::of_test(1), to, error });
        self
    }
}

#[test]
fn a_line_for_a_user_who_is_offline_is_kept_if_the_user_wants_that() {
    let mut user = User::new(2);
    user.finds_offline("joya@cc.com").acts();
    user.enters("dinner at 8?");
    let offer = "joya is offline. Enter keeps your line for them until Saturday 15:42, Esc drops it.";
    assert_eq!((user.acts(), user.last()), (vec![], offer));
    assert_eq!(user.app.tab().editor.line(), "dinner at 8?", "it stays to be changed");
    // Another line is offered anew.
    user.types("!").press(KeyCode::Enter);
    assert_eq!((user.acts(), user.last()), (vec![], offer));
    user.press(KeyCode::Enter);
    let wish = later(address("joya@cc.com"), "dinner at 8?!");
    assert_eq!(user.acts(), [Effect::Wish(Wish::Post(wish))]);
    assert!(user.app.tab().editor.is_empty());

    user.enters("or not").press(KeyCode::Esc);
    assert!(user.app.tab().editor.is_empty());
    user.press(KeyCode::Enter);
    assert_eq!(user.acts(), []);

    // There is no offer once she is there.
    user.is_called(1, peer("joya@cc.com")).acts();
    user.app.ended(user.now, id(1), End::ByPeer, 0);
    user.enters("still there?").press(KeyCode::Enter);
    assert_eq!(user.acts(), []);
}

#[test]
fn what_becomes_of_a_message_is_said_in_its_tab() {
    let mut user = User::new(2);
    user.finds_offline("joya@cc.com");
    let mut item = OutboxItem::new(address("joya@cc.com"), "hola".into(), OutboxTime(0), DEFAULT_KEEP);
    user.press_with(KeyCode::Char('1'), KeyModifiers::ALT);
    item.state = ItemState::Unsure;
    let expected = format!("? may have arrived at joya@cc.com, /resend {0} or /forget {0}: hola", item.id);
    user.app.happened(user.now, Happened::Mail(item));
    assert_eq!(user.app.tabs[1].pane.entries().last().map(|entry| entry.text.as_str()), Some(&*expected));
    let answer = Err(LeaveError::Refused(OutboxError::FullForPeer));
    let post = crate::session::post::PostId::default();
    user.app.happened(user.now, Happened::Posted { post, answer });
    assert_eq!(user.last(), "not kept: 200 messages wait for that user, and no more are kept");
}
