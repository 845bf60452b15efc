//! Contacts, and the calls that were missed.

use super::*;

#[test]
fn a_contact_is_called_with_two_keys() {
    let mut user = User::new(1);
    for (number, who) in [(1, "pere@bb.com"), (2, "joya@cc.com")] {
        user.calls(number, who);
        user.app.ended(user.now, id(number), End::ByPeer, 0);
        user.now += 1.minute();
    }
    user.acts();
    user.press(KeyCode::F(3)).press(KeyCode::Enter);
    assert_eq!(user.acts(), [Effect::Wish(Wish::Call(address("joya@cc.com")))], "the most recent first");
    user.enters("/bye").acts();
    user.press(KeyCode::F(3)).press(KeyCode::Down).press(KeyCode::Down).press(KeyCode::Enter);
    assert_eq!(user.acts(), [Effect::Wish(Wish::Call(address("pere@bb.com")))]);
    let contacts: Vec<_> = user.app.contacts().map(|contact| contact.address.to_string()).collect();
    assert_eq!(contacts, ["joya@cc.com", "pere@bb.com"]);
}

#[test]
fn missed_calls_are_counted_until_the_contacts_are_looked_at() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com").acts();
    let pere = address("pere@bb.com");
    for (minutes, reason, count) in
        [(0, Refusal::Busy, 1), (2, Refusal::Busy, 2), (4, Refusal::Blocked, 2), (6, Refusal::NotAllowed, 2)]
    {
        user.app.missed(user.now + minutes.minutes(), pere, reason);
        assert_eq!(user.app.missed, count);
    }
    let missed =
        |user: &User| user.app.contacts().next().map(|contact| (contact.address, contact.missed.len()));
    assert_eq!(missed(&user), Some((pere, 2)));
    user.press(KeyCode::F(3));
    assert_eq!(user.app.missed, 0);
    user.press(KeyCode::Delete);
    assert_eq!(missed(&user), Some((address("joya@cc.com"), 0)));
    user.press(KeyCode::Delete).press(KeyCode::Delete).press(KeyCode::Esc);
    assert_eq!(user.app.contacts().count(), 0);
}

#[test]
fn contacts_are_added_by_address() {
    let mut user = User::new(1);
    user.enters("/add joya@cc.com");
    assert_eq!(user.last(), "joya@cc.com is in your contacts; F3 shows them");
    user.enters("/add joya@cc.com");
    assert_eq!(user.last(), "joya@cc.com is in your contacts already");
    assert_eq!(user.app.contacts().count(), 1);
    user.enters("/add");
    assert_eq!(user.last(), "/add needs an address, such as /add joya@cc.com");
    user.press(KeyCode::F(3)).press(KeyCode::Enter);
    assert_eq!(user.acts(), [Effect::Wish(Wish::Call(address("joya@cc.com")))]);
}

#[test]
fn tab_completes_addresses_that_are_known() {
    let mut user = User::new(1);
    user.calls(1, "joya@cc.com");
    user.types("/unb").press(KeyCode::Tab).types("j").press(KeyCode::Tab);
    assert_eq!(user.app.tab().editor.line(), "/unblock joya@cc.com");
    user.press_with(KeyCode::Char('u'), KeyModifiers::CONTROL).enters("/block lluis@cc.com");
    user.types("/unblock l").press(KeyCode::Tab);
    assert_eq!(user.app.tab().editor.line(), "/unblock lluis@cc.com");
}
