//! Codes for cameras (QR), drawn with characters.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// Draws a code for cameras that holds `text`; each line ends with a line feed. `None`: the text is too long
/// for any code.
///
/// A character is two squares, one above the other. With `in_colour`, which is for terminals, the code is
/// black on white whatever the colours of the terminal are. Without, its light squares are drawn, because
/// most terminals are dark.
pub fn camera_code(text: &str, in_colour: bool) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    let (dark, light) = match in_colour {
        true => (Dense1x2::Dark, Dense1x2::Light),
        false => (Dense1x2::Light, Dense1x2::Dark),
    };
    let drawn = code.render::<Dense1x2>().dark_color(dark).light_color(light).build();
    let line =
        |line: &str| if in_colour { format!("\x1b[30;107m{line}\x1b[m\n") } else { format!("{line}\n") };
    Some(drawn.lines().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_the_same_width_and_colours_that_end_with_it() {
        let plain = camera_code("hola", false).unwrap();
        let width = plain.lines().next().unwrap().chars().count();
        assert!(plain.lines().all(|line| line.chars().count() == width), "{plain}");
        assert!(plain.starts_with('█') && plain.chars().all(|drawn| " \n█▀▄".contains(drawn)), "{plain}");
        let coloured = camera_code("hola", true).unwrap();
        assert_eq!(coloured.lines().count(), plain.lines().count());
        assert!(
            coloured.lines().all(|line| line.starts_with("\x1b[30;107m") && line.ends_with("\x1b[m")),
            "{coloured:?}"
        );
        assert_eq!(camera_code(&"a".repeat(3_000), false), None);
    }
}
