//! The text of `nodelumi.cfg.invites`.

use lumi_node_core::Invitations;

/// Any text is invitations or is wrong in a line of it. They are written as they were read, but for those
/// that ended 30 days ago, and no other text shows their codes.
///
/// # Panics
/// If it is not, they are not, or one does.
pub fn invitations(text: &[u8]) {
    let invitations = match Invitations::parse(text) {
        Ok(invitations) => invitations,
        Err(error) => {
            let lines = text.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(&error.line), "{error}: {text:?}");
            let shown = error.to_string();
            let (_, reason) = shown.split_once(": ").expect("the line, and what one is");
            assert!(reason.starts_with("an invitation is a user, a code and a time"), "{shown}");
            return;
        }
    };
    let debug = format!("{invitations:?}");
    // None has ended at the beginning of time.
    let all = invitations.text(i64::MIN);
    assert_eq!(Invitations::parse(all.as_bytes()).as_ref(), Ok(&invitations), "{text:?}");
    for invitation in invitations.iter() {
        let code = invitation.code.to_string();
        assert!(all.contains(&code) && !debug.contains(&code), "{text:?}");
        let ended = invitation.used.map_or(invitation.expires, |used| used.at);
        assert_eq!(
            invitation.is_open(ended),
            invitation.used.is_none() && ended < invitation.expires,
            "{text:?}"
        );
        // An invitation that is left out is gone for good, and all others stay.
        for now in [ended, ended.saturating_add(KEPT_SECONDS), ended.saturating_add(KEPT_SECONDS + 1)] {
            let kept = Invitations::parse(invitations.text(now).as_bytes()).expect("it was written");
            let stays = |ended: i64| now.saturating_sub(ended) <= KEPT_SECONDS;
            let expected =
                invitations.iter().filter(|known| stays(known.used.map_or(known.expires, |used| used.at)));
            assert!(kept.iter().eq(expected), "{now}: {text:?}");
            assert_eq!(kept.text(now), invitations.text(now), "{text:?}");
        }
    }
}

/// The time for which an invitation that has ended is kept: 30 days (docs/operations.md).
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;
