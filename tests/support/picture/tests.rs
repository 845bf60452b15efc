use super::*;

/// The lines of the picture of what is `printed`, from the first in the window on; `~` is a blank that is
/// drawn.
fn drawn(printed: &str, theme: &Theme) -> Vec<String> {
    let picture = svg(&Screen::of((2, 20), printed), "title", theme);
    let (_, inside) = picture.split_once("<g ").expect("there is a window");
    inside
        .lines()
        .skip(1)
        .take_while(|&line| line != "</g>")
        .map(|line| line.replace('\u{a0}', "~"))
        .collect()
}

/// Draws like [`drawn`], without the cursor.
fn drawn_dark(printed: &str) -> Vec<String> {
    drawn(&format!("\x1b[?25l{printed}"), &Theme::DARK)
}

#[test]
fn text_stands_where_it_stood() {
    assert_eq!(
        drawn_dark("\x1b[2;3Hhola, què  tal"),
        [
            r##"<text x="18" y="30" fill="#e2e6eb" textLength="126" lengthAdjust="spacingAndGlyphs">hola,~què~~tal</text>"##
        ]
    );
}

#[test]
fn what_xml_would_take_for_its_own_is_escaped() {
    let [line] = &drawn_dark(r#"<pere> & "laura""#)[..] else { panic!("one line") };
    assert!(line.ends_with(">&lt;pere&gt;~&amp;~&quot;laura&quot;</text>"), "{line}");
    let title = svg(&Screen::of((1, 1), ""), "a<b\x1b\u{fffe}", &Theme::LIGHT);
    assert!(title.contains("<title>a&lt;b\u{fffd}\u{fffd}</title>"), "{title}");
    assert!(title.contains(">a&lt;b\u{fffd}\u{fffd}</text>"), "{title}");
}

#[test]
fn colours_are_those_of_the_theme_the_cube_and_the_program() {
    let ink = |printed: &str, theme| {
        let lines = drawn(&format!("\x1b[?25l\x1b[{printed}mx"), theme);
        lines[0].split('"').nth(5).expect("an ink").to_owned()
    };
    for (colour, dark, light) in [
        ("39", "#e2e6eb", "#24292f"),
        ("31", "#e5534b", "#b31d28"),
        ("94", "#79b8ff", "#216fd6"),
        ("38;5;9", "#ff7b72", "#d0303c"),
        ("38;5;16", "#000000", "#000000"),
        ("38;5;67", "#5f87af", "#5f87af"),
        ("38;5;231", "#ffffff", "#ffffff"),
        ("38;5;232", "#080808", "#080808"),
        ("38;5;255", "#eeeeee", "#eeeeee"),
        ("38;2;1;2;254", "#0102fe", "#0102fe"),
    ] {
        assert_eq!((&*ink(colour, &Theme::DARK), &*ink(colour, &Theme::LIGHT)), (dark, light), "{colour}");
    }
}

#[test]
fn grounds_are_drawn_below_and_turned_round_with_inks() {
    let ground = |x, width, fill| {
        format!(
            r#"<rect x="{x}" y="0" width="{width}" height="17" fill="{fill}" shape-rendering="crispEdges"/>"#
        )
    };
    let lines = drawn_dark("a\x1b[41mbc \x1b[0;7md\x1b[32;44me");
    assert_eq!(lines[..3], [ground(9, 27, "#e5534b"), ground(36, 9, "#e2e6eb"), ground(45, 9, "#57ab5a")]);
    let inks: Vec<_> = lines[3..].iter().map(|line| line.split('"').nth(5)).collect();
    assert_eq!(inks, ["#e2e6eb", "#161b22", "#3f78d0"].map(Some));
    assert!(
        lines[3].ends_with(r#"textLength="27" lengthAdjust="spacingAndGlyphs">abc</text>"#),
        "{}",
        lines[3]
    );
}

#[test]
fn styles_are_kept_apart() {
    let lines = drawn_dark("\x1b[1mb\x1b[0;2md\x1b[0;3mi\x1b[0;4m u \x1b[0mp");
    for (line, style) in lines.iter().zip([
        r#" font-weight="bold">b<"#,
        r#" fill-opacity="0.6">d<"#,
        r#" font-style="italic">i<"#,
        r#" text-decoration="underline">~u~<"#,
        r#""spacingAndGlyphs">p<"#,
    ]) {
        assert!(line.contains(style), "{style} in {line}");
    }
    assert_eq!(lines.len(), 5);
}

#[test]
fn whatever_a_font_does_columns_are_kept() {
    let places: Vec<_> = drawn_dark("a日本b✓→──\u{1f44b}c")
        .iter()
        .map(|line| {
            let mut words = line.split('"');
            let x = words.nth(1).expect("a place").to_owned();
            let length = line.split_once("textLength=\"").map_or("", |(_, rest)| &rest[..2]);
            let text = line.rsplit(['<', '>']).nth(2).expect("text");
            format!("{x} {} {text}", length.trim_end_matches('"'))
        })
        .collect();
    assert_eq!(
        places,
        ["0 9 a", "9  日", "27  本", "45 9 b", "54 9 ✓", "63 9 →", "72 18 ──", "90  \u{1f44b}", "108 9 c"]
    );
}

#[test]
fn a_cursor_is_drawn_where_it_is_shown() {
    let cursor = r##"<rect x="18" y="0" width="9" height="17" fill="#24292f" fill-opacity="0.5"/>"##;
    assert_eq!(drawn("ab", &Theme::LIGHT).last().map(String::as_str), Some(cursor));
    assert_eq!(drawn("\x1b[?25l", &Theme::LIGHT), [""; 0]);
}

#[test]
fn the_window_has_room_for_its_cells() {
    let picture = svg(&Screen::of((24, 80), ""), "laura", &Theme::DARK);
    assert!(picture.starts_with(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="736" height="452" viewBox="0 0 736 452""#
    ));
    assert!(picture.contains("<title>laura</title>") && picture.ends_with("</svg>\n"));
}
