//! Pictures of screens, as SVG that needs nothing but a font of even width: what stands in a column stays in
//! it, whatever font that is.

mod colour;

use std::fmt::{self, Write};

use vt100::Cell;

use crate::programs::Screen;

use colour::Ink;

pub use colour::Theme;

/// The picture of `screen` in a window that is titled `title`.
pub fn svg(screen: &Screen, title: &str, theme: &Theme) -> String {
    let mut picture = String::new();
    draw(&mut picture, screen, title, theme).expect("there is memory to write to");
    picture
}

/// The pictures of several screens in one, side by side, each in a window with its title.
pub fn svg_side_by_side(screens: &[(&Screen, &str)], theme: &Theme) -> String {
    let sizes = screens.iter().map(|(screen, _)| size_of(screen));
    let width = sizes.clone().map(|(width, _)| width + GAP).sum::<u32>().saturating_sub(GAP);
    let height = sizes.clone().map(|(_, height)| height).max().unwrap_or_default();
    let mut picture = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">"#
    );
    let mut x = 0;
    for ((screen, title), (width, _)) in screens.iter().zip(sizes) {
        write!(picture, "\n<g transform=\"translate({x} 0)\">\n{}</g>", svg(screen, title, theme))
            .expect("there is memory to write to");
        x += width + GAP;
    }
    picture + "\n</svg>\n"
}

/// The width and height of the window with `screen`.
fn size_of(screen: &Screen) -> (u32, u32) {
    let (rows, columns) = screen.size();
    let (inner_width, inner_height) = (u32::from(columns) * CELL_WIDTH, u32::from(rows) * CELL_HEIGHT);
    (inner_width + 2 * PADDING, inner_height + BAR + 2 * PADDING)
}

