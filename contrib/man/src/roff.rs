//! Text for roff, the language of man pages.

/// `text` as it stands, on a line of its own or within one; what is between backquotes is bold.
pub(crate) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut bold = false;
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            // Or else it would be a typographic quote.
            '\'' => escaped.push_str("\\(aq"),
            '`' => {
                bold = !bold;
                escaped.push_str(if bold { "\\fB" } else { "\\fR" });
            }
            _ => escaped.push(c),
        }
    }
    if bold {
        escaped.push_str("\\fR");
    }
    // It would be a request at the beginning of a line.
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
}

/// `name` in bold.
pub(crate) fn bold(name: &str) -> String {
    format!("\\fB{}\\fR", text(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_request() {
        for (plain, roff) in [
            (".SH it", "\\&.SH it"),
            ("'SH it", "\\(aqSH it"),
            ("a\\fBb", "a\\efBb"),
            ("--log `FILE`, or `-`", "\\-\\-log \\fBFILE\\fR, or \\fB\\-\\fR"),
            ("a ` alone", "a \\fB alone\\fR"),
        ] {
            assert_eq!(text(plain), roff);
        }
    }
}
