//! The number of users against the number of answers.

use std::path::{Path, PathBuf};

use plotters::prelude::*;

use crate::domain;
use crate::registrations::{self, Rates};
use crate::report::{Report, with_commas};
use crate::{Options, echo};

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let requests = USERS.map(domain::registrations);
    let nodes = USERS
        .iter()
        .map(|&users| registrations::node(users, &["--bindings", "off"]))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let of_node = |(requests, node): (_, &domain::NodeOfMany)| Rates::of(requests, node.address());
    let mut of_nodes: Vec<_> = requests.iter().zip(&nodes).map(of_node).collect();
    let mut bare = Rates::of(&requests[0], echo::start(b"RR0")?);
    for _ in 0..options.rounds.get() {
        bare.measure(options)?;
        of_nodes.iter_mut().try_for_each(|rates| rates.measure(options))?;
    }
    let lost = of_nodes.iter().map(Rates::lost).sum::<usize>();
    let lost_bare = bare.lost();
    let bare = bare.per_second();
    let points = USERS.into_iter().zip(of_nodes.iter().map(Rates::per_second));
    let points: Vec<_> = points.collect();
    for &(users, rate) in &points {
        let users = with_commas(users as f64);
        report.note_beside(&format!("PR -> RR0, log on, {users} users : bare UDP echo"), rate, bare, "/s");
    }
    report.note_beside("  requests without an answer, of all", lost as f64, lost_bare as f64, "");
    match &options.plot {
        Some(file) => plot(file, report.machine(), &points, bare),
        None => Ok(()),
    }
}

/// The value of `--plot`: a file with the name of an SVG.
pub(crate) fn svg_file(text: &str) -> Result<PathBuf, &'static str> {
    let file = PathBuf::from(text);
    let is_svg = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    if is_svg { Ok(file) } else { Err("it is drawn as SVG: the file is called something.svg") }
}

/// Draws the rates of nodes with so many users, and that of the bare echo.
fn plot(file: &Path, machine: &str, points: &[(usize, f64)], bare: f64) -> anyhow::Result<()> {
    let points: Vec<_> = points.iter().map(|&(users, rate)| (users as f64, rate)).collect();
    let (first, last) = (USERS[0] as f64, USERS[USERS.len() - 1] as f64);
    let highest = points.iter().fold(bare, |highest, (_, rate)| highest.max(*rate));
    let picture = SVGBackend::new(file, SIZE).into_drawing_area();
    picture.fill(&WHITE)?;
    let picture = picture.titled("Registrations that one node answers", ("sans-serif", 22))?;
    let picture = picture.titled(machine, ("sans-serif", 13))?;
    let mut chart = ChartBuilder::on(&picture)
        .margin(16)
        .margin_right(48)
        .x_label_area_size(48)
        .y_label_area_size(80)
        .build_cartesian_2d((first..last).log_scale(), 0.0..highest * HEADROOM)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("users (log scale)")
        .x_label_formatter(&|users| with_commas(*users))
        .y_desc("PR answered per second")
        .y_label_formatter(&|rate| with_commas(*rate))
        .axis_desc_style(("sans-serif", 15))
        .draw()?;
    chart
        .draw_series(LineSeries::new([(first, bare), (last, bare)], GREY.stroke_width(2)))?
        .label("bare UDP echo")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], GREY.stroke_width(2)));
    chart
        .draw_series(LineSeries::new(points, BLUE.stroke_width(2)).point_size(4))?
        .label("node, message log on a file")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLUE.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE)
        .border_style(GREY)
        .label_font(("sans-serif", 14))
        .draw()?;
    picture.present()?;
    Ok(())
}

const USERS: [usize; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];

/// The size of the picture, in pixels.
const SIZE: (u32, u32) = (800, 480);

/// The length of the axis beyond the highest rate.
const HEADROOM: f64 = 1.1;

const GREY: RGBColor = RGBColor(110, 110, 110);
