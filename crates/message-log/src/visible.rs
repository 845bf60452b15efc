//! What a person sees of a text.

/// Whether a reader sees `character`, and sees it where it stands: it is no control, no mark, embedding, override or
/// isolate of bidirectional text, no line or paragraph separator, no filler, and not of zero width.
///
/// Joiners and fillers have their use in some scripts; where names and lines of strangers are shown, two that look
/// alike must not differ. Variation selectors, which choose between pictures of a character, are let pass.
pub fn is_visible(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}'                                       // soft hyphen
            | '\u{61c}' | '\u{180e}'                       // direction and vowel marks
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers, which are letters
            | '\u{17b4}' | '\u{17b5}'                      // inherent vowels
            | '\u{200b}'..='\u{200f}'                      // zero width, direction
            | '\u{2028}'..='\u{202e}'                      // line ends, direction
            | '\u{2060}'..='\u{206f}'                      // invisible operators, direction
            | '\u{2800}'                                   // blank Braille
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}'         // zero width, annotation
            | '\u{1d173}'..='\u{1d17a}'                    // musical format
            | '\u{e0000}'..='\u{e0fff}'                    // tags
        )
}
