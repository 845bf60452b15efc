//! The notes under the options in the help of a program:
//!
//! ```text
//! A paragraph.
//!
//! A title:
//!   what is typed  what it does
//!   what is typed
//!       what it does
//!
//! Exit codes:
//!   0 what it means   1 what it means
//! ```

use clap::Command;

use crate::roff;

/// Each titled block as a section, and the paragraphs before, between and after them as one more.
pub(crate) fn sections(command: &Command) -> String {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (mut titled, mut notes) = (String::new(), String::new());
    for block in help.split("\n\n") {
        match block.split_once(":\n") {
            Some((title, lines)) if !title.contains('\n') => {
                titled += &format!(".SH {}\n", roff::text(&title.to_uppercase()));
                titled += &if title == "Exit codes" { cells(lines) } else { items(lines) };
            }
            _ => notes += &format!(".PP\n{}\n", roff::text(block)),
        }
    }
    if notes.is_empty() { titled } else { format!("{titled}.SH NOTES\n{notes}") }
}

/// A command and its explanation, one below the other or side by side.
fn items(lines: &str) -> String {
    let mut roff = String::new();
    let mut lines = lines.lines().peekable();
    let mut alone = false;
    while let Some(line) = lines.next() {
        let (typed, mut does) = line.trim().split_once("  ").unwrap_or((line.trim(), ""));
        if let Some(below) = lines.next_if(|next| next.starts_with("      ")) {
            does = below;
        }
        if does.is_empty() {
            roff += if alone { ".br\n" } else { ".PP\n" };
            roff += &format!("{}\n", roff::bold(typed));
        } else {
            roff += &format!(".TP\n{}\n{}\n", roff::bold(typed), roff::text(does.trim()));
        }
        alone = does.is_empty();
    }
    roff
}

/// Numbers and what they mean, several to a line.
fn cells(lines: &str) -> String {
    let cells = lines.lines().flat_map(|line| line.split("  ")).map(str::trim);
    let pairs = cells.filter_map(|cell| cell.split_once(' '));
    pairs.map(|(code, means)| format!(".TP\n{}\n{}\n", roff::bold(code), roff::text(means))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_becomes_sections() {
        let help = "Once.\n\nDo:\n  a   b\n  c -d\n      e\n  f\n  g\n\nExit codes:\n  0 well   1 else\n  2 misuse\n\nTwice.";
        let roff = [
            ".SH DO\n.TP\n\\fBa\\fR\nb\n.TP\n\\fBc \\-d\\fR\ne\n.PP\n\\fBf\\fR\n.br\n\\fBg\\fR\n",
            ".SH EXIT CODES\n.TP\n\\fB0\\fR\nwell\n.TP\n\\fB1\\fR\nelse\n.TP\n\\fB2\\fR\nmisuse\n",
            ".SH NOTES\n.PP\nOnce.\n.PP\nTwice.\n",
        ];
        assert_eq!(sections(&Command::new("it").after_help(help)), roff.concat());
    }
}