fn draw(out: &mut String, screen: &Screen, title: &str, theme: &Theme) -> fmt::Result {
    let (rows, _) = screen.size();
    let (width, height) = size_of(screen);
    let (title, ground, ink, frame, bar) = (Escaped(title), theme.ground, theme.ink, theme.frame, theme.bar);
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="{FONT_SIZE}">"#
    )?;
    writeln!(out, "<title>{title}</title>")?;
    // Lines of one pixel are sharp in the middle of pixels.
    let (frame_width, frame_height) = (width - 1, height - 1);
    writeln!(
        out,
        r#"<rect x="0.5" y="0.5" width="{frame_width}" height="{frame_height}" rx="7" fill="{ground}" stroke="{frame}"/>"#
    )?;
    let end = width - 1;
    writeln!(out, r#"<path d="M1 {BAR}V8a7 7 0 0 1 7 -7H{}a7 7 0 0 1 7 7V{BAR}z" fill="{bar}"/>"#, end - 7)?;
    let (middle, baseline) = (width / 2, BAR / 2 + 5);
    writeln!(
        out,
        r#"<text x="{middle}" y="{baseline}" text-anchor="middle" font-size="13" fill="{ink}">{title}</text>"#
    )?;
    writeln!(out, r#"<g transform="translate({PADDING} {})">"#, BAR + PADDING)?;
    for row in 0..rows {
        let cells = row_of(screen, row, theme);
        // Grounds first: a letter may reach over into the next cell.
        for run in cells.chunk_by(|one, other| one.ground == other.ground) {
            draw_ground(out, row, run)?;
        }
        for run in cells.chunk_by(Place::stands_with) {
            draw_text(out, row, run)?;
        }
    }
    if let Some((row, column)) = screen.cursor() {
        let (x, y) = (u32::from(column) * CELL_WIDTH, u32::from(row) * CELL_HEIGHT);
        writeln!(
            out,
            r#"<rect x="{x}" y="{y}" width="{CELL_WIDTH}" height="{CELL_HEIGHT}" fill="{ink}" fill-opacity="0.5"/>"#
        )?;
    }
    writeln!(out, "</g>\n</svg>")
}

fn draw_ground(out: &mut String, row: u16, run: &[Place<'_>]) -> fmt::Result {
    let Some(ground) = run[0].ground else { return Ok(()) };
    let (x, y, width) = (run[0].x(), u32::from(row) * CELL_HEIGHT, width_of(run));
    writeln!(
        out,
        r#"<rect x="{x}" y="{y}" width="{width}" height="{CELL_HEIGHT}" fill="{ground}" shape-rendering="crispEdges"/>"#
    )
}

fn draw_text(out: &mut String, row: u16, run: &[Place<'_>]) -> fmt::Result {
    let first = &run[0];
    let run = if first.cell.underline() { run } else { without_blanks(run) };
    let Some(begin) = run.first() else { return Ok(()) };
    let (x, y, ink) = (begin.x(), u32::from(row) * CELL_HEIGHT + BASELINE, first.ink);
    write!(out, r#"<text x="{x}" y="{y}" fill="{ink}""#)?;
    // One wide character has room, and looks best as it is.
    if !first.cell.is_wide() {
        write!(out, r#" textLength="{}" lengthAdjust="spacingAndGlyphs""#, width_of(run))?;
    }
    for (is_so, attribute) in [
        (first.cell.bold(), r#" font-weight="bold""#),
        (first.cell.dim(), r#" fill-opacity="0.6""#),
        (first.cell.italic(), r#" font-style="italic""#),
        (first.cell.underline(), r#" text-decoration="underline""#),
    ] {
        out.push_str(if is_so { attribute } else { "" });
    }
    let text: String = run.iter().map(Place::text).collect();
    writeln!(out, ">{}</text>", Escaped(&text))
}

/// A cell and where it stands.
struct Place<'a> {
    cell: &'a Cell,
    column: u16,
    ink: Ink,
    /// `None`: that of the window.
    ground: Option<Ink>,
}

impl Place<'_> {
    fn x(&self) -> u32 {
        u32::from(self.column) * CELL_WIDTH
    }

    fn width(&self) -> u32 {
        CELL_WIDTH * if self.cell.is_wide() { 2 } else { 1 }
    }

    fn is_blank(&self) -> bool {
        !self.cell.has_contents() || self.cell.contents() == " "
    }

    fn text(&self) -> &str {
        // Each of those is drawn; of spaces, programs make what they like.
        if self.is_blank() { "\u{a0}" } else { self.cell.contents() }
    }

    /// Returns whether both can be drawn at once: they look alike, and a font that gives one of them another
    /// width than the cell's gives the other the same.
    fn stands_with(&self, other: &Self) -> bool {
        let style = |cell: &Cell| [cell.bold(), cell.dim(), cell.italic(), cell.underline(), cell.is_wide()];
        let is_letter = |text: &str| text.chars().all(|character| character < FIRST_UNUSUAL);
        let (text, next) = (self.text(), other.text());
        let alike = text == next && !self.cell.is_wide() || is_letter(text) && is_letter(next);
        alike && self.ink == other.ink && style(self.cell) == style(other.cell)
    }
}

fn row_of<'a>(screen: &'a Screen, row: u16, theme: &Theme) -> Vec<Place<'a>> {
    let (_, columns) = screen.size();
    let place = |column| {
        let cell = screen.cells().cell(row, column).filter(|cell| !cell.is_wide_continuation())?;
        let (ink, ground) = theme.inks(cell);
        Some(Place { cell, column, ink, ground })
    };
    (0..columns).filter_map(place).collect()
}

fn without_blanks<'a, 'b>(run: &'a [Place<'b>]) -> &'a [Place<'b>] {
    let Some(begin) = run.iter().position(|place| !place.is_blank()) else { return &[] };
    let end = run.iter().rposition(|place| !place.is_blank()).map_or(begin, |last| last + 1);
    &run[begin..end]
}

fn width_of(run: &[Place<'_>]) -> u32 {
    run.iter().map(Place::width).sum()
}

/// Text as XML has it.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            // No XML may have these, however they are written.
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
            character => f.write_char(character),
        })
    }
}

/// Pixels of a column: what DejaVu Sans Mono takes at [`FONT_SIZE`].
const CELL_WIDTH: u32 = 9;

/// Pixels of a row: so that lines drawn in letters meet.
const CELL_HEIGHT: u32 = 17;

/// The distance of a letter's baseline from the top of its row.
const BASELINE: u32 = 13;

const FONT_SIZE: u32 = 15;

/// The height of the bar with the title.
const BAR: u32 = 28;

/// The space between the frame and the cells.
const PADDING: u32 = 8;

/// The space between two windows.
const GAP: u32 = 16;

/// The first character that a font of even width may have to take from another one.
const FIRST_UNUSUAL: char = '\u{250}';

#[cfg(test)]
mod tests;
