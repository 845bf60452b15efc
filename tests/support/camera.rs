//! A camera that reads codes from what a program printed.

use rqrr::PreparedImage;

/// Returns the text in the code among `lines`, which a program drew without colours: its light squares are
/// there.
///
/// # Panics
/// There is no code, or it is damaged.
pub fn scan(lines: &str) -> String {
    let is_drawn = |line: &&str| line.starts_with('█') && line.chars().all(|drawn| " █▀▄".contains(drawn));
    // Two rows of squares each.
    let rows: Vec<Vec<char>> = lines.lines().filter(is_drawn).map(|line| line.chars().collect()).collect();
    let width = rows.first().map_or(0, Vec::len);
    let is_dark = |x: usize, y: usize| match rows[y / 2].get(x) {
        Some('▀') => y % 2 == 1,
        Some('▄') => y.is_multiple_of(2),
        Some(' ') => true,
        _ => false,
    };
    let mut seen = PreparedImage::prepare_from_bitmap(width * PIXELS, rows.len() * 2 * PIXELS, |x, y| {
        is_dark(x / PIXELS, y / PIXELS)
    });
    let codes = seen.detect_grids();
    let [code] = &codes[..] else { panic!("{} codes in\n{lines}", codes.len()) };
    code.decode().unwrap_or_else(|error| panic!("{error} in\n{lines}")).1
}

/// The width of a square, as a camera would see it.
const PIXELS: usize = 4;
