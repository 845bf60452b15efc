//! The keys of a settings file, explained as its sample explains them.

use crate::roff;

/// Each paragraph of `sample`: first its keys as they stand, then what its comment says.
pub(crate) fn explained(sample: &str) -> String {
    let paragraphs = sample.split("\n\n").map(paragraph);
    paragraphs.collect()
}

fn paragraph(lines: &str) -> String {
    let (keys, words): (Vec<_>, Vec<_>) = lines.lines().partition(|line| is_key(line));
    let mut roff = String::new();
    for (nth, key) in keys.into_iter().enumerate() {
        // If there are several, the later ones stand under the first.
        roff += &format!("{}\n{}\n", if nth == 0 { ".TP" } else { ".TQ" }, roff::bold(key));
    }
    if roff.is_empty() {
        roff += ".PP\n";
    }
    for line in words {
        roff += &format!("{}\n", roff::text(line.trim_start_matches('#').trim_start()));
    }
    roff
}

/// Returns whether `line` sets something, or would without the `# ` before it.
fn is_key(line: &str) -> bool {
    let key = line.strip_prefix("# ").unwrap_or(line);
    let sets = key.split_once(" = ").is_some_and(|(name, _)| !name.contains(' '));
    sets || (!line.starts_with('#') && !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_before_what_is_said_of_them() {
        let sample = "# Settings.\n\n# Where it is:\n# `-` is stdout.\n# log = \"a-b\"\n\n# Peers.\n[peers]\n# \"cc.com\" = 1\n";
        let roff = [
            ".PP\nSettings.\n",
            ".TP\n\\fB# log = \"a\\-b\"\\fR\nWhere it is:\n\\fB\\-\\fR is stdout.\n",
            ".TP\n\\fB[peers]\\fR\n.TQ\n\\fB# \"cc.com\" = 1\\fR\nPeers.\n",
        ];
        assert_eq!(explained(sample), roff.concat());
    }
}
