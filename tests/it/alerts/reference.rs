//! `docs/metrics.md`: what it says of each metric, and what a scrape says.

use std::collections::{BTreeMap, BTreeSet};

use super::file;

/// What is known of a metric: its type and its labels.
type Known = BTreeMap<String, (String, BTreeSet<String>)>;

/// Each row of the reference.
pub(super) fn documented() -> Known {
    let text = file("docs/metrics.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let known = rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, unit, labels, meaning, moves] = cells[..] else {
            panic!("not six cells: {row}")
        };
        assert!(!unit.is_empty() && !meaning.is_empty() && !moves.is_empty(), "{row}");
        let labels = labels.split(", ").filter(|label| !label.is_empty()).map(str::to_owned);
        (name.trim_matches('`').to_owned(), (kind.to_owned(), labels.collect()))
    });
    let known: Vec<_> = known.collect();
    let (count, known) = (known.len(), Known::from_iter(known));
    assert_eq!(known.len(), count, "a metric has two rows");
    known
}

/// Each family of a scrape, with the labels that its series have.
pub(super) fn scraped(text: &str) -> Known {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut known: Known =
        types.map(|(name, kind)| (name.to_owned(), (kind.to_owned(), BTreeSet::new()))).collect();
    let label = regex::Regex::new(r#"([a-z]+)=""#).expect("a pattern");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').expect("a value").0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let family = known.keys().find(|family| is_of(name, family)).cloned();
        let family = family.unwrap_or_else(|| panic!("no type of {name}"));
        let labels = label.captures_iter(labels).map(|found| found[1].to_owned());
        let known = &mut known.get_mut(&family).expect("found").1;
        known.extend(labels.filter(|label| label != "le"));
    }
    known
}

/// Whether a series is of a family; histograms write three.
fn is_of(series: &str, family: &str) -> bool {
    let rest = series.strip_prefix(family);
    rest.is_some_and(|rest| matches!(rest, "" | "_bucket" | "_count" | "_sum"))
}

/// The metrics that an expression or a text names, as the reference has them; not the recorded ones.
pub(super) fn named(text: &str) -> BTreeSet<String> {
    let pattern = r"(?:^|[^:a-z_])((?:kafka_s3_sink|process)_[a-z_]+)(?:$|[^:a-z_0-9])";
    let pattern = regex::Regex::new(pattern).expect("a pattern");
    let known = documented();
    let names = pattern.captures_iter(text).map(|found| found[1].to_owned());
    let family =
        |name: String| known.keys().find(|each| is_of(&name, each)).cloned().unwrap_or(name);
    names.map(family).collect()
}

#[test]
fn every_metric_that_rules_dashboard_or_docs_name_is_in_the_reference() {
    let known = documented();
    assert!(known.len() > 40, "found the tables");
    let files = [super::RULES, super::dashboard::FILE, "docs/runbook.md", "docs/operating.md"];
    for path in files {
        let named = named(&file(path));
        assert!(!named.is_empty(), "{path}");
        let unknown: Vec<_> = named.iter().filter(|name| !known.contains_key(*name)).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
}

#[test]
fn a_name_that_nobody_knows_is_seen() {
    let text = "sum(kafka_s3_sink_no_such_total) + topic:kafka_s3_sink_x:sum + \
                kafka_s3_sink_step_duration_seconds_bucket";
    let expected = ["kafka_s3_sink_no_such_total", "kafka_s3_sink_step_duration_seconds"];
    assert_eq!(named(text), expected.map(str::to_owned).into());
}
