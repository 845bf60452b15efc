//! The text format of Prometheus, version 0.0.4, read as strictly as it can be: what a scraper might forgive
//! is refused.

use std::collections::{BTreeMap, BTreeSet};

/// The figures of one scrape.
#[derive(Debug)]
pub(super) struct Exposition {
    pub(super) families: BTreeMap<String, Family>,
}

#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: String,
    /// The value of each sample by its name and labels, as they stand there.
    samples: BTreeMap<String, f64>,
    /// The names of labels, but `le`, with their values.
    pub(super) labels: BTreeMap<String, BTreeSet<String>>,
}

impl Exposition {
    /// Panics at what is wrong.
    pub(super) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line does not end");
        let mut families = BTreeMap::new();
        let mut lines = text.lines().peekable();
        while let Some(help) = lines.next() {
            let (name, words) = after(help, "# HELP ").split_once(' ').expect("a family has its help");
            assert!(!words.trim().is_empty() && is_name(name), "{help}");
            let kind = lines.next().map(|line| after(line, "# TYPE ")).expect("a family has a type");
            let kind = after(kind, name).trim_start();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{name} is a {kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            let mut family =
                Family { kind: kind.to_owned(), samples: BTreeMap::new(), labels: BTreeMap::new() };
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                family.add(name, line);
            }
            family.check(name);
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
        }
        Self { families }
    }

    /// The value of a sample, by its name and labels as they stand there.
    pub(super) fn of(&self, sample: &str) -> f64 {
        let mut found = self.families.values().filter_map(|family| family.samples.get(sample));
        *found.next().unwrap_or_else(|| panic!("there is no {sample}: {self:#?}"))
    }

    /// The samples of counters that are still 0, by name and labels.
    pub(super) fn counters_at_0(&self) -> Vec<&str> {
        let counters = self.families.values().filter(|family| family.kind == "counter");
        let samples = counters.flat_map(|family| &family.samples);
        samples.filter(|(_, value)| **value == 0.0).map(|(sample, _)| &**sample).collect()
    }
}

impl Family {
    fn add(&mut self, family: &str, line: &str) {
        let (sample, value) = line.rsplit_once(' ').expect("a sample has a value");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let (name, labels) = match sample.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("the labels end")),
            None => (sample, ""),
        };
        let suffix = after(name, family);
        let suffixes = if self.kind == "histogram" { &["_bucket", "_sum", "_count"][..] } else { &[""] };
        assert!(suffixes.contains(&suffix), "{line} is in {family}");
        for label in labels.split_terminator(',') {
            let (label, value) = label.split_once('=').expect("a label has a value");
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("in quotes");
            // Nothing that is shown needs an escape.
            assert!(is_name(label) && !value.contains(['"', '\\']), "{line}");
            if label != "le" {
                self.labels.entry(label.to_owned()).or_default().insert(value.to_owned());
            }
        }
        assert!(self.samples.insert(sample.to_owned(), value).is_none(), "{sample} comes twice");
    }

    /// A counter is whole and not negative; a histogram adds up.
    fn check(&self, name: &str) {
        assert!(!self.samples.is_empty(), "{name} has no samples");
        let is_count = |value: f64| value >= 0.0 && value.fract() == 0.0;
        for (sample, &value) in &self.samples {
            assert!(value.is_finite() && (self.kind != "counter" || is_count(value)), "{sample} {value}");
            let Some(labels) = sample.strip_prefix(&format!("{name}_count")) else { continue };
            let labels = labels.strip_suffix('}').expect("it has labels");
            let of_these = format!("{name}_bucket{labels},le=\"");
            let mut buckets: Vec<(f64, f64)> = self
                .samples
                .iter()
                .filter_map(|(sample, value)| {
                    let bound = sample.strip_prefix(&of_these)?.strip_suffix("\"}")?;
                    Some((bound.parse().expect("a bound is a number"), *value))
                })
                .collect();
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{name} {buckets:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, value)), "{sample}");
            assert!(self.samples.contains_key(&format!("{name}_sum{labels}}}")), "{sample}");
        }
    }
}

fn after<'a>(text: &'a str, start: &str) -> &'a str {
    text.strip_prefix(start).unwrap_or_else(|| panic!("{text:?} does not begin with {start:?}"))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[test]
fn what_is_wrong_is_refused() {
    let counter = "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n";
    assert_eq!(Exposition::parse(counter).of("a_total{b=\"c\"}"), 1.0);
    for (right, wrong) in [
        ("# HELP a_total A.\n", ""),
        ("# TYPE a_total counter\n", ""),
        ("# TYPE a_total counter", "# TYPE a_total gauge"),
        (" 1\n", " 0.5\n"),
        (" 1\n", " one\n"),
        (" 1\n", " 1"),
        ("a_total{b=\"c\"} 1\n", ""),
        ("a_total{b=\"c\"} 1\n", "a_total{b=\"c\"} 1\na_total{b=\"c\"} 1\n"),
        ("a_total{b=\"c\"} 1\n", "b_total{b=\"c\"} 1\n"),
        ("{b=\"c\"}", "{b=c}"),
        ("{b=\"c\"}", "{b=\"c\""),
        ("{b=\"c\"}", "{b=\"\\\"\"}"),
    ] {
        let text = counter.replacen(right, wrong, 1);
        assert_ne!(text, counter, "{right:?}");
        std::panic::catch_unwind(|| Exposition::parse(&text)).expect_err(&text);
    }
    let times = "# HELP t T.\n# TYPE t histogram\nt_bucket{o=\"f\",le=\"1\"} 1\nt_bucket{o=\"f\",le=\"+Inf\"} 2\n\
                 t_sum{o=\"f\"} 3.5\nt_count{o=\"f\"} 2\n";
    assert_eq!(Exposition::parse(times).of("t_sum{o=\"f\"}"), 3.5);
    for (right, wrong) in [("le=\"1\"} 1", "le=\"1\"} 3"), ("t_count{o=\"f\"} 2", "t_count{o=\"f\"} 3")] {
        let text = times.replacen(right, wrong, 1);
        std::panic::catch_unwind(|| Exposition::parse(&text)).expect_err(&text);
    }
}
