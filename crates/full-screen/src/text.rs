//! Text in rows of a limited width.

use unicode_width::UnicodeWidthStr;

/// Lays `left` and `right` side by side: `right` begins at the column `indent`, or one blank after a longer
/// `left`.
///
/// Words of `right` that do not fit into `width` columns follow in further rows, below its beginning. A word
/// that is wider than its row is left whole.
pub fn side_by_side(left: &str, right: &str, indent: usize, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = left.to_owned();
    let mut is_begun = false;
    for word in right.split(' ') {
        if is_begun && row.width() + 1 + word.width() > width {
            rows.push(row);
            row = String::new();
            is_begun = false;
        }
        let blanks = match is_begun {
            true => 1,
            false => indent.saturating_sub(row.width()).max(usize::from(!row.is_empty())),
        };
        row.extend(std::iter::repeat_n(' ', blanks));
        row += word;
        is_begun = true;
    }
    rows.push(row);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_goes_on_below_its_beginning() {
        let row = |width| side_by_side("b", "the bytes, or the words", 4, width);
        assert_eq!(row(27), ["b   the bytes, or the words"]);
        assert_eq!(row(26), ["b   the bytes, or the", "    words"]);
        assert_eq!(row(3), ["b   the", "    bytes,", "    or", "    the", "    words"]);
        assert_eq!(side_by_side("PageUp", "scrolls", 4, 80), ["PageUp scrolls"]);
        // An arrow has one column and three bytes.
        assert_eq!(side_by_side("\u{2191} \u{2193}", "choose", 5, 11), ["\u{2191} \u{2193}  choose"]);
        assert_eq!(side_by_side("", "one two", 2, 5), ["  one", "  two"]);
    }
}
