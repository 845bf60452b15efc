//! The settings file of `lumi-node`.

/// Any text is settings or is wrong in lines of it, the one that a node tells among them, and comments, blank
/// lines and CRLF change nothing.
///
/// # Panics
/// If it is not, or they do.
pub fn settings(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else { return };
    let wrong_line = check(text);
    let errors = lumi_node::settings_errors(text);
    match lumi_node::check_settings(text) {
        Ok(()) => assert_eq!(errors, [""; 0], "{text:?}"),
        Err(error) => {
            assert!(errors.contains(&error.to_string()), "{error} is not among {errors:?}, for {text:?}");
        }
    }
    errors.iter().for_each(|error| _ = line_of(error, text));
    assert_eq!(check(&format!("# a comment\n\n{text}")), wrong_line.map(|line| line + 2), "{text:?}");
    if wrong_line.is_none() {
        assert_eq!(check(&format!("{text}\n# a comment")), None, "{text:?}");
        if !text.contains('\r') {
            assert_eq!(check(&text.replace('\n', "\r\n")), None, "{text:?}");
        }
    }
}

/// The line that is wrong; `None` if all is well.
fn check(text: &str) -> Option<usize> {
    let reason = lumi_node::check_settings(text).err()?.to_string();
    Some(line_of(&reason, text))
}

/// The line of `text` that is wrong for that `reason`.
fn line_of(reason: &str, text: &str) -> usize {
    assert!(!reason.contains(char::is_control), "{reason:?} for {text:?}");
    let line = reason.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    let line = line.and_then(|(line, _)| line.parse().ok());
    let line = line.unwrap_or_else(|| panic!("which line? {reason:?} for {text:?}"));
    assert!((1..=1 + text.matches('\n').count()).contains(&line), "{reason:?} for {text:?}");
    line
}
