//! The characters of a text that a person sees.

/// Returns whether a reader sees `character`, and sees it where it stands: it is no control, no mark,
/// embedding, override or isolate of bidirectional text, no line or paragraph separator, no filler, and none
/// of those that Unicode has programs ignore, such as joiners, tags and what is of zero width.
///
/// Joiners and fillers have their use in some scripts; where names and lines of strangers are shown, two that
/// look alike must not differ. Two kinds that belong to the character before them are let pass, in any
/// number, as people write them: combining marks, and U+FE00 to U+FE0F, which choose between pictures of that
/// character (most emoji have one). Neither moves or hides what is beside it; many marks on one letter may
/// reach into the line above.
pub fn is_visible(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}'                                       // soft hyphen
            | '\u{34f}'                                    // combining, but nothing to see
            | '\u{61c}'                                    // direction
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers, which are letters
            | '\u{17b4}' | '\u{17b5}'                      // inherent vowels
            | '\u{180b}'..='\u{180f}'                      // Mongolian variants and vowels
            | '\u{200b}'..='\u{200f}'                      // zero width, direction
            | '\u{2028}'..='\u{202e}'                      // line ends, direction
            | '\u{2060}'..='\u{206f}'                      // invisible operators, direction
            | '\u{2800}'                                   // blank Braille
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}'         // zero width, annotation
            | '\u{13430}'..='\u{1343f}'                    // hieroglyph format
            | '\u{1bca0}'..='\u{1bca3}'                    // shorthand format
            | '\u{1d173}'..='\u{1d17a}'                    // musical format
            | '\u{e0000}'..='\u{e0fff}'                    // tags, more variants
        )
}
